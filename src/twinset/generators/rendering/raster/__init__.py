"""The embedded rasteriser."""

from twinset.generators.rendering.raster.renderer import Rasterizer

__all__ = ["Rasterizer"]
