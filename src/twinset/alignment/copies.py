"""Removes near copies of training images.

A synthetic image goes when its nearest training image is at less than half the distance of any training image of
another family, or nearer than different real images of this dataset ever are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import DUPLICATE_SHARE, HIT_RATIO, duplicate_families, nearest_copies, usual_distance
from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch
from twinset.randomness import Stream
from twinset.stages import Judgement

NEIGHBOURS = 8


@dataclass(frozen=True)
class NearCopies:
    """``ratio``: nearest over second-nearest training distance below which an image is a copy.

    ``closeness``: share of the smallest usual (1 %) distance of held-out images to training images below which it
    is one whatever the second neighbour: this catches copies of images that have near relatives in training.
    """

    ratio: float = HIT_RATIO
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
        """Takes the smallest usual distance from held-out images, those left out that are training images."""
        if not len(training) or not len(holdout):
            raise ValueError(f"expected training and held-out images; got {len(training)} and {len(holdout)}")
        images = training.prepared(spec)
        distances = nearest_copies(holdout.prepared(spec), images, k=1)[0][:, 0]
        same = DUPLICATE_SHARE * usual_distance(distances)
        others = distances[distances > same]
        smallest = self.closeness * float(np.quantile(others, 0.01)) if len(others) else 0.0
        families = duplicate_families(images, nearer_than=same)
        return NearCopyFilter(images, families, tuple(training.ids), self.ratio, smallest, spec)


@dataclass(frozen=True, eq=False)
class NearCopyFilter:
    """Compares pictures with all training pictures under flips and small shifts.

    ``families`` (N,) is equal for training pictures that are one image in several files.
    """

    training: PixelBatch
    families: NDArray[np.int64]
    ids: tuple[str, ...]
    ratio: float
    smallest: float
    spec: ImageSpec

    def judge(self, synthetic: Dataset) -> Judgement:
        """Scores ``copy_distance`` (0…2) and ``copy_ratio`` (0…1; nearest over nearest of another family)."""
        if not len(synthetic):
            empty = np.empty(0)
            return Judgement({"copy_distance": empty, "copy_ratio": empty}, ())
        k = min(NEIGHBOURS, len(self.training))
        distances, rows = nearest_copies(synthetic.prepared(self.spec), self.training, k=k)
        ratios = _ratios(distances, self.families[rows])
        reasons = tuple(
            self._reason(float(distance), float(ratio), int(row))
            for distance, ratio, row in zip(distances[:, 0], ratios, rows[:, 0], strict=True)
        )
        return Judgement({"copy_distance": distances[:, 0], "copy_ratio": ratios}, reasons)

    def _reason(self, distance: float, ratio: float, row: int) -> str | None:
        if ratio < self.ratio:
            return f"near copy of {self.ids[row]} (distance ratio {ratio:.2f})"
        if distance < self.smallest or distance == 0:
            return f"near copy of {self.ids[row]} (distance {distance:.3f}, real images keep {self.smallest:.3f})"
        return None


def _ratios(distances: NDArray[np.float64], families: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nearest over nearest of another family (N, k) → (N,); over the farthest known one if all are of one family.

    1 where there is one training image only, or no distance at all.
    """
    if distances.shape[1] < 2:
        return np.ones(len(distances))
    other = families != families[:, :1]
    at = np.where(other.any(axis=1), other.argmax(axis=1), distances.shape[1] - 1)
    second = distances[np.arange(len(distances)), at]
    ratios: NDArray[np.float64] = np.divide(distances[:, 0], second, out=np.ones(len(distances)), where=second > 0)
    return ratios
