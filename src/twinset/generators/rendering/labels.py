"""From a frame to labels: visible and whole masks and boxes, how much is seen, keypoints, distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
"""A keypoint is seen where the depth is at most so much less than its own, in shares of it: it lies on its surface.

And only where one of the pixels around it is its object's: at an outline its own pixel may be another's.
"""


def labelled(scene: Scene) -> list[int]:
    """Indices of the objects that are to be labelled."""
    return [k for k, placed in enumerate(scene.objects) if placed.class_id is not None and not placed.catcher]


def too_hidden(scene: Scene, ids: NDArray[np.int32], alone: Masks, *, share: float, pixels: int) -> list[int]:
    """Objects of which less than this share, or fewer than so many pixels, are seen."""
    counts = np.bincount(ids[ids >= 0], minlength=len(scene.objects))
    return [k for k in labelled(scene) if counts[k] < max(pixels, share * np.count_nonzero(alone[k]))]


@dataclass(frozen=True, eq=False)
class View:
    """The part of the picture in which an object is: row and column of its first pixel, masks of what is ``seen`` and
    of the ``whole`` object (h, w), neither of them empty, the larger one tight."""

    row: int
    corner: tuple[int, int]
    seen: NDArray[np.bool_]
    whole: NDArray[np.bool_]

    @staticmethod
    def of(row: int, ids: NDArray[np.int32], alone: NDArray[np.bool_], spot: tuple[slice, slice] | None) -> View | None:
        """That of object ``row``, which lies in ``spot`` of ``ids`` (H, W) and covers ``alone``; None where unseen."""
        if spot is None:
            return None
        covered = np.flatnonzero(alone)
        top, bottom, left, right = spot[0].start, spot[0].stop, spot[1].start, spot[1].stop
        if len(covered):
            top, bottom = min(top, covered[0] // alone.shape[1]), max(bottom, covered[-1] // alone.shape[1] + 1)
            across = np.flatnonzero(alone[top:bottom].any(0))
            left, right = min(left, across[0]), max(right, across[-1] + 1)
        part = slice(top, bottom), slice(left, right)
        seen = ids[part] == row
        return View(row, (int(top), int(left)), seen, alone[part] | seen)

    @property
    def visible_fraction(self) -> float:
        """Which share of its pixels in the picture is seen."""
        return np.count_nonzero(self.seen) / np.count_nonzero(self.whole)

    @property
    def box(self) -> NDArray[np.float32]:
        """xyxy, half-open, tight to what is seen."""
        return _box(self.seen, self.corner)

    @property
    def whole_box(self) -> NDArray[np.float32]:
        """xyxy, half-open, tight to all of it in the picture."""
        return _box(self.whole, self.corner)


def _box(mask: NDArray[np.bool_], corner: tuple[int, int]) -> NDArray[np.float32]:
    rows, columns = corner[0] + np.flatnonzero(mask.any(1)), corner[1] + np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


def spots_of(ids: NDArray[np.int32], count: int) -> list[tuple[slice, slice] | None]:
    """For each of so many objects the rows and columns of ``ids`` (H, W) in which it is seen; None where nowhere."""
    from scipy.ndimage import find_objects

    return [*find_objects(ids + 1, max_label=count)]


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
    and what the scene says of each. Poses are of the coordinates of a mesh's own file. ``keypoint_names`` are those
    that are told, of whichever object has them.
    """
    size = lens.camera.size
    spots = spots_of(ids, len(scene.objects))
    views = [view for k in labelled(scene) if (view := View.of(k, ids, alone[k], spots[k])) is not None]
    if not views:
        return Instances.none(size)
    placed = [scene.objects[view.row] for view in views]
    amodal = np.stack([_whole_box(lens, one, view.whole_box) for one, view in zip(placed, views, strict=True)])
    columns: dict[str, Column] = {
        "shape_id": tuple(one.shape_id for one in placed),
        "visible_fraction": tuple(view.visible_fraction for view in views),
        "distance_metres": tuple(float(np.linalg.norm(one.pose[:3, 3] - lens.camera.pose[:3, 3])) for one in placed),
    }
    for name in sorted({name for one in placed for name in one.columns}):
        columns[name] = tuple(_column(one, name) for one in placed)
    return Instances(
        size=size,
        class_ids=np.array([one.class_id for one in placed], dtype=np.int64),
        boxes=np.stack([view.box for view in views]),
        masks=tuple(Rle.of_part(view.seen, view.corner, size) for view in views),
        truncated=_outside(amodal, size),
        amodal_boxes=amodal,
        amodal_masks=tuple(Rle.of_part(view.whole, view.corner, size) for view in views),
        keypoints=_keypoints(lens, placed, keypoint_names, depth, ids, [view.row for view in views]),
        keypoint_names=keypoint_names or None,
        poses=np.stack([lens.camera.world_to_camera @ one.told_pose for one in placed]),
        columns=columns,
    )


def attributes_of(scene: Scene, lens: Lens) -> dict[str, AttributeValue]:
    """What is known of the whole scene: degrees that the camera looks down and the (first) light stands high, light.

    Without a light its two entries are left out.
    """
    found: dict[str, AttributeValue] = {
        "camera_elevation_degrees": float(np.degrees(np.arcsin(np.clip(-lens.camera.pose[2, 2], -1, 1)))),
        "ambient": float(scene.ambient),
    }
    if scene.lights:
        light = scene.lights[0]
        up = light.towards[2] / np.linalg.norm(light.towards)
        found["sun_elevation_degrees"] = float(np.degrees(np.arcsin(np.clip(up, -1, 1))))
        found["sun_strength"] = float(light.strength)
    return found


def _column(placed: Placed, name: str) -> AttributeValue | None:
    return placed.columns.get(name)


def _whole_box(lens: Lens, placed: Placed, inside: NDArray[np.float32]) -> NDArray[np.float32]:
    """The box of all of an object, in and outside the picture; ``inside`` it where part of it is behind the camera."""
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
    lens: Lens,
    placed: Sequence[Placed],
    names: Sequence[str],
    depth: NDArray[np.float32],
    ids: NDArray[np.int32],
    rows: Sequence[int],
) -> NDArray[np.float32] | None:
    """(K, P, 3), the first pixel's centre at 0; zeros for names that a shape does not have, and outside the picture."""
    if not names:
        return None
    height, width = lens.camera.size
    found = np.zeros((len(placed), len(names), 3), dtype=np.float32)
    for k, (one, row) in enumerate(zip(placed, rows, strict=True)):
        own = [(at, one.mesh.keypoints[name]) for at, name in enumerate(names) if name in one.mesh.keypoints]
        if not own:
            continue
        points = np.array([point for _, point in own]) @ one.pose[:3, :3].T + one.pose[:3, 3]
        pixels, far = lens.project(points)
        for (at, _), (x, y), distance in zip(own, pixels, far, strict=True):
            if not (distance > 0 and 0 <= x < width and 0 <= y < height):
                continue
            column, line = int(x), int(y)
            around = ids[max(line - 1, 0) : line + 2, max(column - 1, 0) : column + 2]
            seen = depth[line, column] >= distance * (1 - TOUCHING) and (around == row).any()
            found[k, at] = (x - 0.5, y - 0.5, SEEN if seen else HIDDEN)
    return found
