"""sRGB from and to linear light (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light 0…1 of sRGB 0…1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB 0…1 of linear light 0…1."""
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 1e-9) ** (1 / 2.4) - 0.055)
