"""What the triangles of a block of samples say of them: positions, normals, texture coordinates.

First what belongs to every sample is gathered from all over memory, row upon row; then all is computed side by side,
without branches, so that LLVM vectorises it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    ACROSS_U,
    ACROSS_V,
    AT,
    BLUE,
    COLUMN,
    CORNER_NORMALS,
    CORNER_UV,
    DOWN_U,
    DOWN_V,
    GREEN,
    GX,
    GY,
    GZ,
    LINE,
    METALLIC,
    NEARNESS,
    NX,
    NY,
    NZ,
    RED,
    ROUGHNESS,
    ROW,
    TRIANGLE,
    U,
    V,
    X,
    Y,
)
from twinset.generators.rendering.raster.compiled import inner
from twinset.generators.rendering.raster.drawing import Plane, Point, plane_through
from twinset.generators.rendering.raster.picking import Sheet

FOOTPRINT = 2.0
"""Of pixels, not of samples, is the footprint in a texture: so many positions of the lattice."""


class Figure(NamedTuple):
    """One object: corners projected and in its own frame, normals and texture coordinates (or of length 0)."""

    points: NDArray[np.float64]
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    corner_normals: NDArray[np.float32]
    corner_uv: NDArray[np.float32]
    first_triangle: int
    turning: NDArray[np.float32]


class Desk(NamedTuple):
    """Scratch: a block of samples, whole numbers beside it, where they lie, and their triangles' corners."""

    block: NDArray[np.float32]
    wholes: NDArray[np.int64]
    places: NDArray[np.int32]
    corners: NDArray[np.float64]


@inner
def line_through(a: Point, b: Point) -> Point:
    """The edge function of two points (of x, of y, constant): up to a factor the weight of the third corner."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@inner
def mixed(la: Point, lb: Point, lc: Point, a: float, b: float, c: float) -> Point:
    """A value of the corners, as the plane over the lattice that is to be divided by that of the value 1."""
    return la[0] * a + lb[0] * b + lc[0] * c, la[1] * a + lb[1] * b + lc[1] * c, la[2] * a + lb[2] * b + lc[2] * c


@inner
def face_normal(a: Point, b: Point, c: Point, fx: float, fy: float, cx: float, cy: float) -> Plane:
    """The face's unit normal in camera coordinates, turned to the camera, and −1 where that is its back, else 1."""
    qx, qy, qz, side = plane_through(a, b, c)
    nx, ny, nz = fx * qx, fy * qy, cx * qx + cy * qy + qz
    turn = -1.0 if side > 0 else 1.0
    length = turn / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300)
    return nx * length, ny * length, nz * length, turn


@inner
def widest_axes(ux: float, uy: float, uz: float, vx: float, vy: float, vz: float) -> tuple[int, int]:
    """The two axes of the object's frame onto which the triangle with these sides is projected as large as can be."""
    nx, ny, nz = abs(uy * vz - uz * vy), abs(uz * vx - ux * vz), abs(ux * vy - uy * vx)
    if nx > ny and nx > nz:
        return 1, 2
    return (0, 2) if ny > nz else (0, 1)


@inner
def corner(corners: NDArray[np.float64], number: int, k: int) -> Point:
    """One of the corners of a sample's triangle."""
    return corners[3 * number * ROW + k], corners[(3 * number + 1) * ROW + k], corners[(3 * number + 2) * ROW + k]


@inner
def seat(desk: Desk, count: int, figure: Figure, sheet: Sheet) -> None:
    """Where the samples lie, their depth and their triangles."""
    block, places = desk.block, desk.places
    offset, step = np.int32(sheet.lattice[0]), np.int32(sheet.lattice[1])
    nearness, triangles = sheet.nearness.reshape(-1), sheet.triangles.reshape(-1)
    first = np.int32(figure.first_triangle)
    for k in range(count):
        block[X + k] = np.float32(offset + step * places[COLUMN + k])
        block[Y + k] = np.float32(offset + step * places[LINE + k])
    for k in range(count):
        at = np.uint32(places[AT + k])
        block[NEARNESS + k] = nearness[at]
        places[TRIANGLE + k] = triangles[at] - first


