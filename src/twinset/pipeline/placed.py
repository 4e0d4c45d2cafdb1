"""The utility study of a run with objects or semantic maps: its data, its plan, its cells in worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

from twinset.dataset import Dataset, Task
from twinset.downstream.arms import Cell, CellResult, StudySettings, UtilityPlan
from twinset.downstream.cells import study_digest
from twinset.downstream.placed_budget import choose_placed_settings, placed_study_seconds
from twinset.downstream.placed_cells import PlacedPlan, PlacedSettings, run_placed_cell
from twinset.downstream.placed_data import Kind, PlacedData, placed_data
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.downstream.summary import Utility, summarise
from twinset.executors.local import LocalProcesses
from twinset.models.classical import Strength
from twinset.models.detection.network import Stride
from twinset.models.detection.settings import SMALL
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.recipe import UtilityPart
from twinset.store import read_json, write_json

STRENGTHS: tuple[Strength, ...] = ("medium", "strong")
BALANCED: tuple[Strength, ...] = ("strong",)
SHARES = (0.5,)


def kind_of(task: Task) -> Kind:
    """What a task's networks find."""
    return "pixels" if task == "semantic-segmentation" else "objects"


def placed_plan(settings: PlacedSettings, *, seed: int, seeds: int, flip: bool, synthetic: bool = True) -> PlacedPlan:
    """The plan of a run's study: two strengths and class-balanced sampling on the real side, one share on the other."""
    return UtilityPlan(
        settings,
        seed=seed,
        seeds=seeds,
        strengths=STRENGTHS,
        shares=SHARES,
        balanced=BALANCED,
        flip=flip,
        synthetic=synthetic,
    )


def cell_count(seeds: int) -> int:
    """Trainings of a study."""
    return placed_plan(PlacedSettings(16, 16, 3, 1), seed=0, seeds=seeds, flip=True).cell_count


def resolved_part(part: UtilityPart, real: RealData, *, seconds: float, workers: int) -> dict[str, object]:
    """The utility part of a recipe with nothing open."""
    settings = choose_placed_settings(
        real.training,
        kind_of(real.task),
        seconds=seconds,
        workers=workers,
        cells=cell_count(part.seeds),
        batch=part.batch_size,
        size=None if part.size == "auto" else part.size,
        steps=None if part.steps == "auto" else part.steps,
        network_width=16 if part.width == "auto" else part.width,
        n_evaluate=len(real.holdout),
    )
    return {
        **part.model_dump(mode="json"),
        "flip": part.flip is not False,
        "steps": settings.steps,
        "width": settings.network_width,
        "size": [settings.height, settings.width],
    }


def settings_of(part: UtilityPart, real: RealData) -> PlacedSettings:
    """The settings of a resolved utility part."""
    height, width = cast("tuple[int, int]", part.size)
    boxes = real.training.object_boxes() if kind_of(real.task) == "objects" else np.zeros((0, 4))
    channels = real.spec.channels
    return PlacedSettings(
        height,
        width,
        channels,
        int(part.steps),
        part.batch_size,
        int(part.width),
        stride_for(real.training, boxes, (height, width)),
    )


def study_time(part: UtilityPart, real: RealData, workers: int) -> float:
    """Seconds that the study of a resolved part takes here, by a probe."""
    return placed_study_seconds(
        settings_of(part, real),
        kind_of(real.task),
        n_classes=len(real.dataset.classes),
        workers=workers,
        cells=cell_count(part.seeds),
        n_evaluate=len(real.holdout),
    )


def stride_for(training: Dataset, boxes: np.ndarray, size: tuple[int, int]) -> Stride:
    """4 where the median object is small at this size, else 8."""
    if not len(boxes):
        return 8
    shapes = np.array([sample.pixels().shape[:2] for sample in training], dtype=np.float64)
    scales = np.repeat((np.asarray(size) / shapes).min(axis=1), training.object_counts())
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) * scales
    return 4 if float(np.median(sides)) < SMALL else 8


def study_data(real: RealData, synthetic: Dataset, settings: PlacedSettings) -> PlacedData:
    """The scenes of a run's study."""
    return placed_data(
        train=real.training,
        validation=real.part("validation"),
        test=real.part("test"),
        synthetic=synthetic,
        test_families=real.part_families("test"),
        kind=kind_of(real.task),
        size=(settings.height, settings.width),
        channels=settings.channels,
    )


@dataclass(frozen=True)
class RunPlacedCell:
    """A task for a worker: one cell of a study, its data in a folder, its result in ``cells``."""

    cell: Cell
    study: str
    plan: PlacedPlan
    data: Path
    cells: Path


def run_placed_cell_task(task: RunPlacedCell) -> CellResult:
    """Trains, judges, and commits the cell's result."""
    data = _data(task.data)
    file = found_path(task.cells, task.cell.key, data)
    result = run_placed_cell(task.cell, data, plan=task.plan, study=task.study, found=file)
    write_json(task.cells / f"{task.cell.key}.json", result.to_json())
    return result


@lru_cache(maxsize=1)
def _data(folder: Path) -> PlacedData:
    return PlacedData.load(folder)


def placed_study(
    data: PlacedData,
    plan: PlacedPlan,
    *,
    folder: Path,
    executor: LocalProcesses,
    listener: Listener,
    again: bool = False,
) -> tuple[Utility, PlacedStudy]:
    """All cells of a study, those in ``folder`` not again, and its table."""
    name = study_digest(cast("UtilityPlan[StudySettings]", plan), data.digest())
    cells = folder / name
    place = cells / "data"
    if not (place / "data.json").exists():
        data.save(place)
    results = [] if again else list(committed(cells))
    progress = listener.stage("utility")
    while due := plan.due(results):
        tasks = [RunPlacedCell(cell, name, plan, place, cells) for cell in due]
        for _, result in executor.map(run_placed_cell_task, tasks):
            results.append(result)
            progress(len(results), plan.cell_count, "trainings")
    study = PlacedStudy(data, cells)
    return summarise(results, data=study, plan=plan), study


def committed(folder: Path) -> Iterator[CellResult]:
    """The results that lie in a folder of cells."""
    for path in sorted(folder.glob("*.json")):
        values = read_json(path, hint="delete this file: its training is done again")
        yield CellResult.from_json(cast("dict[str, object]", values))
