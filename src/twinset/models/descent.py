"""Parameters on their way down: optimiser, average of the weights, and what a checkpoint holds of them, bit for bit.

Shared by every training of a generator: diffusion, both sides of a GAN, and what DP-SGD trains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

Tensors = dict[str, torch.Tensor]


def ema_exponent(relative_width: float) -> float:
    """γ of the power-function average whose σ_rel is this (Karras et al. 2024, equation 126).

    σ_rel = √((γ+1) / ((γ+2)²(γ+3))), solved by bisection.

    >>> round(ema_exponent(0.10), 2), round(ema_exponent(0.05), 2)
    (6.94, 16.97)
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        width = math.sqrt((middle + 1) / ((middle + 2) ** 2 * (middle + 3)))
        low, high = (middle, high) if width > relative_width else (low, middle)
    return (low + high) / 2


class Descent:
    """Named parameters, their Adam, the average of the parameters, and how many steps were done.

    ``ema``: relative width of the averaging window (σ_rel), the average reaches back over about this share of all steps
    so far; None: no average.
    """

    def __init__(
        self, parameters: Mapping[str, torch.Tensor], optimiser: torch.optim.Optimizer, *, ema: float | None
    ) -> None:
        self.parameters: Tensors = dict(parameters)
        self.optimiser, self.step = optimiser, 0
        self.average = {} if ema is None else {name: value.detach().clone() for name, value in parameters.items()}
        self._exponent = 0.0 if ema is None else ema_exponent(ema)

    def descend(self, learning_rate: float, gradients: Mapping[str, torch.Tensor] | None = None) -> None:
        """One step along these gradients, by default those that ``backward`` left, and the average after it."""
        for name, gradient in (gradients or {}).items():
            self.parameters[name].grad = gradient.detach()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        self.step += 1
        self._update_average()

    def _update_average(self) -> None:
        weight = 1 - (1 - 1 / self.step) ** (self._exponent + 1)
        with torch.no_grad():
            for name, value in self.average.items():
                value.lerp_(self.parameters[name], weight)

    @property
    def _moments(self) -> dict[str, str]:
        """What a checkpoint calls the moments that the next step needs; of first ones without memory it needs none."""
        first = {"first": "exp_avg"} if self.optimiser.defaults["betas"][0] else {}
        return {**first, "second": "exp_avg_sq"}

    def tensors(self) -> Tensors:
        """All tensors of the state, named ``weights/…``, ``average/…``, ``first/…`` and ``second/…`` (moments)."""
        state = {f"weights/{name}": value for name, value in self.parameters.items()}
        state |= {f"average/{name}": value for name, value in self.average.items()}
        for name, value in self.parameters.items():
            if moments := self.optimiser.state.get(value):
                state |= {f"{moment}/{name}": moments[key] for moment, key in self._moments.items()}
        return state

    def restore(self, tensors: Mapping[str, torch.Tensor], step: int) -> None:
        """Continues from the state that :meth:`tensors` gave after ``step`` steps."""
        self.step = step
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(tensors[f"weights/{name}"])
                if name in self.average:
                    self.average[name].copy_(tensors[f"average/{name}"])
                if step:
                    self.optimiser.state[value] = {
                        "step": torch.tensor(float(step), device=value.device),
                        "exp_avg": torch.zeros_like(value),
                    } | {
                        key: torch.empty_like(value).copy_(tensors[f"{moment}/{name}"])
                        for moment, key in self._moments.items()
                    }
