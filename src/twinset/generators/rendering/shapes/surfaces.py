"""The point of a surface that is nearest to a given one: keypoints lie on what they name."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from twinset.generators.rendering.meshes import Floats64, Mesh
from twinset.generators.rendering.shapes.parts import doubled_areas

AS_NEAR = 1e-9
"""Squared metres by which points are as near as each other: the first one counts, on every machine."""


def nearest_on(mesh: Mesh, points: ArrayLike) -> Floats64:
    """float64 (P, 3): of all faces and edges of ``mesh`` the points nearest to ``points`` (P, 3)."""
    corners = mesh.corners.astype(np.float64)
    low, high = corners.min(axis=1), corners.max(axis=1)
    found = []
    for at in np.asarray(points, dtype=np.float64).reshape(-1, 3):
        enough = ((corners[:, 0] - at) ** 2).sum(axis=1).min() + AS_NEAR
        beyond = np.maximum(np.maximum(low - at, at - high), 0)
        near = corners[(beyond**2).sum(axis=1) <= enough]
        candidates = np.concatenate([_within_faces(near, at), _along_edges(near, at)])
        far = ((candidates - at) ** 2).sum(axis=1)
        found.append(candidates[np.flatnonzero(far <= far.min() + AS_NEAR)[0]])
    return np.array(found).reshape(-1, 3)


def _along_edges(corners: Floats64, at: Floats64) -> Floats64:
    """(3F, 3): of every edge of every face the nearest point."""
    start = corners.reshape(-1, 3)
    edges = np.roll(corners, -1, axis=1).reshape(-1, 3) - start
    length = np.maximum((edges**2).sum(axis=1), 1e-30)
    share = np.clip(((at - start) * edges).sum(axis=1) / length, 0, 1)
    return np.asarray(start + share[:, None] * edges)


def _within_faces(corners: Floats64, at: Floats64) -> Floats64:
    """(n, 3): the feet of the perpendiculars that fall into their faces."""
    triangles = np.arange(3 * len(corners)).reshape(-1, 3)
    normals = doubled_areas(corners.reshape(-1, 3), triangles)
    length = (normals**2).sum(axis=1)
    solid = length > 0
    a, normals, length = corners[solid], normals[solid], length[solid]
    off = ((at - a[:, 0]) * normals).sum(axis=1) / length
    feet = at - off[:, None] * normals
    ahead = np.cross(np.roll(a, -1, axis=1) - a, feet[:, None] - a)
    inside = (np.einsum("fcj,fj->fc", ahead, normals) >= 0).all(axis=1)
    return np.asarray(feet[inside])
