"""What each needed sample of an object is made of: gathered, textured and shaded block by block, put on the lattice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    ACROSS_U,
    ACROSS_V,
    AT_COLUMN,
    AT_ROW,
    BLOCK,
    BLUE,
    DOWN_U,
    DOWN_V,
    GREEN,
    GX,
    GY,
    GZ,
    METALLIC,
    NEARNESS,
    NX,
    NY,
    NZ,
    OUT_RED,
    RED,
    ROUGHNESS,
    ROW,
    U,
    V,
    X,
    Y,
)
from twinset.generators.rendering.raster.compiled import compiled
from twinset.generators.rendering.raster.drawing import Plane, Point, plane_through
from twinset.generators.rendering.raster.projecting import Lattice
from twinset.generators.rendering.raster.shading import catch, shade
from twinset.generators.rendering.raster.textures import look_up, plan

PIXEL = 2.0
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


class Sheet(NamedTuple):
    """What was drawn on the lattice, and which samples of it are needed."""

    lattice: Lattice
    lens: NDArray[np.float64]
    nearness: NDArray[np.float32]
    triangles: NDArray[np.int32]
    surfaces: NDArray[np.int32]
    needed: NDArray[np.uint8]


class Coat(NamedTuple):
    """The surfaces ``wanted`` (S + 1,) of an object, all of one texture or (without ``texels``) of none.

    ``reflecting`` (S, 6): linear colour, roughness, metallic and opacity of every surface.
    """

    wanted: NDArray[np.uint8]
    reflecting: NDArray[np.float32]
    texels: NDArray[np.uint8]
    levels: NDArray[np.int64]


class Shine(NamedTuple):
    """Sky and lights, with the lights' height maps and their ranges."""

    sky: NDArray[np.float32]
    lights: NDArray[np.float32]
    heights: NDArray[np.float32]
    ranges: NDArray[np.float32]


class Desk(NamedTuple):
    """Scratch: a block of samples, and whole numbers beside it."""

    block: NDArray[np.float32]
    wholes: NDArray[np.int64]


@compiled
def line_through(a: Point, b: Point) -> Point:
    """The edge function of two points (of x, of y, constant): up to a factor the weight of the third corner."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@compiled
def mixed(la: Point, lb: Point, lc: Point, a: float, b: float, c: float) -> Point:
    """A value of the corners, as the plane over the lattice that is to be divided by that of the value 1."""
    return la[0] * a + lb[0] * b + lc[0] * c, la[1] * a + lb[1] * b + lc[1] * c, la[2] * a + lb[2] * b + lc[2] * c


@compiled
def face_normal(a: Point, b: Point, c: Point, fx: float, fy: float, cx: float, cy: float) -> Plane:
    """The face's unit normal in camera coordinates, turned to the camera, and −1 where that is its back, else 1."""
    qx, qy, qz, side = plane_through(a, b, c)
    nx, ny, nz = fx * qx, fy * qy, cx * qx + cy * qy + qz
    turn = -1.0 if side > 0 else 1.0
    length = turn / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-300)
    return nx * length, ny * length, nz * length, turn


@compiled
def widest_axes(ux: float, uy: float, uz: float, vx: float, vy: float, vz: float) -> tuple[int, int]:
    """The two axes of the object's frame onto which the triangle with these sides is projected as large as can be."""
    nx, ny, nz = abs(uy * vz - uz * vy), abs(uz * vx - ux * vz), abs(ux * vy - uy * vx)
    if nx > ny and nx > nz:
        return 1, 2
    return (0, 2) if ny > nz else (0, 1)


@compiled
def choose(
    row: int,
    column: int,
    box: tuple[int, int, int, int],
    wanted: NDArray[np.uint8],
    surfaces: NDArray[np.int32],
    needed: NDArray[np.uint8],
    wholes: NDArray[np.int64],
) -> tuple[int, int, int]:
    """The next needed samples of the wanted surfaces, BLOCK at most; how many, and where the rest of the box begins."""
    count = 0
    while row <= box[1]:
        while column <= box[3]:
            wholes[AT_ROW, count], wholes[AT_COLUMN, count] = row, column
            count += needed[row, column] & wanted[surfaces[row, column]]
            column += 1
            if count == BLOCK:
                return count, row, column
        row, column = row + 1, box[2]
    return count, row, column


