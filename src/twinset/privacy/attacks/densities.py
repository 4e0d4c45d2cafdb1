"""Kernel densities of many images at once, in logarithms and in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures, copy_features
from twinset.privacy.attacks.figures import log_mean_exp

Array = NDArray[np.float64]
BLOCK = 512


def as_rows(pictures: Pictures) -> NDArray[np.floating]:
    """Features as they are; pictures as :func:`twinset.copying.copy_features`."""
    if pictures.dtype == np.uint8:
        return copy_features(pictures)  # type: ignore[arg-type]
    return pictures  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Whitening:
    """Principal axes (D, d) of some rows, divided by the standard deviation along each, and their mean (D,)."""

    mean: Array
    axes: Array

    @staticmethod
    def of(rows: NDArray[np.floating], *, most: int) -> Whitening:
        """Of (N, D) rows, N ≥ 2: at most ``most`` axes, those along which they vary most; at least one."""
        wide = np.asarray(rows, dtype=np.float64)
        mean = wide.mean(axis=0)
        _, lengths, axes = np.linalg.svd(wide - mean, full_matrices=False)
        kept = np.flatnonzero(lengths > 1e-6 * max(lengths[0], 1e-300))[:most]
        if not len(kept):
            return Whitening(mean, np.zeros((wide.shape[1], 1)))
        return Whitening(mean, axes[kept].T * (np.sqrt(len(wide) - 1) / lengths[kept]))

    def of_rows(self, rows: NDArray[np.floating]) -> Array:
        """Coordinates (N, d)."""
        return np.asarray((np.asarray(rows, dtype=np.float64) - self.mean) @ self.axes)


def log_density(points: Array, centres: Array, *, bandwidth: float) -> Array:
    """log of the mean of exp(−‖x − c‖² / 2h²) over ``centres`` (M, d), float64 (N,), for ``points`` (N, d).

    Without the factor that only depends on d and h: densities of equal d and h compare.

    >>> (log_density(np.array([[0.0], [3.0]]), np.array([[0.0]]), bandwidth=1.0) + 0).tolist()
    [0.0, -4.5]
    """
    found = np.empty(len(points))
    norms = (centres**2).sum(axis=1)
    for start in range(0, len(points), BLOCK):
        some = points[start : start + BLOCK]
        squares = np.maximum((some**2).sum(axis=1)[:, None] + norms - 2 * some @ centres.T, 0.0)
        found[start : start + BLOCK] = log_mean_exp(-squares / (2 * bandwidth**2))
    return found


def scott(count: int, dimension: int) -> float:
    """Scott's bandwidth of ``count`` whitened points: n^(−1/(d + 4)) (Scott 1992)."""
    return float(count ** (-1.0 / (dimension + 4)))
