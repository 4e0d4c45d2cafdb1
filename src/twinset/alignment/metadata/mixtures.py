"""One-dimensional Gaussian mixtures by expectation–maximisation, as many components as BIC wants; one is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.randomness import Stream

Values = NDArray[np.float64]

MOST_POINTS = 512
"""More values than these are gathered into as many narrow bins, each at its mean: EM then costs the same for any N."""

PER_COMPONENT = 5
"""Fewest values for each component."""

NARROWEST = 0.01
"""Least standard deviation of a component, as a share of that of all values: repeated values would make it 0."""

STARTS = 4
PATIENCE = 2
"""Components are no longer added after so many in a row that BIC did not want."""

MOST_STEPS = 200
SHORT_RUN = 20
"""EM steps from every start; only the likeliest goes on."""

TOLERANCE = 1e-7
_LOG_ROOT_TAU = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Mixture:
    """Weights (sum 1), means and standard deviations (> 0) of K components, by rising mean."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self) -> None:
        k = len(self.weights)
        if not k or len(self.means) != k or len(self.stds) != k:
            raise ValueError(f"expected as many weights, means and stds, at least one; got {self}")
        if not np.isfinite([*self.weights, *self.means, *self.stds]).all() or min(self.stds) <= 0:
            raise ValueError(f"expected finite numbers and stds > 0; got {self}")
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"expected weights ≥ 0 that sum to 1; got {self.weights}")
        order = np.argsort(self.means, kind="stable")
        for name in ("weights", "means", "stds"):
            object.__setattr__(self, name, tuple(float(getattr(self, name)[i]) for i in order))

    def __len__(self) -> int:
        return len(self.weights)

    def log_parts(self, values: Values) -> NDArray[np.float64]:
        """(N, K) log of weight times density."""
        return _log_parts(values, np.array([self.weights, self.means, self.stds]))

    def log_density(self, values: Values) -> Values:
        """(N,) log density."""
        return _log_sum(self.log_parts(values))

    def responsibilities(self, values: Values) -> NDArray[np.float64]:
        """(N, K) probability of each component given the value; rows sum to 1."""
        parts = self.log_parts(values)
        return np.asarray(np.exp(parts - _log_sum(parts)[:, None]))

    def sample(self, count: int, *, rng: Stream) -> Values:
        """(count,) draws."""
        draw = rng.numpy()
        chosen = draw.choice(len(self), size=count, p=np.array(self.weights) / sum(self.weights))
        return np.asarray(draw.normal(np.array(self.means)[chosen], np.array(self.stds)[chosen]))


