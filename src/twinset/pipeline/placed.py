"""The utility study of a run with objects or semantic maps: its data, its plan, its cells in worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from twinset.dataset import Dataset, Task
from twinset.downstream.arms import Cell, CellResult, StudySettings, UtilityPlan
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.placed_budget import choose_placed_settings, placed_study_seconds
from twinset.downstream.placed_cells import run_placed_cell
from twinset.downstream.placed_data import Kind, PlacedData, placed_data
from twinset.downstream.placed_inputs import Originals, StudyData, TrainingMasks
from twinset.downstream.placed_models import FITTING, MASKED, usable_weights
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.downstream.placed_settings import PlacedPlan, PlacedSettings, Weights
from twinset.downstream.summary import Utility, summarise
from twinset.executors.local import LocalProcesses
from twinset.models.classical import Strength
from twinset.models.detection import Scenes, stride_for
from twinset.models.vision import scene_masks
from twinset.pipeline.placed_choice import (
    check_fits,
    check_masks,
    judges_masks,
    model_of,
    trainer_of,
    weights_of,
)
from twinset.pipeline.real import RealData
from twinset.pipeline.real_cells import of_real, real_study, take_over
from twinset.pipeline.reporting import Listener
from twinset.recipe import UtilityPart
from twinset.store import write_json

STRENGTHS: tuple[Strength, ...] = ("medium", "strong")
BALANCED: tuple[Strength, ...] = ("strong",)
SHARES = (0.5,)
THUMBNAIL = 32
"""Side of the pictures that stand for the originals where a user's trainer gets those."""


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
    """The utility part of a recipe with nothing open that is decided here."""
    check_fits(part, real.task)
    values = {**part.model_dump(mode="json"), "flip": part.flip is not False}
    check_masks(part, real)
    if part.command is not None:
        return values
    model = model_of(part)
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
        model=model,
        weights=usable_weights(model, weights_of(part)),
    )
    values |= {"steps": settings.steps, "size": [settings.height, settings.width]}
    return values if model else {**values, "model": FITTING[real.task][0], "width": settings.network_width}


def settings_of(part: UtilityPart, real: RealData) -> PlacedSettings:
    """The settings of a resolved utility part; :class:`MissingModelError` for weights that are not here."""
    masks, path = judges_masks(part, real.task), weights_of(part)
    if part.command is not None:
        return PlacedSettings(
            THUMBNAIL, THUMBNAIL, real.spec.channels, 1, part.batch_size, masks=masks, trainer=trainer_of(part)
        )
    height, width = cast("tuple[int, int]", part.size)
    return PlacedSettings(
        height,
        width,
        real.spec.channels,
        int(part.steps),
        part.batch_size,
        16 if part.width == "auto" else part.width,
        stride_for(real.training, (height, width)) if kind_of(real.task) == "objects" else 8,
        model=model_of(part),
        weights=None if path is None else Weights.of(path),
        masks=masks,
    )


def study_time(part: UtilityPart, real: RealData, workers: int) -> float:
    """Seconds that the study of a resolved part takes here, by a probe; 0 of a command, of which nothing is known."""
    if part.command is not None:
        return 0.0
    timed = part if usable_weights(model_of(part), weights_of(part)) else part.model_copy(update={"weights": None})
    return placed_study_seconds(
        settings_of(timed, real),
        kind_of(real.task),
        n_classes=len(real.dataset.classes),
        workers=workers,
        cells=cell_count(part.seeds),
        n_evaluate=len(real.holdout),
    )


def plan_notes(part: UtilityPart) -> list[str]:
    """What the plan of a run should say of its study."""
    if part.command is None:
        return []
    return [f"your command is run {cell_count(part.seeds)} times; how long that takes is not in these estimates"]


def study_data(real: RealData, synthetic: Dataset, settings: PlacedSettings) -> StudyData:
    """The scenes of a run's study, with what else its trainings need."""
    validation, test = real.part("validation"), real.part("test")
    scenes = placed_data(
        train=real.training,
        validation=validation,
        test=test,
        synthetic=synthetic,
        test_families=real.part_families("test"),
        kind=kind_of(real.task),
        size=(settings.height, settings.width),
        channels=settings.channels,
    )
    if settings.trainer is not None:
        originals = Originals(real.training, validation, test, synthetic)
        return StudyData(scenes, originals=originals)
    if settings.model != MASKED:
        return StudyData(scenes)
    masks = (
        scene_masks(dataset, cast(Scenes, part))
        for dataset, part in ((real.training, scenes.train), (synthetic, scenes.synthetic))
    )
    return StudyData(scenes, TrainingMasks((settings.height, settings.width), *masks))


@dataclass(frozen=True)
class RunPlacedCell:
    """A task for a worker: one cell of a study, its data in a folder, its result in ``cells``."""

    cell: Cell
    study: str
    plan: PlacedPlan
    data: Path
    cells: Path
    real_study: str = ""


def run_placed_cell_task(task: RunPlacedCell) -> CellResult:
    """Trains, judges, and commits the cell's result."""
    data = _data(task.data)
    file, committed_as = found_path(task.cells, task.cell.key, data), task.cells / f"{task.cell.key}.json"
    # The result vouches for the file of what was found: where that is made anew, it goes first and comes last.
    committed_as.unlink(missing_ok=True)
    result = run_placed_cell(task.cell, data, plan=task.plan, study=task.study, found=file, folder=task.data)
    result = of_real(result, task.real_study)
    write_json(committed_as, result.to_json())
    return result


@lru_cache(maxsize=1)
def _data(folder: Path) -> PlacedData:
    return PlacedData.load(folder)


def placed_study(
    data: StudyData,
    plan: PlacedPlan,
    *,
    folder: Path,
    executor: LocalProcesses,
    listener: Listener,
    again: bool = False,
) -> tuple[Utility, PlacedStudy]:
    """All cells of a study, those in ``folder`` not again, and its table.

    Cells that learn from real images alone are taken over from other studies in ``folder`` (:mod:`.real_cells`), unless
    all are to be trained ``again``. :class:`RunFolderError`, before anything is trained, if what a committed cell found
    is not there as it was.
    """
    decided = cast("UtilityPlan[StudySettings]", plan)
    name, real = study_digest(decided, data.digest()), real_study(decided, data.real_digest())
    cells = folder / name
    study = PlacedStudy(data.placed, cells, plan.settings.masks)
    place = cells / "data"
    if not (place / "data.json").exists():
        data.save(place)
    results = [] if again else list(committed(cells))
    for result in results:
        study.file(result)
    results += [] if again else take_over(cells, real, results, listener=listener, bring=study.bring)
    if not results and (others := _others(folder, name)):
        listener.note(
            f"{others} trainings in {folder} are of other data, settings or files of a trainer; they do not count"
        )
    progress = listener.stage("utility")
    while due := plan.due(results):
        tasks = [RunPlacedCell(cell, name, plan, place, cells, real) for cell in due]
        for _, result in executor.map(run_placed_cell_task, tasks):
            results.append(result)
            progress(len(results), plan.cell_count, "trainings")
    return summarise(results, data=study, plan=plan), study


def _others(folder: Path, name: str) -> int:
    """Trainings of studies other than this one."""
    return sum(path.parent.name != name for path in folder.glob("*/*.json"))
