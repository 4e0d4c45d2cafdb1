"""A time budget to the size of pictures and the number of steps at which detectors or segmenters are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from twinset.dataset import Dataset
from twinset.downstream.placed_cells import PlacedSettings
from twinset.downstream.placed_data import Kind
from twinset.models.detection import DetectorSettings, NetworkSize, network_size, step_seconds
from twinset.models.segmentation import PixelScenes, SegmenterSettings, fit_segmenter
from twinset.models.segmentation import scene_augmentation as pixel_augmentation
from twinset.randomness import Stream
from twinset.threads import torch_threads

FEWEST_STEPS = 300
MOST_STEPS = 950
"""Below, the arms without synthetic data are under-trained; above, little is gained (ALGORITHMS 9)."""

SHRINKS = (1.0, 0.75, 0.5, 0.375)
SMALLEST_SIDE = 96
EVALUATION_COST = 1 / 3
"""What predicting a picture takes, in parts of what training on it takes."""

SAFETY = 0.75
LONGEST_PIXELS = 320
PROBE_STEPS = 3


def placed_size(dataset: Dataset, kind: Kind) -> NetworkSize:
    """The size at which these training images are learnt where time is no object, and the stride of the detector."""
    shapes = np.array([sample.pixels().shape[:2] for sample in dataset])
    if kind == "objects":
        return network_size(shapes, dataset.object_boxes(), dataset.object_counts())
    height, width = np.median(shapes, axis=0)
    scale = min(1.0, LONGEST_PIXELS / max(height, width))
    return NetworkSize(_multiple(height * scale), _multiple(width * scale), 8)


def choose_placed_settings(
    dataset: Dataset,
    kind: Kind,
    *,
    seconds: float,
    workers: int,
    cells: int,
    batch: int = 8,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    network_width: int = 16,
    n_evaluate: int = 0,
) -> PlacedSettings:
    """Settings with which ``cells`` cells take about ``seconds`` on ``workers`` one-thread processes.

    Tries the full size first and smaller ones after it, and takes the first that leaves ``FEWEST_STEPS``; never goes
    below that floor, so a very small budget is overrun rather than the baseline weakened. ``size`` (height, width) and
    ``steps`` are taken where they are decided. The answer depends on the machine.
    """
    if not len(dataset) or seconds <= 0 or min(workers, cells) < 1:
        raise ValueError(f"expected images, seconds > 0, workers and cells ≥ 1; got {dataset}, {seconds}, {workers}")
    channels: Literal[1, 3] = 3 if any(sample.pixels().shape[2] == 3 for sample in dataset) else 1
    best = placed_size(dataset, kind)
    per_cell = SAFETY * seconds * min(workers, cells) / cells
    settings = None
    for height, width in [size] if size is not None else _sizes(best):
        settings = PlacedSettings(height, width, channels, FEWEST_STEPS, batch, network_width, best.stride)
        step = seconds_per_step(settings, kind, n_classes=len(dataset.classes))
        fitting = int(per_cell / step - EVALUATION_COST * n_evaluate / batch) // 50 * 50
        if steps is not None:
            return replace(settings, steps=steps)
        if fitting >= FEWEST_STEPS:
            return replace(settings, steps=min(fitting, MOST_STEPS))
    assert settings is not None
    return settings


def placed_study_seconds(
    settings: PlacedSettings, kind: Kind, *, n_classes: int, workers: int, cells: int, n_evaluate: int
) -> float:
    """What ``cells`` cells with these settings take on ``workers`` one-thread processes, by a probe."""
    step = seconds_per_step(settings, kind, n_classes=n_classes)
    work = settings.steps + EVALUATION_COST * n_evaluate / settings.batch
    return cells / min(workers, cells) * step * work / SAFETY


def seconds_per_step(settings: PlacedSettings, kind: Kind, *, n_classes: int) -> float:
    """The median over some probes, on one thread as cells have it, after one that only warms up."""
    if kind == "objects":
        detector = DetectorSettings(
            batch=settings.batch, width=settings.network_width, stride=settings.stride, crop=settings.crop
        )
        return step_seconds(settings.height, settings.width, settings.channels, n_classes=n_classes, settings=detector)
    rng = Stream(0).child("probe")
    generator = rng.numpy()
    shape = (settings.batch, settings.height, settings.width)
    images = generator.integers(256, size=(*shape, settings.channels), dtype=np.uint8)
    maps = generator.integers(max(1, n_classes), size=shape).astype(np.int16)
    scenes = PixelScenes(images, maps, np.tile(np.array(shape[1:], dtype=np.int32), (settings.batch, 1)))

    def seconds(steps: int) -> float:
        probe = SegmenterSettings(
            steps=steps,
            batch=settings.batch,
            width=settings.network_width,
            crop=settings.crop,
            augmentation=pixel_augmentation("strong", flips="horizontal"),
        )
        started = time.perf_counter()
        fit_segmenter(scenes, n_classes=max(1, n_classes), settings=probe, rng=rng)
        return time.perf_counter() - started

    with torch_threads(1):
        seconds(1)
        found = [(seconds(PROBE_STEPS + 1) - seconds(1)) / PROBE_STEPS for _ in range(3)]
    return max(1e-4, statistics.median(found))


def _sizes(best: NetworkSize) -> Iterator[tuple[int, int]]:
    seen = set()
    for shrink in SHRINKS:
        size = _multiple(best.height * shrink), _multiple(best.width * shrink)
        if size not in seen and (shrink == 1.0 or max(size) >= SMALLEST_SIDE):
            seen.add(size)
            yield size


def _multiple(side: float) -> int:
    """The nearest multiple of 16, at least one."""
    return max(1, round(side / 16)) * 16
