"""A diffusion model trained with differential privacy.

Dockhorn, Cao, Vahdat and Kreis 2023 ("Differentially Private Diffusion Models"): every image is seen at several noise
levels before its gradient is cut, with large Poisson batches and an average of the weights; De et al. 2022: each of
these draws is augmented by itself. Our networks normalise within an image only.

Nothing else of the images enters: the data's standard deviation is a constant, first weights and all draws follow from
a secret key, and no look at copies decides when to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel

from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.models.augmentation import augment, draw_augmentations
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fresh_denoiser, model_of
from twinset.models.preconditioning import denoising_loss, training_noise_levels
from twinset.models.private.accounting import Account, Privacy
from twinset.models.private.sitting import Sitting
from twinset.models.private.trainer import Draw, PrivateTrainer
from twinset.models.training import TrainingSet, TrainingSettings, learning_rate_at
from twinset.randomness import Stream
from twinset.secret_randomness import seed_from
from twinset.stages import Progress, silent

PUBLIC_SIGMA_DATA = 0.5
"""Stands in for the data's own standard deviation, which would be one more thing to protect."""


def fit_private_diffusion(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: DiffusionSettings,
    privacy: Privacy,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> DiffusionModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes, with (ε, δ)-differential privacy.

    ``settings.training.batch`` is how many images a step draws on average; ``settings.looks`` is not used. With
    ``folder`` the fit goes on from its checkpoint, spends nothing twice, and refuses other data (:class:`Sitting`).
    """
    spec, steps = ImageSpec(*images.shape[1:]), settings.training.steps
    sitting = Sitting(folder, images, class_ids, model=asdict(settings), privacy=privacy, n_classes=n_classes)
    if folder is not None and sitting.finished:
        return DiffusionModel.load(folder, device=device)
    account = sitting.account_of_steps(batch=settings.training.batch, steps=steps)
    trainer, draw = private_trainer(
        TrainingSet(images, class_ids),
        n_classes,
        settings,
        account=account,
        draws=privacy.draws,
        key=sitting.key(),
        device=device,
    )
    sitting.run(trainer, lambda: trainer.advance(draw), steps=steps, progress=progress)
    model = model_of(
        trainer.average, spec, n_classes, settings, sigma_data=PUBLIC_SIGMA_DATA, account=account, device=device
    )
    if folder is not None:
        model.save(folder)
    sitting.close(account)
    return model


def private_trainer(
    data: TrainingSet,
    n_classes: int,
    settings: DiffusionSettings,
    *,
    account: Account,
    draws: int,
    key: bytes,
    device: str = "cpu",
) -> tuple[PrivateTrainer, Draw]:
    """The trainer at its first step, and what draws the images of a step for it."""
    spec = ImageSpec(*data.images.shape[1:])
    stream = Stream(seed_from(key, "twinset private weights"))
    denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=PUBLIC_SIGMA_DATA, rng=stream).to(device)

    def loss(parameters: Mapping[str, torch.Tensor], one: tuple[torch.Tensor, ...]) -> torch.Tensor:
        clean, noise, sigma, classes, moved = one
        noisy = clean + sigma[:, None, None, None] * noise
        with sdpa_kernel(SDPBackend.MATH):  # the others cannot be mapped over images
            denoised = torch.func.functional_call(denoiser, dict(parameters), (noisy, sigma, classes, moved))
        return denoising_loss(denoised, clean, sigma, PUBLIC_SIGMA_DATA)

    def draw(rows: NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        drawn = _drawn(rows, data, settings.training, draws, n_classes, generator)
        return tuple(part.to(device) for part in drawn)

    trainer = PrivateTrainer(
        dict(denoiser.named_parameters()),
        loss,
        account=account,
        images=len(data.images),
        key=key,
        learning_rate=lambda step: learning_rate_at(step, settings.training),
        ema=settings.training.ema,
    )
    return trainer, draw


def _drawn(
    rows: NDArray[np.int64],
    data: TrainingSet,
    settings: TrainingSettings,
    draws: int,
    null_class: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, ...]:
    """Clean images, noise, noise levels, classes and augmentations, each (N, draws, …); levels stratified by image."""
    count = len(rows) * draws
    clean = to_model(data.images[rows]).repeat_interleave(draws, dim=0)
    moved = draw_augmentations(count, probability=settings.augment, flip=settings.flip, generator=generator)
    clean = augment(clean, moved)
    strata = torch.arange(draws) + torch.rand(len(rows), draws, generator=generator)
    sigma = training_noise_levels((strata / draws).flatten().clamp(1e-5, 1 - 1e-5), PUBLIC_SIGMA_DATA)
    classes = torch.from_numpy(data.class_ids[rows]).repeat_interleave(draws)
    classes = torch.where(torch.rand(count, generator=generator) < settings.class_dropout, null_class, classes)
    noise = torch.randn(clean.shape, generator=generator)
    return tuple(part.reshape(len(rows), draws, *part.shape[1:]) for part in (clean, noise, sigma, classes, moved))
