"""AdamW with warm-up, cosine decay and clipping for any network; weights averaged over the last steps."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from twinset.errors import UsageError
from twinset.models.optimisers import AdamW

WARM_UP_SHARE = 0.1
AVERAGED_SHARE = 0.05


class Optimisation:
    """A network on its way through a fixed number of steps, and its average, which is what to use at the end."""

    def __init__(self, network: nn.Module, *, steps: int, learning_rate: float, weight_decay: float) -> None:
        self.network, self.steps, self.learning_rate = network, steps, learning_rate
        self.averaged = copy.deepcopy(network)
        self.step = 0
        self._trained = [p for p in network.parameters() if p.requires_grad]
        # Kernels decay; norms and biases do not.
        self._optimizer = AdamW(
            [
                {"params": [p for p in self._trained if p.ndim > 1], "weight_decay": weight_decay},
                {"params": [p for p in self._trained if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=learning_rate,
        )

    def advance(self, loss: torch.Tensor) -> None:
        """One step down this loss; :class:`UsageError` if it is not finite."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UsageError(
                f"expected a finite loss; got {value} at step {self.step}",
                hint=f"a learning_rate below {self.learning_rate:g}",
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._trained, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * _factor(self.step, self.steps)
        self._optimizer.step()
        self._average()
        self.step += 1

    @torch.no_grad()
    def _average(self) -> None:
        """Moves weights and float statistics of the average toward the network's."""
        horizon = min(max(1.0, AVERAGED_SHARE * self.steps), (10 + self.step) / 9)
        # Named parameters and buffers, unlike a state dict, list shared tensors once.
        for means, values in (
            (self.averaged.parameters(), self.network.parameters()),
            (self.averaged.buffers(), self.network.buffers()),
        ):
            for mean, value in zip(means, values, strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 / horizon)
                else:
                    mean.copy_(value)


def _factor(step: int, steps: int) -> float:
    """Learning-rate factor: linear warm-up over the first tenth, then half a cosine to zero."""
    done = (step + 1) / (steps + 1)
    return min(done / WARM_UP_SHARE, 1.0) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - WARM_UP_SHARE)))
