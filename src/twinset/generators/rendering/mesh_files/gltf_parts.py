"""A mesh as glTF wants it: a part for each material, and one vertex for all that is equal on a corner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Floats32, Mesh

PLANES = np.array([[1, 2], [0, 2], [0, 1]])
"""The two axes that a face is projected along, by the axis that its normal is nearest to."""


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles of one material: ``attributes`` by glTF's names, float32 (V, 2 or 3); ``indices`` (3 T,) into them."""

    attributes: Mapping[str, Floats32]
    indices: NDArray[np.int64]


def parts_of(mesh: Mesh) -> Iterator[tuple[int, Part]]:
    """The number of every material that has faces, the first of equal ones, and its part."""
    assert mesh.face_materials is not None
    first: dict[int, int] = {}
    kinds = np.array([first.setdefault(id(material), number) for number, material in enumerate(mesh.materials)])
    numbers = kinds[mesh.face_materials]
    for number in np.unique(numbers).tolist():
        yield number, _part(mesh, np.flatnonzero(numbers == number), plain=mesh.materials[number].texture is None)


def _part(mesh: Mesh, rows: NDArray[np.int64], *, plain: bool) -> Part:
    """These faces; texture coordinates only where there is a texture, normals only where they are not the face's."""
    faces = mesh.faces[rows]
    columns = {"POSITION": mesh.vertices[faces.ravel()]}
    if mesh.normals is not None:
        columns["NORMAL"] = _unit(mesh.normals[rows].reshape(-1, 3))
    if not plain:
        uv = projected(mesh)[rows] if mesh.uv is None else mesh.uv[rows]
        # glTF's v points down from the picture's upper edge, ours up from its lower one.
        columns["TEXCOORD_0"] = (uv.reshape(-1, 2) * (1, -1) + (0, 1)).astype(np.float32)
    whole = np.ascontiguousarray(np.concatenate(list(columns.values()), axis=1))
    _, first, indices = np.unique(
        whole.view(np.dtype((np.void, whole.itemsize * whole.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    return Part({name: np.ascontiguousarray(table[first]) for name, table in columns.items()}, indices.reshape(-1))


def projected(mesh: Mesh) -> Floats32:
    """(F, 3, 2) texture coordinates of a mesh without its own: metres along the two axes that a face spans most.

    As the embedded renderer lays textures; a face that leans evenly goes by the later axis.
    """
    a, b, c = mesh.corners.transpose(1, 0, 2)
    (ux, uy, uz), (vx, vy, vz) = (b - a).T, (c - a).T
    sizes = np.abs(np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx]))
    along = np.where((sizes[0] > sizes[1]) & (sizes[0] > sizes[2]), 0, np.where(sizes[1] > sizes[2], 1, 2))
    return np.take_along_axis(mesh.corners, np.broadcast_to(PLANES[along][:, None], (len(along), 3, 2)), axis=2)


def _unit(normals: Floats32) -> Floats32:
    """Of length one to the last bit that float32 allows; those without length, of faces without area, point up."""
    exact = normals.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, exact / np.maximum(lengths, 1e-6), (0.0, 0.0, 1.0)).astype(np.float32)