@compiled
def trace(block: NDArray[np.float32], wholes: NDArray[np.int64], count: int, figure: Figure, sheet: Sheet) -> None:
    """Where the samples lie, the normals of their faces, and normals between the corners (0 where there are none)."""
    points, faces, corner_normals, first = figure.points, figure.faces, figure.corner_normals, figure.first_triangle
    offset, step = sheet.lattice[0], sheet.lattice[1]
    fx, fy, cx, cy = sheet.lens[0], sheet.lens[1], sheet.lens[2], sheet.lens[3]
    smooth = len(corner_normals) > 0
    la = lb = lc = (0.0, 0.0, 0.0)
    gx = gy = gz = turn = 0.0
    current = -1
    for k in range(count):
        row, column = np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])
        y, x = np.float64(offset + step * np.int64(row)), np.float64(offset + step * np.int64(column))
        t = sheet.triangles[row, column] - first
        if t != current:
            current = t
            i, j, m = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
            a = (points[i, 0], points[i, 1], points[i, 2])
            b = (points[j, 0], points[j, 1], points[j, 2])
            c = (points[m, 0], points[m, 1], points[m, 2])
            la, lb, lc = line_through(b, c), line_through(c, a), line_through(a, b)
            gx, gy, gz, turn = face_normal(a, b, c, fx, fy, cx, cy)
        block[X + k], block[Y + k], block[NEARNESS + k] = x, y, sheet.nearness[row, column]
        block[GX + k], block[GY + k], block[GZ + k] = gx, gy, gz
        if smooth:
            wa = la[0] * x + la[1] * y + la[2]
            wb = lb[0] * x + lb[1] * y + lb[2]
            wc = lc[0] * x + lc[1] * y + lc[2]
            share = turn / (wa + wb + wc)
            sa, sb, sc = np.float32(wa * share), np.float32(wb * share), np.float32(wc * share)
            for axis in range(3):
                block[NX + axis * ROW + k] = (
                    sa * corner_normals[t, 0, axis] + sb * corner_normals[t, 1, axis] + sc * corner_normals[t, 2, axis]
                )
        else:
            block[NX + k], block[NY + k], block[NZ + k] = 0, 0, 0


@compiled
def unwrap(block: NDArray[np.float32], wholes: NDArray[np.int64], count: int, figure: Figure, sheet: Sheet) -> None:
    """Texture coordinates of the samples, 0…1, and how they change over a pixel across and down."""
    points, vertices, faces, first = figure.points, figure.vertices, figure.faces, figure.first_triangle
    uv = figure.corner_uv
    given = len(uv) > 0
    plane_u = plane_v = plane_1 = (0.0, 0.0, 0.0)
    current = -1
    for k in range(count):
        t = sheet.triangles[np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])] - first
        if t != current:
            current = t
            i, j, m = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
            a = (points[i, 0], points[i, 1], points[i, 2])
            b = (points[j, 0], points[j, 1], points[j, 2])
            c = (points[m, 0], points[m, 1], points[m, 2])
            la, lb, lc = line_through(b, c), line_through(c, a), line_through(a, b)
            plane_1 = mixed(la, lb, lc, 1.0, 1.0, 1.0)
            if given:
                plane_u = mixed(la, lb, lc, uv[t, 0, 0], uv[t, 1, 0], uv[t, 2, 0])
                plane_v = mixed(la, lb, lc, uv[t, 0, 1], uv[t, 1, 1], uv[t, 2, 1])
            else:
                ax, ay, az = vertices[i, 0], vertices[i, 1], vertices[i, 2]
                to_b = (vertices[j, 0] - ax, vertices[j, 1] - ay, vertices[j, 2] - az)
                to_c = (vertices[m, 0] - ax, vertices[m, 1] - ay, vertices[m, 2] - az)
                across, up = widest_axes(to_b[0], to_b[1], to_b[2], to_c[0], to_c[1], to_c[2])
                plane_u = mixed(la, lb, lc, vertices[i, across], vertices[j, across], vertices[m, across])
                plane_v = mixed(la, lb, lc, vertices[i, up], vertices[j, up], vertices[m, up])
        x, y = np.float64(block[X + k]), np.float64(block[Y + k])
        inverse = 1.0 / (plane_1[0] * x + plane_1[1] * y + plane_1[2])
        u = (plane_u[0] * x + plane_u[1] * y + plane_u[2]) * inverse
        v = (plane_v[0] * x + plane_v[1] * y + plane_v[2]) * inverse
        inverse *= PIXEL
        block[U + k], block[V + k] = u - np.floor(u), v - np.floor(v)
        block[ACROSS_U + k] = (plane_u[0] - u * plane_1[0]) * inverse
        block[ACROSS_V + k] = (plane_v[0] - v * plane_1[0]) * inverse
        block[DOWN_U + k] = (plane_u[1] - u * plane_1[1]) * inverse
        block[DOWN_V + k] = (plane_v[1] - v * plane_1[1]) * inverse


