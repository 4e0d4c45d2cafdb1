"""Parts put together: one mesh with smooth normals, texture coordinates and keypoints, standing on the ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.generators.rendering.meshes import Floats32, Floats64, Material, Mesh
from twinset.generators.rendering.shapes.parts import doubled_areas
from twinset.generators.rendering.shapes.surfaces import nearest_on

SHARP_DEGREES = 42.0


def assembled(parts: Sequence[Mesh], *, keypoints: Mapping[str, ArrayLike] | None = None, repeat: float = 1.0) -> Mesh:
    """All parts as one mesh, standing; edges sharper than ``SHARP_DEGREES`` stay edges.

    Parts without texture coordinates get those of a box, one tile every ``repeat`` metres. Materials that parts share
    are kept once. ``keypoints`` are moved to the nearest point of the surface.
    """
    joined = Mesh.joined(_textured(parts, repeat))
    materials, ids = _shared(joined)
    low, high = joined.bounds.astype(np.float64)
    points = {**joined.keypoints, **(keypoints or {})}
    on_it = nearest_on(joined, np.array([np.asarray(at) for at in points.values()]))
    move = np.array([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]])
    return replace(
        joined,
        vertices=(joined.vertices + move).astype(np.float32),
        materials=materials,
        face_materials=ids,
        normals=creased_normals(joined),
        keypoints={name: _point(at + move) for name, at in zip(points, on_it, strict=True)},
    )


def _textured(parts: Sequence[Mesh], repeat: float) -> Sequence[Mesh]:
    if repeat == 1 and all(part.uv is None for part in parts):
        return parts
    return [part if part.uv is not None else replace(part, uv=box_coordinates(part, repeat=repeat)) for part in parts]


def _shared(mesh: Mesh) -> tuple[tuple[Material, ...], NDArray[np.int32]]:
    """Each material once, and the faces' new ids."""
    assert mesh.face_materials is not None
    kept: dict[int, int] = {}
    materials: list[Material] = []
    ids = []
    for material in mesh.materials:
        if id(material) not in kept:
            kept[id(material)] = len(materials)
            materials.append(material)
        ids.append(kept[id(material)])
    return tuple(materials), np.asarray(ids, dtype=np.int32)[mesh.face_materials]


def _point(at: Floats64) -> tuple[float, float, float]:
    x, y, z = (float(part) for part in at)
    return x, y, z


def creased_normals(mesh: Mesh, *, sharp_degrees: float = SHARP_DEGREES) -> Floats32:
    """(F, 3, 3) unit normals of corners: the mean of the faces around the vertex, weighted by area.

    Only faces within ``sharp_degrees`` of the corner's own count, so that a cylinder is round and its rim sharp.
    """
    weighted = doubled_areas(mesh.vertices.astype(np.float64), mesh.faces)
    unit = weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-30)
    at = mesh.faces.reshape(-1).astype(np.int64)
    own, weights = np.repeat(unit, 3, axis=0), np.repeat(weighted, 3, axis=0)
    means = _unit(_summed(at, weights, len(mesh.vertices)), np.array([0.0, 0.0, 1.0]))[at]
    # Where all faces of a vertex lie within half the angle of their mean, no two of them make an edge.
    bent = np.einsum("ij,ij->i", own, means) < np.cos(np.radians(sharp_degrees / 2))
    edged = np.flatnonzero((np.bincount(at[bent], minlength=len(mesh.vertices)) > 0)[at])
    if len(edged):
        corner, other = _pairs_at_a_vertex(at[edged])
        mine, theirs = edged[corner], edged[other]
        near = np.einsum("ij,ij->i", own[mine], own[theirs]) > np.cos(np.radians(sharp_degrees))
        means[edged] = _unit(_summed(corner[near], weights[theirs[near]], len(edged)), own[edged])
    return means.reshape(-1, 3, 3).astype(np.float32)


def _summed(groups: NDArray[np.int64], rows: Floats64, count: int) -> Floats64:
    """(count, 3) sums of the rows (N, 3) of each group."""
    return np.stack([np.bincount(groups, rows[:, axis], count) for axis in range(3)], axis=1)


def _unit(vectors: Floats64, otherwise: Floats64) -> Floats64:
    """Vectors of length 1, ``otherwise`` where they have none."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-30, vectors / np.maximum(length, 1e-30), otherwise)


def _pairs_at_a_vertex(at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ordered pairs of places in ``at`` that hold one vertex, each place with itself too."""
    order = np.argsort(at, kind="stable")
    valence = np.bincount(at)
    first = np.cumsum(valence) - valence
    partners = valence[at]
    corner = np.repeat(np.arange(len(at)), partners)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(partners) - partners, partners)
    return corner, order[first[at[corner]] + step]


def box_coordinates(mesh: Mesh, *, repeat: float = 1.0, along: int = 0) -> Floats32:
    """(F, 3, 2) texture coordinates from the side of a box that each face looks to, one tile every ``repeat`` metres.

    The texture's first axis runs along the axis ``along`` (0 x, 1 y, 2 z) wherever that lies in the face: wood's grain.
    """
    facing = np.abs(doubled_areas(mesh.vertices.astype(np.float64), mesh.faces)).argmax(axis=1)
    order = [along, *(axis for axis in range(3) if axis != along)]
    pairs = np.array([[axis for axis in order if axis != side] for side in range(3)])
    chosen = pairs[facing]
    corners = mesh.corners
    rows = np.arange(len(corners))[:, None, None]
    return np.asarray(corners[rows, np.arange(3)[None, :, None], chosen[:, None, :]] / repeat, dtype=np.float32)


def grained(mesh: Mesh, material: Material, *, along: int = 0, repeat: float = 1.0) -> Mesh:
    """The part of a material whose grain runs along one of its axes."""
    uv = box_coordinates(mesh, repeat=repeat, along=along)
    return replace(mesh, materials=(material,), face_materials=None, uv=uv)
