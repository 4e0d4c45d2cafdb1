"""What a run tells of sizes, places, numbers and looks of objects, and of shifts between the real splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from twinset.alignment.metadata import (
    MEASURES,
    Bins,
    Measures,
    MeasureTable,
    Shift,
    compare_measures,
    detect_shift,
    measure,
)
from twinset.dataset import Dataset
from twinset.generators.copypaste import CopyPaste
from twinset.pipeline.fitting import sources_of
from twinset.pipeline.opening import Run
from twinset.randomness import seed_for
from twinset.stages import Slot
from twinset.store import read_json, write_json
from twinset.threads import torch_threads

BASELINE_IMAGES = 120
"""Images made by chance placement, to show what fitting it changes; their distances vary little beyond that."""

FEWEST_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Metadata:
    """Measures of held-out real images and of the twin; ``before`` is chance placement, or all candidates.

    ``sets`` are named as in ``table``.
    """

    real: Measures
    sets: Mapping[str, Measures]
    table: MeasureTable
    before_is: str

    def bins(self, name: str) -> Bins:
        """Bins fixed on the pooled values of all sets."""
        values = [each.values(name) for each in (self.real, *self.sets.values())]
        return Bins.of([each for each in values if len(each)], step=MEASURES[name].step)

    def to_json(self) -> dict[str, object]:
        """Distances, floors and excess by measure, as plain JSON types; null for the infinite ones of ``disjoint``."""
        gaps = {
            gap.measure: {
                "floor": gap.floor,
                "distance": _finite(gap.distance),
                "excess": _finite(gap.excess),
                "disjoint": [name for name, distance in gap.distance.items() if not np.isfinite(distance)],
                "at_floor": dict(gap.at_floor),
                "images": gap.images,
            }
            for gap in self.table.gaps
        }
        return {"before_is": self.before_is, "measures": gaps, "left_out": dict(self.table.left_out)}


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def metadata_of(run: Run, accepted: Dataset, everything: Dataset) -> Metadata | None:
    """The twin's metadata beside that of the held-out real images; None where that says nothing.

    Before is what the same generator makes with objects placed by chance, else all candidates that filters saw.
    """
    real = run.real
    if real.task == "classification" or not run.recipe.evaluate.metadata:
        return None
    families = real.part_families("validation", "test")
    if min(len(accepted), len(real.holdout)) < FEWEST_IMAGES or len(np.unique(families)) < 2:
        return None
    workers = run.machine.workers
    run.listener.stage("metadata")
    held = measure(real.holdout, workers=workers)
    sets = {"after": measure(accepted, workers=workers)}
    before_is = ""
    baseline = _by_chance(run)
    if baseline is not None:
        sets, before_is = {"before": measure(baseline, workers=workers), **sets}, "objects placed and sized by chance"
    elif len(everything) > len(accepted):
        sets, before_is = {"before": measure(everything, workers=workers), **sets}, "all candidates"
    table = compare_measures(held, sets, rng=run.stream.child("metadata"), families=families)
    return Metadata(held, sets, table, before_is)


def _by_chance(run: Run) -> Dataset | None:
    """Images of the run's copy–paste with uniform placement; None where there is none, or it is uniform anyway."""
    for source in sources_of(run.recipe, run.folder):
        method = source.method
        if run.real.task == "semantic-segmentation" or not isinstance(method, CopyPaste):
            continue
        if method.placement == "uniform" and method.target is None:
            return None
        chance = replace(method, placement="uniform", target=None, count=None, siblings=1)
        with torch_threads(1):
            generator = chance.fit(run.real.training, rng=run.stream.child("fit", source.number))
            slots = [
                Slot(number, 0, seed_for(run.key, "by-chance", number), 0, run.recipe.digest())
                for number in range(BASELINE_IMAGES)
            ]
            samples = list(generator.generate(slots))
        return Dataset.of(samples, classes=run.real.dataset.classes, name="by chance")
    return None


def commit_shifts(run: Run) -> None:
    """Notes the measures of boxes in which held-out images differ from the exposed ones beyond chance.

    Only boxes are looked at: this comes before anything is generated, and tells whether what is fitted to the exposed
    images will fit the others. Families stay together, so that a few sequences cannot prove a shift. What a sitting
    found lies in the run folder, and is not noted by later ones.
    """
    if _shifts_path(run).exists():
        return
    sentences = [shift.sentence for shift in _shifts(run)]
    for sentence in sentences:
        run.listener.note(sentence)
    write_json(_shifts_path(run), sentences)


def shifts_of(run: Run) -> tuple[str, ...]:
    """The sentences of :func:`commit_shifts`."""
    commit_shifts(run)
    return tuple(cast("list[str]", read_json(_shifts_path(run), hint="delete this file: it is written anew")))


def _shifts_path(run: Run) -> Path:
    return run.folder / "evaluation" / "shifts.json"


def _shifts(run: Run) -> Iterator[Shift]:
    real = run.real
    if real.task not in ("detection", "instance-segmentation"):
        return
    families = real.part_families("train"), real.part_families("validation", "test")
    exposed, held = measure(real.training, pixels=False), measure(real.holdout, pixels=False)
    found = detect_shift(exposed, held, rng=run.stream.child("shift"), families=families)
    yield from (shift for shift in found if shift.detected)
