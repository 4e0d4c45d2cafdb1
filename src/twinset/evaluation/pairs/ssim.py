"""Structural similarity of pairs (SSIM).

Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity",
eq. 13; with means μ, variances σ² and covariance σₓᵧ under a sliding window,

SSIM(x, y) = (2μₓμᵧ + C₁)(2σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁)(σₓ² + σᵧ² + C₂)),  C₁ = (.01 R)², C₂ = (.03 R)²

averaged over all places where the whole window fits, then over channels. Two windows are in use, which give different
figures for the same pictures: the paper's Gaussian one with weighted (biased) variances, and the uniform one that is
scikit-image's default, with n/(n − 1) variances. The settings of a score name the window. We differ from the paper in
that colour pictures are compared channel by channel, not by their luma, and in that nothing is downsampled before.

In place of x and y their sum s and difference d are windowed: 2μₓμᵧ = (μₛ² − μ_d²)/2, 2σₓᵧ = (σₛ² − σ_d²)/2, and the
denominators hold the same with plus. Four windowed means then do for the five of the formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.pairs.paired import Array, Pictures, check_pairs, mean_score, plane_means
from twinset.evaluation.pairs.windows import DESCRIPTIONS, SIDES, Sliding, Window
from twinset.scores import Score

NAME = "ssim"
K1, K2 = 0.01, 0.03
STRIP_PIXELS, FEWEST_ROWS = 1 << 16, 48
"""Pixels that are computed at once, few enough for the processor's cache; rows, so that strips overlap by little."""


def ssim_values(first: Pictures, second: Pictures, *, data_range: float, window: Window = "gaussian") -> Array:
    """SSIM, float64 (B,) in [−1, 1], of pairs (B, H, W, C); 1 for equal pictures.

    ``data_range`` is the distance of the smallest from the largest possible value: 255 for uint8. Raises
    ``ValueError`` for pictures smaller than the window (11 or 7 pixels).

    Two flat pictures have no structure to compare: what is left is (2 · 100 · 150 + C₁)/(100² + 150² + C₁).

    >>> dark, light = np.full((1, 16, 16, 1), 100, dtype=np.uint8), np.full((1, 16, 16, 1), 150, dtype=np.uint8)
    >>> round(float(ssim_values(dark, light, data_range=255)[0]), 6)
    0.923092
    """
    check_pairs(first, second, data_range=data_range)
    if min(first.shape[1:3]) < SIDES[window]:
        raise ValueError(f"expected {_too_small(first, window)}; use larger pictures")
    return plane_means(first, second, partial(similarities, data_range=data_range, window=window))


def similarities(first: Pictures, second: Pictures, *, data_range: float, window: Window) -> Array:
    """Mean SSIM (N,) of planes (N, H, W), uint8 or float, over the places where the window fits."""
    constants = 2 * (K1 * data_range) ** 2, 2 * (K2 * data_range) ** 2
    totals = np.zeros(len(first))
    for part, square, gap, spread, rest in _moments(first, second, window):
        over, under = _terms(square, gap, constants[0])
        factor, divisor = _terms(spread, rest, constants[1])
        over *= factor
        under *= divisor
        over /= under
        totals[part] += over.reshape(len(over), -1).sum(axis=1)
    return totals / _places(first, window)


def structures(first: Pictures, second: Pictures, *, data_range: float, window: Window) -> Array:
    """Mean contrast–structure (2σₓᵧ + C₂)/(σₓ² + σᵧ² + C₂), (N,), of planes (N, H, W), as :func:`similarities`."""
    totals = np.zeros(len(first))
    for part, _, _, spread, rest in _moments(first, second, window):
        over, under = _terms(spread, rest, 2 * (K2 * data_range) ** 2)
        over /= under
        totals[part] += over.reshape(len(over), -1).sum(axis=1)
    return totals / _places(first, window)


def _places(planes: Pictures, window: Window) -> int:
    reach = SIDES[window] - 1
    return int((planes.shape[1] - reach) * (planes.shape[2] - reach))


