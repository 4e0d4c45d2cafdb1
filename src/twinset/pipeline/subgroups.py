"""Groups of real images: by class, and by the attributes that the recipe names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset import methods
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.recipe import GroupCountPart, Recipe
from twinset.stages import ConditionalMethod

if TYPE_CHECKING:
    from twinset.pipeline.real import RealData

MOST = 50
"""Groups of one attribute."""

CLASS = "class"

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups by one attribute: their ``names``, and ``of`` (N,) the number of every real image, −1 where unknown."""

    by: str
    names: tuple[str, ...]
    of: Numbers

    def part(self, real: RealData, *splits: str) -> Numbers:
        """The numbers of the images of these splits, in order."""
        return self.of[[split in splits for split in real.dataset.splits]]


def groups_of(recipe: Recipe, real: RealData) -> list[Groups]:
    """By class where every image has one, by every attribute of ``evaluate.subgroups``, and by those that the recipe
    makes images by."""
    found = []
    if real.task == "classification":
        found.append(Groups(CLASS, real.dataset.classes, real.dataset.class_ids))
    columns = dict.fromkeys([*(recipe.evaluate.subgroups or ()), *conditions_of(recipe)])
    return found + [groups_by(column, real.dataset) for column in columns]


def conditions_of(recipe: Recipe) -> tuple[str, ...]:
    """The attributes that generators of this recipe are conditioned on, and the one that it counts by, each once."""
    counted = (recipe.count.by,) if isinstance(recipe.count, GroupCountPart) else ()
    built = (methods.build("generators", part.use, part.settings, where="generate") for part in recipe.generators)
    found = (method.by for method in built if isinstance(method, ConditionalMethod))
    return tuple(dict.fromkeys(by for by in (*counted, *found) if by is not None))


def check_subgroups(recipe: Recipe, dataset: Dataset) -> None:
    """:class:`DataError` for an attribute that no image has, or that has too many values to be a group."""
    for column in recipe.evaluate.subgroups or ():
        names = groups_by(column, dataset).names
        if not names:
            raise DataError(
                f"evaluate.subgroups: expected an attribute of the images; got {column!r}, which none has",
                hint=known_attributes(dataset),
            )
        if len(names) > MOST:
            raise DataError(
                f"evaluate.subgroups: expected at most {MOST} groups; got {len(names)} values of {column!r}",
                hint="give a column of its own that names few groups",
            )


def groups_by(column: str, dataset: Dataset) -> Groups:
    """The groups by one attribute, their names in order."""
    values = [None if value is None else str(value) for value in dataset.attribute(column)]
    names = tuple(sorted({value for value in values if value is not None}))
    return Groups(column, names, numbered(names, values))


def numbered(names: Sequence[str], values: Sequence[object]) -> Numbers:
    """The group (N,) of every value, −1 for those that are unknown or no group."""
    number = {name: at for at, name in enumerate(names)}
    return np.array([-1 if value is None else number.get(str(value), -1) for value in values], dtype=np.int64)


def known_attributes(dataset: Dataset) -> str:
    """The attributes that there are, for those who asked for another one."""
    texts = dataset.table.column("attributes").to_pylist()
    known = sorted({name for text in texts if text for name in json.loads(text)})
    return f"there are {', '.join(known[:MOST])}" if known else "a table's columns are attributes"
