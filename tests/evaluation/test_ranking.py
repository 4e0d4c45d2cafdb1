"""Sets that the images tell apart get ranks of their own; the others share."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.ranking import Influenced, covariance, holm, ranking


def means_of(real: np.ndarray, synthetic: np.ndarray) -> Influenced:
    """The score mean(synthetic) − mean(real), whose influences are exact."""
    return Influenced(float(synthetic.mean() - real.mean()), real.mean() - real, synthetic - synthetic.mean())


def test_covariance_is_that_of_the_scores_over_repetitions() -> None:
    draws = np.random.default_rng(0)
    values, predicted = [], []
    for _ in range(600):
        real = draws.normal(0, 2.0, 40)
        scores = [means_of(real, draws.normal(0, spread, 25)) for spread in (1.0, 3.0)]
        values.append([score.value for score in scores])
        predicted.append(covariance(scores))
    np.testing.assert_allclose(np.mean(predicted, axis=0), np.cov(np.array(values).T), rtol=0.15)


@pytest.mark.parametrize("alone", ["real", "synthetic"])
def test_where_all_images_are_of_one_family_nothing_is_told_apart(alone: str) -> None:
    draws = np.random.default_rng(1)
    real = draws.normal(size=20)
    scores = [means_of(real, draws.normal(shift, 1, 20)) for shift in (0.0, 50.0)]
    each, one = np.arange(20), np.zeros(20, dtype=np.int64)
    kin = (one, each) if alone == "real" else (each, one)
    found = ranking("ab", [score.by_family(*kin) for score in scores], higher_is_better=False)
    assert [(row.best, row.worst) for row in found] == [(1, 2), (1, 2)]
    assert [row.standard_error for row in found] == [np.inf, np.inf]


def test_sets_far_apart_have_ranks_in_the_order_of_their_scores() -> None:
    draws = np.random.default_rng(1)
    real = draws.normal(size=200)
    scores = [means_of(real, draws.normal(shift, 1, 200)) for shift in (2.0, 0.0, 4.0)]
    lower = ranking(["b", "a", "c"], scores, higher_is_better=False)
    assert [(one.name, one.best, one.worst) for one in lower] == [("a", 1, 1), ("b", 2, 2), ("c", 3, 3)]
    higher = ranking(["b", "a", "c"], scores, higher_is_better=True)
    assert [(one.name, one.best, one.worst) for one in higher] == [("c", 1, 1), ("b", 2, 2), ("a", 3, 3)]


def test_equal_sets_share_a_rank_at_the_stated_rate() -> None:
    draws = np.random.default_rng(2)
    wrong = 0
    for _ in range(400):
        real = draws.normal(size=100)
        found = ranking("abcd", [means_of(real, draws.normal(size=100)) for _ in range(4)], higher_is_better=True)
        wrong += any((one.best, one.worst) != (1, 4) for one in found)
    assert wrong / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_shared_real_images_do_not_blur_a_difference() -> None:
    draws = np.random.default_rng(3)
    real = draws.normal(0, 50, 100)
    sets = [draws.normal(shift, 0.1, 1000) for shift in (0.0, 0.2)]
    scores = [means_of(real, made) for made in sets]
    assert scores[0].standard_error > 4 > 0.2
    assert [one.best for one in ranking("ab", scores, higher_is_better=False)] == [1, 2]


def test_a_set_between_two_others_shares_a_rank_with_each() -> None:
    draws = np.random.default_rng(4)
    noise = draws.normal(size=100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    still = np.zeros(100)
    scores = [Influenced(value, still, noise) for value in (0.0, 0.3, 0.6)]
    found = {one.name: (one.best, one.worst) for one in ranking("abc", scores, higher_is_better=False)}
    assert found == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}


def test_equal_values_without_any_scatter_share_a_rank() -> None:
    still = np.zeros(5)
    scores = [Influenced(value, still, still) for value in (1.0, 1.0, 2.0)]
    found = {one.name: (one.best, one.worst) for one in ranking("abc", scores, higher_is_better=False)}
    assert found == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_holm_is_the_textbook_procedure() -> None:
    np.testing.assert_allclose(holm(np.array([0.004, 0.5, 0.02, 0.02])), [0.016, 0.5, 0.06, 0.06])


def test_scores_about_other_real_images_are_refused() -> None:
    one, other = (Influenced(0.0, np.zeros(n), np.zeros(3)) for n in (3, 4))
    with pytest.raises(ValueError, match="same real images"):
        ranking("ab", [one, other], higher_is_better=True)
