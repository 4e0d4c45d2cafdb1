"""Which real images lie inside the ball of any synthetic image, without the radii of all balls.

The k-th nearest distance inside *any* part of the synthetic set bounds the radius of a ball from above. So a real image
x that is farther from s than such a bound is surely not in the ball of s. For most pairs a bound from a few hundred
neighbours does. What remains are candidates (x, s), and these are settled exactly, best first:

1. ``tighten``: bounds from groups of neighbours (:mod:`twinset.evaluation.neighbourhoods.groups`), ever larger ones
   while that pays;
2. ``settle``: of every undecided x the candidate with the most room is taken. The radii of these s are computed over
   all synthetic images, in one stream past them, from which s retires as soon as its shrinking bound refutes its
   candidates. One s that holds x decides x, and all its other candidates are dropped. Then the next ones, more at once.

Every bound comes from :class:`twinset.evaluation.points.Screen`, every decision from float64 differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.neighbourhoods.balls import TIE
from twinset.evaluation.neighbourhoods.points import (
    CROWDED,
    Array,
    Flags,
    Indices,
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

CAPACITY = 8192
"""How many balls are computed in one stream past all synthetic images."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Candidates: real rows (P,), synthetic rows (P,), and lower bounds (P,) of their squared distances."""

    real: NDArray[np.int32]
    synthetic: NDArray[np.int32]
    lower: Single

    def __len__(self) -> int:
        return len(self.real)

    def where(self, kept: Flags | Rows) -> Pairs:
        """Those of ``kept`` (P,)."""
        return Pairs(self.real[kept], self.synthetic[kept], self.lower[kept])


class LazyBalls:
    """Bounds (M,) on the squared radii of all balls of k neighbours; ``exact`` (M,): which are the radii."""

    def __init__(self, points: Points, screen: Screen, *, k: int, block: int) -> None:
        self.bounds: Array = np.full(len(points), np.inf)
        self.exact: Flags = np.zeros(len(points), dtype=bool)
        self.computed = 0
        self._points, self._screen, self._k, self._block = points, screen, k, block

    def tighten(self, groups: Sequence[Rows]) -> None:
        """Lowers the bounds by the distances inside each of these groups of more than k rows."""
        for rows in groups:
            if len(rows) <= self._k:
                continue
            part = self._points.take(rows)
            left, right = self._screen.left(part, upper=True), self._screen.right(part, upper=True)
            for some in blocks(len(rows), self._block):
                squares = left[some] @ right.T
                squares[np.arange(len(squares)), np.arange(some.start, some.stop)] = np.inf
                kth = np.partition(squares, self._k - 1, axis=1)[:, self._k - 1].astype(np.float64)
                self.bounds[rows[some]] = np.minimum(self.bounds[rows[some]], kth * self._screen.unit**2)

    def settle(self, pairs: Pairs, real: Points) -> Flags:
        """Which of ``real`` (N,) lie in the ball of any synthetic image that they are paired with."""
        inside = np.zeros(len(real), dtype=bool)
        take = 1
        while len(pairs):
            near = pairs.lower <= self.bounds[pairs.synthetic]
            ready = pairs.where(near & self.exact[pairs.synthetic])
            inside[ready.real[self._held(ready, real)]] = True
            pairs = pairs.where(near & ~self.exact[pairs.synthetic] & ~inside[pairs.real])
            if len(pairs):
                self._compute(pairs.where(self._most_promising(pairs, take)))
                take *= 4
        return inside

    def _held(self, pairs: Pairs, real: Points) -> Flags:
        """Whether the ball holds the real image, for pairs (P,) whose radius is known."""
        squares = pair_squares(real.features, self._points.features, pairs.real, pairs.synthetic)
        squares -= TIE * (real.norms[pairs.real] + self._points.norms[pairs.synthetic])
        return np.asarray(squares <= self.bounds[pairs.synthetic])

    def _most_promising(self, pairs: Pairs, take: int) -> Rows:
        """Of every real image the ``take`` pairs that lie deepest inside the bound, by the ratio of squares."""
        depth = pairs.lower / np.maximum(self.bounds[pairs.synthetic], 1e-300)
        order = np.lexsort((depth, pairs.real))
        owners = pairs.real[order]
        rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
        return np.asarray(order[rank < take])

    def _compute(self, pairs: Pairs) -> None:
        """Lowers the bounds of the synthetic images of ``pairs`` to the radii, or until they refute all pairs."""
        rows, owner = np.unique(pairs.synthetic, return_inverse=True)
        nearest_real = np.full(len(rows), np.inf)
        np.minimum.at(nearest_real, owner, pairs.lower)
        self.computed += len(rows)
        for part in blocks(len(rows), CAPACITY):
            self._stream(rows[part], nearest_real[part])

    def _stream(self, rows: Indices, nearest_real: Array) -> None:
        """All synthetic images pass by those of ``rows``, which leave when their bound is below ``nearest_real``."""
        some, kept = self._points.take(rows), np.arange(len(rows))
        left = self._screen.left(some)
        lists, bounds = np.full((len(rows), self._k), np.inf), self.bounds[rows]
        for theirs in blocks(len(self._points), 4 * self._block):
            passing = self._points.take(theirs)
            right = self._screen.right(passing)
            for part in blocks(len(kept), self._block):
                who = kept[part]
                lower = left[who] @ right.T
                own = np.flatnonzero((rows[who] >= theirs.start) & (rows[who] < theirs.stop))
                lower[own, rows[who[own]] - theirs.start] = np.inf
                lists[who] = self._nearer(some, who, passing, lower, bounds[who], lists[who])
                bounds[who] = np.minimum(bounds[who], lists[who, -1])
            self.bounds[rows[kept]] = bounds[kept]
            # A radius of 0 shrinks no more: with many copies the stream ends early.
            settled = kept[lists[kept, -1] == 0]
            self.exact[rows[settled]] = True
            kept = kept[(bounds[kept] >= nearest_real[kept]) & (lists[kept, -1] > 0)]
            if not len(kept):
                return
        self.bounds[rows[kept]] = lists[kept, -1]
        self.exact[rows[kept]] = True

    def _nearer(self, some: Points, who: Rows, passing: Points, lower: Single, bounds: Array, known: Array) -> Array:
        """The k smallest squares (B, k), of those known and those whose ``lower`` (B, W) is under the bound."""
        near = lower <= self._screen.threshold(np.minimum(bounds, known[:, -1]))[:, None]
        if near.mean() > CROWDED:
            squares = product_squares(some.take(who), passing)
            squares[np.isinf(lower)] = np.inf
            return smallest(known, squares)
        owners, columns = np.nonzero(near)
        return merged(known, owners, pair_squares(some.features, passing.features, who[owners], columns))
