"""Matching: configurations of a generator whose images come nearest to a target, found by small batches.

The pipeline owns the loop propose → generate → measure. Every trial is committed before the next is proposed, and what
is proposed follows from the trials alone, so that a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from twinset.alignment.metadata import (
    MEASURES,
    Match,
    Matched,
    Matching,
    Measures,
    Target,
    Trial,
    fit_target,
    measure,
)
from twinset.dataset import Dataset
from twinset.errors import RecipeError, RunFolderError
from twinset.generators.copypaste import Configuration as Placing
from twinset.generators.copypaste import CopyPasteGenerator
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.randomness import Stream
from twinset.recipe import MatchPart
from twinset.stages import Configurable, Configuration, Generator, Proposer, Slot, Steerable
from twinset.store import read_json, write_json
from twinset.threads import torch_threads

DEFAULT_MEASURES = ("box_area", "aspect_ratio", "centre_y")

SETTINGS = {"box_area": "log_area", "aspect_ratio": "log_aspect", "centre_y": "centre_y", "count": "count"}
"""Which settings of copy–paste move a measure; the others stay as they were fitted."""


@dataclass(frozen=True, eq=False)
class PlacedSpace:
    """Copy–paste as :class:`~twinset.stages.Configurable` over the settings that move these ``measures``."""

    generator: CopyPasteGenerator
    measures: tuple[str, ...]

    @property
    def space(self) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest value of each setting."""
        moved = tuple(SETTINGS[name] for name in self.measures if name in SETTINGS)
        return {name: bounds for name, bounds in self.generator.space.items() if name.startswith(moved)}

    def configured(self, weighted: Sequence[tuple[float, Configuration]]) -> Generator:
        """The generator with these configurations; its objects follow them one by one, unless the count is moved."""
        return self.generator.configured([(weight, Placing(**values)) for weight, values in weighted])

    def guess(self, means: Mapping[str, float], stds: Mapping[str, float]) -> Configuration:
        """The settings that say what a component says; what comes of them is measured like any others."""
        found = {}
        for name, mean in means.items():
            if name in SETTINGS:
                found[f"{SETTINGS[name]}_mean"] = mean
                found[f"{SETTINGS[name]}_std"] = stds[name]
        return {name: min(max(found[name], low), high) for name, (low, high) in self.space.items()}


def matched_path(folder: Path) -> Path:
    """Where a source keeps the configurations that it follows."""
    return folder / "matched.json"


def configurable(fitted: object, measures: Sequence[str], *, name: str) -> Configurable:
    """What a search runs over; a :class:`RecipeError` for a generator without a configuration space."""
    if isinstance(fitted, CopyPasteGenerator):
        placed = PlacedSpace(fitted, tuple(measures))
        if not placed.space:
            raise RecipeError(
                f"match: expected measures that {name} can move; got {', '.join(measures)}",
                hint=f"it moves {', '.join(SETTINGS)}",
            )
        return placed
    if isinstance(fitted, Steerable):
        try:
            return fitted.steered_by(measures)
        except ValueError as error:
            raise RecipeError(f"match: {name}: {error}") from error
    if isinstance(fitted, Configurable):
        return fitted
    raise RecipeError(
        f"match: expected generators with a configuration space; got {name}", hint="leave out match, or the generator"
    )


def match_target(part: MatchPart, given: Target | None, real: RealData, *, run: Stream) -> Target:
    """What is sought: the run's target, else the distributions of the exposed images."""
    if given is not None:
        return given
    names = part.measures or DEFAULT_MEASURES
    held = measure(real.training, pixels=any(MEASURES[name].source == "pixels" for name in names), measures=names)
    return fit_target(
        held, names, rng=run.child("match-target"), most_components=part.components, source="the exposed images"
    )


