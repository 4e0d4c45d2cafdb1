"""Boxes and masks of single objects: where they lie, how large and how hidden they are, how like their surroundings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata.image_measures import windows
from twinset.images import Pixels
from twinset.instances import Instances
from twinset.masks import Mask

GEOMETRY = ("box_area", "box_area_px", "aspect_ratio", "centre_x", "centre_y")
"""The columns of :func:`geometry`."""


def geometry(boxes: NDArray[np.floating], sizes: NDArray[np.integer]) -> NDArray[np.float64]:
    """float64 (M, 5): :data:`GEOMETRY` of ``boxes`` (M, 4), xyxy in pixels, in pictures of ``sizes`` (M, 2: H, W).

    box_area is a share of the picture, box_area_px in pixels, aspect_ratio width over height, centres are shares of
    width and height.
    """
    corners = np.asarray(boxes, dtype=np.float64)
    width, height = (corners[:, 2:] - corners[:, :2]).T
    middle = (corners[:, 2:] + corners[:, :2]) / 2
    area = width * height
    return np.stack(
        [
            area / (sizes[:, 0] * sizes[:, 1]),
            area,
            width / height,
            middle[:, 0] / sizes[:, 1],
            middle[:, 1] / sizes[:, 0],
        ],
        axis=1,
    )


def box_overlaps(boxes: NDArray[np.floating], rows: NDArray[np.integer]) -> NDArray[np.float64]:
    """(M,) largest share of each box (M, 4) that one other box of its picture covers, 0…1.

    ``rows`` (M,), ascending, says which picture each box is in.
    """
    corners = np.asarray(boxes, dtype=np.float64)
    shares = np.zeros(len(boxes))
    if not len(boxes):
        return shares
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1, [len(rows)]])
    for start, stop in pairwise(bounds.tolist()):
        if stop - start > 1:
            shares[start:stop] = _largest_shares(corners[start:stop])
    return shares


def _largest_shares(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) largest share of each box that one of the others covers."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    np.fill_diagonal(shared, 0.0)
    return np.asarray(shared.max(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def visible_fractions(instances: Instances) -> NDArray[np.float64]:
    """(K,) share of each object that is seen, 0…1: the column ``visible_fraction`` where there is one, else the area of
    the visible mask over that of the amodal one, else NaN."""  # fmt: skip
    k = len(instances)
    stated = instances.columns.get("visible_fraction", (None,) * k)
    visible, whole = instances.masks or (None,) * k, instances.amodal_masks or (None,) * k
    fractions = np.full(k, np.nan)
    for i, (said, seen, full) in enumerate(zip(stated, visible, whole, strict=True)):
        if isinstance(said, int | float):
            fractions[i] = float(said)
        elif seen is not None and full is not None and full.area:
            fractions[i] = min(seen.area / full.area, 1.0)
    return fractions


def mask_overlaps(instances: Instances) -> NDArray[np.float64]:
    """(K,) largest share of each amodal mask that another object's covers; NaN unless all have amodal masks.

    It does not say which of two lies in front: at most this share of an object is hidden by any single other.
    """
    from pycocotools import mask as coco

    k = len(instances)
    masks = [mask for mask in instances.amodal_masks or () if mask is not None]
    if k == 0 or len(masks) < k:
        return np.full(k, np.nan)
    packed = [{"size": [mask.height, mask.width], "counts": mask.counts} for mask in masks]
    # As crowds, pycocotools divides what two masks share by the area of the first alone.
    shares = np.array(coco.iou(packed, packed, [1] * k), dtype=np.float64).reshape(k, k)
    np.fill_diagonal(shares, 0.0)
    return np.asarray(np.where([mask.area > 0 for mask in masks], shares.max(axis=1), np.nan))


def background_similarities(pixels: Pixels, instances: Instances) -> NDArray[np.float64]:
    """(K,) how alike an object's border and the background next to it are, 0…1; NaN without a visible mask.

    The border are mask pixels with background among their 3 × 3 neighbours; each is paired with the mean colour of
    those neighbours. The measure is the cosine of the two colour vectors (all border pixels, all channels). NaN also
    where the mask touches no background, or all is black.
    """
    found = np.full(len(instances), np.nan)
    if instances.masks is None:
        return found
    for i, (mask, part) in enumerate(zip(instances.masks, windows(instances.boxes, instances.size, 1), strict=True)):
        if mask is not None:
            found[i] = _border_cosine(pixels[part], _dense(mask)[part])
    return found


def _dense(mask: Mask) -> NDArray[np.uint8]:
    return mask.dense().astype(np.uint8)


def _border_cosine(colours: Pixels, mask: NDArray[np.uint8]) -> float:
    import cv2

    square = np.ones((3, 3), dtype=np.uint8)
    background = 1 - mask
    beyond = cv2.dilate(background, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    border = mask.astype(bool) & (np.asarray(beyond) > 0)
    if not border.any():
        return np.nan
    channels = colours.shape[2]
    beside = np.where(background[..., None].astype(bool), colours, 0).astype(np.float64)
    sums = cv2.boxFilter(beside, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    counts = cv2.boxFilter(background.astype(np.float64), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    outside = sums.reshape(*mask.shape, channels)[border] / counts[border][:, None]
    inside = colours[border].astype(np.float64)
    norms = np.sqrt((inside**2).sum() * (outside**2).sum())
    return float((inside * outside).sum() / norms) if norms > 0 else np.nan
