"""Annotations that follow their picture: resized, cropped, mirrored, turned.

An object with a mask gets its box from what is left of the mask: exact pixels of run lengths, exact extents of
outlines, less those of several that the border cuts down to no pixel. An object with a box only gets the extents of
the turned and clipped box, which hold the object but are looser than a box drawn by hand as soon as something is turned
(up to a factor of √2 a side at 45°).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.dataset import Sample
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.joining import less_visible
from twinset.masks import Mask, Polygons, Rle
from twinset.motion import Motion, Points, Size, clipped, enclosed, extents_inside, lies_inside
from twinset.moved_geometry import is_view, moved_geometry
from twinset.semantic import SemanticMap

CUT = 1 - 1e-3
"""An object of which less than this share is left inside the picture counts as truncated."""

LEAST_SIDE = 1e-3
"""Pixels; a box that is narrower is none."""

_IGNORED = 255


def resized(annotation: Annotation, source: Size, size: Size) -> Annotation:
    """The annotation of a picture of ``source`` (height, width), stretched to ``size``.

    Masks that shrink to no pixel at all go, with their objects.
    """
    return moved(annotation, Motion.resize(source, size))


def cropped(
    annotation: Annotation, source: Size, box: tuple[int, int, int, int], *, min_visible: float = 0.0
) -> Annotation:
    """What lies in a box xyxy of whole pixels, half-open; objects of which less than ``min_visible`` is left go."""
    return moved(annotation, Motion.crop(source, box), min_visible=min_visible)


def flipped(annotation: Annotation, source: Size, *, keypoint_pairs: Sequence[tuple[int, int]] = ()) -> Annotation:
    """Left and right exchanged; keypoints that are a left and a right one (eyes, hands) change places."""
    mirrored = moved(annotation, Motion.flip(source))
    return replace(mirrored, instances=exchanged(mirrored.instances, keypoint_pairs))


def warped(
    annotation: Annotation, matrix: NDArray[np.float64], source: Size, size: Size, *, min_visible: float = 0.0
) -> Annotation:
    """Through an affine (2, 3) or projective (3, 3) matrix of points x, y, in the coordinates of boxes."""
    return moved(annotation, Motion(matrix, source, size), min_visible=min_visible)


def moved(annotation: Annotation, motion: Motion, *, min_visible: float = 0.0) -> Annotation:
    """The annotation after a motion of its picture. Labels of the whole picture, columns and attributes are kept.

    Objects with nothing left, or a share below ``min_visible`` of what they were, go; those that were cut are
    truncated. Keypoints that leave the picture become invisible (0, 0, 0). Stated areas and visible fractions change
    with what is left. New pixels of a semantic map are to be ignored. Depth, normals, poses and the camera stay as far
    as a camera could see the picture so (:mod:`twinset.moved_geometry`). ``ValueError`` if the annotation is of another
    size than the motion.
    """
    if not 0 <= min_visible <= 1:
        raise ValueError(f"expected min_visible in [0, 1]; got {min_visible}")
    if motion.identical:
        return annotation
    instances, semantic = annotation.instances, annotation.semantic
    if instances is not None:
        instances = _moved_instances(instances, motion, min_visible)
    if semantic is not None:
        values = semantic.dense().astype(np.uint8)
        semantic = SemanticMap.of(_class_ids(motion.raster(values, fill=_IGNORED)))
    depth, normals, camera = moved_geometry(annotation, motion)
    return replace(
        annotation, instances=instances, semantic=semantic, depth_metres=depth, normals=normals, camera=camera
    )


def prepared(sample: Sample, spec: ImageSpec, *, min_visible: float = 0.0) -> Sample:
    """The sample at the size and channel count of ``spec``, its objects and semantic map with it.

    The picture is what :meth:`ImageSpec.prepare` makes of it; with ``fit`` "pad" the added border is to be ignored.
    """
    before = sample.pixels()
    pixels = spec.prepare(before)
    if pixels is before:
        return sample
    annotation = sample.annotation
    if annotation is not None:
        annotation = moved(annotation, _fitting(before.shape[:2], spec), min_visible=min_visible)
    return replace(sample, image=pixels, path=None, sha256=None, annotation=annotation)


def exchanged(instances: Instances | None, pairs: Sequence[tuple[int, int]]) -> Instances | None:
    """The same objects with each pair of keypoints having changed places."""
    if instances is None or instances.keypoints is None or not pairs:
        return instances
    order = np.arange(instances.keypoints.shape[1])
    for left, right in pairs:
        order[left], order[right] = right, left
    return replace(instances, keypoints=instances.keypoints[:, order])


@dataclass(frozen=True)
class _Left:
    """What is left of one object: its box, its mask, the share inside the picture, new area over old."""

    box: NDArray[np.float32]
    mask: Mask | None
    share: float
    growth: float


def _moved_instances(instances: Instances, motion: Motion, min_visible: float) -> Instances:
    if instances.size != motion.source:
        raise ValueError(f"expected objects of a picture of {motion.source}; got {instances.size}")
    masks = instances.masks or (None,) * len(instances)
    inside: NDArray[np.bool_] | None = None
    if any(isinstance(mask, Rle) for mask in masks):
        inside = motion.inverse().raster(np.ones(motion.size, dtype=np.uint8), fill=0) == 1
    rows, left = [], []
    for row, (box, mask) in enumerate(zip(instances.boxes, masks, strict=True)):
        found = _left(box, mask, motion, inside)
        if found is not None and found.share >= min_visible:
            rows.append(row)
            left.append(found)
    if not rows:
        return replace(Instances.none(motion.size), columns=dict.fromkeys(instances.columns, ()))
    kept = less_visible(instances.take(rows), np.array([item.share for item in left]))
    return Instances(
        motion.size,
        kept.class_ids,
        np.stack([item.box for item in left]).astype(np.float32),
        tuple(item.mask for item in left) if kept.masks is not None else None,
        areas=None if kept.areas is None else kept.areas * np.array([item.growth for item in left], dtype=np.float32),
        crowd=kept.crowd,
        difficult=kept.difficult,
        truncated=kept.is_truncated | np.array([item.share < CUT for item in left]),
        confidences=kept.confidences,
        amodal_boxes=None if kept.amodal_boxes is None else _extents_of(kept.amodal_boxes, motion),
        amodal_masks=_moved_amodal(kept.amodal_masks, motion),
        keypoints=None if kept.keypoints is None else _moved_keypoints(kept.keypoints, motion),
        columns=kept.columns,
        poses=kept.poses if is_view(motion) else None,
        keypoint_names=kept.keypoint_names,
    )


def _left(
    box: NDArray[np.float32], mask: Mask | None, motion: Motion, inside: NDArray[np.bool_] | None
) -> _Left | None:
    """What is left of an object, None if nothing is; a mask without any area says nothing, and the box counts."""
    if mask is not None and not mask.area:
        mask = None
    if isinstance(mask, Rle):
        assert inside is not None
        return _left_of_pixels(mask, motion, inside)
    if mask is None and motion.upright:
        return _left_of_box(box, motion)
    rings = [_ring_of(box)] if mask is None else [np.reshape(ring, (-1, 2)) for ring in mask.rings]
    rings = _parts(rings, motion.source)
    there = [motion.points(ring) for ring in rings]
    pieces = [(ring, inside) for ring in there for inside in _parts([ring], motion.size)]
    left = sum(enclosed(inside) for _, inside in pieces)
    if mask is not None:
        pieces = [
            (ring, inside)
            for ring, inside in pieces
            if lies_inside(ring, motion.size) or _outlines(motion.size, [inside]).area
        ]
    ends = [found for ring, _ in pieces if (found := extents_inside(ring, motion.size)) is not None]
    if not ends:
        return None
    low, high = np.min(ends, axis=0)[:2], np.max(ends, axis=0)[2:]
    extents = np.concatenate([low, high]).astype(np.float32)
    if (extents[2:] - extents[:2] < LEAST_SIDE).any():
        return None
    outlines = None if mask is None else _outlines(motion.size, [inside for _, inside in pieces])
    if outlines is not None and not outlines.area:
        return None
    share, growth = (left / sum(map(enclosed, before)) for before in (there, rings))
    return _Left(extents, outlines, share, growth)


def _outlines(size: Size, rings: Sequence[Points]) -> Polygons:
    return Polygons(*size, tuple(tuple(ring.ravel().tolist()) for ring in rings))


def _left_of_box(box: NDArray[np.float32], motion: Motion) -> _Left | None:
    """What is left of a box that stays one: the general way gives the same, but is slower."""
    corners = motion.points(box.reshape(2, 2))
    low, high = corners.min(0), corners.max(0)
    extents = np.concatenate([low, high]).clip(0, np.tile(motion.size[::-1], 2)).astype(np.float32)
    sides = extents[2:] - extents[:2]
    if (sides < LEAST_SIDE).any():
        return None
    left = float(sides.prod())
    return _Left(extents, None, left / float((high - low).prod()), left / float((box[2:] - box[:2]).prod()))


def _parts(rings: Sequence[Points], size: Size) -> list[Points]:
    """The outlines inside a picture that enclose anything."""
    cut = (clipped(ring, size) for ring in rings)
    return [ring for ring in cut if len(ring) >= 3 and enclosed(ring)]


def _left_of_pixels(mask: Rle, motion: Motion, inside: NDArray[np.bool_]) -> _Left | None:
    before = mask.dense()
    after = motion.raster(before.view(np.uint8), fill=0).astype(np.bool_)
    area, area_before = np.count_nonzero(after), np.count_nonzero(before)
    if not area:
        return None
    kept, visible = Rle.of(after), np.count_nonzero(before & inside)
    return _Left(np.array(kept.box(), dtype=np.float32), kept, visible / area_before, area / area_before)


def _moved_amodal(masks: tuple[Rle | None, ...] | None, motion: Motion) -> tuple[Rle | None, ...] | None:
    if masks is None:
        return None
    dense = [None if mask is None else mask.dense().view(np.uint8) for mask in masks]
    return tuple(None if m is None else Rle.of(motion.raster(m, fill=0).astype(np.bool_)) for m in dense)


def _moved_keypoints(keypoints: NDArray[np.float32], motion: Motion) -> NDArray[np.float32]:
    """COCO counts keypoints in whole pixels, so their points lie at pixel centres."""
    flat = keypoints.reshape(-1, 3)
    there = motion.points(flat[:, :2] + 0.5)
    height, width = motion.size
    seen = (flat[:, 2] > 0) & (there >= 0).all(1) & (there < [width, height]).all(1)
    moved_points = np.column_stack([there - 0.5, flat[:, 2]]) * seen[:, None]
    return moved_points.astype(np.float32).reshape(keypoints.shape)


def _extents_of(boxes: NDArray[np.float32], motion: Motion) -> NDArray[np.float32]:
    """(K, 4) boxes to the extents of where they go, not clipped."""
    rings = [motion.points(_ring_of(box)) for box in boxes]
    return np.array([[*ring.min(0), *ring.max(0)] for ring in rings], dtype=np.float32).reshape(-1, 4)


def _ring_of(box: NDArray[np.float32]) -> Points:
    x1, y1, x2, y2 = (float(value) for value in box)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _class_ids(values: NDArray[np.uint8]) -> NDArray[np.int32]:
    class_ids = values.astype(np.int32)
    class_ids[values == _IGNORED] = -1
    return class_ids


def _fitting(source: Size, spec: ImageSpec) -> Motion:
    """What :meth:`ImageSpec.prepare` does to points: a centred window of the spec's aspect, stretched."""
    height, width = source
    if source == (spec.height, spec.width) or spec.fit == "stretch":
        return Motion.resize(source, (spec.height, spec.width))
    tall, wide = round(width * spec.height / spec.width), round(height * spec.width / spec.height)
    if spec.fit == "crop":
        tall, wide = min(height, max(1, tall)), min(width, max(1, wide))
        left, top = (width - wide) // 2, (height - tall) // 2
    else:
        tall, wide = max(height, tall), max(width, wide)
        left, top = -((wide - width) // 2), -((tall - height) // 2)
    window = Motion.crop(source, (left, top, left + wide, top + tall))
    return window.then(Motion.resize(window.size, (spec.height, spec.width)))
