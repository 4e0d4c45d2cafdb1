"""Our own diffusion model as attacks see it.

The attacks were published for DDPM: T = 1,000 steps, β from 1e-4 to .02, pictures whose values deviate by about .5. Our
denoiser D(x; σ) lives on x = picture + σ · noise (Karras et al. 2022) and has no steps. A step t of theirs stands for
the noise level of equal signal-to-noise ratio, σ(t) = (σ_data / .5) · √((1 − ᾱ_t) / ᾱ_t), and their ε_θ is
(x − D(x; σ)) / σ. Where they ask at t = 0, we ask at the level that 2.3 % of the training noise lies below: nearer to
no noise at all our network was hardly trained, and what it says there is no memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.images import PixelBatch, to_model
from twinset.membership import Scores
from twinset.models.augmentation import PARAMETERS
from twinset.models.diffusion import DiffusionModel, fresh_denoiser
from twinset.models.preconditioning import NOISE_LOG_MEAN, NOISE_LOG_STD, scalings
from twinset.models.training import Trainer, TrainingSet, TrainingSettings, draw_batch
from twinset.randomness import Stream

STEPS = 1000
FIRST_BETA, LAST_BETA = 1e-4, 0.02
USUAL_DEVIATION = 0.5
BATCH = 128
DRAWS = 8
"""Noises a picture's loss is the mean of; the same for all pictures."""

TIMES = (20, 50, 100, 200, 400)


def noise_level(time: int, sigma_data: float) -> float:
    """σ of step ``time`` of a linear DDPM schedule, at equal signal-to-noise ratio.

    >>> round(noise_level(100, 0.5), 3), round(noise_level(200, 0.5), 3)
    (0.339, 0.719)
    """
    if not 0 <= time <= STEPS:
        raise ValueError(f"expected a step in 0…{STEPS}; got {time}")
    betas = np.linspace(FIRST_BETA, LAST_BETA, STEPS)[:time]
    kept = float(np.prod(1 - betas))
    return sigma_data / USUAL_DEVIATION * math.sqrt((1 - kept) / kept)


@dataclass(frozen=True, eq=False)
class ReleasedDiffusion:
    """A diffusion model whose weights the attacker has."""

    model: DiffusionModel

    @property
    def times(self) -> tuple[int, ...]:
        """Steps at which its loss is asked for."""
        return TIMES

    @property
    def least_level(self) -> float:
        """The noise level that stands for t = 0."""
        return self.model.denoiser.sigma_data * math.exp(NOISE_LOG_MEAN - 2 * NOISE_LOG_STD)

    def level(self, time: int) -> float:
        """σ of a step, at least :attr:`least_level`."""
        return max(noise_level(time, self.model.denoiser.sigma_data), self.least_level)

    def noise_in(self, x: torch.Tensor, sigma: float, class_ids: NDArray[np.integer]) -> torch.Tensor:
        """ε_θ = (x − D(x; σ)) / σ of float32 (N, C, H, W)."""
        return (x - self._denoised(x, sigma, class_ids)) / sigma

    def losses(self, pictures: PixelBatch, class_ids: NDArray[np.integer], *, time: int, rng: Stream) -> Scores:
        """Weighted squared error of D at a step, the mean over noises: the training loss (EDM equation 8), (N,)."""
        clean = to_model(pictures)
        sigma = self.level(time)
        _, out, _ = scalings(torch.tensor([sigma]), self.model.denoiser.sigma_data)
        noises = torch.randn(DRAWS, *clean.shape[1:], generator=rng.child("noise", time).torch())
        total = torch.zeros(len(clean), dtype=torch.float64)
        for noise in noises:
            error = (self._denoised(clean + sigma * noise, sigma, class_ids) - clean) / out
            total += error.square().flatten(1).mean(dim=1).double()
        return np.asarray((total / DRAWS).numpy())

    def sample(self, class_ids: NDArray[np.integer], *, rng: Stream) -> PixelBatch:
        """Pictures as its owner would sample them."""
        count = len(class_ids)
        return self.model.sample(class_ids.tolist(), list(range(count)), [rng.child(row) for row in range(count)])

    def exposed(
        self, pictures: PixelBatch, class_ids: NDArray[np.integer], *, passes: int, rng: Stream
    ) -> ReleasedDiffusion:
        """Trained on for so many passes over these pictures, unaugmented, at half the rate it was trained with."""
        model = self.model
        settings = TrainingSettings(
            steps=max(1, math.ceil(passes * len(pictures) / min(64, len(pictures)))),
            batch=min(64, len(pictures)),
            learning_rate=model.settings.training.learning_rate / 2,
        )
        sigma_data = model.denoiser.sigma_data
        network = model.settings.network
        denoiser = fresh_denoiser(network, model.spec, model.n_classes, sigma_data=sigma_data, rng=Stream(0))
        denoiser.load_state_dict(model.denoiser.state_dict())
        trainer = Trainer(denoiser, settings, device=model.device)
        data = TrainingSet(pictures, np.asarray(class_ids, dtype=np.int64))
        for step in range(settings.steps):
            drawn = draw_batch(step, data, settings, null_class=model.n_classes, sigma_data=sigma_data, rng=rng)
            trainer.advance(drawn)
        with torch.no_grad():
            for name, value in denoiser.named_parameters():
                value.copy_(trainer.average[name])
        return ReleasedDiffusion(replace(model, denoiser=denoiser.eval().requires_grad_(False)))

    @torch.no_grad()
    def _denoised(self, x: torch.Tensor, sigma: float, class_ids: NDArray[np.integer]) -> torch.Tensor:
        device = self.model.device
        labels = torch.from_numpy(np.asarray(class_ids, dtype=np.int64))
        parts = []
        for some, own in zip(torch.split(x, BATCH), torch.split(labels, BATCH), strict=True):
            levels, unmoved = torch.full((len(some),), sigma), torch.zeros(len(some), len(PARAMETERS))
            made = self.model.denoiser(*(part.to(device) for part in (some, levels, own, unmoved)))
            parts.append(made.float().cpu())
        return torch.cat(parts)
