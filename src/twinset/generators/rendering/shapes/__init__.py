"""Parametric families of objects: every choice of values is a shape of its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType

from twinset.errors import RecipeError, UnknownNameError
from twinset.generators.rendering.shapes.bag import Bag
from twinset.generators.rendering.shapes.bus import Bus
from twinset.generators.rendering.shapes.car import Car
from twinset.generators.rendering.shapes.cell import Cell
from twinset.generators.rendering.shapes.chair import Chair
from twinset.generators.rendering.shapes.family import Choice, Family, Narrowed, Number, built, draw, shape_id, topology
from twinset.generators.rendering.shapes.primitives import Primitive
from twinset.generators.rendering.shapes.table import Table

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (Chair(), Table(), Bag(), Car(), Bus(), Cell(), Primitive())}
)
"""Our own, by name."""

ENTRY_POINTS = "twinset.shapes"


def family_names() -> tuple[str, ...]:
    """All families, ours and those of installed plug-ins (entry points ``twinset.shapes``)."""
    others = sorted({point.name for point in metadata.entry_points(group=ENTRY_POINTS)} - set(FAMILIES))
    return (*FAMILIES, *others)


def family_of(name: str) -> Family:
    """The family of this name; ours cannot be replaced. A plug-in's entry point names a class or an object.

    Raises :class:`UnknownNameError`, and :class:`RecipeError` for a plug-in that does not load.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name:
            try:
                loaded = point.load()
                found: Family = loaded() if isinstance(loaded, type) else loaded
            except Exception as error:
                raise RecipeError(
                    f"expected the family {name!r} ({point.value}) to load; got {type(error).__name__}: {error}"
                ) from error
            return found
    raise UnknownNameError("family", name, family_names())


__all__ = [
    "FAMILIES",
    "Choice",
    "Family",
    "Narrowed",
    "Number",
    "built",
    "draw",
    "family_names",
    "family_of",
    "shape_id",
    "topology",
]
