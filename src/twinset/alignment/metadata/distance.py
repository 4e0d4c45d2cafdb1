"""How far apart two sets are in each measure: Bhattacharyya distance beside its real-vs-real floor.

The distance of two histograms is −ln Σ √(p q): 0 for equal ones, infinite for disjoint ones. Two finite samples of one
distribution are not at 0, so every distance stands beside that of real from real at as many images, and what
counts is the excess over it. Bins are fixed on the pooled values of all sets: distances of one measure compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata.measures import MEASURES, Measures, Values
from twinset.randomness import Stream

Families = NDArray[np.integer]
"""(N,) equal numbers mark images that belong together."""

FEWEST_VALUES = 20
FEWEST_BINS, MOST_BINS = 8, 30
TAIL = 0.5
"""Percent of the pooled values beyond the first and the last inner edge; the outer bins are open."""

REPEATS = 100


@dataclass(frozen=True, eq=False)
class Bins:
    """Histogram bins between ``edges`` (B − 1,), ascending; the first and the last are open."""

    edges: Values

    @staticmethod
    def of(samples: Sequence[Values], *, step: float = 0.0) -> Bins:
        """Bins fixed on all samples pooled: equal widths between the .5 and 99.5 percentiles.

        Their number is 2 n^⅓ (Rice), n the smallest sample, but 8 to 30. Where values come in steps (counts), a bin
        is the fewest whole steps that need no more. Equal values all over give one bin.

        >>> Bins.of([np.array([1.0, 2.0, 4.0])], step=1.0).edges.tolist()
        [1.5, 2.5, 3.5]
        """
        if not samples or not all(len(sample) for sample in samples):
            raise ValueError("expected at least one value in each sample; got an empty one")
        low, high = np.percentile(np.concatenate(samples), [TAIL, 100 - TAIL], method="nearest" if step else "linear")
        if low == high:
            return Bins(np.empty(0))
        smallest = min(len(sample) for sample in samples)
        count = int(np.clip(np.ceil(2 * smallest ** (1 / 3)), FEWEST_BINS, MOST_BINS))
        if step:
            wide = step * np.ceil((high - low + step) / step / count)
            return Bins(np.arange(low + wide - step / 2, high, wide))
        return Bins(np.linspace(low, high, count - 1))

    def __len__(self) -> int:
        return len(self.edges) + 1

    def counts(self, values: Values) -> NDArray[np.int64]:
        """(B,) values in each bin."""
        return np.bincount(np.searchsorted(self.edges, values, side="right"), minlength=len(self))

    def counts_by_image(self, values: Values, rows: NDArray[np.int64], images: int) -> NDArray[np.int64]:
        """(N, B) values of each image in each bin; ``rows`` says whose each value is."""
        at = rows * len(self) + np.searchsorted(self.edges, values, side="right")
        return np.bincount(at, minlength=images * len(self)).reshape(images, len(self))


def bhattacharyya(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """−ln Σ √(p q) of two histograms (B,) of counts; infinite where they share no bin.

    >>> bhattacharyya(np.array([1, 1]), np.array([1, 1])), round(bhattacharyya(np.array([1, 1]), np.array([1, 0])), 4)
    (0.0, 0.3466)
    """
    a, b = int(first.sum()), int(second.sum())
    if not a or not b:
        raise ValueError("expected values in both histograms; got an empty one")
    overlap = float(np.sqrt(first * (second / (a * b))).sum())
    return max(0.0, -float(np.log(overlap))) if overlap > 0 else np.inf


@dataclass(frozen=True)
class MeasureGap:
    """One measure of real images against named synthetic sets, all at ``images`` images a side.

    ``distance`` and ``excess`` (distance − floor) are means over random subsets, ``interval`` and ``floor_range`` the
    2.5 and 97.5 percentiles over them: how far such subsets vary. ``at_floor``: the distance is no larger than
    real-vs-real distances are. ``values`` counts what was measured in the whole sets, ``real`` included.
    """

    measure: str
    class_id: int | None
    images: int
    bins: int
    floor: float
    floor_range: tuple[float, float]
    distance: Mapping[str, float]
    excess: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    at_floor: Mapping[str, bool]
    values: Mapping[str, int]

    def fall(self, before: str = "before", after: str = "after") -> float | None:
        """Share by which the excess fell from one set to another (1: to the floor); None if it was at the floor."""
        if self.at_floor[before] or not np.isfinite(self.excess[before]):
            return None
        return 1.0 - self.excess[after] / self.excess[before]


@dataclass(frozen=True)
class MeasureTable:
    """All measures that could be compared, and for the others why not."""

    gaps: tuple[MeasureGap, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, measure: str) -> MeasureGap:
        for gap in self.gaps:
            if gap.measure == measure:
                return gap
        raise KeyError(f"expected one of {[gap.measure for gap in self.gaps]}; got {measure!r}")


def compare_measures(
    real: Measures,
    synthetic: Measures | Mapping[str, Measures],
    *,
    floor_from: Measures | None = None,
    rng: Stream,
    names: Sequence[str] | None = None,
    class_id: int | None = None,
    families: Families | None = None,
    repeats: int = REPEATS,
) -> MeasureTable:
    """Distances of synthetic sets (``{"before": …, "after": …}``, or one, named ``synthetic``) from real images.

    The floor is between random halves of the real images, a family never in both, or, where ``floor_from`` is given,
    between random subsets of the real images and of these other ones. Each repeat compares the same real subset
    with as many images of every synthetic set. Histograms pool all values of a subset: images with more objects weigh
    more. ``names``: None means all measures that every set has (image measures are left out where a class is given).

    Raises ``ValueError`` for fewer than four real images, an empty set, or real images of one family.
    """
    sets = {"synthetic": synthetic} if isinstance(synthetic, Measures) else dict(synthetic)
    family = np.arange(len(real)) if families is None else np.asarray(families)
    _check(real, sets, family)
    draws = [_draw(real, sets, floor_from, family, rng.child("floor", n).numpy()) for n in range(repeats)]
    gaps: list[MeasureGap] = []
    left_out: dict[str, str] = {}
    for name in names if names is not None else _shared(real, sets, floor_from, class_id):
        found = _gap(name, class_id, real, sets, floor_from, draws)
        if isinstance(found, str):
            left_out[name] = found
        else:
            gaps.append(found)
    return MeasureTable(tuple(gaps), left_out)


def _check(real: Measures, sets: Mapping[str, Measures], family: Families) -> None:
    if family.shape != (len(real),):
        raise ValueError(f"expected a family for each of {len(real)} real images; got {family.shape}")
    if len(real) < 4 or len(np.unique(family)) < 2 or not sets or not all(len(made) for made in sets.values()):
        sizes = {name: len(made) for name, made in sets.items()}
        raise ValueError(
            f"expected at least 4 real images of two families, and non-empty sets; got {len(real)} of "
            f"{len(np.unique(family))}, and {sizes}; add images"
        )


def _shared(
    real: Measures, sets: Mapping[str, Measures], floor_from: Measures | None, class_id: int | None
) -> list[str]:
    others = [*sets.values(), *([floor_from] if floor_from is not None else [])]
    return [
        name
        for name in real.names
        if all(name in other.columns for other in others)
        and (class_id is None or name == "count" or MEASURES[name].level == "object")
    ]


Draw = Mapping[str, NDArray[np.int64]]
"""Rows of one repeat: ``real``, ``floor`` (of ``floor_from``, or of the real images) and ``set:NAME``."""


def _draw(
    real: Measures,
    sets: Mapping[str, Measures],
    floor_from: Measures | None,
    family: Families,
    draw: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    smallest = min(len(made) for made in sets.values())
    if floor_from is None:
        mine, other = halves(family, draw)
        size = min(len(mine), len(other), smallest)
    else:
        mine, other = draw.permutation(len(real)), draw.permutation(len(floor_from))
        size = min(len(mine), len(other), smallest)
    rows = {"real": mine[:size], "floor": other[:size]}
    return rows | {f"set:{name}": draw.permutation(len(made))[:size] for name, made in sets.items()}


def halves(family: Families, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two random disjoint halves, each in random order, that share no family.

    Families go in random order, larger ones first, to the half with fewer images.
    """
    _, numbers, sizes = np.unique(family, return_inverse=True, return_counts=True)
    shuffled = draw.permutation(len(sizes))
    second = np.zeros(len(sizes), dtype=bool)
    filled = [0, 0]
    for number in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        second[number] = filled[1] < filled[0]
        filled[int(second[number])] += int(sizes[number])
    order = draw.permutation(len(family))
    return order[~second[numbers[order]]], order[second[numbers[order]]]


