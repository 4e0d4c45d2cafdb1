from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from twinset.membership import (
    Links,
    Strata,
    expected_log_minimum,
    more_hits_than_chance,
    neighbours_needed,
    placement_test,
    robust_test,
    smallest_significant_hits,
)


def test_one_stratum_is_the_wilcoxon_rank_sum_test_with_ties():
    draw = np.random.default_rng(0)
    members, others = draw.integers(0, 9, 40).astype(float), draw.integers(-2, 8, 55).astype(float)
    found = placement_test(members, others, Strata.single(40, 55))
    reference = stats.mannwhitneyu(members, others, alternative="greater", method="asymptotic", use_continuity=False)
    assert found.p_value == pytest.approx(reference.pvalue, rel=1e-9)
    assert found.auc == pytest.approx(reference.statistic / (40 * 55), rel=1e-12)


def test_members_that_score_lower_are_no_evidence():
    low, high = np.arange(30.0), np.arange(30.0) + 20
    assert placement_test(high, low, Strata.single(30, 30)).p_value < 1e-6
    assert placement_test(low, high, Strata.single(30, 30)).p_value > 1 - 1e-6


def test_strata_are_compared_within_only():
    members = np.concatenate([np.arange(40.0), 100 + np.arange(10.0)])
    others = np.concatenate([np.arange(10.0) * 4, 100 + np.arange(40.0) / 4])
    labels = np.repeat([0, 1], [40, 10]), np.repeat([0, 1], [10, 40])
    assert placement_test(members, others, Strata.of(*labels)).p_value > 0.2
    assert placement_test(members, others, Strata.single(50, 50)).p_value > 0.999


def test_classes_of_one_side_only_are_pooled_so_that_no_image_is_left_uncompared():
    both_odd = Strata.of(np.array([0, 0, 1]), np.array([0, 2]))
    assert [(len(a), len(b)) for a, b in both_odd.pairs()] == [(1, 1), (2, 1)]
    one_odd = Strata.of(np.array([0, 0, 1]), np.array([0, 0]))
    assert [(len(a), len(b)) for a, b in one_odd.pairs()] == [(3, 2)]


def test_linked_scores_count_for_less_than_independent_ones():
    draw = np.random.default_rng(1)
    clusters = draw.standard_normal(30)
    members = np.repeat(clusters, 10) + 0.3
    others = draw.standard_normal(300)
    rows = np.concatenate([np.repeat(np.arange(30), 10) * 10, np.zeros(300, dtype=np.int64) - 1])
    own = np.concatenate([rows[:300], draw.integers(0, 300, 300)])
    links = Links(member=own, synthetic=np.arange(600))
    strata = Strata.single(300, 300)
    assert robust_test(members, others, strata, links=links).p_value > placement_test(members, others, strata).p_value


def test_linked_pairs_are_summed_as_by_hand():
    draw = np.random.default_rng(2)
    n, total = 12, 20
    member, synthetic = draw.integers(0, n, total), draw.integers(0, 6, total)
    member[:n] = np.where(member[:n] == np.arange(n), (member[:n] + 1) % n, member[:n])
    values = draw.standard_normal(total)
    linked = (member[:, None] == member[None]) | (synthetic[:, None] == synthetic[None])
    for row in range(total):
        linked[row, member[row]] = linked[member[row], row] = True
    found = Links(member=member, synthetic=synthetic).quadratic(values)
    assert found == pytest.approx(values @ linked @ values, rel=1e-12)


def test_perfect_separation_is_significant_in_the_robust_form_too():
    members, others = np.ones(50), np.zeros(50)
    links = Links(member=np.zeros(100, dtype=np.int64), synthetic=np.arange(100))
    assert robust_test(members, others, Strata.single(50, 50), links=links).p_value < 1e-10


def test_hits_follow_the_binomial_law_where_all_shares_are_equal():
    assert more_hits_than_chance(np.full(12, 0.3), 7) == pytest.approx(stats.binom.sf(6, 12, 0.3), rel=1e-9)
    assert more_hits_than_chance(np.array([0.5, 0.2]), 2) == pytest.approx(0.1)
    assert more_hits_than_chance(np.empty(0), 0) == 1.0


def test_the_least_significant_number_of_hits_is_the_least():
    least = smallest_significant_hits(0.5, 0, alpha=0.005)
    assert least == 8
    assert 0.5**8 <= 0.005 < 0.5**7
    assert smallest_significant_hits(0.5, 3, alpha=0.005) > 8
    assert smallest_significant_hits(1.0, 0, alpha=0.005) is None


def test_the_expected_minimum_is_the_mean_over_all_draws():
    distances = np.sort(np.random.default_rng(3).uniform(0.1, 2, (2, 7)), axis=1)
    by_hand = [np.mean([np.log(row[list(choice)].min()) for choice in combinations(range(7), 3)]) for row in distances]
    found = expected_log_minimum(distances, total=7, draws=3, floor=1e-9)
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_one_draw_of_all_is_the_minimum_and_zero_distances_stay_finite():
    distances = np.array([[0.0, 1.0, 2.0]])
    assert expected_log_minimum(distances, total=3, draws=3, floor=0.1)[0] == pytest.approx(np.log(0.1))


def test_few_neighbours_carry_nearly_all_weight():
    distances = np.sort(np.random.default_rng(4).uniform(0.1, 2, (5, 400)), axis=1)
    kept = neighbours_needed(total=400, draws=100)
    whole = expected_log_minimum(distances, total=400, draws=100, floor=1e-9)
    assert kept == 32
    assert expected_log_minimum(distances[:, :kept], total=400, draws=100, floor=1e-9) == pytest.approx(whole, abs=1e-3)
