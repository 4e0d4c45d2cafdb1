"""Exact nearest neighbours, block by block.

A float32 matrix product proposes candidates, float64 differences decide. So the product costs what a
product costs, while distances, ties and zeros are exact, and what one query gets does not depend on the
queries beside it, on block sizes or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Features = NDArray[np.floating]
"""(N, D) feature vectors, one row each, finite."""

Neighbours = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Euclidean distances (M, k), ascending, and the rows (M, k) they lead to; of equal distances the lowest row first."""

BLOCK = 2048
HELD = 2**26
"""References of so many entries or fewer are held in float32 as well (256 MiB); of more, block after block is made."""
_SPARE = 8
_IN_CACHE = 2**17


def nearest(
    queries: Features,
    references: Features,
    *,
    k: int,
    exclude: NDArray[np.integer] | None = None,
    block: int = BLOCK,
) -> Neighbours:
    """The k nearest references of every query: distances float64 (M, k) and rows int64 (M, k).

    ``queries`` (M, D), ``references`` (N, D). Queries (M, V, D) are V variants of each: the distance to a
    reference is the least of the V (two variants that differ by less than float32 can tell count as tied).
    ``exclude`` (M,) names one reference row for each query that does not count, or −1. Working memory beside
    the inputs is O(block · (block + D)), whatever M and N, and up to 256 MiB for references in float32.

    Raises ``ValueError`` for other shapes, values that are not finite, or fewer than k references.

    >>> nearest(np.array([[0.0]]), np.array([[5.0], [-1.0], [1.0]]), k=2)
    (array([[1., 1.]]), array([[1, 2]]))
    """
    return NeighbourIndex(references, block=block).nearest(queries, k=k, exclude=exclude)


def nearest_others(points: Features, *, k: int, block: int = BLOCK) -> Neighbours:
    """The k nearest *other* points of every point (N, D): as :func:`nearest`, a point never being its own neighbour."""
    return nearest(points, points, k=k, exclude=np.arange(len(points)), block=block)


def mean_distance(queries: Features, references: Features, *, k: int, block: int = BLOCK) -> NDArray[np.float64]:
    """Mean Euclidean distance (M,) of every query to its k nearest references: small where real images are dense."""
    mean: NDArray[np.float64] = nearest(queries, references, k=k, block=block)[0].mean(axis=1)
    return mean


