"""A GAN whose discriminator is trained with differential privacy, so that its generator has the same guarantee.

Xie et al. 2018 ("Differentially Private Generative Adversarial Network"): only the discriminator sees images, so only
it is trained by DP-SGD; the generator, which learns from it, and all it makes are post-processing. Bie, Kamath and
Zhang 2023 ("Private GANs, Revisited"): what makes it work are many discriminator steps for one of the generator, since
noise slows the discriminator down and not the generator, and large batches. Every real image is paired with made ones
of its class before its gradient is cut: their gradients point the other way, so the pair is cut less.

The discriminator's spectral norm goes by singular vectors that follow from its weights, which are private already. The
classes that the generator is trained on are drawn evenly, as the training set's proportions are not public.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.models.descent import Descent, Tensors
from twinset.models.gan.augmentation import change, draw_changes
from twinset.models.gan.diversity import spread_within
from twinset.models.gan.fitting import sampled_evenly
from twinset.models.gan.model import Facts, GanModel, GanSettings, gan_of
from twinset.models.gan.networks import build_gan
from twinset.models.gan.spectral import SpectralNorms
from twinset.models.gan.training import adam, generator_step, hinge, part_of, prefixed, rate_at
from twinset.models.private.accounting import Account, Privacy
from twinset.models.private.sitting import Sitting
from twinset.models.private.trainer import PrivateTrainer
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.secret_randomness import seed_from
from twinset.stages import Progress, silent

MOST_MADE = 256
"""Pictures of a step of the generator, however large the batches of the discriminator are."""


def fit_private_gan(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: GanSettings,
    privacy: Privacy,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> GanModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes, with (ε, δ)-differential privacy.

    ``settings.training.batch`` is how many real images a step of the discriminator draws on average, and how many
    pictures a step of the generator makes (:data:`MOST_MADE` at most); ``settings.looks`` and ``r1`` are not used. With
    ``folder`` the fit goes on from its checkpoint, spends nothing twice, and refuses other data (:class:`Sitting`).
    """
    spec, training = ImageSpec(*images.shape[1:]), settings.training
    sitting = Sitting(folder, images, class_ids, model=asdict(settings), privacy=privacy, n_classes=n_classes)
    if folder is not None and sitting.finished:
        return GanModel.load(folder, device=device)
    account = sitting.account_of_steps(batch=training.batch, steps=training.steps)
    trainer = PrivateGanTrainer(
        TrainingSet(images, class_ids),
        n_classes,
        settings,
        account=account,
        draws=privacy.draws,
        key=sitting.key(),
        device=device,
    )
    sitting.run(trainer, trainer.advance, steps=training.steps, progress=progress)
    facts = Facts(account=account)
    model = gan_of(trainer.generator.average, spec, n_classes, settings, facts=facts, device=device)
    made, of_made = sampled_evenly(model, rng=Stream(0).child("spread"))
    facts = Facts(account=account, spread=spread_within(made, of_made))
    model = GanModel(model.generator, spec, n_classes, settings, facts, device)
    if folder is not None:
        model.save(folder)
    sitting.close(account)
    return model


class PrivateGanTrainer:
    """The state of one private training: the discriminator's :class:`PrivateTrainer`, its singular vectors, and the
    generator with its average. All that is random follows from ``key`` and the step.
    """

    def __init__(
        self,
        data: TrainingSet,
        n_classes: int,
        settings: GanSettings,
        *,
        account: Account,
        draws: int,
        key: bytes,
        device: str = "cpu",
    ) -> None:
        spec, training = ImageSpec(*data.images.shape[1:]), settings.training
        self.data, self.n_classes, self.settings, self.draws, self.key = data, n_classes, settings, draws, key
        self.device = device
        stream = Stream(seed_from(key, "twinset private weights"))
        networks = build_gan(settings.network, spec, n_classes, generator=stream.child("weights").torch())
        self.made, self.judge = networks[0].to(device), networks[1].to(device)
        self.discriminator = PrivateTrainer(
            dict(self.judge.named_parameters()),
            self._loss,
            account=account,
            images=len(data.images),
            key=key,
            learning_rate=lambda step: training.discriminator_rate * rate_at(step, training.steps),
        )
        made = dict(self.made.named_parameters())
        self.generator = Descent(made, adam(made, training.learning_rate), ema=training.ema)
        vectors = stream.child("singular vectors").torch()
        self.norms = SpectralNorms(self.discriminator.parameters, generator=vectors)

    @property
    def step(self) -> int:
        """Steps of the discriminator done: those that the account counts."""
        return self.discriminator.step

    def advance(self) -> None:
        """One step of the discriminator, and one of the generator where it is due."""
        self.norms.update(self.discriminator.parameters)
        self.discriminator.advance(self._drawn)
        if self.step % self.settings.training.discriminator_steps == 0:
            self._generator_step()

    def _loss(self, parameters: Mapping[str, torch.Tensor], one: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The hinge loss of one real image and as many made ones of its class, over all draws."""
        real, made, class_ids = one
        both, classes = torch.cat([real, made]), torch.cat([class_ids, class_ids])
        weights = self.norms.normalised(parameters)
        return hinge(*torch.func.functional_call(self.judge, weights, (both, classes)).chunk(2))

    def _drawn(self, rows: NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Changed real images, changed made ones and classes, each (N, draws, …)."""
        training, count = self.settings.training, len(rows) * self.draws
        class_ids = torch.from_numpy(self.data.class_ids[rows]).repeat_interleave(self.draws).to(self.device)
        codes = torch.randn(count, self.settings.network.latent, generator=generator).to(self.device)
        changes = [
            draw_changes(count, training.changes, flip=training.flip, generator=generator).to(torch.device(self.device))
            for _ in range(2)
        ]
        with torch.no_grad():
            made = change(self.made(codes, class_ids), changes[0])
            real = to_model(self.data.images[rows]).repeat_interleave(self.draws, dim=0).to(self.device)
            real = change(real, changes[1])
        return tuple(part.reshape(len(rows), self.draws, *part.shape[1:]) for part in (real, made, class_ids))

    def _generator_step(self) -> None:
        """One step against the discriminator as it is; classes are drawn evenly."""
        training = self.settings.training
        draw = torch.Generator().manual_seed(seed_from(self.key, f"twinset private generator {self.step}"))
        count = min(training.batch, MOST_MADE)
        codes = torch.randn(count, self.settings.network.latent, generator=draw)
        classes = torch.randint(self.n_classes, (count,), generator=draw)
        changes = draw_changes(count, training.changes, flip=training.flip, generator=draw)
        self.norms.update(self.discriminator.parameters)
        generator_step(
            self.made,
            self.generator,
            self.judge,
            self.norms.normalised(self.discriminator.parameters),
            (codes.to(self.device), classes.to(self.device), changes.to(torch.device(self.device))),
            learning_rate=training.learning_rate * rate_at(self.step - 1, training.steps),
        )

    def tensors(self) -> Tensors:
        """All tensors of the state, under ``discriminator/``, ``generator/`` and ``spectral/``."""
        return (
            prefixed(self.discriminator.tensors(), "discriminator/")
            | prefixed(self.generator.tensors(), "generator/")
            | prefixed(self.norms.tensors(), "spectral/")
        )

    def restore(self, tensors: Tensors, step: int) -> None:
        """Continues from the state that :meth:`tensors` gave after ``step`` steps."""
        self.discriminator.restore(part_of(tensors, "discriminator/"), step)
        self.generator.restore(part_of(tensors, "generator/"), step // self.settings.training.discriminator_steps)
        self.norms.restore(part_of(tensors, "spectral/"))
