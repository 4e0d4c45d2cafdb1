from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.inception_score import inception_score


def draw(seed: int, n: int, classes: int, *, concentration: float = 0.3) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.dirichlet(np.linspace(concentration, 3 * concentration, classes), size=n)


def test_alike_images_score_one_and_sure_balanced_ones_the_number_of_classes() -> None:
    for classes in (2, 10):
        alike = inception_score(np.tile(draw(0, 1, classes), (30, 1)))
        assert alike.value == pytest.approx(1.0, abs=1e-12)
        sure = inception_score(np.tile(np.eye(classes), (7, 1)))
        assert sure.value == pytest.approx(classes)
        assert sure.settings["standard_error"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_it_lies_between_one_and_the_number_of_classes_and_order_changes_nothing(seed: int) -> None:
    rows = draw(seed, 40, 5, concentration=0.05 + 0.5 * seed)
    value = inception_score(rows).value
    assert value is not None
    assert 1.0 < value < 5.0
    assert inception_score(rows[::-1, ::-1]).value == pytest.approx(value, rel=1e-12)
    surer = rows**3 / (rows**3).sum(axis=1, keepdims=True)
    assert inception_score(surer).value > value  # type: ignore[operator]


def test_a_table_by_hand() -> None:
    # p(y) = (1/2, 1/2); KL of (1, 0) is log 2, of (3/4, 1/4) it is 3/4 log 3/2 + 1/4 log 1/2, mirrored likewise.
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.75, 0.25], [0.25, 0.75]])
    expected = np.exp((np.log(2) + 0.75 * np.log(1.5) + 0.25 * np.log(0.5)) / 2)
    assert inception_score(rows).value == pytest.approx(expected, rel=1e-12)


def test_it_is_the_exponential_of_the_mutual_information() -> None:
    rows = draw(1, 200, 6)
    marginal = rows.mean(axis=0)
    entropy = -(marginal * np.log(marginal)).sum()
    conditional = -(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=1).mean()
    assert inception_score(rows, block=13).value == pytest.approx(np.exp(entropy - conditional), rel=1e-10)


def test_an_unbalanced_set_of_sure_images_scores_less() -> None:
    rows = np.eye(4)[[0] * 13 + [1, 2, 3]]
    assert inception_score(rows).value == pytest.approx(np.exp(-(13 / 16 * np.log(13 / 16) + 3 / 16 * np.log(1 / 16))))


def test_the_standard_error_equals_the_jackknife_for_many_images() -> None:
    rows = draw(2, 300, 5)
    left = np.array([np.log(float(inception_score(np.delete(rows, i, axis=0)).value or 0)) for i in range(300)])
    jackknife = np.sqrt(299 / 300 * ((left - left.mean()) ** 2).sum())
    score = inception_score(rows)
    assert score.settings["standard_error"] == pytest.approx(score.value * jackknife, rel=0.02)


def test_the_interval_holds_the_estimators_expectation_in_about_95_percent() -> None:
    for n, classes in ((60, 4), (300, 10)):
        scores = [inception_score(draw(1000 + seed, n, classes)) for seed in range(400)]
        expectation = np.mean([score.value for score in scores])
        held = np.mean([score.interval.low < expectation < score.interval.high for score in scores])
        assert 0.92 <= held <= 0.98


def test_the_stated_bias_is_what_small_sets_lack_and_is_warned_about() -> None:
    large = float(inception_score(draw(3, 200_000, 10)).value or 0)
    scores = [inception_score(draw(5000 + seed, 40, 10)) for seed in range(300)]
    lacking = np.mean([score.value for score in scores]) - large
    assert np.mean([float(score.settings["bias_estimate"]) for score in scores]) == pytest.approx(lacking, rel=0.25)
    assert "too low by about" in scores[0].warnings[0]
    assert not inception_score(draw(3, 20_000, 10)).warnings


def test_what_is_no_probability_is_refused_and_float16_is_not() -> None:
    with pytest.raises(ValueError, match="2 others, row 1 sums to 2; pass probabilities"):
        inception_score(np.array([[0.5, 0.5], [1.0, 1.0], [-0.5, 1.5]]))
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(np.array([[np.nan, 1.0], [0.5, 0.5]]))
    with pytest.raises(ValueError, match=r"\(N, C\)"):
        inception_score(np.ones(4))
    rows = draw(4, 50, 8)
    assert inception_score(rows.astype(np.float16)).value == pytest.approx(inception_score(rows).value, rel=1e-3)
    assert "at least 2" in inception_score(rows[:1]).undefined_because
    assert inception_score(np.eye(3)[[0, 1]]).value == pytest.approx(2.0)  # a class that no image has
