"""What the drawn lattice shows: surfaces, edges where one sample a pixel is not enough, and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.compiled import brief, compiled

CREASE = 0.35
"""Change of a surface's slope towards the camera, as a tangent, from which a pixel counts as an edge."""


@compiled
def unpack(
    nearest: NDArray[np.int64],
    behind: NDArray[np.int64],
    surface_of: NDArray[np.int32],
    nearness: NDArray[np.float32],
    triangles: NDArray[np.int32],
    surfaces: NDArray[np.int32],
) -> None:
    """Fills ``nearness``, ``triangles`` and ``surfaces`` (rows, columns), −1 for nothing, from what was drawn.

    ``nearest`` (rows, columns + SPARE) is left with nothing drawn.

    ``behind`` is seen where ``nearest`` shows nothing (of length 0: nothing there). ``surface_of`` numbers the surface
    of every triangle, that of triangle 0, which does not exist, being −1.
    """
    rows, columns = surfaces.shape
    for row in range(rows):
        line, near, triangle, surface = nearest[row], nearness[row], triangles[row], surfaces[row]
        if len(behind):
            back = behind[row]
            for k in range(columns):
                line[k] = back[k] if line[k] == 0 else line[k]
        for k in range(columns):
            key = line[k]
            line[k] = 0
            near[k] = np.int32(key >> 32).view(np.float32)
            triangle[k] = np.int32(key & 0x7FFFFFFF)
        for k in range(columns):
            surface[k] = surface_of[np.uint32(triangle[k])]


@compiled
def find_edges(
    nearness: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    tolerance: np.float32,
    flags: NDArray[np.uint8],
    needed: NDArray[np.uint8],
    edges: NDArray[np.uint8],
) -> None:
    """Says which samples are to be shaded, and of which pixels more than the centre.

    A pixel is an edge where its nine samples show more than one surface, or where 1 / depth, linear on a plane, bends
    by more than ``tolerance`` of itself. ``needed`` (rows, columns), ``edges`` (H, W); ``flags`` (columns,) is scratch.
    """
    height, width = edges.shape
    columns = surfaces.shape[1]
    needed[:] = 0
    for y in range(height):
        a, b, c = surfaces[2 * y], surfaces[2 * y + 1], surfaces[2 * y + 2]
        p, q, r = nearness[2 * y], nearness[2 * y + 1], nearness[2 * y + 2]
        for k in range(columns - 2):
            s = b[k + 1]
            same = (a[k] == s) & (a[k + 1] == s) & (a[k + 2] == s) & (b[k] == s) & (b[k + 2] == s)
            same = same & (c[k] == s) & (c[k + 1] == s) & (c[k + 2] == s)
            twice = q[k + 1] + q[k + 1]
            most = tolerance * q[k + 1]
            bend = max(abs(q[k] + q[k + 2] - twice), abs(p[k + 1] + r[k + 1] - twice))
            turn = max(abs(p[k] + r[k + 2] - twice), abs(p[k + 2] + r[k] - twice))
            flags[k] = 0 if same & (max(bend, turn) <= most) else 1
        for x in range(width):
            edge = flags[2 * x]
            edges[y, x] = edge
            if edge:
                for i in range(3):
                    for j in range(3):
                        needed[2 * y + i, 2 * x + j] = 1
            else:
                needed[2 * y + 1, 2 * x + 1] = 1


@brief
def label(
    nearness: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    object_of: NDArray[np.int32],
    step: int,
    depth: NDArray[np.float32],
    ids: NDArray[np.int32],
) -> None:
    """Fills depth and ids (H, W) from the samples at pixel centres; ``object_of`` (S + 1,) ends with −1."""
    height, width = ids.shape
    for y in range(height):
        row = y if step == 2 else 2 * y + 1
        near, surface = nearness[row], surfaces[row]
        for x in range(width):
            k = x if step == 2 else 2 * x + 1
            found = object_of[surface[np.uint32(k)]]
            ids[y, x] = found
            depth[y, x] = np.float32(1) / near[np.uint32(k)] if found >= 0 else np.float32(np.inf)
