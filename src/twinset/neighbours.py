"""Exact nearest neighbours, block by block.

A float32 matrix product proposes candidates, float64 differences decide. So the product costs what a
product costs, while distances, ties and zeros are exact, and what one query gets does not depend on the
queries beside it, on block sizes or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

Features = NDArray[np.floating]
"""(N, D) feature vectors, one row each, finite."""

Neighbours = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Euclidean distances (M, k), ascending, and the rows (M, k) they lead to; of equal distances the lowest row first."""

BLOCK = 2048
_SPARE = 8


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
    the inputs is O(block · (block + D)), whatever M and N.

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


class NeighbourIndex:
    """References to be searched several times. Centred in float64, so a common offset costs the product no digits."""

    def __init__(self, references: Features, *, block: int = BLOCK) -> None:
        _check(references, "references", dimensions=(2,))
        self._references = references
        self._block = block
        self._centre = _mean(references, block)
        largest = max(float((part**2).sum(axis=1).max()) for _, part in self._centred_parts())
        self._scale = np.sqrt(largest) if largest > 0 else 1.0

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

    def _centred_parts(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        for start in range(0, len(self._references), self._block):
            yield start, self._references[start : start + self._block].astype(np.float64) - self._centre

    def _block_nearest(self, queries: Features, banned: NDArray[np.int64], k: int) -> Neighbours:
        """Propose in float32, decide in float64, and search exhaustively where float32 could not tell."""
        centred = (queries.astype(np.float64) - self._centre) / self._scale
        squares, rows, ways = self._propose(centred.astype(np.float32), k + 1 + _SPARE)
        distances, decided = self._decide(queries, rows, ways, banned, k)
        if rows.shape[1] < len(self._references):
            largest = np.maximum((centred**2).sum(axis=-1).max(axis=1), 1.0)
            error = 8 * np.finfo(np.float32).eps * (4 + np.sqrt(queries.shape[-1])) * largest
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
        for start, part in self._centred_parts():
            reference = torch.from_numpy((part / self._scale).astype(np.float32))
            square = torch.addmm((reference**2).sum(dim=1)[None, :] + norms, query, reference.T, alpha=-2.0)
            square, way = square.view(size, ways, len(part)).min(dim=1)
            square, row = square.topk(min(count, len(part)), dim=1, largest=False)
            best = torch.cat([best, square], dim=1)
            best_rows = torch.cat([best_rows, row + start], dim=1)
            best_ways = torch.cat([best_ways, way.gather(1, row)], dim=1)
            best, order = best.topk(min(count, best.shape[1]), dim=1, largest=False)
            best_rows, best_ways = best_rows.gather(1, order), best_ways.gather(1, order)
        return best.numpy(), best_rows.numpy(), best_ways.numpy()

    def _decide(
        self,
        queries: Features,
        rows: NDArray[np.int64],
        ways: NDArray[np.int64],
        banned: NDArray[np.int64],
        k: int,
    ) -> Neighbours:
        """Exact distances to the proposed rows at the proposed variants, sorted by (distance, row)."""
        distances = np.empty(rows.shape, dtype=np.float64)
        step = max(1, self._block // rows.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            chosen = np.take_along_axis(queries[part], ways[part][:, :, None], axis=1)
            distances[part] = _exact(chosen, self._references[rows[part]])
        distances[rows == banned[:, None]] = np.inf
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
    difference = queries.astype(np.float64) - references.astype(np.float64)
    root: NDArray[np.float64] = np.sqrt((difference**2).sum(axis=-1))
    return root


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
