"""From a file's polygons to a :class:`Mesh`: triangles only, z up, metres, without what has no area."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.mesh_files.polygons import TooIntricateError, triangles_of
from twinset.generators.rendering.mesh_files.settings import Axis, MeshReport
from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.surfaces import Floats, Ints, Surface
from twinset.generators.rendering.mesh_files.welding import welded
from twinset.generators.rendering.meshes import Material, Mesh, flat_normals

Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From x right, y up, z to the viewer, to x right, y away, z up."""

THIN = 1e-7
"""Height over longest edge under which a triangle counts as a line: float32 has no finer points there."""

SHADES = 8
"""Levels of each channel that colours on vertices are sorted into, as a material has one colour."""


@dataclass(frozen=True, eq=False)
class _Triangles:
    """Triangles (T, 3) of ``points`` (V, 3), and the place of each corner and polygon in the surface."""

    points: Floats
    faces: Ints
    places: Ints
    polygon: Ints

    def kept(self, rows: NDArray[np.bool_]) -> _Triangles:
        return replace(self, faces=self.faces[rows], places=self.places[rows], polygon=self.polygon[rows])


def settled(surface: Surface, source: Source, *, up: Axis) -> tuple[Mesh, MeshReport]:
    """The mesh and what was done to get there; :class:`DatasetFormatError` for what cannot be one."""
    triangles = _cut(surface, source)
    frame = _frame(triangles, source, up)
    triangles = replace(triangles, points=_in_metres(triangles, frame, source))
    whole = ~_degenerate(triangles)
    if not whole.any():
        raise source.fault(
            f"expected a face of positive area; got {len(whole)} without", hint="export the mesh anew with its faces"
        )
    dropped = int((~whole).sum())
    triangles = triangles.kept(whole)
    edges = _edges(triangles)
    used, faces = np.unique(triangles.faces, return_inverse=True)
    mesh = _mesh(surface, triangles, used, faces.reshape(-1, 3), up)
    turned = edges == (0, 0) and _volume(mesh) < 0
    if turned:
        mesh = _inside_out(mesh)
    if source.settings.standing:
        move = mesh.to_stand
        mesh, frame = mesh.transformed(move), move @ frame
    low, high = mesh.bounds.astype(np.float64)
    x, y, z = (float(length) for length in high - low)
    textures = {id(material.texture) for material in mesh.materials if material.texture is not None}
    return mesh, MeshReport(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        size_metres=(x, y, z),
        triangulated=int((surface.sizes > 3).sum()),
        degenerate=dropped + int((surface.sizes < 3).sum()),
        unused_vertices=len(surface.positions) - len(used),
        boundary_edges=edges[0],
        crowded_edges=edges[1],
        turned=turned,
        textures=len(textures),
        missing_textures=tuple(source.missing),
        ignored=surface.ignored,
        files=source.files,
        frame=frame,
    )


def _cut(surface: Surface, source: Source) -> _Triangles:
    """The triangles of polygons whose vertices exist and are finite."""
    limits = source.settings
    count = len(surface.positions)
    if not count or not len(surface.corners):
        raise source.fault(
            f"expected vertices and faces; got {count} vertices and {len(surface.sizes)} faces",
            hint="export the mesh anew with its faces",
        )
    triangles = int(np.maximum(surface.sizes - 2, 0).sum())
    if count > limits.most_vertices or triangles > limits.most_faces:
        raise source.fault(
            f"expected at most {limits.most_vertices} vertices and {limits.most_faces} triangles; "
            f"got {count} and {triangles}",
            hint="simplify the mesh",
        )
    if surface.corners.min() < 0 or surface.corners.max() >= count:
        wrong = int(surface.corners.min() if surface.corners.min() < 0 else surface.corners.max())
        raise source.fault(f"expected faces of the vertices 0…{count - 1}; got vertex {wrong}")
    broken: NDArray[np.bool_] = np.asarray(~np.isfinite(surface.positions).all(axis=1))
    if broken[surface.corners].any():
        first = int(np.flatnonzero(broken)[0])
        raise source.fault(
            f"expected finite vertices; got {surface.positions[first].tolist()} as vertex {first}",
            hint="remove or repair such vertices",
        )
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            places, polygon = triangles_of(surface.positions, surface.sizes, surface.corners)
    except TooIntricateError:
        raise source.fault(
            "expected polygons of few corners; got concave ones too large to be cut", hint="export it as triangles"
        ) from None
    return _Triangles(surface.positions, surface.corners[places], places, polygon)


def _frame(triangles: _Triangles, source: Source, up: Axis) -> Floats:
    """(4, 4) from the file's coordinates to metres with z up."""
    turn = Y_UP if up == "y" else np.eye(3)
    scale = source.settings.scale
    used = np.unique(triangles.faces)
    if source.settings.height_metres is not None and len(used):
        height = float(np.ptp(triangles.points[used] @ turn[2]))
        if not height > 0:
            raise source.fault(
                f"expected a mesh with a height to scale to {source.settings.height_metres} m; got a flat one",
                hint="give a scale, or another up axis",
            )
        scale = source.settings.height_metres / height
    frame = np.eye(4)
    frame[:3, :3] = scale * turn
    return frame


