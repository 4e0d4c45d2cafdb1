"""What objects are pasted on: training pictures with or without their objects, a folder's pictures, smooth noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.stores import Pictures
from twinset.images import Pixels
from twinset.instances import Instances
from twinset.semantic import SemanticMap


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """B pictures (H, W, 3) with their ids and licences; ``scenes`` (B,) the training picture each shows, −1 if none.

    ``labels`` are what is in the picture already (real backgrounds): objects, or the class of every pixel, else None.
    """

    pictures: Pictures
    ids: tuple[str, ...]
    licences: tuple[str | None, ...]
    scenes: NDArray[np.int64]
    labels: tuple[Instances | SemanticMap | None, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Noise:
    """Smooth random pictures in the colours of the training set: ``colours`` float64 (P, 3), ``sizes`` int64 (N, 2)."""

    colours: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @staticmethod
    def of(pictures: Sequence[Pixels]) -> Noise:
        """From training pictures (H, W, 3): their sizes, and the colours of 8 × 8 patches."""
        small = [cv2.resize(p, (8, 8), interpolation=cv2.INTER_AREA).reshape(-1, 3) for p in pictures]
        return Noise(np.concatenate(small).astype(np.float64), np.array([p.shape[:2] for p in pictures]))

    def size(self, draws: np.random.Generator) -> tuple[int, int]:
        """Height and width of a training picture."""
        height, width = self.sizes[int(draws.integers(len(self.sizes)))]
        return int(height), int(width)

    def picture(self, size: tuple[int, int], draws: np.random.Generator) -> Pixels:
        """A picture uint8 (H, W, 3): octaves of random colours between which one goes smoothly, and some grain."""
        height, width = size
        total = np.zeros((height, width, 3), dtype=np.float32)
        weights = np.float32(0.6) ** np.arange(4)
        for octave, weight in enumerate(weights / weights.sum()):
            cells = 2 + 2**octave
            grid = self.colours[draws.integers(len(self.colours), size=(cells, cells))].astype(np.float32)
            total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = draws.normal(0, 3, size=(height, width, 1)).astype(np.float32)
        return np.asarray(np.clip(total + grain, 0, 255), dtype=np.uint8)
