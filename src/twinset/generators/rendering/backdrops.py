"""What lies behind and under the objects: a picture with an invisible ground, or a procedural place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.copypaste.stores import Pictures
from twinset.generators.rendering.environments import Environment
from twinset.generators.rendering.materials import TILE, asphalt, checker, fabric, grass, paint, wood
from twinset.generators.rendering.meshes import Colour, Material, Mesh
from twinset.generators.rendering.scene import Placed
from twinset.generators.rendering.settings import Backdrop
from twinset.images import Pixels
from twinset.randomness import Stream

HALF_GROUND = 60.0
"""Half the side of the ground, in extents of a typical object; what lies beyond shows the background."""

GROUND_TEXELS = 5120
"""Of a texture on the whole side of the ground."""

OPEN_TILE = 512
"""Texels of a tile of open ground: of small ones a camera high above sees the same patches dozens of times."""

WALLS = (3.0, 9.0)
"""Distance of a room's walls behind what the camera looks at, in extents of a typical object; objects push them on."""

CLEAR = 0.1
"""Between a wall and the object nearest to it, in extents of a typical object."""

WALL_HEIGHT = 6.0
GROUNDS = {"room": ("wood", "checker", "fabric"), "road": ("asphalt",), "field": ("grass", "soil")}
"""Names of procedural textures under the objects."""

WALLPAPERS = ("plaster", "fabric")
SURFACES = {kind: (*names, *(WALLPAPERS[:1] if kind == "room" else ())) for kind, names in GROUNDS.items()}
"""All textures of a kind of place."""


def surface_texture(name: str, *, rng: Stream, size: int = TILE) -> Pixels:
    """A tile uint8 (size, size, 3) of this name, in colours of its own."""
    draws = rng.child("colours").numpy()

    def near(*tone: float) -> Colour:
        red, green, blue = np.clip(np.array(tone) * draws.uniform(0.7, 1.3) + draws.normal(0, 0.03, 3), 0.02, 0.98)
        return float(red), float(green), float(blue)

    grain = rng.child("grain")
    if name == "wood":
        return wood(near(0.55, 0.38, 0.24), rng=grain, size=size)
    if name == "checker":
        return checker(near(0.8, 0.78, 0.74), near(0.5, 0.45, 0.42), size=size)
    if name == "fabric":
        return fabric(near(0.5, 0.45, 0.45), rng=grain, size=size)
    if name == "asphalt":
        return asphalt(near(0.40, 0.40, 0.41), rng=grain, size=size)
    if name == "grass":
        return grass(near(0.27, 0.37, 0.16), rng=grain, size=size)
    if name == "soil":
        return asphalt(near(0.42, 0.33, 0.24), rng=grain, size=size)
    assert name == "plaster"
    return paint(near(0.8, 0.77, 0.72), rng=grain, size=size)


@dataclass(frozen=True, eq=False)
class Place:
    """One backdrop: a picture of the camera's size, unlabelled geometry, and whether anything casts shadows here.

    An ``environment`` is seen in place of a picture.
    """

    background: Pixels | None
    furniture: tuple[Placed, ...]
    shadows: bool = True
    parents: tuple[str, ...] = ()
    environment: Environment | None = None


