"""SecMI: a training picture comes back more exactly from a small step into noise (Duan et al. 2023).

"Are Diffusion Models Vulnerable to Membership Inference Attacks?", section 4, the statistic of equation 9: the picture
goes along the deterministic flow into noise, in steps of k, up to step t; from there one step on and one step back. How
far from where it was does it come out? Score: minus the squared distance. Their t = 100 and k = 10 are among the steps
tried. On our denoiser the flow is dx/dσ = (x − D(x; σ)) / σ and a step is Euler's (DDIM at η = 0 is that in these
units); :mod:`~twinset.privacy.attacks.diffusion` says what a step means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.images import to_model
from twinset.membership import Scores
from twinset.privacy.attacks.diffusion import ReleasedDiffusion
from twinset.privacy.attacks.generator import ReleasedGenerator, SeenGenerator


@dataclass(frozen=True)
class SecMI:
    """``interval``: steps between two points of the flow (k)."""

    interval: int = 10

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"expected an interval ≥ 1; got {self.interval}")

    @property
    def name(self) -> str:
        """secmi."""
        return "secmi"

    def times(self, generator: ReleasedGenerator) -> tuple[int, ...]:
        """Of a diffusion model."""
        return (50, 100, 200) if isinstance(generator, ReleasedDiffusion) else ()

    def scores(self, seen: SeenGenerator, *, time: int) -> Scores:
        """Minus ‖x̂_t − x_t‖², float64 (N,)."""
        released = seen.generator
        if not isinstance(released, ReleasedDiffusion):
            raise ValueError(f"expected a diffusion model for secmi; got {type(released).__name__}")
        x, now = to_model(seen.pictures), 0.0
        for step in range(0, time, self.interval):
            after = released.level(min(step + self.interval, time))
            noise = released.noise_in(x, max(now, released.least_level), seen.class_ids)
            x, now = x + (after - now) * noise, after
        beyond = released.level(time + self.interval)
        on = x + (beyond - now) * released.noise_in(x, now, seen.class_ids)
        back = on + (now - beyond) * released.noise_in(on, beyond, seen.class_ids)
        return np.asarray(-(back - x).double().square().flatten(1).sum(dim=1).numpy())
