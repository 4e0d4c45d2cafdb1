"""Metadata of real pictures from their features, by what is known of synthetic ones.

A renderer knows depth, occlusion, shape or light of what it drew; a photograph does not say. Linear models of each
measure by the features of several extractors are judged on synthetic pictures that they were not fitted on, the best
one predicts the real ones, and what falls short of the threshold is declared not inferable. That score holds where real
features lie among the synthetic ones: where they do not, the measures that depend on it carry a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.domain import DomainShift, domain_shift
from twinset.alignment.inference.folds import Groups, numbered
from twinset.alignment.inference.linear import Features, Kind, Values
from twinset.alignment.inference.reliance import (
    Disagreement,
    RealError,
    disagreements,
    held_out_error,
    outside,
    real_error,
)
from twinset.alignment.inference.restoring import named, restored, shares
from twinset.alignment.inference.settings import InferenceSettings
from twinset.alignment.inference.validation import Candidate, Validated, validate
from twinset.randomness import RandomSource, Stream

MOST_OUTSIDE = 0.1
"""A larger share of predictions beyond all synthetic values is a warning."""

FEWEST_ROWS = 20


@dataclass(frozen=True, eq=False)
class InferredMeasure:
    """One measure: how well it can be inferred, from what, and what it is on the real rows.

    ``score`` is cross-validated, the extractor being chosen anew in every fold: R² of numbers, (accuracy − chance) /
    (1 − chance) of classes. ``inferable``: it reaches the threshold. Only then are there ``predictions`` (M,) by the
    chosen ``extractor``: numbers, or positions in ``classes``; ``restored`` (M,) numbers whose mean and variance are
    those of the values (predictions are pulled to the middle), or ``shares`` of the classes. ``synthetic_error`` is the
    root mean square error, or share of wrong classes, on held-out synthetic rows; ``real_error`` what to expect on
    real ones. ``warnings`` say why the score may mislead there.
    """

    measure: str
    kind: Kind
    rows: int
    inferable: bool
    score: float
    interval: tuple[float, float]
    chance: float | None
    extractor: str
    candidates: tuple[Candidate, ...]
    synthetic_error: float
    predictions: Values | None = None
    restored: Values | None = None
    classes: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    real_error: RealError | None = None
    disagreements: tuple[Disagreement, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def affected(self) -> bool:
        """Whether a domain shift makes the score doubtful on real pictures."""
        return bool(self.warnings)

    @property
    def expected_error(self) -> float | None:
        """The error to expect on real rows; None where it is not known."""
        return None if self.real_error is None else self.real_error.value

    def values(self) -> list[float | str] | None:
        """Predictions in plain types, classes by name; None where the measure is not inferable."""
        if self.predictions is None:
            return None
        if self.kind == "class":
            return [self.classes[int(at)] for at in self.predictions]
        return [float(value) for value in self.predictions]


@dataclass(frozen=True, eq=False)
class Inference:
    """All measures, the shift of every extractor's features, and what could not be looked at."""

    measures: tuple[InferredMeasure, ...]
    shifts: Mapping[str, DomainShift]
    left_out: Mapping[str, str]
    threshold: float

    def __getitem__(self, measure: str) -> InferredMeasure:
        for one in self.measures:
            if one.measure == measure:
                return one
        raise KeyError(f"expected one of {[one.measure for one in self.measures]}; got {measure!r}")

    @property
    def inferable(self) -> tuple[str, ...]:
        """Names of the measures that reached the threshold."""
        return tuple(one.measure for one in self.measures if one.inferable)

    @property
    def affected(self) -> tuple[str, ...]:
        """Names of inferable measures whose score may mislead on real pictures."""
        return tuple(one.measure for one in self.measures if one.affected)

    def sentences(self) -> tuple[str, ...]:
        """What was found, in words: a sentence a measure, then the warnings."""
        from twinset.alignment.inference.telling import sentences

        return sentences(self)

    def to_record(self) -> dict[str, object]:
        """Everything in plain JSON types; rows of predictions in the order of the real features."""
        from twinset.alignment.inference.telling import record

        return record(self)


