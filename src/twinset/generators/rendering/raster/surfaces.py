"""Meshes and materials as the compiled code wants them, kept for as long as the mesh or material itself lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster.closed import is_closed
from twinset.generators.rendering.raster.colour import to_linear
from twinset.generators.rendering.raster.textures import NO_PYRAMID, Pyramid

NO_NORMALS = np.zeros((0, 3, 3), np.float32)
NO_UV = np.zeros((0, 3, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Geometry:
    """A mesh's own arrays, contiguous and writable, as the compiled code expects them.

    Faces that are not opaque come last, from face ``clear_from`` on; else the order is the mesh's. ``uv`` and
    ``normals`` are of length 0 where the mesh has none. ``plane`` float64 (4,), in the object's frame, is a
    unit normal and its offset where all vertices lie in one plane, else None.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_materials: NDArray[np.int32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    plane: NDArray[np.float64] | None
    corners: NDArray[np.float64]
    """(8, 3) of its bounds."""

    clear_from: int
    closed: bool
    """Whether it is opaque and encloses its inside: what looks away from a light then casts no shadow of its own."""

    @staticmethod
    def of(mesh: Mesh) -> Geometry:
        """The arrays of a mesh; copied only where they are read-only or not contiguous, or faces change places."""
        assert mesh.face_materials is not None
        clear = np.array([material.opacity < 1 for material in mesh.materials])[mesh.face_materials]
        order = np.argsort(clear, kind="stable") if clear.any() else slice(None)
        return Geometry(
            np.require(mesh.vertices, np.float32, ("C", "W")),
            np.require(mesh.faces[order], np.int32, ("C", "W")),
            np.require(mesh.face_materials[order], np.int32, ("C", "W")),
            NO_NORMALS if mesh.normals is None else np.require(mesh.normals[order], np.float32, ("C", "W")),
            NO_UV if mesh.uv is None else np.require(mesh.uv[order], np.float32, ("C", "W")),
            _plane(mesh),
            np.array(list(product(*mesh.bounds.astype(np.float64).T))),
            int((~clear).sum()),
            not clear.any() and is_closed(mesh.vertices, mesh.faces),
        )

    @property
    def translucent(self) -> bool:
        """Whether any face is."""
        return self.clear_from < len(self.faces)


def _plane(mesh: Mesh) -> NDArray[np.float64] | None:
    largest = int(np.argmax(mesh.face_areas()))
    a, b, c = mesh.vertices[mesh.faces[largest]].astype(np.float64)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal)
    offset = float(normal @ a)
    size = float(np.abs(mesh.bounds[1] - mesh.bounds[0]).max())
    flat = np.abs(mesh.vertices @ normal - offset).max() <= 1e-5 * size
    return np.array([*normal, offset]) if flat else None


def reflecting(materials: Sequence[Material]) -> NDArray[np.float32]:
    """(S, 6): linear red, green and blue, roughness, metallic, opacity of every material."""
    colours = to_linear(np.array([material.colour for material in materials], dtype=np.float64).reshape(-1, 3))
    rest = [(material.roughness, material.metallic, material.opacity) for material in materials]
    return np.concatenate([colours, np.reshape(rest, (-1, 3))], axis=1).astype(np.float32)


class Kept:
    """What was prepared for meshes and textures that still exist."""

    def __init__(self) -> None:
        self._geometries: WeakKeyDictionary[Mesh, Geometry] = WeakKeyDictionary()
        self._pyramids: WeakKeyDictionary[Material, Pyramid] = WeakKeyDictionary()
        self._lock = Lock()

    def geometry(self, mesh: Mesh) -> Geometry:
        """The mesh's arrays."""
        with self._lock:
            found = self._geometries.get(mesh)
        if found is None:
            found = Geometry.of(mesh)
            with self._lock:
                self._geometries[mesh] = found
        return found

    def pyramid(self, material: Material) -> Pyramid:
        """The levels of the material's texture; none where it has none."""
        if material.texture is None:
            return NO_PYRAMID
        with self._lock:
            found = self._pyramids.get(material)
        if found is None:
            found = Pyramid.of(material.texture)
            with self._lock:
                self._pyramids[material] = found
        return found