def _in_metres(triangles: _Triangles, frame: Floats, source: Source) -> Floats:
    """Points in this frame as float32 holds them; those of no face become zero."""
    points = np.zeros_like(triangles.points)
    used = np.unique(triangles.faces)
    with np.errstate(over="ignore", invalid="ignore"):
        points[used] = triangles.points[used] @ frame[:3, :3].T
        points = points.astype(np.float32).astype(np.float64)
    if not (np.abs(points) < 1e9).all():
        raise source.fault("expected a mesh within 1e9 metres; got a larger one", hint="give a smaller scale")
    return points


def _degenerate(triangles: _Triangles) -> NDArray[np.bool_]:
    a, b, c = triangles.points[triangles.faces].transpose(1, 0, 2)
    longest = np.maximum(np.maximum(((b - a) ** 2).sum(1), ((c - b) ** 2).sum(1)), ((a - c) ** 2).sum(1))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return np.asarray(~(doubled > THIN * longest))


def _edges(triangles: _Triangles) -> tuple[int, int]:
    """How many edges have one face, and how many more than two; equal points are one."""
    faces = welded(triangles.points)[1][triangles.faces]
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(pairs[:, 0] * (len(triangles.points) + 1) + pairs[:, 1], return_counts=True)
    return int((counts == 1).sum()), int((counts > 2).sum())


def _mesh(surface: Surface, triangles: _Triangles, used: Ints, faces: Ints, up: Axis) -> Mesh:
    """The mesh of these triangles of the surface, with what lies on their corners."""
    ids = np.zeros(len(surface.sizes), np.int64) if surface.polygon_materials is None else surface.polygon_materials
    face_materials = ids[triangles.polygon]
    materials, face_materials = _coloured(surface, triangles.places, face_materials)
    mesh = Mesh(
        vertices=triangles.points[used].astype(np.float32),
        faces=faces.astype(np.int32),
        materials=materials,
        face_materials=face_materials.astype(np.int32),
    )
    uv = None if surface.uv is None else surface.uv[triangles.places]
    if uv is not None and np.isfinite(uv).any():
        mesh = replace(mesh, uv=np.nan_to_num(uv, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32))
    normals = None if surface.normals is None else surface.normals[triangles.places]
    if normals is not None:
        mesh = replace(mesh, normals=_unit(normals @ Y_UP.T if up == "y" else normals, mesh))
    return mesh


def _unit(normals: Floats, mesh: Mesh) -> NDArray[np.float32] | None:
    """Unit normals (F, 3, 3), the face's own where a file gives none or nonsense; None if that is everywhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    given = np.isfinite(lengths) & (lengths > 1e-12)
    if not given.any():
        return None
    shortened = np.where(given, normals, 0.0) / np.where(given, lengths, 1.0)
    return np.where(given, shortened, flat_normals(mesh)).astype(np.float32)


def _coloured(surface: Surface, places: Ints, ids: Ints) -> tuple[tuple[Material, ...], Ints]:
    """The materials that faces have, and which each has; a face's mean corner colour makes a material of its own."""
    if surface.colours is None:
        kinds, inverse = np.unique(ids, return_inverse=True)
        return tuple(surface.materials[kind] for kind in kinds), inverse.reshape(-1)
    shades = surface.colours[places].mean(axis=1)
    shades = np.clip(np.where(np.isfinite(shades), shades, 1.0), 0.0, 1.0)
    levels = np.minimum((shades * SHADES).astype(np.int64), SHADES - 1)
    keys = ids * SHADES**3 + levels @ np.array([SHADES**2, SHADES, 1])
    kinds, inverse = np.unique(keys, return_inverse=True)
    inverse = inverse.reshape(-1)
    counts = np.bincount(inverse)
    means = np.stack([np.bincount(inverse, shades[:, channel]) / counts for channel in range(3)], axis=1)
    made = []
    for kind, mean in zip(kinds // SHADES**3, means, strict=True):
        material = surface.materials[kind]
        red, green, blue = (min(1.0, part * float(shade)) for part, shade in zip(material.colour, mean, strict=True))
        made.append(replace(material, colour=(red, green, blue)))
    return tuple(made), inverse


def _volume(mesh: Mesh) -> float:
    a, b, c = (mesh.corners.astype(np.float64) - mesh.bounds.astype(np.float64).mean(0)).transpose(1, 0, 2)
    return float(np.einsum("fk,fk->", a, np.cross(b, c)) / 6)


def _inside_out(mesh: Mesh) -> Mesh:
    """The same surface, seen from its other side; given normals stay, as renderers turn them to the camera."""
    return replace(
        mesh,
        faces=mesh.faces[:, ::-1],
        uv=None if mesh.uv is None else mesh.uv[:, ::-1],
        normals=None if mesh.normals is None else mesh.normals[:, ::-1],
    )
