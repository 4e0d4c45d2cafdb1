"""Whether a classifier's probabilities mean what they say: calibration error, Brier score, negative log-likelihood.

The calibration error of top-label confidence c (the highest probability) is a mean of |P(right | c) − c|. It is
estimated in B bins of equally many images, with gaps d_b = share of right images − mean confidence:

- ``ece`` = Σ_b (n_b/N)·|d_b|. Guo et al. 2017 took bins of equal width, which leave most bins nearly empty and are more
  biased (Roelofs et al. 2022). It is biased upwards all the same: a perfectly calibrated classifier scores far above 0;
- ``ece_sweep``: the same in as many bins as leave the shares of right images non-decreasing (Roelofs et al. 2022);
- ``calibration_rms`` = √(Σ_b (n_b/N)·(d_b² − v_b)), v_b the estimated variance of d_b: the squared figure is unbiased
  for its bins (Kumar, Liang and Ma 2019, sec. 5), and the one to trust; below 0 it is given as 0.

We differ in taking v_b from the spread of right − confidence over images or families, where the paper has the binomial
one, and in ending the sweep at ``MOST`` bins. Doing the same to |d_b| takes off only some 40 % of the bias
of a calibrated classifier, so it is not offered. Equal confidences may fall into two bins; the order of images then
decides, and a warning says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.classification import Classified
from twinset.evaluation.predictions.simultaneous import Estimates, one_hot
from twinset.scores import Interval, Score

Array = NDArray[np.float64]
BINS = 15
MOST = 200
Z = 1.959964


@dataclass(frozen=True, eq=False)
class Bins:
    """B bins of images by rising confidence: ``count`` images, share ``right``, mean ``confidence``, all (B,).

    ``number`` (N,) is the bin of each image.
    """

    count: Array
    right: Array
    confidence: Array
    number: NDArray[np.int64]

    @staticmethod
    def of(confidence: Array, right: NDArray[np.bool_], bins: int) -> Bins:
        """``bins`` bins, filled equally up to one image; ``confidence`` float (N,), ``right`` bool (N,), N ≥ bins."""
        order = np.argsort(confidence, kind="stable")
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order)) * bins // len(order)
        count = np.bincount(number, minlength=bins).astype(np.float64)
        sums = (np.bincount(number, values, minlength=bins) for values in (right.astype(np.float64), confidence))
        met, told = sums
        return Bins(count, met / count, told / count, number)

    @property
    def gaps(self) -> Array:
        """Share right minus confidence (B,)."""
        return self.right - self.confidence

    @property
    def error(self) -> float:
        """ECE, plug-in."""
        return float((self.count * np.abs(self.gaps)).sum() / self.count.sum())


def calibration_scores(classified: Classified, *, bins: int = BINS) -> list[Score]:
    """``ece``, ``ece_sweep``, ``calibration_rms``, ``brier`` and ``nll``; lower is better.

    Brier = mean Σ_c (p_c − [c is true])², 0…2 (Brier 1950); NLL = mean −ln p_true in nats, undefined where a true
    class was given 0. Their intervals are mean ± t · error over images or families. That of ``calibration_rms`` is the
    root of square ± 1.96 · error, with the error's part that stays when all gaps are 0 (their squares vary, too).
    ``ece`` and ``ece_sweep`` have none: their bias can exceed their spread. Undefined below ``2·bins`` images.

    >>> told = np.tile([0.8, 0.2], (10, 1))
    >>> scores = calibration_scores(Classified(told, np.repeat([0, 1], [7, 3])), bins=1)
    >>> {score.name: round(score.value, 3) for score in [scores[0], *scores[3:]]}
    {'ece': 0.1, 'brier': 0.44, 'nll': 0.639}
    """
    n = len(classified.labels)
    counts, names = {"real": n}, ("ece", "ece_sweep", "calibration_rms")
    if bins < 1:
        raise ValueError(f"expected bins ≥ 1; got {bins}")
    if n < 2 * bins:
        why = f"{bins} bins need at least {2 * bins} images; got {n}"
        return [*(Score(name, None, False, counts, undefined_because=why) for name in names), *_means(classified)]
    confidence = classified.probabilities.max(axis=1).astype(np.float64)
    right = classified.predicted == classified.labels
    found, swept = Bins.of(confidence, right, bins), swept_bins(confidence, right)
    tied = len(np.unique(confidence)) < n
    warnings = ("some images have equal confidence; their order decides on bins",) if tied and bins > 1 else ()
    settings: dict[str, str | int | float] = {"bins": bins, "binning": "equal mass"}
    scores = [
        Score("ece", found.error, False, counts, settings=settings | {"estimator": "plug-in"}, warnings=warnings),
        Score(
            "ece_sweep",
            swept.error,
            False,
            counts,
            settings=settings | {"bins": len(swept.count), "estimator": "monotonic sweep"},
            warnings=warnings,
        ),
    ]
    square, error = _unbiased_square(found, right - confidence, classified)
    low, value, high = (float(np.sqrt(max(0.0, x))) for x in (square - Z * error, square, square + Z * error))
    settings |= {
        "estimator": "debiased",
        "interval": "root of square ± 1.96 · error",
        "standard_error_of_square": error,
    }
    rms = Score("calibration_rms", value, False, counts, Interval(low, high), settings=settings, warnings=warnings)
    return [*scores, rms, *_means(classified)]


def swept_bins(confidence: Array, right: NDArray[np.bool_]) -> Bins:
    """The most equally filled bins, from one upwards, before the shares of right images first fall somewhere."""
    best = Bins.of(confidence, right, 1)
    for count in range(2, min(MOST, len(confidence)) + 1):
        bins = Bins.of(confidence, right, count)
        if (np.diff(bins.right) < 0).any():
            break
        best = bins
    return best


def _unbiased_square(bins: Bins, gaps: Array, classified: Classified) -> tuple[float, float]:
    """Σ (n_b/N)·(d_b² − v_b) of ``gaps`` (N,) = right − confidence, and its standard error.

    With V the covariance of the d_b and p the bins' shares, the variance of Σ p_b d_b² is Σ p_b p_c (4 d_b d_c V_bc +
    2 V_bc²) for normal d_b; for d_b d_c stands its unbiased d_b d_c − V_bc, and the second part is the least there is.
    """
    count = len(bins.count)
    inside = one_hot(bins.number, count)
    estimates = Estimates.ratios(inside.multiply(gaps[:, None]), inside, families=classified.families)
    several = np.maximum(estimates.behind, 2)
    root = estimates.influence.toarray() * np.sqrt(several / (several - 1))
    covariance, share = root.T @ root, bins.count / bins.count.sum()
    square = float(share @ (bins.gaps**2 - np.diagonal(covariance)))
    pairs = np.outer(share, share)
    least = float((pairs * 2 * covariance**2).sum())
    clear = float((pairs * 4 * (np.outer(bins.gaps, bins.gaps) - covariance) * covariance).sum())
    return square, float(np.sqrt(least + max(0.0, clear)))


def _means(classified: Classified) -> list[Score]:
    counts = {"real": len(classified.labels)}
    told = classified.probabilities.astype(np.float64)
    rows = np.arange(len(told))
    true = told[rows, classified.labels]
    brier = (told**2).sum(axis=1) - 2 * true + 1
    with np.errstate(divide="ignore"):
        surprise = -np.log(true)
    impossible = int((true == 0).sum())
    scores = []
    for name, values in (("brier", brier), ("nll", surprise)):
        if not len(values) or not np.isfinite(values).all():
            why = f"{impossible} images have a class that was given probability 0" if len(values) else "no image"
            scores.append(Score(name, None, False, counts, undefined_because=why))
            continue
        estimates = Estimates.ratios(values[:, None], np.ones((len(values), 1)), families=classified.families)
        settings: dict[str, str | int | float] = {
            "interval": "mean ± t · error",
            "standard_error": float(estimates.errors[0]),
        }
        interval = estimates.mean_intervals()[0]
        scores.append(Score(name, float(estimates.values[0]), False, counts, interval=interval, settings=settings))
    return scores
