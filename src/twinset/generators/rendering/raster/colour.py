"""sRGB bytes from and to linear light."""

from __future__ import annotations

import numpy as np

from twinset.generators.rendering.raster.compiled import inner
from twinset.generators.rendering.srgb import to_linear, to_srgb

__all__ = ["BYTES", "LINEAR", "STEPS", "encoded", "step_of", "to_linear", "to_srgb"]

STEPS = 16384


LINEAR = to_linear(np.arange(256) / 255).astype(np.float32)
"""Linear light of every byte."""

BYTES = np.rint(255 * to_srgb(np.arange(STEPS) / (STEPS - 1))).astype(np.uint8)
"""The byte of every step of linear light; a fifth of a byte at most lies between two steps."""


@inner
def step_of(value: np.float32) -> np.float32:
    """The step of linear light, rounded where it is made a whole number; what is brighter than 1 is white."""
    value = value if value > np.float32(0) else np.float32(0)
    value = value if value < np.float32(1) else np.float32(1)
    return value * np.float32(STEPS - 1) + np.float32(0.5)


@inner
def encoded(value: np.float32) -> np.uint8:
    """The byte of linear light."""
    byte: np.uint8 = BYTES[np.uint32(step_of(value))]
    return byte
