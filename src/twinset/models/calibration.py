"""An image size and a time budget to a network, its training and its sampling, by timing a few steps here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from twinset.images import ImageSpec
from twinset.models.diffusion import fresh_denoiser
from twinset.models.networks import Family, NetworkSettings
from twinset.models.probing import PROBE_STEPS, Clock, check_budget, most_able, noise_images, quickest
from twinset.models.training import Trainer, TrainingSettings, draw_batch
from twinset.randomness import Stream
from twinset.threads import torch_threads

WIDTHS = (96, 64, 32)
TOKEN_WIDTHS = (192, 128, 96)
LARGEST_FINE_SIDE = 40
ENOUGH_STEPS = 400
"""Steps below which a wider network is not worth its time."""

SAMPLING_SHARE = 0.75
"""Share of the budget for training; the rest is for the looks at copies."""

MOST_EPOCHS = 55
"""Passes over the training set. Measured on digits (1,076 images, U-Net of width 96, a new split each time): 69 passes
with AUGMENT .3 gave a membership AUC of .520 at the gate and 98.9 % of the accuracy of real images (4 splits), 54 to 59
passes with .5 gave .513 and 98.2 % (19 splits, of which the gate blocked one). See benchmarks/gate.py."""

LEAST_USEFUL_STEPS = 450
"""A small set gets these however often they pass over it, or nothing is learnt; the looks at copies stop them."""

FEWEST_STEPS = 60
AUGMENT = 0.5


@dataclass(frozen=True)
class DiffusionPlan:
    """What calibration decides; all plain numbers, so that it can stand in a recipe."""

    network: NetworkSettings
    batch: int
    steps: int
    augment: float


def candidates(spec: ImageSpec, *, family: Family | None = None) -> list[NetworkSettings]:
    """Networks for this size, the most able first; a position of the first feature map stands for a patch of pixels.

    U-Nets of all widths, then, from 40 px or when asked for, patch transformers, which cost less a step there.
    """
    side = max(spec.height, spec.width)
    patch = 2 if side <= LARGEST_FINE_SIDE else 4 if side <= 96 else 8
    networks = []
    if family != "transformer":
        networks += [NetworkSettings("unet", width, 1, 2, patch) for width in WIDTHS]
    if family == "transformer" or (family is None and side > LARGEST_FINE_SIDE):
        networks += [NetworkSettings("transformer", width, 6, 1, patch) for width in TOKEN_WIDTHS]
    return networks


def calibrate(
    spec: ImageSpec,
    *,
    n_classes: int,
    n_training: int,
    seconds: float,
    threads: int,
    device: str = "cpu",
    family: Family | None = None,
    adapt: Callable[[NetworkSettings], NetworkSettings] = lambda network: network,
    clock: Clock = time.perf_counter,
) -> DiffusionPlan:
    """The most able network that gets enough steps within ``seconds``, and how many steps it gets.

    ``family`` narrows the candidates, ``adapt`` puts what a user asked for into each before it is timed.

    Steps are bounded by :data:`MOST_EPOCHS` passes over the training set, but not below :data:`LEAST_USEFUL_STEPS`.
    """
    check_budget(seconds, n_training)
    batch = 128 if n_training >= 128 else 64
    most = max(LEAST_USEFUL_STEPS, MOST_EPOCHS * n_training // batch)
    networks = dict.fromkeys(adapt(network) for network in candidates(spec, family=family))

    def timed(network: NetworkSettings, hopeless: float) -> float:
        return seconds_per_step(network, spec, n_classes, batch, device=device, clock=clock, hopeless=hopeless)

    with torch_threads(threads):
        network, steps = most_able(networks, timed, budget=SAMPLING_SHARE * seconds, enough=min(most, ENOUGH_STEPS))
    return DiffusionPlan(network, batch, max(FEWEST_STEPS, min(steps, most)), AUGMENT)


def seconds_per_step(
    network: NetworkSettings,
    spec: ImageSpec,
    n_classes: int,
    batch: int,
    *,
    device: str,
    clock: Clock,
    hopeless: float = inf,
) -> float:
    """Of training, on noise (:func:`quickest`)."""
    data, rng = noise_images(batch, spec, n_classes), Stream(0)
    settings = TrainingSettings(steps=PROBE_STEPS + 1, batch=batch, augment=0.5)
    trainer = Trainer(fresh_denoiser(network, spec, n_classes, sigma_data=0.5, rng=rng), settings, device=device)

    def step() -> None:
        drawn = draw_batch(trainer.step, data, settings, null_class=n_classes, sigma_data=0.5, rng=rng)
        trainer.advance(drawn)

    return quickest(step, clock, hopeless=hopeless)
