"""Textures without flicker: pyramids of halved pictures, asked between levels and along the stretched axis.

First every sample of a block says how it is to be looked up, without branches, so that LLVM vectorises it; then come
the look-ups, in whole numbers: a texture repeats with period 1, and parts of 2²⁴ wrap by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    ACROSS_U,
    ACROSS_V,
    BLUE,
    BY_U,
    BY_V,
    DOWN_U,
    DOWN_V,
    FROM_U,
    FROM_V,
    GREEN,
    LEVEL,
    PART,
    RED,
    SHARE,
    TAPS,
    U,
    V,
)
from twinset.generators.rendering.raster.colour import LINEAR, to_linear, to_srgb
from twinset.generators.rendering.raster.compiled import compiled

MOST_TAPS = 4
"""Look-ups along the axis in which a texture is seen most obliquely."""

WHOLE = np.float32(1 << 24)
"""Steps of a texture coordinate from 0 to 1."""

WRAP = np.int64((1 << 24) - 1)
FARTHEST = np.float32(64)
"""A pixel counts as no larger than so many repeats of a texture."""

LIGHT = to_linear(np.arange(256) / 255)
"""Linear light of every byte, float64, as averages are taken in it."""

ZERO, HALF, ONE, ALMOST = (np.float32(value) for value in (0, 0.5, 1, 0.999))
MANTISSA = np.int32((1 << 23) - 1)
PER_MANTISSA, PER_FRACTION = np.float32(2.0**-23), np.float32(2.0**-16)


@dataclass(frozen=True, eq=False)
class Pyramid:
    """``texels`` uint8 (N, 3), sRGB, all levels; ``levels`` int64 (L, 3): first texel, height and width of each."""

    texels: NDArray[np.uint8]
    levels: NDArray[np.int64]

    @staticmethod
    def of(texture: NDArray[np.uint8]) -> Pyramid:
        """Every level half as high and wide as the one before, averaged in linear light, down to one texel."""
        parts, levels, start = [texture.reshape(-1, 3)], [(0, *texture.shape[:2])], texture.shape[0] * texture.shape[1]
        light = LIGHT[texture]
        while max(light.shape[:2]) > 1:
            light = _halved(_halved(light).transpose(1, 0, 2)).transpose(1, 0, 2)
            parts.append(np.rint(255 * to_srgb(light)).astype(np.uint8).reshape(-1, 3))
            levels.append((start, *light.shape[:2]))
            start += light.shape[0] * light.shape[1]
        return Pyramid(np.ascontiguousarray(np.concatenate(parts)), np.array(levels, dtype=np.int64))


NO_PYRAMID = Pyramid(np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.int64))


def _halved(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half as many rows, rounded down, by their share of area."""
    rows = len(light)
    if rows == 1:
        return light
    half = rows // 2
    if rows == 2 * half:
        return (light[::2] + light[1::2]) / 2
    before = (half - np.arange(half))[:, None, None]
    share = 1 / rows
    return light[0:-1:2] * before * share + light[1::2] * half * share + light[2::2] * (half + 1 - before) * share


@compiled
def within(value: np.float32) -> np.float32:
    """The value within ±FARTHEST; NaN becomes that."""
    value = value if value < FARTHEST else FARTHEST
    return value if value > -FARTHEST else -FARTHEST


