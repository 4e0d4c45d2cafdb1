"""The colour of what is seen, in linear light: microfacets under far lights and a sky, block by block.

A surface reflects as Lambert's below Cook and Torrance's with the GGX distribution (Walter et al. 2007), Smith's
masking in the rational form of Karis (2013) and Schlick's Fresnel term; metals have no diffuse part and coloured
highlights. A light of strength 1 brings the irradiance 1 to what faces it, so white matte ground shows 1 / π of it. The
sky is the radiance ambient · (1 + sky · height of the direction), so that matte ground facing up shows
ambient · (1 + ⅔ sky); or an environment, by its harmonics up to order 2. Both sides of a surface reflect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import (
    BLUE,
    FULL_RED,
    GREEN,
    GX,
    GY,
    GZ,
    LIT,
    METALLIC,
    NEARNESS,
    NX,
    NY,
    NZ,
    OUT_BLUE,
    OUT_GREEN,
    OUT_RED,
    PX,
    PY,
    PZ,
    RED,
    ROUGHNESS,
    ROW,
    TOWARDS_VIEW,
    VX,
    VY,
    VZ,
    X,
    Y,
)
from twinset.generators.rendering.raster.compiled import inner
from twinset.generators.rendering.raster.penumbrae import find_lit

ZERO, HALF, ONE, TWO, THIRD2 = (np.float32(value) for value in (0, 0.5, 1, 2, 2 / 3))
LEAST_ROUGHNESS = np.float32(0.04)
DIELECTRIC = np.float32(0.04)
INVERSE_PI = np.float32(1 / np.pi)
FACING = np.float32(1e-3)
PLAIN = 7
"""Numbers of a sky without an environment."""


@inner
def orient(block: NDArray[np.float32], count: int, turning: NDArray[np.float32], lens: NDArray[np.float64]) -> None:
    """Positions, directions to the camera and unit normals turned to it, in camera coordinates.

    ``turning`` (3, 3) takes the normals there from the object's frame; a normal without length becomes the face's.
    """
    fx, fy = np.float32(1 / lens[0]), np.float32(1 / lens[1])
    cx, cy = np.float32(lens[2]), np.float32(lens[3])
    a, b, c = turning[0, 0], turning[0, 1], turning[0, 2]
    d, e, f = turning[1, 0], turning[1, 1], turning[1, 2]
    g, h, i = turning[2, 0], turning[2, 1], turning[2, 2]
    for k in range(count):
        x, y = (block[X + k] - cx) * fx, (block[Y + k] - cy) * fy
        depth = ONE / block[NEARNESS + k]
        block[PX + k], block[PY + k], block[PZ + k] = x * depth, y * depth, depth
        length = ONE / np.sqrt(x * x + y * y + ONE)
        vx, vy, vz = -x * length, -y * length, -length
        block[VX + k], block[VY + k], block[VZ + k] = vx, vy, vz
        nx, ny, nz = block[NX + k], block[NY + k], block[NZ + k]
        mx, my, mz = a * nx + b * ny + c * nz, d * nx + e * ny + f * nz, g * nx + h * ny + i * nz
        square = mx * mx + my * my + mz * mz
        empty = square < np.float32(1e-12)
        mx = block[GX + k] if empty else mx
        my = block[GY + k] if empty else my
        mz = block[GZ + k] if empty else mz
        length = ONE / np.sqrt(ONE if empty else square)
        mx, my, mz = mx * length, my * length, mz * length
        # An interpolated normal may look away at the outline; the nearest that does not is taken.
        facing = mx * vx + my * vy + mz * vz
        lack = FACING - facing
        lack = lack if lack > ZERO else ZERO
        mx, my, mz = mx + lack * vx, my + lack * vy, mz + lack * vz
        length = ONE / np.sqrt(mx * mx + my * my + mz * mz)
        mx, my, mz = mx * length, my * length, mz * length
        block[NX + k], block[NY + k], block[NZ + k] = mx, my, mz
        block[TOWARDS_VIEW + k] = mx * vx + my * vy + mz * vz


@inner
def add_sky(block: NDArray[np.float32], count: int, sky: NDArray[np.float32]) -> None:
    """Sets the colours to what the sky lights; ``sky`` (7,): radiance, share that depends on height, upwards."""
    red, green, blue, share = sky[0], sky[1], sky[2], sky[3]
    ux, uy, uz = sky[4], sky[5], sky[6]
    for k in range(count):
        nx, ny, nz, facing = block[NX + k], block[NY + k], block[NZ + k], block[TOWARDS_VIEW + k]
        height = nx * ux + ny * uy + nz * uz
        mirrored = TWO * facing * height - (block[VX + k] * ux + block[VY + k] * uy + block[VZ + k] * uz)
        matte, shining = ONE + THIRD2 * share * height, ONE + share * mirrored
        roughness, metallic = block[ROUGHNESS + k], block[METALLIC + k]
        shining = shining + roughness * (matte - shining)
        rest = ONE - facing
        fresnel = rest * rest
        fresnel = fresnel * fresnel * rest
        smooth = ONE - roughness
        r, g, b = block[RED + k], block[GREEN + k], block[BLUE + k]
        keeps = ONE - metallic
        base_r, base_g, base_b = (
            DIELECTRIC + (r - DIELECTRIC) * metallic,
            DIELECTRIC + (g - DIELECTRIC) * metallic,
            DIELECTRIC + (b - DIELECTRIC) * metallic,
        )
        top_r = smooth if smooth > base_r else base_r
        top_g = smooth if smooth > base_g else base_g
        top_b = smooth if smooth > base_b else base_b
        block[OUT_RED + k] = red * (keeps * r * matte + (base_r + (top_r - base_r) * fresnel) * shining)
        block[OUT_GREEN + k] = green * (keeps * g * matte + (base_g + (top_g - base_g) * fresnel) * shining)
        block[OUT_BLUE + k] = blue * (keeps * b * matte + (base_b + (top_b - base_b) * fresnel) * shining)


@inner
def polynomial(
    x: np.float32,
    y: np.float32,
    z: np.float32,
    one: np.float32,
    first: tuple[np.float32, np.float32, np.float32],
    squares: tuple[np.float32, np.float32, np.float32],
    products: tuple[np.float32, np.float32, np.float32],
) -> np.float32:
    """A polynomial of second degree; what is below 0, where few harmonics swing too far, counts as 0."""
    value = one + x * (first[0] + squares[0] * x + products[0] * y) + y * (first[1] + squares[1] * y + products[1] * z)
    value = value + z * (first[2] + squares[2] * z + products[2] * x)
    return value if value > ZERO else ZERO


@inner
def add_surroundings(block: NDArray[np.float32], count: int, sky: NDArray[np.float32], matte_only: bool) -> None:
    """As :func:`add_sky`, of an environment: ``sky`` (67,). ``matte_only`` sets what white matte surfaces show."""
    for channel in range(3):
        m, g = 7 + 10 * channel, 37 + 10 * channel
        m_one, m_first = sky[m], (sky[m + 1], sky[m + 2], sky[m + 3])
        m_squares, m_products = (sky[m + 4], sky[m + 5], sky[m + 6]), (sky[m + 7], sky[m + 8], sky[m + 9])
        g_one, g_first = sky[g], (sky[g + 1], sky[g + 2], sky[g + 3])
        g_squares, g_products = (sky[g + 4], sky[g + 5], sky[g + 6]), (sky[g + 7], sky[g + 8], sky[g + 9])
        row = channel * ROW
        for k in range(count):
            nx, ny, nz, facing = block[NX + k], block[NY + k], block[NZ + k], block[TOWARDS_VIEW + k]
            matte = polynomial(nx, ny, nz, m_one, m_first, m_squares, m_products)
            if matte_only:
                block[OUT_RED + row + k] = matte
                continue
            twice = TWO * facing
            rx, ry, rz = twice * nx - block[VX + k], twice * ny - block[VY + k], twice * nz - block[VZ + k]
            shining = polynomial(rx, ry, rz, g_one, g_first, g_squares, g_products)
            roughness, metallic, colour = block[ROUGHNESS + k], block[METALLIC + k], block[RED + row + k]
            shining = shining + roughness * (matte - shining)
            rest = ONE - facing
            fresnel = rest * rest
            fresnel = fresnel * fresnel * rest
            base = DIELECTRIC + (colour - DIELECTRIC) * metallic
            top = ONE - roughness
            top = top if top > base else base
            block[OUT_RED + row + k] = (ONE - metallic) * colour * matte + (base + (top - base) * fresnel) * shining


@inner
def add_light(block: NDArray[np.float32], count: int, light: NDArray[np.float32]) -> None:
    """Adds what a light brings, by how much of it every sample sees."""
    lx, ly, lz, red, green, blue = light[0], light[1], light[2], light[3], light[4], light[5]
    for k in range(count):
        nx, ny, nz, facing = block[NX + k], block[NY + k], block[NZ + k], block[TOWARDS_VIEW + k]
        vx, vy, vz = block[VX + k], block[VY + k], block[VZ + k]
        towards = nx * lx + ny * ly + nz * lz
        towards = towards if towards > ZERO else ZERO
        hx, hy, hz = lx + vx, ly + vy, lz + vz
        length = ONE / np.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-12))
        peak = (nx * hx + ny * hy + nz * hz) * length
        rest = ONE - (vx * hx + vy * hy + vz * hz) * length
        rest = rest if rest > ZERO else ZERO
        fresnel = rest * rest
        fresnel = fresnel * fresnel * rest
        roughness = block[ROUGHNESS + k]
        roughness = roughness if roughness > LEAST_ROUGHNESS else LEAST_ROUGHNESS
        alpha = roughness * roughness
        square = alpha * alpha
        spread = peak * peak * (square - ONE) + ONE
        masking = towards * (facing * (ONE - alpha) + alpha) + facing * (towards * (ONE - alpha) + alpha)
        shine = HALF * square * INVERSE_PI / (spread * spread * masking)
        metallic = block[METALLIC + k]
        matte = (ONE - metallic) * INVERSE_PI
        seen = towards * block[LIT + k]
        r, g, b = block[RED + k], block[GREEN + k], block[BLUE + k]
        base_r, base_g, base_b = (
            DIELECTRIC + (r - DIELECTRIC) * metallic,
            DIELECTRIC + (g - DIELECTRIC) * metallic,
            DIELECTRIC + (b - DIELECTRIC) * metallic,
        )
        block[OUT_RED + k] += red * seen * (matte * r + shine * (base_r + (ONE - base_r) * fresnel))
        block[OUT_GREEN + k] += green * seen * (matte * g + shine * (base_g + (ONE - base_g) * fresnel))
        block[OUT_BLUE + k] += blue * seen * (matte * b + shine * (base_b + (ONE - base_b) * fresnel))


@inner
def add_caught(block: NDArray[np.float32], count: int, light: NDArray[np.float32]) -> None:
    """Adds what a light brings to white matte ground, with its shadows and without."""
    for k in range(count):
        towards = block[NX + k] * light[0] + block[NY + k] * light[1] + block[NZ + k] * light[2]
        full = (towards if towards > ZERO else ZERO) * INVERSE_PI
        seen = full * block[LIT + k]
        for channel in range(3):
            block[OUT_RED + channel * ROW + k] += light[3 + channel] * seen
            block[FULL_RED + channel * ROW + k] += light[3 + channel] * full


@inner
def shade(
    block: NDArray[np.float32],
    places: NDArray[np.int32],
    count: int,
    turning: NDArray[np.float32],
    lens: NDArray[np.float64],
    sky: NDArray[np.float32],
    lights: NDArray[np.float32],
    heights: NDArray[np.float32],
    ranges: NDArray[np.float32],
) -> None:
    """Colours of ``count`` samples of one object; ``lights`` (L, LIGHT_NUMBERS), ``heights``, ``ranges`` their maps."""
    orient(block, count, turning, lens)
    if len(sky) > PLAIN:
        add_surroundings(block, count, sky, False)
    else:
        add_sky(block, count, sky)
    for k in range(len(lights)):
        find_lit(block, places, count, lights[k], heights[k], ranges[k])
        add_light(block, count, lights[k])


@inner
def catch(
    block: NDArray[np.float32],
    places: NDArray[np.int32],
    count: int,
    turning: NDArray[np.float32],
    lens: NDArray[np.float64],
    sky: NDArray[np.float32],
    lights: NDArray[np.float32],
    heights: NDArray[np.float32],
    ranges: NDArray[np.float32],
) -> None:
    """As :func:`shade`, of a shadow catcher: the share 0…1 of the light on white matte ground that is left."""
    orient(block, count, turning, lens)
    if len(sky) > PLAIN:
        add_surroundings(block, count, sky, True)
    else:
        for k in range(count):
            height = block[NX + k] * sky[4] + block[NY + k] * sky[5] + block[NZ + k] * sky[6]
            for channel in range(3):
                block[OUT_RED + channel * ROW + k] = sky[channel] * (ONE + THIRD2 * sky[3] * height)
    for channel in range(3):
        for k in range(count):
            block[FULL_RED + channel * ROW + k] = block[OUT_RED + channel * ROW + k]
    for k in range(len(lights)):
        find_lit(block, places, count, lights[k], heights[k], ranges[k])
        add_caught(block, count, lights[k])
    for channel in range(3):
        for k in range(count):
            full = block[FULL_RED + channel * ROW + k]
            left = block[OUT_RED + channel * ROW + k]
            block[OUT_RED + channel * ROW + k] = left / full if full > ZERO else ONE
