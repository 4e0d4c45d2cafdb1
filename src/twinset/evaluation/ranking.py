"""Ranks of several synthetic sets by one score, no finer than the images can tell.

All K sets are compared with the same N real images, so their scores rise and fall together. Each score comes with
the influence of every image on it (the first-order effect of weighing that image more). Real images are shared, so
the covariance of two scores is that of their influences on real images; synthetic images are not, and add to the
variances only. A set is better than another where the difference is beyond a z-test at a level that Holm (1979)
divides among all K(K−1)/2 pairs.

The rank of a set is then a range: from 1 + the number of sets that are better, to K − the number of sets that are
worse (confidence sets of ranks; Mogstad, Romano, Shaikh and Wilhelm 2024). Two sets that cannot be told apart have
ranges that meet: they share a rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Influenced:
    """A score with the influence of every real image (N,) and synthetic image (M,) on it, each about mean 0."""

    value: float
    real: Array
    synthetic: Array

    @property
    def standard_error(self) -> float:
        """Delta-method standard error: both sides are independent samples. Infinite where a side has one family."""
        return float(np.sqrt(sum(_of_mean(part) for part in (self.real, self.synthetic))))

    def by_family(self, real: NDArray[np.int64], synthetic: NDArray[np.int64]) -> Influenced:
        """The same with families (N,), (M,), numbered from 0, in place of images: those of one move together.

        The influence of a family is the sum over its images, in units in which F families count as F images.
        """
        return Influenced(self.value, _summed(self.real, real), _summed(self.synthetic, synthetic))


@dataclass(frozen=True)
class Ranked:
    """One set's place: its value, and the best and worst rank that the images allow, from 1."""

    name: str
    value: float
    standard_error: float
    best: int
    worst: int


def ranking(
    names: Sequence[str], scores: Sequence[Influenced], *, higher_is_better: bool, level: float = 0.05
) -> list[Ranked]:
    """Every set with its range of ranks, best value first.

    Raises ``ValueError`` unless all scores are about the same number of real images.

    >>> noise = np.array([1.0, -1.0] * 50)
    >>> near, far = (Influenced(value, 0.1 * noise, 0.1 * noise) for value in (0.50, 0.90))
    >>> [(one.name, one.best, one.worst) for one in ranking("ab", [far, near], higher_is_better=True)]
    [('a', 1, 1), ('b', 2, 2)]
    """
    if len(names) != len(scores) or not names:
        raise ValueError(f"expected a name for each of at least one score; got {len(names)} and {len(scores)}")
    if len({len(score.real) for score in scores}) > 1:
        raise ValueError("expected scores about the same real images; got different numbers of them")
    values = np.array([score.value for score in scores]) * (1.0 if higher_is_better else -1.0)
    better = _better(values, covariance(scores), level)
    order = np.argsort(-values, kind="stable")
    return [
        Ranked(
            names[row],
            scores[row].value,
            scores[row].standard_error,
            1 + int(better[:, row].sum()),
            len(scores) - int(better[row].sum()),
        )
        for row in order.tolist()
    ]


def ranking_of_figures(
    names: Sequence[str],
    values: Sequence[float],
    standard_errors: Sequence[float],
    *,
    higher_is_better: bool,
    level: float = 0.05,
) -> list[Ranked]:
    """As :func:`ranking`, by figures with errors (K,) alone, taken as independent.

    Of figures about the same real images this overstates the error of a difference: sets then share ranks more often.

    >>> [(one.name, one.best, one.worst) for one in ranking_of_figures("ab", [3, 1], [0.1, 0.1], higher_is_better=True)]
    [('a', 1, 1), ('b', 2, 2)]
    """
    if not names or not len(names) == len(values) == len(standard_errors):
        raise ValueError(f"expected a value and an error for each of {len(names)} ≥ 1 names; got {len(values)}")
    signed = np.array(values, dtype=np.float64) * (1.0 if higher_is_better else -1.0)
    better = _better(signed, np.diag(np.square(np.array(standard_errors, dtype=np.float64))), level)
    return [
        Ranked(
            names[row],
            values[row],
            standard_errors[row],
            1 + int(better[:, row].sum()),
            len(values) - int(better[row].sum()),
        )
        for row in np.argsort(-signed, kind="stable").tolist()
    ]


def covariance(scores: Sequence[Influenced]) -> Array:
    """(K, K) covariance of scores about the same real images and synthetic images of their own."""
    real = np.stack([score.real - score.real.mean() for score in scores])
    count = real.shape[1]
    shared = real @ real.T / max(count - 1, 1) / count
    own = np.diag([_of_mean(score.synthetic) + (np.inf if count < 2 else 0.0) for score in scores])
    return np.asarray(shared + own)


def _of_mean(influences: Array) -> float:
    """The variance of their mean; infinite where there is one alone, which tells nothing."""
    return float(influences.var(ddof=1) / len(influences)) if len(influences) > 1 else np.inf


def _summed(influences: Array, families: NDArray[np.int64]) -> Array:
    count = int(families.max()) + 1
    sums = np.bincount(families, weights=influences - influences.mean(), minlength=count)
    return np.asarray(sums * (count / len(influences)), dtype=np.float64)


def holm(p_values: Array) -> Array:
    """Holm's step-down adjusted p-values (P,), capped at 1.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted


def _better(values: Array, covariances: Array, level: float) -> NDArray[np.bool_]:
    """bool (K, K): whether set i is better than set j, higher values being better."""
    from scipy.stats import norm

    first, second = np.triu_indices(len(values), 1)
    gaps = values[first] - values[second]
    spread = covariances[first, first] + covariances[second, second] - 2 * covariances[first, second]
    # A negative rest is rounding: the two scores then move as one, and any gap between them is real.
    errors = np.sqrt(np.maximum(spread, 0.0))
    ratios = np.divide(gaps, errors, out=np.where(gaps == 0, 0.0, np.copysign(np.inf, gaps)), where=errors > 0)
    told = holm(2 * norm.sf(np.abs(ratios))) <= level
    better = np.zeros(covariances.shape, dtype=bool)
    better[first, second] = told & (gaps > 0)
    better[second, first] = told & (gaps < 0)
    return better
