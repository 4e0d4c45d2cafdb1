"""What a run tells of sizes, places, numbers and looks of objects, and of shifts between the real splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
from twinset.alignment.metadata.scene_measures import OF_OBJECTS, OF_SCENES
from twinset.dataset import Dataset, SplitName
from twinset.generators.copypaste import CopyPaste
from twinset.pipeline.closing.record import LAID_OUT
from twinset.pipeline.curating import curated_path
from twinset.pipeline.evolving import evolved_path
from twinset.pipeline.fitting import Source, sources_of, takes_workspace
from twinset.pipeline.matching import matched_path
from twinset.pipeline.opening import Run
from twinset.randomness import Stream, seed_for
from twinset.stages import Method, Slot
from twinset.store import read_json, write_json
from twinset.threads import torch_threads

BASELINE_IMAGES = 120
"""Images made by chance placement, to show what fitting it changes; their distances vary little beyond that."""

FEWEST_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Metadata:
    """Measures of held-out real images and of the twin; ``before`` is what ``before_is`` says.

    ``sets`` are named as in ``table``. ``scenes`` are what the maker alone said of them, nothing of which real images
    have: how far objects are, whence they were seen.
    """

    real: Measures
    sets: Mapping[str, Measures]
    table: MeasureTable
    before_is: str
    scenes: Mapping[str, Measures] = field(default_factory=dict)

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

    Before is what the same generator makes unaligned (:func:`plainer`), else all candidates that filters saw.
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
    scenes = {"after": of_scenes(accepted, workers=workers)}
    before_is = ""
    baseline = _unaligned(run)
    if baseline is not None:
        sets, before_is = {"before": measure(baseline[0], workers=workers), **sets}, baseline[1]
        scenes = {"before": of_scenes(baseline[0], workers=workers), **scenes}
    elif len(everything) > len(accepted):
        sets, before_is = {"before": measure(everything, workers=workers), **sets}, "all candidates"
    table = compare_measures(held, sets, rng=run.stream.child("metadata"), families=families)
    said = scenes if any(scenes["after"].names) else {}
    return Metadata(held, sets, table, before_is, said)


def of_scenes(dataset: Dataset, *, workers: int) -> Measures:
    """What the maker of these images said of them: the measures of scenes that differ from image to image."""
    found = measure(dataset, measures=(*OF_OBJECTS, *OF_SCENES), workers=workers)
    told = {name: column for name, column in found.columns.items() if len(np.unique(found.values(name))) > 1}
    return replace(found, columns=told)


@dataclass(frozen=True, eq=False)
class Plainer:
    """A source's method as it would be without what aligned it, and what its images are called."""

    method: Method
    called: str


def plainer(source: Source) -> Plainer | None:
    """Copy–paste that places by chance, or a generator that is neither matched nor curated; None where that is no
    other than what the run made."""
    method = source.method
    if isinstance(method, CopyPaste):
        if method.placement == "uniform" and method.target is None:
            return None
        chance = replace(method, placement="uniform", target=None, count=None, siblings=1)
        return Plainer(chance, "objects placed and sized by chance")
    if source.kind != "generators" or takes_workspace(method):
        return None
    from twinset.generators.rendering import Rendering

    follows = isinstance(method, Rendering) and bool(method.follow)
    if isinstance(method, Rendering) and follows:
        method = replace(method, follow=())
    folder = source.folder
    committed = (matched_path(folder), curated_path(folder), evolved_path(folder), folder / LAID_OUT)
    if not follows and not any(path.exists() for path in committed):
        return None
    return Plainer(cast(Method, method), "images as the settings draw them, before anything was aligned")


def _unaligned(run: Run) -> tuple[Dataset, str] | None:
    """Images of the first source that was aligned, without that, and what they are called; None where there is none."""
    if run.real.task == "semantic-segmentation":
        return None
    for source in sources_of(run.recipe, run.folder):
        plain = plainer(source)
        if plain is None:
            if isinstance(source.method, CopyPaste):
                return None
            continue
        with torch_threads(1):
            generator = plain.method.fit(run.real.training, rng=run.fits.child("fit", source.number))
            slots = [
                Slot(number, 0, seed_for(run.key, "by-chance", number), 0, run.recipe.digest())
                for number in range(BASELINE_IMAGES)
            ]
            samples = generator.generate(slots)
            return Dataset.of(samples, classes=run.real.dataset.classes, name="unaligned"), plain.called
    return None


def commit_shifts(run: Run) -> None:
    """Notes the measures of boxes in which held-out images differ from the exposed ones beyond chance.

    And those in which test images differ from validation images, which pick how networks are trained. Only boxes are
    looked at: this comes before anything is generated, and tells whether what is fitted to the exposed images will fit
    the others. Families stay together, so that a few sequences cannot prove a shift. What a sitting found lies in the
    run folder, and is not noted by later ones.
    """
    if _shifts_path(run).exists():
        return
    sentences = [*_shifts(run), *_unlike_validation(run)]
    for sentence in sentences:
        run.listener.note(sentence)
    write_json(_shifts_path(run), sentences)


def shifts_of(run: Run) -> tuple[str, ...]:
    """The sentences of :func:`commit_shifts`."""
    commit_shifts(run)
    return tuple(cast("list[str]", read_json(_shifts_path(run), hint="delete this file: it is written anew")))


def _shifts_path(run: Run) -> Path:
    return run.folder / "evaluation" / "shifts.json"


def _shifts(run: Run) -> Iterator[str]:
    """How held-out images differ from the exposed ones."""
    parts: tuple[tuple[SplitName, ...], ...] = (("train",), ("validation", "test"))
    for shift in _differences(run, *parts, rng=run.stream.child("shift")):
        yield shift.sentence


def _unlike_validation(run: Run) -> Iterator[str]:
    """That what is picked by validation images may be wrong for the test images, where these are others."""
    found = _differences(run, ("validation",), ("test",), rng=run.stream.child("shift", "validation"))
    if names := ", ".join(shift.measure for shift in found):
        yield (
            f"Test images differ from validation images in {names}: what is picked by validation, such as how strongly "
            "to augment, need not be best for images like the test images; validate on images like those to come"
        )


def _differences(
    run: Run, first: tuple[SplitName, ...], second: tuple[SplitName, ...], *, rng: Stream
) -> tuple[Shift, ...]:
    """The measures of boxes in which two parts of the real images differ beyond chance."""
    real = run.real
    if real.task not in ("detection", "instance-segmentation"):
        return ()
    splits = np.asarray(real.dataset.splits, dtype=object)
    one, other = (real.dataset.where(np.isin(splits, part)) for part in (first, second))
    families = real.part_families(*first), real.part_families(*second)
    found = detect_shift(measure(one, pixels=False), measure(other, pixels=False), rng=rng, families=families)
    return tuple(shift for shift in found if shift.detected)
