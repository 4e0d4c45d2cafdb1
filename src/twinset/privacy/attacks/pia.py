"""PIA: the noise that the model sees in a training picture stays what it was when it is added (Kong et al. 2024).

"An Efficient Membership Inference Attack for the Diffusion Model by Proximal Initialization": ε₀ = ε_θ(x₀, 0), and
R = ‖ε₀ − ε_θ(x_t(ε₀), t)‖₄ (equation 9). Two calls of the network a picture. Score: −R. With ``normalised`` ε₀ is first
brought to the mean absolute value of normal noise (their PIAN). :mod:`~twinset.privacy.attacks.diffusion` says what
t, and t = 0, mean on our denoiser; x_t(ε₀) is x₀ + σ(t) ε₀ there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from twinset.images import to_model
from twinset.membership import Scores
from twinset.privacy.attacks.diffusion import TIMES, ReleasedDiffusion
from twinset.privacy.attacks.generator import ReleasedGenerator, SeenGenerator


@dataclass(frozen=True)
class Pia:
    """``norm``: p of the norm (4 in the paper)."""

    norm: float = 4.0
    normalised: bool = False

    def __post_init__(self) -> None:
        if not self.norm >= 1:
            raise ValueError(f"expected a norm ≥ 1; got {self.norm}")

    @property
    def name(self) -> str:
        """pia, or pia_normalised."""
        return "pia_normalised" if self.normalised else "pia"

    def times(self, generator: ReleasedGenerator) -> tuple[int, ...]:
        """Of a diffusion model."""
        return TIMES if isinstance(generator, ReleasedDiffusion) else ()

    def scores(self, seen: SeenGenerator, *, time: int) -> Scores:
        """−R, float64 (N,)."""
        released = seen.generator
        if not isinstance(released, ReleasedDiffusion):
            raise ValueError(f"expected a diffusion model for {self.name}; got {type(released).__name__}")
        clean = to_model(seen.pictures)
        first = released.noise_in(clean, released.least_level, seen.class_ids)
        if self.normalised:
            usual = first.abs().flatten(1).mean(dim=1)[:, None, None, None]
            first = first * (math.sqrt(2 / math.pi) / usual.clamp_min(1e-12))
        sigma = released.level(time)
        then = released.noise_in(clean + sigma * first, sigma, seen.class_ids)
        distances = (first - then).double().abs().pow(self.norm).flatten(1).sum(dim=1).pow(1 / self.norm)
        return np.asarray(-distances.numpy())
