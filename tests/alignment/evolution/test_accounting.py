"""ε and δ of noisy votes, against what is known and against numeric integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from twinset.alignment.evolution import (
    best_auc,
    default_delta,
    delta,
    epsilon,
    fresh_key,
    noisy,
    sigma_for,
    vote_sensitivity,
)

CASES = [(1.0, 1, 0.5), (0.7, 1, 3.0), (4.0, 5, 1.0), (8.0, 9, 0.3), (3.0, 2, 4.0), (25.0, 6, 0.05)]


def convolved(sigma: float, rounds: int, at: float, sensitivity: float) -> float:
    """δ(ε) from the distribution of the privacy loss of one round, convolved round by round on a grid.

    Independent of Gaussian differential privacy: E (1 − e^(ε − L))₊ under the sum L of the losses.
    """
    mu = sensitivity / sigma
    step = mu / 2_000
    half = 2 * math.ceil((12 * mu + mu**2) / step)
    loss = np.arange(-half, half + 1) * step
    one = norm.pdf(loss, mu**2 / 2, mu) * step
    total, low = one, -half
    for _ in range(rounds - 1):
        size = 1 << (len(total) + len(one) - 1).bit_length()
        total = np.fft.irfft(np.fft.rfft(total, size) * np.fft.rfft(one, size), size)[: len(total) + len(one) - 1]
        low -= half
    losses = (np.arange(len(total)) + low) * step
    gain = np.where(losses > at, -np.expm1(np.minimum(at - losses, 0.0)), 0.0)
    return float(gain @ total)


def integrated(sigma: float, at: float) -> float:
    """δ(ε) of one round by quadrature of (p − e^ε q)₊ over the line."""
    mu = 1 / sigma
    start = (at + mu**2 / 2) / mu
    return quad(lambda x: norm.pdf(x, mu) - math.exp(at) * norm.pdf(x), start, start + 40, epsabs=1e-14, limit=500)[0]


@pytest.mark.parametrize(("sigma", "rounds", "at"), CASES)
def test_delta_agrees_with_convolved_privacy_losses(sigma: float, rounds: int, at: float) -> None:
    assert delta(sigma, rounds, at) == pytest.approx(convolved(sigma, rounds, at, 1.0), abs=1e-6)
    assert delta(sigma, rounds, at, sensitivity=0.5) == pytest.approx(convolved(sigma, rounds, at, 0.5), abs=1e-6)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("at", [0.1, 1.0, 6.0])
def test_delta_of_one_round_is_the_hockey_stick_of_two_gaussians(sigma: float, at: float) -> None:
    assert delta(sigma, 1, at) == pytest.approx(integrated(sigma, at), abs=1e-10)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 7.0])
def test_delta_at_epsilon_zero_is_the_total_variation(sigma: float) -> None:
    assert delta(sigma, 1, 0.0) == pytest.approx(2 * norm.cdf(1 / (2 * sigma)) - 1, rel=1e-12)


def test_rounds_are_one_round_with_less_noise() -> None:
    assert epsilon(8.0, 16, 1e-5) == pytest.approx(epsilon(2.0, 1, 1e-5), rel=1e-12)
    assert epsilon(2.0, 1, 1e-5, sensitivity=1.0) == pytest.approx(epsilon(4.0, 1, 1e-5, sensitivity=2.0), rel=1e-12)


def test_the_published_noise_for_epsilon_one() -> None:
    """The analytic Gaussian mechanism (Balle and Wang 2018) at ε = 1, δ = 1e-5; the classical one takes 4.84."""
    assert sigma_for(1.0, 1e-5, 1) == pytest.approx(3.730632, abs=1e-6)
    assert sigma_for(1.0, 1e-5, 1) < math.sqrt(2 * math.log(1.25 / 1e-5))


@pytest.mark.parametrize("wanted", [0.01, 0.5, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("rounds", [1, 7])
@pytest.mark.parametrize("at", [1e-12, 1e-5, 0.1])
def test_noise_for_an_epsilon_gives_that_epsilon_and_never_more(wanted: float, rounds: int, at: float) -> None:
    sigma = sigma_for(wanted, at, rounds, sensitivity=0.7)
    assert epsilon(sigma, rounds, at, sensitivity=0.7) == pytest.approx(wanted, rel=1e-9)
    assert delta(sigma, rounds, wanted, sensitivity=0.7) <= at * (1 + 1e-9)


def test_more_noise_fewer_rounds_and_more_delta_cost_less() -> None:
    base = epsilon(3.0, 5, 1e-4)
    assert epsilon(4.0, 5, 1e-4) < base
    assert epsilon(3.0, 4, 1e-4) < base
    assert epsilon(3.0, 5, 1e-3) < base


def test_without_noise_there_is_no_epsilon() -> None:
    assert math.isinf(epsilon(0.0, 3, 1e-5))
    assert delta(0.0, 3, 1.0) == 1.0
    assert best_auc(0.0, 1) == 1.0


def test_delta_alone_can_be_enough() -> None:
    assert epsilon(100.0, 1, 0.5) == 0.0


def test_sensitivity_of_votes() -> None:
    assert vote_sensitivity(4) == 0.5
    assert vote_sensitivity(images=3) == 3.0
    assert vote_sensitivity(neighbours="replace") == pytest.approx(math.sqrt(2))


def test_no_attack_on_the_noise_beats_the_bound_and_the_best_one_meets_it() -> None:
    """The likelihood ratio of 4 rounds at σ = 2, over 4,000 worlds: AUC is Φ(μ/√2) with μ = 1."""
    rounds, sigma = 4, 2.0
    scores = {
        inside: np.array(
            [
                sum(float(noisy(np.array([inside]), sigma, key=key, round_=t)[0]) for t in range(rounds))
                for key in (fresh_key() for _ in range(4_000))
            ]
        )
        for inside in (0.0, 1.0)
    }
    auc = float((scores[1.0][:, None] > scores[0.0][None]).mean())
    assert auc == pytest.approx(best_auc(sigma, rounds), abs=0.025)
    assert best_auc(sigma, rounds) == pytest.approx(norm.cdf(1 / math.sqrt(2)))


def test_default_delta_is_a_tenth_of_one_image() -> None:
    assert default_delta(200) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: epsilon(-1.0, 1, 0.1),
        lambda: epsilon(1.0, 0, 0.1),
        lambda: epsilon(1.0, 1, 0.0),
        lambda: sigma_for(0.0, 0.1, 1),
        lambda: delta(1.0, 1, -1.0),
        lambda: delta(1.0, 1, 1.0, sensitivity=0.0),
        lambda: default_delta(0),
        lambda: vote_sensitivity(0),
        lambda: epsilon(math.nan, 1, 0.1),
    ],
)
def test_what_has_no_account_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong()  # type: ignore[operator]
