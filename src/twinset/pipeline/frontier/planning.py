"""What a study would do and how long it may take, before it does: every setting is resolved, a few steps are timed."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from twinset import documents, methods
from twinset.downstream import study_seconds
from twinset.generators.mean_embedding import MeanEmbedding
from twinset.models.private.accounting import Privacy
from twinset.models.private.mean_embedding import MeanEmbeddingSettings, fit_mean_embedding
from twinset.pipeline.frontier.asking import Asked, parts_counted
from twinset.pipeline.frontier.settings import Setting, fitted_as
from twinset.pipeline.frontier.trainings import classifier_settings
from twinset.pipeline.planning import planned
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine, estimate, resolve_once
from twinset.randomness import Stream
from twinset.recipe import Recipe, UsePart
from twinset.threads import torch_threads

BESIDE = 15.0
"""Seconds that a run takes besides its fits and its images."""

SECONDS_PER_IMAGE = 0.01
AUDIT_OF_DATASET, AUDIT_OF_GENERATOR, AUDIT_OF_CLASSIFIER, SHADOWS = 12.0, 60.0, 12.0, 13.0
"""Seconds as measured on 1,000 digits; those of a classifier beside what it trains, and beside the shadows that the
first of a study trains for all."""

PROBE_STEPS = 5
TRAINED_TO_AUDIT = 5
"""Classifiers that the audit of one trains at most, as its controls."""


@dataclass(frozen=True)
class Expected:
    """Seconds that a setting may take: its run with the dataset's audit, the classifiers, the audits of its models."""

    run: float
    classifiers: float
    audits: float

    @property
    def seconds(self) -> float:
        """All."""
        return self.run + self.classifiers + self.audits


def expected(asked: Asked, machine: Machine, listener: Listener) -> dict[str, Expected]:
    """By setting; what a fit cannot do is refused here, as the noise for its ε is calibrated."""
    listener.stage("calibrate: a few training steps of every setting are timed")
    each = _classifier_seconds(asked, machine, cells=asked.part.seeds)
    found: dict[str, Expected] = {}
    resolved: dict[str, Recipe] = {}
    for setting in asked.settings:
        first = resolved.get(setting.fits_of)
        decided = setting.decided if first is None else fitted_as(setting.decided, first)
        resolved[setting.name] = resolve_once(decided, asked.real, machine, listener)
        fits = 0.0 if first is not None else _fit_seconds(resolved[setting.name], asked.real, machine)
        found[setting.name] = _expected(asked, setting, resolved[setting.name], fits, each)
    if (first_audited := next((one for one in asked.settings if "classifier" in asked.weighed(one)), None)) is not None:
        name = first_audited.name
        found[name] = replace(found[name], audits=found[name].audits + SHADOWS)
    return found


def _fit_seconds(resolved: Recipe, real: RealData, machine: Machine) -> float:
    matching = (_matching_seconds(part, real) for part in resolved.generators if part.use == "mean-embedding")
    return estimate(resolved, real, machine)["fit"] + sum(matching)


def _expected(asked: Asked, setting: Setting, resolved: Recipe, fits: float, classifiers: float) -> Expected:
    run = fits + planned(resolved) * SECONDS_PER_IMAGE + BESIDE + AUDIT_OF_DATASET
    weighed = asked.weighed(setting)
    sets = 2 if "generator" in weighed and setting.decided.filters else 1
    audits = AUDIT_OF_GENERATOR if "generator" in weighed and not setting.fits_of else 0.0
    if "classifier" in weighed:
        audits += AUDIT_OF_CLASSIFIER + TRAINED_TO_AUDIT * classifiers / asked.part.seeds
    return Expected(run, sets * classifiers, audits)


def _matching_seconds(part: UsePart, real: RealData) -> float:
    """What a mean embedding takes to match what it released, by a few steps on noise."""
    method = methods.build("generators", part.use, part.settings, where="generate")
    assert isinstance(method, MeanEmbedding)
    classes = len(real.dataset.classes)
    class_ids = np.arange(classes)
    noise = Stream(0).child("probe").numpy().integers(256, size=(classes, *real.spec.shape), dtype=np.uint8)
    settings = MeanEmbeddingSettings(**{one.name: getattr(method, one.name) for one in fields(MeanEmbeddingSettings)})

    def seconds(steps: int) -> float:
        began = time.perf_counter()
        asked = replace(settings, steps=steps)
        fit_mean_embedding(noise, class_ids, n_classes=classes, settings=asked, privacy=Privacy(None))
        return time.perf_counter() - began

    with torch_threads(1):
        seconds(1)
        return max(0.0, seconds(1 + PROBE_STEPS) - seconds(1)) / PROBE_STEPS * settings.steps


def _classifier_seconds(asked: Asked, machine: Machine, *, cells: int) -> float:
    real = asked.real
    return study_seconds(
        real.spec,
        len(real.dataset.classes),
        classifier_settings(asked.written.recipe),
        workers=machine.workers,
        cells=cells,
        n_evaluate=len(real.holdout),
    )


def plan_document(folder: Path, asked: Asked, found: dict[str, Expected]) -> documents.FrontierPlanDocument:
    """The plan."""
    settings = [
        documents.PlannedSettingPart(
            name=one.name,
            what=one.what,
            private=one.private,
            releases={str(name): why for name, why in one.weighed(asked.releases).items()},
            seconds=round(found[one.name].seconds, 1),
        )
        for one in asked.settings
    ]
    return documents.FrontierPlanDocument(
        folder=str(folder),
        image=asked.real.facts.size,
        images=parts_counted(asked.real),
        settings=settings,
        seeds=asked.part.seeds,
        minutes=asked.settings[0].recipe.minutes,
        seconds=round(sum(one.seconds for one in found.values()), 1),
        notes=list(asked.notes),
    )
