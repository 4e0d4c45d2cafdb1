from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation import Evidence, NearestRecord, NearestRecords
from twinset.evaluation.neighbourhoods.nearest import resampled_medians
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_distances_ratio_and_share_by_hand() -> None:
    train, holdout = np.array([[0.0], [10.0]]), np.array([[2.0], [14.0], [6.0]])
    records = NearestRecords.of(np.array([[1.0], [10.5], [20.0]]), train, holdout)
    assert records.synthetic.tolist() == [1.0, 0.5, 10.0]
    assert records.holdout.tolist() == [2.0, 4.0, 4.0]
    assert records.ratio == 0.25  # median 1 over median 4
    assert records.share_below(2) == pytest.approx(2 / 3)  # closer than 4
    assert NearestRecords(np.array([4.0, 9.0]), records.holdout).share_below(3) == 0.25  # a tie counts half
    with pytest.raises(ValueError, match="a rank in 1…3"):
        records.share_below(4)


def scores(synthetic: np.ndarray, train: np.ndarray, holdout: np.ndarray, *, saw: bool = False) -> list[object]:
    evidence = Evidence(holdout, synthetic, "test", train, holdout, extractor_saw_real=saw)
    return list(NearestRecord().measure(evidence, rng=Stream(0)))


def test_fresh_images_of_the_same_law_score_as_the_holdout_does() -> None:
    ratio, share = scores(draw(0, 400, 6), draw(1, 300, 6), draw(2, 400, 6))
    assert ratio.value == pytest.approx(1.0, abs=0.06)
    assert ratio.interval.low < 1 < ratio.interval.high
    assert share.value == pytest.approx(0.05, abs=0.03)
    assert (ratio.floor, share.floor) == (1.0, 20 / 401)


@pytest.mark.parametrize(("held", "floor"), [(10, 1 / 11), (30, 2 / 31), (19, 1 / 20)])
def test_the_floor_of_the_share_is_what_exchangeable_images_score_on_average(held: int, floor: float) -> None:
    rng, metric, found = np.random.Generator(np.random.PCG64(held)), NearestRecord(resamples=100), []
    for _ in range(600):
        records = NearestRecords(rng.exponential(size=300), rng.exponential(size=held))
        share = metric.scores(records, counts={}, extractor=None, rng=Stream(0))[1]
        assert share.floor == floor
        found.append(share.value)
    assert np.mean(found) == pytest.approx(floor, abs=0.011)


def test_a_copier_scores_low_and_its_share_is_high() -> None:
    train = draw(3, 300, 6)
    ratio, share = scores(train + 0.01 * draw(4, 300, 6), train, draw(5, 300, 6))
    assert ratio.value < 0.05
    assert share.value > 0.95
    assert share.interval.low > 0.9


def test_a_few_copies_hide_from_the_median_but_not_from_the_share() -> None:
    train = draw(6, 200, 6)
    synthetic = np.concatenate([draw(7, 180, 6), train[:20]])
    ratio, share = scores(synthetic, train, draw(8, 200, 6))
    assert ratio.value == pytest.approx(1.0, abs=0.1)
    assert share.interval.low > share.floor


def test_an_extractor_that_saw_the_images_is_refused_and_missing_sets_are_named() -> None:
    train, holdout = draw(9, 50, 3), draw(10, 50, 3)
    for score in scores(draw(11, 50, 3), train, holdout, saw=True):
        assert score.value is None
        assert "was trained on these images" in score.undefined_because
    evidence = Evidence(holdout, draw(11, 50, 3), "test")
    assert all(score.value is None for score in NearestRecord().measure(evidence, rng=Stream(0)))


def test_a_holdout_of_copies_leaves_the_ratio_undefined() -> None:
    train = draw(12, 50, 3)
    ratio, _ = scores(draw(13, 50, 3), train, train.copy())
    assert ratio.value is None
    assert "exact copies" in ratio.undefined_because


@pytest.mark.parametrize("count", [5, 6, 41])
def test_medians_of_resamples_are_those_of_drawing_them(count: int) -> None:
    values = np.random.default_rng(0).normal(size=count)
    quick = resampled_medians(values, 40_000, np.random.default_rng(1))
    rows = np.random.default_rng(2).integers(count, size=(40_000, count))
    slow = np.median(values[rows], axis=1)
    assert quick.mean() == pytest.approx(slow.mean(), abs=0.015)
    assert quick.std() == pytest.approx(slow.std(), rel=0.03)
    np.testing.assert_allclose(*(np.quantile(each, [0.1, 0.5, 0.9]) for each in (quick, slow)), atol=0.05)
