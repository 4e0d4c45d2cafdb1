"""Step by step: commit what a step finds, make the same pilot again, weigh the change, keep what helps.

Every step is recorded before the next begins; what a step committed for a source only counts while its record says
that it was kept, so nothing is ever taken back from disk. A loop that was cut short makes the pilot of where it was
again, and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, SplitName
from twinset.embedding.random_convolution import RandomConvolution
from twinset.pipeline.closing.piloting import MEASURED, passing, pictures_of, pilot
from twinset.pipeline.closing.record import ALL, GapStep, Record, StepRecord, read_record, write_record
from twinset.pipeline.closing.steps import Bench, Skipped, fitted_filters, take
from twinset.pipeline.closing.weighing import Pictures, Weighed, weigh
from twinset.pipeline.closing.words import told
from twinset.pipeline.fitting import Source, as_generator
from twinset.pipeline.opening import Run
from twinset.recipe import CloseGapPart
from twinset.stages import FiniteGenerator
from twinset.threads import torch_threads

FEWEST_REAL = 20
"""Validation images below which all exposed images are what steps are weighed by."""


def close_gap(run: Run, sources: Sequence[Source], fitted: Sequence[object]) -> None:
    """Runs the loop for every generator of a run, where its recipe asks for that."""
    part = run.recipe.close_gap
    if part is None:
        return
    for source in sources:
        if source.kind == "generators":
            with run.timings.stage(f"close the gap of {source.use}"):
                _Loop(run, source, fitted[source.number], part).go()


@dataclass(frozen=True, eq=False)
class _Loop:
    """The loop of one source."""

    run: Run
    source: Source
    fitted: object
    part: CloseGapPart

    def go(self) -> None:
        """Takes every step that has no record yet."""
        record = read_record(self.source.folder) or self._begun()
        if len(record.steps) == len(self.part.steps):
            return
        at = _At(self, record.kept)
        for step in self.part.steps[len(record.steps) :]:
            self.run.listener.note(f"close_gap: {step}")
            one, at = self._taken(step, at)
            self.run.listener.note(told(one))
            record = replace(record, steps=(*record.steps, one))
            write_record(self.source.folder, record)

    def _begun(self) -> Record:
        name, dataset, _ = self.real
        return Record(
            "validation" if name == "validation" else "exposed",
            len(dataset),
            self.images,
            RandomConvolution().name,
        )

    def _taken(self, step: GapStep, at: _At) -> tuple[StepRecord, _At]:
        bench = Bench(self.run, self.source, self.fitted, at.pilot, at.kept)
        began = time.monotonic()
        outcome = take(step, bench)
        # A filter makes no other pictures: it leaves some out.
        after = _At(self, at.kept | {step}, at.pilot if step == "filter" else None)
        weighed = outcome if isinstance(outcome, Skipped) else self._weighed(step, at, after)
        seconds = round(time.monotonic() - began, 1)
        if isinstance(weighed, Skipped):
            return StepRecord(step, kept=False, seconds=seconds, skipped=weighed.because), at
        assert not isinstance(outcome, Skipped)
        kept = weighed.helps or self.part.keep == "all"
        found = StepRecord(step, kept, seconds, "", weighed.measures, weighed.metadata, weighed.features, outcome)
        return found, after if kept else at

    def _weighed(self, step: GapStep, before: _At, after: _At) -> Weighed | Skipped:
        rng = self.run.stream.child("close_gap", self.source.number, "weigh", step)
        real, first, second = self._real_pictures, before.pictures, after.pictures
        try:
            return weigh(real, first, second, names=MEASURED, rng=rng)
        except ValueError as error:
            return Skipped(f"its pictures cannot be weighed: {error}")

    @property
    def images(self) -> int:
        """Pictures of a pilot: as many as the recipe says, or as a fixed stock has."""
        wanted = self.part.images
        return min(wanted, self.fitted.stock(0)) if isinstance(self.fitted, FiniteGenerator) else wanted

    @cached_property
    def real(self) -> tuple[SplitName | None, Dataset, NDArray[np.integer]]:
        """What steps are weighed by, and its families: validation images, or all exposed ones where these are few."""
        real = self.run.real
        validation, families = real.part("validation"), real.part_families("validation")
        if len(validation) >= FEWEST_REAL and len(np.unique(families)) > 1:
            return "validation", validation, families
        return None, real.training.concat(validation), real.part_families("train", "validation")

    @cached_property
    def _real_pictures(self) -> Pictures:
        _, dataset, families = self.real
        with torch_threads(1):
            return pictures_of(dataset, self.run.real.spec, np.asarray(families))


@dataclass(frozen=True, eq=False)
class _At:
    """Where the loop is: which steps are in force, and the pilot that is made so, unless there is one already."""

    loop: _Loop
    kept: frozenset[GapStep]
    made: Dataset | None = None

    @cached_property
    def pilot(self) -> Dataset:
        """Pictures of the same slots at every step; a filter has not been asked yet."""
        if self.made is not None:
            return self.made
        loop, run = self.loop, self.loop.run
        generator = as_generator(loop.source, loop.fitted, run.folder, without=ALL - self.kept)
        return pilot(
            generator,
            loop.images,
            classes=run.real.dataset.classes,
            rng=run.stream.child("close_gap", loop.source.number),
            executor=run.executor,
            progress=run.listener.stage(f"pilot of {loop.source.use}"),
        )

    @cached_property
    def pictures(self) -> Pictures:
        """The pilot as it is weighed: where the filter is in force, what of it passes."""
        keep = None
        with torch_threads(1):
            if "filter" in self.kept:
                loop = self.loop
                bench = Bench(loop.run, loop.source, loop.fitted, self.pilot, self.kept)
                keep = passing(self.pilot, fitted_filters(bench))
            return pictures_of(self.pilot, self.loop.run.real.spec, np.arange(len(self.pilot)), keep=keep)
