"""What is marked in the images of a release: which classes in how many of them, how many objects, how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.dataset import Dataset

Range = tuple[float, float, float]
"""The 10 %, 50 % and 90 % quantile."""

QUANTILES = (0.1, 0.5, 0.9)
NOTHING: NDArray[np.int64] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Marked:
    """``images`` that show each class, in class order, and ``empty`` ones that show none.

    ``per_image`` is how many objects an image has, ``sides`` the square root of a box's area in pixels; None without
    objects.
    """

    images: Mapping[str, int]
    empty: int
    per_image: Range | None = None
    sides: Range | None = None

    @staticmethod
    def of(dataset: Dataset) -> Marked | None:
        """Of a dataset with objects or semantic maps; None of any other."""
        if dataset.task == "classification":
            return None
        if dataset.task == "semantic-segmentation":
            maps = dataset.table.column("semantic").to_pylist()
            found = [np.unique(SemanticMap(png).dense()) if png is not None else NOTHING for png in maps]
            shown = [one[one >= 0] for one in found]
            return Marked(_counted(shown, dataset.classes), sum(not len(one) for one in shown))
        counts, class_ids = dataset.object_counts(), dataset.object_column("class_id")
        shown = [np.unique(part) for part in np.split(class_ids, np.cumsum(counts)[:-1])] if len(counts) else []
        boxes = dataset.object_boxes().astype(np.float64)
        sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
        return Marked(
            _counted(shown, dataset.classes),
            int((counts == 0).sum()),
            _range(counts.astype(np.float64)) if len(boxes) else None,
            _range(sides) if len(boxes) else None,
        )


def _counted(shown: Sequence[NDArray[np.integer]], classes: Sequence[str]) -> dict[str, int]:
    """In how many images each class is, from the distinct class ids of every image."""
    counts = np.bincount(np.concatenate([NOTHING, *shown]).astype(np.int64), minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def _range(values: NDArray[np.float64]) -> Range:
    low, middle, high = (float(value) for value in np.quantile(values, QUANTILES))
    return low, middle, high
