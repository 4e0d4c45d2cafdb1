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

    ``queries`` (M, D), ``references`` (N, D). ``exclude`` (M,) names one reference row for each query that
    does not count, or −1. Working memory is O(block · (block + D)) beside the inputs in float32.

    Raises ``ValueError`` for other shapes, values that are not finite, or fewer than k references.

    >>> nearest(np.array([[0.0]]), np.array([[5.0], [-1.0], [1.0]]), k=2)
    (array([[1., 1.]]), array([[1, 2]]))
    """
    queries, references = _checked(queries, "queries"), _checked(references, "references")
    if queries.shape[1] != references.shape[1]:
        raise ValueError(f"expected vectors of one length; got {queries.shape[1]} and {references.shape[1]}")
    available = len(references) - (exclude is not None)
    if not 1 <= k <= available:
        raise ValueError(f"expected 1 ≤ k ≤ {available} references; got k = {k}; use a smaller k or more images")
    if exclude is not None and np.shape(exclude) != (len(queries),):
        raise ValueError(f"expected one excluded row for each of {len(queries)} queries; got {np.shape(exclude)}")
    banned = np.full(len(queries), -1) if exclude is None else np.asarray(exclude, dtype=np.int64)
    distances = np.empty((len(queries), k), dtype=np.float64)
    rows = np.empty((len(queries), k), dtype=np.int64)
    search = _Search(references, block)
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        distances[part], rows[part] = search.nearest(queries[part], banned[part], k)
    return distances, rows


def nearest_others(points: Features, *, k: int, block: int = BLOCK) -> Neighbours:
    """The k nearest *other* points of every point (N, D): as :func:`nearest`, a point never being its own neighbour."""
    return nearest(points, points, k=k, exclude=np.arange(len(points)), block=block)


def mean_distance(queries: Features, references: Features, *, k: int, block: int = BLOCK) -> NDArray[np.float64]:
    """Mean Euclidean distance (M,) of every query to its k nearest references: small where real images are dense."""
    mean: NDArray[np.float64] = nearest(queries, references, k=k, block=block)[0].mean(axis=1)
    return mean


class _Search:
    """References, centred once in float64 so that a common offset costs no digits of the float32 product."""

    def __init__(self, references: Features, block: int) -> None:
        self._references = references
        self._block = block
        self._centre = _mean(references, block)
        self._norms = np.concatenate([(part**2).sum(axis=1) for _, part in self._parts()])
        self._largest = float(self._norms.max())

    def _centred(self, rows: Features) -> NDArray[np.float64]:
        return np.asarray(rows, dtype=np.float64) - self._centre

    def _parts(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        for start in range(0, len(self._references), self._block):
            yield start, self._centred(self._references[start : start + self._block])

    def nearest(self, queries: Features, banned: NDArray[np.int64], k: int) -> Neighbours:
        """Propose in float32, decide in float64, and search exhaustively where float32 could not tell."""
        centred = self._centred(queries)
        norms = (centred**2).sum(axis=1)
        scale = max(self._largest, float(norms.max(initial=0.0)), np.finfo(np.float64).tiny)
        proposed, rows = self._propose(centred / np.sqrt(scale), scale, k)
        distances, rows = self._decide(queries, rows, banned, k)
        if proposed.shape[1] < len(self._references):
            error = 4 * np.finfo(np.float32).eps * (4 + np.sqrt(queries.shape[1]))
            unsure = proposed[:, -1] <= distances[:, -1] ** 2 / scale + error
            for row in np.flatnonzero(unsure):
                distances[row], rows[row] = self._exhaustive(queries[row], int(banned[row]), k)
        return distances, rows

    def _propose(self, centred: NDArray[np.float64], scale: float, k: int) -> Neighbours:
        """Squared distances / scale, approximate, and rows of the k + a few smallest, (M, ≤ k + 1 + _SPARE)."""
        query = torch.from_numpy(centred.astype(np.float32))
        best = torch.empty((len(centred), 0))
        best_rows = torch.empty((len(centred), 0), dtype=torch.int64)
        norms = torch.from_numpy((centred**2).sum(axis=1).astype(np.float32))[:, None]
        for start, part in self._parts():
            reference = torch.from_numpy((part / np.sqrt(scale)).astype(np.float32))
            square = (reference**2).sum(dim=1)[None, :] + norms - 2.0 * (query @ reference.T)
            at = torch.arange(start, start + len(part)).expand(len(centred), -1)
            joined, joined_rows = torch.cat([best, square], dim=1), torch.cat([best_rows, at], dim=1)
            best, order = joined.topk(min(k + 1 + _SPARE, joined.shape[1]), dim=1, largest=False)
            best_rows = joined_rows.gather(1, order)
        return best.numpy().astype(np.float64), best_rows.numpy()

    def _decide(self, queries: Features, rows: NDArray[np.int64], banned: NDArray[np.int64], k: int) -> Neighbours:
        """Exact distances to the proposed rows, sorted by (distance, row)."""
        distances = np.empty(rows.shape, dtype=np.float64)
        step = max(1, self._block // rows.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            distances[part] = _exact(np.asarray(queries[part])[:, None, :], self._references[rows[part]])
        distances[rows == banned[:, None]] = np.inf
        order = np.lexsort((rows, distances), axis=1)[:, :k]
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def _exhaustive(self, query: Features, banned: int, k: int) -> Neighbours:
        distances = np.empty(len(self._references), dtype=np.float64)
        for start in range(0, len(distances), self._block):
            part = slice(start, start + self._block)
            distances[part] = _exact(query, self._references[part])
        if banned >= 0:
            distances[banned] = np.inf
        order = np.argsort(distances, kind="stable")[:k]
        return distances[order], order


def _exact(queries: Features, references: Features) -> NDArray[np.float64]:
    difference = np.asarray(queries, dtype=np.float64) - np.asarray(references, dtype=np.float64)
    root: NDArray[np.float64] = np.sqrt((difference**2).sum(axis=-1))
    return root


def _mean(rows: Features, block: int) -> NDArray[np.float64]:
    total = np.zeros(rows.shape[1], dtype=np.float64)
    for start in range(0, len(rows), block):
        total += np.asarray(rows[start : start + block], dtype=np.float64).sum(axis=0)
    return total / len(rows)


def _checked(rows: Features, what: str) -> Features:
    if rows.ndim != 2 or not len(rows) or not rows.shape[1]:
        raise ValueError(f"expected {what} as non-empty (N, D); got {rows.shape}")
    if not np.issubdtype(rows.dtype, np.floating):
        raise ValueError(f"expected {what} as floats; got {rows.dtype}; convert them first")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        raise ValueError(f"expected finite {what}; got {bad} rows with NaN or inf")
    return rows