@compiled
def plan(block: NDArray[np.float32], wholes: NDArray[np.int64], count: int, levels: NDArray[np.int64]) -> None:
    """How each sample's texture is looked up: level and share of the next, look-ups, where they begin, their step.

    The level fits the shorter side of the pixel's footprint, as far as MOST_TAPS look-ups along the longer one allow;
    between levels the share grows with the footprint, not with its logarithm.
    """
    height, width, last = np.float32(levels[0, 1]), np.float32(levels[0, 2]), np.int32(len(levels) - 1)
    taps_of, level_of = wholes[TAPS], wholes[LEVEL]
    from_u, from_v, by_u, by_v = wholes[FROM_U], wholes[FROM_V], wholes[BY_U], wholes[BY_V]
    for k in range(count):
        across_u, across_v = within(block[ACROSS_U + k]), within(block[ACROSS_V + k])
        down_u, down_v = within(block[DOWN_U + k]), within(block[DOWN_V + k])
        a, b, c, d = across_u * width, across_v * height, down_u * width, down_v * height
        first, second = a * a + b * b, c * c + d * d
        wide = first >= second
        step_u, step_v = across_u if wide else down_u, across_v if wide else down_v
        long, short = np.sqrt(first if wide else second), np.sqrt(second if wide else first)
        short = short if short > ONE else ONE
        ratio = long / short
        ratio = ratio if ratio < np.float32(MOST_TAPS) else np.float32(MOST_TAPS)
        taps = np.int32(ratio + ALMOST)
        taps = taps if taps > 1 else np.int32(1)
        part = ONE / np.float32(taps)
        texels = np.float32(long * part if long * part > short else short)
        bits = texels.view(np.int32)
        level, share = (bits >> 23) - 127, np.float32(bits & MANTISSA) * PER_MANTISSA
        block[SHARE + k], block[PART + k] = share if level < last else ZERO, part
        taps_of[k], level_of[k] = taps, level if level < last else last
        u, v = block[U + k] - HALF * step_u * (ONE - part), block[V + k] - HALF * step_v * (ONE - part)
        from_u[k], from_v[k] = np.int64(u * WHOLE), -np.int64(v * WHOLE)
        by_u[k], by_v[k] = np.int64(step_u * part * WHOLE), -np.int64(step_v * part * WHOLE)


@compiled
def look_up(
    block: NDArray[np.float32],
    wholes: NDArray[np.int64],
    count: int,
    texels: NDArray[np.uint8],
    levels: NDArray[np.int64],
) -> None:
    """Multiplies the samples' colours by the linear light of a texture around (U, V), u to the right and v up."""
    for k in range(count):
        taps, share, part = wholes[TAPS, k], block[SHARE + k], block[PART + k]
        red = green = blue = ZERO
        for side in range(2 if share > ZERO else 1):
            level = np.uint32(wholes[LEVEL, k] + side)
            start, height, width = levels[level, 0], levels[level, 1], levels[level, 2]
            weight = (share if side else ONE - share) * part
            u, v = wholes[FROM_U, k], wholes[FROM_V, k]
            for _ in range(taps):
                x, y = ((u & WRAP) * width >> 8) - 32768, ((v & WRAP) * height >> 8) - 32768
                u, v = u + wholes[BY_U, k], v + wholes[BY_V, k]
                left, top = x >> 16, y >> 16
                right, low = left + 1, top + 1
                left = left + width if left < 0 else left
                top = top + height if top < 0 else top
                right = right if right < width else 0
                low = low if low < height else 0
                of_right, of_low = np.float32(x & 65535) * PER_FRACTION, np.float32(y & 65535) * (PER_FRACTION * weight)
                f = of_right * of_low
                e, d = of_low - f, of_right * (weight - of_low)
                c = weight - of_low - d
                i, j = np.uint64(start + top * width + left), np.uint64(start + top * width + right)
                m, n = np.uint64(start + low * width + left), np.uint64(start + low * width + right)
                red += (c * LINEAR[texels[i, 0]] + d * LINEAR[texels[j, 0]]) + (
                    e * LINEAR[texels[m, 0]] + f * LINEAR[texels[n, 0]]
                )
                green += (c * LINEAR[texels[i, 1]] + d * LINEAR[texels[j, 1]]) + (
                    e * LINEAR[texels[m, 1]] + f * LINEAR[texels[n, 1]]
                )
                blue += (c * LINEAR[texels[i, 2]] + d * LINEAR[texels[j, 2]]) + (
                    e * LINEAR[texels[m, 2]] + f * LINEAR[texels[n, 2]]
                )
        block[RED + k], block[GREEN + k], block[BLUE + k] = (
            block[RED + k] * red,
            block[GREEN + k] * green,
            block[BLUE + k] * blue,
        )
