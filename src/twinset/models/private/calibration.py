"""A private training that fits a time budget: a small network, since noise grows with the number of weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from twinset.images import ImageSpec
from twinset.models.calibration import DiffusionPlan
from twinset.models.diffusion import DiffusionSettings
from twinset.models.networks import NetworkSettings
from twinset.models.private.accounting import Privacy
from twinset.models.private.diffusion import private_trainer
from twinset.models.probing import (
    PRIVATE_PROBE_IMAGES,
    PROBE_STEPS,
    Clock,
    check_budget,
    noise_images,
    probed_account,
    quickest,
)
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.threads import torch_threads

FEWEST_STEPS, MOST_STEPS = 100, 1000
AUGMENT = 0.3


def private_plan(
    spec: ImageSpec,
    privacy: Privacy,
    *,
    n_classes: int,
    n_training: int,
    seconds: float,
    threads: int,
    device: str = "cpu",
    adapt: Callable[[NetworkSettings], NetworkSettings] = lambda network: network,
) -> DiffusionPlan:
    """The plan of a private training: batches of a quarter of the images, as many steps as the time allows."""
    check_budget(seconds, n_training)
    side = max(spec.height, spec.width)
    patch = 1 if side <= 16 else 2 if side <= 40 else 4 if side <= 96 else 8
    network = adapt(NetworkSettings("unet", 32, 1, 2, patch))
    batch = max(1, min(n_training, max(64, min(1024, n_training // 4))))
    training = TrainingSettings(steps=1, batch=batch, augment=AUGMENT)
    settings = DiffusionSettings(network, training, SamplingSettings(), looks=0)
    step = seconds_per_step(settings, privacy, spec, n_classes, threads=threads, device=device)
    return DiffusionPlan(network, batch, int(max(FEWEST_STEPS, min(MOST_STEPS, seconds / step))), AUGMENT)


def seconds_per_step(
    settings: DiffusionSettings,
    privacy: Privacy,
    spec: ImageSpec,
    n_classes: int,
    *,
    threads: int,
    device: str = "cpu",
    clock: Clock = time.perf_counter,
) -> float:
    """By a few images of noise, for as many as a step draws."""
    data = noise_images(PRIVATE_PROBE_IMAGES, spec, n_classes)
    asked = replace(settings.training, batch=len(data.images), steps=PROBE_STEPS + 1)
    probe, account = replace(settings, training=asked, looks=0), probed_account(privacy)
    with torch_threads(threads):
        trainer, draw = private_trainer(
            data, n_classes, probe, account=account, draws=privacy.draws, key=bytes(32), device=device
        )
        step = quickest(lambda: trainer.advance(draw), clock)
    return step * settings.training.batch / PRIVATE_PROBE_IMAGES
