"""Exact nearest neighbours, block by block.

A float32 matrix product proposes candidates, float64 differences decide. So the product costs what a
product costs, while distances, ties and zeros are exact, and what one query gets does not depend on the
queries beside it, on block sizes or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.vectors import Features, Frame, check_vectors, exact_distances, pair_distances

__all__ = [
    "BLOCK",
    "Features",
    "NeighbourIndex",
    "Neighbours",
    "count_within",
    "mean_distance",
    "nearest",
    "nearest_both",
    "nearest_others",
]

Neighbours = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Euclidean distances (M, k), ascending, and the rows (M, k) they lead to; of equal distances the lowest row first."""

BLOCK = 2048
HELD = 2**26
"""References of so many entries or fewer are held in float32 as well (256 MiB); of more, block after block is made."""
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


def count_within(
    queries: Features, references: Features, radii: NDArray[np.float64], *, block: int = BLOCK
) -> NDArray[np.int64]:
    """How many references (N, D) lie no farther than each radius (R,) from each query (M, D): exactly, (M, R).

    >>> count_within(np.array([[0.0]]), np.array([[5.0], [-1.0], [1.0]]), np.array([0.5, 1.0])).tolist()
    [[0, 2]]
    """
    return NeighbourIndex(references, block=block).count_within(queries, radii)


def nearest_both(
    first: Features, second: Features, *, k: int, k_back: int, block: int = BLOCK
) -> tuple[Neighbours, Neighbours]:
    """What :func:`nearest` gives for ``first`` (M, D) in ``second`` (N, D), k ones, and back: for one product.

    Raises as :func:`nearest`.
    """
    sides = first, second
    for rows in sides:
        check_vectors(rows, "vectors", dimensions=(2,))
    if not (1 <= k <= len(second) and 1 <= k_back <= len(first)):
        raise ValueError(f"expected 1 ≤ k ≤ {len(second)} and ≤ {len(first)} back; got {k} and {k_back}")
    frame = Frame.of(sides, block)
    indices = [NeighbourIndex(rows, block=block, frame=frame) for rows in sides]
    there, back = _Proposals.none(len(first), k + 1 + _SPARE), _Proposals.none(len(second), k_back + 1 + _SPARE)
    for start, mine, norms in indices[0].parts():
        for begin, theirs, lengths in indices[1].parts():
            squares = torch.addmm(lengths[None, :] + norms[:, None], mine, theirs.T, alpha=-2.0)
            there.meet(start, begin, squares)
            back.meet(begin, start, squares.T.contiguous())
    return indices[1].settled(first, there, k), indices[0].settled(second, back, k_back)


@dataclass(frozen=True, eq=False)
class _Proposals:
    """Of every query about the ``count`` nearest seen so far: squared distances (M, count), ascending, and rows."""

    squares: torch.Tensor
    rows: torch.Tensor

    @staticmethod
    def none(queries: int, count: int) -> _Proposals:
        return _Proposals(torch.full((queries, count), torch.inf), torch.full((queries, count), -1))

    def meet(self, start: int, begin: int, squares: torch.Tensor) -> None:
        """Squared distances (B, C) of queries from ``start`` on to references from ``begin`` on."""
        part, count = slice(start, start + len(squares)), self.squares.shape[1]
        found, rows = squares.topk(min(count, squares.shape[1]), dim=1, largest=False)
        both = torch.cat([self.squares[part], found], dim=1)
        self.squares[part], order = both.topk(count, dim=1, largest=False)
        self.rows[part] = torch.cat([self.rows[part], rows + begin], dim=1).gather(1, order)


