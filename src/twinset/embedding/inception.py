"""Two outputs of Inception v3 that are no embeddings: class probabilities, and maps that keep the place.

The inception score reads the first, the spatial Fréchet distance the second (``Mixed_6e``, 17 × 17, before pooling).
The network is torchvision's, from the same local file as :class:`~twinset.embedding.pretrained.Pretrained` takes, and
as there nothing is downloaded. Published figures come from the TensorFlow port: do not compare with those.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from twinset.dataset import Dataset
from twinset.embedding.foreign_embedder import DIGITS, ForeignEmbedder
from twinset.embedding.pretrained import UNIT, Pretrained, inception_network
from twinset.images import ImageSpec
from twinset.randomness import Stream

SIDE = 299
MAP_SIDE = 17
MAP_CHANNELS = 7
"""Of the 768 channels of ``Mixed_6e``, as many as sFID takes."""


@dataclass(frozen=True)
class InceptionProbabilities:
    """Probabilities (N, 1000) of ImageNet's classes; ``path`` of the weights as for ``Pretrained("inception")``."""

    path: str | None = None

    def check(self) -> None:
        """Raises :class:`~twinset.errors.MissingModelError`, in no time, if the weights are not there."""
        Pretrained("inception", self.path).check()

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> ForeignEmbedder:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        network, digest = inception_network(self.path)
        return _embedder(nn.Sequential(network, nn.Softmax(dim=1)), "probabilities", digest)


@dataclass(frozen=True)
class InceptionMaps:
    """The first 7 channels of ``Mixed_6e``, (N, 7 · 17 · 17); ``path`` as above."""

    path: str | None = None

    def check(self) -> None:
        """Raises :class:`~twinset.errors.MissingModelError`, in no time, if the weights are not there."""
        Pretrained("inception", self.path).check()

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> ForeignEmbedder:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        network, digest = inception_network(self.path)
        return _embedder(_Maps(network), "mixed-6e", digest)


def _embedder(network: nn.Module, output: str, digest: str) -> ForeignEmbedder:
    return ForeignEmbedder(network, f"inception-{output}-{digest[:DIGITS]}", SIDE, *UNIT, sha256=digest)


class _Maps(nn.Module):
    """Inception up to ``Mixed_6e``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        names = [name for name, _ in network.named_children() if name != "AuxLogits"]
        kept = names[: names.index("Mixed_6e") + 1]
        self.trunk = nn.Sequential(*(network.get_submodule(name) for name in kept))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 7 · 17 · 17)."""
        maps: torch.Tensor = self.trunk(images)
        return maps[:, :MAP_CHANNELS].flatten(1)
