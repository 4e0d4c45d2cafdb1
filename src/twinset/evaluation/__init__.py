"""Fidelity, diversity, detectability and nearest records: one metric a file, all from one extraction.

Every metric is a function on arrays that stands alone, and a frozen dataclass that :func:`fidelity` runs.
A metric of your own is any object with ``needs`` and ``measure`` (:class:`Metric`). Here are the metrics on features.
Those on pairs of pictures, text and predictions, the detectors, and what explains a figure are in rooms of their own:
``pairs``, ``text_image``, ``predictions``, ``detectability``, ``explain``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
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
from twinset.evaluation.floor import Floor, floor_of, halvings, real_floor, with_floor
from twinset.evaluation.inception_score import inception_score
from twinset.evaluation.neighbourhoods.authenticity import Authenticity, authenticity
from twinset.evaluation.neighbourhoods.nearest import NearestRecord, NearestRecords
from twinset.evaluation.neighbourhoods.prdc import PRDC, prdc
from twinset.evaluation.protocol import Evidence, Families, Features, Metric, Need, OnePassMetric, TwoSampleMetric
from twinset.evaluation.ranking import Influenced, Ranked, ranking
from twinset.evaluation.vendi import Vendi, vendi, vendi_score
from twinset.metric_names import DEFAULTS
from twinset.randomness import Stream
from twinset.scores import Score, width_told
from twinset.threads import blas_threads, torch_threads

Task = Callable[[], list[Score]]

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
    tasks = [partial(_measure, metric, evidence, rng) for metric in metrics]
    if by_class is not None:
        tasks += [partial(_of_class, by_class, evidence, number, rng) for number in range(len(by_class.names))]
    return [score for found in _side_by_side(tasks) for score in found]


def _side_by_side(tasks: Sequence[Task]) -> list[list[Score]]:
    """What the tasks find, in their order.

    PyTorch's threads are shared among as many tasks at once: threads inside small matrix products mostly wait for each
    other (10,000 images of 128 features: 4 s on one core, as long on four, half that side by side).
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(tasks))
    if workers <= 1:
        return [task() for task in tasks]
    each = threads // workers
    # A new thread of Python has PyTorch's default number of threads, whatever the others were told.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(each,))
    with torch_threads(each), blas_threads(each), pool:
        return list(pool.map(lambda task: task(), tasks))


def _of_class(by_class: ByClass, evidence: Evidence, number: int, rng: Stream) -> list[Score]:
    rows = by_class.real == number
    families = evidence.real_families
    part = Evidence(
        evidence.real[rows],
        evidence.synthetic[by_class.synthetic == number],
        evidence.extractor,
        real_families=None if families is None else families[rows],
    )
    found = [score for metric in by_class.metrics for score in _measure(metric, part, rng.child("class", number))]
    return [replace(score, name=f"{score.name}[{by_class.names[number]}]") for score in found]


def _measure(metric: Metric, evidence: Evidence, rng: Stream) -> list[Score]:
    if metric.needs - {"features"}:
        raise ValueError(f"expected metrics that need features; got {metric} that needs {sorted(metric.needs)}")
    scores = list(map(width_told, _with_floors(metric, evidence, rng)))
    if evidence.real_families is not None:
        count = len(np.unique(evidence.real_families))
        scores = [replace(score, settings={**score.settings, "real_families": count}) for score in scores]
    return scores


def _with_floors(metric: Metric, evidence: Evidence, rng: Stream) -> Sequence[Score]:
    if isinstance(metric, OnePassMetric):
        draws = halvings(evidence.real, evidence.synthetic, rng=rng, families=evidence.real_families)
        found, values = metric.measure_with_floor(evidence, draws)
        floor = floor_of(draws, values)
    else:
        found, floor = metric.measure(evidence, rng=rng), None
        if isinstance(metric, TwoSampleMetric) and any(score.value is not None for score in found):
            floor = real_floor(metric, evidence.real, evidence.synthetic, rng=rng, families=evidence.real_families)
    return [with_floor(score, floor) for score in found] if floor is not None else found


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
