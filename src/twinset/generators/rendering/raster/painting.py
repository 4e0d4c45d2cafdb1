"""From the drawn lattice to the picture: attributes of what is seen, shaded in blocks, averaged to pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    BLOCK,
    BLUE,
    GREEN,
    GX,
    GY,
    GZ,
    METALLIC,
    NEARNESS,
    NX,
    NY,
    NZ,
    OUT_BLUE,
    OUT_GREEN,
    OUT_RED,
    RED,
    ROUGHNESS,
    ROW,
    X,
    Y,
)
from twinset.generators.rendering.raster.colour import LINEAR, encoded
from twinset.generators.rendering.raster.compiled import compiled
from twinset.generators.rendering.raster.drawing import Plane, Point, plane_through
from twinset.generators.rendering.raster.projecting import Lattice
from twinset.generators.rendering.raster.shading import catch, shade
from twinset.generators.rendering.raster.textures import look_up


@compiled
def line_through(a: Point, b: Point) -> Point:
    """The edge function of two points (of x, of y, constant): up to a factor the weight of the third corner."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


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
def scatter(
    block: NDArray[np.float32],
    count: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    step: int,
    labelled: bool,
    colours: NDArray[np.float32],
    normals: NDArray[np.float32],
) -> None:
    """Writes a block's colours to the lattice, and the normals at pixel centres to the picture of normals."""
    for k in range(count):
        row, column = rows[k], columns[k]
        colours[row, column, 0] = block[OUT_RED + k]
        colours[row, column, 1] = block[OUT_GREEN + k]
        colours[row, column, 2] = block[OUT_BLUE + k]
        if labelled and (step == 2 or (row & 1 and column & 1)):
            y, x = (row, column) if step == 2 else (row >> 1, column >> 1)
            normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = block[NX + k], block[NY + k], block[NZ + k]


@compiled
def paint(
    points: NDArray[np.float64],
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    corner_normals: NDArray[np.float32],
    corner_uv: NDArray[np.float32],
    first_triangle: int,
    box: tuple[int, int, int, int],
    wanted: NDArray[np.uint8],
    catches: bool,
    turning: NDArray[np.float32],
    reflecting: NDArray[np.float32],
    texels: NDArray[np.uint8],
    levels: NDArray[np.int64],
    lattice: Lattice,
    lens: NDArray[np.float64],
    nearness: NDArray[np.float32],
    triangles: NDArray[np.int32],
    surfaces: NDArray[np.int32],
    needed: NDArray[np.uint8],
    sky: NDArray[np.float32],
    lights: NDArray[np.float32],
    heights: NDArray[np.float32],
    ranges: NDArray[np.float32],
    block: NDArray[np.float32],
    where: NDArray[np.int64],
    colours: NDArray[np.float32],
    normals: NDArray[np.float32],
) -> None:
    """Shades the needed samples of one object whose surfaces are ``wanted`` (S + 1,), all of one texture or of none.

    ``reflecting`` (S, 5): linear colour, roughness and metallic of every surface. No ``texels``: no texture.
    """
    offset, step = lattice[0], lattice[1]
    smooth, textured, own_uv = len(corner_normals) > 0, len(texels) > 0, len(corner_uv) > 0
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    la = lb = lc = (0.0, 0.0, 0.0)
    gx = gy = gz = turn = 0.0
    ua = ub = uc = va = vb = vc = 0.0
    current, count = -1, 0
    # Of pixels, not of samples, is the footprint in a texture.
    pixel = 2.0
    for row in range(box[0], box[1] + 1):
        y = np.float64(offset + step * row)
        for column in range(box[2], box[3] + 1):
            surface = surfaces[row, column]
            if needed[row, column] == 0 or wanted[surface] == 0:
                continue
            x = np.float64(offset + step * column)
            t = triangles[row, column] - first_triangle
            if t != current:
                current = t
                i, j, k = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
                a = (points[i, 0], points[i, 1], points[i, 2])
                b = (points[j, 0], points[j, 1], points[j, 2])
                c = (points[k, 0], points[k, 1], points[k, 2])
                la, lb, lc = line_through(b, c), line_through(c, a), line_through(a, b)
                gx, gy, gz, turn = face_normal(a, b, c, fx, fy, cx, cy)
                if own_uv:
                    ua, ub, uc = corner_uv[t, 0, 0], corner_uv[t, 1, 0], corner_uv[t, 2, 0]
                    va, vb, vc = corner_uv[t, 0, 1], corner_uv[t, 1, 1], corner_uv[t, 2, 1]
                elif textured:
                    across, up = widest_axes(
                        vertices[j, 0] - vertices[i, 0],
                        vertices[j, 1] - vertices[i, 1],
                        vertices[j, 2] - vertices[i, 2],
                        vertices[k, 0] - vertices[i, 0],
                        vertices[k, 1] - vertices[i, 1],
                        vertices[k, 2] - vertices[i, 2],
                    )
                    ua, ub, uc = vertices[i, across], vertices[j, across], vertices[k, across]
                    va, vb, vc = vertices[i, up], vertices[j, up], vertices[k, up]
            wa = la[0] * x + la[1] * y + la[2]
            wb = lb[0] * x + lb[1] * y + lb[2]
            wc = lc[0] * x + lc[1] * y + lc[2]
            inverse = 1.0 / (wa + wb + wc)
            wa, wb, wc = wa * inverse, wb * inverse, wc * inverse
            block[X + count], block[Y + count], block[NEARNESS + count] = x, y, nearness[row, column]
            block[GX + count], block[GY + count], block[GZ + count] = gx, gy, gz
            if smooth:
                sa, sb, sc = np.float32(wa * turn), np.float32(wb * turn), np.float32(wc * turn)
                for axis in range(3):
                    block[NX + axis * ROW + count] = (
                        sa * corner_normals[t, 0, axis]
                        + sb * corner_normals[t, 1, axis]
                        + sc * corner_normals[t, 2, axis]
                    )
            else:
                block[NX + count], block[NY + count], block[NZ + count] = 0, 0, 0
            red, green, blue = reflecting[surface, 0], reflecting[surface, 1], reflecting[surface, 2]
            if textured:
                u, v = wa * ua + wb * ub + wc * uc, wa * va + wb * vb + wc * vc
                scale = pixel * inverse
                across_u = scale * (la[0] * (ua - u) + lb[0] * (ub - u) + lc[0] * (uc - u))
                across_v = scale * (la[0] * (va - v) + lb[0] * (vb - v) + lc[0] * (vc - v))
                down_u = scale * (la[1] * (ua - u) + lb[1] * (ub - u) + lc[1] * (uc - u))
                down_v = scale * (la[1] * (va - v) + lb[1] * (vb - v) + lc[1] * (vc - v))
                r, g, b_ = look_up(texels, levels, u, v, (across_u, across_v), (down_u, down_v))
                red, green, blue = red * r, green * g, blue * b_
            block[RED + count], block[GREEN + count], block[BLUE + count] = red, green, blue
            block[ROUGHNESS + count], block[METALLIC + count] = reflecting[surface, 3], reflecting[surface, 4]
            where[0, count], where[1, count] = row, column
            count += 1
            if count == BLOCK:
                if catches:
                    catch(block, count, turning, lens, sky, lights, heights, ranges)
                else:
                    shade(block, count, turning, lens, sky, lights, heights, ranges)
                scatter(block, count, where[0], where[1], step, not catches, colours, normals)
                count = 0
    if catches:
        catch(block, count, turning, lens, sky, lights, heights, ranges)
    else:
        shade(block, count, turning, lens, sky, lights, heights, ranges)
    scatter(block, count, where[0], where[1], step, not catches, colours, normals)


