"""Synthetic scenes of meshes, rendered with exact labels."""

from twinset.generators.rendering.generator import RenderingGenerator
from twinset.generators.rendering.settings import Rendering, ShapeSource

__all__ = ["Rendering", "RenderingGenerator", "ShapeSource"]
