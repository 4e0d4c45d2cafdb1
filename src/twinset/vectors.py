"""Feature vectors: what they must be, exact distances between them, and a frame for float32 products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
"""(N, D) feature vectors, one row each, finite."""

IN_CACHE = 2**17
"""So many entries at once stay in a processor's cache."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What float32 vectors are taken about, and over: ``centre`` (D,) and a ``scale``, the largest norm or more."""

    centre: NDArray[np.float64]
    scale: float

    @staticmethod
    def of(sides: Sequence[Features], block: int) -> Frame:
        """The mean of all rows of these sets, and their largest distance from it."""
        means, counts = [mean_of(rows, block) for rows in sides], [len(rows) for rows in sides]
        centre = np.asarray(np.average(means, axis=0, weights=counts))
        largest = 0.0
        for rows in sides:
            for start in range(0, len(rows), block):
                part = np.subtract(rows[start : start + block], centre, dtype=np.float64)
                largest = max(largest, float(np.einsum("ij,ij->i", part, part).max()))
        return Frame(centre, largest**0.5 if largest > 0 else 1.0)


def exact_distances(queries: Features, references: Features) -> NDArray[np.float64]:
    """Distances (…,) of vectors (…, D) in float64, by differences: exact copies are at 0."""
    difference = np.subtract(queries, references, dtype=np.float64)
    root: NDArray[np.float64] = np.sqrt(np.square(difference, out=difference).sum(axis=-1))
    return root


def pair_distances(
    first: Features, second: Features, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Exact distances (P,) of rows (P,) of the one set and rows (P,) of the other."""
    found = np.empty(len(rows))
    # So few pairs at once that their differences stay in the processor's cache.
    step = max(16, IN_CACHE // first.shape[-1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        found[part] = exact_distances(first[rows[part]], second[columns[part]])
    return found


def mean_of(rows: Features, block: int) -> NDArray[np.float64]:
    """The mean (D,) of (N, D) rows in float64, read in blocks."""
    total = np.zeros(rows.shape[1], dtype=np.float64)
    for start in range(0, len(rows), block):
        total += rows[start : start + block].astype(np.float64).sum(axis=0)
    return total / len(rows)


def check_vectors(rows: Features, what: str, *, dimensions: tuple[int, ...]) -> None:
    """``ValueError`` for no vectors, other shapes than of so many dimensions, and values that are not finite floats."""
    if rows.ndim not in dimensions or 0 in rows.shape:
        raise ValueError(f"expected {what} as non-empty (N, D); got {rows.shape}")
    if not np.issubdtype(rows.dtype, np.floating):
        raise ValueError(f"expected {what} as floats; got {rows.dtype}; convert them first")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows.reshape(len(rows), -1))).any(axis=1).sum())
        raise ValueError(f"expected finite {what}; got {bad} rows with NaN or inf")
