"""How many images of every value of an attribute to make, in every class; and whether the generators take it."""

from __future__ import annotations

import numpy as np

from twinset import methods
from twinset.annotations import PAIR
from twinset.errors import RecipeError
from twinset.pipeline.planning import auto_count
from twinset.pipeline.real import RealData
from twinset.pipeline.subgroups import MOST, conditions_of, groups_by, known_attributes
from twinset.recipe import GroupCountPart, Recipe
from twinset.stages import ConditionalMethod

MIXING = ("mixup", "cutmix")
"""Editors whose images show several people, sites and so on at once."""

Counts = dict[str, dict[str, int]]
"""Images by class and value of an attribute."""


def training_cells(real: RealData, by: str) -> Counts:
    """Training images of every class by every value of an attribute, zeros included; unknown values are left out."""
    groups = groups_by(by, real.dataset)
    numbers, class_ids = groups.part(real, "train"), real.training.class_ids
    values = [(at, name) for at, name in enumerate(groups.names) if (numbers == at).any()]
    return {
        class_name: {name: int(np.count_nonzero((class_ids == c) & (numbers == at))) for at, name in values}
        for c, class_name in enumerate(real.dataset.classes)
    }


def check_conditions(recipe: Recipe, real: RealData) -> None:
    """:class:`RecipeError` where a generator is to learn an attribute that the training images have not, or where
    ``count`` asks for one that not all of them learn; editors take their parents by it."""
    for by in conditions_of(recipe):
        names = next(iter(training_cells(real, by).values())) if by != PAIR else {}
        if not names or len(names) > MOST:
            raise RecipeError(
                f"by: expected an attribute of the training images with 1 to {MOST} values; got {by!r}, which has "
                f"{len(names) or 'none'}",
                hint=known_attributes(real.dataset),
            )
    if isinstance(recipe.count, GroupCountPart):
        _check_generators(recipe, recipe.count.by)
        _check_editors(recipe, recipe.count)


def _check_generators(recipe: Recipe, by: str) -> None:
    for number, part in enumerate(recipe.generators):
        method = methods.build("generators", part.use, part.settings, where=f"generate.{number}")
        if not isinstance(method, ConditionalMethod):
            raise RecipeError(
                f"generate.{number}: expected a generator that can be asked for {by!r}, as count.by says; got "
                f"{part.use!r}, which makes classes alone",
                hint="use diffusion, or leave by out of count",
            )
        if method.by != by:
            raise RecipeError(
                f"generate.{number}.by: expected {by!r}, as count.by says; got {method.by or 'nothing'!r}",
                hint=f"add by: {by} to this generator",
            )


def _check_editors(recipe: Recipe, count: GroupCountPart) -> None:
    if recipe.edit and count.pairs:
        raise RecipeError(
            "edit: expected generators alone where count.pairs asks for images of one noise; got editors",
            hint="leave edit out, or pairs",
        )
    if mixing := [part.use for part in recipe.edit if part.use in MIXING]:
        raise RecipeError(
            f"edit: expected editors of one image, whose {count.by} stays, as count.by says; got "
            f"{', '.join(mixing)}, which mixes several",
            hint="leave it out, or by out of count",
        )


def group_counts(part: GroupCountPart, training: Counts) -> GroupCountPart:
    """The part with its numbers settled, for ``training`` images of every class and value."""
    if part.of is not None:
        _check_of(part.by, part.of, training)
        return GroupCountPart(by=part.by, of=part.of, pairs=part.pairs)
    _refuse_empty(part.by, training)
    have = [n for values in training.values() for n in values.values()]
    share = -(-auto_count(sum(have)) // len(have))
    if part.each == "balance":
        target = max(have) + share
        of = {name: {value: target - n for value, n in values.items()} for name, values in training.items()}
    else:
        each = part.each if isinstance(part.each, int) else share
        of = {name: dict.fromkeys(values, each) for name, values in training.items()}
    return GroupCountPart(by=part.by, of=of, pairs=part.pairs)


def _refuse_empty(by: str, training: Counts) -> None:
    empty = [(name, value) for name, values in training.items() for value, n in values.items() if not n]
    if empty:
        name, value = empty[0]
        more = f" and of {len(empty) - 1} more such groups" if len(empty) > 1 else ""
        raise RecipeError(
            f"count: expected training images of every {by} in every class; got none of class {name!r} with {by} "
            f"{value!r}{more}",
            hint="bring some, put values together in a column of its own, or name the groups to make under count.of",
        )


def _check_of(by: str, of: Counts, training: Counts) -> None:
    for name, values in of.items():
        if name not in training:
            raise RecipeError(f"count.of: expected classes out of {', '.join(training)}; got {name}")
        for value, n in values.items():
            if n and not training[name].get(value):
                known = ", ".join(each for each, have in training[name].items() if have) or "none"
                raise RecipeError(
                    f"count.of: expected values of {by} that training images of class {name!r} have ({known}); got "
                    f"{value!r}",
                    hint="nothing can be learnt of a group without images: leave it out",
                )
