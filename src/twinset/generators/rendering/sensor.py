"""What a lens and a sensor do to a picture: radial distortion (labels alike), blur, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.camera import Camera
from twinset.images import Pixels

Floats = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
STEPS = 30
LEAST_SLOPE = 0.05
"""Of the ideal radius by the distorted one, beyond the picture."""


@dataclass(frozen=True, eq=False)
class Lens:
    """A camera with radial distortion (Brown 1966, first term).

    A point at radius r of the distorted picture shows what would be at r (1 + k1 r²) of the ideal one; r = 1 is half
    the diagonal. k1 > 0 is a barrel: the picture shows more. ``camera`` is the ideal one, of the picture's size.
    """

    camera: Camera
    k1: float = 0.0

    def __post_init__(self) -> None:
        if not -0.3 <= self.k1 <= 0.4:
            raise ValueError(f"expected k1 in −0.3…0.4, where the picture does not fold; got {self.k1}")

    @cached_property
    def wide(self) -> Camera:
        """The ideal camera that sees all that the lens sees: the same view with a margin on every side."""
        if self.k1 <= 0:
            return self.camera
        height, width = self.camera.size
        across, down = (int(np.ceil(side * self.k1 / 2)) + 1 for side in (width, height))
        (cx, cy) = self.camera.centre
        return replace(self.camera, size=(height + 2 * down, width + 2 * across), centre=(cx + across, cy + down))

    @cached_property
    def _sources(self) -> Floats:
        """(H, W, 2) where in the wide picture each pixel's centre comes from."""
        height, width = self.camera.size
        grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
        return self._ideal(grid) + self._margin

    @property
    def _margin(self) -> Floats:
        return np.subtract(self.wide.centre, self.camera.centre)

    @property
    def _middle(self) -> Floats:
        return np.array([self.camera.size[1], self.camera.size[0]]) / 2

    def _ideal(self, pixels: Floats) -> Floats:
        away = pixels - self._middle
        r2 = (away**2).sum(-1, keepdims=True) / (self._middle**2).sum()
        return np.asarray(self._middle + away * (1 + self.k1 * r2))

    def picture(self, wide: Pixels) -> Pixels:
        """A wide picture uint8 through the lens, interpolated."""
        if self.k1 == 0:
            return wide
        at = (self._sources - 0.5).astype(np.float32)
        found = cv2.remap(wide, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, dtype=np.uint8)

    def labels(self, wide: NDArray[Scalar]) -> NDArray[Scalar]:
        """Anything per pixel (h, w, …) of the wide picture through the lens, as it is at each pixel's centre."""
        if self.k1 == 0:
            return wide
        height, width = self.wide.size
        columns = np.clip(self._sources[..., 0].astype(np.int64), 0, width - 1)
        rows = np.clip(self._sources[..., 1].astype(np.int64), 0, height - 1)
        return wide[rows, columns]

    def project(self, points: ArrayLike) -> tuple[Floats, Floats]:
        """As :meth:`Camera.project`, into the distorted picture.

        >>> camera = Camera((100, 100), (50.0, 50.0), (50.0, 50.0), np.eye(4))
        >>> Lens(camera, 0.1).project([[0.8, 0.0, 1.0]])[0].round(2).tolist()  # r (1 + r²/10) is .8/√2
        [[88.83, 50.0]]
        """
        pixels, depth = self.camera.project(points)
        if self.k1 == 0:
            return pixels, depth
        away = pixels - self._middle
        wanted = np.sqrt((away**2).sum(-1) / (self._middle**2).sum())
        radius = self._radius(wanted)
        with np.errstate(invalid="ignore"):
            share = np.where(wanted > 0, radius / np.where(wanted > 0, wanted, 1), 1.0)
        return np.asarray(self._middle + away * share[..., None]), depth

    def _radius(self, ideal: Floats) -> Floats:
        """(N,) radii of the distorted picture for those of the ideal one, by Newton from the side where it converges.

        A pincushion (k1 < 0) folds beyond the picture's corners: from where it nearly does, it goes on straight.
        """
        last = np.sqrt((1 - LEAST_SLOPE) / (-3 * self.k1)) if self.k1 < 0 else np.inf
        radius = np.minimum(ideal, last if self.k1 < 0 else np.cbrt(ideal / self.k1))
        for _ in range(STEPS):
            step = (radius * (1 + self.k1 * radius**2) - ideal) / (1 + 3 * self.k1 * radius**2)
            radius = np.minimum(radius - step, last)
        beyond = ideal - last * (1 + self.k1 * last**2)
        return np.asarray(radius + np.maximum(beyond, 0) / LEAST_SLOPE)


def sensed(pixels: Pixels, draws: np.random.Generator, *, blur: float, noise: float, jpeg_quality: int) -> Pixels:
    """The picture uint8 (H, W, 3) blurred (standard deviation in pixels), with normal noise (levels), JPEG coded."""
    found = pixels
    if blur > 0.05:
        found = np.asarray(cv2.GaussianBlur(found, (0, 0), blur), dtype=np.uint8)
    if noise > 0:
        grains = draws.standard_normal(found.shape, dtype=np.float32) * np.float32(noise)
        found = np.clip(np.rint(found + grains), 0, 255).astype(np.uint8)
    if jpeg_quality < 100:
        done, data = cv2.imencode(".jpg", found[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
        assert done
        found = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])
    return found
