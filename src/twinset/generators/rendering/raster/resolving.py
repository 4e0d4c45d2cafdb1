"""From shaded samples to the picture: averaged over each pixel, before what lies behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.colour import LINEAR, encoded
from twinset.generators.rendering.raster.compiled import compiled

TENT = (np.outer((1, 2, 1), (1, 2, 1)) / 16).astype(np.float32)
"""Shares of the nine samples of an edge."""

WHITE, ONE, TWO = np.float32(1), np.uint64(1), np.uint64(2)


@compiled
def resolve(
    colours: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    edges: NDArray[np.uint8],
    first_catcher: int,
    picture: NDArray[np.uint8],
) -> None:
    """Lays shaded samples over ``picture`` uint8 (H, W, 3), the background, where there are edges or shadow catchers.

    With two samples a pixel and axis, edges are the tent over nine samples. A surface ≥ ``first_catcher`` holds shares
    by which it dims the background. What else is seen was painted on the picture itself.
    """
    height, width = edges.shape
    doubled, across = surfaces.shape[0] > height, surfaces.shape[1]
    flat, every, drawn = picture.reshape(-1), colours.reshape(-1), surfaces.reshape(-1)
    for y in range(height):
        for x in range(width):
            row, column = (2 * y + 1, 2 * x + 1) if doubled else (y, x)
            if edges[y, x] == 0:
                if surfaces[row, column] >= first_catcher:
                    for channel in range(3):
                        share = colours[row, column, channel]
                        picture[y, x, channel] = encoded(share * LINEAR[picture[y, x, channel]])
                continue
            at = np.uint64(3 * (y * width + x))
            back_r, back_g, back_b = LINEAR[flat[at]], LINEAR[flat[at + ONE]], LINEAR[flat[at + TWO]]
            red = green = blue = np.float32(0)
            for i in range(3):
                for j in range(3):
                    part = TENT[i, j]
                    sample = (row + i - 1) * across + column + j - 1
                    found, of = drawn[np.uint64(sample)], np.uint64(3 * sample)
                    r, g, b = back_r, back_g, back_b
                    if found >= 0:
                        r, g, b = every[of], every[of + ONE], every[of + TWO]
                        r, g, b = r if r < WHITE else WHITE, g if g < WHITE else WHITE, b if b < WHITE else WHITE
                        if found >= first_catcher:
                            r, g, b = r * back_r, g * back_g, b * back_b
                    red, green, blue = red + part * r, green + part * g, blue + part * b
            flat[at], flat[at + ONE], flat[at + TWO] = encoded(red), encoded(green), encoded(blue)


@compiled
def fill_with_sky(
    picture: NDArray[np.uint8],
    surfaces: NDArray[np.int32],
    edges: NDArray[np.uint8],
    first_seen_through: int,
    sky: NDArray[np.float32],
    focal: tuple[float, float],
    centre: tuple[float, float],
) -> None:
    """What is seen where no geometry is: the sky's own radiance. Pixels that show nothing of it are left as they are.

    They are those, but for edges, of the surfaces 0 … ``first_seen_through`` − 1.
    """
    height, width, _ = picture.shape
    start, step = (1, 2) if surfaces.shape[0] > height else (0, 1)
    grey = sky[0] == sky[1] == sky[2]
    across = np.empty(width, np.float32)
    for x in range(width):
        across[x] = (x + 0.5 - centre[0]) / focal[0]
    shown, shares = np.empty(width, np.uint8), np.empty(width, np.float32)
    for y in range(height):
        surface, some = surfaces[step * y + start], np.uint8(0)
        for x in range(width):
            here = surface[np.uint64(step * x + start)]
            shown[x] = (edges[y, x] != 0) | (here < 0) | (here >= first_seen_through)
            some |= shown[x]
        if not some:
            continue
        dy = np.float32((y + 0.5 - centre[1]) / focal[1])
        for x in range(width):
            dx = across[x]
            up = (dx * sky[4] + dy * sky[5] + sky[6]) / np.sqrt(dx * dx + dy * dy + np.float32(1))
            shares[x] = np.float32(1) + sky[3] * up
        for x in range(width):
            if shown[x]:
                red = encoded(sky[0] * shares[x])
                picture[y, x, 0] = red
                picture[y, x, 1] = red if grey else encoded(sky[1] * shares[x])
                picture[y, x, 2] = red if grey else encoded(sky[2] * shares[x])
