"""Authenticity: how many synthetic images are no copies of a training image with a little noise on it.

Alaa et al. 2022, "How Faithful is your Synthetic Data?", sec. 3.3: a synthetic image s is authentic if its nearest
training image t is farther from s than t is from its own nearest training image. A generator that stores its training
images scores about 0.

The level of an honest generator is not 1, but what fresh real images score. Fresh draws of a Gaussian law score .31 in
1 dimension, .58 in 8, .81 in 64 (1,000 training images, simulated). Where holdout images are given, theirs is the
floor. Two cases which the definition leaves open:

* exact copies within the training set: t's nearest *different* training image counts. Else a set in which every image
  stands twice would call every near-copy authentic, its own spacing being 0;
* several training images equally near to s: s must be farther than the largest of their spacings. Being exactly as far
  as the spacing is not farther. So neither the order of rows nor a tie makes a copy pass.

This is a look, not a privacy test: a few copies among many images hardly move a share. The release gate has its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.neighbourhoods.duplicates import distinct_rows
from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, as_features, blocks, wilson_interval
from twinset.neighbours import NeighbourIndex, nearest_others
from twinset.randomness import Stream
from twinset.scores import Interval, Score

NAME = "authenticity"
TIES = 4
Array = NDArray[np.float64]


def authentic(synthetic: Features, train: Features) -> NDArray[np.bool_]:
    """Whether each synthetic image (M, D) is authentic against the training ones (T, D): bool (M,).

    Raises ``ValueError`` for fewer than two different training images.

    >>> authentic(np.array([[0.1], [3.0], [10.0]]), np.array([[0.0], [1.0], [5.0]])).tolist()
    [False, False, True]
    """
    kept = distinct_rows(_floats(train, "training"))
    different = _floats(train, "training") if len(kept) == len(train) else _floats(train[kept], "training")
    if len(different) < 2:
        raise ValueError(f"expected at least 2 different training images; got {len(different)}; supply more")
    spacing = nearest_others(different, k=1)[0][:, 0]
    queries = _floats(synthetic, "synthetic")
    distances, rows = NeighbourIndex(different).nearest(queries, k=min(TIES, len(different)))
    tied = distances == distances[:, :1]
    required = np.where(tied, spacing[rows], -np.inf).max(axis=1)
    for row in np.flatnonzero(tied.all(axis=1)):
        required[row] = _largest_spacing(queries[row], different, spacing)
    return np.asarray(distances[:, 0] > required)


def authenticity(
    synthetic: Features,
    train: Features,
    *,
    holdout: Features | None = None,
    extractor: str | None = None,
    real: int = 0,
) -> Score:
    """Share of authentic images among synthetic (M, D), given training (T, D); higher is better.

    The interval is Wilson's (95 %), about the synthetic images with the training ones held fixed. The floor is the
    share among ``holdout`` (H, D), real images that the generator did not see. ``real`` only enters the counts.
    Undefined without synthetic images, or with fewer than two different training ones.

    >>> authenticity(np.array([[0.1], [3.0], [10.0]]), np.array([[0.0], [1.0], [5.0]])).value
    0.3333333333333333
    """
    counts = {"real": real, "synthetic": len(synthetic), "train": len(train)}
    different = len(distinct_rows(_floats(train, "training"))) if len(train) else 0
    reason = ""
    if not len(synthetic):
        reason = "there are no synthetic images"
    elif different < 2:
        reason = f"needs at least 2 different training images; got {different}"
    if reason:
        return Score(NAME, None, True, counts, undefined_because=reason, extractor=extractor)
    found = authentic(synthetic, train)
    floor = float(authentic(holdout, train).mean()) if holdout is not None and len(holdout) else None
    copies = len(train) - different
    settings: dict[str, str | int | float] = {
        "dimension": train.shape[1],
        "dtype": "float64",
        "interval": "Wilson, given the training images",
    }
    if floor is not None and holdout is not None:
        settings |= {"floor": "holdout images", "floor_n": len(holdout)}
    return Score(
        NAME,
        float(found.mean()),
        True,
        counts,
        interval=Interval(*wilson_interval(float(found.sum()), found.size)),
        extractor=extractor,
        floor=floor,
        settings=settings,
        warnings=(f"{copies} training images are exact copies of others: counted once",) if copies else (),
    )


@dataclass(frozen=True)
class Authenticity:
    """:func:`authenticity` as a metric; it needs the training features of the evidence."""

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """One score, undefined without training features or with an extractor that was trained on them."""
        train, reason = evidence.train, ""
        if evidence.extractor_saw_real:
            reason = f"{evidence.extractor} was trained on these images; use pixels or an extractor that was not"
        elif train is None:
            reason = "no training images were given beside the synthetic ones"
        if train is None or reason:
            counts = {"real": len(evidence.real), "synthetic": len(evidence.synthetic)}
            return [Score(NAME, None, True, counts, undefined_because=reason, extractor=evidence.extractor)]
        return [
            authenticity(
                evidence.synthetic,
                train,
                holdout=evidence.holdout,
                extractor=evidence.extractor,
                real=len(evidence.real),
            )
        ]


def _largest_spacing(query: Features, train: Features, spacing: Array) -> float:
    """The largest spacing among all training images that are nearest to ``query`` (D,), however many tie."""
    parts = []
    for part in blocks(len(train), 2048):
        difference = train[part].astype(np.float64) - query.astype(np.float64)
        parts.append(np.sqrt((difference**2).sum(axis=1)))
    distances = np.concatenate(parts)
    return float(spacing[distances == distances.min()].max())


def _floats(features: Features, what: str) -> Features:
    return features if np.issubdtype(features.dtype, np.floating) else as_features(features, what)
