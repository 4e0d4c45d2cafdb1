"""Colour, noise, blur and JPEG: pixels change, nothing moves, every label is kept.

Brightness, contrast, saturation and hue are one linear map of colours, so that a value is rounded and clipped once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Sample
from twinset.editing.origin import edited
from twinset.images import Pixels
from twinset.randomness import Stream

LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as :func:`twinset.images.convert_channels` weighs."""


@dataclass(frozen=True)
class Photometric:
    """Random colours, then noise, blur and JPEG artefacts, each of these three with probability ``share``.

    ``brightness``, ``contrast`` and ``saturation`` are largest relative changes, ``hue_degrees`` the largest turn about
    the grey axis. ``noise``: largest standard deviation in grey levels. ``blur``: largest σ of a Gaussian in pixels.
    ``jpeg``: lowest quality, 100 for no artefacts.
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue_degrees: float = 8.0
    noise: float = 6.0
    blur: float = 0.8
    jpeg: int = 60
    share: float = 0.3

    def __post_init__(self) -> None:
        changes = (self.brightness, self.contrast, self.saturation, self.share)
        if min(changes) < 0 or max(changes) > 1:
            raise ValueError(f"expected brightness, contrast, saturation and share in [0, 1]; got {self}")
        if not (0 <= self.hue_degrees <= 180 and 0 <= self.noise <= 128 and 0 <= self.blur <= 50):
            raise ValueError(f"expected hue_degrees ≤ 180, noise ≤ 128 and blur ≤ 50, none negative; got {self}")
        if not 1 <= self.jpeg <= 100:
            raise ValueError(f"expected jpeg in 1…100; got {self.jpeg}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A copy in other light; its annotation is the same."""
        pixels = self._recoloured(sample.pixels(), rng.child("colour").numpy())
        chosen = rng.child("degrade").numpy().random(3) < self.share
        if chosen[0]:
            pixels = self._blurred(pixels, rng.child("blur").numpy())
        if chosen[1]:
            pixels = self._noisy(pixels, rng.child("noise").numpy())
        if chosen[2]:
            pixels = self._compressed(pixels, rng.child("jpeg").numpy())
        return edited(sample, pixels, method="photometric", rng=rng)

    def _recoloured(self, pixels: Pixels, draws: np.random.Generator) -> Pixels:
        largest = (self.brightness, self.contrast, self.saturation)
        brightness, contrast, saturation = 1 + draws.uniform(-1, 1, size=3) * largest
        angle = math.radians(draws.uniform(-1, 1) * self.hue_degrees)
        if pixels.shape[2] == 1:
            middle = float(pixels.mean())
            line = contrast * brightness * np.arange(256) + (1 - contrast) * brightness * middle
            return np.asarray(np.clip(np.rint(line), 0, 255).astype(np.uint8)[pixels])
        matrix = contrast * brightness * colour_matrix(saturation, angle)
        middle = float(LUMA @ pixels.mean(axis=(0, 1)))
        return _recolour(pixels, matrix, (1 - contrast) * brightness * middle)

    def _blurred(self, pixels: Pixels, draws: np.random.Generator) -> Pixels:
        sigma = draws.uniform(0, self.blur)
        if sigma < 0.05:
            return pixels
        import cv2

        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8).reshape(pixels.shape)

    def _noisy(self, pixels: Pixels, draws: np.random.Generator) -> Pixels:
        sigma = np.float32(draws.uniform(0, self.noise))
        noise = sigma * draws.standard_normal(pixels.shape, dtype=np.float32)
        return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)

    def _compressed(self, pixels: Pixels, draws: np.random.Generator) -> Pixels:
        quality = int(draws.integers(self.jpeg, 101))
        if quality == 100:
            return pixels
        import cv2

        written, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert written
        grey = pixels.shape[2] == 1
        read = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR), dtype=np.uint8)
        return read[..., None] if grey else np.ascontiguousarray(read[..., ::-1])


def colour_matrix(saturation: float, angle: float) -> NDArray[np.float64]:
    """(3, 3): colours saturated by a factor and turned by an angle (radians) about the grey axis, which stays.

    >>> (colour_matrix(0.0, 0.0) @ [255, 0, 0]).round(2).tolist(), (colour_matrix(2, 1) @ [7, 7, 7]).round(9).tolist()
    ([76.24, 76.24, 76.24], [7.0, 7.0, 7.0])
    """
    grey = np.tile(LUMA, (3, 1))
    third, side = 1 / 3, math.sqrt(1 / 3)
    cross = np.array([[0, -side, side], [side, 0, -side], [-side, side, 0]])
    turn = math.cos(angle) * np.eye(3) + (1 - math.cos(angle)) * np.full((3, 3), third) + math.sin(angle) * cross
    return np.asarray((grey + saturation * (np.eye(3) - grey)) @ turn)


def _recolour(pixels: Pixels, matrix: NDArray[np.float64], offset: float) -> Pixels:
    import cv2

    affine = np.column_stack([matrix, np.full(3, offset)]).astype(np.float32)
    changed = cv2.transform(pixels.astype(np.float32), affine)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)
