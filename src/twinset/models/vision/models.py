"""What every detector does here, whatever library it is from: a loss for a batch, objects for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import nn

from twinset.randomness import Stream


class Targets(NamedTuple):
    """Objects to learn in one picture: boxes float32 (K, 4) xyxy px, class ids int64 (K,), masks uint8 (K, H, W)."""

    boxes: torch.Tensor
    class_ids: torch.Tensor
    masks: torch.Tensor | None


class Found(NamedTuple):
    """Objects found in one picture, as :class:`Targets`, with scores (K,); masks are probabilities (K, H, W)."""

    boxes: torch.Tensor
    class_ids: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor | None


class DetectionModel(Protocol):
    """A network of some library behind one face; pictures are float32 (N, 3, H, W) in [0, 1]."""

    network: nn.Module

    def loss(self, images: torch.Tensor, targets: Sequence[Targets]) -> torch.Tensor:
        """One number to go down."""

    def detect(self, images: torch.Tensor) -> list[Found]:
        """The objects in every picture, best first."""


@contextmanager
def seeded(rng: Stream) -> Iterator[None]:
    """Runs the block with PyTorch's global CPU generator at the start of a stream, and puts it back afterwards.

    Both libraries draw weights, samples of boxes and noise from the global generator and take no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.seed)
        yield


def freeze_norms(network: nn.Module) -> None:
    """Batch norms keep the statistics they have, as is usual in fine-tuning with small batches."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.requires_grad_(False)
