"""The steps of the loop: what each commits for one source, by the parts of the pipeline that do so without the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from twinset import methods
from twinset.dataset import Dataset
from twinset.errors import DataError, RecipeError
from twinset.pipeline.closing.piloting import passing
from twinset.pipeline.closing.record import ALL, FILTERS, LAID_OUT, GapStep
from twinset.pipeline.curating import commit_curation, curation_sentences
from twinset.pipeline.evolving import commit_evolution, evolution_sentences, touched_by
from twinset.pipeline.fitting import Source, as_generator
from twinset.pipeline.matching import configurable, match_sentences, match_target
from twinset.pipeline.matching_sources import match_source
from twinset.pipeline.opening import Run
from twinset.pipeline.targets import committed_target
from twinset.recipe import CuratePart, EvolvePart, MatchPart
from twinset.stages import Aligner, Curatable, Filter, FollowsLayouts
from twinset.store import write_json

LIGHT = ("brightness", "contrast")
"""What is matched where a generator follows the exposed boxes already."""

MATCH = MatchPart(grid=9, trials=18, batch=16, components=2)
CURATE = CuratePart(images=240)
EVOLVE = EvolvePart(rounds=4, population=40)
"""Settings of the steps where a recipe has no part of its own for them."""


@dataclass(frozen=True)
class Skipped:
    """A step that cannot be tried, and why."""

    because: str


@dataclass(frozen=True, eq=False)
class Bench:
    """What a step works on: a source of a run as fitted, its pilot so far, and the steps that were kept."""

    run: Run
    source: Source
    fitted: object
    pilot: Dataset
    kept: frozenset[GapStep]

    @property
    def generator(self) -> object:
        """The generator with the steps that were kept; others may have left something, which does not count."""
        return as_generator(self.source, self.fitted, self.run.folder, without=ALL - self.kept)


Outcome = tuple[str, ...] | Skipped
"""Sentences on what a step did."""


def take(step: GapStep, bench: Bench) -> Outcome:
    """Commits what a step finds for the source, unless an earlier sitting did."""
    return STEPS[step](bench)


def _layout(bench: Bench) -> Outcome:
    if not isinstance(bench.fitted, FollowsLayouts):
        return Skipped(f"{bench.source.use} has no other layout than the one it was fitted with")
    if bench.fitted.follows_layouts:
        return Skipped(f"{bench.source.use} follows the exposed boxes already")
    try:
        bench.fitted.following_layouts()
    except ValueError as error:
        return Skipped(str(error))
    write_json(bench.source.folder / LAID_OUT, {"follows": "the boxes of the exposed images"})
    return ("Objects stand where, as large, as long and as many as in the exposed images, smoothed.",)


def _match(bench: Bench) -> Outcome:
    run, source = bench.run, bench.source
    part = run.recipe.match or MATCH
    before = bench.generator
    laid = isinstance(before, FollowsLayouts) and before.follows_layouts
    if laid and part.measures is None:
        part = part.model_copy(update={"measures": LIGHT})
    given = None if laid else committed_target(run.folder)
    target = match_target(part, given, run.real, run=run.stream)
    try:
        configurable(before, tuple(target.mixtures), name=source.use)
    except RecipeError as error:
        return Skipped(error.message)
    match_source(run, source, before, part, target)
    return match_sentences(source.folder)


def _curate(bench: Bench) -> Outcome:
    run, source = bench.run, bench.source
    before = bench.generator
    if not isinstance(before, Curatable):
        return Skipped(f"objects of {source.use} are not made from shapes")
    try:
        commit_curation(
            before,  # type: ignore[arg-type]
            source.folder,
            run.recipe.curate or CURATE,
            run.real,
            name=source.use,
            rng=run.stream.child("curate", source.number),
            executor=run.executor,
            listener=run.listener,
        )
    except DataError as error:
        return Skipped(error.message)
    return curation_sentences(source.folder)


def fitted_filters(bench: Bench) -> tuple[Filter, ...]:
    """The filters of the step ``filter``, fitted as those of a run are, on the pilot."""
    run = bench.run
    found = []
    for number, part in enumerate(FILTERS):
        aligner = cast(Aligner, methods.build("aligners", part.use, part.settings, where=f"close_gap.{number}"))
        found.append(
            aligner.fit(
                bench.pilot,
                training=run.real.training,
                holdout=run.real.part("validation"),
                spec=run.real.spec,
                rng=run.stream.child("close_gap", "filter", number),
            )
        )
    return tuple(found)


def _filter(bench: Bench) -> Outcome:
    if any(part.use in {one.use for one in FILTERS} for part in bench.run.recipe.filters):
        return Skipped("align has this filter already")
    try:
        passed = passing(bench.pilot, fitted_filters(bench))
    except ValueError as error:
        return Skipped(str(error))
    share = float(passed.mean())
    # Half of the tries must do, or slots would stay empty.
    least = 2 / bench.run.recipe.max_attempts
    if share < least or passed.sum() < 4:
        return Skipped(
            f"{share:.0%} of the pilot's pictures have no object far from all real ones of its class; with "
            f"max_attempts: {bench.run.recipe.max_attempts} at least {least:.0%} would have to"
        )
    return (f"{share:.0%} of the pilot's pictures have no object far from all real ones of its class.",)


def _evolve(bench: Bench) -> Outcome:
    run, source = bench.run, bench.source
    part = run.recipe.evolve or EVOLVE
    before = bench.generator
    laid = isinstance(before, FollowsLayouts) and before.follows_layouts
    # Where matching was kept, the space is that of what was matched.
    if laid and part.measures is None and "match" not in bench.kept:
        part = part.model_copy(update={"measures": LIGHT})
    try:
        commit_evolution(
            before,
            source.folder,
            part,
            run.real,
            name=source.use,
            seed=run.recipe.seed,
            number=source.number,
            generators=len(run.recipe.generate),
            touched=(
                *touched_by(
                    source.method, name=source.use, matched="match" in bench.kept, curated="curate" in bench.kept
                ),
                "close_gap weighs its steps by exposed images without noise",
            ),
            executor=run.executor,
            listener=run.listener,
        )
    except RecipeError as error:
        return Skipped(error.message)
    return evolution_sentences(source.folder)


STEPS: Mapping[GapStep, Callable[[Bench], Outcome]] = {
    "layout": _layout,
    "match": _match,
    "curate": _curate,
    "filter": _filter,
    "evolve": _evolve,
}
