"""Fidelity, diversity, detectability and nearest records: one metric a file, all from one extraction.

Every metric is a function on arrays that stands alone, and a frozen dataclass that :func:`fidelity` runs.
A metric of your own is any object with ``needs`` and ``measure`` (:class:`Metric`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability import Detectability, detectability
from twinset.evaluation.floor import Floor, real_floor, with_floor
from twinset.evaluation.frechet import FrechetDistance, Moments, frechet_distance, frechet_from_moments, frechet_value
from twinset.evaluation.kid import KernelDistance, kernel_distance
from twinset.evaluation.nearest import ClosestPairs, NearestRecord, NearestRecords
from twinset.evaluation.prdc import PRDC, prdc
from twinset.evaluation.protocol import Evidence, Features, Metric, Need, TwoSampleMetric
from twinset.randomness import Stream
from twinset.scores import Score

DEFAULT_METRICS: tuple[Metric, ...] = (
    FrechetDistance(),
    KernelDistance(),
    PRDC(),
    Detectability(),
    NearestRecord(),
)
CLASS_METRICS: tuple[Metric, ...] = (FrechetDistance(), KernelDistance(), PRDC())


@dataclass(frozen=True, eq=False)
class ByClass:
    """Classes (N,) of the real and (M,) of the synthetic rows, by which figures are also wanted; −1 is unlabelled."""

    names: Sequence[str]
    real: NDArray[np.integer]
    synthetic: NDArray[np.integer]
    metrics: Sequence[Metric] = CLASS_METRICS


def fidelity(
    real: Features,
    synthetic: Features,
    *,
    extractor: str,
    rng: Stream,
    train: Features | None = None,
    holdout: Features | None = None,
    more_real: Features | None = None,
    extractor_saw_real: bool = False,
    by_class: ByClass | None = None,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> list[Score]:
    """Every metric of ``metrics`` on one extraction, with intervals, floors and warnings.

    ``real`` (N, D) and ``synthetic`` (M, D) are compared. ``train`` and ``holdout`` serve the nearest-record
    figures only. ``more_real`` are real images that are not in ``real``: they let the real-vs-real floor
    stand at the same N (see :mod:`twinset.evaluation.floor`). With ``extractor_saw_real`` (a self-trained
    embedder) nearest records are undefined; ``real`` and ``more_real`` should then be images that it did
    not see, for its features of training images are unlike those of any others. ``by_class`` adds figures
    named ``score[class]``.
    """
    evidence = Evidence(real, synthetic, extractor, train, holdout, extractor_saw_real)
    scores = _measure(metrics, evidence, more_real, rng)
    if by_class is not None:
        for number, name in enumerate(by_class.names):
            part = Evidence(real[by_class.real == number], synthetic[by_class.synthetic == number], extractor)
            stream = rng.child("class", number)
            scores += [
                replace(score, name=f"{score.name}[{name}]") for score in _measure(by_class.metrics, part, None, stream)
            ]
    return scores


def _measure(metrics: Sequence[Metric], evidence: Evidence, more_real: Features | None, rng: Stream) -> list[Score]:
    scores: list[Score] = []
    for metric in metrics:
        if metric.needs - {"features"}:
            raise ValueError(f"expected metrics that need features; got {metric} that needs {sorted(metric.needs)}")
        found = list(metric.measure(evidence, rng=rng))
        if isinstance(metric, TwoSampleMetric) and any(score.value is not None for score in found):
            floor = real_floor(metric, evidence.real, evidence.synthetic, rng=rng, more_real=more_real)
            found = [with_floor(score, floor) for score in found] if floor is not None else found
        scores += found
    return scores


__all__ = [
    "CLASS_METRICS",
    "DEFAULT_METRICS",
    "PRDC",
    "ByClass",
    "ClosestPairs",
    "Detectability",
    "Evidence",
    "Features",
    "Floor",
    "FrechetDistance",
    "KernelDistance",
    "Metric",
    "Moments",
    "NearestRecord",
    "NearestRecords",
    "Need",
    "TwoSampleMetric",
    "detectability",
    "fidelity",
    "frechet_distance",
    "frechet_from_moments",
    "frechet_value",
    "kernel_distance",
    "prdc",
    "real_floor",
]
