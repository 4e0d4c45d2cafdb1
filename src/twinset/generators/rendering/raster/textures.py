"""Textures without flicker: pyramids of halved pictures, looked up between levels and along the stretched axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.colour import LINEAR, to_linear, to_srgb
from twinset.generators.rendering.raster.compiled import compiled

MOST_TAPS = 4
"""Look-ups along the axis in which a texture is seen most obliquely."""

Colour32 = tuple[np.float32, np.float32, np.float32]


@dataclass(frozen=True, eq=False)
class Pyramid:
    """``texels`` uint8 (N, 3), sRGB, all levels; ``levels`` int64 (L, 3): first texel, height and width of each."""

    texels: NDArray[np.uint8]
    levels: NDArray[np.int64]

    @staticmethod
    def of(texture: NDArray[np.uint8]) -> Pyramid:
        """Every level half as high and wide as the one before, averaged in linear light, down to one texel."""
        parts, levels, start = [texture.reshape(-1, 3)], [(0, *texture.shape[:2])], texture.shape[0] * texture.shape[1]
        light = to_linear(texture / 255.0)
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
def bilinear(texels: NDArray[np.uint8], start: int, height: int, width: int, u: float, v: float) -> Colour32:
    """Linear light between four texels of one level; u to the right, v up, both repeating with period 1."""
    x = np.float32((u - np.floor(u)) * width) - np.float32(0.5)
    y = np.float32((np.floor(v) + 1 - v) * height) - np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    right_share, bottom_share = x - left, y - top
    x0, y0 = int(left), int(top)
    x1, y1 = x0 + 1, y0 + 1
    x0 = x0 + width if x0 < 0 else x0
    y0 = y0 + height if y0 < 0 else y0
    x1 = x1 - width if x1 >= width else x1
    y1 = y1 - height if y1 >= height else y1
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    one = np.float32(1)
    a, b = (one - right_share) * (one - bottom_share), right_share * (one - bottom_share)
    c, d = (one - right_share) * bottom_share, right_share * bottom_share
    i, j = np.uint64(start + y0 * width + x0), np.uint64(start + y0 * width + x1)
    k, n = np.uint64(start + y1 * width + x0), np.uint64(start + y1 * width + x1)
    red = a * LINEAR[texels[i, 0]] + b * LINEAR[texels[j, 0]] + c * LINEAR[texels[k, 0]] + d * LINEAR[texels[n, 0]]
    green = a * LINEAR[texels[i, 1]] + b * LINEAR[texels[j, 1]] + c * LINEAR[texels[k, 1]] + d * LINEAR[texels[n, 1]]
    blue = a * LINEAR[texels[i, 2]] + b * LINEAR[texels[j, 2]] + c * LINEAR[texels[k, 2]] + d * LINEAR[texels[n, 2]]
    return red, green, blue


@compiled
def look_up(
    texels: NDArray[np.uint8],
    levels: NDArray[np.int64],
    u: float,
    v: float,
    across: tuple[float, float],
    down: tuple[float, float],
) -> Colour32:
    """Linear light of a texture around (u, v), over a pixel whose sides are ``across`` and ``down`` in (u, v).

    The level fits the shorter side of the pixel's footprint, as far as MOST_TAPS look-ups along the longer one allow.
    """
    height, width = levels[0, 1], levels[0, 2]
    first = (across[0] * width) ** 2 + (across[1] * height) ** 2
    second = (down[0] * width) ** 2 + (down[1] * height) ** 2
    if first >= second:
        long, short, step_u, step_v = np.sqrt(first), np.sqrt(second), across[0], across[1]
    else:
        long, short, step_u, step_v = np.sqrt(second), np.sqrt(first), down[0], down[1]
    taps = 1
    if long > 1.0:
        taps = int(min(np.ceil(long / max(short, 1.0)), MOST_TAPS))
    texels_a_tap = max(long / taps, short, 1e-9)
    level = min(max(np.log2(texels_a_tap), 0.0), len(levels) - 1.0)
    lower = int(level)
    share = np.float32(level - lower)
    upper = min(lower + 1, len(levels) - 1)
    red = green = blue = np.float32(0)
    for tap in range(taps):
        at = (tap + 0.5) / taps - 0.5
        x, y = u + at * step_u, v + at * step_v
        r, g, b = bilinear(texels, levels[lower, 0], levels[lower, 1], levels[lower, 2], x, y)
        if share > 0:
            r1, g1, b1 = bilinear(texels, levels[upper, 0], levels[upper, 1], levels[upper, 2], x, y)
            r, g, b = r + share * (r1 - r), g + share * (g1 - g), b + share * (b1 - b)
        red, green, blue = red + r, green + g, blue + b
    scale = np.float32(1) / np.float32(taps)
    return red * scale, green * scale, blue * scale
