"""A classifier trained with differential privacy (De et al. 2022): group norm, large Poisson batches, augmentation
multiplicity, an average of the weights. The network is ours (:mod:`twinset.models.classifier`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.errors import UsageError
from twinset.images import PixelBatch, to_model
from twinset.models.classical import augment
from twinset.models.classifier import (
    Classifier,
    ClassifierSettings,
    ResidualNetwork,
    check_targets,
    new_network,
    rate_share,
)
from twinset.models.private.accounting import Account, Privacy
from twinset.models.private.sitting import Sitting
from twinset.models.private.trainer import Draw, PrivateTrainer
from twinset.randomness import Stream
from twinset.secret_randomness import seed_from
from twinset.stages import Progress, silent

MODEL_FILE = "classifier.safetensors"


def fit_private_classifier(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: ClassifierSettings,
    privacy: Privacy,
    folder: Path | None = None,
    progress: Progress = silent,
) -> tuple[Classifier, Account]:
    """A classifier of uint8 (N, H, W, C) images with int64 (N,) classes, and what it spent.

    ``settings.batch`` is how many images a step draws on average. Weight decay is not used; balanced batches are
    refused, as who is drawn must not depend on the others. ``folder`` as in ``fit_private_diffusion``.
    """
    labels = torch.from_numpy(check_targets(images, class_ids, n_classes))
    if settings.class_balanced:
        raise UsageError(
            "expected class_balanced off in private training; got it on", hint="every image is drawn by the same chance"
        )
    height, width, channels = images.shape[1:]
    sitting = Sitting(folder, images, class_ids, model=settings.to_dict(), privacy=privacy, n_classes=n_classes)
    account = sitting.account_of_steps(batch=settings.batch, steps=settings.steps)
    if folder is not None and sitting.finished:
        return Classifier.load(folder / MODEL_FILE), account
    network, trainer, draw = _private_trainer(images, labels, n_classes, settings, privacy, account, sitting.key())
    sitting.run(trainer, lambda: trainer.advance(draw), steps=settings.steps, progress=progress)
    network.load_state_dict(trainer.average)
    model = Classifier(network.eval(), (height, width, channels), n_classes, settings.width, norm="group")
    if folder is not None:
        model.save(folder / MODEL_FILE)
    sitting.close(account)
    return model, account


def _private_trainer(
    images: PixelBatch,
    labels: torch.Tensor,
    n_classes: int,
    settings: ClassifierSettings,
    privacy: Privacy,
    account: Account,
    key: bytes,
) -> tuple[ResidualNetwork, PrivateTrainer, Draw]:
    """The network, its trainer at the first step, and what draws the images of a step for it."""
    height, width, channels = images.shape[1:]
    weights = torch.Generator().manual_seed(seed_from(key, "twinset private weights"))
    network = new_network((height, width), channels, n_classes, settings.width, weights, norm="group")

    def loss(parameters: Mapping[str, torch.Tensor], one: tuple[torch.Tensor, ...]) -> torch.Tensor:
        logits = torch.func.functional_call(network, dict(parameters), (one[0],))
        return functional.cross_entropy(logits, one[1], label_smoothing=settings.label_smoothing)

    def draw(rows: NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        repeated = np.repeat(rows, privacy.draws)
        stream = Stream(int(torch.randint(2**62, (1,), generator=generator)))
        varied = augment(to_model(images[repeated]), settings.augmentation, rng=stream)
        shape = (len(rows), privacy.draws)
        return varied.reshape(*shape, *varied.shape[1:]), labels[repeated].reshape(shape)

    trainer = PrivateTrainer(
        dict(network.named_parameters()),
        loss,
        account=account,
        images=len(images),
        key=key,
        learning_rate=lambda step: settings.learning_rate * rate_share(step, settings.steps),
    )
    return network, trainer, draw
