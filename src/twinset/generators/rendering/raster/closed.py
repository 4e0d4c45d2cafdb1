"""Whether a mesh encloses its inside: every edge is walked as often one way as the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 100_000
"""Vertices in the same of so many steps of the longest side count as one: seams are seldom exact."""


def is_closed(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> bool:
    """Whether the faces (F, 3) of the vertices (V, 3) have no border, and face outwards.

    >>> corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], np.float32)
    >>> faces = np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)], np.int32)
    >>> is_closed(corners, faces), is_closed(corners, faces[1:]), is_closed(corners, faces[:, ::-1])
    (True, False, False)
    """
    points = vertices - vertices.min(0).astype(np.float64)
    x, y, z = np.rint(points * (STEPS / points.max())).astype(np.int64).T
    places, seats = np.unique((x * (STEPS + 1) + y) * (STEPS + 1) + z, return_inverse=True)
    welded = seats.reshape(-1)[faces]
    starts, ends = welded.ravel(), np.roll(welded, -1, axis=1).ravel()
    sides = np.minimum(starts, ends) * len(places) + np.maximum(starts, ends)
    _, edges = np.unique(sides, return_inverse=True)
    if np.bincount(edges.reshape(-1), weights=np.sign(ends - starts)).any():
        return False
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return bool(np.einsum("ij,ij->", a, np.cross(b, c)) > 0)
