"""Groups of real images: by class, and by the attributes that the recipe names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.recipe import Recipe

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
    """By class where every image has one, and by every attribute of ``evaluate.subgroups``."""
    found = []
    if real.task == "classification":
        found.append(Groups(CLASS, real.dataset.classes, real.dataset.class_ids))
    return found + [_by(column, real.dataset) for column in recipe.evaluate.subgroups or ()]


def check_subgroups(recipe: Recipe, dataset: Dataset) -> None:
    """:class:`DataError` for an attribute that no image has, or that has too many values to be a group."""
    for column in recipe.evaluate.subgroups or ():
        names = _by(column, dataset).names
        if not names:
            known = sorted({name for told in _attributes(dataset) for name in told})
            raise DataError(
                f"evaluate.subgroups: expected an attribute of the images; got {column!r}, which none has",
                hint=f"there are {', '.join(known[:MOST])}" if known else "a table's columns are attributes",
            )
        if len(names) > MOST:
            raise DataError(
                f"evaluate.subgroups: expected at most {MOST} groups; got {len(names)} values of {column!r}",
                hint="give a column of its own that names few groups",
            )


def _by(column: str, dataset: Dataset) -> Groups:
    values = [None if told.get(column) is None else str(told[column]) for told in _attributes(dataset)]
    names = tuple(sorted({value for value in values if value is not None}))
    number = {name: at for at, name in enumerate(names)}
    return Groups(column, names, np.array([-1 if value is None else number[value] for value in values], dtype=np.int64))


def _attributes(dataset: Dataset) -> list[dict[str, object]]:
    return [json.loads(text) if text else {} for text in dataset.table.column("attributes").to_pylist()]
