"""Translucent surfaces: which lie in front of one another at every sample, and what is seen through them.

Of the translucent surfaces of an object the nearest counts, of all opaque ones likewise; at a sample the layers are
these, front to back, as far as the first opaque one. A surface of opacity o and colour c, shaded s, before light b
shows o s + (1 − o) c b, linear: what it lets pass is filtered, as by stained glass (glTF's thin-walled transmission,
KHR_materials_transmission). So two cells on one another are darker than one. Labels are those of the nearest surface,
whatever its opacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.colour import LINEAR, encoded
from twinset.generators.rendering.raster.compiled import compiled
from twinset.generators.rendering.raster.drawing import SPARE, draw
from twinset.generators.rendering.raster.picking import Sheet
from twinset.generators.rendering.raster.projecting import Lattice
from twinset.generators.rendering.raster.resolving import TENT
from twinset.generators.rendering.raster.seeing import find_edges, unpack

if TYPE_CHECKING:
    from twinset.generators.rendering.raster.workspace import Seen

Buffers = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]

SPARSE = 8
"""Of so many rows and columns one is asked where it lies."""

MOST_LAYERS = 6
"""Translucent layers at a sample; what lies behind these and is translucent too is left out."""


@compiled
def file_away(alone: NDArray[np.int64], box: tuple[int, int, int, int], stack: NDArray[np.int64]) -> None:
    """Sorts one object's samples into the layers (MOST_LAYERS + 1, rows, columns + SPARE), and clears ``alone``."""
    for row in range(box[0], box[1] + 1):
        for column in range(box[2], box[3] + 1):
            key = alone[row, column]
            if key == 0:
                continue
            alone[row, column] = 0
            for layer in range(len(stack) - 1):
                held = stack[layer, row, column]
                if key > held:
                    stack[layer, row, column] = key
                    key = held
                if key == 0:
                    break


@compiled
def close(
    stack: NDArray[np.int64], opaque: NDArray[np.int64], behind: NDArray[np.int64], boxes: NDArray[np.int64]
) -> None:
    """Ends the layers, where there are any, with what is opaque there, else with ``behind`` (if that has any rows).

    ``boxes`` (MOST_LAYERS + 1, 4) become the first and last row and column of every layer, empty where it is.
    """
    layers, rows, columns = len(stack), stack.shape[1], stack.shape[2] - SPARE
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = rows, -1, columns, -1
    for row in range(rows):
        for column in range(columns):
            if stack[0, row, column] == 0:
                continue
            last = opaque[row, column]
            if last == 0 and len(behind):
                # However near a catcher stands: it is behind all that is drawn.
                last = behind[row, column]
                limit = np.int64(0)
            else:
                limit = last
            ended, layer = False, 0
            while not ended:
                held = stack[layer, row, column]
                ended = held <= limit
                key = last if ended else held
                stack[layer, row, column] = key
                if key:
                    boxes[layer, 0], boxes[layer, 1] = min(boxes[layer, 0], row), max(boxes[layer, 1], row)
                    boxes[layer, 2], boxes[layer, 3] = min(boxes[layer, 2], column), max(boxes[layer, 3], column)
                layer += 1
            # Whatever was filed behind the opaque surface.
            for rest in range(layer, layers):
                stack[rest, row, column] = 0


@compiled
def join_edges(more: NDArray[np.uint8], edges: NDArray[np.uint8], needed: NDArray[np.uint8]) -> None:
    """Adds the edges of a layer behind: all nine samples of these pixels are needed, of every layer."""
    height, width = edges.shape
    for y in range(height):
        for x in range(width):
            if more[y, x] and not edges[y, x]:
                edges[y, x] = 1
                needed[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] = 1


@compiled
def resolve_through(
    colours: NDArray[np.float32],
    passing: NDArray[np.float32],
    surfaces: NDArray[np.int32],
    edges: NDArray[np.uint8],
    picture: NDArray[np.uint8],
) -> None:
    """Lays the samples' colours over ``picture`` uint8 (H, W, 3), the background, as far as they do not let it pass.

    Both float32 (rows, columns, 3); as in ``resolve``, edges are the tent over nine samples, and where the nearest of
    the ``surfaces`` is none the background shows byte for byte.
    """
    height, width = edges.shape
    doubled = colours.shape[0] > height
    for y in range(height):
        for x in range(width):
            row, column = (2 * y + 1, 2 * x + 1) if doubled else (y, x)
            if edges[y, x] == 0 and surfaces[row, column] < 0:
                continue
            reach = 1 if edges[y, x] else 0
            for channel in range(3):
                behind = LINEAR[picture[y, x, channel]]
                total = np.float32(0)
                for i in range(-reach, reach + 1):
                    for j in range(-reach, reach + 1):
                        part = TENT[i + 1, j + 1] if reach else np.float32(1)
                        value = colours[row + i, column + j, channel]
                        value += passing[row + i, column + j, channel] * behind
                        total += part * min(value, np.float32(1))
                picture[y, x, channel] = encoded(total)


