from __future__ import annotations

import numpy as np
import pytest

from twinset.label_scores import balanced_accuracy, f1_per_class, macro_f1, precision_per_class, recall_per_class
from twinset.randomness import Stream


def test_scores_equal_an_independent_implementation() -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score

    rng = Stream(0).numpy()
    labels = rng.integers(4, size=200)
    predictions = np.where(rng.random(200) < 0.6, labels, rng.integers(4, size=200))
    assert balanced_accuracy(predictions, labels) == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert macro_f1(predictions, labels) == pytest.approx(f1_score(labels, predictions, average="macro"))
    np.testing.assert_allclose(
        recall_per_class(predictions, labels, 4), recall_score(labels, predictions, average=None)
    )
    np.testing.assert_allclose(
        precision_per_class(predictions, labels, 4), precision_score(labels, predictions, average=None)
    )
    np.testing.assert_allclose(f1_per_class(predictions, labels, 4), f1_score(labels, predictions, average=None))


def test_a_majority_guess_scores_chance_however_unbalanced_the_classes() -> None:
    assert balanced_accuracy(np.zeros(100, int), np.repeat([0, 1], [95, 5])) == 0.5


def test_a_class_without_images_is_left_out() -> None:
    labels, predictions = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    assert balanced_accuracy(predictions, labels) == 0.75
    assert np.isnan(recall_per_class(predictions, labels, 4)[[1, 3]]).all()
    with pytest.raises(ValueError, match="expected"):
        balanced_accuracy(predictions[:0], labels[:0])


def test_precision_of_a_class_that_is_never_predicted_is_unknown_and_its_f1_zero() -> None:
    labels, predictions = np.array([0, 0, 1]), np.array([0, 0, 0])
    assert np.isnan(precision_per_class(predictions, labels, 3)).tolist() == [False, True, True]
    np.testing.assert_allclose(f1_per_class(predictions, labels, 3), [0.8, 0.0, np.nan])
