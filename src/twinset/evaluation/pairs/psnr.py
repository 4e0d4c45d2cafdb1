"""Peak signal-to-noise ratio: the mean squared error of a pair, in decibels below the largest possible.

PSNR = 10 log₁₀ (R² / mean over pixels and channels of (x − y)²), with R the range of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.evaluation.pairs.paired import Array, Pictures, check_pairs, mean_score, plane_means
from twinset.scores import Score

NAME = "psnr"


def psnr_values(first: Pictures, second: Pictures, *, data_range: float) -> Array:
    """PSNR in dB, float64 (B,), of pairs (B, H, W, C); infinite where both pictures are equal.

    ``data_range`` is the distance of the smallest from the largest possible value: 255 for uint8.

    >>> black, grey = np.zeros((1, 2, 2, 1), dtype=np.uint8), np.full((1, 2, 2, 1), 51, dtype=np.uint8)
    >>> round(float(psnr_values(black, grey, data_range=255)[0]), 4)  # 10 log₁₀ (255² / 51²) = 20 log₁₀ 5
    13.9794
    """
    check_pairs(first, second, data_range=data_range)
    errors = plane_means(first, second, _errors)
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(data_range**2 / errors))


def _errors(left: Pictures, right: Pictures) -> Array:
    """The mean squared differences (N,) of planes (N, H, W)."""
    differences = np.subtract(left, right, dtype=np.float64).reshape(len(left), -1)
    return np.asarray(np.einsum("ij,ij->i", differences, differences) / differences.shape[1])


def psnr(first: Pictures, second: Pictures, *, data_range: float) -> Score:
    """The mean PSNR of pairs (B, H, W, C) in dB with its interval; higher is closer.

    Equal pictures, of infinite PSNR, are left out of the mean and counted in a warning.
    """
    values = psnr_values(first, second, data_range=data_range)
    finite = values[np.isfinite(values)]
    equal = len(values) - len(finite)
    return mean_score(
        NAME,
        finite,
        higher_is_better=True,
        settings={"data_range": data_range, "unit": "dB", "equal_pairs": equal},
        undefined_because="both pictures of every pair are equal: PSNR is infinite"
        if equal and not finite.size
        else "",
        warnings=(f"{equal} pairs of equal pictures (infinite PSNR) are left out",) if equal else (),
    )


@dataclass(frozen=True)
class PeakSignalToNoise:
    """:func:`psnr` as a metric."""

    data_range: float = 255.0

    def __post_init__(self) -> None:
        if not self.data_range > 0:
            raise ValueError(f"expected data_range > 0; got {self.data_range}; 255 for uint8, 1 for floats in [0, 1]")

    def score(self, first: Pictures, second: Pictures) -> Score:
        """One score, ``psnr``."""
        return psnr(first, second, data_range=self.data_range)
