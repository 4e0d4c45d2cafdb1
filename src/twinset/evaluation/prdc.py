"""Precision, recall, density and coverage from k-nearest-neighbour balls.

With rₖ(a) the distance of a to its k-th nearest neighbour in its own set, itself not counted:

* precision: share of synthetic images inside the ball of any real image   (Kynkäänniemi et al. 2019, eq. 2)
* recall: share of real images inside the ball of any synthetic image      (ibid.)
* density: mean number of real balls around a synthetic image, over k      (Naeem et al. 2020, eq. 4)
* coverage: share of real images whose ball holds any synthetic image      (ibid., eq. 5)

We differ from the authors' code in two places. Balls are closed (≤, as in the first paper), so duplicates
count; there, a set of identical images scores 0 against itself. And where ties put more than k real images
into a ball, density divides by that number, so that it stays about 1 between equal sets.

Distances are float64 Gram products of features centred on the real mean, in blocks; of the symmetric ones
only half is computed, and memory does not grow with N².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import (
    FEATURES,
    Evidence,
    Features,
    Need,
    as_features,
    blocks,
    mean_of,
    wilson_interval,
)
from twinset.randomness import Stream
from twinset.scores import Interval, Score

NAMES = ("precision", "recall", "density", "coverage")
FEW = 1000
# Relative to the squared norms: far above the rounding of a float64 Gram product, far below any real gap.
TIE = 1e-11
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Memberships:
    """Who lies in whose balls, one entry per image.

    ``inside_real`` (M,) and ``density`` (M,) are about synthetic images, None when there are too few real ones;
    ``covered`` (N,) likewise about real ones; ``inside_synthetic`` (N,) is None when there are too few synthetic ones.
    ``empty_real`` and ``empty_synthetic`` count balls of radius 0: images with k exact copies in their own set.
    """

    inside_real: NDArray[np.bool_] | None
    density: Array | None
    covered: NDArray[np.bool_] | None
    inside_synthetic: NDArray[np.bool_] | None
    empty_real: int = 0
    empty_synthetic: int = 0


def memberships(real: Features, synthetic: Features, *, k: int = 5, block: int = 1024) -> Memberships:
    """The ball memberships behind all four figures, for real (N, D) and synthetic (M, D) features."""
    if k < 1 or block < 1:
        raise ValueError(f"expected k ≥ 1 and block ≥ 1; got {k} and {block}")
    centre = mean_of(real, "real", block=block)
    first, second = _Points.of(real, "real", centre, block), _Points.of(synthetic, "synthetic", centre, block)
    real_balls = _balls(first, k, block) if len(real) > k else None
    synthetic_balls = _balls(second, k, block) if len(synthetic) > k else None
    return _members(first, second, real_balls, synthetic_balls, block)


def prdc(
    real: Features, synthetic: Features, *, k: int = 5, extractor: str | None = None, block: int = 1024
) -> list[Score]:
    """Precision, recall, density and coverage of synthetic (M, D) against real (N, D) features; higher is better.

    The 95 % intervals are about the images that are counted, with the balls held fixed: Wilson's for the
    shares, the normal one for density. A figure whose balls need more than k images than there are is
    undefined and says so.

    >>> line = np.array([[0.0], [1.0], [3.0], [7.0]])
    >>> [round(score.value, 3) for score in prdc(line, np.array([[0.5], [2.2], [-9.0]]), k=1)]
    [0.667, 0.75, 1.0, 0.75]
    """
    n, m = len(real), len(synthetic)
    found = memberships(real, synthetic, k=k, block=block) if min(n, m) else Memberships(None, None, None, None)
    members = (found.inside_real, found.inside_synthetic, found.density, found.covered)
    scores = []
    for name, values in zip(NAMES, members, strict=True):
        scores.append(
            Score(
                name,
                None if values is None else float(values.mean()),
                True,
                {"real": n, "synthetic": m},
                interval=None if values is None else _interval(values),
                undefined_because="" if values is not None else _too_few(k, n, m, name),
                extractor=extractor,
                settings={"k": k, "dimension": real.shape[1], "dtype": "float64", "interval": "given the balls"},
                warnings=_warnings(found, n, m, k),
            )
        )
    return scores


def _too_few(k: int, n: int, m: int, name: str) -> str:
    if not min(n, m):
        return f"both sets need images; got {n} real and {m} synthetic"
    what, got = ("synthetic", m) if name == "recall" else ("real", n)
    return f"balls of k = {k} neighbours need at least {k + 1} {what} images; got {got}"


def _warnings(found: Memberships, n: int, m: int, k: int) -> tuple[str, ...]:
    warnings = []
    if min(n, m) < FEW:
        warnings.append(f"precision, recall, density, coverage of {min(n, m)} images (fewer than {FEW})")
    for what, empty in (("real", found.empty_real), ("synthetic", found.empty_synthetic)):
        if empty:
            warnings.append(f"{empty} {what} images have at least {k} exact copies in their set: balls of radius 0")
    return tuple(warnings)


@dataclass(frozen=True)
class PRDC:
    """:func:`prdc` as a metric."""

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"expected k ≥ 1; got {self.k}")

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """Four scores: ``precision``, ``recall``, ``density``, ``coverage``."""
        return prdc(evidence.real, evidence.synthetic, k=self.k, extractor=evidence.extractor)

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The four figures without intervals."""
        return {score.name: score.value for score in prdc(real, synthetic, k=self.k)}


