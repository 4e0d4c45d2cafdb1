"""The regressions against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.alignment.inference.domain import DomainShift, area_under_curve, density_ratios
from twinset.alignment.inference.folds import folds_of, group_draws
from twinset.alignment.inference.linear import fit, logistic
from twinset.alignment.inference.restoring import restored, shares
from twinset.alignment.inference.settings import PENALTIES, InferenceSettings
from twinset.alignment.inference.validation import rating
from twinset.randomness import Stream


@pytest.mark.parametrize("width", [6, 90])
def test_ridge_is_that_of_scikit_learn(width: int) -> None:
    from sklearn.linear_model import Ridge

    draws = np.random.default_rng(0)
    features = draws.normal(3, 2, size=(60, width))
    values = features[:, 0] - 2 * features[:, 1] + draws.normal(size=60)
    model = fit(features, values, np.arange(60), kind="number", settings=InferenceSettings(), rng=Stream(0)).model
    mean, scale = features.mean(axis=0), features.std(axis=0)
    expected = [
        Ridge(alpha=penalty * 60).fit((features - mean) / scale, values).predict((features - mean) / scale)
        for penalty in PENALTIES
    ]
    gaps = [float(np.abs(one - model.predict(features)).max()) for one in expected]
    assert min(gaps) < 1e-8


def test_two_classes_have_the_log_odds_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    draws = np.random.default_rng(0)
    features = draws.normal(size=(80, 5))
    values = (features[:, 0] + draws.normal(size=80) > 0).astype(float)
    model = logistic(features, values, strength=0.1)
    standardised = (features - model.mean) / model.scale
    theirs = LogisticRegression(C=0.1, max_iter=2000, tol=1e-5).fit(standardised, values)
    scores = standardised @ model.weights + model.offsets
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], theirs.decision_function(standardised), atol=1e-6)
    np.testing.assert_array_equal(model.predict(features), theirs.predict(standardised))


def test_folds_keep_groups_whole_and_are_of_like_size() -> None:
    groups = np.repeat(np.arange(23), np.arange(23) % 5 + 1)
    fold = folds_of(groups, 4, rng=Stream(1))
    assert all(len(set(fold[groups == group])) == 1 for group in range(23))
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 5


def test_a_picture_with_most_rows_takes_its_share_of_the_others() -> None:
    groups = np.repeat(np.arange(11), [500, *[2] * 10])
    for count in (2, 3):
        fold = folds_of(groups, count, rng=Stream(1))
        held = [len(np.unique(groups[fold == number])) for number in range(count)]
        assert max(held) - min(held) <= 1


def test_scores_are_those_of_their_definitions() -> None:
    draws = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 3)
    values = draws.normal(size=120)
    predicted = values + 0.5 * draws.normal(size=120)
    resampled = group_draws(groups, 300, rng=Stream(0))
    score, (low, high) = rating(values, predicted, groups, resampled, kind="number")
    assert score == pytest.approx(1 - ((predicted - values) ** 2).sum() / ((values - values.mean()) ** 2).sum())
    assert low < score < high
    constant, _ = rating(values, np.full(120, values.mean()), groups, resampled, kind="number")
    assert constant == pytest.approx(0)
    classes = np.repeat([0.0, 0.0, 0.0, 1.0], 30)
    assert rating(classes, np.zeros(120), groups, resampled, kind="class")[0] == pytest.approx(0)
    assert rating(classes, classes, groups, resampled, kind="class")[0] == pytest.approx(1)
    assert rating(classes, 1 - classes, groups, resampled, kind="class")[0] < 0


def test_restoring_inverts_shrinkage_and_takes_noise_off() -> None:
    draws = np.random.default_rng(3)
    values = draws.normal(size=20_000)
    held = 0.5 * values + 0.3 * draws.normal(size=20_000) + 1
    truth = draws.normal(2, 0.7, size=20_000)
    predicted = 0.5 * truth + 0.3 * draws.normal(size=20_000) + 1
    found = restored(predicted, held, values)
    assert found.mean() == pytest.approx(2, abs=0.03)
    assert found.std() == pytest.approx(0.7, abs=0.03)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(predicted))


def test_synthetic_rows_that_look_nothing_like_real_ones_are_worth_little() -> None:
    """Their weights are alike, so that their number alone would say that all of them count."""
    draws = np.random.default_rng(3)
    for distance, least, most in ((0.0, 300.0, 400.0), (10.0, 0.0, 20.0)):
        looks, real_looks = 0.1 * draws.normal(size=400), distance + 0.1 * draws.normal(size=200)
        shift = DomainShift("any", 1.0, 1.0, 1.0, looks, real_looks)
        weights, worth = density_ratios(shift, np.ones(400, dtype=bool), np.zeros((400, 1)), np.zeros((200, 1)))
        assert weights.mean() == pytest.approx(1)
        assert least < worth < most


def test_shares_by_hand() -> None:
    """Of class 0 a quarter is taken for class 1: half of what is seen as 0 comes from two thirds of class 0."""
    values = np.repeat([0.0, 1.0], [40, 40])
    held = np.concatenate([np.zeros(30), np.ones(10), np.ones(40)])
    predicted = np.repeat([0.0, 1.0], [50, 50])
    np.testing.assert_allclose(shares(predicted, held, values, 2), [2 / 3, 1 / 3])


def test_the_area_under_the_curve_has_a_direction() -> None:
    assert area_under_curve(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1
    assert area_under_curve(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0
