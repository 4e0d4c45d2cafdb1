"""Translucent surfaces for path tracers, which meet both sides of a body where the rasteriser counts one layer.

Each side passes the root of what the layer does, so that a closed body passes as much. Shadows on what lies behind are
those of opaque surfaces, or nearly so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.raster.colour import LINEAR
from twinset.generators.rendering.scene import Scene

LEAST = 1e-3
"""Share of the background below which its colour does not matter."""


def opacity_of_a_side(material: Material) -> float:
    """Opacity of each of two sides that pass together what the material does."""
    return 1 - float(np.sqrt(1 - material.opacity))


@dataclass(frozen=True, eq=False)
class Passing:
    """The background's share that is left in every pixel, float32 (H, W, 3) linear, as the rasteriser has it.

    ``coloured`` by the surfaces that it passes, ``plain`` as if they had no colour.
    """

    coloured: NDArray[np.float32]
    plain: NDArray[np.float32]

    @property
    def tint(self) -> NDArray[np.float32]:
        """What the colours do to it, 0…1."""
        return np.where(self.plain > LEAST, self.coloured / np.maximum(self.plain, LEAST), 1).astype(np.float32)

    @property
    def hue(self) -> NDArray[np.float32]:
        """What they do to its colour, of mean 1."""
        mean = self.coloured.mean(-1, keepdims=True)
        return np.where(mean > LEAST, self.coloured / np.maximum(mean, LEAST), 1).astype(np.float32)


def passing(scene: Scene, renderer: Rasterizer) -> Passing | None:
    """What is seen of the background through the scene's objects; None where all are opaque."""
    materials = [material for placed in scene.objects for material in placed.mesh.materials]
    if all(material.opacity == 1 for material in materials):
        return None
    white = np.full((*scene.camera.size, 3), 255, dtype=np.uint8)
    seen = tuple(placed for placed in scene.objects if not placed.catcher)
    dark = replace(scene, objects=seen, lights=(), ambient=0.0, environment=None, background=white)
    pale = tuple(replace(placed, mesh=_uncoloured(placed.mesh)) for placed in seen)
    coloured, plain = (renderer.render(each).rgb for each in (dark, replace(dark, objects=pale)))
    return Passing(LINEAR[coloured], LINEAR[plain])


def _uncoloured(mesh: Mesh) -> Mesh:
    return replace(
        mesh, materials=tuple(Material((1.0, 1.0, 1.0), opacity=material.opacity) for material in mesh.materials)
    )
