"""Fitting a GAN in a folder that it can come back to, with looks for copies and a look at its diversity at the end."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.images import ImageSpec, PixelBatch
from twinset.models.gan.diversity import MOST, class_diversity
from twinset.models.gan.model import MODEL_FILE, Facts, GanModel, GanSettings, gan_of
from twinset.models.gan.networks import build_gan
from twinset.models.gan.training import GanTrainer, draw_gan_batch
from twinset.models.looking import LookingFit, Others, Weights, fit_key, is_finished
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.stages import Progress, silent


def fit_gan(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: GanSettings,
    rng: Stream,
    folder: Path | None = None,
    others: Others | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> GanModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes; ``folder`` and ``others`` as in diffusion.

    Equal inputs, stream and thread count give equal weights, interrupted or not.
    """
    spec, data = ImageSpec(*images.shape[1:]), TrainingSet(images, class_ids)
    key = fit_key(asdict(settings), data, rng, others)
    if folder is not None and is_finished(folder, MODEL_FILE, key):
        return GanModel.load(folder, device=device)
    fit = _Fit(data, spec, n_classes, settings, rng, folder, key, device)
    fit.run(others, steps=settings.training.steps, progress=progress)
    model = fit.model(fit.kept())
    made, of_made = sampled_evenly(model, rng=rng.child("diversity"))
    diversity = class_diversity(made, of_made, images, class_ids, n_classes=n_classes)
    model = replace(model, facts=replace(model.facts, diversity=diversity))
    fit.finish(model)
    return model


def sampled_evenly(model: GanModel, *, rng: Stream) -> tuple[PixelBatch, NDArray[np.int64]]:
    """As many images of every class as diversity is measured by, and their classes."""
    class_ids = np.repeat(np.arange(model.n_classes, dtype=np.int64), MOST)
    streams = [rng.child(number) for number in range(len(class_ids))]
    return model.sample(class_ids.tolist(), list(range(len(class_ids))), streams), class_ids


class _Fit(LookingFit):
    """One training of a GAN on its way."""

    trainer: GanTrainer

    def __init__(
        self,
        data: TrainingSet,
        spec: ImageSpec,
        n_classes: int,
        settings: GanSettings,
        rng: Stream,
        folder: Path | None,
        key: str,
        device: str,
    ) -> None:
        super().__init__(data, looks=settings.look_steps(), rng=rng, folder=folder, key=key, device=device)
        self.spec, self.n_classes, self.settings = spec, n_classes, settings
        networks = build_gan(settings.network, spec, n_classes, generator=rng.child("weights").torch())
        self.trainer = GanTrainer(networks, settings.training, rng=rng, device=device)

    def advance(self) -> None:
        """One step."""
        training, latent = self.settings.training, self.settings.network.latent
        self.trainer.advance(draw_gan_batch(self.trainer.step, self.data, training, latent, rng=self.rng.child("data")))

    def model(self, weights: Weights) -> GanModel:
        """The model with these weights."""
        facts = Facts(tuple(self.history))
        return gan_of(weights, self.spec, self.n_classes, self.settings, facts=facts, device=self.device)
