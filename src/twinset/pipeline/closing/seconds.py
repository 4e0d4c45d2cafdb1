"""What the loop would do, and how long it would take, for a dry run."""

from __future__ import annotations

import time
from typing import cast

from twinset.executors.local import LocalProcesses
from twinset.pipeline.closing.piloting import pilot
from twinset.pipeline.closing.steps import CURATE, EVOLVE, MATCH
from twinset.pipeline.fitting import Source, takes_workspace
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import duration
from twinset.progress import silent
from twinset.randomness import Stream
from twinset.recipe import CloseGapPart, Recipe
from twinset.stages import Method

TIMED = 4
"""Pictures that are made to know what one takes; the first, which compiles, does not count."""


def pictures_made(recipe: Recipe, part: CloseGapPart) -> dict[str, int]:
    """At most so many pictures by step, ``baseline`` included."""
    match, curate, evolve = recipe.match or MATCH, recipe.curate or CURATE, recipe.evolve or EVOLVE
    search = {
        "layout": 0,
        "match": match.batch * (match.grid + match.trials),
        "curate": curate.images,
        "filter": -part.images,
        "evolve": evolve.rounds * evolve.population * evolve.pictures,
    }
    return {"baseline": part.images} | {step: part.images + search[step] for step in part.steps}


def closing_notes(
    recipe: Recipe, sources: list[Source], real: RealData, *, run: Stream, workers: int
) -> tuple[list[str], float]:
    """A sentence for every generator on the loop's steps, their pictures and time; and the seconds of all of them."""
    part = recipe.close_gap
    if part is None:
        return [], 0.0
    notes, total = [], 0.0
    for source in sources:
        if source.kind != "generators":
            continue
        made = pictures_made(recipe, part)
        named = ", ".join(f"{step} {count}" for step, count in made.items())
        text = f"close_gap of {source.use}: pictures at most by step: {named}"
        if not takes_workspace(source.method):
            each = _seconds_each(source, real, run)
            # Matching makes its batches one after the other; all else is shared.
            seconds = sum(each * n / (1 if step == "match" else workers) for step, n in made.items())
            text += f"; about {duration(seconds)}"
            total += seconds
        notes.append(text)
    return notes, total


def _seconds_each(source: Source, real: RealData, run: Stream) -> float:
    generator = cast(Method, source.method).fit(real.training, rng=run.child("fit", source.number))
    options = {"classes": real.dataset.classes, "rng": run, "executor": LocalProcesses(1), "progress": silent}
    pilot(generator, 1, **options)  # type: ignore[arg-type]
    began = time.monotonic()
    pilot(generator, TIMED, **options)  # type: ignore[arg-type]
    return (time.monotonic() - began) / TIMED
