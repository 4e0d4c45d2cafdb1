"""Meshes, poses and cameras that the tests of renderers put before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.environments import Environment
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.scene import Placed, Scene

Floats = NDArray[np.float64]
WHITE = Material((1.0, 1.0, 1.0), roughness=1.0)
GREY = Material((0.6, 0.6, 0.6), roughness=1.0)


def at(x: float = 0, y: float = 0, z: float = 0, *, scale: float = 1, turn: float = 0) -> Floats:
    pose = np.eye(4)
    cosine, sine = np.cos(turn), np.sin(turn)
    pose[:3, :3] = scale * np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    pose[:3, 3] = x, y, z
    return pose


def box(x: float, y: float, z: float) -> Mesh:
    vertices = np.array([(i * x, j * y, k * z) for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return Mesh(vertices.astype(np.float32), np.array(faces, np.int32))


def sphere(rings: int = 60) -> Mesh:
    """Of radius 1, with smooth normals."""
    up, around = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    vertices = np.stack(
        [np.outer(np.sin(up), np.cos(around)), np.outer(np.sin(up), np.sin(around)), np.outer(np.cos(up), around**0)],
        -1,
    ).reshape(-1, 3)
    wide = 2 * rings
    faces = []
    for row in range(rings):
        for column in range(wide):
            a, b = row * wide + column, row * wide + (column + 1) % wide
            faces += [(a, a + wide, b), (b, a + wide, b + wide)]
    triangles = np.array(faces, np.int32)
    return Mesh(vertices.astype(np.float32), triangles, normals=vertices.astype(np.float32)[triangles])


def view(*, size: tuple[int, int] = (60, 80), eye: tuple[float, float, float] = (0.3, -4, 1.7)) -> Camera:
    return Camera.looking(eye, (0, 0, 0.2), size=size, field_of_view_degrees=60, roll_degrees=7)


def ground(size: float = 20, material: Material = WHITE) -> Mesh:
    corners = np.array([(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)], np.float32)
    return Mesh(corners, np.array([(0, 1, 2), (0, 2, 3)], np.int32), (material,))


def light_of(pixels: NDArray[np.uint8]) -> Floats:
    """Linear light of sRGB bytes (IEC 61966-2-1)."""
    values = pixels / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def from_above(*, size: tuple[int, int] = (40, 40)) -> Camera:
    return Camera.looking((0, 0, 5), (0, 0, 0), size=size, field_of_view_degrees=40)


def spheres_and_boxes() -> Scene:
    """On the ground, one of them with a texture; the camera's principal point is off the middle."""
    camera = replace(view(size=(90, 120)), centre=(52.0, 50.0))
    wood = Material((1, 1, 1), texture=np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8))
    objects = (
        Placed(sphere(24), at(-0.7, 0, 0.5, scale=0.5), 0),
        Placed(box(0.6, 0.7, 0.8).painted(wood), at(0.5, 0.3, 0.4, turn=0.6), 1),
        Placed(box(0.3, 0.3, 0.5), at(0.1, -0.6, 0.25, turn=0.2), 1),
        Placed(ground(8), np.eye(4)),
    )
    return Scene(camera, objects)


def rims(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels beside which another object is seen."""
    wide = np.pad(ids, 1, mode="edge")
    around = [
        wide[1 + i : wide.shape[0] - 1 + i, 1 + j : wide.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]
    return np.any([part != ids for part in around], axis=0)


def stained() -> Scene:
    """A translucent slab, dark but for what it lets pass, on white; it covers the middle of the picture."""
    glass = Material((0.9, 0.4, 0.6), 1.0, opacity=0.3)
    white = np.full((40, 40, 3), 255, dtype=np.uint8)
    slab = Placed(box(2, 2, 0.05).painted(glass), at(), 0)
    return Scene(from_above(), (slab,), lights=(), ambient=0.0, background=white)


def surrounded() -> Scene:
    """A matte ball that a picture of all directions lights, bright and red on one side only."""
    pixels = np.full((32, 64, 3), 40, dtype=np.uint8)
    pixels[4:28, 10:26] = (250, 60, 50)
    ball = Placed(sphere(30).painted(WHITE), at(0, 0, 0.2), 0)
    return Scene(view(), (ball,), lights=(), ambient=0.3, environment=Environment(pixels, turn=0.7))
