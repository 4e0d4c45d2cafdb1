from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from twinset.evaluation.predictions.simultaneous import Estimates, one_hot
from twinset.evaluation.protocol import wilson_interval
from twinset.randomness import Stream

SIDAK = norm.ppf((1 + 0.95 ** (1 / 4)) / 2)


def shares(right: np.ndarray, columns: np.ndarray, count: int, families: np.ndarray | None = None) -> Estimates:
    return Estimates.ratios(one_hot(columns, count, where=right), one_hot(columns, count), families=families)


def test_a_plain_proportion_has_wilsons_interval_exactly() -> None:
    right = np.arange(40) % 5 != 0
    found = shares(right, np.zeros(40, int), 1)
    assert found.values.tolist() == [0.8]
    assert found.errors[0] == pytest.approx(np.sqrt(0.8 * 0.2 / 40))
    interval = found.share_intervals()[0]
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(wilson_interval(32, 40), abs=1e-6)


def test_bonferroni_widens_wilson_to_the_shared_level() -> None:
    columns, right = np.repeat([0, 1, 2, 3], 50), np.arange(200) % 3 != 0
    found = shares(right, columns, 4)
    z = norm.ppf(1 - 0.05 / 8)
    for interval, value in zip(found.share_intervals(joint="bonferroni"), found.values, strict=True):
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx(wilson_interval(value * 50, 50, z=z), abs=1e-9)


def test_the_maximum_of_unrelated_figures_is_sidaks_and_of_equal_ones_that_of_one() -> None:
    right, columns = np.arange(400) % 3 != 0, np.repeat([0, 1, 2, 3], 100)
    apart = shares(right, columns, 4).critical(rng=Stream(1))
    assert apart == pytest.approx(SIDAK, abs=0.04)
    same = np.tile(right[:, None].astype(float), 4)
    together = Estimates.ratios(same, np.ones((400, 4))).critical(rng=Stream(1))
    assert together == pytest.approx(1.96, abs=0.03)
    assert shares(right, columns, 4).critical(rng=Stream(1)) == apart


def test_figures_without_an_error_still_count_among_the_many() -> None:
    columns = np.repeat([0, 1, 2, 3], 30)
    found = shares(np.ones(120, bool), columns, 4)
    assert found.critical(rng=Stream(2)) == pytest.approx(SIDAK, abs=0.04)
    interval = found.share_intervals(rng=Stream(2))[0]
    assert interval is not None
    assert interval.high == 1.0
    assert 0.75 < interval.low < 0.87


def test_more_figures_than_families_agree_with_the_route_by_correlations() -> None:
    draw = Stream(3).numpy()
    terms = draw.random((8, 12))
    wide = Estimates.ratios(terms, np.ones((8, 12))).critical(rng=Stream(4))
    deviations = (terms - terms.mean(0)) / np.linalg.norm(terms - terms.mean(0), axis=0)
    largest = np.abs(draw.standard_normal((40_000, 8)) @ deviations).max(1)
    assert wide == pytest.approx(np.quantile(largest, 0.95), abs=0.05)


def test_copies_of_an_image_in_its_family_add_no_certainty() -> None:
    right = np.arange(30) % 4 != 0
    once = shares(right, np.zeros(30, int), 1)
    copied = shares(np.repeat(right, 5), np.zeros(150, int), 1, np.repeat(np.arange(30), 5))
    assert copied.values == pytest.approx(once.values)
    assert copied.errors == pytest.approx(once.errors)
    assert copied.behind.tolist() == [30]
    narrow, wide = once.share_intervals()[0], copied.share_intervals()[0]
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_the_error_of_a_ratio_agrees_with_monte_carlo() -> None:
    def once(seed: int) -> Estimates:
        draw = Stream(seed).numpy()
        below = draw.integers(1, 9, size=60).astype(float)
        above = draw.binomial(below.astype(int), draw.beta(4, 2, size=60)).astype(float)
        return Estimates.ratios(above[:, None], below[:, None])

    found = [once(seed) for seed in range(400)]
    ratio = np.mean([one.errors[0] for one in found]) / np.std([one.values[0] for one in found])
    assert 0.9 < ratio < 1.1


def test_the_mean_of_figures_counts_their_dependence() -> None:
    values = Stream(5).numpy().random((50, 1))
    twice = Estimates.ratios(np.hstack([values, 1 - values]), np.ones((50, 2)))
    assert twice.mean().values[0] == pytest.approx(0.5)
    # What one gains the other loses: only the half image more or less is left.
    assert twice.mean().errors[0] == pytest.approx(np.hypot(0.5 / 50, 0.5 / 50) / 2)


def test_an_unbounded_mean_has_students_interval() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    interval = Estimates.ratios(values[:, None], np.ones((4, 1))).mean_intervals()[0]
    assert interval is not None
    half = t.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert (interval.low, interval.high) == pytest.approx((4 - half, 4 + half))
    assert Estimates.ratios(values[:1, None], np.ones((1, 1))).mean_intervals() == [None]


def test_the_largest_difference_allows_for_having_been_picked() -> None:
    columns, right = np.repeat([0, 1, 2], 100), np.zeros(300, bool)
    right[:50], right[100:190], right[200:260] = True, True, True
    value, interval, error = shares(right, columns, 3).largest_difference(rng=Stream(6))
    assert value == pytest.approx(0.4)
    assert error == pytest.approx(np.sqrt((0.25 + 0.09) / 100 + 2 * 0.005**2))
    assert 0.24 < interval.low < 0.4 - 1.96 * error
    assert interval.high > 0.4 + 1.96 * error


def test_figures_that_rest_on_two_families_have_an_interval_that_says_next_to_nothing() -> None:
    right, family = np.tile([True, True, False], 6), np.arange(18) % 2
    found = Estimates.ratios(one_hot(np.arange(18) % 3 // 2, 2, where=right), np.ones((18, 2)), families=family)
    apart = replace(found, values=np.array([0.65, 0.6]), slack=np.array([0.16, 0.16]))
    for interval in apart.share_intervals(rng=Stream(0)):
        assert interval is not None
        assert interval.low < 0.01
        assert interval.high > 0.99


def test_undefined_figures_have_no_interval_and_do_not_widen_others() -> None:
    found = shares(np.arange(40) % 5 != 0, np.zeros(40, int), 3)
    assert np.isnan(found.values[1:]).all()
    first, *others = found.share_intervals()
    assert others == [None, None]
    assert first == shares(np.arange(40) % 5 != 0, np.zeros(40, int), 1).share_intervals()[0]


def test_several_figures_need_a_stream_and_families_their_length() -> None:
    with pytest.raises(ValueError, match="expected rng"):
        shares(np.arange(40) % 5 != 0, np.arange(40) % 2, 2).share_intervals()
    with pytest.raises(ValueError, match="a family for each of 40"):
        shares(np.arange(40) % 5 != 0, np.arange(40) % 2, 2, np.zeros(3, int))
