from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream.metrics import (
    Resampled,
    balanced_accuracy,
    balanced_accuracy_scores,
    macro_f1,
    recall_per_class,
    resample,
)
from twinset.randomness import Stream


def resample_families(
    correct: np.ndarray, labels: np.ndarray, families: np.ndarray, *, draws: int, generator: np.random.Generator
) -> Resampled:
    scores = balanced_accuracy_scores(correct, labels, families)
    return resample(scores, len(np.unique(families)), draws=draws, generator=generator)


def test_scores_equal_an_independent_implementation() -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

    rng = Stream(0).numpy()
    labels = rng.integers(4, size=200)
    predictions = np.where(rng.random(200) < 0.6, labels, rng.integers(4, size=200))
    assert balanced_accuracy(predictions, labels) == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert macro_f1(predictions, labels) == pytest.approx(f1_score(labels, predictions, average="macro"))
    np.testing.assert_allclose(
        recall_per_class(predictions, labels, 4), recall_score(labels, predictions, average=None)
    )


def test_a_majority_guess_scores_chance_however_unbalanced_the_classes() -> None:
    assert balanced_accuracy(np.zeros(100, int), np.repeat([0, 1], [95, 5])) == 0.5


def test_a_class_without_images_is_left_out() -> None:
    labels, predictions = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    assert balanced_accuracy(predictions, labels) == 0.75
    assert np.isnan(recall_per_class(predictions, labels, 4)[[1, 3]]).all()
    with pytest.raises(ValueError, match="expected"):
        balanced_accuracy(predictions[:0], labels[:0])


def test_family_draws_have_the_spread_of_a_binomial_when_every_image_is_its_own_family() -> None:
    correct = (np.arange(400) % 4 != 0)[None]
    labels = np.zeros(400, int)
    out = resample_families(correct, labels, np.arange(400), draws=3000, generator=Stream(0).numpy())
    assert out.runs.tolist() == [0.75]
    assert out.draws.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.06)


def test_images_of_one_family_are_drawn_together() -> None:
    # Forty families of ten equal images: as uncertain as forty images, not as four hundred.
    correct = np.repeat(np.arange(40) % 4 != 0, 10)[None]
    labels = np.zeros(400, int)
    out = resample_families(correct, labels, np.repeat(np.arange(40), 10), draws=3000, generator=Stream(0).numpy())
    assert out.draws.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 40), rel=0.06)


def test_all_runs_see_the_same_draws_and_balance_classes() -> None:
    rng = Stream(1).numpy()
    labels = np.repeat([0, 1], [30, 10])
    run = rng.random(40) < 0.7
    out = resample_families(np.stack([run, run]), labels, np.arange(40), draws=200, generator=rng)
    np.testing.assert_array_equal(out.draws[:, 0], out.draws[:, 1])
    assert out.runs[0] == pytest.approx((run[:30].mean() + run[30:].mean()) / 2)