@dataclass(frozen=True, eq=False)
class ClosePairs:
    """Of two sets the pairs (P,) that may be no farther apart than some ``limit``: their rows in the first and in the
    second set, and their squared distances, each off by ``errors`` (P,) at most."""

    limit: float
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    squares: NDArray[np.float32]
    errors: NDArray[np.float32]

    @staticmethod
    def joined(limit: float, parts: list[ClosePairs]) -> ClosePairs:
        """Pairs of several parts as one."""
        names = "first", "second", "squares", "errors"
        return ClosePairs(limit, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def where(self, kept: NDArray[np.bool_]) -> ClosePairs:
        """Some of the pairs."""
        return ClosePairs(self.limit, self.first[kept], self.second[kept], self.squares[kept], self.errors[kept])

    def no_farther(self, first: Features, second: Features, radius: float) -> NDArray[np.bool_]:
        """Which pairs (P,) of these two sets are at a distance of at most ``radius``, exactly."""
        inside = self.squares <= radius**2 - self.errors
        unsure = np.flatnonzero(~inside & (self.squares <= radius**2 + self.errors))
        inside[unsure] = _pair_distances(first, second, self.first[unsure], self.second[unsure]) <= radius
        return np.asarray(inside)


def close_pairs(queries: Features, references: Features, *, limit: float, block: int = BLOCK) -> Iterator[ClosePairs]:
    """All pairs of queries (M, D) and references (N, D) no farther apart than ``limit``, block by block."""
    return NeighbourIndex(references, block=block).close_pairs(queries, limit=limit)


class NeighbourIndex:
    """References to be searched several times. Centred in float64, so a common offset costs the product no digits."""

    def __init__(self, references: Features, *, block: int = BLOCK) -> None:
        _check(references, "references", dimensions=(2,))
        self._references = references
        self._block = block
        self._centre = _mean(references, block)
        largest = max(float(np.einsum("ij,ij->i", part, part).max()) for _, part in self._centred_parts())
        self._scale = np.sqrt(largest) if largest > 0 else 1.0
        self._held = tuple(self._scaled_parts()) if references.size <= HELD else None

    def nearest(self, queries: Features, *, k: int, exclude: NDArray[np.integer] | None = None) -> Neighbours:
        """As :func:`nearest`."""
        _check(queries, "queries", dimensions=(2, 3))
        if queries.shape[-1] != self._references.shape[1]:
            raise ValueError(f"expected vectors of one length; got {queries.shape[-1]} and {self._references.shape[1]}")
        available = len(self._references) - (exclude is not None)
        if not 1 <= k <= available:
            raise ValueError(f"expected 1 ≤ k ≤ {available} references; got k = {k}; use a smaller k or more images")
        if exclude is not None and np.shape(exclude) != (len(queries),):
            raise ValueError(f"expected one excluded row for each of {len(queries)} queries; got {np.shape(exclude)}")
        variants = queries if queries.ndim == 3 else queries[:, None, :]
        banned = np.full(len(queries), -1) if exclude is None else np.asarray(exclude, dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float64)
        rows = np.empty((len(queries), k), dtype=np.int64)
        step = max(1, self._block // variants.shape[1])
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            distances[part], rows[part] = self._block_nearest(variants[part], banned[part], k)
        return distances, rows

    def close_pairs(self, queries: Features, *, limit: float) -> Iterator[ClosePairs]:
        """As :func:`close_pairs`."""
        _check(queries, "queries", dimensions=(2,))
        for start in range(0, len(queries), self._block):
            centred, error = self._scaled(queries[start : start + self._block])
            query = torch.from_numpy(centred.astype(np.float32))
            norms = (query**2).sum(dim=1, keepdim=True)
            most = ((limit / self._scale) ** 2 + error).astype(np.float32)[:, None] * np.float32(1 + 1e-6)
            for first, reference, lengths in self._held or self._scaled_parts():
                squares = torch.addmm(lengths[None, :] + norms, query, reference.T, alpha=-2.0).numpy()
                rows, columns = np.divmod(np.flatnonzero(squares <= most), len(reference))
                yield ClosePairs(
                    limit,
                    (rows + start).astype(np.int32),
                    (columns + first).astype(np.int32),
                    squares[rows, columns] * np.float32(self._scale**2),
                    (error[rows] * 1.01 * self._scale**2).astype(np.float32),  # the rounding of the units included
                )

    def _scaled(self, queries: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Queries (M, …, D) centred, over the scale; and how far off (M,) their squared float32 distances may be."""
        centred = np.subtract(queries, self._centre, dtype=np.float64)
        centred /= self._scale
        norms = np.einsum("...d,...d->...", centred, centred).reshape(len(queries), -1).max(axis=1)
        return centred, 8 * np.finfo(np.float32).eps * (4 + np.sqrt(queries.shape[-1])) * np.maximum(norms, 1.0)

    def _centred_parts(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        for start in range(0, len(self._references), self._block):
            part = self._references[start : start + self._block]
            yield start, np.subtract(part, self._centre, dtype=np.float64)

    def _scaled_parts(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Of every block its first row, the centred references (B, D) over the scale, and their squared norms (B,)."""
        for start, part in self._centred_parts():
            reference = torch.from_numpy((part / self._scale).astype(np.float32))
            yield start, reference, (reference**2).sum(dim=1)

    def _block_nearest(self, queries: Features, banned: NDArray[np.int64], k: int) -> Neighbours:
        """Propose in float32, decide in float64, and search exhaustively where float32 could not tell."""
        centred, error = self._scaled(queries)
        squares, rows, ways = self._propose(centred.astype(np.float32), k + 1 + _SPARE)
        distances, decided = self._decide(queries, rows, ways, self._needed(squares, rows, banned, error, k), k)
        if rows.shape[1] < len(self._references):
            unsure = squares[:, -1] <= (distances[:, -1] / self._scale) ** 2 + error
            for row in np.flatnonzero(unsure):
                distances[row], decided[row] = self._exhaustive(queries[row], int(banned[row]), k)
        return distances, decided

    def _propose(
        self, centred: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Of every query (M, V, D): squared distances, rows and best variants of about the ``count`` nearest."""
        size, ways, length = centred.shape
        query = torch.from_numpy(centred).reshape(size * ways, length)
        norms = (query**2).sum(dim=1, keepdim=True)
        best = torch.empty((size, 0))
        best_rows = best_ways = torch.empty((size, 0), dtype=torch.int64)
        for start, reference, lengths in self._held or self._scaled_parts():
            square = torch.addmm(lengths[None, :] + norms, query, reference.T, alpha=-2.0)
            square, way = square.view(size, ways, len(reference)).min(dim=1)
            square, row = square.topk(min(count, len(reference)), dim=1, largest=False)
            best = torch.cat([best, square], dim=1)
            best_rows = torch.cat([best_rows, row + start], dim=1)
            best_ways = torch.cat([best_ways, way.gather(1, row)], dim=1)
            best, order = best.topk(min(count, best.shape[1]), dim=1, largest=False)
            best_rows, best_ways = best_rows.gather(1, order), best_ways.gather(1, order)
        return best.numpy(), best_rows.numpy(), best_ways.numpy()

    def _needed(
        self,
        squares: NDArray[np.float32],
        rows: NDArray[np.int64],
        banned: NDArray[np.int64],
        error: NDArray[np.float64],
        k: int,
    ) -> NDArray[np.bool_]:
        """Which of the proposals (M, count) may be among the k nearest, each square being off by ``error`` (M,)."""
        allowed = np.where(rows == banned[:, None], np.inf, squares.astype(np.float64))
        usual = np.partition(allowed, k - 1, axis=1)[:, k - 1]
        return np.asarray(allowed <= (usual + 2 * error)[:, None])

    def _decide(
        self,
        queries: Features,
        rows: NDArray[np.int64],
        ways: NDArray[np.int64],
        needed: NDArray[np.bool_],
        k: int,
    ) -> Neighbours:
        """Exact distances to the ``needed`` rows at the proposed variants, sorted by (distance, row)."""
        distances = np.full(rows.shape, np.inf)
        mine, which = np.nonzero(needed)
        variants = queries.reshape(-1, queries.shape[-1])
        chosen = mine * queries.shape[1] + ways[mine, which]
        distances[mine, which] = _pair_distances(variants, self._references, chosen, rows[mine, which])
        order = np.lexsort((rows, distances), axis=1)[:, :k]
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def _exhaustive(self, variants: Features, banned: int, k: int) -> Neighbours:
        distances = np.full(len(self._references), np.inf)
        for query in variants:
            for start in range(0, len(distances), self._block):
                part = slice(start, start + self._block)
                distances[part] = np.minimum(distances[part], _exact(query, self._references[part]))
        if banned >= 0:
            distances[banned] = np.inf
        order = np.argsort(distances, kind="stable")[:k]
        return distances[order], order


def _exact(queries: Features, references: Features) -> NDArray[np.float64]:
    difference = np.subtract(queries, references, dtype=np.float64)
    root: NDArray[np.float64] = np.sqrt(np.square(difference, out=difference).sum(axis=-1))
    return root


def _pair_distances(
    first: Features, second: Features, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Exact distances (P,) of rows (P,) of the one set and rows (P,) of the other."""
    found = np.empty(len(rows))
    # So few pairs at once that their differences stay in the processor's cache.
    step = max(16, _IN_CACHE // first.shape[-1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        found[part] = _exact(first[rows[part]], second[columns[part]])
    return found


def _mean(rows: Features, block: int) -> NDArray[np.float64]:
    total = np.zeros(rows.shape[1], dtype=np.float64)
    for start in range(0, len(rows), block):
        total += rows[start : start + block].astype(np.float64).sum(axis=0)
    return total / len(rows)


def _check(rows: Features, what: str, *, dimensions: tuple[int, ...]) -> None:
    if rows.ndim not in dimensions or 0 in rows.shape:
        raise ValueError(f"expected {what} as non-empty (N, D); got {rows.shape}")
    if not np.issubdtype(rows.dtype, np.floating):
        raise ValueError(f"expected {what} as floats; got {rows.dtype}; convert them first")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows.reshape(len(rows), -1))).any(axis=1).sum())
        raise ValueError(f"expected finite {what}; got {bad} rows with NaN or inf")
