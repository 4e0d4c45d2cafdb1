"""Regions of one set that the other set leaves empty, each with its chance under exchangeable sets.

An image is *alone* if its ball of k nearest neighbours of its own set holds no image of the other. Alone images
that are neighbours of each other (one among the other's 2k nearest of both sets) form a region. Even sets of one law
have a few alone images, at the known rate of :func:`chance_share`, and small regions of them. So the size
of a region is compared with the largest region that arises when the labels of all images are permuted over
the same neighbourhoods (cluster-size inference; Nichols and Holmes 2002). Its p-value is exact and holds for
all regions at once: if the two sets are exchangeable, the chance that any region is reported is at most α.

Exchangeable also means drawn independently. Bursts and near copies lie close to each other and not to the
other set, so they look like a hole; pass one image of each family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.explain.pooled import PooledNeighbours
from twinset.evaluation.protocol import Features
from twinset.randomness import Stream

Rows = NDArray[np.int64]
SPARE = 8


@dataclass(frozen=True)
class RegionSettings:
    """``k`` of the balls (None: 5, or more where chance alone would leave over 5 % of the images alone), the level
    ``alpha`` at which regions are reported, ``shown`` representatives of each, and at most ``limit`` images a set."""

    k: int | None = None
    alpha: float = 0.05
    permutations: int = 199
    shown: int = 8
    limit: int = 5000

    def __post_init__(self) -> None:
        if (self.k is not None and self.k < 1) or self.shown < 1 or self.limit < 20:
            raise ValueError(f"expected k ≥ 1, shown ≥ 1 and limit ≥ 20; got {self}")
        if not 0 < self.alpha < 1 or self.permutations < 1 / self.alpha - 1:
            raise ValueError(f"expected 0 < alpha < 1 and at least 1/alpha − 1 permutations; got {self}")


@dataclass(frozen=True, eq=False)
class Region:
    """One region: its ``rows``, their ``share`` of the set, its ``medoid`` and the members nearest to that
    (``representatives``, the medoid first), the ``nearest_other`` images of the other set to the medoid, and how many
    of each class it holds. ``p_value`` is of its size, for all regions at once."""

    rows: Rows
    share: float
    p_value: float
    medoid: int
    representatives: Rows
    nearest_other: Rows
    classes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class OneSided:
    """What the other set leaves empty.

    ``regions`` are those beyond chance, largest first; ``smaller`` the rest with two images or more. ``alone`` are all
    rows whose ball holds no other image, of ``examined`` rows; ``chance_share`` is what exchangeable sets leave
    alone. ``by_class`` maps a class to (alone, examined). ``undefined_because`` says why nothing was looked at.
    """

    regions: tuple[Region, ...]
    smaller: tuple[Region, ...]
    alone: Rows
    examined: Rows
    chance_share: float
    k: int
    by_class: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    undefined_because: str = ""

    @property
    def share(self) -> float:
        """Share of examined rows that are alone."""
        return len(self.alone) / max(1, len(self.examined))


def chance_share(own: int, other: int, k: int) -> float:
    """The expected share of alone images of ``own`` among ``other`` exchangeable ones (no ties).

    The k nearest of all others must all be of the own set: ∏ (own − 1 − i)/(own + other − 1 − i), i < k.

    >>> round(chance_share(1000, 1000, 5), 4)
    0.031
    """
    steps = np.arange(k)
    return float(np.prod(np.maximum(own - 1 - steps, 0) / (own + other - 1 - steps)))


def chosen_k(own: int, other: int, *, at_most: float = 0.05, least: int = 5) -> int:
    """The smallest k ≥ ``least`` at which chance leaves at most this share of images alone.

    >>> chosen_k(1000, 1000), chosen_k(1000, 100)
    (5, 31)
    """
    k = least
    while k < own - 1 and chance_share(own, other, k) > at_most:
        k += 1
    return k


def one_sided(
    own: Features,
    other: Features,
    *,
    settings: RegionSettings,
    rng: Stream,
    class_ids: NDArray[np.integer] | None = None,
) -> OneSided:
    """Regions of ``own`` (N, D) without images of ``other`` (M, D); ``class_ids`` (N,) of the former.

    Sets above ``settings.limit`` are thinned at random to it. Undefined with k + 9 or fewer images on a side.
    """
    _check_classes(class_ids, len(own))
    draw = rng.child("one-sided").numpy()
    rows = _thinned(len(own), settings.limit, draw), _thinned(len(other), settings.limit, draw)
    n, m = len(rows[0]), len(rows[1])
    k = settings.k or chosen_k(n, m)
    if min(n, m) <= k + SPARE + 1:
        reason = f"balls of {k} neighbours need more than {k + SPARE + 1} images on each side; got {n} and {m}"
        return OneSided((), (), np.empty(0, np.int64), rows[0], 0.0, k, undefined_because=reason)
    mine = own if n == len(own) else own[rows[0]]
    theirs = other if m == len(other) else other[rows[1]]
    pooled = PooledNeighbours.of(mine, theirs, k=min(max(2 * k, k + SPARE), min(n, m) - 1))
    alone = pooled.among_their_own(pooled.labels(), k=k)
    members = _components(pooled, alone)
    largest = _largest_by_chance(pooled, k, settings.permutations, draw)
    chances = [float((1 + (largest >= len(each)).sum()) / (1 + len(largest))) for each in members]
    found = [
        _region(each, rows, mine, theirs, p_value, class_ids, settings.shown)
        for each, p_value in zip(members, chances, strict=True)
    ]
    return OneSided(
        regions=tuple(region for region in found if region.p_value <= settings.alpha),
        smaller=tuple(region for region in found if region.p_value > settings.alpha),
        alone=rows[0][np.flatnonzero(alone[:n])],
        examined=rows[0],
        chance_share=chance_share(n, m, k),
        k=k,
        by_class=_by_class(class_ids, rows[0], alone[:n]),
    )


def _check_classes(class_ids: NDArray[np.integer] | None, count: int) -> None:
    if class_ids is not None and class_ids.shape != (count,):
        raise ValueError(f"expected a class for each of {count} images; got shape {class_ids.shape}")


def _thinned(count: int, limit: int, draw: np.random.Generator) -> Rows:
    return np.arange(count) if count <= limit else np.sort(draw.permutation(count)[:limit])


def _components(pooled: PooledNeighbours, alone: NDArray[np.bool_]) -> list[Rows]:
    """Pooled rows of every region of two images or more, larger first."""
    label = _component_of(pooled, alone)
    sizes = np.bincount(label)
    members = [np.flatnonzero(alone)[label == number] for number in np.flatnonzero(sizes >= 2)]
    return sorted(members, key=len, reverse=True)


def _component_of(pooled: PooledNeighbours, alone: NDArray[np.bool_]) -> Rows:
    """Which component each alone image belongs to, (alone,), of the neighbour graph between alone images."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    some = np.flatnonzero(alone)
    number = np.full(len(alone), -1)
    number[some] = np.arange(len(some))
    to = number[pooled.rows[some]]
    start, step = np.nonzero(to >= 0)
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, to[start, step])), shape=(len(some), len(some)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _largest_by_chance(pooled: PooledNeighbours, k: int, permutations: int, draw: np.random.Generator) -> Rows:
    """Size of the largest region under each permuted labelling, (permutations,)."""
    labels = pooled.labels()
    largest = np.zeros(permutations, dtype=np.int64)
    for number in range(permutations):
        alone = pooled.among_their_own(draw.permutation(labels), k=k)
        largest[number] = np.bincount(_component_of(pooled, alone)).max() if alone.any() else 0
    return largest


def _region(
    members: Rows,
    rows: tuple[Rows, Rows],
    own: Features,
    other: Features,
    p_value: float,
    class_ids: NDArray[np.integer] | None,
    shown: int,
) -> Region:
    vectors = np.asarray(own[members], dtype=np.float64)
    medoid = int(members[_medoid(vectors)])
    centre = np.asarray(own[medoid], dtype=np.float64)
    order = np.argsort(np.linalg.norm(vectors - centre, axis=1), kind="stable")[:shown]
    from_other = np.linalg.norm(np.asarray(other, dtype=np.float64) - centre, axis=1)
    counts = {} if class_ids is None else np.unique(class_ids[rows[0][members]], return_counts=True)
    return Region(
        rows=rows[0][members],
        share=len(members) / len(rows[0]),
        p_value=p_value,
        medoid=int(rows[0][medoid]),
        representatives=rows[0][members[order]],
        nearest_other=rows[1][np.argsort(from_other, kind="stable")[:shown]],
        classes={int(c): int(number) for c, number in zip(*counts, strict=True)} if counts else {},
    )


def _medoid(vectors: NDArray[np.float64]) -> int:
    """The vector with the least sum of distances to all; of more than 200, among the 200 nearest to the mean."""
    away = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    tried = np.argsort(away, kind="stable")[:200]
    sums = [float(np.linalg.norm(vectors - vectors[row], axis=1).sum()) for row in tried]
    return int(tried[int(np.argmin(sums))])


def _by_class(
    class_ids: NDArray[np.integer] | None, rows: Rows, alone: NDArray[np.bool_]
) -> dict[int, tuple[int, int]]:
    if class_ids is None:
        return {}
    classes = class_ids[rows]
    return {int(c): (int(alone[classes == c].sum()), int((classes == c).sum())) for c in np.unique(classes)}