class Layers:
    """Buffers for what lies behind translucent surfaces, of pictures of one size."""

    def __init__(self, lattice: Lattice, size: tuple[int, int]) -> None:
        rows, columns = lattice[2:]
        self._lattice = lattice
        self._stack = np.zeros((MOST_LAYERS + 1, rows, columns + SPARE), np.int64)
        self._boxes = np.zeros((MOST_LAYERS + 1, 4), np.int64)
        self._alone = np.zeros((rows, columns + SPARE), np.int64)
        self._opaque = np.zeros((rows, columns + SPARE), np.int64)
        self._kept: list[Buffers] = []
        self._flags = np.zeros(columns, np.uint8)
        self._needed = np.zeros((rows, columns), np.uint8)
        self._edges = np.zeros(size, np.uint8)

    def behind(
        self,
        seen: Sequence[Seen],
        catchers: NDArray[np.int64],
        surface_of: NDArray[np.int32],
        later: NDArray[np.int32],
        sheet: Sheet,
    ) -> list[tuple[Sheet, tuple[int, int, int, int]]]:
        """What was drawn behind the nearest surfaces, front to back, and the samples in which there is something.

        ``catchers`` is where they were drawn (or of no rows); ``later`` is scratch; ``sheet`` is that of the nearest.
        """
        self._opaque.fill(0)
        for each in seen:
            if not each.in_picture or each.placed.catcher:
                continue
            faces, first, cut = each.geometry.faces, each.first_triangle, each.geometry.clear_from
            if cut:
                drawn = each.points, each.nearness, each.spots, each.beyond
                draw(*drawn, faces[:cut], first, self._lattice, later, self._opaque)
            if cut < len(faces):
                drawn = each.points, each.nearness, each.spots, each.beyond
                draw(*drawn, faces[cut:], first + cut, self._lattice, later, self._alone)
                file_away(self._alone, each.box, self._stack)
        close(self._stack, self._opaque, catchers, self._boxes)
        found = []
        for layer in range(1, MOST_LAYERS + 1):
            top, bottom, left, right = (int(side) for side in self._boxes[layer])
            if top > bottom:
                break
            found.append((self._unpacked(layer, surface_of, sheet), (top, bottom, left, right)))
            self._stack[layer, top : bottom + 1].fill(0)
        self._stack[0].fill(0)
        return found

    def _unpacked(self, layer: int, surface_of: NDArray[np.int32], sheet: Sheet) -> Sheet:
        """One layer in buffers of its own; of no meaning beyond the rows of its box."""
        rows, columns = self._lattice[2:]
        while len(self._kept) < layer:
            self._kept.append(
                (
                    np.zeros((rows, columns), np.float32),
                    np.zeros((rows, columns), np.int32),
                    np.zeros((rows, columns), np.int32),
                )
            )
        near, triangles, surfaces = self._kept[layer - 1]
        first, last = self._rows(layer)
        unpack(
            self._stack[layer, first:last],
            self._opaque[:0],
            surface_of,
            near[first:last],
            triangles[first:last],
            surfaces[first:last],
        )
        return sheet._replace(nearness=near, triangles=triangles, surfaces=surfaces)

    def _rows(self, layer: int) -> tuple[int, int]:
        """Samples' rows from … to of all pixels that a layer touches."""
        top, bottom = int(self._boxes[layer, 0]), int(self._boxes[layer, 1])
        if self._lattice[1] == 2:
            return top, bottom + 1
        height = len(self._edges)
        return 2 * max((top - 1) // 2, 0), 2 * min(bottom // 2, height - 1) + 3

    def join_edges(
        self, layers: Sequence[Sheet], tolerance: np.float32, edges: NDArray[np.uint8], needed: NDArray[np.uint8]
    ) -> None:
        """Adds the edges of the layers behind to those of the nearest."""
        for number, sheet in enumerate(layers, 1):
            first, last = self._rows(number)
            pixels = slice(first // 2, (last - 1) // 2)
            own = self._edges[pixels]
            parts = sheet.nearness[first:last], sheet.surfaces[first:last]
            find_edges(*parts, tolerance, self._flags, self._needed[first:last], own)
            join_edges(own, edges[pixels], needed[first:last])

    def points(self, layers: Sequence[Sheet]) -> NDArray[np.float64]:
        """(N, 3) in camera coordinates, some of what is seen behind."""
        found = [np.zeros((0, 3))]
        offset, step = self._lattice[:2]
        for number, sheet in enumerate(layers, 1):
            first, last = self._rows(number)
            rows, columns = np.nonzero(sheet.surfaces[first:last:SPARSE, ::SPARSE] >= 0)
            rows, columns = first + SPARSE * rows, SPARSE * columns
            depth = 1 / sheet.nearness[rows, columns].astype(np.float64)
            x, y = offset + step * columns - sheet.lens[2], offset + step * rows - sheet.lens[3]
            found.append(np.stack([x / sheet.lens[0] * depth, y / sheet.lens[1] * depth, depth], axis=1))
        return np.concatenate(found)
