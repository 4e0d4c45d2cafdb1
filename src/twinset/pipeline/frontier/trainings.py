"""The classifiers of a study: what a release is worth is what they know of real images that no generator saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.downstream import unbalanced
from twinset.executors.local import LocalProcesses
from twinset.images import PixelBatch
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.pipeline.fitting import load_resolved, load_source
from twinset.pipeline.planning import counts_of
from twinset.pipeline.real import RealData, load_real
from twinset.pipeline.reporting import Listener
from twinset.pipeline.utility_study import training_targets
from twinset.randomness import Stream
from twinset.recipe import Recipe
from twinset.stages import Slot
from twinset.store import ShardStore

Source = Literal["real", "dataset", "generator"]
"""The real training images; what a run accepted; as many fresh pictures of its generator as the run was to make, which
no filter saw: how many a filter let pass says nothing of the generator."""


@dataclass(frozen=True)
class Training:
    """One classifier: trained on what ``source`` says of the run in ``folder``, with this ``seed``, kept in ``out``.

    Trainings of one seed share their stream, whatever they are trained on.
    """

    folder: Path
    source: Source
    seed: int
    settings: ClassifierSettings
    stream: Stream
    out: Path


def classifier_settings(recipe: Recipe) -> ClassifierSettings:
    """Those of ``evaluate.utility`` where it names steps and width, else those of ``twinset fit-classifier``."""
    settings, part = ClassifierSettings(), recipe.evaluate.utility
    if part == "off":
        return settings
    return replace(
        settings,
        steps=settings.steps if part.steps == "auto" else part.steps,
        width=settings.width if part.width == "auto" else part.width,
    )


def trainings(
    folder: Path, source: Source, *, settings: ClassifierSettings, seeds: int, stream: Stream, into: Path
) -> list[Training]:
    """One for every seed."""
    return [
        Training(
            folder, source, seed, settings, stream.child("classifier", seed), into / f"{source}-{seed}.safetensors"
        )
        for seed in range(seeds)
    ]


def train_all(tasks: Sequence[Training], *, executor: LocalProcesses, listener: Listener, name: str) -> None:
    """Trains those that are not kept yet."""
    due = [task for task in tasks if not task.out.exists()]
    if not due:
        return
    progress = listener.stage(f"train on {name}")
    for done, _ in enumerate(executor.map(train, due), start=1):
        progress(len(tasks) - len(due) + done, len(tasks), "classifiers")


def train(task: Training) -> None:
    """Trains one classifier and keeps it."""
    real = load_real(task.folder)
    pictures, targets = _training_set(task, real)
    counts = np.bincount(targets.argmax(axis=1) if targets.ndim == 2 else targets)
    fitted = fit_classifier(
        pictures,
        targets,
        n_classes=len(real.dataset.classes),
        settings=replace(task.settings, class_balanced=unbalanced(counts.tolist())),
        rng=task.stream,
    )
    replace(fitted, classes=tuple(real.dataset.classes)).save(task.out)


def right_answers(tasks: Sequence[Training], real: Dataset, pictures: PixelBatch) -> NDArray[np.bool_]:
    """Which of the real images (N,) the trained classifiers name rightly, bool (R, N)."""
    return np.stack([Classifier.load(task.out).logits(pictures).argmax(axis=1) == real.class_ids for task in tasks])


def _training_set(task: Training, real: RealData) -> tuple[PixelBatch, NDArray[np.int64] | NDArray[np.float32]]:
    """Pictures and targets."""
    if task.source == "real":
        return real.training.prepared(real.spec), real.training.class_ids
    if task.source == "dataset":
        accepted = _accepted(task.folder)
        return accepted.prepared(real.spec), training_targets(accepted, len(real.dataset.classes))
    counts = counts_of(load_resolved(task.folder), real.dataset.classes)
    class_ids = np.repeat(np.arange(len(counts)), counts)
    drawn = [
        Slot(row, 0, task.stream.child("sample", row).seed, int(class_id), "frontier")
        for row, class_id in enumerate(class_ids)
    ]
    made = load_source(task.folder, 0, device="cpu").generate(drawn)
    return np.stack([real.spec.prepare(sample.pixels()) for sample in made]), class_ids


@lru_cache(maxsize=2)
def _accepted(folder: Path) -> Dataset:
    return ShardStore(folder).accepted(load_real(folder).dataset.classes)
