"""How long a training step takes here, and the most able network that gets enough of them in the time there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import TypeVar

import numpy as np

from twinset.images import ImageSpec
from twinset.models.private.accounting import Account, Privacy
from twinset.models.training import TrainingSet
from twinset.randomness import Stream

Clock = Callable[[], float]
Candidate = TypeVar("Candidate")

PROBE_STEPS = 3
PRIVATE_PROBE_IMAGES = 16
HOPELESS = 2.0
"""A network whose first step takes this many times what it may is not timed further: no quicker step would save it."""


def check_budget(seconds: float, n_training: int) -> None:
    """``ValueError`` where there is no time or no image."""
    if seconds <= 0 or n_training < 1:
        raise ValueError(f"expected seconds > 0 and training images; got {seconds} and {n_training}")


def most_able(
    candidates: Iterable[Candidate],
    seconds_per_step: Callable[[Candidate, float], float],
    *,
    budget: float,
    enough: int,
) -> tuple[Candidate, int]:
    """The first candidate that gets ``enough`` steps within ``budget`` seconds, or else the last, and its steps.

    ``seconds_per_step`` is told the time of a step above which a candidate is hopeless.
    """
    for candidate in candidates:
        step = seconds_per_step(candidate, HOPELESS * budget / enough)
        steps = int(budget / step * (1 + 1e-9))  # the clock's last bits lose no step
        if steps >= enough:
            break
    return candidate, steps


def quickest(step: Callable[[], object], clock: Clock, *, hopeless: float = inf) -> float:
    """Seconds of the quickest of a few steps, after one that warms up.

    The first of them alone where it takes longer than ``hopeless`` seconds.
    """
    times: list[float] = []
    for number in range(PROBE_STEPS + 1):
        began = clock()
        step()
        times.append(clock() - began)
        if number and times[number] > hopeless:
            break
    return max(min(times[1:]), 1e-6)


def noise_images(count: int, spec: ImageSpec, n_classes: int) -> TrainingSet:
    """As many images of noise, of all classes in turn."""
    images = Stream(0).child("noise").numpy().integers(256, size=(count, *spec.shape), dtype=np.uint8)
    return TrainingSet(images, np.arange(count, dtype=np.int64) % n_classes)


def probed_account(privacy: Privacy) -> Account:
    """An account that lets every image be drawn, for timing alone."""
    return Account(1.0, 1.0, PROBE_STEPS + 1, 0.5, 1.0, privacy.clip)
