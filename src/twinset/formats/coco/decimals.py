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
    # Coordinate by coordinate: numpy is several times slower on many rows of four.
    exact = corners.T.astype(np.float64, order="C")
    boxes, same = _rounded(exact, DECIMALS)
    left = np.flatnonzero(~same)
    for digits in range(DECIMALS + 1, FINEST + 1):
        if not len(left):
            break
        tried, same = _rounded(exact[:, left], digits)
        boxes[:, left[same]] = tried[:, same]
        left = left[~same]
    boxes[:, left] = np.concatenate([exact[:2, left], exact[2:, left] - exact[:2, left]])
    return np.asarray(boxes.T)


def _rounded(exact: NDArray[np.float64], digits: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """x1, y1, x2, y2 (4, n) as x, y, width, height with so many decimals, and which say the same float32."""
    low = np.round(exact[:2], digits)
    sides = np.round(exact[2:] - low, digits)
    again = np.concatenate([low, low + sides]).astype(np.float32)
    return np.concatenate([low, sides]), (again == exact).all(0)


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
