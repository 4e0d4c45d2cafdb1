"""Scores of runs when whole families of test images are drawn anew, and balanced accuracy under such draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The metric of R runs, float (B, R), when the F families of test images weigh (B, F)."""


@dataclass(frozen=True)
class Resampled:
    """The metric of R runs on the test set, ``runs`` (R,), and in each draw of families, ``draws`` (B, R).

    ``undefined`` is how many draws more showed nothing that could be found, so that they say nothing of any run.
    """

    runs: NDArray[np.float64]
    draws: NDArray[np.float64]
    undefined: int = 0


def resample(scores: Scores, n_families: int, *, draws: int, generator: np.random.Generator) -> Resampled:
    """The metric of each run when whole families of test images are drawn with replacement.

    All runs see the same draws, so differences are paired. A draw in which the metric of some run is not defined is
    left out: of F families at most (1 − 1/F)^F, 37 %, are such. ``ValueError`` if it is not defined on the test set.
    """
    parts = []
    for start in range(0, draws, 500):
        size = min(500, draws - start)
        picks = generator.integers(n_families, size=(size, n_families)) + np.arange(size)[:, None] * n_families
        weights = np.bincount(picks.ravel(), minlength=size * n_families).reshape(size, n_families)
        parts.append(scores(weights.astype(np.float64)))
    runs, drawn = scores(np.ones((1, n_families)))[0], np.concatenate(parts)
    if not np.isfinite(runs).all():
        raise ValueError("expected test images that show something to find; got a metric that is not defined on them")
    defined = np.isfinite(drawn).all(axis=1)
    return Resampled(runs, drawn[defined], int((~defined).sum()))


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
