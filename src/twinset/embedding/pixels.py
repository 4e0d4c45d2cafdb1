"""Pixels as features: the picture itself at a small size, fitted on nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from twinset.dataset import Dataset
from twinset.embedding.embedder import Vectors, as_rgb, resized
from twinset.images import ImageSpec
from twinset.randomness import Stream


@dataclass(frozen=True)
class SmallPixels:
    """Every picture at ``size`` × ``size`` RGB, antialiased, flattened to D = 3·size², values in [-1, 1]."""

    size: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 64:
            raise ValueError(f"expected 1 ≤ size ≤ 64; got {self.size}")

    @property
    def name(self) -> str:
        """``pixels-8``."""
        return f"pixels-{self.size}"

    @property
    def fitted_on(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> SmallPixels:  # noqa: ARG002
        """Itself."""
        return self

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, 3·size²)."""
        # Kernel overshoot stays: clipping would make two distinct pictures equal.
        small = resized(as_rgb(images.to("cpu", torch.float32)), (self.size, self.size))
        return small.flatten(1).numpy()