@inner
def fetch(desk: Desk, count: int, figure: Figure) -> None:
    """Gathers the corners of the samples' triangles."""
    places, corners, points, faces = desk.places, desk.corners, figure.points, figure.faces
    for k in range(count):
        t = np.uint32(places[TRIANGLE + k])
        for number in range(3):
            vertex = np.uint32(faces[t, number])
            for axis in range(3):
                corners[(3 * number + axis) * ROW + k] = points[vertex, axis]


@inner
def fetch_normals(desk: Desk, count: int, normals: NDArray[np.float32]) -> None:
    """Gathers the normals at the corners of the samples' triangles."""
    block, places = desk.block, desk.places
    for k in range(count):
        t = np.uint32(places[TRIANGLE + k])
        for number in range(3):
            for axis in range(3):
                block[CORNER_NORMALS + (3 * number + axis) * ROW + k] = normals[t, number, axis]


@inner
def trace_flat(desk: Desk, count: int, figure: Figure, sheet: Sheet) -> None:
    """The normals of the samples' faces, and 0 for normals between corners: triangle by triangle, as they are large."""
    block, places, points, faces = desk.block, desk.places, figure.points, figure.faces
    fx, fy, cx, cy = sheet.lens[0], sheet.lens[1], sheet.lens[2], sheet.lens[3]
    begun = 0
    while begun < count:
        t = places[TRIANGLE + begun]
        end = begun + 1
        while end < count and places[TRIANGLE + end] == t:
            end += 1
        i, j, m = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        a = (points[i, 0], points[i, 1], points[i, 2])
        b = (points[j, 0], points[j, 1], points[j, 2])
        c = (points[m, 0], points[m, 1], points[m, 2])
        gx, gy, gz, _ = face_normal(a, b, c, fx, fy, cx, cy)
        x, y, z = np.float32(gx), np.float32(gy), np.float32(gz)
        for k in range(begun, end):
            block[GX + k], block[GY + k], block[GZ + k] = x, y, z
            block[NX + k], block[NY + k], block[NZ + k] = 0, 0, 0
        begun = end


@inner
def trace_smooth(desk: Desk, count: int, figure: Figure, sheet: Sheet) -> None:
    """The normals of the samples' faces, and those between the corners."""
    block, corners = desk.block, desk.corners
    fx, fy, cx, cy = sheet.lens[0], sheet.lens[1], sheet.lens[2], sheet.lens[3]
    fetch_normals(desk, count, figure.corner_normals)
    for k in range(count):
        a, b, c = corner(corners, 0, k), corner(corners, 1, k), corner(corners, 2, k)
        gx, gy, gz, turn = face_normal(a, b, c, fx, fy, cx, cy)
        block[GX + k], block[GY + k], block[GZ + k] = gx, gy, gz
        x, y = np.float64(block[X + k]), np.float64(block[Y + k])
        la, lb, lc = line_through(b, c), line_through(c, a), line_through(a, b)
        wa = la[0] * x + la[1] * y + la[2]
        wb = lb[0] * x + lb[1] * y + lb[2]
        wc = lc[0] * x + lc[1] * y + lc[2]
        share = turn / (wa + wb + wc)
        # Until they are mixed, the normals' rows hold the shares of the corners.
        block[NX + k], block[NY + k], block[NZ + k] = wa * share, wb * share, wc * share
    for k in range(count):
        sa, sb, sc = block[NX + k], block[NY + k], block[NZ + k]
        for axis in range(3):
            at = CORNER_NORMALS + axis * ROW + k
            block[NX + axis * ROW + k] = sa * block[at] + sb * block[at + 3 * ROW] + sc * block[at + 6 * ROW]


@inner
def trace(desk: Desk, count: int, figure: Figure, sheet: Sheet, textured: bool) -> None:
    """Where the samples lie, the normals of their faces, and normals between the corners (0 where there are none).

    Corners of the triangles are at hand afterwards where the samples are ``textured``.
    """
    seat(desk, count, figure, sheet)
    smooth = len(figure.corner_normals) > 0
    if smooth or textured:
        fetch(desk, count, figure)
    if smooth:
        trace_smooth(desk, count, figure, sheet)
    else:
        trace_flat(desk, count, figure, sheet)