def fit_mixture(
    values: Values | Sequence[float], *, most_components: int = 5, step: float = 0.0, rng: Stream
) -> Mixture:
    """The mixture of 1 … ``most_components`` components with the least BIC: −2 log L + (3 K − 1) log N.

    ``step``: values come in steps of this (1 for counts); no component is narrower than a step's rounding, step/√12,
    nor than a hundredth of the spread of all values. Each component needs five values. EM starts from equal quantiles
    and from random values; the likeliest start is followed to the end. ``ValueError`` for no values, or such
    as are not finite.
    """
    data = np.asarray(values, dtype=np.float64).ravel()
    if not data.size or not np.isfinite(data).all():
        raise ValueError(f"expected at least one value, all finite; got {data.size} values; drop what is not finite")
    if most_components < 1:
        raise ValueError(f"expected most_components ≥ 1; got {most_components}")
    narrowest = max(step / np.sqrt(12), NARROWEST * float(data.std()), 1e-9 * max(1.0, float(np.abs(data).max())))
    single = Mixture((1.0,), (float(data.mean()),), (max(float(data.std()), narrowest),))
    points, masses = _gathered(data)
    most = min(most_components, data.size // PER_COMPONENT, len(points))
    best, least = single, _bic(single, points, masses)
    for k in range(2, most + 1):
        if k > len(best) + PATIENCE:
            break
        starts = [_quantile_start(points, masses, k)]
        starts += [_random_start(points, masses, k, rng.child("start", k, n)) for n in range(STARTS - 1)]
        spread = max(float(data.std()) / k, narrowest)
        begun = [np.array([np.full(k, 1 / k), start, np.full(k, spread)]) for start in starts]
        begun = [_fit(points, masses, numbers, narrowest, SHORT_RUN) for numbers in begun]
        likeliest = max(begun, key=lambda numbers: float(masses @ _log_sum(_log_parts(points, numbers))))
        mixture = Mixture(*(tuple(row) for row in _fit(points, masses, likeliest, narrowest, MOST_STEPS)))
        score = _bic(mixture, points, masses)
        if score < least:
            least, best = score, mixture
    return best


def _gathered(data: Values) -> tuple[Values, Values]:
    """At most :data:`MOST_POINTS` points, ascending, and how many values each stands for."""
    points, counts = np.unique(data, return_counts=True)
    if len(points) <= MOST_POINTS:
        return points, counts.astype(np.float64)
    at = np.floor((points - points[0]) / (points[-1] - points[0]) * (MOST_POINTS - 1)).astype(np.int64)
    masses = np.asarray(np.bincount(at, weights=counts), dtype=np.float64)
    means = np.bincount(at, weights=counts * points)[masses > 0] / masses[masses > 0]
    return means, masses[masses > 0]


def _quantile_start(points: Values, masses: Values, k: int) -> Values:
    """(k,) the middles of k equally heavy parts."""
    heights = np.cumsum(masses) / masses.sum()
    return points[np.minimum(np.searchsorted(heights, (np.arange(k) + 0.5) / k), len(points) - 1)]


def _random_start(points: Values, masses: Values, k: int, rng: Stream) -> Values:
    """(k,) values drawn far from each other, as k-means++ draws them (Arthur and Vassilvitskii 2007)."""
    draw = rng.numpy()
    chosen = [float(draw.choice(points, p=masses / masses.sum()))]
    while len(chosen) < k:
        squares = masses * np.min((points[:, None] - np.array(chosen)) ** 2, axis=1)
        chosen.append(float(draw.choice(points, p=squares / squares.sum())))
    return np.array(chosen)


def _fit(
    points: Values, masses: Values, numbers: NDArray[np.float64], narrowest: float, steps: int
) -> NDArray[np.float64]:
    """At most so many EM steps from ``numbers`` (3, K): weights, means and stds."""
    total, before = masses.sum(), -np.inf
    for _ in range(steps):
        parts = _log_parts(points, numbers)
        log_density = _log_sum(parts)
        likelihood = float(masses @ log_density / total)
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
        numbers = _m_step(points, np.exp(parts - log_density[:, None]) * masses[:, None], narrowest)
    return numbers


def _log_parts(values: Values, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K) log of weight times density; ``numbers`` (3, K) are weights, means and stds."""
    weights, means, stds = numbers
    with np.errstate(divide="ignore"):
        logs = np.log(weights) - np.log(stds) - _LOG_ROOT_TAU
    return np.asarray(logs - 0.5 * ((values[:, None] - means) / stds) ** 2)


def _m_step(points: Values, shares: NDArray[np.float64], narrowest: float) -> NDArray[np.float64]:
    """(3, K) weights, means and stds from the responsibilities (N, K) times masses."""
    held = np.maximum(shares.sum(axis=0), 1e-12)
    means = points @ shares / held
    variances = ((points[:, None] - means) ** 2 * shares).sum(axis=0) / held
    return np.stack([held / held.sum(), means, np.sqrt(np.maximum(variances, narrowest**2))])


def _bic(mixture: Mixture, points: Values, masses: Values) -> float:
    likelihood = float(masses @ mixture.log_density(points))
    return -2 * likelihood + (3 * len(mixture) - 1) * float(np.log(masses.sum()))


def _log_sum(parts: NDArray[np.float64]) -> Values:
    top = parts.max(axis=1)
    return np.asarray(top + np.log(np.exp(parts - top[:, None]).sum(axis=1)))
