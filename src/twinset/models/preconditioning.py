"""The denoiser D(x; σ, c): the one seam between network, training and sampling (Karras et al. 2022, EDM).

D(x; σ) = c_skip(σ) x + c_out(σ) F(c_in(σ) x; c_noise(σ)), equation 7 and Table 1, so that the network sees unit
variance and has a unit-variance target at every noise level. σ_data is measured on the training images, not 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from twinset.images import to_model
from twinset.models.networks import Network

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``denoise(x, sigma)``: x (N, C, H, W) with noise of standard deviation sigma (N,) to the expected clean image."""

NOISE_LOG_MEAN = -0.5
NOISE_LOG_STD = 1.2
"""Training noise: ln(σ/σ_data) is normal with these (EDM Table 1: −1.2 and 1.2 of ln σ at σ_data = 0.5)."""


class Denoiser(nn.Module):
    """A network with its preconditioning."""

    def __init__(self, network: Network, *, sigma_data: float) -> None:
        super().__init__()
        if not sigma_data > 0:
            raise ValueError(f"expected sigma_data > 0; got {sigma_data}")
        self.network, self.sigma_data = network, sigma_data

    @property
    def null_class(self) -> int:
        """The class id that means "any class"."""
        return self.network.classes

    def forward(
        self, x: torch.Tensor, sigma: torch.Tensor, class_ids: torch.Tensor, augmentation: torch.Tensor
    ) -> torch.Tensor:
        """D(x; σ, c), float32 (N, C, H, W): the expected clean image under x = image + σ·noise.

        ``sigma`` (N,) > 0, ``class_ids`` int64 (N,) (:attr:`null_class` = unconditional), ``augmentation`` (N, A), zero
        when sampling.
        """
        skip, out, scale_in = scalings(sigma, self.sigma_data)
        raw = self.network(scale_in * x, 0.25 * (sigma / self.sigma_data).log(), class_ids, augmentation)
        denoised: torch.Tensor = skip * x + out * raw.float()
        return denoised


def scalings(sigma: torch.Tensor, sigma_data: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """c_skip, c_out and c_in as (N, 1, 1, 1); EDM Table 1."""
    sigma = sigma[:, None, None, None]
    total = sigma.square() + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data * total.rsqrt(), total.rsqrt()


def denoising_loss(denoised: torch.Tensor, clean: torch.Tensor, sigma: torch.Tensor, sigma_data: float) -> torch.Tensor:
    """Mean of λ(σ)·(D − y)² with λ = 1/c_out² (EDM equation 8), scalar float32."""
    _, out, _ = scalings(sigma, sigma_data)
    return ((denoised - clean) / out).square().mean()


def training_noise_levels(uniform: torch.Tensor, sigma_data: float) -> torch.Tensor:
    """(N,) numbers in (0, 1) to noise levels: σ = σ_data · exp(−0.5 + 1.2 Φ⁻¹(u))."""
    normal = math.sqrt(2) * torch.erfinv(2 * uniform.double() - 1)
    return (sigma_data * (NOISE_LOG_MEAN + NOISE_LOG_STD * normal).exp()).float()


def measure_sigma_data(images: NDArray[np.uint8]) -> float:
    """Standard deviation of all values of uint8 (N, H, W, C) images, in [-1, 1] units; at least 0.05.

    The floor keeps a constant dataset trainable.
    """
    total = square = 0.0
    for start in range(0, len(images), 256):
        block = to_model(np.ascontiguousarray(images[start : start + 256])).double()
        total += float(block.sum())
        square += float(block.square().sum())
    mean = total / images.size
    return max(0.05, math.sqrt(max(0.0, square / images.size - mean**2)))
