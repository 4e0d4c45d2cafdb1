"""The light of a scene as the compiled code wants it: the sky, far lights, and a height map for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.environments import MATTE, quadric
from twinset.generators.rendering.raster.blocks import LIGHT_NUMBERS
from twinset.generators.rendering.raster.colour import to_linear
from twinset.generators.rendering.raster.drawing import SPARE
from twinset.generators.rendering.raster.shadows import CELLS, NONE, WIDEST, draw_heights, lowest_within, spans, survey
from twinset.generators.rendering.raster.surfaces import Geometry
from twinset.generators.rendering.scene import Light, Scene

MONOMIALS = (
    (3, 3, 1),
    (0, 3, 2),
    (1, 3, 2),
    (2, 3, 2),
    (0, 0, 1),
    (1, 1, 1),
    (2, 2, 1),
    (0, 1, 2),
    (1, 2, 2),
    (0, 2, 2),
)
"""Which entries of a quadric are kept, and how often each stands in it: 1, x, y, z, x², y², z², xy, yz, xz."""

MARGIN = WIDEST + 4
"""Texels of a map that nothing seen lies in."""


@dataclass(frozen=True, eq=False)
class Caster:
    """What may throw a shadow: a mesh and its map (3, 4) into camera coordinates."""

    geometry: Geometry
    placing: NDArray[np.float64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """(8, 3) of its bounds, in camera coordinates."""
        return self.geometry.corners @ self.placing[:, :3].T + self.placing[:, 3]

    def hides_from(self, light: NDArray[np.float64], seen: NDArray[np.float64]) -> bool:
        """Whether it may stand between the light and any of these points (N, 3): flat ground stands below all."""
        if self.geometry.plane is None:
            return True
        linear, shift = self.placing[:, :3], self.placing[:, 3]
        # Poses turn and scale evenly, so that normals go as other directions do.
        normal = linear @ self.geometry.plane[:3]
        normal *= np.sign(normal @ light) / math.sqrt(normal @ normal)
        (lowest, highest) = spans(seen, normal[None])[:, 0]
        level = normal @ (self.geometry.plane[3] * (linear @ self.geometry.plane[:3]) + shift)
        return bool(lowest < level - 1e-3 * max(highest - lowest, 1e-9))


def map_size(height: int, width: int) -> int:
    """Texels a side, after the picture's own size."""
    return int(np.clip(round(max(height, width) / 160), 1, 8)) * 256


def sky_numbers(scene: Scene) -> NDArray[np.float32]:
    """(7,): radiance, share that depends on the direction's height, and upwards in camera coordinates.

    Where an environment lights the scene (67,): for red, green and blue ten numbers of the light on matte surfaces and
    then as many of the radiance itself, both by direction in camera coordinates, as :data:`MONOMIALS` says.
    """
    colour = scene.ambient * to_linear(np.array(scene.ambient_colour, dtype=np.float64))
    plain = np.array([*colour, scene.sky, *scene.camera.pose[2, :3]], dtype=np.float32)
    if scene.environment is None:
        return plain
    into_world = np.eye(4)
    into_world[:3, :3] = scene.camera.pose[:3, :3]
    rows = [plain]
    for kept in (MATTE[:, None], 1.0):
        turned = np.einsum("ji,jkc,kl->ilc", into_world, quadric(scene.environment.radiance * kept), into_world)
        rows += [np.array([twice * turned[i, j, c] for i, j, twice in MONOMIALS]) * colour[c] for c in range(3)]
    return np.concatenate(rows).astype(np.float32)


class Lighting:
    """Height maps, kept from picture to picture."""

    def __init__(self) -> None:
        self._heights = np.zeros((0, 1, 1 + SPARE), np.float32)
        self._ranges = np.zeros((0, 2, 1, 1), np.float32)
        self._flat = np.zeros((0, 3), np.float32)

    def lit(
        self, scene: Scene, casters: Sequence[Caster], seen: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Numbers of the lights (L, LIGHT_NUMBERS), their height maps (L, size, size + SPARE) and the maps' ranges.

        ``seen`` float64 (N, 3) are points in camera coordinates of what the picture shows.
        """
        lights = [light for light in scene.lights if light.strength > 0]
        size = map_size(*scene.camera.size)
        if self._heights.shape[1] != size or len(self._heights) < len(lights):
            self._heights = np.empty((len(lights), size, size + SPARE), np.float32)
            self._ranges = np.empty((len(lights), 2, size // CELLS[0], size // CELLS[0]), np.float32)
        numbers = np.zeros((len(lights), LIGHT_NUMBERS), np.float32)
        for row, light in enumerate(lights):
            self._set(numbers[row], light, scene, casters, seen, self._heights[row], self._ranges[row])
        return numbers, self._heights, self._ranges

    def _set(
        self,
        numbers: NDArray[np.float32],
        light: Light,
        scene: Scene,
        casters: Sequence[Caster],
        seen: NDArray[np.float64],
        heights: NDArray[np.float32],
        ranges: NDArray[np.float32],
    ) -> None:
        towards = scene.camera.pose[:3, :3].T @ np.array(light.towards, dtype=np.float64)
        towards /= np.linalg.norm(towards)
        numbers[:3] = towards
        numbers[3:6] = light.strength * to_linear(np.array(light.colour, dtype=np.float64))
        if not light.shadows or not len(seen):
            return
        casting = [caster for caster in casters if caster.hides_from(towards, seen)]
        axes = _axes(towards)
        if not casting:
            return
        low, high = spans(seen, axes)
        bottom, top = spans(np.concatenate([caster.corners for caster in casting]), axes)
        first, last = np.maximum(low, bottom)[:2], np.minimum(high, top)[:2]
        if not (first < last).all():
            return
        reach = top[2] - lowest_within(seen, axes, first, last)
        if not reach > 0:
            return
        size = len(heights)
        texel = float((last - first).max()) / (size - 2 * MARGIN)
        start = (first + last) / 2 - texel * size / 2
        heights.fill(NONE)
        into = np.concatenate([axes[:2] / texel, axes[2:]])
        shift = np.array([*(-start / texel), 0.0])
        for caster in casting:
            placing = into @ caster.placing
            placing[:, 3] += shift
            count = len(caster.geometry.vertices)
            if len(self._flat) < count:
                self._flat = np.empty((count, 3), np.float32)
            shape = caster.geometry
            opaque = shape.faces[: shape.clear_from]
            draw_heights(shape.vertices, opaque, shape.closed, placing, self._flat, heights)
        blur = math.tan(math.radians(light.softness_degrees) / 2) / texel
        widest = min(max(blur * reach, 1.0), WIDEST)
        cell = next(cell for cell in CELLS if cell >= widest + 1)
        survey(heights, cell, ranges)
        numbers[6:10] = 1, blur, widest, texel
        numbers[18] = cell.bit_length() - 1
        numbers[10:14] = *into[0], shift[0]
        numbers[14:18] = *into[1], shift[1]


def _axes(towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two unit axes of a map, and towards the light, (3, 3)."""
    x, y, z = (float(part) for part in towards)
    least = min(abs(x), abs(y), abs(z))
    # The cross product of the axis that is farthest from the light, and the light.
    a, b, c = (0.0, -z, y) if abs(x) == least else ((z, 0.0, -x) if abs(y) == least else (-y, x, 0.0))
    length = math.sqrt(a * a + b * b + c * c)
    a, b, c = a / length, b / length, c / length
    return np.array([(a, b, c), (y * c - z * b, z * a - x * c, x * b - y * a), (x, y, z)])
