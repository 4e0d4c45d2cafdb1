"""The classifier of the two-sample tests, refitted under permuted labellings for one factorisation per fold.

Least squares with a ridge on features that are standardised and joined by random Fourier features of a
Gaussian kernel (Rahimi and Recht 2007), so that it sees differences in shape as well as in mean. Nothing here
looks at labels beyond their counts per fold: permuting them within folds gives exact tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.permutation import p_value_of
from twinset.evaluation.protocol import wilson_interval
from twinset.families import one_of_each
from twinset.scores import Interval

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labellings:
    """What every view of the same images shares: ``fold`` (2n,) and ``labels`` ±1 (2n, 1 + P), the true one first."""

    fold: Rows
    labels: Array

    @staticmethod
    def of(size: int, *, folds: int, permutations: int, draw: np.random.Generator) -> Labellings:
        """Labellings of ``size`` real images (−1) followed by as many synthetic ones (+1), permuted within folds."""
        fold = np.concatenate([draw.permutation(np.arange(size) % folds) for _ in range(2)])
        truth = np.repeat([-1.0, 1.0], size)
        labels = np.repeat(truth[:, None], permutations + 1, axis=1)
        for number in range(folds):
            members = np.flatnonzero(fold == number)
            labels[members, 1:] = draw.permuted(labels[members, 1:], axis=0)
        return Labellings(fold, labels)

    @property
    def size(self) -> int:
        """n, images on each side."""
        return len(self.fold) // 2

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return int(self.fold.max()) + 1


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Figures on held-out images: ``aucs`` (1 + P,), the true labelling first; of that one ``error``, the standard
    error of its AUC, its ``accuracy``, and how many ``independent`` images that accuracy is worth."""

    aucs: Array
    error: float
    accuracy: float
    independent: float

    @property
    def auc(self) -> float:
        """AUC under the true labelling: mean over folds."""
        return float(self.aucs[0])

    @property
    def p_value(self) -> float:
        """One-sided: by how many permuted labellings reach this AUC."""
        return p_value_of(self.aucs)

    @property
    def auc_interval(self) -> Interval:
        """DeLong's 95 %, widened for cross-validation; where that ends at 0 or 1, Wilson's at its standard error too.

        So a perfect separation is as sure as that of one image in as many independent trials, not certain.
        """
        low, high = max(0.0, self.auc - 1.96 * self.error), min(1.0, self.auc + 1.96 * self.error)
        if low == 0 or high == 1 or self.error == 0:
            most = self.independent / 2
            spread = self.auc * (1 - self.auc)
            trials = max(1.0, min(most, spread / self.error**2) if self.error > 0 else most)
            wilson = wilson_interval(self.auc * trials, trials)
            low, high = min(low, wilson[0]), max(high, wilson[1])
        return Interval(min(low, self.auc), max(high, self.auc))

    @property
    def accuracy_interval(self) -> Interval:
        """Wilson's 95 %, widened alike."""
        low, high = wilson_interval(self.accuracy * self.independent, self.independent)
        return Interval(min(low, self.accuracy), max(high, self.accuracy))


def drawn_rows(family: Rows, size: int, draw: np.random.Generator) -> Rows:
    """``size`` random rows of ``family`` (N,), ascending, no two of one family: a row is drawn, its family leaves."""
    return np.sort(one_of_each(family, draw.permutation(len(family)))[:size])


def design_of(pooled: Array, *, fourier_features: int, draw: np.random.Generator) -> Array:
    """Columns of the classifier: 1, standardised features, Fourier features; each block of unit mean square norm."""
    scale = pooled.std(axis=0)
    kept = scale > 1e-12 * max(float(scale.max(initial=0.0)), 1e-300)
    standard = (pooled[:, kept] - pooled[:, kept].mean(axis=0)) / scale[kept]
    parts = [np.ones((len(pooled), 1))]
    if standard.shape[1]:
        parts.append(standard / np.sqrt(standard.shape[1]))
    if standard.shape[1] and fourier_features:
        one, other = draw.integers(len(pooled), size=(2, 2000))
        distances = np.linalg.norm(standard[one] - standard[other], axis=1)
        bandwidth = float(np.median(distances[one != other]))
        frequencies = draw.normal(size=(standard.shape[1], fourier_features)) / max(bandwidth, 1e-12)
        phases = draw.uniform(0, 2 * np.pi, fourier_features)
        waves = np.sqrt(2.0 / fourier_features) * np.cos(standard @ frequencies + phases)
        parts.append(waves - waves.mean(axis=0))
    return np.concatenate(parts, axis=1)


def held_out(design: Array, labellings: Labellings, *, ridge: float) -> HeldOut:
    """The figures of ``design`` (2n, columns) under every labelling, each image judged by what did not see its fold."""
    fold, labels, size = labellings.fold, labellings.labels, labellings.size
    scores = _predictions(design, labellings, ridge)
    folds = [fold == number for number in range(labellings.folds)]
    parts = [_placements(scores[mine], labels[mine]) for mine in folds]
    aucs = np.mean([auc for auc, _ in parts], axis=0)
    placement = np.concatenate([each for _, each in parts])
    truth = np.concatenate([labels[mine, 0] for mine in folds]) > 0
    # Folds share training images, so held-out figures scatter more than independent ones would. By how much
    # shows on the permuted labellings, where the independent variance is known: (2n + 1) / 12n².
    widening = max(1.0, float(aucs[1:].std(ddof=1)) / np.sqrt((2 * size + 1) / (12 * size**2)))
    error = widening * float(np.sqrt((placement[truth].var(ddof=1) + placement[~truth].var(ddof=1)) / size))
    right = float(((scores[:, 0] > 0) == (labels[:, 0] > 0)).mean())
    return HeldOut(np.asarray(aucs), error, right, 2 * size / widening**2)


def _predictions(design: Array, labellings: Labellings, ridge: float) -> Array:
    """(2n, 1 + P), each by the classifier that did not see its fold."""
    from scipy.linalg import cho_factor, cho_solve

    scores = np.empty_like(labellings.labels)
    parts = [design[labellings.fold == number] for number in range(labellings.folds)]
    products = np.stack([part.T @ part for part in parts])  # a fold's once, not in the training of every other fold
    targets = np.stack([part.T @ labellings.labels[labellings.fold == k] for k, part in enumerate(parts)])
    for number, part in enumerate(parts):
        others = np.arange(labellings.folds) != number
        count = len(design) - len(part)
        penalty = np.full(design.shape[1], ridge * count)
        penalty[0] = 1e-9 * count  # the intercept goes free
        factor = cho_factor(products[others].sum(axis=0) + np.diag(penalty), lower=True)
        scores[labellings.fold == number] = part @ cho_solve(factor, targets[others].sum(axis=0))
    return scores


def _placements(scores: Array, labels: Array) -> tuple[Array, Array]:
    """For one fold, per labelling: AUC (1 + P,), and for the first labelling the placement of every image (n,).

    The placement of an image is the share of the other class that it is ranked right of, ties counting ½;
    the AUC is the mean placement of either class.
    """
    from scipy.stats import rankdata

    positive = labels > 0
    ones, zeros = int(positive[:, 0].sum()), int((~positive[:, 0]).sum())
    ranks = rankdata(scores, axis=0)
    auc = ((ranks * positive).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros)
    first, truth = ranks[:, 0], positive[:, 0]
    placement = np.empty(len(first))
    placement[truth] = (first[truth] - rankdata(scores[truth, 0])) / zeros
    placement[~truth] = 1 - (first[~truth] - rankdata(scores[~truth, 0])) / ones
    return np.asarray(auc), placement
