"""Points of equal coordinates as one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def welded(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct rows of (N, 3), and for each row (N,) which of them it is; a row with NaN equals no other.

    >>> welded(np.array([[1.0, 0, 0], [0, 0, 0], [1, 0, -0.0]]))[1].tolist()
    [1, 0, 1]
    """
    order = np.lexsort(points.T)
    there = points[order]
    new = np.concatenate([[True], (there[1:] != there[:-1]).any(axis=1)]) if len(points) else np.zeros(0, np.bool_)
    which = np.empty(len(points), dtype=np.int64)
    which[order] = np.cumsum(new) - 1
    return there[new], which
