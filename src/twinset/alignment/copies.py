"""Removes near copies of training images.

A synthetic image goes when its nearest training image is at less than half the distance of any second family of
real images, or nearer than any two different real images of this dataset ever are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import nearest_copies
from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch
from twinset.randomness import Stream
from twinset.stages import Judgement

NEIGHBOURS = 8


@dataclass(frozen=True)
class NearCopies:
    """``ratio``: nearest over second-nearest training distance below which an image is a copy.

    ``closeness``: share of the smallest usual (1 %) distance of held-out images to training images below which it
    is one whatever the second neighbour: this catches copies of images that stand in training several times.
    """

    ratio: float = 0.5
    closeness: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.ratio < 1 and 0 <= self.closeness <= 1):
            raise ValueError(f"expected 0 < ratio < 1 and 0 ≤ closeness ≤ 1; got {self}")

    def fit(
        self,
        pilot: Dataset,  # noqa: ARG002
        *,
        training: Dataset,
        holdout: Dataset,
        spec: ImageSpec,
        rng: Stream,  # noqa: ARG002
    ) -> NearCopyFilter:
        """Takes the smallest usual real distance from the held-out images."""
        images = training.prepared(spec)
        distances, _ = nearest_copies(holdout.prepared(spec), images, k=1)
        smallest = self.closeness * float(np.quantile(distances[:, 0], 0.01))
        return NearCopyFilter(images, tuple(training.ids), self.ratio, smallest, spec)


@dataclass(frozen=True, eq=False)
class NearCopyFilter:
    """Compares pictures with all training pictures under flips and small shifts."""

    training: PixelBatch
    ids: tuple[str, ...]
    ratio: float
    smallest: float
    spec: ImageSpec

    def judge(self, synthetic: Dataset) -> Judgement:
        """Scores ``copy_distance`` (0…2) and ``copy_ratio`` (0…1; nearest over second nearest)."""
        if not len(synthetic):
            empty = np.empty(0)
            return Judgement({"copy_distance": empty, "copy_ratio": empty}, ())
        k = min(NEIGHBOURS, len(self.training))
        distances, rows = nearest_copies(synthetic.prepared(self.spec), self.training, k=k)
        ratios = _ratios(distances)
        reasons = tuple(
            self._reason(float(distance), float(ratio), int(row))
            for distance, ratio, row in zip(distances[:, 0], ratios, rows[:, 0], strict=True)
        )
        return Judgement({"copy_distance": distances[:, 0], "copy_ratio": ratios}, reasons)

    def _reason(self, distance: float, ratio: float, row: int) -> str | None:
        if ratio < self.ratio:
            return f"near copy of {self.ids[row]} (distance ratio {ratio:.2f})"
        if distance < self.smallest:
            return f"near copy of {self.ids[row]} (distance {distance:.3f}, no real pair is below {self.smallest:.3f})"
        return None


def _ratios(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest over second nearest, 1 where there is only one training image or both are at no distance."""
    if distances.shape[1] < 2:
        return np.ones(len(distances))
    second = distances[:, 1]
    return np.divide(distances[:, 0], second, out=np.ones(len(distances)), where=second > 0)
