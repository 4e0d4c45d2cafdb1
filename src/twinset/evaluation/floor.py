"""The real-vs-real floor: what a metric says about two disjoint sets of real images.

Most figures are biased at small N, so 0 (or 1) is not what a perfect twin scores. The floor is. The real
images are split at random into two halves, a family never into both: images of one patient are alike, and
halves that share patients would set a floor that no synthetic set can reach.

The floor thus stands at half the N. The figure is also computed at that N, from the same real half and as
many synthetic images, and stands beside it as ``value_at_floor``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Families, Features, Halving, TwoSampleMetric, families_of
from twinset.randomness import Stream
from twinset.scores import Score

REPEATS = 3
HOW = "two disjoint halves of the real images"


@dataclass(frozen=True)
class Floor:
    """Floors by score name at ``real`` + ``other`` images, and the scores at that N."""

    floors: Mapping[str, float]
    at_floor: Mapping[str, float]
    real: int
    other: int


def real_floor(
    metric: TwoSampleMetric,
    real: Features,
    synthetic: Features,
    *,
    rng: Stream,
    families: Families | None = None,
    repeats: int = REPEATS,
) -> Floor | None:
    """The mean floor over ``repeats`` random halvings of ``real`` (N, D) by ``families`` (N,).

    None if there are fewer than four real images, or all are of one family.
    """
    draws = halvings(real, synthetic, rng=rng, families=families, repeats=repeats)
    return floor_of(
        draws,
        [
            (metric.values(real[one.mine], real[one.other]), metric.values(real[one.mine], synthetic[one.synthetic]))
            for one in draws
        ],
    )


def halvings(
    real: Features, synthetic: Features, *, rng: Stream, families: Families | None = None, repeats: int = REPEATS
) -> list[Halving]:
    """``repeats`` random halvings of ``real`` (N, D) by ``families`` (N,), with as many synthetic images of (M, D).

    None of them if there are fewer than four real images, or all are of one family.
    """
    family = families_of(real, families)
    if len(real) < 4 or not family.any():
        return []
    drawn = []
    for repeat in range(repeats):
        draw = rng.child("floor", repeat).numpy()
        mine, other = halves(family, draw)
        m = min(len(synthetic), len(mine))
        drawn.append(Halving(mine, np.sort(draw.permutation(other)[:m]), np.sort(draw.permutation(len(synthetic))[:m])))
    return drawn


def floor_of(
    draws: Sequence[Halving], values: Sequence[tuple[Mapping[str, float | None], Mapping[str, float | None]]]
) -> Floor | None:
    """The means of what was found in every halving, against the other real and against the synthetic images."""
    if not draws:
        return None
    floors: dict[str, list[float]] = {}
    own: dict[str, list[float]] = {}
    for against_real, against_synthetic in values:
        _collect(floors, against_real)
        _collect(own, against_synthetic)
    return Floor(_means(floors), _means(own), len(draws[0].mine), len(draws[0].other))


def halves(family: NDArray[np.int64], draw: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two random disjoint halves, the smaller first, that share no family of ``family`` (N,), from 0.

    Families go in random order, larger before smaller, each to the half with fewer images: so the sizes of
    the halves are the same in every draw.
    """
    sizes = np.bincount(family)
    shuffled = draw.permutation(len(sizes))
    second = np.zeros(len(sizes), dtype=bool)
    if sizes.max() == 1:
        second[shuffled[1::2]] = True
    else:
        filled = [0, 0]
        for number in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            second[number] = filled[1] < filled[0]
            filled[int(second[number])] += int(sizes[number])
    parts = np.flatnonzero(~second[family]), np.flatnonzero(second[family])
    return parts if len(parts[0]) <= len(parts[1]) else parts[::-1]


def with_floor(score: Score, floor: Floor) -> Score:
    """The score with its floor, the figure at the floor's N, and a warning that these two compare."""
    if score.value is None or score.name not in floor.floors:
        return score
    settings = {
        **score.settings,
        "floor": HOW,
        "floor_n_real": floor.real,
        "floor_n_other": floor.other,
    }
    warnings = score.warnings
    if score.name in floor.at_floor:
        settings["value_at_floor"] = floor.at_floor[score.name]
        warnings = (
            *warnings,
            f"the floor {floor.floors[score.name]:.4g} stands at {floor.real} + {floor.other} images, "
            f"where this figure is {floor.at_floor[score.name]:.4g}: compare these two",
        )
    return replace(score, floor=floor.floors[score.name], settings=settings, warnings=warnings)


def _collect(into: dict[str, list[float]], values: Mapping[str, float | None]) -> None:
    for name, value in values.items():
        if value is not None:
            into.setdefault(name, []).append(value)


def _means(collected: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in collected.items()}
