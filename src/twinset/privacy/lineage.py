"""Does an edited image still show the training image that it was made from?

Editors record their parents, so this need not be guessed: if the nearest training image is the parent more often than
chance, the edit hides nothing, however far a rotation or a crop has moved the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import DUPLICATE_SHARE, duplicate_families, nearest_copies, usual_distance
from twinset.dataset import Dataset
from twinset.images import PixelBatch
from twinset.membership import more_hits_than_chance


@dataclass(frozen=True)
class Traced:
    """Of ``total`` images with recorded parents, ``found`` are nearest to a parent; ``expected`` by chance."""

    found: int
    expected: float
    total: int
    p_value: float

    @property
    def excess(self) -> float:
        """Share of the images beyond what chance explains."""
        return (self.found - self.expected) / self.total


def parent_rows(edited: Dataset, training: Dataset) -> list[list[int]]:
    """For every image the rows of the training images that it says it was made from."""
    rows = {id_: row for row, id_ in enumerate(training.ids)}
    recorded = edited.table.column("parents").to_pylist()
    return [[rows[parent] for parent in parents or () if parent in rows] for parents in recorded]


def trace_parents(
    edited: PixelBatch,
    training: PixelBatch,
    holdout: PixelBatch,
    *,
    parents: Sequence[Sequence[int]],
    training_classes: NDArray[np.integer] | None = None,
) -> Traced | None:
    """Counts edited images whose nearest training image, under flips and small shifts, is one of their parents.

    uint8 (·, H, W, C) of one size. ``parents`` holds training rows, one sequence per edited image; images without any
    are left out (None if there are no others). Training images that are one image in several files count as one.

    Chance is how often a parent is nearest to images that were *not* made from it, within the class of the parent and
    smoothed towards one in all of its training images; so a training image that is near to everything is no evidence.
    """
    rows = [row for row, own in enumerate(parents) if own]
    if not rows:
        return None
    usual = usual_distance(nearest_copies(holdout, training, k=1)[0][:, 0])
    family = duplicate_families(training, nearer_than=DUPLICATE_SHARE * usual)
    classes = np.zeros(len(training), dtype=np.int64) if training_classes is None else np.asarray(training_classes)
    nearest = family[nearest_copies(edited[rows], training, k=1)[1][:, 0]]
    own = [{int(family[parent]) for parent in parents[row]} for row in rows]
    chances = _chances(own, nearest, family, classes)
    found = sum(int(near) in families for near, families in zip(nearest, own, strict=True))
    return Traced(found, float(chances.sum()), len(rows), more_hits_than_chance(chances, found))


def _chances(
    own: Sequence[set[int]], nearest: NDArray[np.int64], family: NDArray[np.int64], classes: NDArray[np.integer]
) -> NDArray[np.float64]:
    """P[a parent is nearest although the image does not show it], for every image: (N,)."""
    kinds = int(classes.max()) + 1
    sizes = np.bincount(classes[np.unique(family)], minlength=kinds)
    made, hits, children, own_hits = np.zeros(kinds), *np.zeros((3, len(family)))
    np.add.at(hits, nearest, 1)
    for near, parents in zip(nearest, own, strict=True):
        rows = sorted(parents)
        children[rows] += 1
        own_hits[rows] += np.equal(rows, near)
        made[np.unique(classes[rows])] += 1
    strangers = made[classes] - children
    by_parent = (hits - own_hits + 1) / (strangers + sizes[classes])
    return np.array([min(1.0, by_parent[sorted(parents)].sum()) for parents in own])
