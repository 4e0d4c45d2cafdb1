"""Who lies in whose balls when synthetic images are many, so that the M² products of their balls are not affordable.

Real balls are given, N² being affordable, and are met as in
:mod:`twinset.evaluation.neighbourhoods.screened_memberships`. The same N · M products give the candidates of recall
(:mod:`twinset.evaluation.neighbourhoods.lazy_balls`).

Nothing is random in the answer. A fixed stream draws the trees and samples that only decide how long it takes.
"""

from __future__ import annotations

import numpy as np

from twinset.evaluation.mapped import release
from twinset.evaluation.neighbourhoods.balls import Balls
from twinset.evaluation.neighbourhoods.groups import coordinates, groups
from twinset.evaluation.neighbourhoods.lazy_balls import LazyBalls, Pairs
from twinset.evaluation.neighbourhoods.memberships import Memberships
from twinset.evaluation.neighbourhoods.points import Points, Screen, Single
from twinset.evaluation.neighbourhoods.screened_memberships import InRealBalls
from twinset.evaluation.protocol import blocks
from twinset.randomness import Stream

GROUP = 256
PAYING = 0.75
"""Another tree of the same size must leave less than this share of the candidates."""
PER_REAL = 512
"""How many candidates a real image may have on average before groups grow further."""
POOL = 8_000_000
"""How many candidates are held in memory; more are settled in parts."""


def lazy_memberships(
    real: Points, synthetic: Points, real_balls: Balls, *, k: int, block: int, group: int = GROUP, pool: int = POOL
) -> Memberships:
    """Memberships of N · M pairs, given the real balls; M > k. ``block``, ``group``, ``pool`` change the time only."""
    screen = Screen.over(real, synthetic)
    lazy = LazyBalls(synthetic, screen, k=k, block=block)
    tighten_bounds(lazy, real, synthetic, screen, group=group)
    crossing = _Crossing(real, synthetic, real_balls, screen, lazy, pool)
    for theirs in blocks(len(synthetic), 16 * block):
        right = screen.right(synthetic.part(theirs))
        release(synthetic.features)
        for mine in blocks(len(real), block):
            crossing.meet(mine, theirs, right)
    crossing.settle()
    found = crossing.of_real
    return Memberships(found.around, found.density, found.covered, crossing.inside)


def tighten_bounds(lazy: LazyBalls, real: Points, synthetic: Points, screen: Screen, *, group: int) -> None:
    """Bounds from trees of groups: another tree while that pays, then larger groups while candidates are too many.

    Where neighbours are few directions apart, two or three trees find nearly all of them. Where all distances are alike
    no tree does, and only larger groups help.
    """
    rng = Stream(0).child("screened-memberships")
    places = coordinates(synthetic, rng=rng)
    left, tree = np.inf, 0
    while True:
        lazy.tighten(groups(places, group, rng=rng.child("tree", tree)))
        before, left = left, _candidates(lazy, real, synthetic, screen, rng)
        if 2 * group > len(synthetic) or left == 0:
            return
        if left > PAYING * before:
            if left <= PER_REAL * len(real):
                return
            group, left = 4 * group, np.inf
        tree += 1


def _candidates(lazy: LazyBalls, real: Points, synthetic: Points, screen: Screen, rng: Stream) -> float:
    """About how many of the N · M pairs the bounds leave, from a sample."""
    draw = rng.child("sample").numpy()
    some, others = (np.sort(draw.permutation(len(points))[:size]) for points, size in ((real, 512), (synthetic, 8192)))
    lower = screen.left(real.take(some)) @ screen.right(synthetic.take(others)).T
    return float((lower <= screen.threshold(lazy.bounds[others])).mean()) * len(real) * len(synthetic)


class _Crossing:
    """What is known of both sets while blocks of synthetic images pass by blocks of real ones."""

    def __init__(
        self, real: Points, synthetic: Points, balls: Balls, screen: Screen, lazy: LazyBalls, pool: int
    ) -> None:
        self.of_real = InRealBalls(real, synthetic, balls, screen)
        self.inside = np.zeros(len(real), dtype=bool)
        self._real, self._screen, self._lazy, self._pool = real, screen, lazy, pool
        self._pairs: list[Pairs] = []

    def meet(self, mine: slice, theirs: slice, right: Single) -> None:
        """The pairs of one block."""
        lower = self._screen.left(self._real.part(mine)) @ right.T
        release(self._real.features)
        self.of_real.meet(mine, theirs, lower)
        limits = self._screen.threshold(self._lazy.bounds[theirs])
        for part in blocks(len(lower), 128):
            rows = slice(mine.start + part.start, mine.start + part.stop)
            self._note_candidates(rows, theirs.start, lower[part], limits)

    def settle(self) -> None:
        """Decides all candidates so far."""
        found, self._pairs = self._pairs, []
        if found:
            real, synthetic, lower = (
                np.concatenate(each) for each in zip(*((p.real, p.synthetic, p.lower) for p in found), strict=True)
            )
            self.inside |= self._lazy.settle(Pairs(real, synthetic, lower), self._real)

    def _note_candidates(self, mine: slice, first: int, lower: Single, limits: Single) -> None:
        """Keeps the pairs of undecided images of ``mine`` whose ``lower`` bound (B, W) is under the ``limits`` (W,)."""
        near = lower <= limits
        near[self.inside[mine]] = False
        rows, columns = np.nonzero(near)
        if len(rows):
            squares = lower[rows, columns] * np.float32(self._screen.unit**2)
            real, synthetic = (rows + mine.start).astype(np.int32), (columns + first).astype(np.int32)
            self._pairs.append(Pairs(real, synthetic, squares))
        if sum(map(len, self._pairs)) > self._pool:
            self.settle()
