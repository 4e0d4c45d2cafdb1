"""An image size and a time budget to the size of a GAN and its training, by timing a few steps here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from twinset.images import ImageSpec
from twinset.models.gan.model import GanSettings
from twinset.models.gan.networks import build_gan
from twinset.models.gan.training import GanTrainer, draw_gan_batch
from twinset.models.private.accounting import Privacy
from twinset.models.probing import (
    PRIVATE_PROBE_IMAGES,
    PROBE_STEPS,
    Clock,
    check_budget,
    most_able,
    noise_images,
    probed_account,
    quickest,
)
from twinset.randomness import Stream
from twinset.threads import torch_threads

WIDTHS = (32, 16)
NEVER = PROBE_STEPS + 2
"""Steps of the discriminator for one of the generator with which none of the latter is due in a probe."""

ENOUGH_STEPS = 1500
"""Steps below which a wider network is not worth its time."""

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
    check_budget(seconds, n_training)
    most = max(LEAST_USEFUL_STEPS, MOST_EPOCHS * n_training // USUAL.batch)
    plans = [replace(USUAL, width=width, discriminator_width=width) for width in WIDTHS]
    differing = {settings(plan).network: plan for plan in plans}

    def timed(plan: GanPlan, hopeless: float) -> float:
        return seconds_per_step(
            settings(plan), spec, n_classes, threads=threads, device=device, clock=clock, hopeless=hopeless
        )

    plan, steps = most_able(differing.values(), timed, budget=TRAINING_SHARE * seconds, enough=min(most, ENOUGH_STEPS))
    return replace(plan, steps=max(FEWEST_STEPS, min(steps, most)))


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
    check_budget(seconds, n_training)
    batch = max(1, min(n_training, max(64, min(2048, n_training // 2))))
    plan = replace(PRIVATE, batch=batch)
    step = private_seconds_per_step(settings(plan), privacy, spec, n_classes, threads=threads, device=device)
    steps = int(max(FEWEST_PRIVATE_STEPS, min(MOST_PRIVATE_STEPS, seconds / step)))
    return replace(plan, steps=steps)


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
    """Of the discriminator, with its share of a step of the generator; by that of the discriminator if hopeless."""
    data, rng, latent = noise_images(settings.training.batch, spec, n_classes), Stream(0), settings.network.latent

    def timed(discriminator_steps: int) -> float:
        probe = replace(settings.training, steps=NEVER, discriminator_steps=discriminator_steps)
        networks = build_gan(settings.network, spec, n_classes, generator=rng.torch())
        trainer = GanTrainer(networks, probe, rng=rng, device=device)
        return quickest(
            lambda: trainer.advance(draw_gan_batch(trainer.step, data, probe, latent, rng=rng)),
            clock,
            hopeless=hopeless,
        )

    with torch_threads(threads):
        alone = timed(NEVER)
        if alone > hopeless:
            return alone
        return alone + max(0.0, timed(1) - alone) / settings.training.discriminator_steps


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
    """As :func:`seconds_per_step`, by a few images of noise, for as many as a step draws."""
    from twinset.models.private.gan import MOST_MADE, PrivateGanTrainer

    data, account = noise_images(PRIVATE_PROBE_IMAGES, spec, n_classes), probed_account(privacy)
    batch = settings.training.batch

    def timed(discriminator_steps: int) -> float:
        asked = replace(settings.training, batch=len(data.images), steps=NEVER, discriminator_steps=discriminator_steps)
        probe = replace(settings, training=asked, looks=0)
        trainer = PrivateGanTrainer(
            data, n_classes, probe, account=account, draws=privacy.draws, key=bytes(32), device=device
        )
        return quickest(trainer.advance, clock)

    with torch_threads(threads):
        alone = timed(NEVER)
        generator = max(0.0, timed(1) - alone) * min(batch, MOST_MADE) / PRIVATE_PROBE_IMAGES
    return alone * batch / PRIVATE_PROBE_IMAGES + generator / settings.training.discriminator_steps
