"""Linear and logistic regression on features, with what they need chosen inside the rows they are fitted on.

Ridge regression (Hoerl, Kennard 1970) on features of mean 0 and variance 1; its penalty is the one with the least error
over inner folds of pictures. Multinomial logistic regression takes a fixed strength. Both may look at the features
alone that a random forest (Breiman 2001) finds most important in the rows of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.folds import Groups, folds_of
from twinset.alignment.inference.settings import PENALTIES, InferenceSettings
from twinset.randomness import Stream

Features = NDArray[np.float64]
Values = NDArray[np.float64]
"""(N,) numbers, or the positions of classes among all of them."""

Kind = Literal["number", "class"]


class Model(Protocol):
    """Predicts values (N,) from features (N, D)."""

    def predict(self, features: Features) -> Values:
        """Numbers, or positions of classes."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """``columns`` of the features, their ``mean`` and ``scale``, and ``weights`` (K,) with ``offset``."""

    columns: NDArray[np.int64]
    mean: Values
    scale: Values
    weights: Values
    offset: float

    def predict(self, features: Features) -> Values:
        """(N,) numbers."""
        return np.asarray(((features[:, self.columns] - self.mean) / self.scale) @ self.weights + self.offset)


@dataclass(frozen=True, eq=False)
class Logistic:
    """As :class:`Linear` with ``weights`` (K, C) and ``offsets`` (C,) of the ``classes`` (C,) seen."""

    columns: NDArray[np.int64]
    mean: Values
    scale: Values
    weights: Features
    offsets: Values
    classes: Values

    def predict(self, features: Features) -> Values:
        """(N,) positions of the most probable classes."""
        scores = ((features[:, self.columns] - self.mean) / self.scale) @ self.weights + self.offsets
        return np.asarray(self.classes[scores.argmax(axis=1)])


@dataclass(frozen=True, eq=False)
class Fit:
    """A model of all rows given, and its error over inner folds of them: mean square, or share of wrong classes."""

    model: Model
    inner_error: float


def fit(
    features: Features, values: Values, groups: Groups, *, kind: Kind, settings: InferenceSettings, rng: Stream
) -> Fit:
    """A model of ``values`` (N,) by ``features`` (N, D); nothing but these rows decides what it is like."""
    columns = _selected(features, values, kind, settings, rng)
    used = features[:, columns]
    fold = folds_of(groups, settings.inner_folds, rng=rng.child("inner"))
    if kind == "number":
        return _ridge(columns, used, values, fold)
    return _logistic(columns, used, values, fold, settings.strength)


def standard(features: Features) -> tuple[Values, Values]:
    """Mean and scale (D,); a feature that never changes keeps its unit."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    return mean, np.where(scale > 1e-9 * np.maximum(np.abs(mean), 1e-30), scale, 1.0)


def _ridge(columns: NDArray[np.int64], features: Features, values: Values, fold: NDArray[np.int64]) -> Fit:
    errors = np.zeros(len(PENALTIES))
    for held in range(int(fold.max()) + 1):
        train = fold != held
        mean, scale, weights, offset = _ridge_path(features[train], values[train])
        predicted = ((features[~train] - mean) / scale) @ weights.T + offset
        errors += ((predicted - values[~train, None]) ** 2).sum(axis=0)
    best = int(errors.argmin())
    mean, scale, weights, offset = _ridge_path(features, values)
    return Fit(Linear(columns, mean, scale, weights[best], offset), float(errors[best] / len(values)))


def _ridge_path(features: Features, values: Values) -> tuple[Values, Values, Features, float]:
    """Mean, scale, weights (P, D) for all penalties, offset."""
    mean, scale = standard(features)
    x, offset = (features - mean) / scale, float(values.mean())
    y = values - offset
    if x.shape[0] >= x.shape[1]:
        spectrum, axes = np.linalg.eigh(x.T @ x)
        along = axes.T @ (x.T @ y)
    else:
        spectrum, left = np.linalg.eigh(x @ x.T)
        along, axes = left.T @ y, x.T @ left
    rows = len(values)
    weights = [axes @ (along / (np.maximum(spectrum, 0) + penalty * rows)) for penalty in PENALTIES]
    return mean, scale, np.stack(weights), offset


def _logistic(
    columns: NDArray[np.int64], features: Features, values: Values, fold: NDArray[np.int64], strength: float
) -> Fit:
    wrong = 0
    for held in range(int(fold.max()) + 1):
        train = fold != held
        model = logistic(features[train], values[train], strength=strength)
        wrong += int((model.predict(features[~train]) != values[~train]).sum())
    whole = logistic(features, values, strength=strength)
    placed = Logistic(columns, whole.mean, whole.scale, whole.weights, whole.offsets, whole.classes)
    return Fit(placed, wrong / len(values))


def logistic(features: Features, values: Values, *, strength: float) -> Logistic:
    """Logistic regression on all columns; where there is one class only, it is the answer."""
    columns = np.arange(features.shape[1])
    mean, scale = standard(features)
    classes = np.unique(values)
    if len(classes) == 1:
        return Logistic(columns, mean, scale, np.zeros((features.shape[1], 1)), np.zeros(1), classes)
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=2000, tol=1e-5).fit((features - mean) / scale, values)
    weights, offsets = np.asarray(fitted.coef_, dtype=np.float64).T, np.asarray(fitted.intercept_, dtype=np.float64)
    if len(classes) == 2:
        weights, offsets = np.concatenate([-weights, weights], axis=1) / 2, np.array([-offsets[0], offsets[0]]) / 2
    return Logistic(columns, mean, scale, weights, offsets, classes)


def _selected(
    features: Features, values: Values, kind: Kind, settings: InferenceSettings, rng: Stream
) -> NDArray[np.int64]:
    """Ascending columns to look at."""
    width = features.shape[1]
    if settings.selection == "none" or width <= settings.kept_features:
        return np.arange(width)
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    forest = RandomForestRegressor if kind == "number" else RandomForestClassifier
    grown = forest(settings.trees, max_features="sqrt", random_state=rng.child("forest").seed % 2**32, n_jobs=1)
    importance = np.asarray(grown.fit(features, values).feature_importances_)
    return np.sort(np.argsort(-importance, kind="stable")[: settings.kept_features])