def infer(
    synthetic: Mapping[str, NDArray[np.floating]],
    values: Mapping[str, NDArray[np.generic]],
    real: Mapping[str, NDArray[np.floating]],
    *,
    groups: NDArray[np.generic],
    settings: InferenceSettings | None = None,
    rng: RandomSource,
    real_groups: NDArray[np.generic] | None = None,
) -> Inference:
    """Metadata of real rows (pictures or objects) by what is known of synthetic ones.

    ``synthetic`` and ``real`` hold features (N, D) and (M, D) by extractor; ``values`` (N,) by measure: floats are
    numbers (NaN: unknown), everything else is a class. ``groups`` (N,) and ``real_groups`` (M,) say which picture a row
    belongs to (None: every real row is one of its own): rows of one are never on both sides of a fold.

    ``ValueError`` for arrays that do not belong together or fewer pictures than folds.
    """
    settings = settings or InferenceSettings()
    stream = Stream.of(rng)
    group, real_group = _checked(synthetic, values, real, groups, real_groups, settings)
    features = {name: np.asarray(rows, dtype=np.float64) for name, rows in synthetic.items()}
    seen = {name: np.asarray(real[name], dtype=np.float64) for name in synthetic}
    shifts = {
        name: domain_shift(
            name, rows, seen[name], group, real_group, settings=settings, rng=stream.child("domain", name)
        )
        for name, rows in features.items()
    }
    measures, left_out = [], {}
    for name, column in values.items():
        found = _measure(name, column, features, seen, group, shifts, settings, stream.child("measure", name))
        if isinstance(found, str):
            left_out[name] = found
        else:
            measures.append(found)
    return Inference(tuple(measures), shifts, left_out, settings.threshold)


def _checked(
    synthetic: Mapping[str, NDArray[np.floating]],
    values: Mapping[str, NDArray[np.generic]],
    real: Mapping[str, NDArray[np.floating]],
    groups: NDArray[np.generic],
    real_groups: NDArray[np.generic] | None,
    settings: InferenceSettings,
) -> tuple[Groups, Groups]:
    """Both groups numbered; ``ValueError`` for what does not fit together."""
    if not synthetic or set(synthetic) != set(real) or not values:
        raise ValueError(
            f"expected the same extractors on both sides, and measures; got {sorted(synthetic)}, {sorted(real)} and "
            f"{sorted(values)}"
        )
    rows, real_rows = len(groups), len(next(iter(real.values())))
    for name, part in synthetic.items():
        shapes = part.shape, real[name].shape
        if shapes != ((rows, part.shape[-1]), (real_rows, part.shape[-1])) or not part.shape[-1]:
            raise ValueError(f"expected features ({rows}, D) and ({real_rows}, D) of {name}; got {shapes}")
        if not (np.isfinite(part).all() and np.isfinite(real[name]).all()):
            raise ValueError(f"expected finite features of {name}; got NaN or infinity; check the extractor")
    for name, column in values.items():
        if column.shape != (rows,):
            raise ValueError(f"expected {rows} values of {name}; got {column.shape}")
    own = np.arange(real_rows) if real_groups is None else np.asarray(real_groups)
    if own.shape != (real_rows,):
        raise ValueError(f"expected a picture for each of {real_rows} real rows; got {own.shape}")
    for side, owners in (("synthetic", np.asarray(groups)), ("real", own)):
        if (count := len(np.unique(owners))) < settings.folds:
            raise ValueError(f"expected at least {settings.folds} {side} pictures; got {count}; add pictures")
    return numbered(np.asarray(groups)), numbered(own)


