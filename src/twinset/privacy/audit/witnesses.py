"""Which real images testify for or against a release: every picture once, every family once, and like against like.

Real images in several files, or of one patient, score alike: counted one by one they would make any difference look
sure. And held-out images that are merely *rarer* score lower with every attack, whoever saw them. So a difference must
also hold among images that are equally rare: as far from the training images around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures, Search, nearest_outside, nearest_pictures
from twinset.distances import Distances
from twinset.distinct import Distinct, Known
from twinset.errors import DataError
from twinset.membership import Scores, Strata, placement_test
from twinset.privacy.attacks.figures import AttackFigures

Rows = NDArray[np.int64]

AROUND = 5
"""Training images around one, whose distances say how rare it is."""

AT_LEAST = 30
MOST_LAYERS = 5
"""Images of one class are compared in layers of equal rarity: so many of them, of about so many images or more."""


@dataclass(frozen=True, eq=False)
class Witnesses:
    """``pictures`` (W, …): distinct real images, those of training first; ``units`` (W,): their families, those of
    training first too, of which there are ``members``. ``strata`` and ``layers`` of the units: those of one class, and
    of one class and equally rare. ``shown`` and ``held_out``: rows of the training and of the held-out images that
    testify. Pictures no farther apart than ``limit`` are one."""

    pictures: Pictures
    units: Rows
    members: int
    strata: Strata
    layers: Strata
    shown: Rows
    held_out: Rows
    limit: float

    def of_units(self, kept: NDArray[np.bool_]) -> tuple[Witnesses, NDArray[np.bool_]]:
        """The witnesses of some units (U,), at least two of either side; and which of the pictures (W,) these are."""
        rows = kept[self.units]
        inside = kept[: self.members]

        def chosen(strata: Strata) -> Strata:
            return Strata.of(strata.members[inside], strata.others[kept[self.members :]])

        units = (np.cumsum(kept) - 1)[self.units[rows]]
        mine, others = rows[: len(self.shown)], rows[len(self.shown) :]
        sides = self.shown[mine], self.held_out[others]
        strata, layers = chosen(self.strata), chosen(self.layers)
        return Witnesses(self.pictures[rows], units, int(inside.sum()), strata, layers, *sides, self.limit), rows

    def figures(self, name: str, scores: Scores) -> AttackFigures:
        """Of an attack's scores (W,): a family counts once, by its mean."""
        by_unit = np.bincount(self.units, weights=scores) / np.bincount(self.units)
        return AttackFigures.of(name, by_unit[: self.members], by_unit[self.members :], self.strata)

    def p_value(self, figures: AttackFigures, scores: Scores) -> float:
        """That of the figures or, if it is larger, that among equally rare images."""
        by_unit = np.bincount(self.units, weights=scores) / np.bincount(self.units)
        layered = placement_test(by_unit[: self.members], by_unit[self.members :], self.layers)
        return max(figures.p_value, layered.p_value)


def witnesses(training: Pictures, holdout: Pictures, of_training: Known, of_holdout: Known) -> Witnesses:
    """Held-out images that are training images, or of a training family, do not testify.

    Errors as :meth:`twinset.distinct.Distinct.of` and :func:`witnesses_of`.
    """
    return witnesses_of(Distinct.of(training, holdout, of_training, of_holdout, distances=Distances()))


def witnesses_of(real: Distinct) -> Witnesses:
    """Those among distinct images. :class:`DataError` where fewer than two families are left on a side."""
    if len(real.strata.others) < 2:
        raise DataError(
            "expected ≥ 2 distinct training and ≥ 2 held-out images that are none of them, of families of their own; "
            f"got {real.unit_count} and {len(real.strata.others)}",
            hint="keep real images out that are training images",
        )
    return Witnesses(
        real.pictures,
        real.units,
        real.unit_count,
        real.strata,
        _layers(real.strata, _rarity(real)),
        real.shown,
        real.held_out,
        real.limit,
    )


def neither(
    reference: Pictures, training: Pictures, holdout: Pictures, *, limit: float, search: Search = nearest_pictures
) -> Rows:
    """Rows of the reference images that are farther than ``limit`` from all training and held-out images."""
    nearest = [search(reference, side, k=1)[0][:, 0] for side in (training, holdout)]
    return np.flatnonzero(np.minimum(*nearest) > limit)


def _rarity(real: Distinct) -> Scores:
    """Of each unit the mean log distance to training images of other families.

    A held-out image has no family there: one of its class is left out in its place, so that both sides see equally
    much.
    """
    distances, _ = nearest_outside(
        real.pictures,
        real.members,
        k=min(AROUND, real.count - real.widest),
        groups=real.units[: real.count],
        own=real.stand_in()[real.units],
        search=real.distances.nearest,
    )
    logs = np.log(np.maximum(distances, np.finfo(float).tiny)).mean(axis=1)
    mean: Scores = np.bincount(real.units, weights=logs) / np.bincount(real.units)
    return mean


def _layers(strata: Strata, rarity: Scores) -> Strata:
    """Strata that are divided by rarity (members and others together)."""
    members = len(strata.members)
    layers = np.zeros(len(rarity), dtype=np.int64)
    for number, (own, others) in enumerate(strata.pairs()):
        rows = np.concatenate([own, members + others])
        parts = int(np.clip(len(rows) // AT_LEAST, 1, MOST_LAYERS))
        ranks = np.argsort(np.argsort(rarity[rows], kind="stable"), kind="stable")
        layers[rows] = number * MOST_LAYERS + ranks * parts // len(rows)
    return Strata.of(layers[:members], layers[members:])
