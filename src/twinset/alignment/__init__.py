"""Filters that bring a synthetic set closer to the real one; one a file. Every rejection has a reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.images import ImageSpec
from twinset.randomness import Stream
from twinset.stages import Aligner, Alignment, SetFilter


def align(
    synthetic: Dataset,
    *,
    training: Dataset,
    holdout: Dataset,
    spec: ImageSpec,
    aligners: Sequence[Aligner | SetFilter],
    rng: Stream,
) -> Alignment:
    """What stays of a synthetic set, what goes and why; the first filter to object gives the reason.

    The whole set is the pilot that thresholds are fitted on. Filters that look at samples one by one come first,
    then those that compare survivors with each other.
    """
    reasons: list[str | None] = [None] * len(synthetic)
    scores: dict[str, NDArray[np.float64]] = {}
    for number, aligner in enumerate(aligners):
        if isinstance(aligner, SetFilter):
            continue
        fitted = aligner.fit(synthetic, training=training, holdout=holdout, spec=spec, rng=rng.child("align", number))
        judgement = fitted.judge(synthetic)
        scores |= judgement.scores
        reasons = [old or new for old, new in zip(reasons, judgement.reasons, strict=True)]
    for aligner in aligners:
        if isinstance(aligner, SetFilter):
            rows = [row for row, reason in enumerate(reasons) if reason is None]
            found = aligner.judge_set(synthetic.take(rows), accepted=None) if rows else ()
            for row, reason in zip(rows, found, strict=True):
                reasons[row] = reason
    kept = np.array([reason is None for reason in reasons], dtype=bool)
    return Alignment(
        kept=synthetic.where(kept),
        rejected=synthetic.where(~kept),
        reasons=tuple(reason for reason in reasons if reason is not None),
        scores=scores,
    )
