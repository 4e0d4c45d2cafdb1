"""Who lies in whose balls, from float32 products: the same answer as in full, few pairs being computed in float64.

A lower bound of a squared distance above a squared radius puts a pair outside of the ball; one that is below by more
than the slack of the margin (:mod:`twinset.evaluation.neighbourhoods.points`) puts it inside. Only what lies between
is decided in float64.
"""

from __future__ import annotations

import numpy as np

from twinset.evaluation.mapped import release
from twinset.evaluation.neighbourhoods.balls import TIE, Balls
from twinset.evaluation.neighbourhoods.memberships import Memberships, weighed
from twinset.evaluation.neighbourhoods.points import (
    CROWDED,
    Array,
    Flags,
    Points,
    Rows,
    Screen,
    Single,
    pair_squares,
)
from twinset.evaluation.protocol import blocks

WIDTH = 4
"""Columns of a product, in blocks: each converts its columns to float32 once."""


def screened_memberships(
    real: Points, synthetic: Points, real_balls: Balls, synthetic_balls: Balls, block: int
) -> Memberships:
    """Memberships of all N · M pairs, given the balls of both sets."""
    screen = Screen.over(real, synthetic)
    inside, of_real = np.zeros(len(real), dtype=bool), InRealBalls(real, synthetic, real_balls, screen)
    height, width = min(block, len(real)), min(WIDTH * block, len(synthetic))
    left, right, room = screen.room(height), screen.room(width), np.empty(height * width, dtype=np.float32)
    for theirs in blocks(len(synthetic), WIDTH * block):
        others = synthetic.part(theirs)
        columns = screen.right(others, out=right)
        release(synthetic.features)
        for mine in blocks(len(real), block):
            rows = screen.left(real.part(mine), out=left)
            release(real.features)
            lower = np.matmul(rows, columns.T, out=room[: len(rows) * len(columns)].reshape(len(rows), len(columns)))
            of_real.meet(mine, theirs, lower)
            open_ = np.flatnonzero(~inside[mine]) + mine.start
            if len(open_):
                some = lower if len(open_) == len(lower) else lower[open_ - mine.start]
                inside[open_] = _in_any(real, open_, others, synthetic_balls.squared_radii[theirs], some, screen)
    return Memberships(of_real.around, of_real.density, of_real.covered, inside)


class InRealBalls:
    """Which synthetic images (M,) lie ``around`` real ones, in how many balls (``density``), which balls hold any."""

    def __init__(self, real: Points, synthetic: Points, balls: Balls, screen: Screen) -> None:
        self.around, self.density = np.zeros(len(synthetic), dtype=bool), np.zeros(len(synthetic))
        self.covered = np.zeros(len(real), dtype=bool)
        self._real, self._synthetic, self._balls, self._screen = real, synthetic, balls, screen

    def meet(self, mine: slice, theirs: slice, lower: Single) -> None:
        """The pairs of one block, given bounds (B, W)."""
        here, others, radii = self._real.part(mine), self._synthetic.part(theirs), self._balls.squared_radii[mine]
        near = lower <= self._screen.threshold(radii)[:, None]
        if not near.any():
            return
        held = lower <= self._screen.surely(radii, here.norms + others.norms.max())[:, None]
        near ^= held
        places = np.flatnonzero(near)
        if len(places) > CROWDED * near.size:
            held = here.squared_distances(slice(None), others, slice(None), shrink=TIE) <= radii[:, None]
        else:
            rows, columns = np.divmod(places, near.shape[1])
            held.ravel()[places] = _squares(here, others, rows, columns) <= radii[rows]
        self.around[theirs] |= held.any(axis=0)
        self.covered[mine] |= held.any(axis=1)
        self.density[theirs] += weighed(held, self._balls, mine)


def _in_any(real: Points, mine: Rows, others: Points, squared_radii: Array, lower: Single, screen: Screen) -> Flags:
    """Which of the real rows ``mine`` (B,) lie in any ball of ``others`` (W,), given bounds (B, W)."""
    norms = others.norms + real.norms[mine].max()
    inside = np.asarray((lower <= screen.surely(squared_radii, norms)).any(axis=1))
    unsure = lower <= screen.threshold(squared_radii)
    unsure[inside] = False
    places = np.flatnonzero(unsure)
    if len(places) > CROWDED * unsure.size:
        squares = real.take(mine).squared_distances(slice(None), others, slice(None), shrink=TIE)
        return np.asarray((squares <= squared_radii).any(axis=1))
    rows, columns = np.divmod(places, unsure.shape[1])
    held = _squares(real, others, mine[rows], columns) <= squared_radii[columns]
    inside[rows[held]] = True
    return inside


def _squares(first: Points, second: Points, rows: Rows, columns: Rows) -> Array:
    """Squared distances of pairs (P,), lowered for closed balls."""
    squares = pair_squares(first.features, second.features, rows, columns)
    return squares - TIE * (first.norms[rows] + second.norms[columns])