@compiled
def dip(
    block: NDArray[np.float32],
    wholes: NDArray[np.int64],
    count: int,
    surfaces: NDArray[np.int32],
    reflecting: NDArray[np.float32],
) -> None:
    """The samples' colours, roughness and metallic, by their surface."""
    for k in range(count):
        surface = np.uint32(surfaces[np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])])
        block[RED + k], block[GREEN + k] = reflecting[surface, 0], reflecting[surface, 1]
        block[BLUE + k], block[ROUGHNESS + k] = reflecting[surface, 2], reflecting[surface, 3]
        block[METALLIC + k] = reflecting[surface, 4]


@compiled
def scatter(block: NDArray[np.float32], wholes: NDArray[np.int64], count: int, colours: NDArray[np.float32]) -> None:
    """Writes the samples' colours to the lattice."""
    for k in range(count):
        row, column = np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])
        colours[row, column, 0] = block[OUT_RED + k]
        colours[row, column, 1] = block[OUT_RED + ROW + k]
        colours[row, column, 2] = block[OUT_RED + 2 * ROW + k]


@compiled
def scatter_through(
    block: NDArray[np.float32],
    wholes: NDArray[np.int64],
    count: int,
    catches: bool,
    surfaces: NDArray[np.int32],
    reflecting: NDArray[np.float32],
    colours: NDArray[np.float32],
    passing: NDArray[np.float32],
) -> None:
    """Lays the samples behind what is on the lattice already, as :mod:`.layering` says.

    ``passing`` (rows, columns, 3), 1 at first, is what share of the light behind is seen.
    """
    for k in range(count):
        row, column = np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])
        opacity = np.float32(0) if catches else reflecting[np.uint32(surfaces[row, column]), 5]
        for channel in range(3):
            shown, passes = block[OUT_RED + channel * ROW + k], passing[row, column, channel]
            colours[row, column, channel] += passes * opacity * shown
            through = shown if catches else (np.float32(1) - opacity) * block[RED + channel * ROW + k]
            passing[row, column, channel] = passes * through


@compiled
def scatter_normals(
    block: NDArray[np.float32], wholes: NDArray[np.int64], count: int, step: int, normals: NDArray[np.float32]
) -> None:
    """Writes the normals at pixel centres to the picture of normals."""
    for k in range(count):
        row, column = np.uint64(wholes[AT_ROW, k]), np.uint64(wholes[AT_COLUMN, k])
        if step == 2 or (row & np.uint64(1) and column & np.uint64(1)):
            y, x = (row, column) if step == 2 else (row >> np.uint64(1), column >> np.uint64(1))
            normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = block[NX + k], block[NY + k], block[NZ + k]


@compiled
def paint(
    figure: Figure,
    box: tuple[int, int, int, int],
    coat: Coat,
    sheet: Sheet,
    shine: Shine,
    desk: Desk,
    catches: bool,
    colours: NDArray[np.float32],
    passing: NDArray[np.float32],
    normals: NDArray[np.float32],
) -> None:
    """Shades the needed samples of one object within ``box`` into ``colours``.

    A shadow catcher (``catches``) gets shares of light in place of colours, and no normals; nor are any written to
    ``normals`` of no rows. Where ``passing`` has rows, the object is laid behind what was painted before.
    """
    block, wholes, row, column = desk.block, desk.wholes, box[0], box[2]
    while row <= box[1]:
        count, row, column = choose(row, column, box, coat.wanted, sheet.surfaces, sheet.needed, wholes)
        trace(block, wholes, count, figure, sheet)
        if catches:
            catch(block, count, figure.turning, sheet.lens, shine.sky, shine.lights, shine.heights, shine.ranges)
        else:
            dip(block, wholes, count, sheet.surfaces, coat.reflecting)
            if len(coat.texels):
                unwrap(block, wholes, count, figure, sheet)
                plan(block, wholes, count, coat.levels)
                look_up(block, wholes, count, coat.texels, coat.levels)
            shade(block, count, figure.turning, sheet.lens, shine.sky, shine.lights, shine.heights, shine.ranges)
        if len(passing):
            scatter_through(block, wholes, count, catches, sheet.surfaces, coat.reflecting, colours, passing)
        else:
            scatter(block, wholes, count, colours)
        if len(normals) and not catches:
            scatter_normals(block, wholes, count, sheet.lattice[1], normals)
