"""Look-ups in textures against plain interpolation, and what footprints larger than a texel see."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.generators.rendering.scenery import light_of

from twinset.images import Pixels

pytest.importorskip("numba")

from twinset.generators.rendering.raster.blocks import (
    ACROSS_U,
    ACROSS_V,
    BLOCK,
    BLUE,
    DOWN_U,
    DOWN_V,
    GREEN,
    NUMBERS,
    RED,
    WHOLES,
    U,
    V,
)
from twinset.generators.rendering.raster.textures import Pyramid, look_up, plan

Floats = NDArray[np.float64]


def looked_up(texture: Pixels, uv: Floats, across: tuple[float, float], down: tuple[float, float]) -> Floats:
    """(N, 3) linear light around the coordinates (N, 2), over pixels of these sides."""
    block, wholes, count = np.zeros(NUMBERS, np.float32), np.zeros((WHOLES, BLOCK), np.int64), len(uv)
    rows = [(U, uv[:, 0]), (V, uv[:, 1]), (RED, 1), (GREEN, 1), (BLUE, 1)]
    rows += [(ACROSS_U, across[0]), (ACROSS_V, across[1]), (DOWN_U, down[0]), (DOWN_V, down[1])]
    for row, value in rows:
        block[row : row + count] = value
    pyramid = Pyramid.of(texture)
    plan(block, wholes, count, pyramid.levels)
    look_up(block, wholes, count, pyramid.texels, pyramid.levels)
    return np.stack([block[row : row + count] for row in (RED, GREEN, BLUE)], axis=1).astype(np.float64)


def interpolated(texture: Pixels, uv: Floats) -> Floats:
    """Plain bilinear interpolation of a texture that repeats, v from the lower edge up."""
    light = light_of(texture)
    height, width = light.shape[:2]
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, low_share = (x - left)[:, None], (y - top)[:, None]

    def at(row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
        return light[row % height, column % width]

    upper = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share
    lower = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share
    return upper * (1 - low_share) + lower * low_share


@pytest.mark.parametrize("shape", [(16, 16), (7, 12), (33, 5), (1, 1), (1, 9)])
def test_near_textures_are_interpolated_and_repeat(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    texture = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    uv = np.concatenate([rng.uniform(0, 1, (400, 2)), [(0, 0), (0, 0.999), (0.999, 0), (0.5, 0.5)]])
    found = looked_up(texture, uv, (1e-4, 0.0), (0.0, 1e-4))
    np.testing.assert_allclose(found, interpolated(texture, uv), atol=2e-4)


def test_a_pixel_that_spans_a_whole_texture_sees_its_mean_light() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    mean = light_of(texture).mean((0, 1))
    uv = np.random.default_rng(1).uniform(0, 1, (50, 2))
    for size in (1.0, 7.3, 500.0, np.inf, np.nan):
        found = looked_up(texture, uv, (size, 0.0), (0.0, size))
        np.testing.assert_allclose(found, np.broadcast_to(mean, (50, 3)), atol=0.01)


def test_a_long_footprint_blurs_along_its_own_axis_alone() -> None:
    """Stripes across the long side (3 texels, 3 look-ups) stay; along it they would vanish."""
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[::2] = 255
    uv = np.stack([np.full(32, 0.3), 1 - (np.arange(32) + 0.5) / 32], axis=1)
    along = looked_up(stripes, uv, (3 / 32, 0.0), (0.0, 1 / 32))
    np.testing.assert_allclose(along[:, 0], np.arange(32) % 2 == 0, atol=1e-3)
    over = looked_up(stripes, uv, (0.0, 4 / 32), (1 / 32, 0.0))
    np.testing.assert_allclose(over, 0.5, atol=0.02)


def test_between_two_levels_both_have_a_share() -> None:
    texture = np.random.default_rng(2).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    uv = np.random.default_rng(3).uniform(0, 1, (200, 2))
    sharp, between, soft = (looked_up(texture, uv, (size / 64, 0.0), (0.0, size / 64)) for size in (1.0, 1.5, 2.0))
    np.testing.assert_allclose(between, (sharp + soft) / 2, atol=1e-3)
    assert sharp.std() > between.std() > soft.std()
