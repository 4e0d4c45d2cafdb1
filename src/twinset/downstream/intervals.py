"""Paired differences on test images with an honest interval.

Uncertainty has two sources: which test families were drawn, and which training runs (seeds, or few-shot subsets).
Both are resampled in every draw. That alone would be wrong twice over, so the interval is rescaled:

- noise that belongs to one run on one image is seen by both resamplings and by their product; its share is estimated
  and counted once (Owen 2007, "The pigeonhole bootstrap": the plain product is up to three times too cautious);
- with three seeds the normal quantile promises more than it keeps, so Student's t at the Welch–Satterthwaite degrees
  of freedom takes its place;
- where hardly an image is judged differently, or all five of a rare class alike, resampling sees no variance at all; so
  one family more or less is allowed for (the half counts that Agresti and Min 2005 add to either kind of discordant
  pair), by its weight in balanced accuracy: 1/N where classes are equal, more where one of them has few test images.

Simulated with normal gains at 80 and 400 test images (2,000 studies each, ``benchmarks/coverage_draws.py``), intervals
hold the truth in 91.3–96.4 % of studies with three paired draws of training images and in 93.6–96.1 % with five; least
where draws and test images matter alike, as the degrees of freedom are then estimated from noisy variances. With one
draw and three or five seeds it is 94.5–96.3 %.

In a draw a class that none of its families shows is left out of the mean, as COCO does on the whole set; a draw that
shows no class at all is left out itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.downstream.metrics import Scores, balanced_accuracy_scores, resample
from twinset.randomness import Stream

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A figure in units of the metric with its 95 % interval.

    ``undefined_draws``: draws of test families that showed nothing to find, and say nothing.
    """

    value: float
    low: float
    high: float
    undefined_draws: int = 0

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"expected low ≤ value ≤ high; got {self}")

    def to_json(self) -> dict[str, float]:
        """Plain JSON types."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            **({"undefined_draws": self.undefined_draws} if self.undefined_draws else {}),
        }


@dataclass(frozen=True)
class Judged:
    """What runs scored on the test set. ``scores`` gives their metric under weights of the ``families``, NaN where
    those that weigh show nothing to find.

    ``resolution`` is what one family more or less is worth, in units of the metric; ``draws`` how often families are
    drawn anew.
    """

    scores: Scores
    families: int
    resolution: float
    draws: int = DRAWS


def judged_labels(correct: NDArray[np.bool_], *, labels: NDArray[np.integer], families: NDArray[np.integer]) -> Judged:
    """Balanced accuracy of runs by their correctness, bool (R, N)."""
    resolution = Resolution.of(labels, families)
    return Judged(balanced_accuracy_scores(correct, labels, families), resolution.families, resolution.weight)


def paired_difference(judged: Judged, *, subsets: int, seeds: int, rng: Stream) -> Difference:
    """The metric with synthetic images minus without: ``judged`` has the runs of both sides, by subset and seed.

    Test families are shared between both sides in every draw. With several subsets, those are resampled in pairs
    (the seeds inside them come along); with one, the seeds of each side are resampled on their own.
    """
    generator = rng.numpy()
    scores = resample(judged.scores, judged.families, draws=judged.draws, generator=generator)
    if scores.runs.shape != (2 * subsets * seeds,):
        raise ValueError(f"expected {2 * subsets * seeds} runs; got {len(scores.runs)}")
    runs, draws = scores.runs.reshape(2, subsets, seeds), scores.draws.reshape(-1, 2, subsets, seeds)
    if subsets > 1:
        units = [(runs[0] - runs[1]).mean(1)]
        unit_draws = [(draws[:, 0] - draws[:, 1]).mean(2)]
    else:
        units = [runs[0, 0], -runs[1, 0]]
        unit_draws = [draws[:, 0, 0], -draws[:, 1, 0]]
    found = _interval(units, unit_draws, judged=judged, generator=generator, bounds=(-1.0, 1.0))
    return replace(found, undefined_draws=scores.undefined)


def difference_of_means(judged: Judged, *, runs: tuple[int, int], rng: Stream) -> Difference:
    """The mean metric of the first ``runs[0]`` runs of ``judged`` minus that of the ``runs[1]`` others.

    Test families are shared in every draw; the runs of each side are resampled on their own, where there are several.
    ``ValueError`` where ``judged`` has another number of runs.
    """
    generator = rng.numpy()
    scores = resample(judged.scores, judged.families, draws=judged.draws, generator=generator)
    first, second = runs
    if min(runs) < 1 or scores.runs.shape != (first + second,):
        raise ValueError(f"expected {first} + {second} runs, at least one of either; got {len(scores.runs)}")
    units = [scores.runs[:first], -scores.runs[first:]]
    unit_draws = [scores.draws[:, :first], -scores.draws[:, first:]]
    found = _interval(units, unit_draws, judged=judged, generator=generator, bounds=(-1.0, 1.0))
    return replace(found, undefined_draws=scores.undefined)


def interval_of_mean(judged: Judged, *, subsets: int, seeds: int, rng: Stream) -> Difference:
    """Mean metric of one arm, whose runs ``judged`` has by subset and seed.

    Cautious: simulated coverage is .93–1.00 (accuracy of 100 and 1,000 images, AP of 50 and 200;
    ``benchmarks/interval_coverage.py``, 2,000 repetitions).
    """
    generator = rng.numpy()
    scores = resample(judged.scores, judged.families, draws=judged.draws, generator=generator)
    runs, draws = scores.runs.reshape(subsets, seeds), scores.draws.reshape(-1, subsets, seeds)
    axis = 1 if subsets > 1 else 0
    found = _interval(
        [runs.mean(axis)] if subsets > 1 else [runs[0]],
        [draws.mean(2)] if subsets > 1 else [draws[:, 0]],
        judged=judged,
        generator=generator,
        bounds=(0.0, 1.0),
    )
    return replace(found, undefined_draws=scores.undefined)


@dataclass(frozen=True)
class Resolution:
    """``families`` in the test set, and the ``weight`` of one of them in balanced accuracy."""

    families: int
    weight: float

    @staticmethod
    def of(labels: NDArray[np.integer], families: NDArray[np.integer], *, n_families: int | None = None) -> Resolution:
        """A family of class c weighs 1/(C·n_c), n_c being the families of that class; one of several classes, the sum.

        ``weight`` is the root mean square over a random class and a random family of it, 1/N for classes of N/C each.
        Measured without an effect, 5 of 105, 10 of 340 or 2 of 452 test images in the rarest class: intervals hold 0
        in 97–100 % of studies (1/N: 89–94 %; the largest weight: up to twice as wide). If so rare a class truly
        changes, up to one interval in eight misses it. ``n_families`` counts those too that show no class.
        """
        _, family = np.unique(families, return_inverse=True)
        _, label = np.unique(labels, return_inverse=True)
        family, label = np.unique(np.stack([family, label]), axis=1)
        per_class = np.bincount(label)
        share = 1.0 / (len(per_class) * per_class[label])
        weights = np.bincount(family, weights=share)
        return Resolution(n_families or len(weights), float(np.sqrt((share * weights[family] ** 2).sum())))


def _interval(
    units: list[NDArray[np.float64]],
    unit_draws: list[NDArray[np.float64]],
    *,
    judged: Judged,
    generator: np.random.Generator,
    bounds: tuple[float, float],
) -> Difference:
    """Sum over groups of the mean over units: ``units`` (R,) and, per family draw, ``unit_draws`` (B, R), by group."""
    value = float(sum(group.mean() for group in units))
    total = np.zeros(len(unit_draws[0]))
    for group in unit_draws:
        total += _resampled_mean(group, generator)
    total += generator.standard_normal(len(total)) * judged.resolution
    scale = _scale(units, unit_draws, float(total.var(ddof=1)), judged)
    low, high = (float(q) for q in np.quantile(total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    low, high = value - scale * max(0.0, value - low), value + scale * max(0.0, high - value)
    return Difference(value, max(bounds[0], min(value, low)), min(bounds[1], max(value, high)))


def _resampled_mean(draws: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """(B, R) to (B,): the mean over R − 1 of the R runs, drawn with replacement, anew in every row.

    R − 1 of them make the variance of the mean unbiased (Rao and Wu 1988).
    """
    count, runs = draws.shape
    if runs == 1:
        return draws[:, 0]
    picked = generator.integers(runs, size=(count, runs - 1))
    mean: NDArray[np.float64] = np.take_along_axis(draws, picked, axis=1).mean(1)
    return mean


def _scale(
    units: list[NDArray[np.float64]],
    unit_draws: list[NDArray[np.float64]],
    drawn: float,
    judged: Judged,
) -> float:
    """What to stretch the draws by, whose variance is ``drawn``: to the variance without double counting, and to t.

    With I images and R runs the variance of a mean is σ²_image/I + σ²_run/R + σ²_both/IR. Resampling families alone
    gives the first and third term, the spread between runs the second and third; the third is their overlap.
    """
    from scipy.special import ndtri, stdtrit

    of_families = float(np.sum([group.mean(1) for group in unit_draws], axis=0).var(ddof=1)) + judged.resolution**2
    parts = [(group.var(ddof=1) / len(group), len(group) - 1) for group in units if len(group) > 1]
    of_runs = float(sum(part for part, _ in parts))
    overlap = float(sum(_overlap(group) for group in unit_draws if group.shape[1] > 1))
    variance = of_families + max(0.0, of_runs - overlap)
    squares = sum(part**2 / freedom for part, freedom in parts) + of_families**2 / max(1, judged.families - 1)
    tail = (1 + LEVEL) / 2
    student: float = stdtrit(variance**2 / squares, tail) / ndtri(tail)
    return float(student * np.sqrt(variance / drawn))


def _overlap(draws: NDArray[np.float64]) -> float:
    """σ²_both/IR from family draws (B, R): runs vary more on their own than in their mean by what is theirs alone."""
    alone, together = float(draws.var(0, ddof=1).mean()), float(draws.mean(1).var(ddof=1))
    return max(0.0, alone - together) / float(draws.shape[1] - 1)
