"""Our camera for renderers that know square pixels only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.tracing.layers import Light32

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A camera of one focal length: ``size`` (height, width), ``focal`` and ``centre`` (cx, cy) in its pixels.

    Where the picture's camera has two, more rows or columns are drawn, and averaged to the picture's.
    """

    picture: tuple[int, int]
    size: tuple[int, int]
    stretch: tuple[float, float]
    focal: float
    centre: tuple[float, float]
    pose: Floats

    @staticmethod
    def of(camera: Camera) -> View:
        """The same view in square pixels."""
        (fx, fy), (cx, cy), (height, width) = camera.focal, camera.centre, camera.size
        focal = max(fx, fy)
        down, across = focal / fy, focal / fx
        size = (int(np.ceil(height * down - 1e-9)), int(np.ceil(width * across - 1e-9)))
        return View(camera.size, size, (down, across), focal, (cx * across, cy * down), camera.pose)

    def resampled(self, drawn: Light32) -> Light32:
        """What was drawn (h, w, C) at the picture's size, by area."""
        if self.size == self.picture:
            return drawn
        rows, columns = (
            _areas(count, wanted, stretch)
            for count, wanted, stretch in zip(self.size, self.picture, self.stretch, strict=True)
        )
        return np.asarray(np.einsum("hi,ijc,wj->hwc", rows, drawn, columns, optimize=True), dtype=np.float32)


def _areas(drawn: int, wanted: int, stretch: float) -> Floats:
    """(wanted, drawn) the part of each wanted pixel that a drawn one covers."""
    starts, cells = np.arange(wanted)[:, None] * stretch, np.arange(drawn)[None, :]
    covered = np.minimum(starts + stretch, cells + 1) - np.maximum(starts, cells)
    return np.asarray(np.maximum(covered, 0) / stretch)
