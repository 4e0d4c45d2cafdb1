"""The next candidates: winners by their votes, varied.

The paper draws the parents one by one from the histogram (Lin et al. 2023, algorithm 1). Here they are taken by
systematic resampling (Kitagawa 1996), which has the same expectation and the least variance: a candidate with a share
of s gets ⌊sP⌋ or ⌈sP⌉ of P children.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.randomness import Stream
from twinset.stages import Configuration


def parents(
    votes: NDArray[np.float64], count: int, *, rng: Stream, class_ids: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Rows (count,) of candidates, ascending, in proportion to their votes (P,) ≥ 0.

    With ``class_ids`` (P,) every class keeps its share of the candidates, whatever its votes; ``count`` is then P. A
    class without any votes goes on with what it has.

    >>> parents(np.array([3.0, 0.0, 1.0]), 4, rng=Stream(0)).tolist()
    [0, 0, 0, 2]
    """
    if class_ids is None:
        return _drawn(votes, count, rng)
    if count != len(votes):
        raise ValueError(f"expected as many parents as candidates where classes keep their shares; got {count}")
    found = []
    for c in np.unique(class_ids):
        rows = np.flatnonzero(class_ids == c)
        found.append(rows[_drawn(votes[rows], len(rows), rng.child("class", int(c)))])
    return np.sort(np.concatenate(found))


def _drawn(votes: NDArray[np.float64], count: int, rng: Stream) -> NDArray[np.int64]:
    if not (votes >= 0).all() or not np.isfinite(votes).all():
        raise ValueError("expected finite votes ≥ 0; use thresholded() after the noise")
    weights = votes if votes.sum() > 0 else np.ones(len(votes))
    edges = np.cumsum(weights) / weights.sum()
    edges[-1] = 1.0
    ticks = (np.arange(count) + rng.numpy().random()) / count
    return np.searchsorted(edges, ticks, side="right").clip(max=len(votes) - 1)


@dataclass(frozen=True)
class Box:
    """A configuration space as the unit cube: names, and bounds low < high by name."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @staticmethod
    def of(space: Mapping[str, tuple[float, float]], within: Mapping[str, tuple[float, float]] | None = None) -> Box:
        """A space, with the bounds in ``within`` in place of its own; ``ValueError`` where these reach beyond."""
        if not space:
            raise ValueError("expected a space of at least one setting; got none")
        bounds = dict(space)
        for name, (low, high) in (within or {}).items():
            if name not in space:
                raise ValueError(f"expected bounds of {', '.join(space)}; got {name}")
            if not space[name][0] <= low < high <= space[name][1]:
                widest = f"{space[name][0]:.4g}…{space[name][1]:.4g}"
                raise ValueError(
                    f"expected bounds of {name} within {widest}, the lower first; got {low:g} and {high:g}"
                )
            bounds[name] = (float(low), float(high))
        return Box(tuple(bounds), tuple(b[0] for b in bounds.values()), tuple(b[1] for b in bounds.values()))

    def configurations(self, points: NDArray[np.float64]) -> tuple[Configuration, ...]:
        """Points (P, K) of the unit cube as configurations."""
        low, high = np.array(self.low), np.array(self.high)
        values = np.clip(low + points * (high - low), low, high)
        return tuple(dict(zip(self.names, row, strict=True)) for row in values.tolist())

    def points(self, configurations: Sequence[Configuration]) -> NDArray[np.float64]:
        """Configurations as points (P, K) of the unit cube; what lies beyond the bounds is brought to them."""
        low, high = np.array(self.low), np.array(self.high)
        values = np.array([[one[name] for name in self.names] for one in configurations], dtype=np.float64)
        found: NDArray[np.float64] = np.clip((values.reshape(-1, len(self.names)) - low) / (high - low), 0.0, 1.0)
        return found


def jittered(points: NDArray[np.float64], width: float, *, rng: Stream) -> NDArray[np.float64]:
    """Points (P, K) of the unit cube moved by up to ``width`` (0…1) in every direction, mirrored at its faces."""
    if not 0 <= width <= 1:
        raise ValueError(f"expected a width of 0…1; got {width}")
    moved = np.abs(points + width * rng.numpy().uniform(-1, 1, points.shape))
    mirrored: NDArray[np.float64] = np.where(moved > 1, 2 - moved, moved)
    return mirrored
