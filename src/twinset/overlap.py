"""How much boxes and masks overlap: intersection over union, with COCO's rule for crowds.

Against a crowd the intersection is divided by the area of what was found alone: a box inside a crowd region is
not to blame for the rest of the region (Lin et al., "Microsoft COCO", ECCV 2014, section 4.4, and cocoapi).
Everything is float64, in the order of operations of cocoapi, so that thresholds fall on the same side there and here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.masks import Mask


def box_areas(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 (K,): width times height in pixels of boxes (K, 4), xyxy."""
    exact = np.asarray(boxes, dtype=np.float64)
    return np.asarray((exact[:, 2] - exact[:, 0]) * (exact[:, 3] - exact[:, 1]))


def box_overlaps(
    found: NDArray[np.floating], truth: NDArray[np.floating], crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """float64 (D, G), 0…1: every box of ``found`` (D, 4) with every one of ``truth`` (G, 4), xyxy in pixels.

    ``crowd`` bool (G,) marks the truths that are crowds. ``ValueError`` for other shapes.

    >>> box_overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [0, 0, 9, 9]]), np.array([False, True]))
    array([[0.33333333, 1.        ]])
    """
    rows, columns = np.divmod(np.arange(len(found) * len(truth)), max(1, len(truth)))
    flags = _crowd_flags(crowd, len(truth))
    return paired_box_overlaps(found[rows], truth[columns], flags[columns]).reshape(len(found), len(truth))


def paired_box_overlaps(
    found: NDArray[np.floating], truth: NDArray[np.floating], crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """float64 (P,): box p of ``found`` (P, 4) with box p of ``truth`` (P, 4); ``crowd`` bool (P,) as above."""
    if found.ndim != 2 or found.shape[1:] != (4,) or found.shape != truth.shape:
        raise ValueError(f"expected boxes (P, 4) twice; got {found.shape} and {truth.shape}")
    flags = _crowd_flags(crowd, len(truth))
    a, b = (np.ascontiguousarray(boxes.T, dtype=np.float64) for boxes in (found, truth))
    wide = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    high = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    shared = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    own = (a[2] - a[0]) * (a[3] - a[1])
    union = own + (b[2] - b[0]) * (b[3] - b[1]) - shared
    if flags.any():
        union = np.where(flags, own, union)
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return overlap


def mask_overlaps(
    found: Sequence[Mask], truth: Sequence[Mask], crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """float64 (D, G), 0…1: every mask of ``found`` with every one of ``truth``; an empty mask overlaps nothing.

    ``crowd`` bool (G,) as above. ``ValueError`` if they are not all of one picture size.
    """
    return packed_overlaps(packed(found), packed(truth), _crowd_flags(crowd, len(truth)))


AT_ONCE = 200

Packed = dict[str, object]
"""A mask as pycocotools takes it: its size, and packed run lengths."""


def packed(masks: Sequence[Mask]) -> list[Packed]:
    """The masks as pycocotools takes them; polygons are drawn."""
    runs = [mask.rle() for mask in masks]
    return [{"size": [rle.height, rle.width], "counts": rle.counts} for rle in runs]


def packed_areas(masks: Sequence[Packed]) -> NDArray[np.float64]:
    """float64 (K,): pixels in each mask."""
    if not masks:
        return np.zeros(0)
    from pycocotools import mask as coco

    # pycocotools 2.0.11 fails on more than 255 masks at once under NumPy 2.
    parts = [coco.area(list(masks[start : start + AT_ONCE])) for start in range(0, len(masks), AT_ONCE)]
    return np.concatenate(parts).astype(np.float64)


def packed_overlaps(found: Sequence[Packed], truth: Sequence[Packed], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """:func:`mask_overlaps` of masks that are packed already; ``crowd`` bool (G,)."""
    if len({tuple(mask["size"]) for mask in (*found, *truth)}) > 1:  # type: ignore[arg-type]
        raise ValueError("expected masks of one picture; got several sizes")
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    from pycocotools import mask as coco

    overlaps = coco.iou(list(found), list(truth), crowd.astype(np.uint8).tolist())
    return np.asarray(overlaps, dtype=np.float64).reshape(len(found), len(truth))


def _crowd_flags(crowd: NDArray[np.bool_] | None, n: int) -> NDArray[np.bool_]:
    flags = np.zeros(n, dtype=np.bool_) if crowd is None else np.asarray(crowd)
    if flags.dtype != np.bool_ or flags.shape != (n,):
        raise ValueError(f"expected crowd flags bool ({n},); got {flags.dtype} {flags.shape}")
    return flags
