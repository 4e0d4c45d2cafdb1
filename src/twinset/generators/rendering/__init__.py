"""Synthetic scenes of meshes, rendered with exact labels."""

from twinset.generators.rendering.generator import RenderingGenerator
from twinset.generators.rendering.settings import Rendering
from twinset.generators.rendering.shape_sources import ShapeSource

__all__ = ["Rendering", "RenderingGenerator", "ShapeSource"]
