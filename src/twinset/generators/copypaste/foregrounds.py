"""Cut-outs: by mask, out of a box by GrabCut (Rother et al., 2004), or from a folder, with or without alpha."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.stores import Array, Cutouts, as_bytes, pack
from twinset.images import Pixels

Bools = NDArray[np.bool_]

MARGIN = 4
"""Pixels kept around an object, so that soft blends have colours to fade with."""
GRABCUT_SIDE = 96
"""GrabCut looks at crops of at most this side; the outline is scaled back."""
SMALLEST_GRABCUT = 10
"""A box with a shorter side than this holds too few pixels for colour models; an ellipse is taken."""
LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8


@dataclass(frozen=True, eq=False)
class Cut:
    """One object cut out: RGBA uint8 (h, w, 4), class, where it came from, sides cut by the picture, surroundings."""

    rgba: Array
    class_id: int
    source: str
    licence: str | None
    cut: int
    surround: NDArray[np.float64]


def cut_out(
    pixels: Pixels, mask: Bools, origin: tuple[int, int], class_id: int, source: str, licence: str | None
) -> Cut:
    """The object of ``mask`` bool (h, w), whose upper left pixel is ``origin`` x, y of the picture (H, W, 3).

    The mask must not be empty.
    """
    height, width = pixels.shape[:2]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x0, y0 = origin[0] + int(columns[0]), origin[1] + int(rows[0])
    x1, y1 = origin[0] + int(columns[-1]) + 1, origin[1] + int(rows[-1]) + 1
    cut = LEFT * (x0 <= 0) | TOP * (y0 <= 0) | RIGHT * (x1 >= width) | BOTTOM * (y1 >= height)
    above, below, left, right = (min(MARGIN, rim) for rim in (y0, height - y1, x0, width - x1))
    crop = pixels[y0 - above : y1 + below, x0 - left : x1 + right]
    above, below, left, right = MARGIN - above, MARGIN - below, MARGIN - left, MARGIN - right
    colours = as_bytes(cv2.copyMakeBorder(crop, above, below, left, right, cv2.BORDER_REPLICATE))
    alpha = np.zeros(colours.shape[:2], dtype=np.uint8)
    alpha[MARGIN:-MARGIN, MARGIN:-MARGIN] = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] * np.uint8(255)
    return Cut(np.dstack([colours, alpha]), class_id, source, licence, int(cut), _surround(colours, alpha))


def _surround(colours: Pixels, alpha: Array) -> NDArray[np.float64]:
    """(6,) mean and standard deviation of L, a, b around the object; of the object where nothing is around it."""
    lab = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2LAB)
    around = (alpha == 0).astype(np.uint8)
    mean, std = cv2.meanStdDev(lab, mask=around if around.any() else None)
    return np.concatenate([mean.ravel(), std.ravel()])


def outline(pixels: Pixels, clean: Pixels, box: NDArray[np.float32]) -> tuple[Bools, tuple[int, int], bool]:
    """The object in a box: bool (h, w) over the box's pixels, their origin x, y, and whether GrabCut found it.

    ``clean`` is the picture with its objects filled in: what lies outside the box is taken from there, so that
    neighbours are not learnt as background. An outline that is too small or too full for its box, or that leaves more
    than a fifth of a side, is replaced by an ellipse (a rounded box for small objects).
    """
    height, width = pixels.shape[:2]
    x0, y0 = int(max(np.floor(box[0]), 0)), int(max(np.floor(box[1]), 0))
    x1, y1 = int(min(np.ceil(box[2]), width)), int(min(np.ceil(box[3]), height))
    if min(x1 - x0, y1 - y0) >= SMALLEST_GRABCUT:
        found = _grabcut(pixels, clean, (x0, y0, x1, y1))
        if _credible(found):
            return found, (x0, y0), True
    return _ellipse(y1 - y0, x1 - x0), (x0, y0), False


def _grabcut(pixels: Pixels, clean: Pixels, box: tuple[int, int, int, int]) -> Bools:
    x0, y0, x1, y1 = box
    height, width = pixels.shape[:2]
    rim = max(4, round(0.25 * max(x1 - x0, y1 - y0)))
    left, top, right, bottom = max(0, x0 - rim), max(0, y0 - rim), min(width, x1 + rim), min(height, y1 + rim)
    crop = clean[top:bottom, left:right].copy()
    inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    crop[inner] = pixels[y0:y1, x0:x1]
    guess = np.full(crop.shape[:2], cv2.GC_BGD, dtype=np.uint8)
    shape = (y1 - y0, x1 - x0)
    likely = np.where(_ellipse(*shape), cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    guess[inner] = np.where(_ellipse(*shape, power=4.0), likely, cv2.GC_BGD)  # a box's corners are its surroundings'
    share = min(1.0, GRABCUT_SIDE / max(crop.shape[:2]))
    small = cv2.resize(crop, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    state = cv2.resize(guess, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    if not (state == cv2.GC_PR_FGD).any() or not (state == cv2.GC_BGD).any():
        return np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    cv2.setRNGSeed(0)  # its colour clusters start from OpenCV's generator: the same for every object
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, state, (0, 0, 1, 1), background, foreground, 4, cv2.GC_INIT_WITH_MASK)
    ours = ((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)).astype(np.uint8)
    ours = _largest(as_bytes(cv2.morphologyEx(ours, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))))
    soft = cv2.GaussianBlur(ours.astype(np.float32), (0, 0), 1.5)  # smooths ragged outlines
    full = cv2.resize(soft, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[inner] >= 0.5)


def _largest(mask: Array) -> Array:
    """The largest connected piece with its holes filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, thickness=cv2.FILLED)
    return filled


