"""Pictures without their objects: holes filled with smooth colour from around and texture from beside them.

The smooth part is the pull–push interpolation of Gortler et al. (The Lumigraph, 1996, section 3.4.2); the texture is
what the known pixels of a nearby place have beyond their own smooth part. A hole of any size costs one pyramid.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.stores import as_bytes
from twinset.images import Pixels

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
SMOOTH_SIGMA = 6.0
"""Gaussian width, in pixels, that parts smooth colour from texture."""


def without_objects(pixels: Pixels, holes: Bools) -> Pixels:
    """The picture uint8 (H, W, 3) with the pixels where ``holes`` bool (H, W) filled in; all others untouched."""
    if not holes.any():
        return pixels
    known = (~holes).astype(np.float32)
    colours = pixels.astype(np.float32)
    if not known.any():
        return np.full_like(pixels, pixels.reshape(-1, pixels.shape[2]).mean(0).astype(np.uint8))
    known *= _likeness(pixels, holes)
    weight = cv2.GaussianBlur(known, (0, 0), SMOOTH_SIGMA)
    blurred = cv2.GaussianBlur(colours * known[..., None], (0, 0), SMOOTH_SIGMA)
    means = np.asarray(blurred / np.maximum(weight, 1e-4)[..., None], dtype=np.float32)
    smooth = _pull_push(means, np.minimum(1, weight * 4).astype(np.float32))
    texture = np.where(holes[..., None], np.float32(0), colours - smooth)
    filled = colours.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(holes.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        x, y, width, height = (int(v) for v in stats[label, :4])
        window = (slice(y, y + height), slice(x, x + width))
        inside = labels[window] == label
        fill = smooth[window] + _texture_beside(texture, known, (x, y, width, height))
        filled[window][inside] = fill[inside]
    return np.asarray(np.clip(np.rint(filled), 0, 255), dtype=np.uint8)


def _likeness(pixels: Pixels, holes: Bools) -> Floats:
    """(H, W) in (0, 1]: how much rather a colour is seen outside the holes than in them.

    Objects that nobody labelled, or that stick out of their boxes, would else bleed into the holes beside them.
    """
    bins = pixels.astype(np.int64) >> 4
    code = (bins[..., 0] << 8) | (bins[..., 1] << 4) | bins[..., 2]
    inside, outside = (np.bincount(code[where], minlength=4096) / max(int(where.sum()), 1) for where in (holes, ~holes))
    share = (outside + 1e-6) / (inside + outside + 2e-6)
    return np.asarray(np.clip(2 * share - 0.4, 0.02, 1)[code], dtype=np.float32)


def _pull_push(colours: Floats, weight: Floats) -> Floats:
    """Colours (H, W, 3) everywhere, from where their weight (H, W) is 1."""
    height, width = weight.shape
    if min(height, width) <= 1 or weight.min() >= 1:
        mean = (colours * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(weight[..., None] > 0, colours, mean.astype(np.float32)).astype(np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    below = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(colours * weight[..., None], half, interpolation=cv2.INTER_AREA)
    means = np.asarray(sums / np.maximum(below, 1e-6)[..., None], dtype=np.float32)
    coarse = cv2.resize(
        _pull_push(means, np.asarray(np.minimum(1, below * 4), dtype=np.float32)),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(colours * weight[..., None] + coarse * (1 - weight[..., None]), dtype=np.float32)


def _texture_beside(texture: Floats, known: Floats, box: tuple[int, int, int, int]) -> Floats:
    """Texture (h, w, 3) for a box x, y, w, h, from the best known place around it (weights (H, W)); 0 in holes."""
    x, y, width, height = box
    rows, columns = known.shape
    best, found = -1.0, np.zeros((height, width, 3), dtype=np.float32)
    for reach in (1.0, 2.0):
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)):
            left = int(np.clip(x + round(right * reach * width), 0, columns - width))
            top = int(np.clip(y + round(down * reach * height), 0, rows - height))
            window = (slice(top, top + height), slice(left, left + width))
            shown = float(known[window].sum())
            if shown > best:
                best, found = shown, texture[window]
        if best > 0.95 * width * height:
            break
    return found


def holes_of(size: tuple[int, int], boxes: NDArray[np.float32], masks: list[Bools | None]) -> Bools:
    """Where objects are, with a rim for their edges and shadows: bool (H, W) from masks, or boxes where unknown."""
    holes = np.zeros(size, dtype=np.uint8)
    for box, mask in zip(boxes, masks, strict=True):
        if mask is not None:
            holes |= mask.astype(np.uint8)
            continue
        rim = 2 + 0.06 * (box[2:] - box[:2])
        x0, y0 = np.maximum(np.floor(box[:2] - rim), 0).astype(int)
        x1, y1 = np.ceil(box[2:] + rim).astype(int)
        holes[y0:y1, x0:x1] = 1
    if any(mask is not None for mask in masks):
        holes = as_bytes(cv2.dilate(holes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))))
    return holes.astype(np.bool_)
