"""Rectangles of one colour over a picture or over its objects; what is hidden leaves the labels.

Source: Zhong et al. 2020, "Random Erasing Data Augmentation", with its image-aware and object-aware modes. Where we
differ: the hole has the picture's mean colour, and objects, masks and maps lose what it covers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation, SemanticMap
from twinset.choices import check_choices
from twinset.dataset import Sample
from twinset.editing.geometric import mean_colour
from twinset.editing.origin import edited
from twinset.instances import Instances
from twinset.joining import less_visible
from twinset.masks import Mask, Rle
from twinset.motion import Size
from twinset.moved_geometry import uncovered_geometry
from twinset.randomness import Stream

Target = Literal["picture", "objects"]


@dataclass(frozen=True)
class Erase:
    """``holes`` rectangles in the picture, or one in each object (``target``), of ``side_low`` … ``side_high`` of the
    sides of what they lie in. ``min_visible``: objects of which a smaller share stays to be seen go.
    """

    target: Target = "picture"
    holes: int = 2
    side_low: float = 0.1
    side_high: float = 0.35
    min_visible: float = 0.25

    def __post_init__(self) -> None:
        check_choices(self)
        if not (0 < self.side_low <= self.side_high <= 1 and self.holes >= 1 and 0 <= self.min_visible <= 1):
            raise ValueError(f"expected 0 < side_low ≤ side_high ≤ 1, holes ≥ 1 and min_visible in [0, 1]; got {self}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A copy with holes; one without objects has none of target "objects"."""
        draws = rng.numpy()
        pixels = sample.pixels().copy()
        height, width = pixels.shape[:2]
        places = np.tile(np.array([[0.0, 0.0, width, height]]), (self.holes, 1))
        if self.target == "objects":
            instances = sample.annotation.instances if sample.annotation is not None else None
            places = np.zeros((0, 4)) if instances is None else instances.boxes.astype(np.float64)
        hidden = np.zeros((height, width), dtype=np.bool_)
        for place in places:
            hidden[self._hole(place, (height, width), draws)] = True
        pixels[hidden] = mean_colour(pixels)
        annotation = sample.annotation
        if annotation is not None:
            annotation = without(annotation, hidden, min_visible=self.min_visible)
        return edited(sample, pixels, method="erase", rng=rng, annotation=annotation)

    def _hole(self, place: NDArray[np.float64], size: Size, draws: np.random.Generator) -> tuple[slice, slice]:
        """Rows and columns of a rectangle somewhere inside a box xyxy, of at least one pixel."""
        sides = (place[2:] - place[:2]) * draws.uniform(self.side_low, self.side_high, size=2)
        start = place[:2] + draws.random(2) * (place[2:] - place[:2] - sides)
        low = np.minimum(np.rint(start), np.array(size[::-1]) - 1).astype(int)
        high = np.maximum(np.rint(start + sides).astype(int), low + 1)
        return slice(low[1], high[1]), slice(low[0], high[0])


def without(annotation: Annotation, hidden: NDArray[np.bool_], *, min_visible: float = 0.0) -> Annotation:
    """The annotation when the pixels ``hidden`` (H, W) can no longer be seen.

    Masks lose them, boxes shrink to what is left, objects of which less than ``min_visible`` (or nothing) is left go,
    hidden keypoints are labelled but not visible (1), a semantic map ignores them, depth and normals say that there is
    nothing. Amodal boxes and masks stay.
    """
    if not hidden.any():
        return annotation
    instances, semantic = annotation.instances, annotation.semantic
    if semantic is not None:
        semantic = SemanticMap.of(np.where(hidden, -1, semantic.dense()))
    if instances is not None:
        instances = _visible(instances, hidden, min_visible)
    depth, normals = uncovered_geometry(annotation, hidden)
    return replace(annotation, instances=instances, semantic=semantic, depth_metres=depth, normals=normals)


def _visible(instances: Instances, hidden: NDArray[np.bool_], min_visible: float) -> Instances:
    if instances.size != hidden.shape:
        raise ValueError(f"expected hidden pixels of {instances.size}; got {hidden.shape}")
    masks = instances.masks or (None,) * len(instances)
    seen = [_seen(box, mask, hidden) for box, mask in zip(instances.boxes, masks, strict=True)]
    rows = [row for row, (_, _, share) in enumerate(seen) if share > 0 and share >= min_visible]
    kept, left = instances.take(rows), [seen[row] for row in rows]
    shares = np.array([share for _, _, share in left], dtype=np.float32)
    return replace(
        less_visible(kept, shares),
        boxes=np.array([box for box, _, _ in left], dtype=np.float32).reshape(-1, 4),
        masks=tuple(mask for _, mask, _ in left) if kept.masks is not None else None,
        areas=None if kept.areas is None else kept.areas * shares,
        keypoints=None if kept.keypoints is None else _hide_keypoints(kept.keypoints, hidden),
    )


def _seen(
    box: NDArray[np.float32], mask: Mask | None, hidden: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], Mask | None, float]:
    """Box, mask and share of what is left of one object; the same ones where nothing of it is hidden."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    open_ = ~hidden[top:bottom, left:right]
    if mask is None or not mask.area:
        rows, columns = np.flatnonzero(open_.any(1)), np.flatnonzero(open_.any(0))
        if not len(rows):
            return box, mask, 0.0
        tight = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
        low, high = np.maximum(tight[:2], box[:2]), np.minimum(tight[2:], box[2:])
        return np.concatenate([low, high]).astype(np.float32), mask, float(open_.mean())
    before = mask.dense()
    after = before & ~hidden
    area, area_before = np.count_nonzero(after), np.count_nonzero(before)
    if area == area_before:
        return box, mask, 1.0
    if not area:
        return box, mask, 0.0
    rle = Rle.of(after)
    return np.array(rle.box(), dtype=np.float32), rle, area / area_before


def _hide_keypoints(keypoints: NDArray[np.float32], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    height, width = hidden.shape
    columns = np.clip(np.rint(keypoints[..., 0]).astype(int), 0, width - 1)
    rows = np.clip(np.rint(keypoints[..., 1]).astype(int), 0, height - 1)
    out = keypoints.copy()
    out[..., 2] = np.where(hidden[rows, columns], np.minimum(out[..., 2], 1), out[..., 2])
    return out
