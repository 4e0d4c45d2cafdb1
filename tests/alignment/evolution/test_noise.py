"""Noise from a key."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from twinset.alignment.evolution import fresh_key, noisy, thresholded
from twinset.alignment.evolution.noise import GRID

KEY = bytes(range(32))


def drawn(sigma: float, *, key: bytes = KEY, round_: int = 0, count: int = 100_000) -> np.ndarray:
    return noisy(np.zeros(count), sigma, key=key, round_=round_)


def test_noise_is_gaussian_with_the_stated_deviation() -> None:
    values = drawn(5.0)
    assert values.std() == pytest.approx(5.0, rel=0.01)
    assert values.mean() == pytest.approx(0.0, abs=0.06)
    assert kstest(values / 5.0, "norm").pvalue > 0.01


def test_candidates_without_votes_get_noise_too() -> None:
    assert (drawn(5.0, count=50) != 0).all()


def test_the_same_key_and_round_give_the_same_noise() -> None:
    np.testing.assert_array_equal(drawn(2.0, count=9), drawn(2.0, count=9))


def test_other_rounds_and_keys_give_independent_noise() -> None:
    first = drawn(1.0)
    for other in (drawn(1.0, round_=1), drawn(1.0, key=fresh_key())):
        assert abs(float(np.corrcoef(first, other)[0, 1])) < 0.015


def test_noise_is_added_to_the_votes() -> None:
    votes = np.arange(6.0)
    np.testing.assert_allclose(noisy(votes, 3.0, key=KEY, round_=0) - drawn(3.0, count=6), votes, atol=2 * GRID)


def test_noisy_votes_lie_on_a_grid() -> None:
    steps = drawn(np.pi) / GRID
    np.testing.assert_array_equal(steps, np.round(steps))


def test_without_noise_votes_are_as_they_are() -> None:
    votes = np.array([1 / 3, 2.0])
    np.testing.assert_array_equal(noisy(votes, 0.0, key=b"", round_=0), votes)


def test_fresh_keys_differ() -> None:
    assert fresh_key() != fresh_key()


def test_a_threshold_takes_what_is_not_above_it() -> None:
    assert thresholded(np.array([-3.0, 0.0, 2.0, 2.5]), 2.0).tolist() == [0.0, 0.0, 0.0, 2.5]
    assert thresholded(np.array([-3.0, 0.0, 2.0]), 0.0).tolist() == [0.0, 0.0, 2.0]


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a key of 32 bytes; got 3"):
        noisy(np.zeros(2), 1.0, key=b"abc", round_=0)
