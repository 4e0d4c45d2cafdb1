"""Shadow classifiers: many small networks on random halves of the same images, trained together in one computation.

K networks of equal shape are K slices of the same tensors; a batched matrix product trains all of them at the cost of
few, because on small images a processor waits for calls, not for arithmetic. Each has its own half, order of images and
start. The attacked classifier of an audit of our own is one of them: what an attacker's shadows must resemble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from twinset.models.optimisers import Adam
from twinset.randomness import Stream


@dataclass(frozen=True)
class ShadowSettings:
    """A network of one hidden layer: ``width`` units, ``steps`` of Adam at ``rate`` with batches of ``batch``.

    The defaults over-fit small images on purpose: an attack that finds nothing here is broken.
    """

    width: int = 128
    steps: int = 1000
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if min(self.width, self.steps, self.batch) < 1 or not self.rate > 0 or self.weight_decay < 0:
            raise ValueError(f"expected width, steps, batch ≥ 1, rate > 0 and weight_decay ≥ 0; got {self}")


@dataclass(frozen=True, eq=False)
class Networks:
    """K networks on D inputs: ``tensors`` are weights and biases of both layers, first axis K."""

    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

    @torch.no_grad()
    def logits(self, rows: NDArray[np.floating], *, block: int = 4096) -> NDArray[np.float32]:
        """float32 (K, N, C) for rows (N, D)."""
        wide = torch.from_numpy(np.asarray(rows, dtype=np.float32))
        return torch.cat([_forward(self.tensors, part[None]) for part in torch.split(wide, block)], dim=1).numpy()


def halves(count: int, networks: int, *, rng: Stream) -> NDArray[np.bool_]:
    """bool (K, N): each image is in half of the networks, chosen at random (all K even), else as near as can be."""
    draw = rng.child("halves").numpy()
    order = np.argsort(draw.random((networks, count)), axis=0)
    return np.asarray(order < networks // 2)


def train_together(
    rows: NDArray[np.floating],
    class_ids: NDArray[np.integer],
    included: NDArray[np.bool_],
    *,
    classes: int,
    settings: ShadowSettings | None = None,
    rng: Stream,
) -> Networks:
    """K networks, the k-th on the rows (N, D) with classes (N,) that ``included[k]`` (K, N) names.

    Deterministic for a number of threads. ``ValueError`` for a network without images.
    """
    chosen = settings or ShadowSettings()
    if included.ndim != 2 or included.shape[1] != len(rows) or not included.any(axis=1).all():
        raise ValueError(f"expected for each network some of {len(rows)} images; got flags {included.shape}")
    data = torch.from_numpy(np.asarray(rows, dtype=np.float32))
    labels = torch.from_numpy(np.asarray(class_ids, dtype=np.int64))
    tensors = _start(len(included), data.shape[1], chosen.width, classes, rng.child("start"))
    optimiser = Adam(tensors, lr=chosen.rate, weight_decay=chosen.weight_decay)
    draw = rng.child("batches").numpy()
    members = [np.flatnonzero(flags) for flags in included]
    for step in range(chosen.steps):
        for group in optimiser.param_groups:
            group["lr"] = chosen.rate * (1 - step / chosen.steps)
        picked = torch.from_numpy(np.stack([own[draw.integers(len(own), size=chosen.batch)] for own in members]))
        logits = _forward(tensors, data[picked])
        loss = functional.cross_entropy(logits.flatten(0, 1), labels[picked].flatten(), reduction="sum") / chosen.batch
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Networks(tuple(tensor.detach() for tensor in tensors))  # type: ignore[arg-type]


def _forward(tensors: tuple[torch.Tensor, ...], rows: torch.Tensor) -> torch.Tensor:
    first, first_bias, second, second_bias = tensors
    hidden = torch.relu(torch.matmul(rows, first) + first_bias)
    return torch.matmul(hidden, second) + second_bias


def _start(
    networks: int, inputs: int, width: int, classes: int, rng: Stream
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = rng.torch()
    first = torch.randn(networks, inputs, width, generator=generator) * (2 / inputs) ** 0.5
    second = torch.randn(networks, width, classes, generator=generator) * (1 / width) ** 0.5
    biases = torch.zeros(networks, 1, width), torch.zeros(networks, 1, classes)
    tensors = (first, biases[0], second, biases[1])
    for tensor in tensors:
        tensor.requires_grad_()
    return tensors
