"""Which samples of the lattice are to be shaded, and those of one object, block by block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.blocks import AT, BLOCK, COLUMN, LINE, PIXEL
from twinset.generators.rendering.raster.compiled import compiled, inner
from twinset.generators.rendering.raster.projecting import Lattice

STRETCH = 64
"""Columns of the lattice between two marks in the lists of needed samples."""


class Sheet(NamedTuple):
    """What was drawn on the lattice."""

    lattice: Lattice
    lens: NDArray[np.float64]
    nearness: NDArray[np.float32]
    triangles: NDArray[np.int32]
    surfaces: NDArray[np.int32]


class Needed(NamedTuple):
    """Which samples are to be shaded: their ``columns``, row after row.

    ``marks`` (rows, M + 1): where in ``columns`` each stretch of STRETCH columns begins, and where the last one ends.
    """

    columns: NDArray[np.int32]
    marks: NDArray[np.int32]


@compiled
def list_needed(
    flags: NDArray[np.uint8], surfaces: NDArray[np.int32], columns: NDArray[np.int32], marks: NDArray[np.int32]
) -> None:
    """Fills the lists of :class:`Needed` from ``flags`` (rows, columns), 1 for what is needed where a surface is."""
    count, across = 0, flags.shape[1]
    for row in range(flags.shape[0]):
        flag, surface = flags[row], surfaces[row]
        for stretch in range(marks.shape[1] - 1):
            marks[row, stretch] = count
            begin, end = stretch * STRETCH, min((stretch + 1) * STRETCH, across)
            some = np.uint8(0)
            for column in range(begin, end):
                some |= flag[np.uint64(column)]
            if some == 0:
                continue
            for column in range(begin, end):
                at = np.uint64(column)
                columns[np.uint64(count)] = column
                count += int((flag[at] != 0) & (surface[at] >= 0))
        marks[row, marks.shape[1] - 1] = count


@inner
def choose(
    row: int,
    begun: int,
    box: tuple[int, int, int, int],
    wanted: NDArray[np.uint8],
    sheet: Sheet,
    needed: Needed,
    places: NDArray[np.int32],
) -> tuple[int, int, int]:
    """The next needed samples of the wanted surfaces, BLOCK at most; how many, and the row and entry to go on from.

    Of an entry before those of its row (−1) the row begins.
    """
    first, last = box[2] // STRETCH, box[3] // STRETCH + 1
    surfaces, across, step = sheet.surfaces.reshape(-1), sheet.surfaces.shape[1], sheet.lattice[1]
    columns, marks = needed.columns, needed.marks
    # Pixels are numbered row after row; at their centres both row and column are odd where the step is 1, else all.
    shift, odd, pixels = (0, 0, across) if step == 2 else (1, 1, across >> 1)
    count = 0
    while row <= box[1]:
        entry, end = max(begun, marks[row, first]), marks[row, last]
        base, before = row * across, count
        part = min(end - entry, BLOCK - count)
        for k in range(entry, entry + part):
            at = np.int32(base + columns[np.uint64(k)])
            places[np.uint64(AT + count)] = at
            count += wanted[np.uint32(surfaces[np.uint32(at)] + np.int32(1))]
        before_row, centred = np.int32((row >> shift) * pixels), (row & odd) == odd
        for k in range(before, count):
            column = places[AT + k] - np.int32(base)
            centre = before_row + (column >> np.int32(shift))
            places[COLUMN + k], places[LINE + k] = column, row
            places[PIXEL + k] = centre if centred & ((column & np.int32(odd)) == np.int32(odd)) else np.int32(-1)
        begun = entry + part
        if begun < end:
            return count, row, begun
        row, begun = row + 1, -1
    return count, row, -1
