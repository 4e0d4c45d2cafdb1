"""Fidelity, diversity, detectability and nearest records: one metric a file, all from one extraction.

Every metric is a function on arrays that stands alone, and a frozen dataclass that :func:`fidelity` runs.
A metric of your own is any object with ``needs`` and ``measure`` (:class:`Metric`). Here are the metrics on features.
Those on pairs of pictures, text and predictions, the detectors, and what explains a figure are in rooms of their own:
``pairs``, ``text_image``, ``predictions``, ``detectability``, ``explain``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.two_sample import Detectability, detectability
from twinset.evaluation.distances.cmmd import ClipDiscrepancy, cmmd
from twinset.evaluation.distances.frechet import (
    FrechetDistance,
    Moments,
    frechet_distance,
    frechet_from_moments,
    frechet_influences,
    frechet_value,
)
from twinset.evaluation.distances.frechet_infinity import FrechetInfinity, frechet_infinity
from twinset.evaluation.distances.kid import KernelDistance, kernel_distance
from twinset.evaluation.floor import Floor, real_floor, with_floor
from twinset.evaluation.inception_score import inception_score
from twinset.evaluation.neighbourhoods.authenticity import Authenticity, authenticity
from twinset.evaluation.neighbourhoods.nearest import NearestRecord, NearestRecords
from twinset.evaluation.neighbourhoods.prdc import PRDC, prdc
from twinset.evaluation.protocol import Evidence, Families, Features, Metric, Need, TwoSampleMetric
from twinset.evaluation.ranking import Influenced, Ranked, ranking
from twinset.evaluation.vendi import Vendi, vendi, vendi_score
from twinset.metric_names import DEFAULTS
from twinset.randomness import Stream
from twinset.scores import Score, width_told

FEATURE_METRICS: Mapping[str, Metric] = {
    "frechet": FrechetDistance(),
    "frechet-infinity": FrechetInfinity(),
    "kid": KernelDistance(),
    "cmmd": ClipDiscrepancy(),
    "prdc": PRDC(),
    "vendi": Vendi((1.0, 2.0)),
    "authenticity": Authenticity(),
    "detectability": Detectability(),
    "nearest": NearestRecord(),
}
"""Every metric on features, by the name that ``--metrics`` takes."""

DEFAULT_METRICS: tuple[Metric, ...] = tuple(FEATURE_METRICS[name] for name in DEFAULTS["run"])
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
    real_families: Families | None = None,
    extractor_saw_real: bool = False,
    by_class: ByClass | None = None,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> list[Score]:
    """Every metric of ``metrics`` on one extraction, with intervals, floors and warnings.

    ``real`` (N, D) and ``synthetic`` (M, D) are compared. ``real_families`` (N,) says which real images belong
    together (default: none): no family lies in both halves of the floor, detectability takes one image of
    each, and their number stands in the settings of every score. The intervals of the other figures still
    take all N images as independent. ``train`` and ``holdout`` serve the nearest-record figures only. With
    ``extractor_saw_real`` (a self-trained embedder) nearest records are undefined; ``real`` should then be
    images that it did not see, for its features of training images are unlike those of any others.
    ``by_class`` adds figures named ``score[class]``.
    """
    evidence = Evidence(real, synthetic, extractor, train, holdout, extractor_saw_real, real_families)
    scores = _measure(metrics, evidence, rng)
    if by_class is not None:
        for number, name in enumerate(by_class.names):
            rows = by_class.real == number
            part = Evidence(
                real[rows],
                synthetic[by_class.synthetic == number],
                extractor,
                real_families=None if real_families is None else real_families[rows],
            )
            found = _measure(by_class.metrics, part, rng.child("class", number))
            scores += [replace(score, name=f"{score.name}[{name}]") for score in found]
    return scores


def _measure(metrics: Sequence[Metric], evidence: Evidence, rng: Stream) -> list[Score]:
    scores: list[Score] = []
    for metric in metrics:
        if metric.needs - {"features"}:
            raise ValueError(f"expected metrics that need features; got {metric} that needs {sorted(metric.needs)}")
        found = list(metric.measure(evidence, rng=rng))
        if isinstance(metric, TwoSampleMetric) and any(score.value is not None for score in found):
            floor = real_floor(metric, evidence.real, evidence.synthetic, rng=rng, families=evidence.real_families)
            found = [with_floor(score, floor) for score in found] if floor is not None else found
        scores += map(width_told, found)
    if evidence.real_families is not None:
        count = len(np.unique(evidence.real_families))
        scores = [replace(score, settings={**score.settings, "real_families": count}) for score in scores]
    return scores


__all__ = [
    "CLASS_METRICS",
    "DEFAULT_METRICS",
    "FEATURE_METRICS",
    "PRDC",
    "Authenticity",
    "ByClass",
    "ClipDiscrepancy",
    "Detectability",
    "Evidence",
    "Families",
    "Features",
    "Floor",
    "FrechetDistance",
    "FrechetInfinity",
    "Influenced",
    "KernelDistance",
    "Metric",
    "Moments",
    "NearestRecord",
    "NearestRecords",
    "Need",
    "Ranked",
    "TwoSampleMetric",
    "Vendi",
    "authenticity",
    "cmmd",
    "detectability",
    "fidelity",
    "frechet_distance",
    "frechet_from_moments",
    "frechet_infinity",
    "frechet_influences",
    "frechet_value",
    "inception_score",
    "kernel_distance",
    "prdc",
    "ranking",
    "real_floor",
    "vendi",
    "vendi_score",
]