def _gap(
    name: str,
    class_id: int | None,
    real: Measures,
    sets: Mapping[str, Measures],
    floor_from: Measures | None,
    draws: Sequence[Draw],
) -> MeasureGap | str:
    """The gap in one measure, or why there is none."""
    other = real if floor_from is None else floor_from
    sources = {"real": real, "floor": other} | {f"set:{key}": made for key, made in sets.items()}
    valued = {key: made.with_rows(name, class_id=class_id) for key, made in sources.items()}
    poor = {key.removeprefix("set:"): len(values) for key, (values, _) in valued.items() if len(values) < FEWEST_VALUES}
    if poor:
        return f"expected at least {FEWEST_VALUES} values in every set; got {poor}"
    pooled = [values for key, (values, _) in valued.items() if key != "floor" or floor_from is not None]
    bins = Bins.of(pooled, step=MEASURES[name].step)
    counts = {key: bins.counts_by_image(*valued[key], len(sources[key])) for key in sources}
    rows = [{key: counts[key][chosen].sum(axis=0) for key, chosen in draw.items()} for draw in draws]
    rows = [row for row in rows if all(count.any() for count in row.values())]
    if 2 * len(rows) < len(draws):
        return "expected values spread over the images; got them in too few of them"
    floors = np.array([bhattacharyya(row["real"], row["floor"]) for row in rows])
    found = {key: np.array([bhattacharyya(row["real"], row[f"set:{key}"]) for row in rows]) for key in sets}
    low, high = _range(floors)
    return MeasureGap(
        name,
        class_id,
        len(draws[0]["real"]),
        len(bins),
        float(floors.mean()),
        (low, high),
        {key: float(values.mean()) for key, values in found.items()},
        {key: float((values - floors).mean()) for key, values in found.items()},
        {key: _range(values - floors) for key, values in found.items()},
        {key: bool(values.mean() <= high) for key, values in found.items()},
        {key.removeprefix("set:"): len(values) for key, (values, _) in valued.items() if key != "floor"},
    )


def _range(values: Values) -> tuple[float, float]:
    if not np.isfinite(values).all():
        return float(values.min()), np.inf
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
