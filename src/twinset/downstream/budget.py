"""A time budget to integers: how wide a classifier, for how many steps, fits into the time for a whole study."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from twinset.images import ImageSpec
from twinset.models.classical import augmentation
from twinset.models.classifier import ClassifierSettings, fit_classifier
from twinset.randomness import Stream
from twinset.threads import torch_threads

WIDTHS = (32, 24, 16)
FEWEST_STEPS = 300
MOST_STEPS = 1000
"""Below, the classical arm is under-trained and comparisons flatter the synthetic one; above, little is gained."""

IMBALANCE = 1.5
PROBE_STEPS = 6
PROBES = 3
SAFETY = 0.75
"""Cells that run side by side share memory bandwidth, so a step takes longer than the lone probe says."""


def unbalanced(class_counts: Sequence[int]) -> bool:
    """Whether classes differ in size by more than half; then every class is drawn equally often."""
    present = [count for count in class_counts if count > 0]
    return bool(present) and max(present) > IMBALANCE * min(present)


def choose_settings(
    spec: ImageSpec,
    class_counts: Sequence[int],
    *,
    seconds: float,
    workers: int,
    cells: int,
    batch: int = 64,
    width: int | None = None,
    n_evaluate: int = 0,
) -> ClassifierSettings:
    """Settings with which ``cells`` cells take about ``seconds`` on ``workers`` one-thread processes.

    Times a few steps of the widest network that leaves at least ``FEWEST_STEPS`` (some seconds of probing); never goes
    below that floor, so a very small budget is overrun rather than the baseline weakened. ``class_counts`` are the
    training images per class, ``n_evaluate`` is how many images each cell predicts, ``width`` the one to take if it is
    decided. The answer depends on the machine.
    """
    present = [count for count in class_counts if count > 0]
    if not present or seconds <= 0 or workers < 1 or cells < 1:
        raise ValueError(
            f"expected images, seconds > 0, workers and cells ≥ 1; got {class_counts}, {seconds}, {workers}"
        )
    per_cell = SAFETY * seconds * min(workers, cells) / cells
    for width_ in WIDTHS if width is None else (width,):
        settings = ClassifierSettings(width=width_, batch=batch, class_balanced=unbalanced(class_counts))
        step = _seconds_per_step(spec, len(class_counts), settings)
        evaluation = step / 3 * n_evaluate / settings.batch
        steps = int((per_cell - evaluation) / step) // 50 * 50
        if steps >= FEWEST_STEPS:
            return replace(settings, steps=min(steps, MOST_STEPS))
    return replace(settings, steps=FEWEST_STEPS)


def study_seconds(
    spec: ImageSpec, n_classes: int, settings: ClassifierSettings, *, workers: int, cells: int, n_evaluate: int
) -> float:
    """What ``cells`` cells with these settings take on ``workers`` one-thread processes, by a probe."""
    step = _seconds_per_step(spec, n_classes, settings)
    return cells / min(workers, cells) * step * (settings.steps + n_evaluate / settings.batch / 3) / SAFETY


def _seconds_per_step(spec: ImageSpec, n_classes: int, settings: ClassifierSettings) -> float:
    """The median over some probes, on one thread as cells have it, after one that only warms up."""
    rng = Stream(0).child("probe")
    images = rng.numpy().integers(256, size=(settings.batch, *spec.shape), dtype=np.uint8)
    labels = np.arange(settings.batch) % max(1, n_classes)

    def seconds(steps: int) -> float:
        probe = replace(settings, steps=steps, augmentation=augmentation("strong"))
        started = time.perf_counter()
        fit_classifier(images, labels, n_classes=max(1, n_classes), settings=probe, rng=rng)
        return time.perf_counter() - started

    with torch_threads(1):
        seconds(PROBE_STEPS)
        found = [(seconds(PROBE_STEPS + 1) - seconds(1)) / PROBE_STEPS for _ in range(PROBES)]
    return max(1e-4, statistics.median(found))
