"""From a layout to pixels and labels: what of each object is seen is settled first, then each is painted once.

Front to back, every object is warped into its own window and takes the pixels that are still free in one map of
object numbers; what would hardly be seen is left out before anything is painted. Back to front, the windows are
painted. No step walks over the whole picture for an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.blending import blend, relit
from twinset.generators.copypaste.layout import Layout, Placed
from twinset.generators.copypaste.settings import Blend
from twinset.generators.copypaste.stores import Array, Cutouts, as_bytes
from twinset.images import Pixels
from twinset.masks import Rle

Bools = NDArray[np.bool_]
MARGIN = 3
"""Pixels around an object that a soft blend may touch."""


@dataclass(frozen=True, eq=False)
class Seen:
    """An object that is in the picture: its window x0, y0, x1, y1 there, RGBA (h, w, 4) and mask (h, w) 0 or 255 in it.

    ``visible`` bool (h, w) is what nothing lies in front of; ``whole`` counts the object's pixels, those outside the
    picture too, and ``amodal_box`` is their tight box.
    """

    placed: Placed
    window: tuple[int, int, int, int]
    rgba: Array
    mask: Array
    visible: Bools
    whole: int
    amodal_box: tuple[int, int, int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The tight box xyxy, half-open, of the visible pixels in the picture."""
        return _tight(self.visible, self.window)

    @property
    def covered(self) -> bool:
        """Whether something lies in front of it."""
        return cv2.countNonZero(self.mask) > int(np.count_nonzero(self.visible))

    @property
    def outside(self) -> bool:
        """Whether some of it lies beyond the picture's borders."""
        return cv2.countNonZero(self.mask) < self.whole

    @property
    def fraction(self) -> float:
        """The visible share of the whole object."""
        return int(self.visible.sum()) / self.whole


def _tight(mask: Bools, window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x0, y0 = window[:2]
    return x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]) + 1, y0 + int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class Settled:
    """What a picture will show: objects from back to front, the map of their numbers int16 (H, W) (1 is the rearmost
    of ``layout.objects``, 0 the background), and how many were left out."""

    layout: Layout
    objects: tuple[Seen, ...]
    numbers: NDArray[np.int16]
    left_out: int


def settle(layout: Layout, cutouts: Cutouts, *, min_visible: float, truncation: float) -> Settled:
    """Which objects are seen, and where. One that would show less than ``min_visible`` of itself is left out, as is one
    of which more than ``truncation`` lies outside."""
    numbers = np.zeros(layout.size, dtype=np.int16)
    found: list[Seen] = []
    for number in range(len(layout.objects), 0, -1):
        seen = _settle_one(layout.objects[number - 1], cutouts, numbers, number, min_visible, truncation)
        if seen is not None:
            found.append(seen)
    kept = tuple(reversed(found))
    return Settled(layout, kept, numbers, layout.left_out + len(layout.objects) - len(kept))


def _settle_one(
    placed: Placed,
    cutouts: Cutouts,
    numbers: NDArray[np.int16],
    number: int,
    min_visible: float,
    truncation: float,
) -> Seen | None:
    height, width = numbers.shape
    x0, y0 = int(np.floor(placed.box[0])) - MARGIN, int(np.floor(placed.box[1])) - MARGIN
    x1, y1 = int(np.ceil(placed.box[2])) + MARGIN, int(np.ceil(placed.box[3])) + MARGIN
    warped = _warped(placed, cutouts, x0, y0, x1, y1)
    full = cv2.threshold(cv2.extractChannel(warped, 3), 127, 255, cv2.THRESH_BINARY)[1]
    whole = cv2.countNonZero(full)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left >= right or top >= bottom or not whole:
        return None
    inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    mask = as_bytes(full[inner])
    if cv2.countNonZero(mask) < (1 - truncation) * whole - 1:
        return None
    window = numbers[top:bottom, left:right]
    visible = (mask > 0) & (window == 0)
    area = int(np.count_nonzero(visible))
    if area < max(1.0, min_visible * whole):
        return None
    window[visible] = number
    x, y, wide, high = cv2.boundingRect(full)
    amodal = (x0 + x, y0 + y, x0 + x + wide, y0 + y + high)
    return Seen(placed, (left, top, right, bottom), warped[inner], mask, visible, whole, amodal)


def _warped(placed: Placed, cutouts: Cutouts, x0: int, y0: int, x1: int, y1: int) -> Array:
    """The cut-out (h, w, 4) in the window x0, y0, x1, y1, which may leave the picture."""
    linear = placed.matrix[:, :2]
    first = int(cutouts.first[placed.cutout])
    level = cutouts.level(placed.cutout, _magnification(linear))
    picture = cutouts.pictures[level]
    shares = cutouts.pictures.shapes[first][1::-1] / np.array(picture.shape[1::-1])
    linear = linear * shares
    # OpenCV counts from pixel centres: index i lies at i + ½ of our coordinates.
    shift = placed.matrix[:, 2] + linear @ np.array([0.5, 0.5]) - 0.5 - np.array([x0, y0])
    matrix = np.concatenate([linear, shift[:, None]], axis=1)
    size = (x1 - x0, y1 - y0)
    border = (0, 0, 0, 0)
    return np.asarray(
        cv2.warpAffine(
            picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border
        )
    )


def _magnification(linear: NDArray[np.float64]) -> float:
    (a, b), (c, d) = linear.tolist()
    return float(abs(a * d - b * c) ** 0.5)


def paint(
    background: Pixels, settled: Settled, cutouts: Cutouts, how: Blend, *, harmonise: bool, angle: float
) -> Pixels:
    """The picture uint8 (H, W, 3): a copy of the background with all objects on it, rearmost first."""
    canvas = background.copy()
    for seen in settled.objects:
        x0, y0, x1, y1 = seen.window
        window = canvas[y0:y1, x0:x1]
        colours = as_bytes(cv2.cvtColor(seen.rgba, cv2.COLOR_RGBA2RGB))
        if harmonise:
            colours = relit(colours, seen.mask, window, cutouts.surrounds[seen.placed.cutout])
        blend(window, colours, as_bytes(cv2.extractChannel(seen.rgba, 3)), seen.mask, how, angle=angle)
    return canvas


def run_lengths(mask: Bools, window: tuple[int, int, int, int], size: tuple[int, int]) -> Rle:
    """A mask (h, w) at a window of a picture of (height, width) as run lengths, without unrolling the picture.

    >>> run_lengths(np.ones((1, 1), dtype=np.bool_), (1, 0, 2, 1), (2, 2)).runs()
    [2, 1, 1]
    """
    height, width = size
    x0, y0 = window[:2]
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), dtype=np.int8)
    columns[:, 1:-1] = mask.T
    steps = np.diff(columns, axis=1)
    starts, ends = (
        (across + x0) * height + y0 + down for across, down in (np.nonzero(steps == 1), np.nonzero(steps == -1))
    )
    apart = np.flatnonzero(starts[1:] > ends[:-1])  # runs that go on into the next column are one
    starts = starts[np.concatenate([[0], apart + 1])] if len(starts) else starts
    ends = np.concatenate([ends[apart], ends[-1:]])
    bounds = np.concatenate([[0], np.stack([starts, ends], 1).ravel(), [height * width]])
    runs: Sequence[int] = np.diff(bounds).tolist()
    return Rle.of_runs(height, width, runs if runs[-1] else runs[:-1])
