"""From pixels to the features that a watermark lives in: a whitened picture folded to one tile, in a frequency band.

The mark is one small pattern repeated over the picture, so a crop only shifts it (Kalker, Depovere, Haitsma and Maes,
*A video watermarking system for broadcast monitoring*, SPIE 3657, 1999: folding and search over shifts). What the
picture itself shows is noise to the mark; a difference of Gaussians over its local strength flattens that noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels

Array = NDArray[np.float64]

TILE = 64
"""Side of the repeated pattern in pixels."""

SMALL = 64
"""Pictures whose shorter side is below this are marked in the fine band."""

CROPPED = 40
"""A picture with a shorter side from here to :data:`SMALL` may be a crop of one that was marked in the coarse band."""

LEAST_SIDE = 8
QUIET = 0.5
"""Added to the local strength, in grey values: where a picture is flat its noise does not count as much as edges."""

STRENGTH_RADIUS = 1.5
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Band:
    """Frequencies (cycles per pixel) of a mark, and the two Gaussians (σ in pixels) whose difference shows them."""

    name: str
    lowest: float
    highest: float
    narrow: float
    wide: float
    follows_texture: float
    """Power of the local contrast by which the mark is stronger in busy places; 0: the same everywhere."""

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """Row and column of every frequency in a tile's spectrum, (n / 2, 2); of two conjugate ones, the first."""
        rows, columns = np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE), indexing="ij")
        distance = np.hypot(rows, columns)
        first = (columns > 0) | ((columns == 0) & (rows > 0))
        return np.argwhere(first & (distance >= self.lowest) & (distance <= self.highest))

    @property
    def dimensions(self) -> int:
        """Length of a feature vector: real and imaginary part of every frequency."""
        return 2 * len(self.places)


COARSE = Band("coarse", 0.04, 0.22, 0.9, 1.8, 0.5)
FINE = Band("fine", 0.04, 0.35, 0.5, 1.0, 0.0)
BANDS = {band.name: band for band in (COARSE, FINE)}


def band_of(pixels: Pixels) -> Band:
    """The band that pictures of this size are marked in."""
    return FINE if min(pixels.shape[:2]) < SMALL else COARSE


def bands_of(pixels: Pixels) -> tuple[Band, ...]:
    """The bands that pictures of this size may have been marked in, before or after a crop."""
    return (FINE, COARSE) if CROPPED <= min(pixels.shape[:2]) < SMALL else (band_of(pixels),)


def luma(pixels: Pixels) -> Array:
    """Grey values 0…255 of uint8 (H, W, C), by ITU-R 601, as float64 (H, W)."""
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.float64)
    return np.asarray(pixels.astype(np.float64) @ np.array(_LUMA))


def blurred(values: Array, sigma: float) -> Array:
    """Gaussian of ``sigma`` pixels over (H, W), mirrored at the borders."""
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), dtype=np.float64)


def features(pixels: Pixels, band: Band) -> Array:
    """The picture's features in a band, (n,) float64 of length 1, or all 0 where it is flat."""
    grey = luma(pixels)
    shown = blurred(grey, band.narrow) - blurred(grey, band.wide)
    shown = shown / (np.sqrt(np.maximum(blurred(shown * shown, STRENGTH_RADIUS), 0.0)) + QUIET)
    found = _coefficients(_folded(shown), band)
    length = float(np.linalg.norm(found))
    return found / length if length > 0.0 else found


def pattern(carrier: Array, band: Band, height: int, width: int) -> Array:
    """A carrier (n,) as a picture, float64 (height, width): its tile, repeated from the upper left corner."""
    spectrum = np.zeros((TILE, TILE), dtype=np.complex128)
    half = len(band.places)
    rows, columns = band.places.T
    spectrum[rows, columns] = carrier[:half] + 1j * carrier[half:]
    spectrum[-rows, -columns] = np.conj(spectrum[rows, columns])
    tile = np.fft.ifft2(spectrum).real
    return np.tile(tile, (-(-height // TILE), -(-width // TILE)))[:height, :width]


def correlations(seen: Array, carriers: Array, band: Band) -> NDArray[np.float32]:
    """Inner products of features (n,) with carriers (K, n) at every shift: float32 (K, TILE, TILE), by one FFT each."""
    from scipy.fft import irfft2

    half, (rows, columns) = len(band.places), band.places.T
    spectrum = np.zeros((len(carriers), TILE, TILE // 2 + 1), dtype=np.complex64)
    products = (seen[:half] + 1j * seen[half:]) * (carriers[:, :half] - 1j * carriers[:, half:])
    spectrum[:, rows, columns] = products
    # Both of two conjugate frequencies lie in the first column, which a real transform takes as it is.
    upright = columns == 0
    spectrum[:, -rows[upright], 0] = np.conj(products[:, upright])
    return np.asarray(irfft2(spectrum, s=(TILE, TILE)) * np.float32(TILE * TILE / 2))


def _folded(values: Array) -> Array:
    """(H, W) cut into tiles from the upper left corner, and those added up."""
    height, width = values.shape
    whole = np.pad(values, ((0, -height % TILE), (0, -width % TILE)))
    return np.asarray(whole.reshape(-1, TILE, whole.shape[1] // TILE, TILE).sum(axis=(0, 2)))


def _coefficients(tile: Array, band: Band) -> Array:
    rows, columns = band.places.T
    spectrum = np.fft.fft2(tile)[rows, columns]
    return np.concatenate([spectrum.real, spectrum.imag])