class NeighbourIndex:
    """References to be searched several times. Centred in float64, so a common offset costs the product no digits."""

    def __init__(self, references: Features, *, block: int = BLOCK, frame: Frame | None = None) -> None:
        check_vectors(references, "references", dimensions=(2,))
        self._references = references
        self._block = block
        self._frame = frame or Frame.of([references], block)
        self._held = tuple(self._scaled_parts()) if references.size <= HELD else None

    def nearest(self, queries: Features, *, k: int, exclude: NDArray[np.integer] | None = None) -> Neighbours:
        """As :func:`nearest`."""
        check_vectors(queries, "queries", dimensions=(2, 3))
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

    def count_within(self, queries: Features, radii: NDArray[np.float64]) -> NDArray[np.int64]:
        """As :func:`count_within`."""
        check_vectors(queries, "queries", dimensions=(2,))
        counts = np.zeros((len(queries), len(radii)), dtype=np.int64)
        wanted = ((radii / self._frame.scale) ** 2)[:, None]
        for start in range(0, len(queries), self._block):
            centred, error = self._scaled(queries[start : start + self._block])
            query = torch.from_numpy(centred.astype(np.float32))
            norms, error = (query**2).sum(dim=1, keepdim=True), error * 1.1  # the rounding of bounds included
            low, high = (torch.from_numpy((wanted + sign * error).astype(np.float32)) for sign in (-1, 1))
            for begin, reference, lengths in self.parts():
                squares = torch.addmm(lengths[None, :] + norms, query, reference.T, alpha=-2.0)
                for number, radius in enumerate(radii):
                    sure, near = squares <= low[number][:, None], squares <= high[number][:, None]
                    counts[start : start + len(query), number] += sure.sum(dim=1).numpy()
                    rows, columns = (near ^ sure).nonzero(as_tuple=True)
                    mine, theirs = rows.numpy() + start, columns.numpy() + begin
                    inside = pair_distances(queries, self._references, mine, theirs) <= radius
                    counts[:, number] += np.bincount(mine[inside], minlength=len(queries))
        return counts

    def parts(self) -> Iterable[tuple[int, torch.Tensor, torch.Tensor]]:
        """Of every block its first row, the references (B, D) in float32 about and over the frame, their squares."""
        return self._held or self._scaled_parts()

    def settled(self, queries: Features, found: _Proposals, k: int) -> Neighbours:
        """The k nearest of every query (M, D), given what was proposed."""
        distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
        for start in range(0, len(queries), self._block):
            part = slice(start, start + self._block)
            some = queries[part, None]
            count = min(found.rows.shape[1], len(self._references))
            squares, proposed = found.squares[part, :count].numpy(), found.rows[part, :count].numpy()
            banned, error = np.full(len(some), -1), self._scaled(some)[1]
            ways = np.zeros_like(proposed)
            distances[part], rows[part] = self._settle(some, squares, proposed, ways, banned, error, k)
        return distances, rows

    def _scaled(self, queries: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Queries (M, …, D) centred, over the scale; and how far off (M,) their squared float32 distances may be."""
        centred = np.subtract(queries, self._frame.centre, dtype=np.float64)
        centred /= self._frame.scale
        norms = np.einsum("...d,...d->...", centred, centred).reshape(len(queries), -1).max(axis=1)
        return centred, 8 * np.finfo(np.float32).eps * (4 + np.sqrt(queries.shape[-1])) * np.maximum(norms, 1.0)

    def _scaled_parts(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        for start in range(0, len(self._references), self._block):
            part = np.subtract(self._references[start : start + self._block], self._frame.centre, dtype=np.float64)
            part /= self._frame.scale
            reference = torch.from_numpy(part.astype(np.float32))
            yield start, reference, (reference**2).sum(dim=1)

    def _block_nearest(self, queries: Features, banned: NDArray[np.int64], k: int) -> Neighbours:
        """Propose in float32, decide in float64, and search exhaustively where float32 could not tell."""
        centred, error = self._scaled(queries)
        squares, rows, ways = self._propose(centred.astype(np.float32), k + 1 + _SPARE)
        return self._settle(queries, squares, rows, ways, banned, error, k)

    def _settle(
        self,
        queries: Features,
        squares: NDArray[np.float32],
        rows: NDArray[np.int64],
        ways: NDArray[np.int64],
        banned: NDArray[np.int64],
        error: NDArray[np.float64],
        k: int,
    ) -> Neighbours:
        distances, decided = self._decide(queries, rows, ways, self._needed(squares, rows, banned, error, k), k)
        if rows.shape[1] < len(self._references):
            unsure = squares[:, -1] <= (distances[:, -1] / self._frame.scale) ** 2 + error
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
        for start, reference, lengths in self.parts():
            square = torch.addmm(lengths[None, :] + norms, query, reference.T, alpha=-2.0)
            way = None
            if ways > 1:
                square, way = square.view(size, ways, len(reference)).min(dim=1)
            square, row = square.topk(min(count, len(reference)), dim=1, largest=False)
            best = torch.cat([best, square], dim=1)
            best_rows = torch.cat([best_rows, row + start], dim=1)
            best_ways = torch.cat([best_ways, torch.zeros_like(row) if way is None else way.gather(1, row)], dim=1)
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
        distances[mine, which] = pair_distances(variants, self._references, chosen, rows[mine, which])
        order = np.lexsort((rows, distances), axis=1)[:, :k]
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def _exhaustive(self, variants: Features, banned: int, k: int) -> Neighbours:
        distances = np.full(len(self._references), np.inf)
        for query in variants:
            for start in range(0, len(distances), self._block):
                part = slice(start, start + self._block)
                distances[part] = np.minimum(distances[part], exact_distances(query, self._references[part]))
        if banned >= 0:
            distances[banned] = np.inf
        order = np.argsort(distances, kind="stable")[:k]
        return distances[order], order
