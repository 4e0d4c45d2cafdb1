"""Training a denoiser: stateless randomness, an EMA of the weights, checkpoints that continue bit for bit.

Batch, noise, class dropout and augmentation of step s are a pure function of (stream, s), so a run that is killed at
any step and continued from its checkpoint goes through exactly the states of an undisturbed one.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.errors import UsageError
from twinset.images import PixelBatch, to_model
from twinset.models.augmentation import augment, draw_augmentations
from twinset.models.descent import Descent
from twinset.models.optimisers import AdamW
from twinset.models.preconditioning import Denoiser, denoising_loss, training_noise_levels
from twinset.randomness import Stream


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    ``ema``: relative width of the averaging window (Karras et al. 2024, σ_rel): the average reaches back over about
    this share of all steps so far, whatever their number. ``augment``: probability of each augmentation. ``flip``: a
    mirrored picture is still one of its class. ``class_dropout``: share of images trained without their class.
    """

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3
    warmup: float = 0.05
    ema: float = 0.05
    class_dropout: float = 0.1
    augment: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not self.learning_rate > 0:
            raise ValueError(f"expected steps and batch ≥ 1 and a learning rate > 0; got {self}")
        if not (0 <= self.augment <= 1 and 0 <= self.class_dropout < 1 and 0 <= self.warmup < 1):
            raise ValueError(f"expected augment in [0, 1], class_dropout and warmup in [0, 1); got {self}")
        if not 0 < self.ema < 0.28:
            raise ValueError(f"expected ema in (0, 0.28); got {self.ema}")


class Batch(NamedTuple):
    """What one step trains on."""

    clean: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    class_ids: torch.Tensor
    augmentation: torch.Tensor


class TrainingSet(NamedTuple):
    """uint8 images (N, H, W, C), an array or a memory map, and int64 class ids (N,)."""

    images: PixelBatch
    class_ids: NDArray[np.int64]


def batch_rows(step: int, *, images: int, batch: int, rng: Stream) -> NDArray[np.int64]:
    """The rows of step ``step``: consecutive pieces of one fresh permutation per epoch.

    >>> rows = [batch_rows(s, images=6, batch=4, rng=Stream(1)).tolist() for s in range(3)]
    >>> sorted(rows[0] + rows[1][:2]), sorted(rows[1][2:] + rows[2])
    ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    """
    positions = np.arange(step * batch, (step + 1) * batch)
    epochs = positions // images
    orders = {epoch: rng.child("epoch", int(epoch)).numpy().permutation(images) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][position % images] for epoch, position in zip(epochs, positions, strict=True)])


def draw_batch(
    step: int, data: TrainingSet, settings: TrainingSettings, *, null_class: int, sigma_data: float, rng: Stream
) -> Batch:
    """Everything random about one step, drawn on the CPU so that every device trains on the same numbers.

    Noise levels are stratified: one out of each of ``batch`` equal shares of their distribution.
    """
    rows = batch_rows(step, images=len(data.images), batch=settings.batch, rng=rng)
    generator = rng.child("step", step).torch()
    clean = to_model(data.images[rows])
    parameters = draw_augmentations(len(rows), probability=settings.augment, flip=settings.flip, generator=generator)
    clean = augment(clean, parameters)
    strata = torch.randperm(len(rows), generator=generator) + torch.rand(len(rows), generator=generator)
    sigma = training_noise_levels((strata / len(rows)).clamp(1e-5, 1 - 1e-5), sigma_data)
    class_ids = torch.from_numpy(data.class_ids[rows])
    dropped = torch.rand(len(rows), generator=generator) < settings.class_dropout
    class_ids = torch.where(dropped, null_class, class_ids)
    return Batch(clean, torch.randn(clean.shape, generator=generator), sigma, class_ids, parameters)


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then a half cosine down to zero at the last step."""
    warmup = settings.warmup * settings.steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (settings.steps - warmup)))


class Trainer(Descent):
    """The state of one training: weights, their average, the optimiser's moments, and the number of steps done."""

    def __init__(self, denoiser: Denoiser, settings: TrainingSettings, *, device: str = "cpu") -> None:
        self.settings, self.device = settings, torch.device(device)
        self.denoiser = denoiser.to(self.device)
        if self.device.type == "cuda":
            self.denoiser = self.denoiser.to(memory_format=torch.channels_last)
        parameters = dict(self.denoiser.named_parameters())
        optimiser = AdamW(
            parameters.values(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
        )
        super().__init__(parameters, optimiser, ema=settings.ema)
        self.model = torch.compile(self.denoiser) if self.device.type == "cuda" else self.denoiser

    def advance(self, batch: Batch) -> float:
        """One optimiser step; returns the loss. A loss that is not finite is a :class:`UsageError`."""
        clean, noise, sigma, class_ids, augmentation = (part.to(self.device) for part in batch)
        noisy = clean + sigma[:, None, None, None] * noise
        with _autocast(self.device):
            denoised = self.model(noisy, sigma, class_ids, augmentation)
        loss = denoising_loss(denoised, clean, sigma, self.denoiser.sigma_data)
        loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UsageError(
                f"expected a finite loss; got {value} at step {self.step}",
                hint=f"a learning_rate below {self.settings.learning_rate:g}",
            )
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.descend(learning_rate_at(self.step, self.settings))
        self.optimiser.zero_grad(set_to_none=True)
        return value


def _autocast(device: torch.device) -> torch.autocast | nullcontext[None]:
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
