from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from twinset.membership import Strata
from twinset.privacy.attacks.figures import AttackFigures, clopper_pearson, power_at


def scores(seed: int, n: int, m: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(seed))
    return draw.normal(shift, 1, n), draw.normal(0, 1, m)


def test_auc_of_shifted_normal_scores_is_that_of_the_formula() -> None:
    from scipy.stats import norm

    members, others = scores(0, 20_000, 20_000, 0.5)
    found = AttackFigures.of("x", members, others)
    assert found.auc == pytest.approx(norm.cdf(0.5 / 2**0.5), abs=0.005)
    assert found.interval.low < found.auc < found.interval.high
    assert found.p_value < 1e-9


def test_its_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    from scipy.stats import norm

    truth = norm.cdf(0.5 / 2**0.5)
    inside = 0
    for seed in range(400):
        interval = AttackFigures.of("x", *scores(seed, 60, 80, 0.5)).interval
        inside += interval.low <= truth <= interval.high
    assert 0.92 <= inside / 400 <= 0.98


def test_without_a_difference_p_values_are_even() -> None:
    values = [AttackFigures.of("x", *scores(seed, 50, 50, 0.0)).p_value for seed in range(400)]
    assert np.quantile(values, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.06)


def test_another_mix_of_classes_is_no_membership() -> None:
    draw = np.random.Generator(np.random.PCG64(1))
    classes, other_classes = np.repeat([0, 1], [150, 50]), np.repeat([0, 1], [50, 150])
    members, others = classes * -3.0 + draw.normal(size=200), other_classes * -3.0 + draw.normal(size=200)
    assert AttackFigures.of("x", members, others).auc > 0.7
    assert abs(AttackFigures.of("x", members, others, Strata.of(classes, other_classes)).auc - 0.5) < 0.08


def test_power_counts_members_above_what_few_others_pass() -> None:
    members, others = np.array([5.0, 9.0, 11.0, 12.0]), np.arange(10.0)
    found = power_at(0.1, members, others)
    assert (found.found, found.passed) == (3, 1)
    assert found.share == 0.75
    assert power_at(0.5, members, others).found == 4
    ties = power_at(0.1, np.array([3.0, 3.0]), np.full(10, 3.0))
    assert (ties.found, ties.passed) == (0, 0)


def test_rates_that_the_others_cannot_tell_are_left_out() -> None:
    found = AttackFigures.of("x", np.arange(50.0), np.arange(50.0))
    assert [power.rate for power in found.powers] == [0.1]


def test_the_exact_interval_is_that_of_scipy() -> None:
    for successes, trials in ((0, 7), (3, 7), (7, 7), (1, 400)):
        wanted = binomtest(successes, trials).proportion_ci(method="exact")
        found = clopper_pearson(successes, trials)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite scores; attack gave others"):
        AttackFigures.of("attack", np.array([1.0, np.nan]), np.array([1.0, 2.0]))


@pytest.mark.slow
def test_the_interval_holds_the_truth_where_classes_are_tiny_too() -> None:
    from scipy.stats import norm

    truth, classes = norm.cdf(0.5 / 2**0.5), np.repeat(np.arange(40), 2)
    inside = 0
    for seed in range(300):
        interval = AttackFigures.of("x", *scores(seed, 80, 80, 0.5), Strata.of(classes, classes)).interval
        inside += interval.low <= truth <= interval.high
    assert inside / 300 >= 0.92
    alone = AttackFigures.of("x", *scores(0, 40, 40, 0.5), Strata.of(np.arange(40), np.arange(40))).interval
    assert alone.high - alone.low > 0.2
