"""Training and judging one cell of a study of detectors or segmenters: a pure function of data, plan and cell."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.average_precision import match_detections
from twinset.downstream.arms import Cell, CellResult
from twinset.downstream.own_trainer import train_outside
from twinset.downstream.placed_data import PlacedData
from twinset.downstream.placed_inputs import PICTURES, TrainingMasks
from twinset.downstream.placed_models import MASKED, Lesson, fit_objects, fit_pixels
from twinset.downstream.placed_settings import PlacedPlan, PlacedSettings
from twinset.instances import INSTANCES, Instances, from_value, to_value
from twinset.models.detection import Scenes
from twinset.models.segmentation import PixelScenes
from twinset.pixel_scores import PixelScores, confusion
from twinset.randomness import Stream
from twinset.stages import Progress, silent
from twinset.store import read_table, write_bytes, write_table
from twinset.threads import torch_threads

__all__ = ["PlacedPlan", "PlacedSettings", "read_found", "run_placed_cell", "write_found"]

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Which real and which synthetic scenes a cell trains on."""

Predicted = list[Instances] | list[NDArray[np.int32]]


def run_placed_cell(
    cell: Cell,
    data: PlacedData,
    *,
    plan: PlacedPlan,
    study: str,
    found: Path,
    folder: Path | None = None,
    progress: Progress = silent,
) -> CellResult:
    """Trains the cell's network on one thread, judges validation, and writes what it found in the test images.

    All recipes of one subset and seed share their stream: first weights and order of the real images. ``folder`` is
    where a :class:`~twinset.downstream.placed_inputs.StudyData` was saved, for trainings that need its masks or
    pictures; a user's trainer works in a folder beside ``found``, named after the cell.
    """
    started = time.perf_counter()
    rng = Stream(plan.seed).child("utility", cell.subset, cell.seed)
    rows = _rows(cell, data)
    if plan.settings.weights is not None:
        plan.settings.weights.check()
    validation: Predicted
    test: Predicted
    with torch_threads(1):
        if plan.settings.trainer is not None:
            pictures, outside = _needed(folder) / PICTURES, found.parent / cell.key
            answer = train_outside(cell, data, rows, plan=plan, pictures=pictures, folder=outside, rng=rng)
            validation, test = answer.validation, answer.test
        elif data.kind == "objects":
            validation, test = _detect(cell, data, rows, plan, rng, folder, progress)
        else:
            validation, test = _segment(cell, data, rows, plan, rng, progress)
    score, loss = _judged(data, plan, validation, test, found)
    return CellResult(cell, study, score, loss, time.perf_counter() - started, found=found_digest(found))


def _rows(cell: Cell, data: PlacedData) -> Rows:
    share = cell.recipe.share
    real = data.rows("train", cell.subset) if share < 1 else np.zeros(0, dtype=np.int64)
    synthetic = data.rows("synthetic", cell.subset) if share > 0 else np.zeros(0, dtype=np.int64)
    if (share < 1 and not len(real)) or (share > 0 and not len(synthetic)):
        raise ValueError(f"expected real and synthetic images for {cell.key}; got {len(real)} and {len(synthetic)}")
    return real, synthetic


def _needed(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("expected the folder of the study's data, for its masks or pictures; got none")
    return folder


def _detect(
    cell: Cell,
    data: PlacedData,
    rows: Rows,
    plan: PlacedPlan,
    rng: Stream,
    folder: Path | None,
    progress: Progress,
) -> tuple[list[Instances], list[Instances]]:
    """What a detector, trained here, finds in the validation and test images."""
    real, synthetic = rows
    masked = plan.settings.model == MASKED
    detector = fit_objects(
        cast(Scenes, data.train).take(real).concat(cast(Scenes, data.synthetic).take(synthetic)),
        Lesson(plan.settings, cell.recipe, plan.flip),
        n_classes=data.n_classes,
        rng=rng,
        source=np.repeat([0, 1], [len(real), len(synthetic)]),
        masks=TrainingMasks.load(_needed(folder)).of_rows(real, synthetic) if masked else None,
        progress=progress,
    )
    return detector.predict(cast(Scenes, data.validation)), detector.predict(cast(Scenes, data.test))


def _segment(
    cell: Cell, data: PlacedData, rows: Rows, plan: PlacedPlan, rng: Stream, progress: Progress
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]:
    """The maps that a segmenter, trained here, gives to the validation and test images."""
    real, synthetic = rows
    segmenter = fit_pixels(
        cast(PixelScenes, data.train).take(real).concat(cast(PixelScenes, data.synthetic).take(synthetic)),
        Lesson(plan.settings, cell.recipe, plan.flip),
        n_classes=data.n_classes,
        rng=rng,
        source=np.repeat([0, 1], [len(real), len(synthetic)]),
        progress=progress,
    )
    return segmenter.predict(cast(PixelScenes, data.validation)), segmenter.predict(cast(PixelScenes, data.test))


def _judged(
    data: PlacedData, plan: PlacedPlan, validation: Predicted, test: Predicted, found: Path
) -> tuple[float, float]:
    """The score and the loss on validation; what was found in the test images goes into the file ``found``."""
    if data.kind == "objects":
        score = _judge_objects(data, plan, cast("list[Instances]", validation))
        write_found(found, cast("list[Instances]", test))
        return score
    score = _judge_pixels(data, cast("list[NDArray[np.int32]]", validation))
    _write_confusions(found, _confusions(data.maps("test"), cast("list[NDArray[np.int32]]", test), data))
    return score


def _judge_objects(data: PlacedData, plan: PlacedPlan, found: Sequence[Instances]) -> tuple[float, float]:
    """AP at an overlap of one half in the validation images, and one minus COCO's AP."""
    kind: Literal["boxes", "masks"] = "masks" if plan.settings.masks else "boxes"
    matches = match_detections(
        data.instances("validation"), found, n_classes=data.n_classes, kind=kind, ignore_difficult=True
    )
    figures = matches.average_precision()
    return figures.ap50, 1.0 - figures.ap


def _judge_pixels(data: PlacedData, found: Sequence[NDArray[np.int32]]) -> tuple[float, float]:
    """mIoU in the validation images, and the share of wrong pixels."""
    scores = PixelScores.of(_confusions(data.maps("validation"), found, data))
    return scores.miou, 1.0 - scores.pixel_accuracy


def _write_confusions(path: Path, confusions: NDArray[np.int64]) -> None:
    from safetensors.numpy import save

    write_bytes(path, save({"confusions": confusions}))


def _confusions(
    truth: Sequence[NDArray[np.int32]], found: Sequence[NDArray[np.int32]], data: PlacedData
) -> NDArray[np.int64]:
    """int64 (N, C, C)."""
    return np.stack([confusion(a, b, n_classes=data.n_classes) for a, b in zip(truth, found, strict=True)])


def write_found(path: Path, found: Sequence[Instances]) -> str:
    """Detections of all test images, in order, as one Parquet file; its sha256, as a :class:`CellResult` has it."""
    column = pa.array([to_value(instances) for instances in found], INSTANCES)
    return write_table(path, pa.table({"instances": column}))


def found_digest(path: Path) -> str:
    """sha256 of what a cell found, as its result has it; ``OSError`` where there is no such file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_found(path: Path) -> list[Instances]:
    """The detections that :func:`write_found` wrote."""
    return [from_value(value) for value in read_table(path).column("instances").to_pylist()]