@inner
def fetch_uv(desk: Desk, count: int, figure: Figure) -> None:
    """Gathers texture coordinates of the triangles' corners; of a mesh without any, two axes of its own frame."""
    block, places = desk.block, desk.places
    vertices, faces, uv = figure.vertices, figure.faces, figure.corner_uv
    given = len(uv) > 0
    for k in range(count):
        t = np.uint32(places[TRIANGLE + k])
        if given:
            for number in range(3):
                for axis in range(2):
                    block[CORNER_UV + (2 * number + axis) * ROW + k] = uv[t, number, axis]
            continue
        i, j, m = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        ax, ay, az = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        to_b = (vertices[j, 0] - ax, vertices[j, 1] - ay, vertices[j, 2] - az)
        to_c = (vertices[m, 0] - ax, vertices[m, 1] - ay, vertices[m, 2] - az)
        axes = widest_axes(to_b[0], to_b[1], to_b[2], to_c[0], to_c[1], to_c[2])
        for axis in range(2):
            at = CORNER_UV + axis * ROW + k
            block[at], block[at + 2 * ROW] = vertices[i, axes[axis]], vertices[j, axes[axis]]
            block[at + 4 * ROW] = vertices[m, axes[axis]]


@inner
def unwrap(desk: Desk, count: int, figure: Figure) -> None:
    """Texture coordinates of the samples, 0…1, and how they change over a pixel across and down."""
    block, corners = desk.block, desk.corners
    fetch_uv(desk, count, figure)
    for k in range(count):
        a, b, c = corner(corners, 0, k), corner(corners, 1, k), corner(corners, 2, k)
        la, lb, lc = line_through(b, c), line_through(c, a), line_through(a, b)
        at = CORNER_UV + k
        plane_1 = mixed(la, lb, lc, 1.0, 1.0, 1.0)
        plane_u = mixed(la, lb, lc, block[at], block[at + 2 * ROW], block[at + 4 * ROW])
        plane_v = mixed(la, lb, lc, block[at + ROW], block[at + 3 * ROW], block[at + 5 * ROW])
        x, y = np.float64(block[X + k]), np.float64(block[Y + k])
        inverse = 1.0 / (plane_1[0] * x + plane_1[1] * y + plane_1[2])
        u = (plane_u[0] * x + plane_u[1] * y + plane_u[2]) * inverse
        v = (plane_v[0] * x + plane_v[1] * y + plane_v[2]) * inverse
        inverse *= FOOTPRINT
        block[U + k], block[V + k] = u - np.floor(u), v - np.floor(v)
        block[ACROSS_U + k] = (plane_u[0] - u * plane_1[0]) * inverse
        block[ACROSS_V + k] = (plane_v[0] - v * plane_1[0]) * inverse
        block[DOWN_U + k] = (plane_u[1] - u * plane_1[1]) * inverse
        block[DOWN_V + k] = (plane_v[1] - v * plane_1[1]) * inverse


@inner
def dip(desk: Desk, count: int, sheet: Sheet, reflecting: NDArray[np.float32]) -> None:
    """The samples' colours, roughness and metallic, by their surface, which are mostly all of one."""
    block, places, surfaces = desk.block, desk.places, sheet.surfaces.reshape(-1)
    begun = 0
    while begun < count:
        surface = np.uint32(surfaces[np.uint32(places[AT + begun])])
        end = begun + 1
        while end < count and np.uint32(surfaces[np.uint32(places[AT + end])]) == surface:
            end += 1
        red, green, blue = reflecting[surface, 0], reflecting[surface, 1], reflecting[surface, 2]
        roughness, metallic = reflecting[surface, 3], reflecting[surface, 4]
        for k in range(begun, end):
            block[RED + k], block[GREEN + k], block[BLUE + k] = red, green, blue
            block[ROUGHNESS + k], block[METALLIC + k] = roughness, metallic
        begun = end
