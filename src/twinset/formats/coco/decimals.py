"""float32 numbers as short decimals that are the same float32 when they are read again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DECIMALS = 3
FINEST = 9


def boxes_xywh(corners: NDArray[np.float32]) -> NDArray[np.float64]:
    """xyxy float32 (n, 4) as x, y, width, height with three decimals.

    Where x + width would not be the same float32 again, more are taken, as few as do; so nothing moves.
    """
    exact = corners.astype(np.float64)
    boxes = np.concatenate([exact[:, :2], exact[:, 2:] - exact[:, :2]], axis=1)
    left = np.arange(len(boxes))
    for digits in range(DECIMALS, FINEST + 1):
        rounded = np.round(exact[left, :2], digits)
        sides = np.round(exact[left, 2:] - rounded, digits)
        same = (rounded.astype(np.float32) == corners[left, :2]).all(1)
        same &= ((rounded + sides).astype(np.float32) == corners[left, 2:]).all(1) & (sides > 0).all(1)
        boxes[left[same]] = np.concatenate([rounded[same], sides[same]], axis=1)
        left = left[~same]
        if not len(left):
            break
    return boxes


def decimals(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same numbers (n,) in float64 without the digits that float32 adds: .1, not .10000000149."""
    exact = np.asarray(values, dtype=np.float64)
    short = np.round(exact, DECIMALS)
    left = np.flatnonzero(short.astype(np.float32) != values)
    for digits in range(DECIMALS + 1, FINEST + 1):
        if not len(left):
            break
        short[left] = np.round(exact[left], digits)
        left = left[short[left].astype(np.float32) != values[left]]
    short[left] = exact[left]
    return short