def _measure(
    name: str,
    column: NDArray[np.generic],
    features: Mapping[str, Features],
    real: Mapping[str, Features],
    groups: Groups,
    shifts: Mapping[str, DomainShift],
    settings: InferenceSettings,
    rng: Stream,
) -> InferredMeasure | str:
    """A measure, or why it was left out."""
    kind, values, classes = _encoded(column)
    known = np.isfinite(values)
    pictures, fewest = len(np.unique(groups[known])), max(settings.folds, 2 * settings.inner_folds)
    if pictures < fewest or known.sum() < FEWEST_ROWS:
        return f"expected {FEWEST_ROWS} known values in {fewest} pictures; got {int(known.sum())} in {pictures}"
    # Angles worked out from directions differ in their last digits.
    if np.ptp(values[known]) <= 1e-9 * np.abs(values[known]).max():
        return "all known values are equal"
    own = {key: rows[known] for key, rows in features.items()}
    group, values = numbered(groups[known]), values[known]
    validated = validate(own, values, group, kind=kind, settings=settings, rng=rng.child("validate"))
    plain = InferredMeasure(
        name,
        kind,
        len(values),
        validated.score >= settings.threshold,
        validated.score,
        validated.interval,
        validated.chance,
        validated.chosen,
        validated.candidates,
        held_out_error(validated, values, kind=kind),
        classes=classes,
    )
    if not plain.inferable:
        return plain
    differing = disagreements(
        validated, own, values, group, real, kind=kind, settings=settings, rng=rng.child("disagreements")
    )
    return _predicted(
        plain, validated, values, real[validated.chosen], shifts[validated.chosen], known, differing, settings
    )


def _predicted(
    plain: InferredMeasure,
    validated: Validated,
    values: Values,
    real: Features,
    shift: DomainShift,
    known: NDArray[np.bool_],
    differing: tuple[Disagreement, ...],
    settings: InferenceSettings,
) -> InferredMeasure:
    """The measure with what it is on real rows, and with its warnings."""
    predicted = validated.models[validated.chosen].predict(real)
    held = validated.by_extractor[validated.chosen]
    beyond = outside(predicted, values, plain.synthetic_error) if plain.kind == "number" else 0.0
    warnings = _warnings(shift, differing, beyond, settings)
    error = real_error(
        validated,
        values,
        predicted,
        shift,
        known,
        differing,
        kind=plain.kind,
        settings=settings,
        doubtful=bool(warnings),
    )
    return replace(
        plain,
        predictions=predicted,
        restored=restored(predicted, held, values) if plain.kind == "number" else None,
        shares=named(shares(predicted, held, values, len(plain.classes)), plain.classes) if plain.classes else {},
        real_error=error,
        disagreements=differing,
        warnings=warnings,
    )


def _encoded(column: NDArray[np.generic]) -> tuple[Kind, Values, tuple[str, ...]]:
    """Numbers as they are; classes as positions among their sorted names, None as NaN."""
    if np.issubdtype(column.dtype, np.floating):
        return "number", np.asarray(column, dtype=np.float64), ()
    texts = [None if one is None else str(one) for one in column.tolist()]
    names = tuple(sorted({text for text in texts if text is not None}))
    place = {text: float(at) for at, text in enumerate(names)}
    return "class", np.array([np.nan if text is None else place[text] for text in texts]), names


def _warnings(
    shift: DomainShift, differing: tuple[Disagreement, ...], beyond: float, settings: InferenceSettings
) -> tuple[str, ...]:
    found = []
    if shift.beyond > settings.most_beyond:
        found.append(
            f"{shift.beyond:.0%} of the real rows lie farther from the synthetic ones in {shift.extractor} than "
            f"{1 - settings.beyond:.0%} of held-out synthetic rows do (a classifier tells them apart with AUC "
            f"{shift.auc:.2f})"
        )
    for one in differing:
        if one.ratio > settings.most_disagreement:
            found.append(
                f"{one.first} and {one.second} differ {one.ratio:.1f} times as much on real rows as on synthetic ones"
            )
    if beyond > MOST_OUTSIDE:
        found.append(f"{beyond:.0%} of the predictions lie beyond all synthetic values")
    return tuple(found)
