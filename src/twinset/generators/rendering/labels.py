"""From a frame to labels: visible and whole masks and boxes, how much is seen, keypoints, distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Instances
from twinset.generators.rendering.scene import Placed, Scene
from twinset.generators.rendering.sensor import Lens
from twinset.instances import AttributeValue, Column
from twinset.masks import Rle

Masks = Sequence[NDArray[np.bool_]]
HIDDEN, SEEN = 1.0, 2.0
"""How COCO counts a keypoint's visibility: labelled and covered, labelled and seen."""

TOUCHING = 0.02
"""A keypoint is seen where the depth is at most so much less than its own, in shares of it: it lies on its surface."""


def labelled(scene: Scene) -> list[int]:
    """Indices of the objects that are to be labelled."""
    return [k for k, placed in enumerate(scene.objects) if placed.class_id is not None and not placed.catcher]


def too_hidden(scene: Scene, ids: NDArray[np.int32], alone: Masks, *, share: float, pixels: int) -> list[int]:
    """Objects of which less than this share, or fewer than so many pixels, are seen."""
    counts = np.bincount(ids[ids >= 0], minlength=len(scene.objects))
    return [k for k in labelled(scene) if counts[k] < max(pixels, share * int(alone[k].sum()))]


def instances_of(
    scene: Scene,
    lens: Lens,
    ids: NDArray[np.int32],
    depth: NDArray[np.float32],
    alone: Masks,
    *,
    keypoint_names: tuple[str, ...] = (),
) -> Instances:
    """The labelled objects that are seen at all, in the scene's order.

    ``ids`` int32 and ``depth`` float32 (H, W), ``alone`` a mask bool (H, W) for each object of the scene, as it would
    be seen if nothing were before it; all of them as seen through ``lens``. Columns: ``shape_id``,
    ``visible_fraction`` (of the pixels inside the picture), ``distance_metres`` of the object's origin from the camera,
    and what the scene says of each. ``keypoint_names`` are those that are told, of whichever object has them.
    """
    size = lens.camera.size
    shown = [k for k in labelled(scene) if (ids == k).any()]
    if not shown:
        return Instances.none(size)
    visible = [ids == k for k in shown]
    placed = [scene.objects[k] for k in shown]
    whole = [alone[k] | mask for k, mask in zip(shown, visible, strict=True)]
    boxes = np.stack([_box(mask) for mask in visible])
    amodal = np.stack([_whole_box(lens, one, mask) for one, mask in zip(placed, whole, strict=True)])
    columns: dict[str, Column] = {
        "shape_id": tuple(one.shape_id for one in placed),
        "visible_fraction": tuple(float(seen.sum() / mask.sum()) for seen, mask in zip(visible, whole, strict=True)),
        "distance_metres": tuple(float(np.linalg.norm(one.pose[:3, 3] - lens.camera.pose[:3, 3])) for one in placed),
    }
    for name in sorted({name for one in placed for name in one.columns}):
        columns[name] = tuple(_column(one, name) for one in placed)
    return Instances(
        size=size,
        class_ids=np.array([one.class_id for one in placed], dtype=np.int64),
        boxes=boxes,
        masks=tuple(Rle.of(mask) for mask in visible),
        truncated=_outside(amodal, size),
        amodal_boxes=amodal,
        amodal_masks=tuple(Rle.of(mask) for mask in whole),
        keypoints=_keypoints(lens, placed, keypoint_names, depth),
        keypoint_names=keypoint_names or None,
        poses=np.stack([lens.camera.world_to_camera @ one.pose for one in placed]),
        columns=columns,
    )


def _column(placed: Placed, name: str) -> AttributeValue | None:
    return placed.columns.get(name)


def _box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


def _whole_box(lens: Lens, placed: Placed, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The box of all of an object, in and outside the picture; of its mask where part of it is behind the camera."""
    inside = _box(mask)
    height, width = lens.camera.size
    x1, y1, x2, y2 = (float(v) for v in inside)
    if x1 > 0 and y1 > 0 and x2 < width and y2 < height:
        return inside
    points = placed.mesh.vertices.astype(np.float64) @ placed.pose[:3, :3].T + placed.pose[:3, 3]
    pixels, depth = lens.project(points[np.unique(placed.mesh.faces)])
    if not (depth > 0).all():
        return inside
    low, high = pixels.min(0), pixels.max(0)
    return np.array(
        [
            min(x1, low[0]) if x1 <= 0 else x1,
            min(y1, low[1]) if y1 <= 0 else y1,
            max(x2, high[0]) if x2 >= width else x2,
            max(y2, high[1]) if y2 >= height else y2,
        ],
        dtype=np.float32,
    )


def _outside(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = size
    return np.asarray((boxes[:, :2] < 0).any(1) | (boxes[:, 2] > width) | (boxes[:, 3] > height))


def _keypoints(
    lens: Lens, placed: Sequence[Placed], names: Sequence[str], depth: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """(K, P, 3), the first pixel's centre at 0; zeros for names that a shape does not have, and outside the picture."""
    if not names:
        return None
    height, width = lens.camera.size
    found = np.zeros((len(placed), len(names), 3), dtype=np.float32)
    for k, one in enumerate(placed):
        own = [(at, one.mesh.keypoints[name]) for at, name in enumerate(names) if name in one.mesh.keypoints]
        if not own:
            continue
        points = np.array([point for _, point in own]) @ one.pose[:3, :3].T + one.pose[:3, 3]
        pixels, far = lens.project(points)
        for (at, _), (x, y), distance in zip(own, pixels, far, strict=True):
            if not (distance > 0 and 0 <= x < width and 0 <= y < height):
                continue
            seen = depth[int(y), int(x)] >= distance * (1 - TOUCHING)
            found[k, at] = (x - 0.5, y - 0.5, SEEN if seen else HIDDEN)
    return found
