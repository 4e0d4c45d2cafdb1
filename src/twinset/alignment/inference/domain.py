"""How far real features lie from synthetic ones, and which synthetic rows stand for them.

Cross-validation says nothing about features that no synthetic row has. Three looks: can a classifier tell the sets
apart (area under its curve on rows it was not fitted on), do real rows lie farther from synthetic ones than held-out
synthetic rows do (distance to the nearest ones, features whitened), and how many synthetic rows remain when they are
weighted to look like the real ones (density ratios; Sugiyama et al. 2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.folds import Groups, folds_of
from twinset.alignment.inference.linear import Features, Values, logistic, standard
from twinset.alignment.inference.settings import InferenceSettings
from twinset.neighbours import nearest
from twinset.randomness import Stream

SHRINKAGE = 0.1
"""Of the mean variance, added to every axis' when features are whitened: directions of no variance count, finitely."""

LARGEST_WEIGHT = 50.0
"""Density ratios above it are cut: one row is not to stand for a whole set."""


STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse penalties of the classifier; the one with the least log loss on held-out rows counts."""


@dataclass(frozen=True, eq=False)
class DomainShift:
    """Real features (M, D) of an extractor against its synthetic ones (N, D).

    ``auc`` is .5 where a linear classifier cannot tell them apart and 1 where it always can. ``beyond`` is the share of
    real rows that lie farther from the synthetic ones than all but a few held-out synthetic rows do; ``far`` the
    ratio of median distances. ``looks`` (N,) and ``real_looks`` (M,) are held-out log odds of being real.
    """

    extractor: str
    auc: float
    beyond: float
    far: float
    looks: Values
    real_looks: Values


def domain_shift(
    name: str,
    synthetic: Features,
    real: Features,
    groups: Groups,
    real_groups: Groups,
    *,
    settings: InferenceSettings,
    rng: Stream,
) -> DomainShift:
    """Compares two sets of features of one extractor; pictures are never in two folds."""
    looks, real_looks = _told_apart(synthetic, real, groups, real_groups, settings, rng.child("classifier"))
    beyond, far = _support(synthetic, real, groups, settings, rng.child("support"))
    return DomainShift(name, area_under_curve(looks, real_looks), beyond, far, looks, real_looks)


def _told_apart(
    synthetic: Features,
    real: Features,
    groups: Groups,
    real_groups: Groups,
    settings: InferenceSettings,
    rng: Stream,
) -> tuple[Values, Values]:
    """Log odds of being real (N,) and (M,) by logistic regressions on other pictures."""
    rows = np.concatenate([synthetic, real])
    is_real = np.repeat([0.0, 1.0], [len(synthetic), len(real)])
    folds = [
        folds_of(part, settings.folds, rng=rng.child(side))
        for side, part in (("synthetic", groups), ("real", real_groups))
    ]
    fold = np.concatenate(folds)
    tried = [_held_out_scores(rows, is_real, fold, strength) for strength in STRENGTHS]
    # A classifier that is too free gives weights that differ by chance alone.
    score = min(tried, key=lambda scores: float(np.logaddexp(0, np.where(is_real > 0, -scores, scores)).mean()))
    return score[: len(synthetic)], score[len(synthetic) :]


def density_ratios(
    shift: DomainShift, known: NDArray[np.bool_], held: Features, predicted: Features
) -> tuple[Values, float]:
    """Weights of the ``known`` synthetic rows that make them look real, of mean 1, and how many rows they are worth.

    Predictions ``held`` (K, C) of those rows and ``predicted`` (M, C) of the real ones, their squares, and how real
    the features look with its square: so that values which are more alike in the real set are weighted as such.
    The worth (Kish) is less where the ratios do not add up to the number of rows: no synthetic row looks real.
    """
    mine = np.column_stack([shift.looks[known], held])
    theirs = np.column_stack([shift.real_looks, predicted])
    rows = np.concatenate([mine, theirs])
    mean, scale = standard(rows)
    rows = np.clip((rows - mean) / scale, -10, 10)
    rows = np.concatenate([rows, rows**2], axis=1)
    is_real = np.repeat([0.0, 1.0], [len(mine), len(theirs)])
    model = logistic(rows, is_real, strength=1.0)
    slope = model.weights[:, 1] - model.weights[:, 0]
    odds = ((rows[: len(mine)] - model.mean) / model.scale) @ slope + model.offsets[1] - model.offsets[0]
    weights = np.minimum(np.exp(np.clip(odds, -30, 30)) * len(mine) / len(theirs), LARGEST_WEIGHT)
    worth = min(1.0, float(weights.mean())) * float(weights.sum() ** 2 / (weights**2).sum())
    return weights / weights.mean(), worth


def _held_out_scores(rows: Features, is_real: Values, fold: NDArray[np.int64], strength: float) -> Values:
    """(N + M,) log odds of being real, by regressions on the other folds."""
    score = np.empty(len(rows))
    for held in range(int(fold.max()) + 1):
        train = fold != held
        model = logistic(rows[train], is_real[train], strength=strength)
        standardised = (rows[~train] - model.mean) / model.scale
        score[~train] = standardised @ (model.weights[:, 1] - model.weights[:, 0]) + model.offsets[1] - model.offsets[0]
    return score


def area_under_curve(low: Values, high: Values) -> float:
    """How often a value of ``high`` exceeds one of ``low``, ties counting half (Mann–Whitney).

    >>> area_under_curve(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))


def _support(
    synthetic: Features, real: Features, groups: Groups, settings: InferenceSettings, rng: Stream
) -> tuple[float, float]:
    """Share of real rows beyond, and ratio of median distances, averaged over two halves of the synthetic pictures.

    Half of them set the axes and are the references; the others show what distances are usual.
    """
    half = folds_of(groups, 2, rng=rng)
    beyond, far = [], []
    for side in (0, 1):
        references, held = synthetic[half == side], synthetic[half != side]
        whiten = _Whitening.of(references)
        placed = whiten(references)
        k = min(settings.neighbours, len(placed))
        usual = nearest(whiten(held), placed, k=k)[0].mean(axis=1)
        found = nearest(whiten(real), placed, k=k)[0].mean(axis=1)
        beyond.append(float((found > np.quantile(usual, 1 - settings.beyond)).mean()))
        far.append(float(np.median(found) / max(np.median(usual), 1e-300)))
    return float(np.mean(beyond)), float(np.mean(far))


@dataclass(frozen=True, eq=False)
class _Whitening:
    """Principal axes of reference features, each with its (shrunk) deviation."""

    mean: Values
    axes: Features
    scale: Values

    @staticmethod
    def of(references: Features) -> _Whitening:
        mean = references.mean(axis=0)
        centred = references - mean
        spectrum, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        spectrum = np.maximum(spectrum, 0)
        return _Whitening(mean, axes, np.sqrt(spectrum + SHRINKAGE * max(float(spectrum.mean()), 1e-300)))

    def __call__(self, features: Features) -> Features:
        return np.asarray((features - self.mean) @ self.axes / self.scale)