@dataclass(frozen=True, eq=False)
class Backdrops:
    """Of one kind: ``pictures`` with the ids of the training pictures they are of, or ``textures`` by name.

    Pictures of environments come with their ``lights``.
    """

    kind: Backdrop
    pictures: Pictures | None = None
    ids: tuple[str, ...] = ()
    textures: tuple[tuple[str, Pixels], ...] = ()
    lights: tuple[NDArray[np.float64], ...] = ()

    def shown(self, draws: np.random.Generator) -> int:
        """The row of the picture that :meth:`place` shows with such draws; −1 where it shows none."""
        return int(draws.integers(len(self.pictures))) if self.pictures is not None else -1

    def place(
        self, camera: Camera, typical: float, draws: np.random.Generator, *, objects: Sequence[Placed] = ()
    ) -> Place:
        """One place for a camera, around objects of ``typical`` metres, and with room for all of these."""
        if self.kind == "white":
            return Place(np.full((*camera.size, 3), 255, dtype=np.uint8), (_catcher(typical),))
        if self.pictures is not None:
            row = self.shown(draws)
            if self.lights:
                turned = Environment(self.pictures[row], float(draws.uniform(0, 2 * np.pi)), self.lights[row])
                return Place(None, (_catcher(typical),), environment=turned)
            picture = _covering(self.pictures[row], camera.size, draws)
            return Place(picture, (_catcher(typical),), parents=self.ids[row : row + 1])
        if self.kind == "slide":
            return Place(_slide(camera.size, draws), (), shadows=False)
        return self._built(camera, typical, draws, objects)

    def _built(self, camera: Camera, typical: float, draws: np.random.Generator, objects: Sequence[Placed]) -> Place:
        ground = _plane(typical, self._texture(GROUNDS[self.kind], draws), 0.0, draws.uniform(0, 2 * np.pi))
        furniture = [Placed(ground, np.eye(4))]
        if self.kind == "road":
            furniture += _lanes(typical, draws)
        if self.kind == "room":
            within = _seen_from_above(objects)
            furniture += [
                _wall(camera, typical, self._texture(WALLPAPERS, draws), turn, draws, within) for turn in (-1, 1)
            ]
        return Place(_sky(camera, draws), tuple(furniture))

    def _texture(self, names: Sequence[str], draws: np.random.Generator) -> Pixels:
        known = [pixels for name, pixels in self.textures if name in names] or [pixels for _, pixels in self.textures]
        return known[int(draws.integers(len(known)))]


