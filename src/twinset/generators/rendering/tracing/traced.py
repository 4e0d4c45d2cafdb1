"""A renderer out of a path tracer and the embedded rasteriser: light from the one, labels from the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Frame, Scene
from twinset.generators.rendering.tracing.layers import Layers, composited


class Tracer(Protocol):
    """Traces paths of light."""

    def trace(self, scene: Scene) -> Layers:
        """What is seen of a scene, but for its background. Random numbers come from the scene's seed."""
        ...


class Traced:
    """Draws with a tracer. Ids, depth, normals and silhouettes are the rasteriser's, from the same camera."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._labels = Rasterizer(samples=1)

    def render(self, scene: Scene) -> Frame:
        """The picture with its per-pixel truth."""
        return replace(self.labelled(scene), rgb=composited(scene, self._tracer.trace(scene)))

    def labelled(self, scene: Scene) -> Frame:
        """The rasteriser's picture and labels."""
        return self._labels.render(scene)

    def silhouettes(self, scene: Scene) -> tuple[NDArray[np.bool_], ...]:
        """For each object the mask bool (H, W) that it would have alone; all False for furniture and catchers."""
        return self._labels.silhouettes(scene)
