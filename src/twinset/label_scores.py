"""Classification scores from predicted classes: float64, classes without an image in the labels left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Shares = NDArray[np.float64]


def recall_per_class(predictions: Labels, labels: Labels, n_classes: int) -> Shares:
    """float64 (n_classes,): share of each class that was found; NaN where the class has no image."""
    right, _, actual = _counts(predictions, labels, n_classes)
    return _share(right, actual, actual > 0)


def precision_per_class(predictions: Labels, labels: Labels, n_classes: int) -> Shares:
    """float64 (n_classes,): share of the predictions of each class that are right; NaN where there is none.

    >>> precision_per_class(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2).round(3).tolist()
    [0.667, 1.0]
    """
    right, predicted, _ = _counts(predictions, labels, n_classes)
    return _share(right, predicted, predicted > 0)


def f1_per_class(predictions: Labels, labels: Labels, n_classes: int) -> Shares:
    """float64 (n_classes,): 2·right / (predicted + actual); NaN where the class has no image."""
    right, predicted, actual = _counts(predictions, labels, n_classes)
    return _share(2 * right, predicted + actual, actual > 0)


def balanced_accuracy(predictions: Labels, labels: Labels) -> float:
    """Mean recall over the classes present: (N,), (N,) to [0, 1].

    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    0.75
    """
    if len(predictions) != len(labels) or not len(labels):
        raise ValueError(f"expected as many predictions as labels, at least one; got {len(predictions)}, {len(labels)}")
    return float(np.nanmean(recall_per_class(predictions, labels, int(labels.max()) + 1)))


def macro_f1(predictions: Labels, labels: Labels) -> float:
    """Mean F1 over the classes present.

    >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])), 6)
    0.733333
    """
    return float(np.nanmean(f1_per_class(predictions, labels, int(max(labels.max(), predictions.max())) + 1)))


def _counts(predictions: Labels, labels: Labels, n_classes: int) -> tuple[Shares, Shares, Shares]:
    """Right, predicted and actual images of each class, (n_classes,)."""
    met, made, there = (
        np.bincount(ids, minlength=n_classes) for ids in (labels[predictions == labels], predictions, labels)
    )
    return met[:n_classes].astype(np.float64), made[:n_classes].astype(np.float64), there.astype(np.float64)


def _share(part: Shares, whole: Shares, where: NDArray[np.bool_]) -> Shares:
    share: Shares = np.divide(part, whole, out=np.full(len(whole), np.nan), where=where)
    return share