def commit_match(
    fitted: object,
    folder: Path,
    part: MatchPart,
    target: Target,
    *,
    classes: Sequence[str],
    name: str,
    rng: Stream,
    listener: Listener,
) -> None:
    """Searches for one source, unless an earlier sitting ended that; writes ``trials.json`` as it goes."""
    if matched_path(folder).exists():
        return
    measures = tuple(target.mixtures)
    space = configurable(fitted, measures, name=name)
    matching = Matching(grid=part.grid, trials=part.trials)
    history = _history(folder)
    progress = listener.stage(f"match {name}")
    with torch_threads(1):
        while (values := _next(matching, space, target, history, rng)) is not None:
            batch = _batch(space, values, part.batch, classes, rng.child("batch", len(history)))
            history.append(Trial.of(values, _measured(batch, measures), measures))
            write_json(folder / "trials.json", [_to_json(trial) for trial in history])
            progress(len(history), part.grid + part.trials, "configurations")
    match = matching.best(target, history)
    sentences = _sentences(match, target, name)
    for sentence in sentences:
        listener.note(sentence)
    found = [[_weight(one, space, measures), dict(one.configuration)] for one in match.matched]
    write_json(matched_path(folder), {"measures": list(measures), "weighted": found, "sentences": list(sentences)})


def following(fitted: object, folder: Path, *, name: str) -> object:
    """A generator with the configurations that were found for it; as it is where none were sought."""
    if not matched_path(folder).exists():
        return fitted
    stored = cast("dict[str, list[object]]", read_json(matched_path(folder)))
    space = configurable(fitted, cast("list[str]", stored["measures"]), name=name)
    weighted = cast("list[tuple[float, Configuration]]", stored["weighted"])
    return space.configured([(weight, values) for weight, values in weighted])


def match_sentences(folder: Path) -> tuple[str, ...]:
    """What the report says of a source's search: how near it came, and what could not be reached."""
    if not matched_path(folder).exists():
        return ()
    return tuple(cast("dict[str, list[str]]", read_json(matched_path(folder)))["sentences"])


def _next(
    matching: Proposer[Target, Trial], space: Configurable, target: Target, history: Sequence[Trial], rng: Stream
) -> Configuration | None:
    """A guess for every component first, where the generator has one, in place of the grid's first; then the rest."""
    guesses = _guesses(space, target)
    if len(history) < len(guesses):
        return guesses[len(history)]
    return matching.propose(space.space, target, history, rng=rng.child("propose"))


def _guesses(space: Configurable, target: Target) -> list[Configuration]:
    """Those of all components, every one once: what two components have in common is measured once."""
    found: list[Configuration] = []
    if not isinstance(space, PlacedSpace | Steerable):
        return found
    for component in target.components:
        guess = space.guess(component.means, component.stds)
        if guess not in found:
            found.append(guess)
    return found


def _batch(space: Configurable, values: Configuration, count: int, classes: Sequence[str], rng: Stream) -> Dataset:
    slots = [Slot(number, 0, rng.child("slot", number).seed, 0, "match", number) for number in range(count)]
    if isinstance(space, PlacedSpace):
        # Siblings share their layout: a batch of them would show few.
        alone = replace(space.generator, settings=replace(space.generator.settings, siblings=1))
        space = replace(space, generator=alone)
    samples = space.configured([(1.0, values)]).generate(slots)
    return Dataset.of(samples, classes=classes, name="batch")


def _measured(batch: Dataset, measures: Sequence[str]) -> Measures:
    return measure(batch, pixels=any(MEASURES[name].source == "pixels" for name in measures), measures=measures)


def _weight(one: Matched, space: Configurable, measures: Sequence[str]) -> float:
    """A component's share of the images; of the objects where these follow configurations one by one."""
    by_object = isinstance(space, PlacedSpace) and "count" not in measures
    return one.component.weight if by_object else one.weight


def _sentences(match: Match, target: Target, name: str) -> tuple[str, ...]:
    reached = sum(one.component.weight for one in match.matched if one.reached)
    first = (
        f"Matching of {name} with {target.source}: {len(match.matched) - len(match.unreached)} of {len(match.matched)} "
        f"components ({reached:.0%} of the target) were reached with {len(match.history)} configurations."
    )
    return (first, *(f"Matching of {name}: {sentence}." for sentence in match.sentences()))


def _to_json(trial: Trial) -> dict[str, object]:
    return {
        "configuration": dict(trial.configuration),
        "means": dict(trial.means),
        "stds": dict(trial.stds),
        "objects_per_image": trial.objects_per_image,
    }


def _history(folder: Path) -> list[Trial]:
    path = folder / "trials.json"
    if not path.exists():
        return []
    stored = read_json(path, hint="delete this file: the search is done again")
    try:
        return [Trial(**trial) for trial in cast("list[dict[str, Mapping[str, float]]]", stored)]  # type: ignore[arg-type]
    except TypeError as error:
        raise RunFolderError(f"{path}: expected trials of a search; got {error}", hint="delete this file") from error
