"""Features of a fixed convolutional network with random filters: fitted on nothing, downloaded from nowhere.

Random filters with rectification and pooling keep much of what trained ones see (Jarrett et al. 2009; Saxe
et al. 2011), and a random network judges generators on domains far from ImageNet (Naeem et al. 2020, sec. 4).
Since no image shaped it, it may look for copies and members. It sees strokes, textures, colours and where they
are, hardly meaning: two photos of a cat are not close.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from twinset.dataset import Dataset
from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.images import ImageSpec
from twinset.randomness import Stream

SEED = 20240229
BATCH = 64
WIDTHS = (32, 64, 64)
KERNELS = (5, 3, 3)
# Pooling grid and share of each scale: the picture itself, then the three layers. Chosen once by nearest-neighbour
# accuracy on digits, natural images and radiographs, before any generator was looked at.
GRIDS = (4, 4, 4, 2)
SHARES = (0.25, 2.0, 2.0, 3.0)
# Brings the mean square of a feature to about 1 on such images: the cubic kernel of KID is not scale-free.
GAIN = 2.5


@dataclass(frozen=True)
class RandomConvolution:
    """A three-layer random network on the picture at ``size`` × ``size``, pooled at four scales, projected to D."""

    dimension: int = 128
    size: int = 32

    def __post_init__(self) -> None:
        if self.dimension < 2 or self.size < 16 or self.size % 8:
            raise ValueError(f"expected dimension ≥ 2 and size ≥ 16, a multiple of 8; got {self}")

    @property
    def name(self) -> str:
        """``random-convolution-128-32/1``: D, input size, revision."""
        return f"random-convolution-{self.dimension}-{self.size}/1"

    @property
    def fitted_on(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> RandomConvolution:  # noqa: ARG002
        """Itself."""
        return self

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, dimension)."""
        return in_fixed_batches(self._features, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        filters, projection = self._weights
        maps = resized(as_rgb(images), (self.size, self.size))
        scales = [_pooled(maps, GRIDS[0], SHARES[0])]
        for layer, kernels in enumerate(filters):
            edge = kernels.shape[-1] // 2
            responses = functional.conv2d(functional.pad(maps, (edge,) * 4, mode="replicate"), kernels)
            maps = torch.cat([responses.relu(), (-responses).relu()], dim=1)
            scales.append(_pooled(maps, GRIDS[layer + 1], SHARES[layer + 1]))
            maps = functional.avg_pool2d(maps, 2)
        return torch.cat(scales, dim=1) @ projection

    @cached_property
    def _weights(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Filters of unit norm (the first without mean) and a Gaussian projection; the same on every machine."""
        stream = Stream(SEED)
        filters, inputs = [], 3
        for layer, (width, kernel) in enumerate(zip(WIDTHS, KERNELS, strict=True)):
            weights = stream.child("layer", layer).numpy().normal(size=(width // 2, inputs, kernel, kernel))
            if layer == 0:
                weights -= weights.mean(axis=(2, 3), keepdims=True)
            weights /= np.sqrt((weights**2).sum(axis=(1, 2, 3), keepdims=True))
            filters.append(torch.from_numpy(weights.astype(np.float32)))
            inputs = width
        channels = (3, *WIDTHS)
        total = sum(width * grid**2 for width, grid in zip(channels, GRIDS, strict=True))
        projection = stream.child("projection").numpy().normal(size=(total, self.dimension))
        return filters, torch.from_numpy((GAIN * projection).astype(np.float32))


def _pooled(maps: torch.Tensor, grid: int, share: float) -> torch.Tensor:
    pooled = functional.adaptive_avg_pool2d(maps, grid).flatten(1)
    weight: float = share / pooled.shape[1] ** 0.5
    return pooled * weight
