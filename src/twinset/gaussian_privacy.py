"""What Gaussian noise costs in privacy, exactly: T Gaussian mechanisms are one Gaussian mechanism.

A round adds N(0, σ²) to numbers that one real image changes by at most Δ (Euclidean). It is μ-GDP with μ = Δ/σ;
T rounds, each chosen by the results of those before, are √T·Δ/σ-GDP, with nothing lost in between (Dong, Roth and Su
2019, Theorem 2.7 and Corollary 3.3). The curve of (ε, δ) that a μ-GDP mechanism meets with equality is

δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ)    (Balle and Wang 2018, Theorem 8; Dong et al. 2019, Corollary 2.13)
"""

from __future__ import annotations

import math
from collections.abc import Callable

_SMALLEST_MU, _LARGEST_MU = 1e-9, 1e9


def delta(sigma: float, rounds: int, epsilon: float, *, sensitivity: float = 1.0) -> float:
    """The least δ for this ε ≥ 0, noise of standard deviation ``sigma`` and number of rounds; 1 without noise.

    >>> round(delta(1.0, 1, 0.0), 6)  # 2 Φ(1/2) − 1
    0.382925
    """
    if not epsilon >= 0:
        raise ValueError(f"expected epsilon ≥ 0; got {epsilon}")
    return _delta(_mu(sigma, rounds, sensitivity), epsilon)


def epsilon(sigma: float, rounds: int, delta: float, *, sensitivity: float = 1.0) -> float:
    """The least ε for this δ in (0, 1); infinite without noise (``sigma`` 0), 0 where δ alone is enough.

    >>> round(epsilon(4.0, 4, 1e-5), 4)  # four rounds at σ = 4 are one at σ = 2: μ = 1/2
    1.9931
    """
    _check_delta(delta)
    mu = _mu(sigma, rounds, sensitivity)
    if math.isinf(mu):
        return math.inf
    if _delta(mu, 0.0) <= delta:
        return 0.0
    high = mu * (mu / 2 + math.sqrt(-2 * math.log(delta)) + 1)
    return _crossing(lambda value: delta - _delta(mu, value), 0.0, high)


def sigma_for(epsilon: float, delta: float, rounds: int, *, sensitivity: float = 1.0) -> float:
    """The least standard deviation of the noise with which ``rounds`` releases together meet (ε, δ); ε > 0.

    >>> round(sigma_for(1.0, 1e-5, 1), 4), round(sigma_for(1.0, 1e-5, 4), 4)
    (3.7306, 7.4613)
    """
    _check_delta(delta)
    if not 0 < epsilon < math.inf:
        raise ValueError(f"expected epsilon above 0 and finite; got {epsilon}; no noise is sigma 0")
    _check(rounds, sensitivity)
    # In the logarithm: one absolute tolerance is then a relative one of μ. The lower end errs on the private side.
    low, high = math.log(_SMALLEST_MU), math.log(_LARGEST_MU)
    mu = math.exp(-_crossing(lambda value: delta - _delta(math.exp(-value), epsilon), -high, -low))
    return sensitivity * math.sqrt(rounds) / mu


def default_delta(images: int) -> float:
    """1/(10 n) for n real images: a tenth of what it costs to publish one image out of all, drawn at random."""
    if images < 1:
        raise ValueError(f"expected at least one image; got {images}")
    return 1 / (10 * images)


def best_auc(sigma: float, rounds: int, *, sensitivity: float = 1.0) -> float:
    """The largest AUC that any membership attack on all results together can have: Φ(μ/√2).

    >>> round(best_auc(2.0, 1), 4)
    0.6382
    """
    mu = _mu(sigma, rounds, sensitivity)
    return 1.0 if math.isinf(mu) else 0.5 * math.erfc(-mu / 2)


def _mu(sigma: float, rounds: int, sensitivity: float) -> float:
    _check(rounds, sensitivity)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"expected a finite sigma ≥ 0; got {sigma}")
    return sensitivity * math.sqrt(rounds) / sigma if sigma else math.inf


def _check(rounds: int, sensitivity: float) -> None:
    if rounds < 1 or not 0 < sensitivity < math.inf:
        raise ValueError(f"expected rounds ≥ 1 and a finite sensitivity > 0; got {rounds} and {sensitivity}")


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ValueError(f"expected delta between 0 and 1; got {delta}; 1/(10 n) is usual for n images")


def _delta(mu: float, epsilon: float) -> float:
    """δ(ε) of a μ-GDP mechanism, as Φ(a) · (1 − e^(ε + log Φ(b) − log Φ(a))): no difference of tiny numbers."""
    from scipy.special import log_ndtr

    if math.isinf(mu):
        return 1.0
    above = float(log_ndtr(mu / 2 - epsilon / mu))
    ratio = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu)) - above
    return math.exp(above) * -math.expm1(min(ratio, 0.0))


def _crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """The least value, to rounding, at which a rising function is ≥ 0; it is at ``high``."""
    assert rising(high) >= 0
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if rising(middle) >= 0:
            high = middle
        else:
            low = middle
    return high
