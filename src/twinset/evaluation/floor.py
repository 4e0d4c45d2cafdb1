"""The real-vs-real floor: what a metric says about two disjoint sets of real images.

Most figures are biased at small N, so 0 (or 1) is not what a perfect twin scores. The floor is. It is
taken at the same N where there are enough real images:

* ``more_real`` given (real images that are not in ``real``): real against as many of those as there are
  synthetic images, or as many as there are;
* else the real images are split at random into two halves, and the floor stands at half the N.

Where the floor's N is not the figure's own, the figure is also computed at the floor's N, from the same
real half and as many synthetic images, and stands beside it as ``value_at_floor``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from twinset.evaluation.protocol import Features, TwoSampleMetric
from twinset.randomness import Stream
from twinset.scores import Score

REPEATS = 3


@dataclass(frozen=True)
class Floor:
    """Floors by score name at ``real`` + ``other`` images, and the scores at that N (empty if it is their own N)."""

    floors: Mapping[str, float]
    at_floor: Mapping[str, float]
    real: int
    other: int
    how: str


def real_floor(
    metric: TwoSampleMetric,
    real: Features,
    synthetic: Features,
    *,
    rng: Stream,
    more_real: Features | None = None,
    repeats: int = REPEATS,
) -> Floor | None:
    """The mean floor over ``repeats`` random draws; None if there are fewer than four real images to split."""
    if more_real is None and len(real) < 4:
        return None
    half = len(real) // 2
    n = len(real) if more_real is not None else half
    m = min(len(synthetic), half if more_real is None else len(more_real))
    same = (n, m) == (len(real), len(synthetic))
    floors: dict[str, list[float]] = {}
    own: dict[str, list[float]] = {}
    for repeat in range(repeats):
        draw = rng.child("floor", repeat).numpy()
        order = draw.permutation(len(real))
        mine = real if more_real is not None else real[np.sort(order[:half])]
        pool, rows = (more_real, draw.permutation(len(more_real))) if more_real is not None else (real, order[half:])
        _collect(floors, metric.values(mine, pool[np.sort(rows[:m])]))
        if not same:
            _collect(own, metric.values(mine, synthetic[np.sort(draw.permutation(len(synthetic))[:m])]))
        if same and m == len(pool):
            break  # nothing left to draw
    how = "other real images" if more_real is not None else "two disjoint halves of the real images"
    return Floor(_means(floors), _means(own), n, m, how)


def with_floor(score: Score, floor: Floor) -> Score:
    """The score with its floor, how that was taken, and a warning where its N is another."""
    if score.value is None or score.name not in floor.floors:
        return score
    settings = {
        **score.settings,
        "floor": floor.how,
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
