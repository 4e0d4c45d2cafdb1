"""Windowed means of pictures, at every place where the whole window fits.

A separable window is applied along columns and along rows by OpenCV, in float64. Maps lie one below the other as one
tall picture: places where the window spans two of them are computed as well, and left out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Window = Literal["gaussian", "uniform"]
"""``gaussian``: 11 × 11, σ = 1.5 pixels (Wang et al. 2004). ``uniform``: 7 × 7, all weights equal."""

SIDES: dict[Window, int] = {"gaussian": 11, "uniform": 7}
DESCRIPTIONS: dict[Window, str] = {"gaussian": "gaussian 11 x 11, sigma 1.5", "uniform": "uniform 7 x 7"}
SIGMA = 1.5


def window_weights(window: Window) -> Array:
    """Weights (side,) of a window along one axis; their sum is 1.

    >>> window_weights("gaussian").round(4).tolist()[:6]
    [0.001, 0.0076, 0.036, 0.1094, 0.213, 0.266]
    """
    side = SIDES[window]
    if window == "uniform":
        return np.full(side, 1.0 / side)
    offsets = np.arange(side) - side // 2
    bell = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return np.asarray(bell / bell.sum())


class Sliding:
    """A window that slides over maps; it keeps its memory between calls, for fresh memory costs more than the sums.

    ``capacity``: the largest number of values (N · H · W) that a call brings.
    """

    def __init__(self, window: Window, capacity: int) -> None:
        self.reach = SIDES[window] - 1
        self._weights = window_weights(window)
        self._sums = np.empty(capacity)

    def means(self, maps: Array) -> Array:
        """Means float64 (N, H − s + 1, W − s + 1) of maps (N, H, W) under the window of side s.

        H and W are at least s. The result lies in memory of this object: the next call overwrites it.
        """
        import cv2

        count, height, width = maps.shape
        sums = self._sums[: maps.size].reshape(count * height, width)
        tall = np.ascontiguousarray(maps).reshape(count * height, width)
        cv2.sepFilter2D(tall, cv2.CV_64F, self._weights, self._weights, dst=sums)
        edge = self.reach // 2
        return sums.reshape(maps.shape)[:, edge : height - edge, edge : width - edge]
