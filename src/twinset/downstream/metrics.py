"""Classification scores from predictions: float64, classes without an image in the labels left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def recall_per_class(
    predictions: NDArray[np.integer], labels: NDArray[np.integer], n_classes: int
) -> NDArray[np.float64]:
    """float64 (n_classes,): share of each class that was found; NaN where the class has no image."""
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    right = np.bincount(labels[predictions == labels], minlength=n_classes)
    recall: NDArray[np.float64] = np.divide(right, counts, out=np.full(n_classes, np.nan), where=counts > 0)
    return recall


def balanced_accuracy(predictions: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Mean recall over the classes present: (N,), (N,) to [0, 1].

    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    0.75
    """
    if len(predictions) != len(labels) or not len(labels):
        raise ValueError(f"expected as many predictions as labels, at least one; got {len(predictions)}, {len(labels)}")
    return float(np.nanmean(recall_per_class(predictions, labels, int(labels.max()) + 1)))


def macro_f1(predictions: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Mean over the classes present of 2·right / (predicted + actual).

    >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])), 6)
    0.733333
    """
    n_classes = int(max(labels.max(), predictions.max())) + 1
    right = np.bincount(labels[predictions == labels], minlength=n_classes)
    actual = np.bincount(labels, minlength=n_classes)
    predicted = np.bincount(predictions, minlength=n_classes)
    present = actual > 0
    return float(np.mean(2 * right[present] / (predicted + actual)[present]))


Scores = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The metric of R runs, float (B, R), when the F families of test images weigh (B, F)."""


@dataclass(frozen=True)
class Resampled:
    """The metric of R runs on the test set, ``runs`` (R,), and in each draw of families, ``draws`` (B, R)."""

    runs: NDArray[np.float64]
    draws: NDArray[np.float64]


def resample(scores: Scores, n_families: int, *, draws: int, generator: np.random.Generator) -> Resampled:
    """The metric of each run when whole families of test images are drawn with replacement.

    All runs see the same draws, so differences are paired.
    """
    parts = []
    for start in range(0, draws, 500):
        size = min(500, draws - start)
        picks = generator.integers(n_families, size=(size, n_families)) + np.arange(size)[:, None] * n_families
        weights = np.bincount(picks.ravel(), minlength=size * n_families).reshape(size, n_families)
        parts.append(scores(weights.astype(np.float64)))
    return Resampled(scores(np.ones((1, n_families)))[0], np.concatenate(parts))


def balanced_accuracy_scores(
    correct: NDArray[np.bool_], labels: NDArray[np.integer], families: NDArray[np.integer]
) -> Scores:
    """Balanced accuracy of runs: ``correct`` bool (R, N), ``labels`` and ``families`` (N,).

    A class that is missing from a draw is left out of that draw's mean.
    """
    n_runs, n_classes = len(correct), int(labels.max()) + 1
    _, family = np.unique(families, return_inverse=True)
    n_families = int(family.max()) + 1
    total = np.zeros((n_families, n_classes))
    np.add.at(total, (family, labels), 1.0)
    right = np.zeros((n_families, n_runs, n_classes))
    for run in range(n_runs):
        np.add.at(right[:, run], (family[correct[run]], labels[correct[run]]), 1.0)
    flat = right.reshape(n_families, -1)

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        counts = (weights @ total)[:, None, :]
        found = (weights @ flat).reshape(len(weights), n_runs, n_classes)
        recall = np.divide(found, counts, out=np.zeros_like(found), where=counts > 0)
        mean: NDArray[np.float64] = recall.sum(2) / (counts > 0).sum(2)
        return mean

    return scores
