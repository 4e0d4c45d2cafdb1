"""Which triangle is nearest at every sample, and its depth.

A triangle's edges and plane come from its homogeneous lattice coordinates (Olano and Greer, *Triangle Scan Conversion
using 2D Homogeneous Coordinates*, 1997): inside where the three edge functions are ≥ 0, 1 / depth linear over the
picture. Nothing is clipped and nothing is snapped, so what crosses the camera's plane is exact too. Float64 throughout:
the edge function of a shared edge is bit for bit minus that of the neighbour, hence every sample belongs to exactly one
of them; samples on an edge go by the usual top-left rule.

What is nearest is kept as one integer a sample: the bits of float32 1 / depth, which order as the numbers do, above the
number of the triangle. Drawing is then a maximum, without branches, and equal depth goes to the later triangle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.compiled import compiled
from twinset.generators.rendering.raster.projecting import NEAR, Lattice, crossing_box

SPARE = 8
"""Columns that every row of samples has beyond its last, since rows are drawn in whole blocks."""

BLOCK = 4
"""Samples of a row that are drawn together: what a vector of 256 bits holds; divides SPARE."""

WIDE = 32
"""Samples a row from which on solving for the row's ends pays."""

Point = tuple[float, float, float]
Plane = tuple[float, float, float, float]
Edge = tuple[float, float, float, float]
"""Coefficients of x, of y, constant, and what the function must exceed inside."""

# Helpers take numbers, not arrays: numba counts references to arrays at every call, which costs more than they do.


@compiled
def plane_through(a: Point, b: Point, c: Point) -> Plane:
    """A plane's normal in homogeneous coordinates, and its product with a point: < 0 for a front face, 0 on edge."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return nx, ny, nz, nx * a[0] + ny * a[1] + nz * a[2]


@compiled
def edge_through(a: Point, b: Point, sign: float) -> Edge:
    """The edge function of two points; of (b, a) exactly the negative.

    It must exceed 0, or as good as −0 where samples on the edge belong to this side.
    """
    x = sign * (a[1] * b[2] - a[2] * b[1])
    y = sign * (a[2] * b[0] - a[0] * b[2])
    return x, y, sign * (a[0] * b[1] - a[1] * b[0]), (-1e-300 if x > 0 or (x == 0 and y > 0) else 0.0)


@compiled
def depth_plane(a: Point, b: Point, c: Point) -> Plane:
    """1 / depth over the lattice (coefficients of x, of y, constant), and the sign of the side seen, 0 on edge."""
    nx, ny, nz, side = plane_through(a, b, c)
    inverse = 1.0 / side
    return nx * inverse, ny * inverse, nz * inverse, (1.0 if side > 0 else (-1.0 if side < 0 else 0.0))


@compiled
def depth_limits(whole: bool, a: float, b: float, c: float) -> Point:
    """Least, largest and largest allowed 1 / depth of a triangle with these at its corners."""
    if whole:
        # Within the vertices' depths even where the triangle is seen on edge and its plane is ill-conditioned.
        return min(a, b, c), max(a, b, c), np.inf
    return 0.0, np.inf, 1.0 / NEAR


@compiled
def key_of(value: float, low: float, high: float, number: np.int64) -> np.int64:
    """What is kept of a sample: the bits of float32 1 / depth, between its limits, above the triangle's number."""
    value = low if value < low else value
    value = high if value > high else value
    return (np.int64(np.float32(value).view(np.int32)) << 32) | number


@compiled
def row_ends(x: Point, rest: Point, lattice: Lattice, first: int, last: int) -> tuple[int, int]:
    """The samples of a row that may be inside three edges (coefficients of x, and the rest), one to spare at each end.

    Last < first where there are none.
    """
    offset, step = lattice[0], lattice[1]
    low, high = float(first), float(last)
    for side in range(3):
        slope, constant = (x[0], rest[0]) if side == 0 else ((x[1], rest[1]) if side == 1 else (x[2], rest[2]))
        if slope > 0:
            low = max(low, np.floor((-constant / slope - offset) / step))
        elif slope < 0:
            high = min(high, np.ceil((-constant / slope - offset) / step))
    if not low <= high:
        return 0, -1
    return int(low), int(high)


