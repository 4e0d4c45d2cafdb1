"""Whether a measure's model may be believed on real rows: disagreement, values out of range, error by weighting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.domain import DomainShift, density_ratios
from twinset.alignment.inference.folds import Groups, folds_of
from twinset.alignment.inference.linear import Features, Kind, Values, fit
from twinset.alignment.inference.settings import InferenceSettings
from twinset.alignment.inference.validation import Validated
from twinset.randomness import Stream

ASSUMPTION = (
    "The error on real images weights held-out synthetic errors by how real their features look. It assumes that equal "
    "features mean equal values in both sets, and that the synthetic features reach wherever the real ones are."
)

LEAST_RATE = 0.1
"""Classifiers that differ on fewer rows are taken to differ on so many: ratios of small counts are chance."""

LEAST_DIFFERENCE = 0.02
"""Of the values' deviation: models of numbers that differ by less are taken to differ by so much. Where features hold
the measure itself, all that differs is the penalty's pull, which grows with every other distribution of values."""


@dataclass(frozen=True)
class RealError:
    """Root mean square error (or share of wrong classes) expected on real rows; None where ``undefined_because``.

    ``effective`` is how many synthetic rows it rests on. ``at_least`` holds without assumptions: one of two models that
    differ by so much on real rows is off by half of it (for classes: as many rows are wrong in one of them).
    """

    value: float | None
    effective: float
    at_least: float
    undefined_because: str = ""


@dataclass(frozen=True)
class Disagreement:
    """How much two models of a measure differ on held-out synthetic and on real rows: root mean square, or share."""

    first: str
    second: str
    synthetic: float
    real: float
    ratio: float


def disagreements(
    validated: Validated,
    features: Mapping[str, Features],
    values: Values,
    groups: Groups,
    real: Mapping[str, Features],
    *,
    kind: Kind,
    settings: InferenceSettings,
    rng: Stream,
) -> tuple[Disagreement, ...]:
    """Of the chosen extractor with every other that reaches the threshold, and of its two halves with each other.

    The halves are random halves of its features, each with a model of its own: where they rest on something that
    real pictures do not have, they go astray in different ways.
    """
    chosen = validated.chosen
    found = []
    for one in validated.candidates:
        if one.extractor != chosen and one.score >= settings.threshold:
            held = validated.by_extractor[chosen], validated.by_extractor[one.extractor]
            seen = [validated.models[name].predict(real[name]) for name in (chosen, one.extractor)]
            found.append(_disagreement(chosen, one.extractor, held, (seen[0], seen[1]), values, kind))
    if features[chosen].shape[1] >= 2:
        found.append(_halves(chosen, features[chosen], values, groups, real[chosen], kind, settings, rng))
    return tuple(found)


def _halves(
    name: str,
    features: Features,
    values: Values,
    groups: Groups,
    real: Features,
    kind: Kind,
    settings: InferenceSettings,
    rng: Stream,
) -> Disagreement:
    order = rng.child("halves").numpy().permutation(features.shape[1])
    parts = order[: len(order) // 2], order[len(order) // 2 :]
    fold = folds_of(groups, 2, rng=rng.child("folds"))
    held = [np.empty(len(values)), np.empty(len(values))]
    seen = []
    for side, columns in enumerate(parts):
        for number in (0, 1):
            train = fold == number
            stream = rng.child("fit", side, number)
            model = fit(
                features[train][:, columns], values[train], groups[train], kind=kind, settings=settings, rng=stream
            ).model
            held[side][~train] = model.predict(features[~train][:, columns])
            if number == 0:
                seen.append(model.predict(real[:, columns]))
    both = (held[0], held[1]), (seen[0], seen[1])
    return _disagreement(f"{name}, one half", f"{name}, other half", *both, values, kind)


def _disagreement(
    first: str, second: str, held: tuple[Values, Values], seen: tuple[Values, Values], values: Values, kind: Kind
) -> Disagreement:
    if kind == "class":
        synthetic, real = float((held[0] != held[1]).mean()), float((seen[0] != seen[1]).mean())
        # A share of different rows is a mean square; its root compares as that of numbers does.
        ratio = float(np.sqrt(max(real, LEAST_RATE) / max(synthetic, LEAST_RATE)))
        return Disagreement(first, second, synthetic, real, ratio)
    synthetic, real = (float(np.sqrt(((a - b) ** 2).mean())) for a, b in (held, seen))
    least = LEAST_DIFFERENCE * float(values.std())
    return Disagreement(first, second, synthetic, real, max(real, least) / max(synthetic, least))


def real_error(
    validated: Validated,
    values: Values,
    predicted: Values,
    shift: DomainShift,
    known: NDArray[np.bool_],
    differences: tuple[Disagreement, ...],
    *,
    kind: Kind,
    settings: InferenceSettings,
    doubtful: bool,
) -> RealError:
    """The weighted held-out error of the chosen extractor, where enough synthetic rows look like the real ones.

    ``values`` are those of the ``known`` synthetic rows, ``predicted`` (M,) are of the real ones. Undefined where it is
    ``doubtful`` that the assumption holds.
    """
    held = validated.by_extractor[validated.chosen]
    wrong = held - values
    square = (wrong != 0).astype(np.float64) if kind == "class" else wrong**2
    most = max((one.real for one in differences), default=0.0) / 2
    weights, effective = density_ratios(shift, known, _columns(held, values, kind), _columns(predicted, values, kind))
    if doubtful:
        return RealError(None, effective, most, "real features seem to lie where no synthetic ones do")
    needed = max(10.0, settings.least_effective * len(predicted))
    if effective < needed:
        because = f"only {effective:.0f} synthetic rows look like real ones, and {needed:.0f} are needed"
        return RealError(None, effective, most, because)
    mean = float((weights * square).mean())
    return RealError(mean if kind == "class" else float(np.sqrt(mean)), effective, most)


def _columns(predicted: Values, values: Values, kind: Kind) -> Features:
    """(N, 1) numbers, or (N, C) which of the classes."""
    if kind == "number":
        return predicted[:, None]
    return np.asarray(predicted[:, None] == np.unique(values)[None, :], dtype=np.float64)


def held_out_error(validated: Validated, values: Values, *, kind: Kind) -> float:
    """Root mean square error, or share of wrong classes, of the chosen extractor on held-out synthetic rows."""
    wrong = validated.by_extractor[validated.chosen] - values
    return float((wrong != 0).mean() if kind == "class" else np.sqrt((wrong**2).mean()))


def outside(predicted: Values, values: Values, error: float) -> float:
    """Share of predictions beyond all synthetic values by more than twice the error."""
    low, high = values.min() - 2 * error, values.max() + 2 * error
    return float(((predicted < low) | (predicted > high)).mean())
