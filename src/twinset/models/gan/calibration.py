"""An image size and a time budget to the size of a GAN and its training, by timing a few steps here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from twinset.images import ImageSpec
from twinset.models.gan.model import GanSettings
from twinset.models.gan.networks import build_gan
from twinset.models.gan.training import GanTrainer, draw_gan_batch
from twinset.models.private.accounting import Account, Privacy
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.threads import torch_threads

Clock = Callable[[], float]
WIDTHS = (32, 16)
PROBE_STEPS = 3
PROBE_IMAGES = 16
ENOUGH_STEPS = 1500
"""Steps below which a wider network is not worth its time."""

HOPELESS = 2.0
"""A network whose first step takes this many times what it may is not timed further."""

TRAINING_SHARE = 0.85
"""Share of the budget for training; the rest is for the looks at copies."""

MOST_EPOCHS = 250
LEAST_USEFUL_STEPS = 1500
"""A small set gets these however often they pass over it; the looks at copies stop them."""

FEWEST_STEPS = 200
FEWEST_PRIVATE_STEPS, MOST_PRIVATE_STEPS = 200, 2000


@dataclass(frozen=True)
class GanPlan:
    """What calibration decides; all plain numbers, so that it can stand in a recipe."""

    width: int
    discriminator_width: int
    batch: int
    steps: int
    discriminator_steps: int
    learning_rate: float
    discriminator_rate: float


USUAL = GanPlan(16, 16, 64, ENOUGH_STEPS, 3, 1.5e-3, 2e-3)
"""A generator that steps as often as its discriminator collapsed on digits; this one takes a step for three."""

PRIVATE = GanPlan(16, 8, 256, MOST_PRIVATE_STEPS, 4, 1.5e-3, 2e-3)


def calibrate(
    spec: ImageSpec,
    settings: Callable[[GanPlan], GanSettings],
    *,
    n_classes: int,
    n_training: int,
    seconds: float,
    threads: int,
    device: str = "cpu",
    clock: Clock = time.perf_counter,
) -> GanPlan:
    """The widest networks that get enough steps within ``seconds``, and how many they get.

    ``settings`` puts what a user asked for into a plan before it is timed. Steps are bounded by :data:`MOST_EPOCHS`
    passes over the training set, but not below :data:`LEAST_USEFUL_STEPS`.
    """
    _check(seconds, n_training)
    most = max(LEAST_USEFUL_STEPS, MOST_EPOCHS * n_training // USUAL.batch)
    budget, found = TRAINING_SHARE * seconds, USUAL
    for width in WIDTHS:
        plan = replace(USUAL, width=width, discriminator_width=width)
        asked = settings(plan)
        step = seconds_per_step(
            asked,
            spec,
            n_classes,
            threads=threads,
            device=device,
            clock=clock,
            hopeless=HOPELESS * budget / ENOUGH_STEPS,
        )
        steps = int(budget / step * (1 + 1e-9))  # the clock's last bits lose no step
        found = replace(plan, steps=max(FEWEST_STEPS, min(steps, most)))
        if steps >= min(most, ENOUGH_STEPS) or asked.network.width != width:
            break
    return found


def private_plan(
    spec: ImageSpec,
    settings: Callable[[GanPlan], GanSettings],
    *,
    privacy: Privacy,
    n_classes: int,
    n_training: int,
    seconds: float,
    threads: int,
    device: str = "cpu",
) -> GanPlan:
    """The plan of a private training: batches of half of the images, as many steps as the time allows."""
    _check(seconds, n_training)
    batch = max(1, min(n_training, max(64, min(2048, n_training // 2))))
    plan = replace(PRIVATE, batch=batch)
    step = private_seconds_per_step(settings(plan), privacy, spec, n_classes, threads=threads, device=device)
    steps = int(max(FEWEST_PRIVATE_STEPS, min(MOST_PRIVATE_STEPS, seconds / step)))
    return replace(plan, steps=steps)


def _check(seconds: float, n_training: int) -> None:
    if seconds <= 0 or n_training < 1:
        raise ValueError(f"expected seconds > 0 and training images; got {seconds} and {n_training}")


def _noise(count: int, spec: ImageSpec, n_classes: int) -> TrainingSet:
    images = Stream(0).child("noise").numpy().integers(256, size=(count, *spec.shape), dtype=np.uint8)
    return TrainingSet(images, np.arange(count, dtype=np.int64) % n_classes)


def _quickest(step: Callable[[], None], clock: Clock, *, hopeless: float = inf) -> float:
    """The quickest of a few, after one that warms up; the first of them alone where it takes longer than it may."""
    times = []
    for number in range(PROBE_STEPS + 1):
        began = clock()
        step()
        times.append(clock() - began)
        if number and times[number] > hopeless:
            break
    return max(min(times[1:]), 1e-6)


def seconds_per_step(
    settings: GanSettings,
    spec: ImageSpec,
    n_classes: int,
    *,
    threads: int,
    device: str = "cpu",
    clock: Clock = time.perf_counter,
    hopeless: float = inf,
) -> float:
    """Of the discriminator, with its share of a step of the generator."""
    data, rng = _noise(settings.training.batch, spec, n_classes), Stream(0)
    probe = replace(settings.training, steps=PROBE_STEPS + 1, discriminator_steps=1)
    with torch_threads(threads):
        networks = build_gan(settings.network, spec, n_classes, generator=rng.torch())
        trainer = GanTrainer(networks, probe, rng=rng, device=device)
        latent = settings.network.latent
        return _quickest(
            lambda: trainer.advance(draw_gan_batch(trainer.step, data, probe, latent, rng=rng)),
            clock,
            hopeless=hopeless,
        )


def private_seconds_per_step(
    settings: GanSettings,
    privacy: Privacy,
    spec: ImageSpec,
    n_classes: int,
    *,
    threads: int,
    device: str = "cpu",
    clock: Clock = time.perf_counter,
) -> float:
    """Of the discriminator, by a few images of noise, for as many as a step draws."""
    from twinset.models.private.gan import PrivateGanTrainer

    data = _noise(PROBE_IMAGES, spec, n_classes)
    asked = replace(settings.training, batch=PROBE_IMAGES, steps=PROBE_STEPS + 1, discriminator_steps=1)
    account = Account(1.0, 1.0, PROBE_STEPS + 1, 0.5, 1.0, privacy.clip)
    with torch_threads(threads):
        probe = replace(settings, training=asked, looks=0)
        trainer = PrivateGanTrainer(
            data, n_classes, probe, account=account, draws=privacy.draws, key=bytes(32), device=device
        )
        return _quickest(trainer.advance, clock) * settings.training.batch / PROBE_IMAGES
