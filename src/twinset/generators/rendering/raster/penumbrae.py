"""How much of a far light every sample of a block sees, from the light's height map.

A surface is compared with the heights around it along its own plane, so that planes never shadow themselves, however
obliquely the light falls and however wide the blur is; the bias that is left covers curvature alone, and shadows begin
where things touch. The blur is as wide as the light's disc makes it at the measured distance of what shades (Fernando,
*Percentage-Closer Soft Shadows*, 2005, with the exact weights of a box).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    BIAS,
    GX,
    GY,
    GZ,
    HEIGHT,
    LIT,
    MAP_X,
    MAP_Y,
    OPEN,
    PX,
    PY,
    PZ,
    SLOPE_X,
    SLOPE_Y,
)
from twinset.generators.rendering.raster.compiled import inner

ZERO, HALF, ONE, FOUR = np.float32(0), np.float32(0.5), np.float32(1), np.float32(4)
STEEPEST = np.float32(6)
"""Texels of height a texel: surfaces seen more obliquely by the light count as no steeper."""

UNKNOWN = np.float32(-1)


@inner
def place(block: NDArray[np.float32], count: int, light: NDArray[np.float32]) -> None:
    """Where every sample lies in the map, and how its surface's height changes a texel."""
    lx, ly, lz, texel = light[0], light[1], light[2], light[9]
    ax, ay, az, at_x = light[10], light[11], light[12], light[13]
    bx, by, bz, at_y = light[14], light[15], light[16], light[17]
    most = STEEPEST * texel
    for k in range(count):
        px, py, pz = block[PX + k], block[PY + k], block[PZ + k]
        block[MAP_X + k] = ax * px + ay * py + az * pz + at_x
        block[MAP_Y + k] = bx * px + by * py + bz * pz + at_y
        block[HEIGHT + k] = lx * px + ly * py + lz * pz
    for k in range(count):
        gx, gy, gz = block[GX + k], block[GY + k], block[GZ + k]
        towards = gx * lx + gy * ly + gz * lz
        # Faces turned away get what their smooth normals say: next to nothing, without a visible edge.
        block[LIT + k] = UNKNOWN if towards > ZERO else ONE
        scale = -texel * texel / (towards if towards > np.float32(1e-6) else np.float32(1e-6))
        slope_x, slope_y = (gx * ax + gy * ay + gz * az) * scale, (gx * bx + gy * by + gz * bz) * scale
        slope_x = most if slope_x > most else slope_x
        slope_y = most if slope_y > most else slope_y
        slope_x = -most if slope_x < -most else slope_x
        slope_y = -most if slope_y < -most else slope_y
        block[SLOPE_X + k], block[SLOPE_Y + k] = slope_x, slope_y
        block[BIAS + k] = texel + HALF * (abs(slope_x) + abs(slope_y))


@inner
def decide_by_cells(
    block: NDArray[np.float32],
    places: NDArray[np.int32],
    count: int,
    light: NDArray[np.float32],
    size: int,
    ranges: NDArray[np.float32],
) -> int:
    """Settles what lies outside the map, above all around it or below all around it; lists the rest, and counts it."""
    widest, bits = light[8], np.uint32(light[18])
    low, high = widest + np.float32(2), np.float32(size) - widest - np.float32(2)
    left = 0
    for k in range(count):
        column, row = block[MAP_X + k], block[MAP_Y + k]
        inside = (column > low) & (row > low) & (column < high) & (row < high)
        i = np.uint32(np.int32(column if inside else low)) >> bits
        j = np.uint32(np.int32(row if inside else low)) >> bits
        spread = (abs(block[SLOPE_X + k]) + abs(block[SLOPE_Y + k])) * (widest + ONE)
        height = block[HEIGHT + k] + block[BIAS + k]
        lit = (block[LIT + k] >= ZERO) | (not inside) | (ranges[0, j, i] <= height - spread)
        dark = ranges[1, j, i] > height + spread
        block[LIT + k] = ONE if lit else (ZERO if dark else UNKNOWN)
        places[np.uint64(OPEN + left)] = k
        left += (not lit) & (not dark)
    return left


@inner
def decide_by_corners(
    block: NDArray[np.float32],
    places: NDArray[np.int32],
    count: int,
    light: NDArray[np.float32],
    heights: NDArray[np.float32],
) -> int:
    """Settles the listed samples where nine places around them agree.

    Elsewhere LIT becomes minus the width of the blur, in texels; the list is left with these, and their count returned.
    """
    blur, widest = light[7], light[8]
    left = 0
    for listed in range(count):
        k = np.int64(places[OPEN + listed])
        column, row, bias = block[MAP_X + k], block[MAP_Y + k], block[BIAS + k]
        slope_x, slope_y = block[SLOPE_X + k], block[SLOPE_Y + k]
        shading, distance = ZERO, ZERO
        for j in range(-1, 2):
            y = np.int32(row + np.float32(j) * widest)
            level = block[HEIGHT + k] + slope_y * (np.float32(y) + HALF - row)
            for i in range(-1, 2):
                x = np.int32(column + np.float32(i) * widest)
                plane = level + slope_x * (np.float32(x) + HALF - column)
                above = heights[np.uint32(y), np.uint32(x)] - plane
                shading += ONE if above > bias else ZERO
                distance += above if above > bias else ZERO
        part = shading > ZERO and shading < np.float32(9)
        radius = min(max(blur * distance / max(shading, ONE), ONE), widest)
        block[LIT + k] = -radius if part else (ONE if shading == ZERO else ZERO)
        places[np.uint64(OPEN + left)] = k
        left += int(part)
    return left


@inner
def blur_edges(block: NDArray[np.float32], places: NDArray[np.int32], count: int, heights: NDArray[np.float32]) -> None:
    """For the listed samples the share of light in a box around them, by the area of every texel in it."""
    for listed in range(count):
        k = np.int64(places[OPEN + listed])
        radius = -block[LIT + k]
        column, row = block[MAP_X + k], block[MAP_Y + k]
        slope_x, slope_y = block[SLOPE_X + k], block[SLOPE_Y + k]
        lit = ZERO
        for y in range(int(row - radius), int(row + radius) + 1):
            down = min(row + radius, np.float32(y + 1)) - max(row - radius, np.float32(y))
            level = block[HEIGHT + k] + block[BIAS + k] + slope_y * (np.float32(y) + HALF - row)
            for x in range(int(column - radius), int(column + radius) + 1):
                across = min(column + radius, np.float32(x + 1)) - max(column - radius, np.float32(x))
                plane = level + slope_x * (np.float32(x) + HALF - column)
                lit += down * across if heights[np.uint32(y), np.uint32(x)] <= plane else ZERO
        block[LIT + k] = lit / (FOUR * radius * radius)


@inner
def find_lit(
    block: NDArray[np.float32],
    places: NDArray[np.int32],
    count: int,
    light: NDArray[np.float32],
    heights: NDArray[np.float32],
    ranges: NDArray[np.float32],
) -> None:
    """Sets LIT, 0…1; ``heights`` and ``ranges`` are those of this light."""
    if light[6] == 0:
        for k in range(count):
            block[LIT + k] = ONE
        return
    place(block, count, light)
    left = decide_by_cells(block, places, count, light, len(heights), ranges)
    left = decide_by_corners(block, places, left, light, heights)
    blur_edges(block, places, left, heights)
