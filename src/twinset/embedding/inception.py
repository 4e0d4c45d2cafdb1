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
from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.embedding.pretrained import BATCH, UNIT, Pretrained, inception_network
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

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> InceptionOutput:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        network, digest = inception_network(self.path)
        return InceptionOutput(nn.Sequential(network, nn.Softmax(dim=1)), f"inception-probabilities-{digest}")


@dataclass(frozen=True)
class InceptionMaps:
    """The first 7 channels of ``Mixed_6e``, (N, 7 · 17 · 17); ``path`` as above."""

    path: str | None = None

    def check(self) -> None:
        """Raises :class:`~twinset.errors.MissingModelError`, in no time, if the weights are not there."""
        Pretrained("inception", self.path).check()

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> InceptionOutput:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        network, digest = inception_network(self.path)
        return InceptionOutput(_Maps(network), f"inception-mixed-6e-{digest}")


@dataclass(frozen=True, eq=False)
class InceptionOutput:
    """One output of the network as a row per image; it saw none of the user's images."""

    network: nn.Module
    name: str
    side: int = SIDE

    @property
    def fitted_on(self) -> frozenset[str]:
        """None of the user's samples."""
        return frozenset()

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, D); resized with antialiasing, the whole picture."""
        return in_fixed_batches(self._rows, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _rows(self, images: torch.Tensor) -> torch.Tensor:
        shown = (resized(as_rgb(images), (self.side, self.side)) + 1) / 2
        mean, std = (torch.tensor(values)[None, :, None, None] for values in UNIT)
        rows: torch.Tensor = self.network((shown - mean) / std)
        return rows


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