def _credible(mask: Bools) -> bool:
    share = float(mask.mean())
    return 0.3 <= share <= 0.97 and float(mask.any(0).mean()) >= 0.8 and float(mask.any(1).mean()) >= 0.8


def _ellipse(height: int, width: int, *, power: float | None = None) -> Bools:
    """A superellipse that fills the box: a plain one for large boxes, squarer for small ones, if not said otherwise."""
    power = power or (2.0 if min(height, width) >= 24 else 4.0)
    y = np.abs((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
    x = np.abs((np.arange(width) + 0.5) / width * 2 - 1)[None]
    return np.asarray(x**power + y**power <= 1)


def from_file(data: bytes, pixels: Pixels) -> tuple[Pixels, Bools]:
    """Colours (H, W, 3) and mask of a picture of one object: its alpha, or GrabCut in from its border, or all of it.

    ``pixels`` is the same file decoded (which checked it), transparency over white.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as picture:
        clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
        rgba = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA"), dtype=np.uint8) if clear else None
    if rgba is not None:
        mask = rgba[..., 3] >= 128
        return _colours_beyond(np.ascontiguousarray(rgba[..., :3]), mask), mask
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_GRABCUT:
        return pixels, np.ones((height, width), dtype=np.bool_)
    rim = max(1, round(0.02 * max(height, width)))
    found = np.zeros((height, width), dtype=np.bool_)
    inside = (slice(rim, height - rim), slice(rim, width - rim))
    found[inside] = _grabcut(pixels, pixels, (rim, rim, width - rim, height - rim))
    return (pixels, found) if 0.05 <= found.mean() <= 0.95 else (pixels, np.ones((height, width), dtype=np.bool_))


def _colours_beyond(colours: Pixels, mask: Bools) -> Pixels:
    """Colours inside the mask, and beyond it those of the nearest smooth continuation (what was there is undefined)."""
    from twinset.generators.copypaste.removal import without_objects

    return without_objects(colours, ~mask) if mask.any() else colours


def gather(cuts: Sequence[Cut], *, limit_bytes: int) -> Cutouts:
    """A store of these cut-outs, sorted by class, each with its halvings down to 16 pixels."""
    order = sorted(range(len(cuts)), key=lambda i: (cuts[i].class_id, i))
    cuts = [cuts[i] for i in order]
    sources = tuple(dict.fromkeys(cut.source for cut in cuts))
    index = {name: i for i, name in enumerate(sources)}
    licences = {cut.source: cut.licence for cut in cuts}
    pyramids = [_halvings(cut.rgba) for cut in cuts]
    hulls = [_hull(cut.rgba[..., 3]) for cut in cuts]
    return Cutouts(
        pictures=pack((level for levels in pyramids for level in levels), limit_bytes=limit_bytes),
        first=np.cumsum([0, *(len(levels) for levels in pyramids)]).astype(np.int64),
        class_ids=np.array([cut.class_id for cut in cuts], dtype=np.int64),
        source=np.array([index[cut.source] for cut in cuts], dtype=np.int64),
        sources=sources,
        licences=tuple(licences[name] for name in sources),
        hulls=np.concatenate(hulls) if hulls else np.zeros((0, 2), dtype=np.float32),
        hull_starts=np.cumsum([0, *(len(hull) for hull in hulls)]).astype(np.int64),
        extents=np.array([np.ptp(hull, axis=0) for hull in hulls], dtype=np.float64).reshape(-1, 2),
        cut=np.array([cut.cut for cut in cuts], dtype=np.uint8),
        surrounds=np.array([cut.surround for cut in cuts]).reshape(-1, 6),
    )


def _halvings(rgba: Array) -> list[Array]:
    levels = [rgba]
    while min(levels[-1].shape[:2]) >= 32:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        levels.append(as_bytes(half))
    return levels


def _hull(alpha: Array) -> NDArray[np.float32]:
    """(P, 2) corners of the convex hull of the mask's pixels, as areas: pixel x covers x…x + 1."""
    rows, columns = np.nonzero(alpha >= 128)
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)])
    return np.asarray(cv2.convexHull(corners.astype(np.float32)), dtype=np.float32).reshape(-1, 2)
