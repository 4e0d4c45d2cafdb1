"""The utility study of a dataset: its data, its plan, its trainings, each cached by what decides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from twinset.dataset import Dataset
from twinset.downstream import CellResult, Utility, UtilityData, UtilityPlan, run_cell, summarise, unbalanced
from twinset.downstream.arms import Cell, StudySettings
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.placed_scores import PlacedStudy
from twinset.executors.local import LocalProcesses
from twinset.images import ImageSpec
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import placed
from twinset.pipeline.opening import Run
from twinset.pipeline.real_cells import of_real, real_study, take_over
from twinset.pipeline.reporting import Listener
from twinset.recipe import UtilityPart
from twinset.store import write_json


def utility_data(
    *,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    test_families: np.ndarray,
    synthetic: Dataset,
    spec: ImageSpec,
) -> UtilityData:
    """The arrays of a utility study; synthetic targets are soft where any label is."""
    n_classes = len(train.classes)
    return UtilityData(
        n_classes=n_classes,
        train_images=train.prepared(spec),
        train_labels=train.class_ids,
        validation_images=validation.prepared(spec),
        validation_labels=validation.class_ids,
        test_images=test.prepared(spec),
        test_labels=test.class_ids,
        test_families=np.asarray(test_families, dtype=np.int64),
        synthetic_images=synthetic.prepared(spec),
        synthetic_targets=training_targets(synthetic, n_classes),
    )


def training_targets(dataset: Dataset, n_classes: int) -> np.ndarray:
    """What a classifier is to answer for images: class ids (N,) int, or float32 (N, K) where any label is soft."""
    soft = dataset.table.column("class_probabilities").to_pylist()
    if all(row is None for row in soft):
        return dataset.class_ids
    hard = np.eye(n_classes, dtype=np.float32)[dataset.class_ids]
    return np.asarray([hard[i] if row is None else row for i, row in enumerate(soft)], dtype=np.float32)


def utility_plan(part: UtilityPart, data: UtilityData, *, seed: int) -> UtilityPlan[ClassifierSettings]:
    """The plan of the recipe's utility study; open settings are the classifier's defaults."""
    defaults = ClassifierSettings()
    settings = ClassifierSettings(
        steps=defaults.steps if part.steps == "auto" else part.steps,
        width=defaults.width if part.width == "auto" else part.width,
        batch=part.batch_size,
        class_balanced=unbalanced(np.bincount(data.train_labels).tolist()),
    )
    synthetic = len(data.synthetic_images) > 0
    return UtilityPlan(settings, seed=seed, seeds=part.seeds, flip=part.flip is True, synthetic=synthetic)


_Study = tuple[Utility | None, UtilityPlan[StudySettings] | None, PlacedStudy | None]


def study_of_run(run: Run, accepted: Dataset, *, again: bool) -> _Study:
    """The study that the recipe asks for, and its plan; of located labels also its cells."""
    part = run.recipe.evaluate.utility
    if part == "off":
        return None, None, None
    real = run.real
    if real.task != "classification":
        return _placed_utility(run, part, accepted, again=again)
    data = utility_data(
        train=real.training,
        validation=real.part("validation"),
        test=real.part("test"),
        test_families=real.part_families("test"),
        synthetic=accepted,
        spec=real.spec,
    )
    plan = utility_plan(part, data, seed=run.stream.child("utility").seed)
    folder = run.folder / "evaluation" / "utility"
    utility = study(data, plan, folder=folder, executor=run.executor, listener=run.listener, again=again)
    return utility, plan, None


def _placed_utility(run: Run, part: UtilityPart, accepted: Dataset, *, again: bool) -> _Study:
    settings = placed.settings_of(part, run.real)
    plan = placed.placed_plan(
        settings,
        seed=run.stream.child("utility").seed,
        seeds=part.seeds,
        flip=part.flip is not False,
        synthetic=len(accepted) > 0,
    )
    utility, found = placed.placed_study(
        placed.study_data(run.real, accepted, settings),
        plan,
        folder=run.folder / "evaluation" / "utility",
        executor=run.executor,
        listener=run.listener,
        again=again,
    )
    return utility, plan, found


@dataclass(frozen=True)
class RunCell:
    """A task for a worker: one cell of a utility study, its data in a file."""

    cell: Cell
    study: str
    plan: UtilityPlan[ClassifierSettings]
    data: Path
    result: Path
    real_study: str


def run_cell_task(task: RunCell) -> CellResult:
    """Trains, predicts, and commits the cell's result."""
    found = of_real(run_cell(task.cell, _data(task.data), plan=task.plan, study=task.study), task.real_study)
    write_json(task.result, found.to_json())
    return found


@lru_cache(maxsize=1)
def _data(path: Path) -> UtilityData:
    return UtilityData.load(path)


def study(
    data: UtilityData,
    plan: UtilityPlan[ClassifierSettings],
    *,
    folder: Path,
    executor: LocalProcesses,
    listener: Listener,
    again: bool = False,
) -> Utility:
    """All cells of a utility study, those in ``folder`` not again, and its table.

    Cells that learn from real images alone are taken over from other studies in ``folder`` (:mod:`.real_cells`), unless
    all are to be trained ``again``.
    """
    name, real = study_digest(plan, data.digest()), real_study(plan, data.real_digest())
    cells = folder / name
    path = cells / "data.safetensors"
    if not path.exists():
        data.save(path)
    results = [] if again else list(committed(cells))
    results += [] if again else take_over(cells, real, results, listener=listener)
    progress = listener.stage("utility")
    while due := plan.due(results):
        tasks = [RunCell(cell, name, plan, path, cells / f"{cell.key}.json", real) for cell in due]
        for _, result in executor.map(run_cell_task, tasks):
            results.append(result)
            progress(len(results), plan.cell_count, "trainings")
    return summarise(results, data=data, plan=plan)
