"""Distances of objects instead of pictures: KID and Fréchet distance on the crops of a detection set, class by class.

Between detection sets the distance of whole pictures is mostly that of their backgrounds. Here every object but
crowds is cut out with some context, brought to one size and embedded; crops are then compared as pictures are
(:mod:`twinset.evaluation.distances.kid`, :mod:`twinset.evaluation.distances.frechet`), all together and within each
class. A crop is about the object *at its box*: a synthetic set with wrong boxes scores badly though its pictures be
good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.crops import crop_batches, crop_owners
from twinset.dataset import Dataset
from twinset.embedding.embedder import embed_stream
from twinset.evaluation.distances.frechet import frechet_distance
from twinset.evaluation.distances.kid import kernel_distance
from twinset.evaluation.protocol import Features
from twinset.scores import Score
from twinset.stages import Embedder

Distance = Callable[[Features, Features, str], Score]

# KID first: it is unbiased at the few objects that a class often has.
DISTANCES: tuple[Distance, ...] = (
    lambda real, synthetic, extractor: kernel_distance(real, synthetic, extractor=extractor),
    lambda real, synthetic, extractor: frechet_distance(real, synthetic, extractor=extractor),
)


@dataclass(frozen=True, eq=False)
class CropFeatures:
    """Features (M, D) of the crops of a dataset, the class (M,) of each, and the row (M,) of its picture."""

    features: NDArray[np.float32]
    classes: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class CropDistances:
    """``side``: pixels of a square crop. ``margin``: context on every side, as a share of the box's own side.

    Boxes are stretched to the square and antialiased; those at a picture's edge get less context, no padding.
    """

    side: int = 64
    margin: float = 0.1

    def __post_init__(self) -> None:
        if self.side < 8 or not 0 <= self.margin <= 10:
            raise ValueError(f"expected side ≥ 8 and margin in [0, 10]; got {self}")

    def features(self, dataset: Dataset, embedder: Embedder) -> CropFeatures:
        """The crops of a dataset, embedded; streamed, one picture open at a time."""
        rows, classes = crop_owners(dataset)
        if not len(rows):
            return CropFeatures(np.empty((0, 1), dtype=np.float32), classes, rows)
        batches = crop_batches(dataset, side=self.side, margin=self.margin)
        return CropFeatures(embed_stream(embedder, batches), classes, rows)

    def measure(self, real: Dataset, synthetic: Dataset, *, embedder: Embedder) -> list[Score]:
        """``crop_kernel_distance`` and ``crop_frechet_distance``, and both of every class (``…[class]``).

        Counts are of objects, and their intervals take objects as independent, which those of one picture are not; the
        settings name the numbers of pictures. Raises ``ValueError`` for sets of different classes.
        """
        if list(real.classes) != list(synthetic.classes):
            raise ValueError(
                f"expected the same classes; got {list(real.classes)} and {list(synthetic.classes)}; map them first"
            )
        sides = self.features(real, embedder), self.features(synthetic, embedder)
        return self.scores(*sides, names=list(real.classes), extractor=embedder.name)

    def scores(self, real: CropFeatures, synthetic: CropFeatures, *, names: list[str], extractor: str) -> list[Score]:
        """As :meth:`measure`, from crops that are embedded already; ``names`` are those of the classes."""
        everything = np.full(len(real.rows), True), np.full(len(synthetic.rows), True)
        scores = self._scores(real, synthetic, everything, "", extractor)
        for number, name in enumerate(names):
            kept = real.classes == number, synthetic.classes == number
            scores += self._scores(real, synthetic, kept, f"[{name}]", extractor)
        return scores

    def _scores(
        self,
        real: CropFeatures,
        synthetic: CropFeatures,
        kept: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        suffix: str,
        extractor: str,
    ) -> list[Score]:
        settings: dict[str, str | int | float] = {
            "crop_side": self.side,
            "crop_margin": self.margin,
            "unit": "objects, taken as independent",
            "real_pictures": len(np.unique(real.rows[kept[0]])),
            "synthetic_pictures": len(np.unique(synthetic.rows[kept[1]])),
        }
        found = [distance(real.features[kept[0]], synthetic.features[kept[1]], extractor) for distance in DISTANCES]
        return [
            replace(score, name=f"crop_{score.name}{suffix}", settings={**score.settings, **settings})
            for score in found
        ]
