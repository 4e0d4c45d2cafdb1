"""Masks as one closed outline each, for formats that hold no more than that; the same pixels come back.

The outline runs along pixel edges. Parts and holes are joined by cuts that go to and fro on one line, which
enclose nothing, so that whoever fills the outline by the even-odd rule (COCO, OpenCV) gets the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.masks import Mask, Polygons, Ring


def outline(mask: Mask) -> Ring | None:
    """One closed outline x0, y0, x1, y1, … of a mask, in pixels; None for an empty mask.

    A single polygon is its own outline. Others are traced: exact as pixels, not as polygons.

    >>> from twinset.masks import Rle
    >>> outline(Rle.of(np.array([[False, False], [False, True]])))
    (1.0, 1.0, 2.0, 1.0, 2.0, 2.0, 1.0, 2.0)
    """
    if isinstance(mask, Polygons) and len(mask.rings) == 1:
        return mask.rings[0]
    rings = edges(mask.dense())
    if not rings:
        return None
    first, joined = rings[0], list(rings[0])
    for ring in rings[1:]:
        joined += [first[0], *ring, ring[0]]
    return tuple(float(value) for point in joined for value in point)


def edges(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Closed loops of corner points (x, y) around the pixels of a mask, outer ones and holes; the filled side right."""
    onward = _unit_edges(mask)
    loops = []
    while onward:
        start = next(iter(onward))
        loop, at = [start], _step(onward, start)
        while at != start:
            loop.append(at)
            at = _step(onward, at)
        loops.append(_corners(loop))
    return loops


def _unit_edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner of pixels on the border of the mask to the next ones, clockwise around filled pixels."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),
        (inside & ~padded[1:-1, 2:], (1, 0), (1, 1)),
        (inside & ~padded[2:, 1:-1], (1, 1), (0, 1)),
        (inside & ~padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    onward: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for border, (x0, y0), (x1, y1) in sides:
        rows, columns = np.nonzero(border)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            onward.setdefault((x + x0, y + y0), []).append((x + x1, y + y1))
    return onward


def _step(onward: dict[tuple[int, int], list[tuple[int, int]]], at: tuple[int, int]) -> tuple[int, int]:
    after = onward[at]
    found = after.pop()
    if not after:
        del onward[at]
    return found


def _corners(loop: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The points at which a loop turns."""
    points = np.array(loop)
    turns = np.any(points - np.roll(points, 1, 0) != np.roll(points, -1, 0) - points, axis=1)
    return [loop[at] for at in np.flatnonzero(turns).tolist()]