def quad(corners: NDArray[np.float64], material: Material, repeats: tuple[float, float]) -> Mesh:
    """A rectangle of four corners (4, 3), counter-clockwise, whose texture repeats so often along its sides."""
    across, up = repeats
    at = np.array([[0, 0], [across, 0], [across, up], [0, up]], dtype=np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    return Mesh(corners.astype(np.float32), faces, (material,), uv=at[faces])


def _plane(typical: float, texture: Pixels | None, height: float, turn: float) -> Mesh:
    half = HALF_GROUND * typical
    square = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    cos, sin = np.cos(turn), np.sin(turn)
    square = square @ np.array([[cos, sin], [-sin, cos]])
    corners = np.concatenate([square, np.full((4, 1), height)], axis=1)
    times = GROUND_TEXELS / (TILE if texture is None else len(texture))
    return quad(
        corners, Material((1, 1, 1) if texture is not None else (0.5, 0.5, 0.5), 0.95, texture=texture), (times, times)
    )


def _catcher(typical: float) -> Placed:
    return Placed(_plane(typical, None, 0.0, 0.0), np.eye(4), catcher=True)


def _seen_from_above(objects: Sequence[Placed]) -> NDArray[np.float64]:
    """(N, 2) on the ground, below the corners of the objects' boxes."""
    found = [np.zeros((0, 2))]
    for placed in objects:
        corners = np.array(list(product(*placed.mesh.bounds.astype(np.float64).T)))
        found.append((corners @ placed.pose[:3, :3].T + placed.pose[:3, 3])[:, :2])
    return np.concatenate(found)


def _wall(
    camera: Camera,
    typical: float,
    texture: Pixels,
    turn: int,
    draws: np.random.Generator,
    within: NDArray[np.float64],
) -> Placed:
    """A wall across the camera's view, turned to one side, so that two of them meet in a corner behind the objects.

    All of ``within`` (N, 2) lies before it.
    """
    away = -camera.pose[:2, 3]
    angle = np.arctan2(away[1], away[0]) if np.linalg.norm(away) > 1e-6 else draws.uniform(0, 2 * np.pi)
    angle += turn * draws.uniform(0.3, 1.0)
    normal, along = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    farthest = float((within @ normal).max(initial=0.0))
    middle = normal * max(typical * draws.uniform(*WALLS), farthest + CLEAR * typical)
    left, right = middle + along * HALF_GROUND * typical, middle - along * HALF_GROUND * typical
    high = WALL_HEIGHT * typical
    corners = np.array([[*left, 0], [*right, 0], [*right, high], [*left, high]])
    colour = tuple(float(c) for c in draws.uniform(0.6, 1.0, 3))
    return Placed(quad(corners, Material((colour[0], colour[1], colour[2]), 0.95, texture=texture), (20, 1)), np.eye(4))


def _lanes(typical: float, draws: np.random.Generator) -> list[Placed]:
    """White stripes along one direction on the ground, dashed, two to four lines."""
    angle = draws.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    apart, wide, dash = typical * draws.uniform(0.7, 1.0), 0.03 * typical, typical * draws.uniform(0.5, 1.0)
    material = Material((0.92, 0.92, 0.88), 0.8)
    parts = []
    for line in range(int(draws.integers(2, 5))):
        x = (line - 1.5) * apart + draws.uniform(-0.1, 0.1) * apart
        for step in range(-8, 9):
            y = step * 2 * dash
            flat = np.array([[x - wide, y], [x + wide, y], [x + wide, y + dash], [x - wide, y + dash]]) @ turn
            parts.append(quad(np.concatenate([flat, np.full((4, 1), 2e-3 * typical)], axis=1), material, (1, 1)))
    return [Placed(Mesh.joined(parts), np.eye(4))]


def _covering(picture: Pixels, size: tuple[int, int], draws: np.random.Generator) -> Pixels:
    """A part of the picture of the wanted shape, as large as fits, scaled to ``size``; mirrored half the time."""
    height, width = size
    scale = min(picture.shape[0] / height, picture.shape[1] / width)
    tall, wide = max(1, int(height * scale)), max(1, int(width * scale))
    top, left = (
        int(draws.integers(full - part + 1)) for full, part in zip(picture.shape[:2], (tall, wide), strict=True)
    )
    part = picture[top : top + tall, left : left + wide]
    found = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if scale >= 1 else cv2.INTER_LINEAR)
    found = found if found.ndim == 3 else found[..., None]
    if found.shape[2] == 1:
        found = np.repeat(found, 3, axis=2)
    return np.ascontiguousarray(found[:, ::-1] if draws.random() < 0.5 else found, dtype=np.uint8)


def _sky(camera: Camera, draws: np.random.Generator) -> Pixels:
    """From a pale horizon to a stronger colour above, by the height of each ray."""
    _, rays = camera.rays()
    up = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=-1), 0, 1)[..., None]
    pale = np.array([0.86, 0.89, 0.92]) * draws.uniform(0.8, 1.05)
    deep = np.array([draws.uniform(0.25, 0.7), draws.uniform(0.45, 0.75), draws.uniform(0.75, 0.95)])
    return np.asarray(np.clip(255 * (pale + (deep - pale) * np.sqrt(up)), 0, 255), dtype=np.uint8)


def _slide(size: tuple[int, int], draws: np.random.Generator) -> Pixels:
    """A lit microscope slide: pale, a little tinted, brighter in the middle, with smooth stains."""
    height, width = size
    tint = np.array([draws.uniform(0.78, 0.95), draws.uniform(0.74, 0.9), draws.uniform(0.74, 0.92)])
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - draws.uniform(0.0, 0.12) * ((x - draws.uniform(-0.3, 0.3)) ** 2 + (y - draws.uniform(-0.3, 0.3)) ** 2)
    stains = cv2.resize(
        draws.normal(0, 0.02, (6, 8)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(255 * (light + stains)[..., None] * tint, 0, 255), dtype=np.uint8)
