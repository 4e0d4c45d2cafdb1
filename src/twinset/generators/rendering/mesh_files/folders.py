"""Classes of meshes from sub-folders, as class folders of images are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable
from twinset.generators.rendering.mesh_files.settings import MAX_MESH_BYTES

MESH_SUFFIXES = frozenset({".glb", ".gltf", ".obj", ".ply", ".stl"})
MOST_FILES = 200_000


@dataclass(frozen=True)
class MeshClasses:
    """Mesh files by class, in natural order of names, relative to ``folder``.

    ``digest`` is the sha256 over names and contents of all files of the class folders: meshes, materials, textures.
    """

    folder: Path
    files: Mapping[str, tuple[str, ...]]
    digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in order."""
        return tuple(self.files)


def mesh_names(folder: Path) -> tuple[str, ...]:
    """The mesh files under a folder, relative to it, at any depth, in natural order; at least one."""
    found = tuple(name for name, _ in _contents(folder) if _is_mesh(name))
    if not found:
        raise _nothing(folder)
    return found


def class_folders(folder: Path) -> MeshClasses:
    """The classes under a folder: each sub-folder that holds mesh files, at any depth, is one.

    Read a mesh with ``read_mesh(folder / name, within=folder)``, so that textures beside its own folder are found.
    Raises :class:`DatasetFormatError` where there is no folder, no mesh in a sub-folder, a mesh beside the
    sub-folders, or a file that cannot be read.
    """
    place = Folder.at(folder)
    found: dict[str, list[str]] = {}
    total = hashlib.sha256()
    for path, problem in _contents(folder):
        name, slash, _ = path.partition("/")
        if not slash and _is_mesh(path):
            raise DatasetFormatError(
                f"expected meshes in one sub-folder for each class; got {path} beside them",
                path=folder,
                hint="move it into the folder of its class",
            )
        if not slash:
            continue
        try:
            if problem is not None:
                raise Unusable(problem)
            content = hashlib.sha256(place.read(path, limit=MAX_MESH_BYTES)).hexdigest()
        except Unusable as error:
            raise DatasetFormatError(str(error), path=folder / path) from error
        total.update(f"{len(path.encode())}:{path}:{content}\n".encode())
        if _is_mesh(path):
            found.setdefault(name, []).append(path)
    if not found:
        raise _nothing(folder)
    return MeshClasses(folder, {name: tuple(files) for name, files in found.items()}, total.hexdigest())


def _contents(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Visible files with what is wrong with them; of broken ones only meshes."""
    if not folder.is_dir():
        raise DatasetFormatError("expected a folder; got none", path=folder)
    for number, entry in enumerate(Folder.at(folder).walk()):
        if number >= MOST_FILES:
            raise DatasetFormatError(f"expected at most {MOST_FILES} files; got more", path=folder)
        if entry.is_folder or entry.problem in ("hidden", "link"):
            continue
        if entry.problem is None or _is_mesh(entry.path):
            yield entry.path, entry.problem


def _is_mesh(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in MESH_SUFFIXES


def _nothing(folder: Path) -> DatasetFormatError:
    return DatasetFormatError(
        f"expected {', '.join(sorted(MESH_SUFFIXES))} files; got none",
        path=folder,
        hint="put the meshes of each class into a folder of its own",
    )
