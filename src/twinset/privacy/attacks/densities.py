"""Kernel densities of many images at once, in logarithms and in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 1024
ROWS = 128
"""Points at once, so that the exponents of a block of centres stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """Principal axes (D, d) of some rows, divided by the standard deviation along each, and their mean (D,)."""

    mean: Array
    axes: Array

    @staticmethod
    def of(rows: NDArray[np.floating], *, most: int) -> Whitening:
        """Of (N, D) rows, N ≥ 2: at most ``most`` axes, those along which they vary most; at least one."""
        mean = rows.mean(axis=0, dtype=np.float64)
        count, dimension = rows.shape
        if count <= dimension:
            _, lengths, axes = np.linalg.svd(rows - mean, full_matrices=False)
        else:
            lengths, axes = _principal(rows, mean, most)
        kept = np.flatnonzero(lengths > 1e-6 * max(lengths[0], 1e-300))[:most]
        if not len(kept):
            return Whitening(mean, np.zeros((dimension, 1)))
        return Whitening(mean, axes[kept].T * (np.sqrt(count - 1) / lengths[kept]))

    def of_rows(self, rows: NDArray[np.floating]) -> Array:
        """Coordinates (N, d)."""
        parts = [(rows[start : start + BLOCK] - self.mean) @ self.axes for start in range(0, len(rows), BLOCK)]
        return np.concatenate(parts).astype(np.float64, copy=False)


def _principal(rows: NDArray[np.floating], mean: Array, most: int) -> tuple[Array, Array]:
    """The ``most`` largest singular values and their right vectors of many centred rows, from sums of products."""
    from scipy.linalg import eigh

    products = np.zeros((len(mean), len(mean)))
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        products += centred.T @ centred
    values, vectors = eigh(products, subset_by_index=(max(0, len(mean) - most), len(mean) - 1))
    return np.sqrt(np.maximum(values[::-1], 0.0)), vectors[:, ::-1].T


def log_density(points: Array, centres: Array, *, bandwidth: float) -> Array:
    """log of the mean of exp(−‖x − c‖² / 2h²) over ``centres`` (M, d), float64 (N,), for ``points`` (N, d).

    Without the factor that only depends on d and h: densities of equal d and h compare.

    >>> (log_density(np.array([[0.0], [3.0]]), np.array([[0.0]]), bandwidth=1.0) + 0).tolist()
    [0.0, -4.5]
    """
    left, right = _extended(points, bandwidth), _extended(centres, bandwidth)
    right[:, [-2, -1]] = right[:, [-1, -2]]
    sums = np.full(len(points), -np.inf)
    for start in range(0, len(points), ROWS):
        part = slice(start, start + ROWS)
        for first in range(0, len(centres), BLOCK):
            exponents = left[part] @ right[first : first + BLOCK].T
            np.minimum(exponents, 0.0, out=exponents)
            largest = exponents.max(axis=1)
            exponents -= largest[:, None]
            np.exp(exponents, out=exponents)
            sums[part] = np.logaddexp(sums[part], np.log(exponents.sum(axis=1)) + largest)
    return np.asarray(sums - np.log(len(centres)))


def _extended(rows: Array, bandwidth: float) -> Array:
    """Rows (a/h, −‖a‖²/2h², 1): with the norms inside it, one matrix product makes the whole exponent."""
    scaled = rows / bandwidth
    return np.concatenate([scaled, -0.5 * (scaled**2).sum(axis=1)[:, None], np.ones((len(rows), 1))], axis=1)


def scott(count: int, dimension: int) -> float:
    """Scott's bandwidth of ``count`` whitened points: n^(−1/(d + 4)) (Scott 1992)."""
    return float(count ** (-1.0 / (dimension + 4)))
