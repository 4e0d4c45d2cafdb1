"""Spectral norm: every weight matrix divided by an estimate of its largest singular value (Miyato et al. 2018).

The estimate σ = uᵀWv comes from power iteration, one round a step from where the last step ended, and gradients flow
through it (their equation 12). It is kept outside the network, as plain functions of the weights, for two reasons:
gradients of single images come from ``torch.func``, which knows no layers that change themselves; and u and v depend on
nothing but weights, so in private training they show no more of any image than the (noisy) weights do.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

GAIN = 1.6
"""Spectral norm of every weight. At 1 the logits of small pictures stay within the margins of the hinge loss, where a
discriminator compares little more than means, and a generator may make one picture a class: so it was on digits."""

ROUNDS_AT_FIRST = 20
SMALLEST = 1e-12

Tensors = dict[str, torch.Tensor]


class SpectralNorms:
    """The singular vectors of all weights with two axes or more, by parameter name: ``left`` u and ``right`` v."""

    def __init__(self, parameters: Mapping[str, torch.Tensor], *, generator: torch.Generator) -> None:
        self.left: Tensors = {}
        self.right: Tensors = {}
        for name, value in parameters.items():
            if value.ndim > 1:
                drawn = torch.randn(len(value), generator=generator).to(value.device)
                self.left[name] = functional.normalize(drawn, dim=0, eps=SMALLEST)
        for _ in range(ROUNDS_AT_FIRST):
            self.update(parameters)

    def update(self, parameters: Mapping[str, torch.Tensor]) -> None:
        """One round of power iteration: v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖."""
        with torch.no_grad():
            for name, left in self.left.items():
                matrix = parameters[name].flatten(1)
                self.right[name] = functional.normalize(matrix.T @ left, dim=0, eps=SMALLEST)
                self.left[name] = functional.normalize(matrix @ self.right[name], dim=0, eps=SMALLEST)

    def normalised(self, parameters: Mapping[str, torch.Tensor]) -> Tensors:
        """The parameters with GAIN · W/σ in place of every W; differentiable, and the same for every image."""
        found = dict(parameters)
        for name, left in self.left.items():
            value = parameters[name]
            found[name] = GAIN * value / (left @ value.flatten(1) @ self.right[name])
        return found

    def tensors(self) -> Tensors:
        """The state, named ``left/…``; v follows from it at the next update."""
        return {f"left/{name}": value for name, value in self.left.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Continues from what :meth:`tensors` gave."""
        self.left = {name: tensors[f"left/{name}"].to(value.device).clone() for name, value in self.left.items()}
