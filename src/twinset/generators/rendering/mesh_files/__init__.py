"""Users' meshes: glTF/GLB, OBJ with MTL, PLY and STL, read as :class:`~twinset.generators.rendering.meshes.Mesh`.

A mesh file is somebody else's data. Nothing is downloaded, no name leads out of its folder, every count is compared
with the bytes that are there before memory is taken, and what cannot be read is one line. The readers are our own:
trimesh, which tests read the same files with, is silent about missing textures, resolves OBJ's backward indices from
the end of the file, and refuses packed PLYs of mixed polygons.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twinset.errors import DatasetFormatError
from twinset.generators.rendering.mesh_files.folders import MESH_SUFFIXES, MeshClasses, class_folders, mesh_names
from twinset.generators.rendering.mesh_files.gltf import read_gltf
from twinset.generators.rendering.mesh_files.obj import read_obj
from twinset.generators.rendering.mesh_files.ply import read_ply
from twinset.generators.rendering.mesh_files.settings import DEFAULTS, Axis, MeshReport, MeshSettings
from twinset.generators.rendering.mesh_files.settling import settled
from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.stl import read_stl
from twinset.generators.rendering.mesh_files.surfaces import Surface
from twinset.generators.rendering.meshes import Mesh

__all__ = ["MESH_SUFFIXES", "MeshClasses", "MeshReport", "MeshSettings", "class_folders", "read_mesh", "read_meshes"]

_Reader = Callable[[bytes, Source], Surface]
_READERS: dict[str, tuple[_Reader, Axis]] = {
    ".glb": (read_gltf, "y"),
    ".gltf": (read_gltf, "y"),
    ".obj": (read_obj, "z"),
    ".ply": (read_ply, "z"),
    ".stl": (read_stl, "z"),
}


def read_mesh(path: Path, settings: MeshSettings = DEFAULTS, *, within: Path | None = None) -> tuple[Mesh, MeshReport]:
    """The mesh in a file, z up, in metres, and what was dropped or mended on the way.

    Files that it names must lie in ``within`` (default: the folder of the mesh). Raises
    :class:`DatasetFormatError` for what is broken, empty, too large, or points elsewhere.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise DatasetFormatError(
            f"expected a mesh file {', '.join(sorted(MESH_SUFFIXES))}; got {suffix!r}", path=path, hint="convert it"
        )
    reader, axis = _READERS[suffix]
    source = Source(path, settings, within)
    return settled(reader(source.mesh(), source), source, up=settings.up or axis)


def read_meshes(path: Path, settings: MeshSettings = DEFAULTS) -> tuple[tuple[str, Mesh], ...]:
    """Name and mesh of one file, or of all mesh files under a folder, at any depth and in natural order.

    Raises :class:`DatasetFormatError` for the first that cannot be read, and where there is none.
    """
    if not path.is_dir():
        return ((path.name, read_mesh(path, settings)[0]),)
    names = mesh_names(path)
    return tuple((name, read_mesh(path / name, settings, within=path)[0]) for name in names)
