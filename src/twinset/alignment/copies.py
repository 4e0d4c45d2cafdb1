"""Removes near copies of training images, and what comes too near to them too often.

A synthetic image goes when its nearest training image is at less than half the distance of any training image of
another family, or nearer than different real images of this dataset ever are. Where it is asked for, sampling is
copy-aware beyond that: of what is left, images nearer to training images than held-out ones usually are go, all of them
(``refuse_below``) or as many as are too many (``thin_below``): see :mod:`twinset.alignment.thinning`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.thinning import Thinning
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

    ``refuse_below``: quantile of the distances of held-out images to training images below which all other images are
    refused; that leaves holes an attacker can see. ``thin_below``: quantile of the distances that synthetic images keep
    to held-out images, below which they are thinned until as many keep these distances to training images. 0 is off;
    one of them may be on.
    """

    ratio: float = HIT_RATIO
    closeness: float = 0.5
    refuse_below: float = 0.0
    thin_below: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.ratio < 1 and 0 <= self.closeness <= 1):
            raise ValueError(f"expected 0 < ratio < 1 and 0 ≤ closeness ≤ 1; got {self}")
        if not (0 <= self.refuse_below < 1 and 0 <= self.thin_below < 1) or (self.refuse_below and self.thin_below):
            raise ValueError(f"expected refuse_below or thin_below in (0, 1), or neither; got {self}")

    def fit(
        self, pilot: Dataset, *, training: Dataset, holdout: Dataset, spec: ImageSpec, rng: Stream
    ) -> NearCopyFilter:
        """Takes the usual distances from held-out images, those left out that are training images; how often the
        generator comes near from the pilot, where images are to be thinned."""
        if not len(training) or not len(holdout):
            raise ValueError(f"expected training and held-out images; got {len(training)} and {len(holdout)}")
        images = training.prepared(spec)
        distances = nearest_copies(holdout.prepared(spec), images, k=1)[0][:, 0]
        same = DUPLICATE_SHARE * usual_distance(distances)
        others = distances[distances > same]
        smallest = self.closeness * float(np.quantile(others, 0.01)) if len(others) else 0.0
        families = duplicate_families(images, nearer_than=same)
        ids = tuple(training.ids)
        copies = NearCopyFilter(images, families, ids, self.ratio, smallest, spec, rng.child("thinning"))
        unseen = holdout.prepared(spec)[distances > same]
        return replace(copies, thinning=self._thinning(copies, pilot, others, unseen))

    def _thinning(
        self, copies: NearCopyFilter, pilot: Dataset, held_out: NDArray[np.float64], unseen: PixelBatch
    ) -> Thinning:
        """``held_out`` (H,): distances of the held-out images ``unseen`` (H, …), which are no training images."""
        if not (self.refuse_below or self.thin_below):
            return Thinning()
        if not len(held_out):
            raise ValueError("expected held-out images that are no training images; got none")
        if self.refuse_below:
            return Thinning.refusing(held_out, below=self.refuse_below)
        if not len(pilot):
            raise ValueError("expected synthetic images to tell how near the generator comes; got none")
        judged = copies.judge(pilot)
        no_copies = np.flatnonzero([reason is None for reason in judged.reasons])
        if not len(no_copies):
            return Thinning.refusing(held_out, below=self.thin_below)
        to_unseen = nearest_copies(pilot.prepared(copies.spec)[no_copies], unseen, k=1)[0][:, 0]
        to_unseen *= _as_among(copies.training, unseen, held_out, rng=copies.rng.child("sizes"))
        return Thinning.matching(judged.scores["copy_distance"][no_copies], to_unseen, below=self.thin_below)


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
    rng: Stream
    thinning: Thinning = field(default_factory=Thinning)

    def judge(self, synthetic: Dataset) -> Judgement:
        """Scores ``copy_distance`` (0…2) and ``copy_ratio`` (0…1; nearest over nearest of another family)."""
        if not len(synthetic):
            empty = np.empty(0)
            return Judgement({"copy_distance": empty, "copy_ratio": empty}, ())
        k = min(NEIGHBOURS, len(self.training))
        distances, rows = nearest_copies(synthetic.prepared(self.spec), self.training, k=k)
        ratios = _ratios(distances, self.families[rows])
        chances = self.thinning.chance(distances[:, 0])
        reasons = tuple(
            self._reason(float(distance), float(ratio), int(row)) or self._too_near(id_, float(distance), float(chance))
            for id_, distance, ratio, row, chance in zip(
                synthetic.ids, distances[:, 0], ratios, rows[:, 0], chances, strict=True
            )
        )
        return Judgement({"copy_distance": distances[:, 0], "copy_ratio": ratios}, reasons)

    def _reason(self, distance: float, ratio: float, row: int) -> str | None:
        if ratio < self.ratio:
            return f"near copy of {self.ids[row]} (distance ratio {ratio:.2f})"
        if distance < self.smallest or distance == 0:
            return f"near copy of {self.ids[row]} (distance {distance:.3f}, real images keep {self.smallest:.3f})"
        return None

    def _too_near(self, id_: str, distance: float, chance: float) -> str | None:
        """The draw hangs on the image's id alone, so that a resumed run decides alike."""
        if chance == 1.0 or (chance > 0.0 and self.rng.child(id_).numpy().random() < chance):
            return None
        if chance == 0.0:
            return f"nearer to training images than held-out images are (distance {distance:.3f})"
        return f"one of too many so near to training images (distance {distance:.3f}, {chance:.0%} stay)"


def _as_among(training: PixelBatch, unseen: PixelBatch, held_out: NDArray[np.float64], *, rng: Stream) -> float:
    """How much nearer the nearest of all training images is than that of as many as there are ``unseen`` (H, …).

    By held-out images, whose distances to all training images are ``held_out`` (H,): of more the nearest is nearer.
    """
    if len(unseen) >= len(training):
        return 1.0
    some = training[rng.numpy().permutation(len(training))[: len(unseen)]]
    fewer = nearest_copies(unseen, some, k=1)[0][:, 0]
    return float(np.median(held_out / fewer))


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
