"""Squared distances between many feature vectors: in float64, and screened in float32 with a proven margin.

Both are Gram products ‖x‖² + ‖s‖² − 2xᵀs of centred vectors, norms always summed in float64. A float32 product is
twice as fast, and tells of nearly every pair on which side of a radius it lies. What it may be wrong by is bounded.
With u = 2⁻²⁴, K = D + 2 products per sum and γ = Ku/(1 − Ku), in any order of summation, fused or not (Higham 2002,
"Accuracy and Stability of Numerical Algorithms", sec. 3.1), the sum of the rounded terms is off by at most γ Σ|terms|
≤ 2γ(‖x‖² + ‖s‖²), for 2|xᵀs| ≤ ‖x‖² + ‖s‖². Rounding the vectors and the norms to float32 first moves the terms by at
most 3u(‖x‖² + ‖s‖²). So the product errs by less than

ε (‖x‖² + ‖s‖²),   ε = 1.05 (2γ + 4u):   2.6e-4 at D = 2,048,

and lowering (raising) each squared norm by the factor 1 ∓ ε inside the product makes it a lower (upper) bound. Vectors
are scaled by a power of two to norms ≤ 1, and ``TINY`` is taken off as well, far above all that underflow can lose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.mapped import AT_ONCE, gathered, release
from twinset.evaluation.protocol import Features, as_features, blocks, mean_of

TINY = 1e-30
WIDEST = 2**17
"""Vectors of more dimensions are not screened: the margin would be too wide to decide anything."""
CROWDED = 0.01
"""Above this share of undecided pairs a whole block in float64 is cheaper than its pairs one by one."""
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Single = NDArray[np.float32]
Rows = NDArray[np.int64]
Indices = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Points:
    """Features (N, D), the centre (D,) that is taken off them block by block, and squared norms (N,) after that."""

    features: Features
    centre: Array
    norms: Array

    @staticmethod
    def of(features: Features, what: str, centre: Array, block: int) -> Points:
        """Points of (N, D) features, read once in blocks; ``what`` names them in errors."""
        norms = np.empty(len(features))
        for part in blocks(len(features), block):
            rows = as_features(features[part], what) - centre
            norms[part] = np.einsum("ij,ij->i", rows, rows)
            release(features)
        return Points(features, centre, norms)

    def __len__(self) -> int:
        return len(self.norms)

    def squared_distances(self, mine: slice, other: Points, theirs: slice, *, shrink: float = 0.0) -> Array:
        """Block of ‖a − b‖²; ``shrink`` lowers each by that share of the squared norms (closed balls)."""
        left, right = self._extended(mine, 1.0 - shrink), other._extended(theirs, 1.0 - shrink)
        left[:, :-2] *= -2.0
        right[:, [-2, -1]] = right[:, [-1, -2]]
        return np.asarray(left @ right.T)

    def take(self, rows: slice | Indices) -> Points:
        """Some of the points, their features copied into memory."""
        features = np.array(self.features[rows]) if isinstance(rows, slice) else gathered(self.features, rows)
        release(self.features)
        return Points(features, self.centre, self.norms[rows])

    def part(self, rows: slice) -> Points:
        """Some of the points, their features where they are."""
        return Points(self.features[rows], self.centre, self.norms[rows])

    def _extended(self, part: slice, scale: float) -> Array:
        """Rows (a, ‖a‖², 1): with the norms inside it, one matrix product makes the whole distance."""
        norms = self.norms[part]
        extended = np.empty((len(norms), len(self.centre) + 2))
        np.subtract(self.features[part], self.centre, out=extended[:, :-2], dtype=np.float64)
        extended[:, -2] = scale * norms
        extended[:, -1] = 1.0
        return extended


@dataclass(frozen=True)
class Screen:
    """How to bound squared distances in float32: ``unit`` is the power of two that vectors are divided by."""

    unit: float
    margin: float
    dimension: int

    @staticmethod
    def over(*clouds: Points) -> Screen:
        """A screen for these points, which share their centre."""
        largest = max(float(cloud.norms.max(initial=0.0)) for cloud in clouds) ** 0.5
        unit = float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0
        dimension = len(clouds[0].centre)
        return Screen(unit, screening_margin(dimension), dimension)

    def room(self, rows: int) -> Single:
        """Memory for so many rows of :meth:`left` or :meth:`right`."""
        return np.empty((rows, self.dimension + 2), dtype=np.float32)

    def left(self, points: Points, *, upper: bool = False, out: Single | None = None) -> Single:
        """Rows (−2a, ‖a‖² ∓ margin, 1), float32 (N, D + 2), for the left of a bounding product; the first of ``out``.

        Fresh memory costs more than the conversion, so who converts often brings memory for the longest.
        """
        return self._extended(points, -2.0, upper, out)

    def right(self, points: Points, *, upper: bool = False, out: Single | None = None) -> Single:
        """Rows (b, 1, ‖b‖² ∓ margin), float32 (M, D + 2); ``left @ right.T`` bounds ‖a − b‖² / unit²."""
        extended = self._extended(points, 1.0, upper, out)
        extended[:, [-2, -1]] = extended[:, [-1, -2]]
        return extended

    def threshold(self, squares: Array) -> Single:
        """Squared radii in the units of the product, rounded up, so that no bound below them is missed."""
        return np.nextafter((squares / self.unit**2).astype(np.float32), np.float32(np.inf))

    def surely(self, squares: Array, norms: Array) -> Single:
        """In the units of the product, rounded down: lower bounds below it are of true squares below ``squares``.

        ``norms`` = ‖a‖² + ‖b‖², or more.
        """
        return np.nextafter(((squares - self.slack(norms)) / self.unit**2).astype(np.float32), np.float32(-np.inf))

    def slack(self, norms: Array) -> Array:
        """What lies at most between a lower and the true value: twice the margin of ``norms`` = ‖a‖² + ‖b‖²."""
        return np.asarray(2 * self.margin * norms + 4 * TINY * self.unit**2)

    def _extended(self, points: Points, factor: float, upper: bool, out: Single | None) -> Single:
        extended = self.room(len(points)) if out is None else out[: len(points)]
        centred = np.empty((32, self.dimension))
        for part in blocks(len(points), len(centred)):
            some = centred[: part.stop - part.start]
            np.subtract(points.features[part], points.centre, out=some, dtype=np.float64)
            some *= factor / self.unit
            extended[part, :-2] = some
        sign = 1.0 if upper else -1.0
        extended[:, -2] = points.norms / self.unit**2 * (1 + sign * self.margin) + sign * TINY
        extended[:, -1] = 1.0
        return extended


def screening_margin(dimension: int) -> float:
    """ε of the module's text for vectors of ``dimension`` entries.

    >>> round(screening_margin(2048), 6)
    0.000257
    """
    unit = 2.0**-24
    terms = (dimension + 2) * unit
    return 1.05 * (2 * terms / (1 - terms) + 4 * unit)


def pair_squares(first: Features, second: Features, rows: Indices, columns: Indices) -> Array:
    """‖first[rowᵢ] − second[columnᵢ]‖² (P,) in float64, by differences: exact copies are at 0."""
    squares = np.empty(len(rows))
    # Few rows at once, so that they stay in the processor's cache: four times faster at D = 2,048.
    at_once = max(16, (1 << 17) // first.shape[1])
    if isinstance(first, np.memmap) or isinstance(second, np.memmap):
        at_once = min(at_once, AT_ONCE)
    for part in blocks(len(rows), at_once):
        difference = np.subtract(first[rows[part]], second[columns[part]], dtype=np.float64)
        squares[part] = np.einsum("ij,ij->i", difference, difference)
        release(first)
        release(second)
    return squares


def product_squares(first: Points, second: Points) -> Array:
    """‖a − b‖² (N, M) in float64, by a product; what is below its rounding is 0."""
    squares = first.squared_distances(slice(None), second, slice(None))
    squares[squares <= 1e-12 * (first.norms[:, None] + second.norms)] = 0.0
    return squares


def smallest(known: Array, distances: Array) -> Array:
    """The smallest of those known (B, count) and new ones (B, width), as many per row as were known, sorted."""
    count = known.shape[1]
    if distances.shape[1] > count:
        distances = np.partition(distances, count - 1, axis=1)[:, :count]
    return np.sort(np.concatenate([known, distances], axis=1), axis=1)[:, :count]


def merged(known: Array, owners: NDArray[np.intp], values: Array) -> Array:
    """The smallest per row of those known (B, count) and ``values`` (c,) that belong to rows ``owners`` (c,)."""
    order = np.lexsort((values, owners))
    owners, values = owners[order], values[order]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    kept = rank < known.shape[1]
    fresh = np.full(known.shape, np.inf)
    fresh[owners[kept], rank[kept]] = values[kept]
    return smallest(known, fresh)


def centre_of(features: Features, what: str, block: int) -> Array:
    """The mean (D,) of (N, D) features."""
    return mean_of(features, what, block=block)