def _moments(first: Pictures, second: Pictures, window: Window) -> Iterator[tuple[slice, Array, Array, Array, Array]]:
    """Which planes, and their windowed μₛ², μ_d², σₛ² and σ_d², each (n, h, w), by strips; the memory is reused."""
    (count, height, width), reach = first.shape, SIDES[window] - 1
    strip = min(height - reach, max(FEWEST_ROWS, STRIP_PIXELS // width))
    planes = max(1, STRIP_PIXELS // ((strip + reach) * width))
    maps = np.empty(4 * min(planes, count) * (strip + reach) * width)
    whole = np.empty(maps.size // 4, dtype=np.int16)
    sliding = Sliding(window, maps.size)
    samples = SIDES[window] ** 2
    for begin in range(0, count, planes):
        part = slice(begin, min(begin + planes, count))
        for top in range(0, height - reach, strip):
            rows = slice(top, min(top + strip, height - reach) + reach)
            shape = (part.stop - begin, rows.stop - top, width)
            size = shape[0] * shape[1] * shape[2]
            block = maps[: 4 * size].reshape(4, *shape)
            _fill(block, first[part, rows], second[part, rows], whole[:size].reshape(shape))
            means = sliding.means(block.reshape(-1, *shape[1:]))
            means = means.reshape(4, shape[0], *means.shape[1:])
            np.multiply(means[:2], means[:2], out=means[:2])
            np.subtract(means[2:], means[:2], out=means[2:])
            if window == "uniform":
                means[2:] *= samples / (samples - 1)
            yield part, means[0], means[1], means[2], means[3]


def _fill(block: Array, first: Pictures, second: Pictures, whole: NDArray[np.int16]) -> None:
    """s, d, s² and d² into ``block`` (4, n, H, W); of bytes by way of ``whole`` (n, H, W), which is twice as fast."""
    for number, operation in enumerate((np.add, np.subtract)):
        if first.dtype == second.dtype == np.uint8:
            operation(first, second, out=whole, dtype=np.int16)
            block[number] = whole
        else:
            operation(first, second, out=block[number], dtype=np.float64)
    np.multiply(block[:2], block[:2], out=block[2:])


def _terms(plus: Array, minus: Array, constant: float) -> tuple[Array, Array]:
    """plus − minus + c, and plus + minus + c in the memory of ``plus``."""
    plus += constant
    over = plus - minus
    plus += minus
    return over, plus


def ssim(first: Pictures, second: Pictures, *, data_range: float, window: Window = "gaussian") -> Score:
    """The mean SSIM of pairs (B, H, W, C) with its interval; higher is closer. Undefined for too small pictures."""
    check_pairs(first, second, data_range=data_range)
    small = min(first.shape[1:3]) < SIDES[window]
    return mean_score(
        NAME,
        np.empty(0) if small else ssim_values(first, second, data_range=data_range, window=window),
        higher_is_better=True,
        bounds=(-1.0, 1.0),
        settings={**settings_of(window, data_range), "channels": first.shape[3]},
        undefined_because=f"needs {_too_small(first, window)}" if small else "",
    )


def settings_of(window: Window, data_range: float) -> dict[str, str | int | float]:
    """What fixes the figure, for the settings of a score."""
    covariance = "weighted" if window == "gaussian" else "n - 1"
    return {"window": DESCRIPTIONS[window], "covariance": covariance, "data_range": data_range, "k1": K1, "k2": K2}


def _too_small(pictures: Pictures, window: Window) -> str:
    side = SIDES[window]
    return f"pictures of at least {side} x {side} pixels; got {pictures.shape[1]} x {pictures.shape[2]}"


@dataclass(frozen=True)
class StructuralSimilarity:
    """:func:`ssim` as a metric."""

    window: Window = "gaussian"
    data_range: float = 255.0

    def __post_init__(self) -> None:
        if self.window not in SIDES or not self.data_range > 0:
            raise ValueError(f"expected a window out of {', '.join(SIDES)} and data_range > 0; got {self}")

    def score(self, first: Pictures, second: Pictures) -> Score:
        """One score, ``ssim``."""
        return ssim(first, second, data_range=self.data_range, window=self.window)
