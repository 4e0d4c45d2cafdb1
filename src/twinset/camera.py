"""Where a picture was taken from: intrinsics, pose, projection and rays.

OpenCV's axes: x right, y down, z forward, in metres. A pose maps camera to world coordinates. Pixels are continuous:
the picture spans [0, width) × [0, height), so the centre of the first pixel lies at (0.5, 0.5), as for all boxes here
(OpenCV and BOP put it at (0, 0): subtract ½ from the principal point for them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    ``size`` is (height, width) in pixels; ``focal`` (fx, fy) and ``centre`` (cx, cy) are in pixels; ``pose`` float64
    (4, 4) maps camera coordinates to world coordinates and is rigid.
    """

    size: tuple[int, int]
    focal: tuple[float, float]
    centre: tuple[float, float]
    pose: Floats

    def __post_init__(self) -> None:
        pose = np.array(self.pose, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all() or not np.array_equal(pose[3], (0, 0, 0, 1)):
            raise ValueError(f"expected a pose (4, 4) with last row 0 0 0 1; got {pose.tolist()}")
        turn = pose[:3, :3]
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) or np.linalg.det(turn) < 0:
            raise ValueError(f"expected a pose that turns and shifts only; got {turn.tolist()}")
        if min(self.size) < 1 or not all(np.isfinite(self.focal)) or min(self.focal) <= 0:
            raise ValueError(f"expected a size ≥ 1 pixel and focal lengths > 0; got {self.size} and {self.focal}")
        if not all(np.isfinite(self.centre)):
            raise ValueError(f"expected a finite principal point; got {self.centre}")
        pose.setflags(write=False)
        object.__setattr__(self, "pose", pose)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        mine, theirs = ((camera.size, camera.focal, camera.centre) for camera in (self, other))
        return mine == theirs and bool(np.array_equal(self.pose, other.pose))

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def looking(
        eye: ArrayLike,
        target: ArrayLike,
        *,
        size: tuple[int, int],
        field_of_view_degrees: float,
        roll_degrees: float = 0.0,
    ) -> Camera:
        """A camera at ``eye`` that sees ``target`` in its middle; world z is up in the picture unless rolled.

        The field of view is that of the longer side. Raises :class:`ValueError` where eye and target coincide.

        >>> camera = Camera.looking((0, -2, 0), (0, 0, 0), size=(100, 200), field_of_view_degrees=90)
        >>> camera.project(np.array([[1.0, 0.0, 0.5]]))[0].round(6).tolist()
        [[150.0, 25.0]]
        """
        if not 1 <= field_of_view_degrees <= 170:
            raise ValueError(f"expected a field of view of 1…170 degrees; got {field_of_view_degrees}")
        start, end = np.asarray(eye, dtype=np.float64), np.asarray(target, dtype=np.float64)
        distance = float(np.linalg.norm(end - start))
        if not distance > 0:
            raise ValueError(f"expected a camera away from what it looks at; got both at {start.tolist()}")
        forward = (end - start) / distance
        right = np.cross(forward, (0.0, 0.0, 1.0))
        if np.linalg.norm(right) < 1e-6:  # straight down or up: the picture's top is world y
            right = np.cross(forward, (0.0, 1.0, 0.0))
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        roll = np.radians(roll_degrees)
        pose = np.eye(4)
        pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
        pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
        pose[:3, 2], pose[:3, 3] = forward, start
        height, width = size
        focal = max(height, width) / 2 / np.tan(np.radians(field_of_view_degrees) / 2)
        return Camera(size, (float(focal), float(focal)), (width / 2, height / 2), pose)

    @property
    def world_to_camera(self) -> Floats:
        """(4, 4), the inverse of the pose."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.pose[:3, :3].T
        inverse[:3, 3] = -self.pose[:3, :3].T @ self.pose[:3, 3]
        return inverse

    @property
    def matrix(self) -> Floats:
        """(3, 3) intrinsics K: K · camera coordinates = pixels × depth."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)

    def seen_from_here(self, points: ArrayLike) -> Floats:
        """World points (N, 3) in camera coordinates, metres."""
        found = np.asarray(points, dtype=np.float64)
        return (found - self.pose[:3, 3]) @ self.pose[:3, :3]

    def project(self, points: ArrayLike) -> tuple[Floats, Floats]:
        """Pixels (N, 2) and depth along the axis (N,) in metres of world points (N, 3).

        What lies in the camera's plane or behind it has depth ≤ 0 and pixels NaN.
        """
        here = self.seen_from_here(points)
        depth = here[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = here[:, :2] / np.where(depth > 0, depth, np.nan)[:, None]
        return pixels * self.focal + self.centre, depth

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> Floats:
        """World points (N, 3) of pixels (N, 2) at these depths (N,) along the axis, metres.

        >>> camera = Camera.looking((0, -2, 0), (0, 0, 0), size=(100, 200), field_of_view_degrees=90)
        >>> camera.unproject([[100.0, 0.0]], [2.0]).round(6).tolist()
        [[0.0, 0.0, 1.0]]
        """
        at, far = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        flat = (at - self.centre) / self.focal
        here = np.concatenate([flat, np.ones((len(flat), 1))], axis=1) * far[:, None]
        return here @ self.pose[:3, :3].T + self.pose[:3, 3]

    def rays(self) -> tuple[Floats, Floats]:
        """Where all rays begin (3,), and their directions (H, W, 3) through pixel centres, of depth 1, not length 1."""
        height, width = self.size
        x = (np.arange(width) + 0.5 - self.centre[0]) / self.focal[0]
        y = (np.arange(height) + 0.5 - self.centre[1]) / self.focal[1]
        here = np.stack([*np.broadcast_arrays(x[None, :], y[:, None]), np.ones((height, width))], axis=-1)
        return self.pose[:3, 3].copy(), here @ self.pose[:3, :3].T

    def resized(self, size: tuple[int, int]) -> Camera:
        """The same view in a picture of another size."""
        down, across = size[0] / self.size[0], size[1] / self.size[1]
        (fx, fy), (cx, cy) = self.focal, self.centre
        return replace(self, size=size, focal=(fx * across, fy * down), centre=(cx * across, cy * down))
