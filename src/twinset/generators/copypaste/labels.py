"""The labels of a composed picture, read off the map of what is in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinset.generators.copypaste.compositing import Seen, Settled, run_lengths
from twinset.instances import Instances
from twinset.masks import Mask, Rle
from twinset.semantic import SemanticMap

MOST_COVERED = 0.75
"""An object known by its box alone loses its label when more than this share of the box is covered."""


@dataclass(frozen=True)
class _Row:
    """What is said of one object."""

    class_id: int
    box: tuple[float, ...]
    mask: Mask | None
    amodal_box: tuple[float, ...]
    amodal_mask: Rle | None
    crowd: bool
    difficult: bool
    truncated: bool
    visible_fraction: float


def instances(
    settled: Settled, standing: Instances | None, *, with_masks: bool, min_visible: float
) -> tuple[Instances, int]:
    """All labelled objects, those of a real background first, then the pasted from back to front; and how many of the
    background's lost their label.

    Boxes and masks are what is seen. An object of the background with a mask loses what is covered, and its label
    where less than ``min_visible`` of the mask stays; one without keeps its box, up to :data:`MOST_COVERED`.
    """
    size = settled.layout.size
    rows = [] if standing is None else [_standing(settled, standing, k, min_visible) for k in range(len(standing))]
    kept = [row for row in rows if row is not None]
    pasted = [_pasted(seen, size, with_masks) for seen in settled.objects if seen.placed.class_id >= 0]
    return _instances(size, [*kept, *pasted]), len(rows) - len(kept)


def _pasted(seen: Seen, size: tuple[int, int], with_masks: bool) -> _Row:
    mask = whole = run_lengths(seen.visible, seen.window, size) if with_masks else None
    if with_masks and seen.covered:
        whole = run_lengths(seen.mask > 0, seen.window, size)
    return _Row(
        seen.placed.class_id,
        seen.box,
        mask,
        seen.amodal_box,
        whole,
        False,
        False,
        seen.placed.truncated or seen.outside,
        seen.fraction,
    )


def _standing(settled: Settled, standing: Instances, k: int, min_visible: float) -> _Row | None:
    """Object ``k`` of the background as it is seen now; None where too little of it is."""
    box = tuple(float(v) for v in standing.boxes[k])
    x0, y0, x1, y1 = int(box[0]), int(box[1]), int(np.ceil(box[2])), int(np.ceil(box[3]))
    free = settled.numbers[y0:y1, x0:x1] == 0
    mask = standing.masks[k] if standing.masks is not None else None
    amodal_box = box if standing.amodal_boxes is None else tuple(float(v) for v in standing.amodal_boxes[k])
    whole = standing.amodal_masks[k] if standing.amodal_masks is not None else None
    whole = whole or (mask.rle() if mask is not None else None)
    share = 1.0
    if not free.all():
        share = float(free.mean())
        if mask is None and share < 1 - MOST_COVERED:
            return None
        if mask is not None:
            dense = mask.dense()
            seen = dense & (settled.numbers == 0)
            share = seen.sum() / max(int(dense.sum()), 1)
            if not seen.any() or share < min_visible:
                return None
            mask = Rle.of(seen)
            box = mask.box()
    crowd, difficult, truncated = (
        bool(flag[k]) for flag in (standing.is_crowd, standing.is_difficult, standing.is_truncated)
    )
    class_id = int(standing.class_ids[k])
    return _Row(class_id, box, mask, amodal_box, whole, crowd, difficult, truncated, float(share))


def _instances(size: tuple[int, int], rows: Sequence[_Row]) -> Instances:
    if not rows:
        return Instances.none(size)
    masks = tuple(row.mask for row in rows)
    whole = tuple(row.amodal_mask for row in rows)
    return Instances(
        size,
        np.array([row.class_id for row in rows]),
        np.array([row.box for row in rows], dtype=np.float32),
        masks if any(mask is not None for mask in masks) else None,
        crowd=np.array([row.crowd for row in rows]),
        difficult=np.array([row.difficult for row in rows]),
        truncated=np.array([row.truncated for row in rows]),
        amodal_boxes=np.array([row.amodal_box for row in rows], dtype=np.float32),
        amodal_masks=whole if any(mask is not None for mask in whole) else None,
        columns={"visible_fraction": tuple(round(row.visible_fraction, 6) for row in rows)},
    )


def semantic(settled: Settled, under: SemanticMap) -> SemanticMap:
    """The background's map with the class of every pasted region where it is seen; all other pixels as they were."""
    found = under.dense()
    for seen in settled.objects:
        x0, y0, x1, y1 = seen.window
        found[y0:y1, x0:x1][seen.visible] = seen.placed.class_id
    return SemanticMap.of(found)
