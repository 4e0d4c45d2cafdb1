"""Shadows of far lights: height maps seen from the light, looked up with soft edges.

The map spans only what is seen *and* may be shadowed; how it is asked stands in :mod:`.penumbrae`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.compiled import brief, compiled, inner, larger
from twinset.generators.rendering.raster.drawing import SPARE

NONE = np.float32(-1e30)
"""Height of a map where nothing is."""

WIDEST = 6.0
"""Texels of the widest blur, to either side."""

CELLS = (4, 8)
"""Texels a side of the cells whose range of heights is known: powers of two, the first that is at least the widest
blur and 1."""

STRIDE = 4
"""Every so many pixels what is seen is asked where it lies."""


@brief
def seen_points(
    nearness: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    lens: NDArray[np.float64],
    offset: int,
    step: int,
    points: NDArray[np.float64],
) -> int:
    """Fills ``points`` (N, 3), camera coordinates of some of what is seen; how many."""
    rows, columns = surfaces.shape
    count = 0
    stride = STRIDE if step == 2 else 2 * STRIDE
    for row in range(stride // 2, rows, stride):
        for column in range(stride // 2, columns, stride):
            if surfaces[row, column] >= 0:
                depth = 1.0 / np.float64(nearness[row, column])
                points[count, 0] = (offset + step * column - lens[2]) / lens[0] * depth
                points[count, 1] = (offset + step * row - lens[3]) / lens[1] * depth
                points[count, 2] = depth
                count += 1
    return count


@brief
def spans(points: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, A): least and largest coordinate of the points (N, 3) along each of the axes (A, 3)."""
    found = np.empty((2, len(axes)), np.float64)
    for axis in range(len(axes)):
        low, high = np.inf, -np.inf
        for k in range(len(points)):
            at = points[k, 0] * axes[axis, 0] + points[k, 1] * axes[axis, 1] + points[k, 2] * axes[axis, 2]
            low, high = min(low, at), max(high, at)
        found[0, axis], found[1, axis] = low, high
    return found


@brief
def lowest_within(
    points: NDArray[np.float64], axes: NDArray[np.float64], first: NDArray[np.float64], last: NDArray[np.float64]
) -> float:
    """Least coordinate along the third axis of the points between ``first`` and ``last`` (2,) along the others."""
    low = np.inf
    for k in range(len(points)):
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        u = x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]
        v = x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]
        if first[0] <= u <= last[0] and first[1] <= v <= last[1]:
            low = min(low, x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2])
    return low


@compiled
def draw_heights(
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    closed: bool,
    placing: NDArray[np.float64],
    flat: NDArray[np.float32],
    heights: NDArray[np.float32],
) -> None:
    """Draws one object into a map (size, size + SPARE) of the largest height above the light's plane.

    ``placing`` (3, 4) maps the object to (column, row, height), texel centres at +0.5, and turns no outside in;
    ``flat`` (V, 3) is scratch. The faces of a ``closed`` object that look away from the light lie below others.
    """
    size = len(heights)
    every = heights.reshape(-1)
    for v in range(len(vertices)):
        a, b, c = np.float64(vertices[v, 0]), np.float64(vertices[v, 1]), np.float64(vertices[v, 2])
        for axis in range(3):
            at = placing[axis, 0] * a + placing[axis, 1] * b + placing[axis, 2] * c + placing[axis, 3]
            flat[v, axis] = at if axis == 2 else at - 0.5
    most = np.float32(size - 1)
    for t in range(len(faces)):
        a_, b_, c_ = np.uint32(faces[t, 0]), np.uint32(faces[t, 1]), np.uint32(faces[t, 2])
        ax, ay, bx, by, cx, cy = flat[a_, 0], flat[a_, 1], flat[b_, 0], flat[b_, 1], flat[c_, 0], flat[c_, 1]
        low_x = max(np.ceil(min(ax, bx, cx)), np.float32(0))
        high_x = min(np.floor(max(ax, bx, cx)), most)
        low_y = max(np.ceil(min(ay, by, cy)), np.float32(0))
        high_y = min(np.floor(max(ay, by, cy)), most)
        if not (low_x <= high_x and low_y <= high_y):
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0 or (closed and area < 0):
            continue
        inverse = np.float32(1) / area
        az, bz, cz = flat[a_, 2], flat[b_, 2], flat[c_, 2]
        # Weights of b and c, and with them the height, are linear in column and row.
        b_x, b_y = (cy - ay) * inverse, (ax - cx) * inverse
        c_x, c_y = (ay - by) * inverse, (bx - ax) * inverse
        h_x, h_y = b_x * (bz - az) + c_x * (cz - az), b_y * (bz - az) + c_y * (cz - az)
        lowest, highest = min(az, bz, cz), max(az, bz, cz)
        left, count = int(low_x), int(high_x) - int(low_x) + 1
        for row in range(int(low_y), int(high_y) + 1):
            x, y = np.float32(left) - ax, np.float32(row) - ay
            b0, c0 = b_x * x + b_y * y, c_x * x + c_y * y
            h0 = az + h_x * x + h_y * y
            base = np.uint64(row * heights.shape[1] + left)
            for k in range(np.int32((count - 1) | (SPARE - 1)) + np.int32(1)):
                right = np.float32(np.int32(k))
                of_b, of_c, height = b0 + b_x * right, c0 + c_x * right, h0 + h_x * right
                height = height if height > lowest else lowest
                height = highest if height > highest else height
                inside = (of_b >= 0) & (of_c >= 0) & (of_b + of_c <= 1)
                at = base + np.uint64(k)
                every[at] = larger(height if inside else NONE, every[at])


@compiled
def survey(heights: NDArray[np.float32], cell: int, ranges: NDArray[np.float32]) -> None:
    """Fills ``ranges`` (2, …, …): the highest and lowest of every cell and its neighbours, from the first on."""
    size = len(heights)
    cells = size // cell
    most, least = np.empty(size, np.float32), np.empty(size, np.float32)
    highest, lowest = ranges[0], ranges[1]
    for j in range(cells):
        most[:] = NONE
        least[:] = -NONE
        for y in range(cell):
            line = heights[j * cell + y]
            for x in range(size):
                value = line[x]
                most[x] = value if value > most[x] else most[x]
                least[x] = value if value < least[x] else least[x]
        for i in range(cells):
            high, low = NONE, -NONE
            for x in range(i * cell, (i + 1) * cell):
                high, low = max(high, most[x]), min(low, least[x])
            highest[j, i], lowest[j, i] = high, -low
    _widen(highest, cells)
    _widen(lowest, cells)
    for j in range(cells):
        for i in range(cells):
            lowest[j, i] = -lowest[j, i]


@inner
def _widen(values: NDArray[np.float32], cells: int) -> None:
    """Every one of (cells, cells) becomes the largest of itself and its neighbours."""
    before, line = np.empty(cells, np.float32), np.empty(cells + 2, np.float32)
    before[:] = values[0, :cells]
    for j in range(cells):
        here, after = values[j], values[min(j + 1, cells - 1)]
        for i in range(cells):
            value = before[i] if before[i] > here[i] else here[i]
            line[i + 1] = value if value > after[i] else after[i]
            before[i] = here[i]
        line[0], line[cells + 1] = line[1], line[cells]
        for i in range(cells):
            value = line[i] if line[i] > line[i + 1] else line[i + 1]
            here[i] = value if value > line[i + 2] else line[i + 2]