def _interval(values: NDArray[np.bool_] | Array) -> Interval:
    if values.dtype == np.bool_:
        return Interval(*wilson_interval(float(values.sum()), values.size))
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / values.size**0.5 if values.size > 1 else 0.0
    return Interval(max(0.0, mean - half), mean + half)


@dataclass(frozen=True, eq=False)
class _Points:
    """Features (N, D), the centre (D,) that is taken off them block by block, and squared norms (N,) after that."""

    features: Features
    centre: Array
    norms: Array

    @staticmethod
    def of(features: Features, what: str, centre: Array, block: int) -> _Points:
        parts = [as_features(features[part], what) - centre for part in blocks(len(features), block)]
        return _Points(features, centre, np.concatenate([np.einsum("ij,ij->i", rows, rows) for rows in parts]))

    def squared_distances(self, mine: slice, other: _Points, theirs: slice, *, shrink: float = 0.0) -> Array:
        """Block of ‖a − b‖²; ``shrink`` lowers each by that share of the squared norms (closed balls)."""
        left, right = self._extended(mine, 1.0 - shrink), other._extended(theirs, 1.0 - shrink)
        left[:, :-2] *= -2.0
        right[:, [-2, -1]] = right[:, [-1, -2]]
        return np.asarray(left @ right.T)

    def _extended(self, part: slice, scale: float) -> Array:
        """Rows (a, ‖a‖², 1): with the norms inside it, one matrix product makes the whole distance."""
        norms = self.norms[part]
        extended = np.empty((len(norms), len(self.centre) + 2))
        np.subtract(self.features[part], self.centre, out=extended[:, :-2], dtype=np.float64)
        extended[:, -2] = scale * norms
        extended[:, -1] = 1.0
        return extended


@dataclass(frozen=True, eq=False)
class _Balls:
    """Squared radii (N,), how many other points each ball holds (N,), k without ties, and how many have radius 0."""

    squared_radii: Array
    members: Array
    empty: int
    tied: bool


def _balls(points: _Points, k: int, block: int) -> _Balls:
    """The k-nearest-neighbour ball of every point."""
    # One neighbour more than k, to see where a tie follows the k-th.
    nearest = _nearest_squares(points, k + 1, block)
    radii = np.maximum(nearest[:, k - 1], 0.0)
    members = np.full(len(radii), float(k))
    tied = np.flatnonzero(nearest[:, k] - radii <= 4 * TIE * points.norms)
    for rows in (tied[part] for part in blocks(tied.size, block)):
        members[rows] = _count_members(points, rows, radii[rows], block)
    return _Balls(radii, members, int((radii <= 4 * TIE * points.norms).sum()), tied.size > 0)


