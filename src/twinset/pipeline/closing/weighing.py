"""What a step changes: distances of pilot pictures from real images before and after, with an interval of the change.

Two figures: the mean Bhattacharyya distance of metadata measures, bins fixed on all three sets pooled, and the squared
maximum mean discrepancy of features under KID's cubic kernel. Both sides have a slot for a slot the same seed, and meet
the same real images; so their difference varies less than each. Its interval draws real images by family and pilot
slots, both with replacement, for before and after alike (percentiles). Repeated pictures raise both distances by about
as much, which the difference does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata import MEASURES, Bins, Measures, bhattacharyya
from twinset.errors import RecipeError
from twinset.evaluation.distances.kernel_sums import cubic
from twinset.pipeline.closing.record import Change
from twinset.pipeline.real import RealData
from twinset.randomness import Stream
from twinset.recipe import Recipe

Floats = NDArray[np.float64]

DRAWS = 400
LEVEL = 0.95

FEWEST = 4
"""Pictures of each kind that can be weighed."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures as they are weighed: ``measures`` of N, ``features`` float (N, D), ``families`` int (N,)."""

    measures: Measures
    features: NDArray[np.floating]
    families: NDArray[np.integer]

    def __post_init__(self) -> None:
        if not len(self.measures) == len(self.features) == len(self.families):
            raise ValueError(
                f"expected measures, features and a family for each picture; got {len(self.measures)}, "
                f"{len(self.features)} and {len(self.families)}"
            )


@dataclass(frozen=True)
class Weighed:
    """What a step changed: by metadata measure the distances before and after, their mean, and that of features."""

    measures: Mapping[str, tuple[float, float]]
    metadata: Change
    features: Change

    @property
    def helps(self) -> bool:
        """One of the two figures falls beyond chance, and neither rises beyond it."""
        changes = (self.metadata, self.features)
        return any(one.nearer for one in changes) and not any(one.farther for one in changes)

    @property
    def harms(self) -> bool:
        """One of the two figures rises beyond chance."""
        return self.metadata.farther or self.features.farther


def check_weighable(recipe: Recipe, real: RealData) -> None:
    """:class:`RecipeError` before anything is fitted where there are too few real images to weigh steps by."""
    exposed = len(real.training) + len(real.part("validation"))
    if recipe.close_gap is not None and exposed < FEWEST:
        raise RecipeError(
            f"close_gap: expected at least {FEWEST} training and validation images to weigh steps by; got {exposed}",
            hint="leave close_gap out",
        )


def weigh(real: Pictures, before: Pictures, after: Pictures, *, names: tuple[str, ...], rng: Stream) -> Weighed:
    """The change from ``before`` to ``after`` in measures ``names`` and features, as distances from ``real``.

    Rows of before and after that stand in one family come from one slot. ``ValueError`` for sets of fewer than
    :data:`FEWEST` pictures, or where no measure has a value in all three.
    """
    sizes = [len(one.families) for one in (real, before, after)]
    if min(sizes) < FEWEST:
        raise ValueError(f"expected at least {FEWEST} pictures of each; got {sizes}; make more")
    counts = _histograms((real, before, after), names)
    if not counts:
        raise ValueError(f"expected values of {', '.join(names)} in all sets; got none; leave these measures out")
    kernels = _Kernels.of(real.features, before.features, after.features)
    ones = tuple(np.ones(len(one.families)) for one in (real, before, after))
    distances = {name: _pair(tables, ones) for name, tables in counts.items()}
    drawn = [_drawn(real, before, after, rng.child("draw", n).numpy()) for n in range(DRAWS)]
    metadata = np.array([np.mean([_pair(tables, weights) for tables in counts.values()], axis=0) for weights in drawn])
    features = np.array([kernels.pair(weights) for weights in drawn])
    return Weighed(
        distances,
        _change(np.mean(list(distances.values()), axis=0), metadata),
        _change(np.array(kernels.pair(ones)), features),
    )


def _change(values: Floats, drawn: Floats) -> Change:
    gaps = drawn[:, 1] - drawn[:, 0]
    low, high = np.quantile(gaps[np.isfinite(gaps)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Change(float(values[0]), float(values[1]), float(low), float(high))


Weights = tuple[Floats, ...]
"""How often each real, before and after picture counts."""


def _drawn(real: Pictures, before: Pictures, after: Pictures, draws: np.random.Generator) -> Weights:
    """Families of the real images, and slots, drawn with replacement; a slot counts as often before as after."""
    slots = np.union1d(before.families, after.families)
    of_slots = np.bincount(draws.integers(len(slots), size=len(slots)), minlength=len(slots))
    known = np.unique(real.families)
    of_real = np.bincount(draws.integers(len(known), size=len(known)), minlength=len(known))
    return (
        of_real[np.searchsorted(known, real.families)].astype(np.float64),
        of_slots[np.searchsorted(slots, before.families)].astype(np.float64),
        of_slots[np.searchsorted(slots, after.families)].astype(np.float64),
    )


def _histograms(sets: tuple[Pictures, ...], names: tuple[str, ...]) -> dict[str, tuple[NDArray[np.int64], ...]]:
    """By measure the counts (N, B) of each set's pictures, of measures that all sets have values of."""
    found = {}
    for name in names:
        valued = [one.measures.with_rows(name) for one in sets]
        if all(len(values) for values, _ in valued):
            bins = Bins.of([values for values, _ in valued], step=MEASURES[name].step)
            found[name] = tuple(
                bins.counts_by_image(values, rows, len(one.measures))
                for (values, rows), one in zip(valued, sets, strict=True)
            )
    return found


def _pair(tables: tuple[NDArray[np.int64], ...], weights: Weights) -> tuple[float, float]:
    """Distances from real of before and after; pictures count by ``weights``. NaN where a set shows nothing.

    Where no value is shared at all, as if one more of the smaller set's were: far, but finite.
    """
    real, before, after = (np.rint(w @ table).astype(np.int64) for table, w in zip(tables, weights, strict=True))
    return _distance(real, before), _distance(real, after)


def _distance(real: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    if not real.any() or not other.any():
        return float("nan")
    distance = bhattacharyya(real, other)
    return distance if np.isfinite(distance) else float(np.log(1 + min(real.sum(), other.sum())))


@dataclass(frozen=True, eq=False)
class _Kernels:
    """Cubic kernels among real (N, N), before and after, and between real and each of them."""

    real: Floats
    sides: tuple[Floats, Floats]
    across: tuple[Floats, Floats]

    @staticmethod
    def of(real: NDArray[np.floating], before: NDArray[np.floating], after: NDArray[np.floating]) -> _Kernels:
        rows, *others = (np.asarray(each, dtype=np.float64) for each in (real, before, after))
        first, second = others
        return _Kernels(
            cubic(rows, rows),
            (cubic(first, first), cubic(second, second)),
            (cubic(rows, first), cubic(rows, second)),
        )

    def pair(self, weights: Weights) -> tuple[float, float]:
        """MMD² of before and of after; pictures count by ``weights``, pairs of one picture with itself not at all."""
        real, *others = weights
        own = _within(self.real, real)
        found = [
            own + _within(side, w) - 2 * float(real @ across @ w) / float(real.sum() * w.sum())
            for side, across, w in zip(self.sides, self.across, others, strict=True)
        ]
        return found[0], found[1]


def _within(kernel: Floats, weights: Floats) -> float:
    """Weighted mean of a kernel over pairs of different pictures; NaN where there are none."""
    pairs = float(weights.sum() ** 2 - (weights**2).sum())
    if not pairs:
        return float("nan")
    return float(weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / pairs
