"""DP-SGD (Abadi et al. 2016) with Adam and an average of the weights, resumable without spending twice.

Whom a step draws and what noise it adds is a pure function of a secret key and the step. A training that was killed
and goes on from its checkpoint repeats what it lost with the same images and the same noise: nothing new is seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.models.descent import Descent, Tensors
from twinset.models.optimisers import Adam
from twinset.models.private.accounting import Account
from twinset.models.private.gradients import ImageLoss, clipped_sum
from twinset.secret_randomness import seed_from, standard_normals, uniforms

GRID = 2.0**-20
"""Noise and sum are rounded to this share of the noise: low bits of floating-point noise would tell (Mironov 2012)."""

Draw = Callable[[NDArray[np.int64], torch.Generator], tuple[torch.Tensor, ...]]
"""Rows of a step to the tensors of their images, first axis one per row."""


class PrivateTrainer(Descent):
    """The state of one private training: weights, their average, moments, and the number of steps done."""

    def __init__(
        self,
        parameters: Tensors,
        loss: ImageLoss,
        *,
        account: Account,
        images: int,
        key: bytes,
        learning_rate: Callable[[int], float],
        ema: float = 0.05,
        block: int = 64,
    ) -> None:
        own = {name: value.detach().clone() for name, value in parameters.items()}
        super().__init__(own, Adam(own.values(), lr=1.0, betas=(0.9, 0.99)), ema=ema)
        self.loss, self.account, self.images, self.key, self.block = loss, account, images, key, block
        self.learning_rate = learning_rate

    def rows(self) -> NDArray[np.int64]:
        """Whom this step draws: every image with the same chance, independently."""
        drawn = uniforms(self.images, key=self.key, purpose=f"twinset private sampling {self.step}")
        return np.flatnonzero(drawn < self.account.sampling_rate)

    def advance(self, draw: Draw) -> None:
        """One step; one without images adds its noise all the same."""
        rows = self.rows()
        generator = torch.Generator().manual_seed(seed_from(self.key, f"twinset private draws {self.step}"))
        total = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        if len(rows):
            images = draw(rows, generator)
            total, _ = clipped_sum(self.loss, self.parameters, images, clip=self.account.clip, block=self.block)
        expected = self.account.sampling_rate * self.images
        noised = self._noised(total)
        gradients = {name: (value / expected).to(self.parameters[name]) for name, value in noised.items()}
        self.descend(self.learning_rate(self.step), gradients)

    def _noised(self, total: Tensors) -> Tensors:
        """The sums plus N(0, σ²C²) in every coordinate, float64, on a grid."""
        spread = self.account.noise_multiplier * self.account.clip
        if not spread:
            return {name: value.double().cpu() for name, value in total.items()}
        count = sum(value.numel() for value in total.values())
        noise = torch.from_numpy(standard_normals(count, key=self.key, purpose=f"twinset private noise {self.step}"))
        found, start = {}, 0
        for name, value in total.items():
            own = noise[start : start + value.numel()].view(value.shape)
            found[name] = ((value.double().cpu() + spread * own) / (GRID * spread)).round() * (GRID * spread)
            start += value.numel()
        return found