@compiled
def resolve(
    colours: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    edges: NDArray[np.uint8],
    first_catcher: int,
    background: NDArray[np.uint8],
    picture: NDArray[np.uint8],
) -> None:
    """Fills ``picture`` uint8 (H, W, 3) from shaded samples; where nothing is, ``background`` shows byte for byte.

    With two samples a pixel and axis, edges are the tent over nine samples. A surface ≥ ``first_catcher`` holds shares
    by which it dims the background.
    """
    height, width = edges.shape
    doubled = surfaces.shape[0] > height
    for y in range(height):
        for x in range(width):
            row, column = (2 * y + 1, 2 * x + 1) if doubled else (y, x)
            surface = surfaces[row, column]
            if edges[y, x] == 0:
                if surface < 0:
                    for channel in range(3):
                        picture[y, x, channel] = background[y, x, channel]
                elif surface < first_catcher:
                    for channel in range(3):
                        picture[y, x, channel] = encoded(colours[row, column, channel])
                else:
                    for channel in range(3):
                        share = colours[row, column, channel]
                        picture[y, x, channel] = encoded(share * LINEAR[background[y, x, channel]])
                continue
            for channel in range(3):
                behind = LINEAR[background[y, x, channel]]
                total = np.float32(0)
                for i in range(-1, 2):
                    for j in range(-1, 2):
                        part = np.float32((2 - abs(i)) * (2 - abs(j))) * np.float32(0.0625)
                        found = surfaces[row + i, column + j]
                        value = behind
                        if found >= 0:
                            value = min(colours[row + i, column + j, channel], np.float32(1))
                            value = value * behind if found >= first_catcher else value
                        total += part * value
                picture[y, x, channel] = encoded(total)


@compiled
def fill_with_sky(
    picture: NDArray[np.uint8], sky: NDArray[np.float32], focal: tuple[float, float], centre: tuple[float, float]
) -> None:
    """What is seen where no geometry is: the sky's own radiance."""
    height, width, _ = picture.shape
    grey = sky[0] == sky[1] == sky[2]
    for y in range(height):
        dy = np.float32((y + 0.5 - centre[1]) / focal[1])
        for x in range(width):
            dx = np.float32((x + 0.5 - centre[0]) / focal[0])
            up = (dx * sky[4] + dy * sky[5] + sky[6]) / np.sqrt(dx * dx + dy * dy + np.float32(1))
            share = np.float32(1) + sky[3] * up
            red = encoded(sky[0] * share)
            picture[y, x, 0] = red
            picture[y, x, 1] = red if grey else encoded(sky[1] * share)
            picture[y, x, 2] = red if grey else encoded(sky[2] * share)
