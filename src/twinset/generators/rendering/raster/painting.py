"""What each needed sample of an object looks like: textured and shaded, block by block, on the lattice or picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import AT, NX, OUT_RED, PIXEL, RED, ROW, STEP
from twinset.generators.rendering.raster.colour import BYTES, step_of
from twinset.generators.rendering.raster.compiled import compiled, inner
from twinset.generators.rendering.raster.gathering import Desk, Figure, dip, trace, unwrap
from twinset.generators.rendering.raster.picking import Needed, Sheet, choose
from twinset.generators.rendering.raster.shading import catch, shade
from twinset.generators.rendering.raster.textures import look_up, plan


class Coat(NamedTuple):
    """The surfaces ``wanted`` (1 + S,), the first being none; all of one texture or, without ``texels``, of none.

    ``reflecting`` (S, 6): linear colour, roughness, metallic and opacity of every surface.
    """

    wanted: NDArray[np.uint8]
    reflecting: NDArray[np.float32]
    texels: NDArray[np.uint8]
    levels: NDArray[np.int64]


class Shine(NamedTuple):
    """Sky and lights, with the lights' height maps and their ranges."""

    sky: NDArray[np.float32]
    lights: NDArray[np.float32]
    heights: NDArray[np.float32]
    ranges: NDArray[np.float32]


class Canvas(NamedTuple):
    """What is painted: samples on the lattice, the picture, and normals.

    ``colours`` float32 (rows, columns, 3); ``passing`` likewise, 1 at first, what share of the light behind is seen (of
    no rows: what is behind is hidden); ``picture`` uint8 (H, W, 3); ``edges`` uint8 (H, W), pixels of more than one
    sample; ``normals`` float32 (H, W, 3), or of no rows: none are wanted.
    """

    colours: NDArray[np.float32]
    passing: NDArray[np.float32]
    picture: NDArray[np.uint8]
    edges: NDArray[np.uint8]
    normals: NDArray[np.float32]


@inner
def scatter(desk: Desk, count: int, canvas: Canvas) -> None:
    """Writes the samples' colours to the lattice; of pixels that are no edges, their bytes to the picture."""
    block, places = desk.block, desk.places
    flat, edges, picture = canvas.colours.reshape(-1), canvas.edges.reshape(-1), canvas.picture.reshape(-1)
    for channel in range(3):
        row = channel * ROW
        for k in range(count):
            block[STEP + row + k] = step_of(block[OUT_RED + row + k])
    for k in range(count):
        pixel = places[PIXEL + k]
        if pixel >= 0 and edges[np.uint32(pixel)] == 0:
            at = 3 * np.uint64(pixel)
            for channel in range(3):
                picture[at + np.uint64(channel)] = BYTES[np.uint32(block[STEP + channel * ROW + k])]
        else:
            at = 3 * np.uint64(places[AT + k])
            for channel in range(3):
                flat[at + np.uint64(channel)] = block[OUT_RED + channel * ROW + k]


@inner
def scatter_shares(desk: Desk, count: int, canvas: Canvas) -> None:
    """Writes what a shadow catcher's samples leave of the light to the lattice."""
    block, places, flat = desk.block, desk.places, canvas.colours.reshape(-1)
    for k in range(count):
        at = 3 * np.uint64(places[AT + k])
        for channel in range(3):
            flat[at + np.uint64(channel)] = block[OUT_RED + channel * ROW + k]


@inner
def scatter_through(
    desk: Desk, count: int, catches: bool, sheet: Sheet, reflecting: NDArray[np.float32], canvas: Canvas
) -> None:
    """Lays the samples behind what is on the lattice already, as :mod:`.layering` says."""
    block, places, surfaces = desk.block, desk.places, sheet.surfaces.reshape(-1)
    colours, passing = canvas.colours.reshape(-1), canvas.passing.reshape(-1)
    for k in range(count):
        place = np.uint64(places[AT + k])
        opacity = np.float32(0) if catches else reflecting[np.uint32(surfaces[place]), 5]
        for channel in range(3):
            at = 3 * place + np.uint64(channel)
            shown, passes = block[OUT_RED + channel * ROW + k], passing[at]
            colours[at] += passes * opacity * shown
            through = shown if catches else (np.float32(1) - opacity) * block[RED + channel * ROW + k]
            passing[at] = passes * through


@inner
def scatter_normals(desk: Desk, count: int, canvas: Canvas) -> None:
    """Writes the normals at pixel centres to the picture of normals."""
    block, places, normals = desk.block, desk.places, canvas.normals.reshape(-1)
    for k in range(count):
        pixel = places[PIXEL + k]
        if pixel >= 0:
            at = 3 * np.uint64(pixel)
            for axis in range(3):
                normals[at + np.uint64(axis)] = block[NX + axis * ROW + k]


@compiled
def paint(
    figure: Figure,
    box: tuple[int, int, int, int],
    coat: Coat,
    sheet: Sheet,
    needed: Needed,
    shine: Shine,
    desk: Desk,
    catches: bool,
    canvas: Canvas,
) -> None:
    """Shades the needed samples of one object within ``box`` onto the canvas.

    A shadow catcher (``catches``) gets shares of light in place of colours, and no normals. Where the canvas lets light
    pass, the object is laid behind what was painted before.
    """
    block, wholes, places, bearing = desk.block, desk.wholes, desk.places, (figure.turning, sheet.lens)
    row, begun = box[0], -1
    while row <= box[1]:
        count, row, begun = choose(row, begun, box, coat.wanted, sheet, needed, places)
        trace(desk, count, figure, sheet, not catches and len(coat.texels) > 0)
        if catches:
            catch(block, places, count, *bearing, shine.sky, shine.lights, shine.heights, shine.ranges)
        else:
            dip(desk, count, sheet, coat.reflecting)
            if len(coat.texels):
                unwrap(desk, count, figure)
                plan(block, wholes, count, coat.levels)
                look_up(block, wholes, count, coat.texels, coat.levels)
            shade(block, places, count, *bearing, shine.sky, shine.lights, shine.heights, shine.ranges)
        if len(canvas.passing):
            scatter_through(desk, count, catches, sheet, coat.reflecting, canvas)
        elif catches:
            scatter_shares(desk, count, canvas)
        else:
            scatter(desk, count, canvas)
        if len(canvas.normals) and not catches:
            scatter_normals(desk, count, canvas)
