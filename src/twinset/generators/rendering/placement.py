"""Where the camera stands and where objects rest, so that they appear where and as large as was drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.backdrops import GROUNDS
from twinset.generators.rendering.drawing import Drawing
from twinset.generators.rendering.meshes import Mesh

Floats = NDArray[np.float64]

FARTHEST = 4.0
"""Objects stand at most so many times as far away as what the camera looks at."""

LOW = 0.75
"""Objects whose middle is above so much of the camera's height are met there: a low camera would see no ground."""

NEAREST = 0.1
"""The camera keeps such a share of an object's longest side between itself and the object's box."""

TRIES = 40
FLAT = 2e-3
"""Of its extent: what is less high lies so much above the ground, which would hide it otherwise."""

LIFT = 0.01
"""By how much of its extent each later object lies higher where footprints may overlap: no two surfaces coincide."""


@dataclass(frozen=True)
class Footprint:
    """A rectangle on the ground: middle (x, y), half sides along its own axes, turned by ``angle`` radians."""

    middle: tuple[float, float]
    half: tuple[float, float]
    angle: float

    @property
    def sides(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Half of each side, as vectors."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (self.half[0] * cos, self.half[0] * sin), (-self.half[1] * sin, self.half[1] * cos)


def overlap(first: Footprint, second: Footprint) -> bool:
    """Whether two rectangles share ground, by separating axes (Gottschalk, Lin, Manocha 1996, in the plane).

    >>> overlap(Footprint((0, 0), (1, 1), 0), Footprint((1.9, 0), (1, 1), 0))
    True
    >>> overlap(Footprint((0, 0), (1, 1), 0), Footprint((2.1, 0), (1, 1), 0))
    False
    """
    apart_x, apart_y = second.middle[0] - first.middle[0], second.middle[1] - first.middle[1]
    if math.hypot(apart_x, apart_y) > math.hypot(*first.half) + math.hypot(*second.half):
        return False
    sides = (*first.sides, *second.sides)
    for axis_x, axis_y in sides:
        reach = sum(abs(side_x * axis_x + side_y * axis_y) for side_x, side_y in sides)
        if abs(apart_x * axis_x + apart_y * axis_y) > reach:
            return False
    return True


def extent(mesh: Mesh) -> float:
    """What a shape spans, metres: the geometric mean of its two longest sides."""
    low, high = mesh.bounds.astype(np.float64)
    sides = np.sort(high - low)[1:]
    return float(np.sqrt(max(sides[0], 1e-6) * max(sides[1], 1e-6)))


def lift(mesh: Mesh, gap: float, order: int) -> float:
    """How high above the ground the mesh stands that is the ``order``-th to be placed, from 1; metres."""
    low, high = mesh.bounds.astype(np.float64)
    size = extent(mesh)
    return (FLAT * size if high[2] - low[2] < FLAT * size else 0.0) + (LIFT * order * size if gap < 0 else 0.0)


def draw_camera(drawing: Drawing, typical: float, size: tuple[int, int], draws: np.random.Generator) -> Camera:
    """A camera that looks at the origin from a drawn elevation, so far away that ``typical`` metres span ``size``."""
    elevation = np.radians(drawing.number("elevation_degrees", draws))
    azimuth = draws.uniform(0, 2 * np.pi)
    angle = drawing.number("field_of_view_degrees", draws)
    share = drawing.number("size", draws)
    distance = typical / (2 * share * np.tan(np.radians(angle) / 2))
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    return Camera.looking(
        distance * direction,
        (0, 0, 0),
        size=size,
        field_of_view_degrees=angle,
        roll_degrees=drawing.number("roll_degrees", draws),
    )


def rest_on_ground(
    meshes: Sequence[Mesh], camera: Camera, drawing: Drawing, draws: np.random.Generator
) -> list[Floats | None]:
    """Poses (4, 4) of meshes that stand on z = 0, turned about the vertical and apart; None where no place was found.

    The middle of an object (a lower point, where it towers over the camera) appears at a drawn place of the picture,
    unless that shows no ground near enough.
    """
    taken: list[Footprint] = []
    poses: list[Floats | None] = []
    for mesh in meshes:
        pose = None
        for _ in range(TRIES):
            scale, angle = drawing.number("scale", draws), draws.uniform(0, 2 * np.pi)
            low, high = scale * mesh.bounds.astype(np.float64)
            at = ground_below(camera, _place(camera, drawing, draws), height=high[2] / 2)
            if at is None:
                continue
            turn = _about_vertical(angle)
            middle = at + turn[:2, :2] @ ((low + high)[:2] / 2)
            half = (high - low)[:2] / 2 + drawing.settings.gap / 2 * float((high - low)[:2].max())
            half = np.maximum(half, 1e-6)
            footprint = Footprint((float(middle[0]), float(middle[1])), (float(half[0]), float(half[1])), angle)
            if any(overlap(footprint, other) for other in taken) or _inside(camera, low, high, turn, at):
                continue
            taken.append(footprint)
            pose = turn * np.array([scale, scale, scale, 1.0])
            pose[:2, 3] = at
            pose[2, 3] = lift(mesh, drawing.settings.gap, len(taken))
            break
        poses.append(pose)
    return poses


def float_freely(
    meshes: Sequence[Mesh], camera: Camera, drawing: Drawing, draws: np.random.Generator
) -> list[Floats | None]:
    """Poses of meshes anywhere in front of the camera, turned anyhow; their bounding spheres do not meet.

    Where the backdrop has a ground, they lie above it.
    """
    taken: list[tuple[Floats, float]] = []
    poses: list[Floats | None] = []
    typical = float(np.linalg.norm(camera.pose[:3, 3]))
    above = drawing.settings.backdrop in GROUNDS
    for mesh in meshes:
        pose = None
        low, high = mesh.bounds.astype(np.float64)
        for attempt in range(TRIES):
            scale = drawing.number("scale", draws)
            radius = scale * float(np.linalg.norm(high - low)) / 2
            nearest = 0.6 * typical
            if above and attempt >= TRIES // 2:  # Farther away there may be no room above the ground.
                nearest = min(nearest, 1.2 * radius)
            depth = draws.uniform(nearest, 1.6 * typical)
            at = camera.unproject([_place(camera, drawing, draws)], [depth])[0]
            if depth < 1.2 * radius or any(np.linalg.norm(at - other) < radius + reach for other, reach in taken):
                continue
            turn = scale * _any_turn(draws)
            shift = at - turn @ ((low + high) / 2)
            if above and float((mesh.vertices @ turn[2]).min() + shift[2]) < 0:
                continue
            taken.append((at, radius))
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = turn, shift
            break
        poses.append(pose)
    return poses


def _place(camera: Camera, drawing: Drawing, draws: np.random.Generator) -> tuple[float, float]:
    height, width = camera.size
    return drawing.number("centre_x", draws) * width, drawing.number("centre_y", draws) * height


def ground_below(camera: Camera, pixel: tuple[float, float], *, height: float) -> Floats | None:
    """(2,) where the ray through a pixel is at this height above the ground, or at ``LOW`` of the camera's own.

    None above the horizon or too far.
    """
    eye = camera.pose[:3, 3]
    ray = camera.unproject([pixel], [1.0])[0] - eye
    if ray[2] > -1e-6:
        return None
    along = (min(height, LOW * eye[2]) - eye[2]) / ray[2]
    point = eye + along * ray
    if not along > 0 or np.linalg.norm(point - eye) > FARTHEST * np.linalg.norm(eye):
        return None
    return np.asarray(point[:2])


def _inside(camera: Camera, low: Floats, high: Floats, turn: Floats, at: Floats) -> bool:
    """Whether the camera is in, or nearly in, the box ``low`` … ``high`` (3,) that is turned and stands at ``at``."""
    eye = camera.pose[:3, 3]
    within = np.append(turn[:2, :2].T @ (eye[:2] - at), eye[2])
    margin = NEAREST * float((high - low).max())
    return bool((within > low - margin).all() and (within < high + margin).all())


def _about_vertical(angle: float) -> Floats:
    turn = np.eye(4)
    turn[:2, :2] = ((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle)))
    return turn


def _any_turn(draws: np.random.Generator) -> Floats:
    """(3, 3) evenly among all rotations (Shoemake 1992: a normal quaternion, scaled to length one)."""
    w, x, y, z = (q := draws.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
