"""Training and judging one cell of a study of detectors or segmenters: a pure function of data, plan and cell."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.average_precision import match_detections
from twinset.downstream.arms import Cell, CellResult, UtilityPlan
from twinset.downstream.placed_data import PlacedData
from twinset.instances import INSTANCES, Instances, from_value, to_value
from twinset.models.detection import DetectorSettings, Scenes, fit_detector, scene_augmentation
from twinset.models.segmentation import PixelScenes, SegmenterSettings, fit_segmenter
from twinset.models.segmentation import scene_augmentation as pixel_augmentation
from twinset.pixel_scores import PixelScores, confusion
from twinset.randomness import Stream
from twinset.stages import Progress, silent
from twinset.store import read_table, write_bytes, write_table
from twinset.threads import torch_threads


@dataclass(frozen=True)
class PlacedSettings:
    """What is trained in every cell: the size of its pictures (pixels), and the network.

    ``turn`` says that pictures may also be turned by quarters and mirrored upside down (microscopes, aeroplanes);
    ``crop`` trains on crops of that height and width.
    """

    height: int
    width: int
    channels: int
    steps: int
    batch: int = 8
    network_width: int = 16
    stride: Literal[4, 8] = 8
    turn: bool = False
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.steps, self.batch) < 1 or self.channels not in (1, 3):
            raise ValueError(f"expected a positive size, steps and batch, and 1 or 3 channels; got {self}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types."""
        return {**asdict(self), "crop": None if self.crop is None else list(self.crop)}

    @property
    def text(self) -> str:
        """For people."""
        return f"at {self.width} × {self.height}, width {self.network_width}"


PlacedPlan = UtilityPlan[PlacedSettings]


def run_placed_cell(
    cell: Cell, data: PlacedData, *, plan: PlacedPlan, study: str, found: Path, progress: Progress = silent
) -> CellResult:
    """Trains the cell's network on one thread, judges validation, and writes what it found in the test images.

    All recipes of one subset and seed share their stream: first weights and order of the real images.
    """
    started = time.perf_counter()
    rng = Stream(plan.seed).child("utility", cell.subset, cell.seed)
    with torch_threads(1):
        if data.kind == "objects":
            score, loss = _detect(cell, data, plan, rng, found, progress)
        else:
            score, loss = _segment(cell, data, plan, rng, found, progress)
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    return CellResult(cell, study, score, loss, time.perf_counter() - started, found=digest)


def _rows(cell: Cell, data: PlacedData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which real and which synthetic scenes a cell trains on."""
    share = cell.recipe.share
    real = data.rows("train", cell.subset) if share < 1 else np.zeros(0, dtype=np.int64)
    synthetic = data.rows("synthetic", cell.subset) if share > 0 else np.zeros(0, dtype=np.int64)
    if (share < 1 and not len(real)) or (share > 0 and not len(synthetic)):
        raise ValueError(f"expected real and synthetic images for {cell.key}; got {len(real)} and {len(synthetic)}")
    return real, synthetic


def _detect(
    cell: Cell, data: PlacedData, plan: PlacedPlan, rng: Stream, found: Path, progress: Progress
) -> tuple[float, float]:
    real, synthetic = _rows(cell, data)
    recipe, chosen = cell.recipe, plan.settings
    scenes = cast(Scenes, data.train).take(real).concat(cast(Scenes, data.synthetic).take(synthetic))
    settings = DetectorSettings(
        steps=chosen.steps,
        batch=chosen.batch,
        width=chosen.network_width,
        stride=chosen.stride,
        class_balanced=recipe.balanced,
        synthetic_share=recipe.share,
        crop=chosen.crop,
        augmentation=scene_augmentation(recipe.strength, flip=plan.flip, turn=chosen.turn),
    )
    source = np.repeat([0, 1], [len(real), len(synthetic)])
    detector = fit_detector(
        scenes, n_classes=data.n_classes, settings=settings, rng=rng, source=source, progress=progress
    )
    validation = detector.predict(cast(Scenes, data.validation))
    matches = match_detections(data.instances("validation"), validation, n_classes=data.n_classes)
    figures = matches.average_precision()
    write_found(found, detector.predict(cast(Scenes, data.test)))
    return figures.ap50, 1.0 - figures.ap


def _segment(
    cell: Cell, data: PlacedData, plan: PlacedPlan, rng: Stream, found: Path, progress: Progress
) -> tuple[float, float]:
    from safetensors.numpy import save

    real, synthetic = _rows(cell, data)
    recipe, chosen = cell.recipe, plan.settings
    scenes = cast(PixelScenes, data.train).take(real).concat(cast(PixelScenes, data.synthetic).take(synthetic))
    settings = SegmenterSettings(
        steps=chosen.steps,
        batch=chosen.batch,
        width=chosen.network_width,
        class_balanced=recipe.balanced,
        synthetic_share=recipe.share,
        crop=chosen.crop,
        augmentation=pixel_augmentation(recipe.strength, flips=_flips(plan)),
    )
    source = np.repeat([0, 1], [len(real), len(synthetic)])
    segmenter = fit_segmenter(
        scenes, n_classes=data.n_classes, settings=settings, rng=rng, source=source, progress=progress
    )
    validation = _confusions(data.maps("validation"), segmenter.predict(cast(PixelScenes, data.validation)), data)
    scores = PixelScores.of(validation)
    test = _confusions(data.maps("test"), segmenter.predict(cast(PixelScenes, data.test)), data)
    write_bytes(found, save({"confusions": test}))
    return scores.miou, 1.0 - scores.pixel_accuracy


def _flips(plan: PlacedPlan) -> Literal["none", "horizontal", "all"]:
    return "all" if plan.settings.turn else "horizontal" if plan.flip else "none"


def _confusions(
    truth: Sequence[NDArray[np.int32]], found: Sequence[NDArray[np.int32]], data: PlacedData
) -> NDArray[np.int64]:
    """int64 (N, C, C)."""
    return np.stack([confusion(a, b, n_classes=data.n_classes) for a, b in zip(truth, found, strict=True)])


def write_found(path: Path, found: Sequence[Instances]) -> None:
    """Detections of all test images, in order, as one Parquet file."""
    column = pa.array([to_value(instances) for instances in found], INSTANCES)
    write_table(path, pa.table({"instances": column}))


def read_found(path: Path) -> list[Instances]:
    """The detections that :func:`write_found` wrote."""
    return [from_value(value) for value in read_table(path).column("instances").to_pylist()]
