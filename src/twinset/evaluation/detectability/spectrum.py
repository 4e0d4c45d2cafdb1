"""What pictures are made of by frequency: power in rings, and peaks of the 8-pixel grid.

Upsampling layers leave too much or too little power at high frequencies (Durall et al. 2020, "Watch your
up-convolution"; Dzanic et al. 2020), and peaks at fixed frequencies that show best in a high-pass residual
(Corvi et al. 2023). JPEG leaves seams every 8 pixels. So the features of a picture are

* log₁₀(P + 1/12) of the mean power P per ring, of every channel and of the luminance's median residual.
  Pictures are windowed (Hann); P is scaled so that white noise of variance σ² has P = σ² at every frequency
  and any size. 1/12 is the variance of rounding to whole grey values: below that nothing is to be seen;
* log₁₀ of power at k/8 cycles per pixel (k = 1…4) over that of the 8 bins around it, along rows, along
  columns and on both diagonals, of the residual and of its magnitude (where seams of random sign show).

Rings are circles in cycles per pixel, equally wide up to Nyquist (½), and one for the corners beyond; so a
non-square picture is treated like a square one, and pictures of different size have the same features:
the ring up to a tenth of Nyquist always holds details of more than 20 pixels, however many bins that is. A ring
without a bin (small pictures) takes the value between its neighbours. Sizes still show: scaling a picture
moves its details to other rings, and small pictures have noisier rings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.residuals import check_batch, luminance, median_residual
from twinset.images import PixelBatch

Array = NDArray[np.float64]
ROUNDING = 1 / 12
GRID = 8
DIRECTIONS = ("rows", "columns", "diagonals")


@dataclass(frozen=True)
class Spectrum:
    """Settings: ``rings`` of equal width up to Nyquist; one more holds the corners."""

    rings: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.rings <= 256:
            raise ValueError(f"expected 2 ≤ rings ≤ 256; got {self.rings}")

    def names(self, channels: int) -> tuple[str, ...]:
        """The name of each of the F features of pictures with this many channels."""
        planes = (*(f"channel {number}" for number in range(channels)), "residual")
        parts = [f"ring {ring} of {plane}" for plane in planes for ring in range(self.rings + 1)]
        for kind in ("residual", "residual magnitude"):
            parts += [f"grid {k}/8 along {way} of {kind}" for way in DIRECTIONS for k in range(1, GRID // 2 + 1)]
        return tuple(parts)


def spectrum_features(pictures: PixelBatch, *, settings: Spectrum | None = None) -> Array:
    """float64 (B, F) of uint8 (B, H, W, 1 or 3) pictures; F = (C + 1)·(rings + 1) + 24 whatever H and W.

    Pictures under 16 pixels on a side have no grid peaks: those 24 features are 0. Memory is about 60 bytes
    a pixel of the batch. Raises ``ValueError`` for other dtypes or shapes and for sides under 8.

    >>> white = np.random.Generator(np.random.PCG64(0)).normal(128, 10, (8, 64, 64, 1)).round().astype(np.uint8)
    >>> rings = spectrum_features(white)[:, :17].mean(axis=0)
    >>> [round(float(value), 1) for value in (rings[5], rings[9], rings[16])]
    [2.0, 2.0, 2.0]
    """
    check_batch(pictures)
    rings = (settings or Spectrum()).rings
    planes = [pictures[..., channel].astype(np.float64) for channel in range(pictures.shape[3])]
    residual = median_residual(luminance(pictures))
    parts = [ring_power(plane, rings=rings) for plane in (*planes, residual)]
    return np.concatenate([*parts, grid_peaks(residual), grid_peaks(np.abs(residual))], axis=1)


def ring_power(planes: Array, *, rings: int) -> Array:
    """float64 (B, rings + 1): log₁₀(P + 1/12) per ring of planes (B, H, W) of grey values."""
    height, width = planes.shape[1:]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    centred = planes - (planes * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    power = np.abs(np.fft.rfft2(centred * window)) ** 2 / (window**2).sum()
    ring, weight = _ring_of_bins(height, width, rings)
    order = np.argsort(ring, kind="stable")
    held, starts = np.unique(ring[order], return_index=True)
    first = int(held[0] == -1)
    held, starts = held[first:], starts[first:]
    order, starts = order[starts[0] :], starts - starts[0]
    weighted = power.reshape(len(planes), -1)[:, order] * weight[order]
    means = np.add.reduceat(weighted, starts, axis=1) / np.add.reduceat(weight[order], starts)
    return _filled(np.log10(means + ROUNDING), held, rings + 1)


def _ring_of_bins(height: int, width: int, rings: int) -> tuple[NDArray[np.intp], Array]:
    """Ring (bins,) of every bin of ``rfft2``, −1 for the mean; and its bins in the whole transform."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    ring = np.minimum((radius * 2 * rings * (1 - 1e-12)).astype(np.intp), rings)
    ring[0, 0] = -1
    weight = np.full(radius.shape, 2.0)
    weight[:, 0] = 1.0
    if width % 2 == 0:
        weight[:, -1] = 1.0
    return ring.ravel(), weight.ravel()


def _filled(values: Array, held: NDArray[np.intp], count: int) -> Array:
    """Values (B, held) of some rings as (B, count): a ring between takes the straight line, one outside the nearest."""
    if len(held) == count:
        return values
    shares = np.stack([np.interp(np.arange(count), held, row) for row in np.eye(len(held))])
    return np.asarray(values @ shares)


def grid_peaks(planes: Array) -> Array:
    """float64 (B, 12): log₁₀ of power at k/8 cycles per pixel over the mean of the 8 bins around; 0 under 16 pixels.

    Planes (B, H, W) are cut at the right and at the bottom to multiples of 8, where k/8 falls on a bin. k = 1…4
    along rows (that is, of columns that repeat), along columns, and the mean of both diagonals.
    """
    height, width = (side // GRID * GRID for side in planes.shape[1:])
    if min(height, width) < 2 * GRID:
        return np.zeros((len(planes), len(DIRECTIONS) * GRID // 2))
    cut = planes[:, :height, :width]
    power = np.abs(np.fft.fft2(cut - cut.mean(axis=(1, 2), keepdims=True))) ** 2 / (height * width)
    multiples = np.arange(1, GRID // 2 + 1)
    down, right = multiples * (height // GRID), multiples * (width // GRID)
    none = np.zeros_like(multiples)
    diagonals = (_excess(power, down, right) + _excess(power, down, -right)) / 2
    return np.concatenate([_excess(power, none, right), _excess(power, down, none), diagonals], axis=1)


def _excess(power: Array, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """(B, K) log₁₀ of the power at K bins over the mean power of the 8 bins around each (frequencies wrap)."""
    height, width = power.shape[1:]
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    around = sum(power[:, (rows + i) % height, (columns + j) % width] for i, j in steps) / len(steps)
    return np.asarray(np.log10((power[:, rows % height, columns % width] + ROUNDING) / (around + ROUNDING)))
