"""The synthetic images that lie closest to training images, to be looked at side by side.

For each synthetic image the nearest training image by features, and of these pairs the closest. A distance means little
by itself: beside it stands its ratio to the median distance of unseen real images to *their* nearest training image,
and the share of those that come as close. Whether the set copies as a whole is asked by the nearest-record figures
(:mod:`twinset.evaluation.neighbourhoods.nearest`) and by the release gate; this shows where to look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Evidence, Features
from twinset.neighbours import NeighbourIndex

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShownNeighbours:
    """K pairs, the closest first: rows (K,) of synthetic and of training images, and their Euclidean distances (K,).

    ``ratios`` (K,) are distances over ``baseline``, the median distance of holdout images to their nearest training
    image, and ``holdout_shares`` (K,) the shares (1 + holdout images as close or closer)/(1 + holdout images): .5 is
    usual, 1/(H + 1) is closer than any of H. All are None without holdout images, and ratios also where more than half
    of those are exact copies. ``repeats`` (K,) count the synthetic images that share the training image of this pair.
    """

    synthetic: Rows
    training: Rows
    distances: Array
    repeats: Rows
    baseline: float | None = None
    ratios: Array | None = None
    holdout_shares: Array | None = None

    def __len__(self) -> int:
        return len(self.synthetic)


def closest_pairs(
    synthetic: Features, train: Features, holdout: Features | None = None, *, pairs: int = 24, per_training: int = 2
) -> ShownNeighbours:
    """The ``pairs`` closest pairs out of synthetic (M, D) and training (T, D) features, against holdout (H, D) ones.

    A training image appears in at most ``per_training`` pairs, lest one that is copied a hundred times fill the page.
    Of equal distances the lower row comes first. The extractor must have been trained on none of these images. Memory
    beside the inputs is that of blocks. Raises ``ValueError`` for features that are not finite or sets without images.

    >>> made, seen, unseen = (np.array(rows)[:, None] for rows in ([9.0, 0.5, 5.0], [0.0, 4.0], [1.0, 2.0, 6.0]))
    >>> found = closest_pairs(made, seen, unseen, pairs=2)
    >>> found.synthetic.tolist(), found.training.tolist(), found.distances.tolist(), found.ratios.tolist()
    ([1, 2], [0, 1], [0.5, 1.0], [0.25, 0.5])
    >>> found.holdout_shares.tolist(), found.repeats.tolist()  # no unseen image is as close as .5, one as close as 1
    ([0.25, 0.5], [1, 2])
    """
    if pairs < 1 or per_training < 1:
        raise ValueError(f"expected pairs ≥ 1 and per_training ≥ 1; got {pairs} and {per_training}")
    index = NeighbourIndex(_floats(train))
    all_distances, all_rows = index.nearest(_floats(synthetic), k=1)
    distances, rows = all_distances[:, 0], all_rows[:, 0]
    order = np.lexsort((np.arange(len(distances)), distances))
    order = order[_occurrence(rows[order]) < per_training][:pairs]
    repeats = np.bincount(rows, minlength=len(train))[rows[order]]
    shown = ShownNeighbours(order, rows[order], distances[order], repeats)
    if holdout is None or not len(holdout):
        return shown
    unseen = np.sort(index.nearest(_floats(holdout), k=1)[0][:, 0])
    baseline = float(np.median(unseen))
    return ShownNeighbours(
        shown.synthetic,
        shown.training,
        shown.distances,
        shown.repeats,
        baseline,
        shown.distances / baseline if baseline > 0 else None,
        (1 + np.searchsorted(unseen, shown.distances, side="right")) / (1 + len(unseen)),
    )


@dataclass(frozen=True)
class NeighboursShown:
    """:func:`closest_pairs` of the evidence of one extraction."""

    pairs: int = 24
    per_training: int = 2

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.per_training < 1:
            raise ValueError(f"expected pairs ≥ 1 and per_training ≥ 1; got {self}")

    def find(self, evidence: Evidence) -> ShownNeighbours | str:
        """The pairs, or why there are none to show: no training images, or an extractor that was trained on them."""
        if evidence.extractor_saw_real:
            return f"{evidence.extractor} was trained on these images; use pixels or an extractor that was not"
        if evidence.train is None or not len(evidence.train) or not len(evidence.synthetic):
            return "there are no training or no synthetic images"
        return closest_pairs(
            evidence.synthetic, evidence.train, evidence.holdout, pairs=self.pairs, per_training=self.per_training
        )


def _occurrence(labels: Rows) -> Rows:
    """How many equal labels come before each."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    counts = np.empty(len(labels), dtype=np.int64)
    counts[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return counts


def _floats(features: Features) -> Features:
    return features if np.issubdtype(features.dtype, np.floating) else features.astype(np.float64)
