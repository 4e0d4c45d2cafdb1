"""The ball of every point, as :func:`balls_of` has it, from float32 products and few float64 distances.

A lower bound of a squared distance plus the slack of the margin is an upper bound. The k + 1 smallest upper bounds that
were met so far bound the distance to the (k + 1)-th neighbour, so a pair whose lower bound is above that is of no
concern to either point. The blocks on the diagonal come first: after them few pairs are left of any block, and these
are decided in float64 at the end, when the bounds have become as tight as they will.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.evaluation.mapped import release
from twinset.evaluation.neighbourhoods.balls import TIE, Balls, balls_from
from twinset.evaluation.neighbourhoods.points import (
    CROWDED,
    Array,
    Flags,
    Points,
    Rows,
    Screen,
    Single,
    merged,
    pair_squares,
    product_squares,
    smallest,
)
from twinset.evaluation.protocol import blocks

MOST = 0.1
"""Above this share of near pairs in a block they are not even looked at one by one."""
WIDTH = 4
"""Columns of a product, in blocks: each converts its columns to float32 once."""
POOL = 4_000_000
"""How many undecided pairs are held in memory; from then on they are decided in parts."""


def screened_balls(points: Points, k: int, block: int, *, pool: int = POOL) -> Balls:
    """The k-nearest-neighbour ball of every point, of which there are more than k; ``pool`` changes the time only."""
    search = _Search(points, k + 1, block, pool)
    for mine in blocks(len(points), block):
        search.begin(mine)
    for theirs in blocks(len(points), WIDTH * block):
        search.meet(theirs)
    search.decide()
    return balls_from(points, search.exact, block)


@dataclass(frozen=True, eq=False)
class _Undecided:
    """Pairs of two points (P,) and lower bounds (P,) of their squared distances."""

    first: Rows
    second: Rows
    lower: Array

    def __len__(self) -> int:
        return len(self.first)

    def where(self, kept: Flags) -> _Undecided:
        return _Undecided(self.first[kept], self.second[kept], self.lower[kept])


class _Search:
    """The ``count`` smallest upper bounds of every point's squared distances, and of those decided, the squares."""

    def __init__(self, points: Points, count: int, block: int, pool: int) -> None:
        self.exact: Array = np.full((len(points), count), np.inf)
        self._bounds: Array = np.full((len(points), count), np.inf)
        self._points, self._screen, self._count, self._block, self._pool = (
            points,
            Screen.over(points),
            count,
            block,
            pool,
        )
        self._undecided: list[_Undecided] = []
        rows = min(block, len(points))
        wide = min(WIDTH * block, len(points))
        self._left, self._right = self._screen.room(rows), self._screen.room(wide)
        self._lower: Single = np.empty(rows * wide, dtype=np.float32)

    def begin(self, mine: slice) -> None:
        """The pairs within a block, every one of which gets bounds."""
        part = self._points.part(mine)
        lower = self._products(self._screen.left(part, out=self._left), self._screen.right(part, out=self._right))
        np.fill_diagonal(lower, np.inf)
        nearest = smallest(np.full((len(part), self._count), np.inf), self._squares(lower))
        self._bounds[mine] = nearest + self._screen.slack(part.norms + part.norms.max())[:, None]
        lower[np.tri(len(part), dtype=bool)] = np.inf
        self._note(mine, mine, lower, fresh=False)

    def meet(self, theirs: slice) -> None:
        """The pairs of a wider block with the blocks above it, those on the diagonal left out."""
        right = self._screen.right(self._points.part(theirs), out=self._right)
        for mine in blocks(theirs.stop, self._block):
            begin = max(theirs.start, mine.stop)
            if begin < theirs.stop:
                left = self._screen.left(self._points.part(mine), out=self._left)
                lower = self._products(left, right[begin - theirs.start :])
                self._note(mine, slice(begin, theirs.stop), lower, fresh=True)

    def _products(self, left: Single, right: Single) -> Single:
        release(self._points.features)
        lower = self._lower[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=lower)

    def decide(self) -> None:
        """The squares of all pairs that are still of concern."""
        if not self._undecided:
            return
        found, self._undecided = self._of_concern(*self._undecided), []
        squares = pair_squares(self._points.features, self._points.features, found.first, found.second)
        self.exact = merged(merged(self.exact, found.first, squares), found.second, squares)

    def _note(self, mine: slice, theirs: slice, lower: Single, *, fresh: bool) -> None:
        """Keeps the pairs of a block that the bounds leave; ``fresh`` ones are not in the bounds yet."""
        near = self._near(mine, theirs, lower)
        places = np.flatnonzero(near)
        if np.isinf(self._bounds[mine, -1]).any():
            places = places[np.isfinite(lower.ravel()[places])]  # in a small block nothing is out of reach
        if len(places) > MOST * near.size:
            self._decide_block(mine, theirs, fresh=fresh)
            return
        rows, columns = np.divmod(places, near.shape[1])
        squares = self._squares(lower.ravel()[places])
        if fresh:
            norms = self._points.norms
            upper = squares + self._screen.slack(norms[mine][rows] + norms[theirs][columns])
            self._bounds[mine] = merged(self._bounds[mine], rows, upper)
            self._bounds[theirs] = merged(self._bounds[theirs], columns, upper)
        found = self._of_concern(_Undecided(rows + mine.start, columns + theirs.start, squares))
        if len(found) > CROWDED * near.size:
            self._decide_block(mine, theirs, fresh=False)
            return
        self._undecided.append(found)
        if sum(map(len, self._undecided)) > self._pool:
            self._undecided = [self._of_concern(*self._undecided)]
            if len(self._undecided[0]) > self._pool // 2:
                self.decide()

    def _near(self, mine: slice, theirs: slice, lower: Single) -> Flags:
        """Which pairs of a block may be among the nearest of either point."""
        near = lower <= self._screen.threshold(self._bounds[mine, -1:])
        near |= lower <= self._screen.threshold(self._bounds[theirs, -1])
        return near

    def _of_concern(self, *found: _Undecided) -> _Undecided:
        """The pairs that the bounds leave now."""
        columns = zip(*((each.first, each.second, each.lower) for each in found), strict=True)
        pairs = _Undecided(*(np.concatenate(each) for each in columns))
        limits = self._bounds[:, -1]
        return pairs.where(pairs.lower <= np.maximum(limits[pairs.first], limits[pairs.second]))

    def _decide_block(self, mine: slice, theirs: slice, *, fresh: bool) -> None:
        """All squares of a block; where too many are of concern this is cheaper than one by one."""
        first, second = self._points.part(mine), self._points.part(theirs)
        squares = product_squares(first, second)
        release(self._points.features)
        if mine == theirs:
            np.fill_diagonal(squares, np.inf)
        else:
            self.exact[theirs] = smallest(self.exact[theirs], squares.T)
        self.exact[mine] = smallest(self.exact[mine], squares)
        if fresh:
            squares += TIE * (first.norms[:, None] + second.norms)  # far above their rounding
            self._bounds[mine] = smallest(self._bounds[mine], squares)
            self._bounds[theirs] = smallest(self._bounds[theirs], squares.T)

    def _squares(self, lower: Single) -> Array:
        return np.asarray(lower.astype(np.float64) * self._screen.unit**2)
