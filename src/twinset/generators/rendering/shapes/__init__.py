"""Parametric families of objects: every choice of values is a shape of its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from twinset import plugged
from twinset.errors import RecipeError, TwinsetError
from twinset.generators.rendering.shapes.bag import Bag
from twinset.generators.rendering.shapes.bus import Bus
from twinset.generators.rendering.shapes.car import Car
from twinset.generators.rendering.shapes.cell import Cell
from twinset.generators.rendering.shapes.chair import Chair
from twinset.generators.rendering.shapes.family import (
    Choice,
    Family,
    Narrowed,
    Number,
    built,
    draw,
    held,
    shape_id,
    topology,
)
from twinset.generators.rendering.shapes.primitives import Primitive
from twinset.generators.rendering.shapes.table import Table

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (Chair(), Table(), Bag(), Car(), Bus(), Cell(), Primitive())}
)
"""Our own, by name."""


def family_entries() -> dict[str, plugged.Entry]:
    """All families by name, ours and those of installed plug-ins (entry points ``twinset.shapes``)."""
    ours = {name: f"{type(family).__module__}:{type(family).__name__}" for name, family in FAMILIES.items()}
    return plugged.entries("shapes", ours)


def family_names() -> tuple[str, ...]:
    """The names of all families, ours first."""
    return tuple(family_entries())


def is_family(name: str) -> bool:
    """Whether there is a family of this name; packages are asked only where it is none of ours."""
    return name in FAMILIES or name in family_entries()


def family_of(name: str) -> Family:
    """The family of this name; ours cannot be replaced. A plug-in's entry point names a class or an object.

    Raises :class:`UnknownNameError`, and :class:`RecipeError` for a plug-in that does not load or is no family.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    found = plugged.loaded(name, family_entries(), what="family")
    try:
        return family_from(name, found)
    except TwinsetError:
        raise
    except Exception as error:  # code of others may raise anything
        raise RecipeError(
            f"expected a family {name!r}; got {type(error).__name__}: {error}", hint="`twinset plugins` shows more"
        ) from error


def family_from(name: str, found: object) -> Family:
    """The family that an entry point names, made where it is a class; TypeError for what is none."""
    family = found() if isinstance(found, type) else found
    parameters = getattr(family, "parameters", None)
    kinds = isinstance(parameters, Mapping) and all(isinstance(one, Number | Choice) for one in parameters.values())
    if not (kinds and isinstance(getattr(family, "name", None), str) and callable(getattr(family, "build", None))):
        raise TypeError(f"expected name, parameters (Number or Choice) and build of family {name!r}; got {found!r}")
    return cast("Family", family)


__all__ = [
    "FAMILIES",
    "Choice",
    "Family",
    "Narrowed",
    "Number",
    "built",
    "draw",
    "family_entries",
    "family_from",
    "family_names",
    "family_of",
    "held",
    "is_family",
    "shape_id",
    "topology",
]
