"""The utility study of a comparison: half of the real images picks, the other half tests."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from twinset.dataset import Dataset
from twinset.downstream import Utility, UtilityPlan, Verdict, choose_settings, decide
from twinset.errors import DataError
from twinset.executors.local import LocalProcesses
from twinset.families import families
from twinset.images import ImageSpec
from twinset.models.classical import flip_is_safe
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.measuring import study, utility_data, utility_plan
from twinset.pipeline.reporting import Listener
from twinset.privacy.gate import GateResult
from twinset.randomness import Stream
from twinset.recipe import UtilityPart
from twinset.splits import Split, split

UTILITY_SECONDS = 300.0


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
    workers: int,
    listener: Listener,
) -> Measured:
    """Trains on the exposed images with and without the synthetic ones, and tests on half of the held-out ones."""
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
    settings = choose_settings(
        spec,
        list(shown.class_counts().values()),
        seconds=UTILITY_SECONDS,
        workers=workers,
        cells=UtilityPlan(ClassifierSettings(), seed=seed).cell_count,
        n_evaluate=len(held),
    )
    flip = len(shown) > 1 and flip_is_safe(data.train_images, data.train_labels)
    part = UtilityPart(steps=settings.steps, width=settings.width, batch=settings.batch, flip=flip)
    plan = utility_plan(part, data, seed=seed)
    with tempfile.TemporaryDirectory(prefix="twinset-compare-") as folder:
        found = study(data, plan, folder=Path(folder), executor=LocalProcesses(workers), listener=listener)
    failure = "; ".join(gate.reasons) if gate is not None and not gate.passed else ""
    return Measured(found, plan.settings, decide(found, gate_failure=failure))


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
