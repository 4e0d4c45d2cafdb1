"""How well features foretell a measure on pictures that were not looked at: nested cross-validation over pictures.

Everything that is chosen (penalty, features, and in the end the extractor) is chosen inside the training pictures of
a fold, so that the score of what was chosen is not the best of several lucky ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.folds import Groups, folds_of, group_draws
from twinset.alignment.inference.linear import Features, Kind, Model, Values, fit
from twinset.alignment.inference.settings import InferenceSettings
from twinset.randomness import Stream


@dataclass(frozen=True)
class Candidate:
    """An extractor's cross-validated score for a measure, with its 95 % interval over draws of pictures."""

    extractor: str
    score: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Validated:
    """A measure by all extractors.

    ``score`` is that of held-out predictions of the extractor that each fold chose, ``by_extractor`` (N,) are those of
    each by itself; ``models`` are fitted on all rows, ``chosen`` is the extractor that is best on all of them.
    """

    chosen: str
    score: float
    interval: tuple[float, float]
    chance: float | None
    by_extractor: Mapping[str, Values]
    candidates: tuple[Candidate, ...]
    models: Mapping[str, Model]


def validate(
    features: Mapping[str, Features],
    values: Values,
    groups: Groups,
    *,
    kind: Kind,
    settings: InferenceSettings,
    rng: Stream,
) -> Validated:
    """Scores of all extractors, rows (N, D) each, for finite ``values`` (N,) of pictures ``groups`` (N,)."""
    fold = folds_of(groups, settings.folds, rng=rng.child("folds"))
    held = {name: np.empty(len(values)) for name in features}
    picked = np.full(len(values), np.nan)
    for number in range(settings.folds):
        train = fold != number
        best = np.inf
        for name, rows in features.items():
            stream = rng.child("fold", number, name)
            found = fit(rows[train], values[train], groups[train], kind=kind, settings=settings, rng=stream)
            held[name][~train] = found.model.predict(rows[~train])
            if found.inner_error < best:
                best, picked[~train] = found.inner_error, held[name][~train]
    fits = {
        name: fit(rows, values, groups, kind=kind, settings=settings, rng=rng.child("whole", name))
        for name, rows in features.items()
    }
    draws = group_draws(groups, settings.resamples, rng=rng.child("draws"))
    rated = [Candidate(name, *rating(values, held[name], groups, draws, kind=kind)) for name in features]
    score, interval = rating(values, picked, groups, draws, kind=kind)
    return Validated(
        min(fits, key=lambda name: fits[name].inner_error),
        score,
        interval,
        None if kind == "number" else chance_of(values),
        held,
        tuple(sorted(rated, key=lambda one: -one.score)),
        {name: found.model for name, found in fits.items()},
    )


def chance_of(values: Values) -> float:
    """The share of the most frequent class."""
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def rating(
    values: Values, predicted: Values, groups: Groups, draws: NDArray[np.float64], *, kind: Kind
) -> tuple[float, tuple[float, float]]:
    """Score and 95 % interval: R², or accuracy from chance (0) to perfect (1)."""
    everything = np.ones((1, draws.shape[1]))
    rate = _explained if kind == "number" else _beyond_chance
    spread = rate(values, predicted, groups, draws)
    low, high = np.percentile(spread[np.isfinite(spread)], [2.5, 97.5])
    return float(rate(values, predicted, groups, everything)[0]), (float(low), float(high))


def _explained(values: Values, predicted: Values, groups: Groups, draws: NDArray[np.float64]) -> Values:
    """(R,) R² of draws of groups."""
    count = draws.shape[1]
    centred = values - values.mean()
    error, sums, squares = (
        np.bincount(groups, weights=weights, minlength=count)
        for weights in ((predicted - values) ** 2, centred, centred**2)
    )
    rows = draws @ np.bincount(groups, minlength=count)
    total = draws @ squares - (draws @ sums) ** 2 / np.maximum(rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        varied = total > 1e-9 * (draws @ squares)
        return np.asarray(1 - (draws @ error) / np.where(varied, total, np.nan))


def _beyond_chance(values: Values, predicted: Values, groups: Groups, draws: NDArray[np.float64]) -> Values:
    """(R,) accuracy of draws of groups, 0 at chance and 1 where all are right."""
    count = draws.shape[1]
    classes = np.unique(values)
    by_class = np.stack([np.bincount(groups[values == one], minlength=count) for one in classes], axis=1)
    rows = draws @ by_class
    right = draws @ np.bincount(groups, weights=predicted == values, minlength=count)
    total = rows.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = rows.max(axis=1) / total
        return np.asarray((right / total - chance) / np.where(chance < 1, 1 - chance, np.nan))
