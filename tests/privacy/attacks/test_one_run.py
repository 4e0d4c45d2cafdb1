from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from twinset.privacy.attacks.one_run import canary_audit, epsilon_shown


@pytest.mark.parametrize(("canaries", "ceiling"), [(40, 2.55), (100, 3.49), (1000, 5.81)])
def test_all_right_shows_no_more_than_the_published_ceilings(canaries: int, ceiling: float) -> None:
    assert epsilon_shown(canaries, canaries, canaries) == pytest.approx(ceiling, abs=0.006)


def test_the_bound_is_where_the_binomial_tail_meets_beta() -> None:
    shown = epsilon_shown(80, 100, 100)
    assert binom.sf(79, 100, 1 / (1 + np.exp(-shown))) == pytest.approx(0.05, abs=1e-9)


def test_guesses_no_better_than_chance_show_nothing() -> None:
    assert epsilon_shown(50, 100, 100) == 0.0
    draw = np.random.Generator(np.random.PCG64(0))
    wrong = sum(canary_audit(draw.normal(size=200), draw.random(200) < 0.5).epsilon > 0 for _ in range(400))
    assert wrong <= 30  # at most one in twenty


@pytest.mark.slow
def test_a_private_answer_is_not_said_to_leak_more_than_it_does() -> None:
    """Randomised response at ε: each canary's flag is told rightly with chance σ(ε), which is exactly ε-private."""
    draw, epsilon = np.random.Generator(np.random.PCG64(1)), 1.0
    beyond, shown = 0, []
    for _ in range(400):
        included = draw.random(500) < 0.5
        told = np.where(draw.random(500) < 1 / (1 + np.exp(-epsilon)), included, ~included)
        found = canary_audit(told + 0.01 * draw.random(500), included, guesses=400)
        beyond += found.epsilon > epsilon
        shown.append(found.epsilon)
    assert beyond <= 30
    assert np.median(shown) > 0.6


def test_delta_can_only_lower_the_bound() -> None:
    bounds = [epsilon_shown(95, 100, 1000, delta=delta) for delta in (0.0, 1e-6, 1e-5, 1e-4)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1]


def test_an_audit_that_cannot_show_as_much_is_vacuous() -> None:
    included = np.arange(40) < 20
    found = canary_audit(included * 1.0, included)
    assert (found.right, found.guesses) == (40, 40)
    assert found.epsilon == found.ceiling
    assert found.vacuous_for(3.0)
    assert not found.vacuous_for(2.0)


def test_scores_and_flags_must_belong_together() -> None:
    with pytest.raises(ValueError, match="a flag for each of 5"):
        canary_audit(np.zeros(5), np.zeros(4, dtype=bool))


@pytest.mark.parametrize("included", [np.arange(200) < 100, np.arange(200) >= 100])
def test_equal_scores_show_nothing_in_whatever_order_canaries_come(included: np.ndarray) -> None:
    assert canary_audit(np.zeros(200), included).epsilon < 0.5
    assert canary_audit(np.zeros(200), included).right < 120


def test_flags_may_be_numbers_and_scores_must_be_some() -> None:
    included = np.arange(40) % 2
    assert canary_audit(included * 1.0, included).right == 40  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite scores; got 1"):
        canary_audit(np.array([np.nan, 1.0]), included[:2])  # type: ignore[arg-type]


def test_delta_is_corrected_for_as_in_the_published_code() -> None:
    """Steinke et al. 2023, appendix D: P[Bin ≥ v] + 2 m δ · max over i of P[v > Bin ≥ v − i] / i."""
    canaries, guesses, right, delta = 1000, 100, 95, 1e-4
    shown = epsilon_shown(right, guesses, canaries, delta=delta)
    q, below, largest = 1 / (1 + np.exp(-shown)), 0.0, 0.0
    for i in range(1, right + 1):
        below += binom.pmf(right - i, guesses, q)
        largest = max(largest, below / i)
    assert binom.sf(right - 1, guesses, q) + 2 * canaries * delta * largest == pytest.approx(0.05, abs=1e-9)