def _nearest_squares(points: _Points, count: int, block: int) -> Array:
    """Squared distances (N, count) to the nearest other points, ascending, infinite where there are fewer.

    The blocks on the diagonal come first. They bound every point's distances so well that of any later
    block only the few entries under the bound need sorting, along rows and along columns.
    """
    nearest = np.full((len(points.norms), count), np.inf)
    parts = list(blocks(len(points.norms), block))
    for mine in parts:
        distances = points.squared_distances(mine, points, mine)
        np.fill_diagonal(distances, np.inf)
        nearest[mine] = _smallest(nearest[mine], distances)
    for number, mine in enumerate(parts):
        for theirs in parts[number + 1 :]:
            distances = points.squared_distances(mine, points, theirs)
            rows, columns = np.nonzero(distances < nearest[mine, -1:])
            nearest[mine] = _merged(nearest[mine], rows, distances[rows, columns])
            rows, columns = np.nonzero(distances < nearest[theirs, -1])
            nearest[theirs] = _merged(nearest[theirs], columns, distances[rows, columns])
    return nearest


def _smallest(known: Array, distances: Array) -> Array:
    """The smallest of those known (B, count) and new ones (B, width), as many per row as were known, sorted."""
    count = known.shape[1]
    if distances.shape[1] > count:
        distances = np.partition(distances, count - 1, axis=1)[:, :count]
    return np.sort(np.concatenate([known, distances], axis=1), axis=1)[:, :count]


def _merged(known: Array, owners: NDArray[np.intp], values: Array) -> Array:
    """The smallest per row of those known (B, count) and ``values`` (c,) that belong to rows ``owners`` (c,)."""
    order = np.lexsort((values, owners))
    owners, values = owners[order], values[order]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    kept = rank < known.shape[1]
    fresh = np.full(known.shape, np.inf)
    fresh[owners[kept], rank[kept]] = values[kept]
    return _smallest(known, fresh)


def _count_members(points: _Points, rows: NDArray[np.intp], squared_radii: Array, block: int) -> Array:
    some = _Points(points.features[rows], points.centre, points.norms[rows])
    held = np.zeros(len(rows))
    for theirs in blocks(len(points.norms), block):
        distances = some.squared_distances(slice(None), points, theirs, shrink=TIE)
        held += (distances <= squared_radii[:, None]).sum(axis=1)
    return held - 1.0


def _members(
    real: _Points, synthetic: _Points, real_balls: _Balls | None, synthetic_balls: _Balls | None, block: int
) -> Memberships:
    n, m = len(real.norms), len(synthetic.norms)
    around, density = np.zeros(m, dtype=bool), np.zeros(m)
    covered, inside = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for mine in blocks(n, block):
        for theirs in blocks(m, block):
            distances = real.squared_distances(mine, synthetic, theirs, shrink=TIE)
            if real_balls is not None:
                held = distances <= real_balls.squared_radii[mine, None]
                around[theirs] |= held.any(axis=0)
                covered[mine] |= held.any(axis=1)
                density[theirs] += _weighed(held, real_balls, mine)
            if synthetic_balls is not None:
                inside[mine] |= (distances <= synthetic_balls.squared_radii[None, theirs]).any(axis=1)
    return Memberships(
        inside_real=None if real_balls is None else around,
        density=None if real_balls is None else density,
        covered=None if real_balls is None else covered,
        inside_synthetic=None if synthetic_balls is None else inside,
        empty_real=0 if real_balls is None else real_balls.empty,
        empty_synthetic=0 if synthetic_balls is None else synthetic_balls.empty,
    )


def _weighed(held: NDArray[np.bool_], balls: _Balls, mine: slice) -> Array:
    """Σ over balls of held / members; without ties all members are k, and counting is cheaper than a product."""
    if balls.tied:
        return np.asarray((1.0 / balls.members[mine]) @ held)
    return np.asarray(np.add.reduce(held, axis=0, dtype=np.int32) / balls.members[mine][0])
