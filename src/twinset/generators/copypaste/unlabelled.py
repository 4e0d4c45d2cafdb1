"""What looks like the labelled objects of a picture, and nobody labelled.

Annotators leave out what is cut, crowded or out of focus. In a twin such things stand in the backdrop, real and without
a label, beside synthetic ones that have one: a detector trained on it learns to leave real objects alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.stores import as_bytes
from twinset.images import Pixels
from twinset.instances import Instances

Bools = NDArray[np.bool_]
CORE = 0.7
"""Share of a box's sides that its object surely fills, as an ellipse."""

TELLING = 0.2
"""Share of the objects' pixels, less that of the pixels beside them, that show the objects' colours: with less of a
difference, colours do not tell objects from what is beside them."""

LOOKS = 4
"""How often the colours beside the objects are counted anew, without what was found."""

BLUR = 1.5
_LEVELS = 16  # of each channel; more would leave most colours without a pixel
_SMOOTHING = 0.7  # of the histograms, in levels
_LEAST_AREA = 0.02  # of a typical object's square; less is a speck
_OPENED, _RIM = 0.05, 0.1  # of a typical object's side


def cores_of(objects: Instances) -> Bools:
    """bool (H, W): pixels that surely show one of the objects: their masks, or ellipses well inside their boxes."""
    cores = np.zeros(objects.size, dtype=np.uint8)
    masks = objects.masks or (None,) * len(objects)
    for (x0, y0, x1, y1), mask in zip(objects.boxes.tolist(), masks, strict=True):
        if mask is not None:
            cores |= mask.dense().astype(np.uint8)
            continue
        across, down = CORE * (x1 - x0), CORE * (y1 - y0)
        cv2.ellipse(cores, (((x0 + x1) / 2, (y0 + y1) / 2), (across, down), 0.0), 1, -1)
    return cores.astype(np.bool_)


def unlabelled_alike(pixels: Pixels, holes: Bools, objects: Instances) -> Bools:
    """bool (H, W): regions outside ``holes`` whose colours this picture shows rather in its objects than beside them.

    ``pixels`` uint8 (H, W, 3). Colours are compared by histograms of this picture alone, since light and staining
    differ from one to the next; a picture without objects has none. What is found no longer counts as beside the
    objects, and the rest is looked at again. Regions much smaller than an object are left out, and those that stay get
    a rim.
    """
    cores, outside = cores_of(objects), ~holes
    found = np.zeros(objects.size, dtype=np.bool_)
    if not cores.any():
        return found
    levels = cv2.GaussianBlur(pixels, (0, 0), BLUR).astype(np.int64) * _LEVELS >> 8
    codes = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    within, side = _shares(codes[cores]), float(np.median(np.sqrt(objects.box_areas)))
    for _ in range(LOOKS):
        beside = outside & ~found
        if not beside.any():
            break
        theirs = (within > _shares(codes[beside]))[codes]
        if theirs[cores].mean() - theirs[beside].mean() < TELLING:
            break
        found, before = _regions(theirs & outside, side) & outside, found
        if np.array_equal(found, before):
            break
    return found


def _regions(pixels: Bools, side: float) -> Bools:
    """Connected regions of these pixels, without specks beside objects of that side, and with a rim."""
    opened = cv2.morphologyEx(pixels.astype(np.uint8), cv2.MORPH_OPEN, _disc(_OPENED * side))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(as_bytes(opened))
    large = stats[:, cv2.CC_STAT_AREA] >= _LEAST_AREA * side * side
    large[0] = False
    return np.asarray(cv2.dilate(large[labels].astype(np.uint8), _disc(_RIM * side + 2)).astype(np.bool_))


def _shares(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(16³,) how often each colour is seen, smoothed."""
    from scipy.ndimage import gaussian_filter

    seen = np.bincount(codes, minlength=_LEVELS**3).reshape(_LEVELS, _LEVELS, _LEVELS) / len(codes)
    return np.asarray(gaussian_filter(seen, _SMOOTHING).ravel())


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return as_bytes(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
