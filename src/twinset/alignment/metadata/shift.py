"""Do the images to be used look like the exposed ones? A shift is detected and named before anything is generated.

A target copied from exposed images is wrong where the deployment images differ. Each measure gets a permutation test
that moves whole images (or families of them) between the sets, never single objects: objects of one image are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata.distance import FEWEST_VALUES, Bins, Families, bhattacharyya
from twinset.alignment.metadata.measures import MEASURES, Measures, Values
from twinset.randomness import Stream

PERMUTATIONS = 1999
LEVEL = 0.05
FINE_BINS = 64
"""Bins, at pooled quantiles, in which distribution functions are compared."""


@dataclass(frozen=True)
class Shift:
    """One measure of exposed images against others.

    ``distance`` is the Bhattacharyya distance of the two sets, ``floor`` its mean where images change sets at random.
    ``p`` is adjusted by Holm over all measures of the call; ``smallest_p`` is the least that it could have been (few
    families cannot prove anything). ``effect`` is Cliff's delta: P(other > exposed) − P(other < exposed), −1…1.
    ``medians`` (exposed, other) are in the measure's own unit.
    """

    measure: str
    distance: float
    floor: float
    p: float
    smallest_p: float
    effect: float
    medians: tuple[float, float]
    detected: bool
    sentence: str

    @property
    def excess(self) -> float:
        """The distance over the floor."""
        return self.distance - self.floor


def detect_shift(
    exposed: Measures,
    other: Measures,
    *,
    rng: Stream,
    names: Sequence[str] | None = None,
    families: tuple[Families, Families] | None = None,
    permutations: int = PERMUTATIONS,
    level: float = LEVEL,
) -> tuple[Shift, ...]:
    """The measures that both sets have, the surest shift first.

    The statistic is Cramér and von Mises's: the squared difference of the two distribution functions, over the pooled
    values. ``families`` (N,) and (M,) mark images that move together; equal numbers in both sets are one family, and
    such a family would be in both sets, which is an error. Measures with fewer than 20 values in a set are left out.
    """
    names = [name for name in exposed.names if name in other.columns] if names is None else names
    first, second = families or (np.arange(len(exposed)), len(exposed) + np.arange(len(other)))
    if first.shape != (len(exposed),) or second.shape != (len(other),) or np.intersect1d(first, second).size:
        raise ValueError(
            f"expected a family for each of {len(exposed)} and {len(other)} images, none in both sets; got "
            f"{first.shape} and {second.shape}, {np.intersect1d(first, second).size} in both"
        )
    units = np.unique(np.concatenate([first, second]), return_inverse=True)[1]
    is_other = np.zeros(int(units.max(initial=-1)) + 1, dtype=bool)
    is_other[units[len(exposed) :]] = True
    moved = _permuted(is_other, permutations, rng.child("permutations"))
    smallest = max(1 / (permutations + 1), 1 / comb(len(is_other), int(is_other.sum())))
    found = [
        _compared(name, exposed, other, units, is_other, moved)
        for name in names
        if min(len(exposed.values(name)), len(other.values(name))) >= FEWEST_VALUES
    ]
    adjusted = holm([p for *_, p in found])
    shifts = [
        _shift(name, distance, floor, p, min(1.0, smallest * len(found)), exposed, other, level)
        for (name, distance, floor, _), p in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(shifts, key=lambda shift: (shift.p, -shift.excess)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for all of them being looked at (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _permuted(is_other: NDArray[np.bool_], permutations: int, rng: Stream) -> NDArray[np.bool_]:
    """(P, U) which units are in the other set, at random, as many as there are."""
    draw = rng.numpy()
    return np.stack([draw.permutation(is_other) for _ in range(permutations)])


def _compared(
    name: str,
    exposed: Measures,
    other: Measures,
    units: NDArray[np.int64],
    is_other: NDArray[np.bool_],
    moved: NDArray[np.bool_],
) -> tuple[str, float, float, float]:
    """Measure, distance, mean distance under permutation, p."""
    (mine, rows), (theirs, other_rows) = exposed.with_rows(name), other.with_rows(name)
    values = np.concatenate([mine, theirs])
    unit = units[np.concatenate([rows, len(exposed) + other_rows])]
    coarse = Bins.of([mine, theirs], step=MEASURES[name].step)
    fine = Bins(np.unique(np.quantile(values, np.arange(1, FINE_BINS) / FINE_BINS)))
    by_unit = fine.counts_by_image(values, unit, len(is_other))
    statistics = _cramer_von_mises(by_unit, np.concatenate([is_other[None], moved]))
    # A set that holds no value of the measure says nothing: such permutations do not count.
    shuffled = statistics[1:][np.isfinite(statistics[1:])]
    p = (1 + int((shuffled >= statistics[0] - 1e-12).sum())) / (1 + len(shuffled))
    by_unit = coarse.counts_by_image(values, unit, len(is_other))
    pairs = [(by_unit[~split].sum(axis=0), by_unit[split].sum(axis=0)) for split in (is_other, *moved[:200])]
    distances = [bhattacharyya(a, b) for a, b in pairs if a.any() and b.any()]
    return name, distances[0], float(np.mean(distances[1:])), p


def _cramer_von_mises(by_unit: NDArray[np.int64], splits: NDArray[np.bool_]) -> Values:
    """(P,) squared difference of the distribution functions of both sides of each split (P, U), over pooled values."""
    pooled = by_unit.sum(axis=0)
    second = splits.astype(np.float64) @ by_unit
    first = pooled - second
    sizes, others = first.sum(axis=1, keepdims=True), second.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.cumsum(first, axis=1) / sizes - np.cumsum(second, axis=1) / others
    return np.asarray(gap**2 @ (pooled / pooled.sum()))


def _shift(
    name: str,
    distance: float,
    floor: float,
    p: float,
    smallest: float,
    exposed: Measures,
    other: Measures,
    level: float,
) -> Shift:
    mine, theirs = exposed.values(name), other.values(name)
    effect = _cliffs_delta(mine, theirs)
    medians = (MEASURES[name].original(float(np.median(mine))), MEASURES[name].original(float(np.median(theirs))))
    detected = p <= level
    sentence = _sentence(name, medians, effect, p, detected=detected)
    if smallest > level:
        sentence += f"; with so few families p could not fall below {smallest:.2g}, so this cannot tell"
    return Shift(name, distance, floor, p, smallest, effect, medians, detected, sentence)


def _sentence(name: str, medians: tuple[float, float], effect: float, p: float, *, detected: bool) -> str:
    if not detected:
        return f"{name}: no shift detected (median {medians[0]:.3g} exposed, {medians[1]:.3g} other; p = {p:.2g})"
    if abs(effect) < 0.1:
        change = "differs in spread or shape"
    else:
        change = f"is {'larger' if effect > 0 else 'smaller'}"
    return (
        f"{name} {change} in the other images: median {medians[0]:.3g} exposed, {medians[1]:.3g} other "
        f"(Cliff's delta {effect:+.2f}, p = {p:.2g})"
    )


def _cliffs_delta(exposed: Values, other: Values) -> float:
    ordered = np.sort(exposed)
    below = np.searchsorted(ordered, other, side="left").sum()
    above = (len(ordered) - np.searchsorted(ordered, other, side="right")).sum()
    return float((below - above) / (len(exposed) * len(other)))
