"""The rendered sets of `benchmarks/gap.py`, made once and kept by the digest of all that decides them."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

import numpy as np
from gap_sets import GapSet, Halves, curated_on, done_by, settings_of
from numpy.typing import NDArray

from twinset.alignment.curation import Curation
from twinset.alignment.density import elbow
from twinset.alignment.evolution import Configurations, Electorate, Evolution, evolve, fresh_key
from twinset.alignment.object_density import ObjectDensity
from twinset.alignment.shape_scores import curate_dataset
from twinset.dataset import Dataset, Sample
from twinset.embedding.embedder import embed_dataset, embed_images
from twinset.embedding.random_convolution import RandomConvolution
from twinset.executors.local import LocalProcesses
from twinset.formats import read, write
from twinset.generators.rendering.settings import Rendering
from twinset.images import ImageSpec
from twinset.randomness import Stream, seed_for
from twinset.stages import Curatable, Generator, Slot, Steerable
from twinset.store import write_json

REVISION = 1
"""Raised when what is rendered from equal settings changes, so that no old pictures are taken for new ones."""

CHUNK = 20
LOOK = ImageSpec(96, 128, 3)
"""What exposed images vote by: the whole picture, small."""

EVOLUTION = Evolution(rounds=4, population=40, pictures=2)
MOST_TRIED = 2.0
"""Pictures that the filter sees, for each that is wanted."""


@dataclass(frozen=True, eq=False)
class MakeImages:
    """A task for a worker: the pictures of these slots."""

    generator: Generator
    slots: tuple[Slot, ...]
    classes: tuple[str, ...]


def make_images(task: MakeImages) -> Dataset:
    """The pictures of one task."""
    return Dataset.of(task.generator.generate(task.slots), classes=task.classes, name="rendered")


def images_of(name: str, step: str, chosen: GapSet, real: Halves, cells: Path, *, workers: int) -> tuple[Dataset, str]:
    """The pictures of a step and what is to be told of it; those that were made before are read."""
    key = _key(name, step, chosen, real)
    folder = cells / "images" / f"{step}-{key}"
    if not (folder / "told.json").exists():
        began = time.monotonic()
        made, told = _made(step, chosen, real, workers=workers)
        shutil.rmtree(folder, ignore_errors=True)
        write(made, folder / "pictures", "parquet")
        told["seconds"] = round(time.monotonic() - began, 1)
        write_json(folder / "told.json", told)
    dataset, _ = read(folder / "pictures")
    told = json.loads((folder / "told.json").read_text())
    return dataset, str(told["sentence"])


def _key(name: str, step: str, chosen: GapSet, real: Halves) -> str:
    decides = (REVISION, name, _chosen(settings_of(step, chosen)), chosen.images, done_by(step))
    digest = real.exposed.source_digest()
    return hashlib.sha256(f"{decides}{digest}".encode()).hexdigest()[:16]


def _chosen(settings: Rendering) -> dict[str, str]:
    """What of the settings is not the default: a setting that is new then leaves older pictures what they are."""
    default = Rendering()
    return {
        one.name: repr(getattr(settings, one.name))
        for one in fields(settings)
        if getattr(settings, one.name) != getattr(default, one.name)
    }


def _made(step: str, chosen: GapSet, real: Halves, *, workers: int) -> tuple[Dataset, dict[str, object]]:
    generator = settings_of(step, chosen).fit(real.exposed, rng=Stream(0).child("fit"))
    sentence = "; ".join(generator.remarks)
    found: Generator = generator
    done, shown_by = done_by(step), curated_on(step)
    if "curate" in done and shown_by is not None:
        evenly = _evenly(settings_of(shown_by, chosen)).fit(real.exposed, rng=Stream(0).child("fit"))
        pilot = _rendered(evenly, range(chosen.images), "curate", real, workers)
        found, sentence = _curated(generator, pilot, real)
    if "evolve" in done:
        found, sentence = _evolved(cast(Steerable, found), real)
    if "filter" not in done:
        return _rendered(found, range(chosen.images), step, real, workers), {"sentence": sentence}
    tried = _rendered(found, range(int(MOST_TRIED * chosen.images)), step, real, workers)
    kept, filtered = _filtered(tried, chosen.images, real)
    return kept, {"sentence": f"{sentence} {filtered}"}


def _evenly(settings: Rendering) -> Rendering:
    """The same scenes with as many objects of every class, so that the shapes of rare ones are seen often enough."""
    return replace(settings, balance=1.0, count=(8, 16), follow=tuple(one for one in settings.follow if one != "count"))


def _rendered(generator: Generator, numbers: Sequence[int], step: str, real: Halves, workers: int) -> Dataset:
    slots = [Slot(n, 0, seed_for("gap", step, n), n % len(real.exposed.classes), "gap", n) for n in numbers]
    classes = real.exposed.classes
    tasks = [MakeImages(generator, tuple(slots[at : at + CHUNK]), classes) for at in range(0, len(slots), CHUNK)]
    pieces = dict(LocalProcesses(workers).map(make_images, tasks))
    whole = pieces[0]
    for number in range(1, len(tasks)):
        whole = whole.concat(pieces[number])
    return whole


def _curated(generator: Curatable, pilot: Dataset, real: Halves) -> tuple[Generator, str]:
    """The generator without the shapes whose objects lie apart in the pilot."""
    found = curate_dataset(
        pilot,
        training=real.exposed,
        holdout=real.validation,
        spec=_spec(real),
        rng=Stream(0).child("curate"),
        settings=Curation(),
    )
    return generator.without(found.dropped), " ".join(found.remarks)


def _evolved(generator: Steerable, real: Halves) -> tuple[Generator, str]:
    """The generator with the light that exposed images vote for; all else goes on following their boxes."""
    space, embedder = generator.steered_by(("brightness", "contrast")), RandomConvolution()

    def embed(samples: Sequence[Sample]) -> NDArray[np.float32]:
        return embed_images(embedder, np.stack([LOOK.prepare(sample.pixels()) for sample in samples]))

    rounds = evolve(
        Electorate(embed_dataset(embedder, real.exposed, spec=LOOK)),
        Configurations(space),
        embed,
        EVOLUTION,
        rng=Stream(0).child("evolve"),
        key=fresh_key(),
    )
    winners = rounds[-1].winners()
    return space.configured(winners), f"{len(winners)} configurations of light won after {EVOLUTION.rounds} rounds."


def _filtered(tried: Dataset, wanted: int, real: Halves) -> tuple[Dataset, str]:
    """The first ``wanted`` pictures whose objects lie, on the mean, before the elbow of all; the nearest if too few.

    Thresholds of real images would reject nearly everything that is rendered: the elbow is that of the pictures tried.
    """
    judge = ObjectDensity(threshold="quantile").fit(
        real.validation, training=real.training, holdout=real.validation, spec=_spec(real), rng=Stream(0)
    )
    counts = tried.object_counts()
    rows = np.repeat(np.arange(len(tried)), counts)
    totals = np.bincount(rows, weights=judge.object_scores(tried), minlength=len(tried))
    scores = np.divide(totals, counts, out=np.full(len(tried), np.inf), where=counts > 0)
    line = elbow(np.sort(scores[np.isfinite(scores)]))
    passed = np.flatnonzero(scores <= line)
    nearest = np.argsort(scores, kind="stable")[:wanted]
    kept = passed[:wanted] if len(passed) >= wanted else np.sort(nearest)
    sentence = f"{len(passed)} of {len(tried)} pictures lie before the elbow ({line:.2f}); {len(kept)} were kept."
    return tried.take(kept), sentence


def _spec(real: Halves) -> ImageSpec:
    sizes = np.array([sample.pixels().shape[:2] for sample in real.exposed.take(np.arange(min(20, len(real.exposed))))])
    height, width = (int(side) for side in np.median(sizes, axis=0))
    return ImageSpec(height, width, 3)
