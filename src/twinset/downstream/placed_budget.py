"""A time budget to the size of pictures and the number of steps at which detectors or segmenters are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from twinset.dataset import Dataset
from twinset.downstream.arms import Recipe
from twinset.downstream.placed_data import AnyScenes, Kind
from twinset.downstream.placed_models import MASKED, ONE_SIZE, Lesson, fit_objects, fit_pixels
from twinset.downstream.placed_settings import PlacedSettings, Weights
from twinset.masks import Rle
from twinset.models.detection import DetectorSettings, NetworkSize, Scenes, network_size, step_seconds
from twinset.models.segmentation import PixelScenes
from twinset.models.vision import SceneMasks
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
SLOW_SECONDS = 1.5
"""A network of torchvision whose first step takes longer, building included, is probed once and not three times."""

OBJECTS = 12
PROBED = Recipe("real+classical", "strong", 0.0)
LEAST_OF_AREA = 0.5
"""A step on a part of the area takes at least this much of that part of the time; else it is not even probed."""


def placed_size(dataset: Dataset, kind: Kind) -> NetworkSize:
    """The size at which these training images are learnt where time is no object, and the stride of the detector."""
    shapes = np.array([sample.shape()[:2] for sample in dataset])
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
    model: str | None = None,
    weights: Weights | None = None,
) -> PlacedSettings:
    """Settings with which ``cells`` cells take about ``seconds`` on ``workers`` one-thread processes.

    Tries the full size and then smaller ones, and takes the first that leaves ``FEWEST_STEPS``; never goes below that
    floor, so a very small budget is overrun rather than the baseline weakened. ``size`` (height, width) and ``steps``
    are taken where they are decided. The answer depends on the machine.
    """
    if not len(dataset) or seconds <= 0 or min(workers, cells) < 1:
        raise ValueError(f"expected images, seconds > 0, workers and cells ≥ 1; got {dataset}, {seconds}, {workers}")
    channels = 3 if any(sample.shape()[2] == 3 for sample in dataset) else 1
    best = placed_size(dataset, kind)
    per_cell = SAFETY * seconds * min(workers, cells) / cells
    whole, at_least = (best.height, best.width), 0.0
    for height, width in list(_sizes(best)) if size is None and model != ONE_SIZE else [size or whole]:
        own = PlacedSettings(height, width, channels, FEWEST_STEPS, batch, network_width, best.stride)
        settings = replace(own, model=model, weights=weights)
        if steps is not None:
            return replace(settings, steps=steps)
        if per_cell < at_least * height * width * FEWEST_STEPS:
            continue
        step = seconds_per_step(settings, kind, n_classes=len(dataset.classes))
        fitting = int(per_cell / step - EVALUATION_COST * n_evaluate / batch) // 50 * 50
        if fitting >= FEWEST_STEPS:
            return replace(settings, steps=min(fitting, MOST_STEPS))
        at_least = LEAST_OF_AREA * step / (height * width)
    return settings


def placed_study_seconds(
    settings: PlacedSettings, kind: Kind, *, n_classes: int, workers: int, cells: int, n_evaluate: int
) -> float:
    """What ``cells`` cells with these settings take on ``workers`` one-thread processes, by a probe."""
    step = seconds_per_step(settings, kind, n_classes=n_classes)
    work = settings.steps + EVALUATION_COST * n_evaluate / settings.batch
    return cells / min(workers, cells) * step * work / SAFETY


def seconds_per_step(settings: PlacedSettings, kind: Kind, *, n_classes: int) -> float:
    """The median over some probes, on one thread as cells have it, after one that only warms up.

    Of a network whose steps take seconds a single one is timed.
    """
    if kind == "objects" and settings.model is None:
        detector = DetectorSettings(
            batch=settings.batch, width=settings.network_width, stride=settings.stride, crop=settings.crop
        )
        return step_seconds(settings.height, settings.width, settings.channels, n_classes=n_classes, settings=detector)
    rng, classes = Stream(0).child("probe"), max(1, n_classes)
    scenes: AnyScenes
    scenes = _probe_objects(settings, classes, rng) if kind == "objects" else _probe_pixels(settings, classes, rng)
    masks = _probe_masks(scenes) if isinstance(scenes, Scenes) and settings.model == MASKED else None

    def seconds(steps: int) -> float:
        lesson = Lesson(replace(settings, steps=steps), PROBED, True)
        started = time.perf_counter()
        if isinstance(scenes, Scenes):
            fit_objects(scenes, lesson, n_classes=classes, rng=rng, masks=masks)
        else:
            fit_pixels(scenes, lesson, n_classes=classes, rng=rng)
        return time.perf_counter() - started

    with torch_threads(1):
        if seconds(1) > SLOW_SECONDS and settings.model is not None:
            return max(1e-4, seconds(2) - seconds(1))
        found = [(seconds(PROBE_STEPS + 1) - seconds(1)) / PROBE_STEPS for _ in range(3)]
    return max(1e-4, statistics.median(found))


def _probe_objects(settings: PlacedSettings, n_classes: int, rng: Stream) -> Scenes:
    """Noise with a dozen objects in each picture."""
    generator, n = rng.numpy(), settings.batch
    size = np.array([settings.width, settings.height])
    corners = generator.uniform(0, 0.8, (n, OBJECTS, 2)) * size
    shape = (n, settings.height, settings.width, settings.channels)
    return Scenes(
        generator.integers(256, size=shape, dtype=np.uint8),
        tuple(np.concatenate([corners, corners + size * 0.15], axis=2).astype(np.float32)),
        (np.arange(OBJECTS) % n_classes,) * n,
        (np.zeros(OBJECTS, dtype=np.bool_),) * n,
        np.ones((n, 2)),
        np.zeros((n, 2)),
        np.tile(size[::-1], (n, 1)),
        np.ones(n, dtype=np.bool_),
    )


def _probe_masks(scenes: Scenes) -> SceneMasks:
    """Every box filled."""
    masks = []
    for boxes in scenes.boxes:
        row = []
        for x1, y1, x2, y2 in boxes.astype(int).tolist():
            mask = np.zeros(scenes.images.shape[1:3], dtype=np.bool_)
            mask[y1 : y2 + 1, x1 : x2 + 1] = True
            row.append(Rle.of(mask))
        masks.append(tuple(row))
    return tuple(masks)


def _probe_pixels(settings: PlacedSettings, n_classes: int, rng: Stream) -> PixelScenes:
    """Noise, and classes by chance."""
    generator = rng.numpy()
    shape = (settings.batch, settings.height, settings.width)
    images = generator.integers(256, size=(*shape, settings.channels), dtype=np.uint8)
    maps = generator.integers(n_classes, size=shape).astype(np.int16)
    return PixelScenes(images, maps, np.tile(np.array(shape[1:], dtype=np.int32), (settings.batch, 1)))


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
