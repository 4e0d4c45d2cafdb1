"""Meshes as other renderers want them: one piece for each material, with everything said at the corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material, Mesh, flat_normals

Corners = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Piece:
    """The faces of one material, float32, in the object's own frame.

    ``corners`` (F, 3, 3); ``normals`` (F, 3, 3) of unit length, None where the surface is flat; ``uv`` (F, 3, 2), u to
    the right and v up in the texture, None where the material has none.
    """

    material: Material
    corners: Corners
    normals: Corners | None
    uv: Corners | None


def pieces_of(mesh: Mesh) -> tuple[Piece, ...]:
    """Pieces for the materials that any face has, in their order; faces without area are left out."""
    assert mesh.face_materials is not None
    corners, solid = mesh.corners, mesh.face_areas() > 0
    normals = None
    if mesh.normals is not None:
        short = np.linalg.norm(mesh.normals, axis=-1, keepdims=True) < 1e-6
        normals = np.where(short, flat_normals(mesh), mesh.normals).astype(np.float32)
    found = []
    for number, material in enumerate(mesh.materials):
        own = solid & (mesh.face_materials == number)
        if not own.any():
            continue
        uv = None
        if material.texture is not None:
            uv = mesh.uv[own] if mesh.uv is not None else box_uv(corners[own])
        found.append(Piece(material, corners[own], None if normals is None else normals[own], uv))
    return tuple(found)


def box_uv(corners: Corners) -> Corners:
    """(F, 3, 2) of faces (F, 3, 3): the two axes onto which each is projected as large as can be, one unit a metre."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    widest = np.abs(np.cross(first.astype(np.float64), second.astype(np.float64)))
    x_wins = (widest[:, 0] > widest[:, 1]) & (widest[:, 0] > widest[:, 2])
    axes = np.where(x_wins[:, None], (1, 2), np.where((widest[:, 1] > widest[:, 2])[:, None], (0, 2), (0, 1)))
    return np.take_along_axis(corners, axes[:, None, :].repeat(3, axis=1), axis=2)
