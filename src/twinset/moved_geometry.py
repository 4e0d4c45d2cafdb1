"""Depth, normals and camera after a motion of their picture, as far as there is a camera that would see it so, and
what is left of depth and normals where something covers it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation, Camera, DepthMap, NormalMap
from twinset.geometry import UNIT
from twinset.motion import Motion


def is_view(motion: Motion) -> bool:
    """Whether a pinhole camera at the same place sees the moved picture: it was resized or cropped, not mirrored."""
    scale = motion.matrix[[0, 1], [0, 1]] / motion.matrix[2, 2]
    return motion.upright and bool((scale > 0).all())


def moved_geometry(annotation: Annotation, motion: Motion) -> tuple[DepthMap | None, NormalMap | None, Camera | None]:
    """Depth and normals under the new pixels' centres, and the camera of the new picture.

    Mirroring keeps depth and normals, and has no camera; what turns or slants the picture keeps none of them.
    """
    if not motion.upright:
        return None, None, None
    depth, normals, camera = annotation.depth_metres, annotation.normals, annotation.camera
    if depth is not None:
        metres = _planes(motion, depth.dense().view(np.uint8), 4).view(np.float32)[..., 0]
        depth = DepthMap.of(np.where(metres > 0, metres, np.float32(np.inf)))
    if normals is not None:
        whole = _planes(motion, normals.whole().reshape(*motion.source, 3).view(np.uint8), 6).view(np.int16)
        turned = whole.astype(np.float64) / UNIT * np.sign([motion.matrix[0, 0], motion.matrix[1, 1], 1.0])
        normals = NormalMap.of(turned)
    return depth, normals, _seen_by(camera, motion) if camera is not None and is_view(motion) else None


def uncovered_geometry(annotation: Annotation, covered: NDArray[np.bool_]) -> tuple[DepthMap | None, NormalMap | None]:
    """Depth and normals that say nothing where the picture is ``covered`` (H, W)."""
    depth, normals = annotation.depth_metres, annotation.normals
    return (
        None if depth is None else DepthMap.of(np.where(covered, np.float32(np.inf), depth.dense())),
        None if normals is None else NormalMap.of(np.where(covered[..., None], np.float32(0), normals.dense())),
    )


def _planes(motion: Motion, values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Bytes (H, W · count) of values of ``count`` bytes each, moved value by value; 0 where there is none."""
    parts = values.reshape(*motion.source, count)
    return np.ascontiguousarray(np.stack([motion.raster(parts[..., n], fill=0) for n in range(count)], axis=-1))


def _seen_by(camera: Camera, motion: Motion) -> Camera:
    across, down = motion.matrix[[0, 1], [0, 1]] / motion.matrix[2, 2]
    right, below = motion.matrix[[0, 1], [2, 2]] / motion.matrix[2, 2]
    (fx, fy), (cx, cy) = camera.focal, camera.centre
    focal = (float(fx * across), float(fy * down))
    return Camera(motion.size, focal, (float(cx * across + right), float(cy * down + below)), camera.pose)
