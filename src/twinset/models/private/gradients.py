"""The sum of gradients of single images, each cut to a norm: all that noise has to hide (Abadi et al. 2016).

Gradients come from ``torch.func``: one function for one image, mapped over images. It is exact for every network
without statistics over a batch, whatever its layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Tensors = dict[str, torch.Tensor]
ImageLoss = Callable[[Mapping[str, torch.Tensor], tuple[torch.Tensor, ...]], torch.Tensor]
"""Parameters and the tensors of one image (its draws along the first axis) to a scalar."""


def clipped_sum(
    loss: ImageLoss, parameters: Tensors, images: tuple[torch.Tensor, ...], *, clip: float, block: int = 64
) -> tuple[Tensors, torch.Tensor]:
    """Σ g·min(1, clip/‖g‖) over images, and the norms (N,); ``images`` are tensors with first axis N, which may be 0.

    An image whose gradient is not finite adds nothing. At most ``block`` images' gradients are held at once.
    """
    single = torch.func.vmap(torch.func.grad(lambda values, one: loss(values, one)), in_dims=(None, 0))
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    norms = []
    for start in range(0, len(images[0]), block):
        found = single(parameters, tuple(part[start : start + block] for part in images))
        squares = torch.stack([one.flatten(1).square().sum(1) for one in found.values()]).sum(0)
        norm = squares.double().sqrt()
        sound = norm.isfinite()
        scale = torch.where(sound, (clip / norm.clamp(min=1e-12)).clamp(max=1.0), 0.0).to(squares.dtype)
        for name, one in found.items():
            kept = torch.where(sound.view(-1, *[1] * (one.ndim - 1)), one, 0.0)
            total[name] += torch.tensordot(scale, kept, dims=1)
        norms.append(norm)
    return total, torch.cat(norms) if norms else torch.zeros(0, dtype=torch.float64)
