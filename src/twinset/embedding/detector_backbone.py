"""What the backbone of a trained dense detector sees in a picture or a crop, pooled into one vector.

Backbones keep shape and occlusion of the objects that they were trained to find better than general networks do;
trained to the end they may lose depth and surroundings. The benchmark of extractors measures that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.models.detection.detector import Detector
from twinset.models.detection.network import MULTIPLE, DetectionNetwork

BATCH = 32


@dataclass(frozen=True, eq=False)
class DetectorBackbone:
    """Mean and deviation of every channel at strides 8, 16 and 32, pictures taken to ``side`` × ``side``."""

    network: DetectionNetwork
    fitted_on: frozenset[str]
    name: str
    side: int = 64

    def __post_init__(self) -> None:
        if self.side < MULTIPLE or self.side % MULTIPLE:
            raise ValueError(f"expected a side that is a multiple of {MULTIPLE}; got {self.side}")

    @staticmethod
    def of(detector: Detector, *, fitted_on: Iterable[str], side: int = 64) -> DetectorBackbone:
        """The backbone of a detector that was trained on the samples of these ids."""
        name = f"detector-{_digest(detector.network)[:8]}-{side}"
        return DetectorBackbone(detector.network, frozenset(fitted_on), name, side)

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, 2 · 20 · width)."""
        return in_fixed_batches(self._features, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        network = self.network
        channels = network.stem.convolution.in_channels
        seen = as_rgb(images) if channels == 3 else images.mean(dim=1, keepdim=True)
        small = resized(seen, (self.side, self.side)).contiguous(memory_format=torch.channels_last)
        eighth = network.eighth(network.quarter(network.stem(small)))
        sixteenth = network.sixteenth(eighth)
        levels = (eighth, sixteenth, network.coarsest(sixteenth))
        pooled = [part for level in levels for part in (level.mean(dim=(2, 3)), level.std(dim=(2, 3), correction=0))]
        return torch.cat(pooled, dim=1)


def _digest(network: DetectionNetwork) -> str:
    total = hashlib.sha256()
    for name, value in network.state_dict().items():
        total.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
