"""What BOP calls things, and how its units and axes map to ours.

BOP (Hodaň et al. 2018; bop_toolkit, docs/bop_datasets_format.md) measures in millimetres and counts pixels from the
centre of the first one; we in metres and from its corner. So its principal point is half a pixel less than ours, and
its boxes x, y, width, height are one pixel narrower and lower than ours, as they run from centre to centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.formats.folder import Unusable, first_line

CAMERAS, POSES, FACTS = "scene_camera.json", "scene_gt.json", "scene_gt_info.json"
PICTURES = ("rgb", "gray")
DEPTH, WHOLE, VISIBLE = "depth", "mask", "mask_visib"
SPLITS: Mapping[str | None, str] = {None: "train_unsplit", "train": "train", "validation": "val", "test": "test"}
"""What a writer calls the folder of each split; BOP lets any word follow the split's."""

OURS = "twinset"
"""The key of what BOP has no field for; its readers leave it alone."""

SCENE_IMAGES = 1000
MILLIMETRES = 1000.0
HALF = 0.5
DEEPEST = 65535
FINEST_SCALE = 0.1
"""Millimetres that one step of a depth picture means at least."""

NEARLY = 1e-3
"""How far a rotation of a source may be from one; it is then made one."""


def split_of_folder(name: str) -> str | None:
    """The split that a folder's name means; ``""`` for one that is no folder of pictures.

    >>> split_of_folder("train_pbr"), split_of_folder("val"), split_of_folder("models") == ""
    ('train', 'validation', True)
    """
    if name == SPLITS[None]:
        return None
    word = name.partition("_")[0]
    return next((split for split, folder in SPLITS.items() if split is not None and folder == word), "")


def depth_scale(metres: NDArray[np.float32]) -> float:
    """Millimetres a step so that all fits into 16 bits: 0.1, or the least power of two times that."""
    there = metres[np.isfinite(metres)]
    most = float(there.max()) * MILLIMETRES if there.size else 0.0
    doublings = max(0, int(np.ceil(np.log2(max(most, 1e-9) / (FINEST_SCALE * DEEPEST)))))
    return float(FINEST_SCALE * 2.0**doublings)


def depth_steps(metres: NDArray[np.float32], scale: float) -> NDArray[np.uint16]:
    """Whole steps (H, W), at least one where there is any depth; 0 where there is none."""
    there = np.isfinite(metres)
    steps = np.rint(np.where(there, metres, 0).astype(np.float64) * MILLIMETRES / scale)
    return np.where(there, np.clip(steps, 1, DEEPEST), 0).astype(np.uint16)


def depth_metres(steps: NDArray[np.integer], scale: float) -> NDArray[np.float32]:
    """Metres (H, W), inf where there is no depth."""
    metres = steps.astype(np.float64) * scale / MILLIMETRES
    return np.where(steps > 0, metres, np.inf).astype(np.float32)


def camera_entry(camera: Camera | None, scale: float | None) -> dict[str, object]:
    """One picture's entry of ``scene_camera.json``."""
    entry: dict[str, object] = {}
    if camera is not None:
        (fx, fy), (cx, cy) = camera.focal, camera.centre
        entry["cam_K"] = [fx, 0.0, cx - HALF, 0.0, fy, cy - HALF, 0.0, 0.0, 1.0]
        entry["cam_R_w2c"], entry["cam_t_w2c"] = pose_fields(camera.world_to_camera)
    entry["depth_scale"] = 1.0 if scale is None else scale
    return entry


def camera_from_entry(entry: Mapping[str, object], size: tuple[int, int]) -> Camera | None:
    """The camera of a picture of this size; None where no intrinsics are stated, at the origin where no pose is."""
    if entry.get("cam_K") is None:
        return None
    k = numbers(entry["cam_K"], 9, "cam_K")
    world_to_camera = np.eye(4)
    if entry.get("cam_R_w2c") is not None and entry.get("cam_t_w2c") is not None:
        world_to_camera = pose_from(entry["cam_R_w2c"], entry["cam_t_w2c"], "w2c")
    pose = np.eye(4)
    pose[:3, :3] = world_to_camera[:3, :3].T
    pose[:3, 3] = -world_to_camera[:3, :3].T @ world_to_camera[:3, 3]
    try:
        return Camera(size, (float(k[0]), float(k[4])), (float(k[2]) + HALF, float(k[5]) + HALF), pose)
    except ValueError as error:
        raise Unusable(f"expected a camera; got {first_line(error)}") from error


def pose_fields(pose: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Rotation row by row, and shift in millimetres; a scale is left out."""
    scale = float(np.cbrt(np.linalg.det(pose[:3, :3])))
    return (pose[:3, :3] / scale).ravel().tolist(), (pose[:3, 3] * MILLIMETRES).tolist()


def pose_from(rotation: object, shift: object, what: str) -> NDArray[np.float64]:
    """(4, 4) in metres; a rotation that is nearly one is made one. :class:`Unusable` for others."""
    turn = numbers(rotation, 9, f"cam_R_{what}").reshape(3, 3)
    left, stretch, right = np.linalg.svd(turn)
    if np.abs(stretch - 1).max() > NEARLY or np.linalg.det(turn) < 0:
        raise Unusable(f"expected a rotation in cam_R_{what}; got {turn.ravel().tolist()}")
    pose = np.eye(4)
    pose[:3, :3] = turn if np.abs(stretch - 1).max() < 1e-9 else left @ right
    pose[:3, 3] = numbers(shift, 3, f"cam_t_{what}") / MILLIMETRES
    return pose


def box_entry(box: Sequence[float]) -> list[int]:
    """x, y, width, height from pixel centre to pixel centre, of a box xyxy of whole pixels."""
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return [x1, y1, x2 - x1 - 1, y2 - y1 - 1]


def box_from_entry(value: object) -> tuple[float, float, float, float] | None:
    """xyxy in pixels; None for what is not seen (−1s)."""
    x, y, width, height = numbers(value, 4, "a box").tolist()
    return None if width < 0 or height < 0 else (x, y, x + width + 1, y + height + 1)


def numbers(value: object, count: int, what: str) -> NDArray[np.float64]:
    """So many finite numbers; :class:`Unusable` for anything else."""
    plain = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    try:
        found = np.array(value if plain else [], dtype=np.float64)
    except (OverflowError, ValueError):
        found = np.zeros(0)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise Unusable(f"expected {what} as {count} numbers; got others")
    return found
