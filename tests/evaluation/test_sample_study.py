from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from twinset.evaluation.sample_study import (
    Excess,
    FeatureSets,
    distance_bins,
    feature_ratio,
    rank_correlation,
    score_without_training,
    spearman,
    synthetic_distances,
)
from twinset.randomness import Stream

RNG = Stream(3)


def alone(n: int) -> np.ndarray:
    return np.arange(n)


def test_distance_is_the_mean_over_the_nearest_synthetic_images() -> None:
    synthetic = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [90.0]])
    assert synthetic_distances(np.array([[0.0]]), synthetic).tolist() == [3.0]
    assert synthetic_distances(np.array([[0.0]]), synthetic[:2]).tolist() == [1.5]


def test_rank_correlation_is_scipys_with_ties() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.integers(6, size=40).astype(float), draw.integers(6, size=40).astype(float)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.slow
def test_worse_with_distance_is_minus_one_and_better_is_one() -> None:
    x = np.arange(30.0)
    falls, rises = (rank_correlation(x, y, alone(30), name="arm", rng=RNG) for y in (np.exp(-x), x**3))
    assert falls.value == pytest.approx(-1)
    assert rises.value == pytest.approx(1)
    for score in (falls, rises):
        assert score.settings["p_value"] == pytest.approx(1 / 2001)
        assert score.interval is not None
    assert falls.interval is not None
    assert falls.interval.high < -0.9


@pytest.mark.slow
def test_unrelated_quality_is_not_significant() -> None:
    draw = np.random.default_rng(1)
    p_values = []
    for n in range(8):
        x, y = draw.normal(size=(2, 20))
        score = rank_correlation(x, y, alone(20), name="arm", rng=RNG.child(n))
        assert score.interval is not None
        assert score.value is not None
        p_values.append(score.settings["p_value"])
    assert sum(p <= 0.05 for p in p_values) <= 1
    assert max(p_values) > 0.5


@pytest.mark.slow
def test_repeated_images_of_a_family_add_no_certainty() -> None:
    draw = np.random.default_rng(5)
    x = draw.normal(size=12)
    y = -x + 2 * draw.normal(size=12)
    once = rank_correlation(x, y, alone(12), name="arm", rng=RNG)
    often = rank_correlation(np.repeat(x, 8), np.repeat(y, 8), np.repeat(alone(12), 8), name="arm", rng=RNG)
    blind = rank_correlation(np.repeat(x, 8), np.repeat(y, 8), alone(96), name="arm", rng=RNG)
    assert once.interval
    assert often.interval
    assert blind.interval
    width = once.interval.high - once.interval.low
    assert often.interval.high - often.interval.low > 0.75 * width
    assert blind.interval.high - blind.interval.low < 0.5 * width
    assert often.settings["p_value"] == pytest.approx(once.settings["p_value"], abs=0.02)
    assert float(blind.settings["p_value"]) < 0.1 * float(often.settings["p_value"])


@pytest.mark.parametrize(
    ("quality", "families", "reason"),
    [
        (np.linspace(0, 1, 9), alone(9), "at least 10 test images"),
        (np.append(np.linspace(0, 1, 9), np.full(20, np.nan)), alone(29), "got 9"),
        (np.full(30, np.nan), alone(30), "got 0"),
        (np.linspace(0, 1, 30), np.zeros(30, dtype=int), "5 families of test images; got 1"),
        (np.zeros(30), alone(30), "equally well judged"),
    ],
)
def test_too_little_says_why_instead_of_a_number(quality: np.ndarray, families: np.ndarray, reason: str) -> None:
    score = rank_correlation(np.arange(float(len(quality))), quality, families, name="arm", rng=RNG)
    assert score.value is None
    assert score.interval is None
    assert reason in score.undefined_because


def test_equal_distances_say_so() -> None:
    score = rank_correlation(np.ones(30), np.linspace(0, 1, 30), alone(30), name="arm", rng=RNG)
    assert "equally far" in score.undefined_because


def test_images_without_objects_do_not_count() -> None:
    x = np.arange(30.0)
    quality = np.where(x < 15, -x, np.nan)
    score = rank_correlation(x, quality, alone(30), name="arm", rng=RNG)
    assert score.value == pytest.approx(-1)
    assert score.counts["real"] == 15
    assert score.settings["families"] == 15


