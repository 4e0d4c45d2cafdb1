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

from twinset.generators.rendering.raster.compiled import compiled, inlined, inner, larger
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

Box = tuple[int, int, int, int]
"""First and last row, first and last column."""

Row = tuple[float, float, float, float, int, int]
"""Of a row what three edge functions and 1 / depth are at x = 0, and its first and last sample."""

# Helpers take numbers, not arrays, or are written out in place: numba counts references to arrays at every call, which
# costs more than they do.


@inner
def plane_through(a: Point, b: Point, c: Point) -> Plane:
    """A plane's normal in homogeneous coordinates, and its product with a point: < 0 for a front face, 0 on edge."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return nx, ny, nz, nx * a[0] + ny * a[1] + nz * a[2]


@inner
def edge_through(a: Point, b: Point, sign: float) -> Edge:
    """The edge function of two points; of (b, a) exactly the negative.

    It must exceed 0, or as good as −0 where samples on the edge belong to this side.
    """
    x = sign * (a[1] * b[2] - a[2] * b[1])
    y = sign * (a[2] * b[0] - a[0] * b[2])
    return x, y, sign * (a[0] * b[1] - a[1] * b[0]), (-1e-300 if x > 0 or (x == 0 and y > 0) else 0.0)


@inner
def depth_plane(a: Point, b: Point, c: Point) -> Plane:
    """1 / depth over the lattice (coefficients of x, of y, constant), and the sign of the side seen, 0 on edge."""
    nx, ny, nz, side = plane_through(a, b, c)
    inverse = 1.0 / side
    return nx * inverse, ny * inverse, nz * inverse, (1.0 if side > 0 else (-1.0 if side < 0 else 0.0))


@inner
def depth_limits(whole: bool, a: float, b: float, c: float) -> Point:
    """Least, largest and largest allowed 1 / depth of a triangle with these at its corners."""
    if whole:
        # Within the vertices' depths even where the triangle is seen on edge and its plane is ill-conditioned.
        return min(a, b, c), max(a, b, c), np.inf
    return 0.0, np.inf, 1.0 / NEAR


@inner
def key_of(value: float, low: float, high: float, number: np.int64, inside: bool | np.bool_) -> float:
    """What is kept of a sample: the bits of float32 1 / depth, between its limits, above the triangle's number.

    As a float64 of these bits, which order as the integers do; 0 where the sample is not ``inside``.
    """
    value = low if value < low else value
    value = high if value > high else value
    key = (np.int64(np.float32(value).view(np.int32)) << 32) | number
    kept = key if inside else np.int64(0)
    return np.int64(kept).view(np.float64)


@inner
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


@inlined
def corner(points: NDArray[np.float64], row: np.uint32) -> Point:
    """One of the points."""
    return points[row, 0], points[row, 1], points[row, 2]


@inlined
def box_around(spots: NDArray[np.int32], i: np.uint32, j: np.uint32, k: np.uint32) -> Box:
    """Of a triangle before the camera."""
    top, bottom = min(spots[i, 0], spots[j, 0], spots[k, 0]), max(spots[i, 1], spots[j, 1], spots[k, 1])
    left, right = min(spots[i, 2], spots[j, 2], spots[k, 2]), max(spots[i, 3], spots[j, 3], spots[k, 3])
    return top, bottom, left, right


@inlined
def row_of(first: Edge, second: Edge, third: Edge, plane: Plane, lattice: Lattice, row: int, box: Box) -> Row:
    """A row of a triangle with these edges; its last sample is one before its first where it has none."""
    y = np.float64(lattice[0] + lattice[1] * row)
    r0, r1, r2 = first[1] * y + first[2], second[1] * y + second[2], third[1] * y + third[2]
    begin, end = box[2], box[3]
    if end - begin >= WIDE:
        begin, end = row_ends((first[0], second[0], third[0]), (r0, r1, r2), lattice, begin, end)
    return r0, r1, r2, plane[1] * y + plane[2], begin, end


@inlined
def hidden(flat: NDArray[np.float64], stride: int, box: Box, key: float) -> bool:
    """Whether all samples of a box hold at least this key."""
    for row in range(box[0], box[1] + 1):
        base = np.uint64(row * stride)
        for column in range(box[2], box[3] + 1):
            if flat[base + np.uint64(column)] < key:
                return False
    return True


@compiled
def draw(
    points: NDArray[np.float64],
    nearness: NDArray[np.float64],
    spots: NDArray[np.int32],
    beyond: bool,
    faces: NDArray[np.int32],
    first_triangle: int,
    lattice: Lattice,
    later: NDArray[np.int32],
    nearest: NDArray[np.int64],
) -> None:
    """Draws one object, whose triangles are numbered from ``first_triangle``, into ``nearest``.

    That is int64 (rows, columns + SPARE), 0 where there is nothing. ``later`` (F,) is scratch; the others are what
    ``project`` filled and said.
    """
    offset, step = lattice[0], lattice[1]
    stride, flat = np.float64(step), nearest.reshape(-1).view(np.float64)
    count, waiting = len(faces), 0
    for number in range(2 * count):
        if number >= count + waiting:
            break
        # Fronts first, as they hide most backs of a closed object.
        t = number if number < count else np.int64(later[np.uint64(number - count)])
        i, j, k = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        a, b, c = corner(points, i), corner(points, j), corner(points, k)
        whole = beyond or (a[2] >= NEAR and b[2] >= NEAR and c[2] >= NEAR)
        box = box_around(spots, i, j, k) if whole else crossing_box(a, b, c, lattice)
        if box[1] < box[0] or box[3] < box[2]:
            continue
        plane = depth_plane(a, b, c)
        if plane[3] == 0:
            continue
        low, high, most = depth_limits(whole, nearness[i], nearness[j], nearness[k])
        if number < count:
            if plane[3] > 0:
                later[np.uint64(waiting)] = t
                waiting += 1
                continue
        elif hidden(flat, nearest.shape[1], box, key_of(high, high, high, np.int64(first_triangle + t), True)):
            continue
        e0, e1, e2 = edge_through(b, c, plane[3]), edge_through(c, a, plane[3]), edge_through(a, b, plane[3])
        for row in range(box[0], box[1] + 1):
            r0, r1, r2, rest, first, last = row_of(e0, e1, e2, plane, lattice, row, box)
            base, start = np.uint64(row * nearest.shape[1] + first), np.float64(offset + step * first)
            # Whole blocks, or none: what lies beyond the last is outside by its edges, or in the spare columns.
            for n in range(np.int32((last - first) | (BLOCK - 1)) + np.int32(1)):
                x = start + stride * np.float64(np.int32(n))
                near = plane[0] * x + rest
                inside = (e0[0] * x + r0 > e0[3]) & (e1[0] * x + r1 > e1[3]) & (e2[0] * x + r2 > e2[3]) & (near <= most)
                value, at = key_of(near, low, high, np.int64(first_triangle + t), inside), base + np.uint64(n)
                flat[at] = larger(value, flat[at])


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
        a, b, c = corner(points, i), corner(points, j), corner(points, k)
        whole = beyond or (a[2] >= NEAR and b[2] >= NEAR and c[2] >= NEAR)
        box = box_around(spots, i, j, k) if whole else crossing_box(a, b, c, lattice)
        if box[1] < box[0] or box[3] < box[2]:
            continue
        plane = depth_plane(a, b, c)
        if plane[3] == 0:
            continue
        e0, e1, e2 = edge_through(b, c, plane[3]), edge_through(c, a, plane[3]), edge_through(a, b, plane[3])
        most = np.inf if whole else 1.0 / NEAR
        for row in range(box[0], box[1] + 1):
            r0, r1, r2, rest, first, last = row_of(e0, e1, e2, plane, lattice, row, box)
            base, start = np.uint64(row * mask.shape[1] + first), np.float64(offset + step * first)
            for n in range(np.int32((last - first) | (SPARE - 1)) + np.int32(1)):
                x = start + stride * np.float64(np.int32(n))
                near = plane[0] * x + rest
                inside = (e0[0] * x + r0 > e0[3]) & (e1[0] * x + r1 > e1[3]) & (e2[0] * x + r2 > e2[3]) & (near <= most)
                flat[base + np.uint64(n)] |= np.uint8(inside)
