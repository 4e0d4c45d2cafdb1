"""What a path tracer brings of a scene, and how it is laid over the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.colour import LINEAR, to_linear, to_srgb
from twinset.generators.rendering.scene import Scene
from twinset.images import Pixels

Light32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layers:
    """Linear light: the picture is ``light`` + ``behind`` · background.

    Both float32 (H, W, 3). ``light`` is what objects send to the camera, by how much of a pixel they cover. ``behind``
    is the share of the background that is left: 1 where nothing is, 0 where objects cover the pixel, between in the
    shadows on a shadow catcher.
    """

    light: Light32
    behind: Light32


def composited(scene: Scene, layers: Layers) -> Pixels:
    """The picture, uint8 (H, W, 3): no tone mapping, what is brighter than 1 is white."""
    background = sky_light(scene) if scene.background is None else LINEAR[scene.background]
    total = layers.light.astype(np.float64) + layers.behind * background
    found = np.rint(255 * to_srgb(np.clip(total, 0, 1))).astype(np.uint8)
    if scene.background is not None:
        # The way through linear light may be off by one, and a photo is to stay as it was.
        untouched = (layers.behind == 1).all(-1) & (layers.light == 0).all(-1)
        found[untouched] = scene.background[untouched]
    return found


def sky_light(scene: Scene) -> NDArray[np.float64]:
    """(H, W, 3) the radiance of the sky itself, or of the environment, behind every pixel."""
    if scene.environment is not None:
        return np.asarray(LINEAR[scene.environment.seen(scene.camera, scene.ambient)], dtype=np.float64)
    _, rays = scene.camera.rays()
    height = rays[..., 2:] / np.linalg.norm(rays, axis=-1, keepdims=True)
    return np.asarray(scene.ambient * (1 + scene.sky * height) * to_linear(np.array(scene.ambient_colour)))


def background_colour(scene: Scene) -> tuple[float, float, float]:
    """The mean of the background in linear light, 0.05…0.8: what a shadow catcher throws back at the objects."""
    if scene.background is None:
        return 0.5, 0.5, 0.5
    red, green, blue = np.clip(LINEAR[scene.background].reshape(-1, 3).mean(0, dtype=np.float64), 0.05, 0.8)
    return float(red), float(green), float(blue)


def surrounding_light(scene: Scene) -> NDArray[np.float32] | None:
    """(r, c, 3) linear radiance of the environment, as its picture lies but for its turn; None where there is none."""
    environment = scene.environment
    if environment is None or environment.light is None:
        return None
    colour = scene.ambient * to_linear(np.array(scene.ambient_colour, dtype=np.float64))
    return np.asarray(environment.light * (colour / environment.mean), dtype=np.float32)
