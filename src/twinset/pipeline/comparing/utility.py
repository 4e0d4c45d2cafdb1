"""The utility study of a comparison: half of the real images picks, the other half tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.dataset import Dataset
from twinset.downstream import Utility, UtilityData, UtilityPlan, Verdict, choose_settings, decide
from twinset.downstream.budget import FEWEST_STEPS, study_seconds
from twinset.errors import DataError
from twinset.executors.local import LocalProcesses
from twinset.families import families
from twinset.images import ImageSpec
from twinset.models.classical import flip_is_safe
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.comparing.kept_trainings import key_of, settings_once, study_folder
from twinset.pipeline.reporting import Listener, duration
from twinset.pipeline.utility_study import study, utility_data, utility_plan
from twinset.privacy.gate import GateResult
from twinset.randomness import Stream
from twinset.recipe import UtilityPart
from twinset.splits import Split, split


@dataclass(frozen=True, eq=False)
class Measured:
    """A utility study with its verdict."""

    utility: Utility
    settings: ClassifierSettings
    verdict: Verdict


def measured_utility(
    held: Dataset,
    made: Dataset,
    shown: Dataset,
    *,
    gate: GateResult | None,
    spec: ImageSpec,
    seed: int,
    seconds: float,
    workers: int,
    listener: Listener,
) -> Measured:
    """Trains on the exposed images with and without the synthetic ones, and tests on half of the held-out ones.

    ``seconds`` are for all trainings; the baseline is never weakened to keep to them. A study that was stopped goes on
    where it was.
    """
    _check_classes(shown, held, made)
    parts = _halves(held, seed)
    data = utility_data(
        train=shown,
        validation=parts.train.concat(parts.validation),
        test=parts.test,
        test_families=parts.test_families,
        synthetic=made,
        spec=spec,
    )
    flip = len(shown) > 1 and flip_is_safe(data.train_images, data.train_labels)
    with study_folder(key_of(data.digest(), seed=seed, seconds=seconds)) as folder:
        settings = settings_once(folder, lambda: _settings(data, spec, seconds, workers, seed, listener))
        part = UtilityPart(steps=settings.steps, width=settings.width, batch=settings.batch, flip=flip)
        plan = utility_plan(part, data, seed=seed)
        found = study(data, plan, folder=folder, executor=LocalProcesses(workers), listener=listener)
    failure = "; ".join(gate.reasons) if gate is not None and not gate.passed else ""
    return Measured(found, plan.settings, decide(found, gate_failure=failure))


def _settings(
    data: UtilityData, spec: ImageSpec, seconds: float, workers: int, seed: int, listener: Listener
) -> ClassifierSettings:
    """A network and steps that fit into the time; a note where even the fewest steps do not."""
    cells = UtilityPlan(ClassifierSettings(), seed=seed).cell_count
    evaluated = len(data.validation_labels) + len(data.test_labels)
    counts = np.bincount(data.train_labels, minlength=data.n_classes).tolist()
    settings = choose_settings(spec, counts, seconds=seconds, workers=workers, cells=cells, n_evaluate=evaluated)
    if settings.steps <= FEWEST_STEPS:
        needed = study_seconds(spec, data.n_classes, settings, workers=workers, cells=cells, n_evaluate=evaluated)
        if needed > seconds:
            listener.note(
                f"the trainings take about {duration(needed)}, not {duration(seconds)}: with fewer than {FEWEST_STEPS} "
                "steps the baseline would be weak and the synthetic images look better than they are"
            )
    return settings


def _halves(held: Dataset, seed: int) -> Split:
    """Half of ``held`` as test, half as train and validation; splits that it came with do not count here."""
    free = held.with_splits([None] * len(held))
    try:
        return split(
            free, families=families(free), fractions=(0.3, 0.2, 0.5), rng=Stream(seed).child("compare", "split")
        )
    except DataError as error:
        raise DataError(
            f"{held.name}: expected real images of every class to pick on, and others to test on; got {len(held)} "
            f"images of {len(held.classes)} classes",
            hint="give more real images, or leave out --utility",
        ) from error


def _check_classes(*datasets: Dataset) -> None:
    if len({dataset.classes for dataset in datasets}) > 1:
        listed = "; ".join(", ".join(dataset.classes[:8]) for dataset in datasets)
        raise DataError(
            f"expected the same classes in all datasets; got {listed}",
            hint="rename the class folders so that they agree",
        )