@compiled
def draw(
    points: NDArray[np.float64],
    nearness: NDArray[np.float64],
    spots: NDArray[np.int32],
    beyond: bool,
    faces: NDArray[np.int32],
    first_triangle: int,
    lattice: Lattice,
    nearest: NDArray[np.int64],
) -> None:
    """Draws one object, whose triangles are numbered from ``first_triangle``, into ``nearest``.

    That is int64 (rows, columns + SPARE), 0 where there is nothing. The others are what ``project`` filled and said.
    """
    offset, step = lattice[0], lattice[1]
    stride, flat = np.float64(step), nearest.reshape(-1)
    for t in range(len(faces)):
        i, j, k = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        a = (points[i, 0], points[i, 1], points[i, 2])
        b = (points[j, 0], points[j, 1], points[j, 2])
        c = (points[k, 0], points[k, 1], points[k, 2])
        whole = beyond or (a[2] >= NEAR and b[2] >= NEAR and c[2] >= NEAR)
        top, bottom = min(spots[i, 0], spots[j, 0], spots[k, 0]), max(spots[i, 1], spots[j, 1], spots[k, 1])
        left, right = min(spots[i, 2], spots[j, 2], spots[k, 2]), max(spots[i, 3], spots[j, 3], spots[k, 3])
        if not whole:
            top, bottom, left, right = crossing_box(a, b, c, lattice)
        if bottom < top or right < left:
            continue
        px, py, pz, sign = depth_plane(a, b, c)
        if sign == 0:
            continue
        x0, y0, c0, t0 = edge_through(b, c, sign)
        x1, y1, c1, t1 = edge_through(c, a, sign)
        x2, y2, c2, t2 = edge_through(a, b, sign)
        low, high, limit = depth_limits(whole, nearness[i], nearness[j], nearness[k])
        number = np.int64(first_triangle + t)
        for row in range(top, bottom + 1):
            y = np.float64(offset + step * row)
            r0, r1, r2, rest = y0 * y + c0, y1 * y + c1, y2 * y + c2, py * y + pz
            first, last = left, right
            if right - left >= WIDE:
                first, last = row_ends((x0, x1, x2), (r0, r1, r2), lattice, first, last)
                if last < first:
                    continue
            base, start = np.uint64(row * nearest.shape[1] + first), np.float64(offset + step * first)
            # Whole blocks: what lies beyond the last is outside by its edges, or in the spare columns.
            for n in range(((last - first) | (BLOCK - 1)) + 1):
                x = start + stride * n
                value = px * x + rest
                inside = (x0 * x + r0 > t0) & (x1 * x + r1 > t1) & (x2 * x + r2 > t2) & (value <= limit)
                key = key_of(value, low, high, number)
                at = base + np.uint64(n)
                old = flat[at]
                flat[at] = key if inside & (key > old) else old


@compiled
def cover(
    points: NDArray[np.float64],
    spots: NDArray[np.int32],
    beyond: bool,
    faces: NDArray[np.int32],
    lattice: Lattice,
    mask: NDArray[np.uint8],
) -> None:
    """Sets the samples of ``mask`` (rows, columns + SPARE) that the object covers: those :func:`draw` draws alone."""
    offset, step = lattice[0], lattice[1]
    stride, flat = np.float64(step), mask.reshape(-1)
    for t in range(len(faces)):
        i, j, k = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        a = (points[i, 0], points[i, 1], points[i, 2])
        b = (points[j, 0], points[j, 1], points[j, 2])
        c = (points[k, 0], points[k, 1], points[k, 2])
        whole = beyond or (a[2] >= NEAR and b[2] >= NEAR and c[2] >= NEAR)
        top, bottom = min(spots[i, 0], spots[j, 0], spots[k, 0]), max(spots[i, 1], spots[j, 1], spots[k, 1])
        left, right = min(spots[i, 2], spots[j, 2], spots[k, 2]), max(spots[i, 3], spots[j, 3], spots[k, 3])
        if not whole:
            top, bottom, left, right = crossing_box(a, b, c, lattice)
        if bottom < top or right < left:
            continue
        px, py, pz, sign = depth_plane(a, b, c)
        if sign == 0:
            continue
        x0, y0, c0, t0 = edge_through(b, c, sign)
        x1, y1, c1, t1 = edge_through(c, a, sign)
        x2, y2, c2, t2 = edge_through(a, b, sign)
        limit = np.inf if whole else 1.0 / NEAR
        for row in range(top, bottom + 1):
            y = np.float64(offset + step * row)
            r0, r1, r2, rest = y0 * y + c0, y1 * y + c1, y2 * y + c2, py * y + pz
            first, last = left, right
            if right - left >= WIDE:
                first, last = row_ends((x0, x1, x2), (r0, r1, r2), lattice, first, last)
                if last < first:
                    continue
            base, start = np.uint64(row * mask.shape[1] + first), np.float64(offset + step * first)
            for n in range(((last - first) | (SPARE - 1)) + 1):
                x = start + stride * n
                inside = (x0 * x + r0 > t0) & (x1 * x + r1 > t1) & (x2 * x + r2 > t2) & (px * x + rest <= limit)
                at = base + np.uint64(n)
                flat[at] = 1 if inside else flat[at]