def test_bins_hold_equal_numbers_nearest_first() -> None:
    x = np.arange(20.0)[::-1]
    bins = distance_bins(x, {"arm": x / 10, "none": np.full(20, np.nan)})
    assert [one.images for one in bins] == [4] * 5
    assert [one.low for one in bins] == [0, 4, 8, 12, 16]
    assert [one.high for one in bins] == [3, 7, 11, 15, 19]
    assert [one.quality["arm"] for one in bins] == pytest.approx([0.15, 0.55, 0.95, 1.35, 1.75])
    assert bins[0].distance == 1.5
    assert bins[0].quality["none"] is None


def test_equal_distances_share_a_bin_and_few_images_have_none() -> None:
    bins = distance_bins(np.repeat([1.0, 2.0], [15, 5]), {"arm": np.ones(20)})
    assert [(one.low, one.high, one.images) for one in bins] == [(1, 1, 15), (2, 2, 5)]
    assert distance_bins(np.arange(9.0), {"arm": np.ones(9)}) == ()


def cloud(n: int, shift: float = 0.0, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4)) + shift


def test_feature_ratio_is_one_for_alike_sets_of_any_size_and_grows_with_distance() -> None:
    test, training = cloud(200, seed=1), cloud(60, seed=2)
    for n in (60, 600):
        assert feature_ratio(test, cloud(n, seed=3), training, rng=RNG) == pytest.approx(1, abs=0.08)
    further = [feature_ratio(test, cloud(100, shift, seed=3), training, rng=RNG) for shift in (1.0, 2.0, 4.0)]
    assert further == sorted(further)
    assert further[0] > 1.2
    assert further[2] > 3


def test_feature_ratio_has_no_value_where_training_repeats_the_test() -> None:
    test = cloud(20)
    repeated = np.repeat(test, 5, axis=0)
    assert feature_ratio(test, cloud(200, seed=1), repeated, rng=RNG) is None


def sets(shift: float = 0.0, *, n: int = 40, saw: bool = False) -> FeatureSets:
    return FeatureSets("pixels", cloud(n, seed=1), cloud(40, shift, seed=2), cloud(40, seed=3), saw)


def test_score_is_the_mean_of_measures_beyond_the_floor_and_features() -> None:
    excess = Excess({"count": 0.4, "area": 0.09, "blur": -0.01}, {"count": False, "area": True, "blur": True}, 50)
    found = score_without_training(excess, sets(3.0), rng=RNG)
    assert found.feature_ratio is not None
    assert found.feature_ratio > 1.5
    assert found.measures == {"count": 0.4, "area": 0.0, "blur": 0.0}
    assert found.score.value == pytest.approx((0.4 + found.feature_ratio - 1) / 4)
    assert found.score.settings["significant"] == 1
    assert found.score.higher_is_better is False


def test_one_more_significant_measure_never_lowers_the_score() -> None:
    values = {"count": 1.0, "area": 0.05}
    one = score_without_training(Excess(values, {"count": False, "area": True}, 50), sets(), rng=RNG)
    two = score_without_training(Excess(values, {"count": False, "area": False}, 50), sets(), rng=RNG)
    assert one.score.value is not None
    assert two.score.value is not None
    assert two.score.value > one.score.value


def test_measures_without_a_shared_value_count_as_finite_and_are_named() -> None:
    excess = Excess({"count": np.inf, "area": 0.1}, {"count": False, "area": False}, 50)
    found = score_without_training(excess, sets(), rng=RNG)
    assert found.measures["count"] == pytest.approx(np.log(50))
    assert found.score.value is not None
    assert np.isfinite(found.score.value)
    assert len(found.score.warnings) == 1
    assert found.score.warnings[0].startswith("count ")


def test_an_extractor_that_saw_the_training_images_is_warned_of() -> None:
    excess = Excess({"count": 0.1}, {"count": False}, 50)
    assert score_without_training(excess, sets(), rng=RNG).score.warnings == ()
    assert "trained on" in score_without_training(excess, sets(saw=True), rng=RNG).score.warnings[0]


@pytest.mark.parametrize(
    ("excess", "features", "reason"),
    [
        (None, sets(), "no measure"),
        (Excess({}, {}, 0), sets(), "no measure"),
        (Excess({"count": 0.1}, {"count": False}, 50), None, "no features"),
        (Excess({"count": 0.1}, {"count": False}, 50), sets(n=9), "got 9"),
        (
            Excess({"count": 0.1}, {"count": False}, 50),
            FeatureSets("pixels", cloud(40), cloud(4), cloud(40)),
            "got 4 and 40",
        ),
    ],
)
def test_score_says_what_is_missing(excess: Excess | None, features: FeatureSets | None, reason: str) -> None:
    found = score_without_training(excess, features, rng=RNG)
    assert found.score.value is None
    assert reason in found.score.undefined_because
