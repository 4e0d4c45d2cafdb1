"""sRGB bytes from and to linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.compiled import compiled

STEPS = 16384


def to_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light 0…1 of sRGB 0…1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB 0…1 of linear light 0…1."""
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 1e-9) ** (1 / 2.4) - 0.055)


LINEAR = to_linear(np.arange(256) / 255).astype(np.float32)
"""Linear light of every byte."""

BYTES = np.rint(255 * to_srgb(np.arange(STEPS) / (STEPS - 1))).astype(np.uint8)
"""The byte of every step of linear light; a fifth of a byte at most lies between two steps."""


@compiled
def encoded(value: np.float32) -> np.uint8:
    """The byte of linear light; what is brighter than 1 is white."""
    step = int(value * np.float32(STEPS - 1) + np.float32(0.5))
    byte: np.uint8 = BYTES[min(max(step, 0), STEPS - 1)]
    return byte
