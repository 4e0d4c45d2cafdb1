"""Training a generator against a discriminator: stateless randomness, EMA of the generator, checkpoints bit for bit.

Hinge loss (Lim and Ye 2017), R1 on real images every few steps (Mescheder et al. 2018; "lazy": Karras et al. 2020),
Adam without memory of first moments. Everything random about a step is a pure function of (stream, step).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from twinset.errors import UsageError
from twinset.images import to_model
from twinset.models.descent import Descent, Tensors
from twinset.models.gan.augmentation import CHANGES, Change, Drawn, change, draw_changes
from twinset.models.gan.networks import Discriminator, GanGenerator
from twinset.models.gan.spectral import SpectralNorms
from twinset.models.optimisers import Adam
from twinset.models.training import TrainingSet, batch_rows
from twinset.randomness import Stream

STEPS_BETWEEN_R1 = 8
FALLING = 0.5
"""Share of the training over which the learning rates fall to zero."""


@dataclass(frozen=True)
class GanTrainingSettings:
    """How to train.

    ``steps``: of the discriminator; every ``discriminator_steps``-th is followed by one of the generator. ``batch``:
    real images, and as many made ones, in a step. ``learning_rate`` of the generator, ``discriminator_rate`` of the
    discriminator. ``r1``: weight γ of ½‖∇D‖² on real images, 0 for none. ``changes``: those of DiffAugment. ``flip``: a
    mirrored picture is still one of its class. ``ema``: relative width of the generator's average, as in diffusion.
    """

    steps: int = 2000
    batch: int = 64
    discriminator_steps: int = 3
    learning_rate: float = 1.5e-3
    discriminator_rate: float = 2e-3
    r1: float = 0.0
    changes: tuple[Change, ...] = ("translation",)
    flip: bool = False
    ema: float = 0.05

    def __post_init__(self) -> None:
        if self.batch < 1 or not 1 <= self.discriminator_steps <= self.steps:
            raise ValueError(
                f"expected batch ≥ 1 and 1 ≤ discriminator_steps ≤ steps; got {self.batch}, "
                f"{self.discriminator_steps} and {self.steps}"
            )
        rates = (self.learning_rate, self.discriminator_rate)
        if not all(0 < rate < math.inf for rate in rates) or not 0 <= self.r1 < math.inf:
            raise ValueError(f"expected learning rates above 0 and r1 ≥ 0, all finite; got {rates} and {self.r1}")
        if not set(self.changes) <= set(CHANGES) or len(set(self.changes)) < len(self.changes):
            raise ValueError(f"expected changes out of {', '.join(CHANGES)}, each once; got {list(self.changes)}")
        if not 0 < self.ema < 0.28:
            raise ValueError(f"expected ema in (0, 0.28); got {self.ema}")


class GanBatch(NamedTuple):
    """What one step sees: real images, their classes, two draws of latent codes, changes of real and made pictures.

    The made pictures of a step have the classes of its real ones. ``again`` is of the generator's own step.
    """

    real: torch.Tensor
    class_ids: torch.Tensor
    latent: torch.Tensor
    latent_again: torch.Tensor
    of_real: Drawn
    of_made: Drawn
    of_made_again: Drawn

    def to(self, device: torch.device) -> GanBatch:
        """The same on another device."""
        real, class_ids, latent, again = (part.to(device) for part in self[:4])
        return GanBatch(real, class_ids, latent, again, *(part.to(device) for part in self[4:]))


def draw_gan_batch(
    step: int, data: TrainingSet, settings: GanTrainingSettings, latent: int, *, rng: Stream
) -> GanBatch:
    """Everything random about one step, drawn on the CPU so that every device trains on the same numbers."""
    rows = batch_rows(step, images=len(data.images), batch=settings.batch, rng=rng)
    generator = rng.child("step", step).torch()
    codes = torch.randn(2, len(rows), latent, generator=generator)
    drawn = [draw_changes(len(rows), settings.changes, flip=settings.flip, generator=generator) for _ in range(3)]
    return GanBatch(to_model(data.images[rows]), torch.from_numpy(data.class_ids[rows]), codes[0], codes[1], *drawn)


def rate_at(step: int, steps: int) -> float:
    """What is left of a learning rate: all, then a linear fall to zero over the last part.

    >>> [round(rate_at(step, 10), 2) for step in (0, 5, 9)]
    [1.0, 1.0, 0.2]
    """
    return min(1.0, (steps - step) / max(1.0, FALLING * steps))


def adam(parameters: Mapping[str, torch.Tensor], learning_rate: float) -> Adam:
    """Adam without memory of first moments, of either network."""
    return Adam(parameters.values(), lr=learning_rate, betas=(0.0, 0.99), fused=True)


def part_of(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """The tensors under this prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def prefixed(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """The same tensors under a prefix."""
    return {prefix + name: value for name, value in tensors.items()}


def generator_step(
    made: GanGenerator,
    own: Descent,
    judge: Discriminator,
    weights: Mapping[str, torch.Tensor],
    codes: tuple[torch.Tensor, torch.Tensor, Drawn],
    *,
    learning_rate: float,
) -> float:
    """One step of the generator on −mean D(changed pictures), the discriminator's ``weights`` held fixed; the loss.

    ``codes``: latent codes, classes, and how the pictures are changed.
    """
    latent, class_ids, drawn = codes
    fixed = {name: value.detach() for name, value in weights.items()}
    pictures = change(made(latent, class_ids), drawn)
    loss = -torch.func.functional_call(judge, fixed, (pictures, class_ids)).mean()
    gradients = torch.autograd.grad(loss, list(own.parameters.values()))
    own.descend(learning_rate, dict(zip(own.parameters, gradients, strict=True)))
    return float(loss.detach())


class GanTrainer:
    """The state of one training: both networks, the generator's average, singular vectors, number of steps done."""

    def __init__(
        self,
        networks: tuple[GanGenerator, Discriminator],
        settings: GanTrainingSettings,
        *,
        rng: Stream,
        device: str = "cpu",
    ) -> None:
        self.settings, self.device, self.step = settings, torch.device(device), 0
        self.made, self.judge = networks[0].to(self.device), networks[1].to(self.device)
        if self.device.type == "cuda":
            self.made.to(memory_format=torch.channels_last)
            self.judge.to(memory_format=torch.channels_last)
        made, judge = dict(self.made.named_parameters()), dict(self.judge.named_parameters())
        self.generator = Descent(made, adam(made, settings.learning_rate), ema=settings.ema)
        self.discriminator = Descent(judge, adam(judge, settings.discriminator_rate), ema=None)
        self.norms = SpectralNorms(self.discriminator.parameters, generator=rng.child("singular vectors").torch())

    @property
    def average(self) -> Tensors:
        """The generator's averaged weights: what is kept."""
        return self.generator.average

    def advance(self, batch: GanBatch) -> None:
        """One step of the discriminator, and one of the generator where it is due.

        A loss that is not finite is a :class:`UsageError`.
        """
        batch = batch.to(self.device)
        share = rate_at(self.step, self.settings.steps)
        self.norms.update(self.discriminator.parameters)
        self._check(self._judge(batch, share), "discriminator")
        if (self.step + 1) % self.settings.discriminator_steps == 0:
            weights = self.norms.normalised(self.discriminator.parameters)
            codes = batch.latent_again, batch.class_ids, batch.of_made_again
            rate = self.settings.learning_rate * share
            loss = generator_step(self.made, self.generator, self.judge, weights, codes, learning_rate=rate)
            self._check(loss, "generator")
        self.step += 1

    def _judge(self, batch: GanBatch, share: float) -> float:
        """One step of the discriminator; returns its hinge loss."""
        with torch.no_grad():
            made = change(self.made(batch.latent, batch.class_ids), batch.of_made)
        weights = self.norms.normalised(self.discriminator.parameters)
        real = change(batch.real, batch.of_real)
        both, classes = torch.cat([real, made]), torch.cat([batch.class_ids, batch.class_ids])
        logits = torch.func.functional_call(self.judge, weights, (both, classes))
        loss = hinge(*logits.chunk(2))
        total = loss
        if self.settings.r1 and self.step % STEPS_BETWEEN_R1 == 0:
            total = total + STEPS_BETWEEN_R1 * self.settings.r1 * r1(self.judge, weights, real, batch.class_ids)
        gradients = torch.autograd.grad(total, list(self.discriminator.parameters.values()))
        named = dict(zip(self.discriminator.parameters, gradients, strict=True))
        self.discriminator.descend(self.settings.discriminator_rate * share, named)
        return float(loss.detach())

    def _check(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            raise UsageError(
                f"expected a finite loss of the {what}; got {loss} at step {self.step}",
                hint=f"learning rates below {self.settings.learning_rate:g} and {self.settings.discriminator_rate:g}",
            )

    def tensors(self) -> Tensors:
        """All tensors of the state, under ``generator/``, ``discriminator/`` and ``spectral/``."""
        return (
            prefixed(self.generator.tensors(), "generator/")
            | prefixed(self.discriminator.tensors(), "discriminator/")
            | prefixed(self.norms.tensors(), "spectral/")
        )

    def restore(self, tensors: Tensors, step: int) -> None:
        """Continues from the state that :meth:`tensors` gave after ``step`` steps."""
        self.step = step
        self.generator.restore(part_of(tensors, "generator/"), step // self.settings.discriminator_steps)
        self.discriminator.restore(part_of(tensors, "discriminator/"), step)
        self.norms.restore(part_of(tensors, "spectral/"))


def hinge(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """mean max(0, 1 − D(real)) + mean max(0, 1 + D(made)), scalar.

    >>> float(hinge(torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])))
    1.5
    """
    return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()


def r1(
    judge: Discriminator, weights: Mapping[str, torch.Tensor], real: torch.Tensor, class_ids: torch.Tensor
) -> torch.Tensor:
    """½ mean ‖∇ₓ D(x, y)‖² over real images: Mescheder et al. 2018, equation 9."""
    asked = real.detach().requires_grad_()
    logits = torch.func.functional_call(judge, dict(weights), (asked, class_ids))
    (slope,) = torch.autograd.grad(logits.sum(), asked, create_graph=True)
    return 0.5 * slope.square().sum(dim=(1, 2, 3)).mean()
