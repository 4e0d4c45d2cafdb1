"""Which configurations stand for election, and what of the exposed images is in their generator before any vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twinset.alignment.evolution import Box, Configurations
from twinset.errors import RecipeError
from twinset.generators.copypaste import CopyPasteGenerator
from twinset.pipeline.closing.record import undone
from twinset.pipeline.matching import SETTINGS, PlacedSpace, configurable, matched_path
from twinset.recipe import EvolvePart
from twinset.stages import BoundedMethod, Configurable, Configuration
from twinset.store import read_json

if TYPE_CHECKING:
    from twinset.pipeline.fitting import Source
    from twinset.pipeline.real import RealData
    from twinset.recipe import Recipe


def space_of(generator: object, measures: Sequence[str] | None, *, name: str) -> Configurable:
    """What is searched: all settings, or those that move the ``measures``; RecipeError where there are none."""
    if measures is None and isinstance(generator, CopyPasteGenerator):
        return PlacedSpace(generator, tuple(SETTINGS))
    if measures is None and isinstance(generator, Configurable):
        return generator
    try:
        return configurable(generator, measures or (), name=name)
    except RecipeError as error:
        message = error.message.replace("match:", "evolve:", 1)
        raise RecipeError(message, hint="leave out evolve, or the generator") from error


def candidates_of(generator: object, folder: Path, part: EvolvePart, *, name: str) -> Configurations:
    """Candidates of the whole space; around what matching found, in settings that it spoke of."""
    space = space_of(generator, part.measures, name=name)
    if isinstance(space, PlacedSpace):
        # Siblings share their layout: two pictures of a candidate would show one.
        alone = replace(space.generator, settings=replace(space.generator.settings, siblings=1))
        space = replace(space, generator=alone)
    start: tuple[tuple[float, Configuration], ...] = ()
    within = dict(part.within)
    if matched_path(folder).exists() and "match" not in undone(folder):
        stored = cast("dict[str, list[tuple[float, Configuration]]]", read_json(matched_path(folder)))
        start = tuple((weight, values) for weight, values in stored["weighted"])
        spoken_of = {key for _, values in start for key in values}
        if lost := sorted(spoken_of - set(space.space)):
            raise RecipeError(
                f"evolve: expected measures of {name} that move all that match did; got "
                f"{', '.join(part.measures or ())}, without {', '.join(lost)}",
                hint="leave out evolve.measures, or name the measures of match too",
            )
        within = {**{key: bounds for key, bounds in space.space.items() if key in spoken_of}, **within}
    found = Configurations(space, within, start, spread=part.spread)
    try:
        _ = found.box
    except ValueError as error:
        raise RecipeError(f"evolve: {name}: {error}") from error
    return found


def touched_by(method: object, *, name: str, matched: bool, curated: bool) -> tuple[str, ...]:
    """What of the exposed images is in a generator before any vote, in words; empty where nothing is."""
    from twinset.generators.rendering import Rendering

    found = []
    if not isinstance(method, Rendering):
        found.append(f"{name} was fitted on the exposed images")
    else:
        if method.backdrop == "training":
            found.append("the backdrops are exposed images")
        if method.follow:
            found.append("objects follow the boxes of exposed images")
        if method.balance < 1:
            found.append("classes are drawn as often as the exposed images show them")
    if matched:
        found.append("matching looked at the exposed images without noise")
    if curated:
        found.append("curation looked at the exposed images without noise")
    return tuple(found)


def evolving_classes(real: RealData) -> int:
    """Classes that have candidates of their own: a picture is of one only in classification."""
    return len(real.dataset.classes) if real.task == "classification" else 1


def check_evolution(recipe: Recipe, sources: Sequence[Source], real: RealData) -> None:
    """:class:`RecipeError` for what is known before a fit: an ε that cannot be claimed, bounds outside, too few."""
    part = recipe.evolve
    if part is None:
        return
    classes = evolving_classes(real)
    least = part.settings(images=len(real.training)).least_population(classes)
    if part.population < least:
        raise RecipeError(
            f"evolve.population: expected at least {least} candidates for {classes} classes; got {part.population}",
            hint=f"evolve.population: {max(least, 8 * classes)}",
        )
    for source in sources:
        if source.kind != "generators":
            continue
        if part.epsilon is not None:
            matched, curated = recipe.match is not None, recipe.curate is not None
            touched = touched_by(source.method, name=source.use, matched=matched, curated=curated)
            own = ("the features are of a network that is trained on them",) if part.embedder.use == "self" else ()
            refuse_seen(source.use, (*own, *touched))
        if isinstance(source.method, BoundedMethod):
            try:
                Box.of(source.method.bounds(part.measures), part.within)
            except ValueError as error:
                raise RecipeError(f"evolve: {source.use}: {error}") from error


def refuse_seen(name: str, reasons: Sequence[str]) -> None:
    """:class:`RecipeError` where there is any reason against an ε."""
    if reasons:
        raise RecipeError(
            "evolve: expected a generator and features that owe nothing to the exposed images, for epsilon; got "
            f"{name}: {'; '.join(reasons)}",
            hint="use render with a procedural backdrop, no match or curate, and an embedder that is not trained on "
            "them; or sigma in place of epsilon",
        )
