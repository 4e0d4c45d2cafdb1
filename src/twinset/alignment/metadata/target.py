"""What the synthetic set is to follow: a mixture for each measure, and which components go together.

A target comes from labelled images, from numbers in a recipe, or from unlabelled deployment images that a detector has
looked at, whose error is then stated beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.metadata.measures import MEASURES, Measures, Values, measure_boxes
from twinset.alignment.metadata.mixtures import Mixture, fit_mixture
from twinset.instances import Instances
from twinset.randomness import Stream

LIGHTEST = 0.02
"""Joint components lighter than this go; the others share their weight."""

WEIGHT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Component:
    """A joint component: its share, and mean and standard deviation of each measure, on the measure's scale."""

    weight: float
    means: Mapping[str, float]
    stds: Mapping[str, float]


@dataclass(frozen=True)
class InferenceError:
    """How a detector's predictions misstate a measure on labelled validation images, on the measure's scale.

    ``bias`` and ``mean_absolute_error`` are over images that have a value in truth and prediction, between the means
    of the image's values; ``images`` counts them.
    """

    bias: float
    mean_absolute_error: float
    images: int


@dataclass(frozen=True)
class Target:
    """Mixtures by measure over all objects or images (``mixtures``) and by class (``by_class``), on measures' scales.

    ``components`` are joint over the measures of ``mixtures``; their weights sum to 1. ``level`` says of what they
    are shares: of images or of objects. ``errors`` are there for an inferred target.
    """

    mixtures: Mapping[str, Mixture]
    components: tuple[Component, ...]
    level: Literal["image", "object"]
    source: str
    by_class: Mapping[int, Mapping[str, Mixture]] = field(default_factory=dict)
    errors: Mapping[str, InferenceError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.mixtures or not self.components:
            raise ValueError("expected a target of at least one measure; got none")


def fit_target(
    measures: Measures,
    names: Sequence[str],
    *,
    rng: Stream,
    by_class: bool = False,
    most_components: int = 5,
    source: str = "labelled images",
) -> Target:
    """The target of labelled images. Joint weights are counted on the data, so that measures that go together stay so.

    Where a measure of objects is among ``names``, an object takes image measures from its image. ``by_class`` adds
    mixtures of each class with objects. ``ValueError`` where a measure has no value.
    """
    if not names:
        raise ValueError("expected at least one measure; got none")
    mixtures = {}
    for name in names:
        values = measures.values(name)
        if not len(values):
            raise ValueError(f"expected values of {name}; got none; leave the measure out or add labelled images")
        mixtures[name] = _mixture(values, name, most_components, rng.child("pooled", name))
    of_class: dict[int, dict[str, Mixture]] = {}
    for class_id in np.unique(measures.class_ids).tolist() if by_class else ():
        found = {}
        for name in names:
            if MEASURES[name].level == "object" and len(values := measures.values(name, class_id=class_id)):
                found[name] = _mixture(values, name, most_components, rng.child("class", class_id, name))
        of_class[class_id] = found
    table, level = _aligned(measures, names)
    components = _joint(mixtures, table) if table else _independent(mixtures)
    return Target(mixtures, components, level, source, of_class)


def target_from_numbers(numbers: Mapping[str, Mapping[str, Sequence[float]]]) -> Target:
    """The target that a recipe states: ``{measure: {"means": […], "stds": […], "weights": […]}}``.

    Numbers are in the measure's own unit (a box_area of .02 is 2 % of the picture); for measures on a log scale a
    mean is the median of the component and a std is relative, that of the logarithm. ``weights`` may be left
    out where there is one component. Measures are taken as independent. ``ValueError`` says what is wrong.
    """
    if not numbers:
        raise ValueError("expected at least one measure in the target; got none")
    mixtures = {name: _stated(name, given) for name, given in numbers.items()}
    return Target(mixtures, _independent(mixtures), _level(list(mixtures)), "numbers in the recipe")


def infer_target(
    predictions: Sequence[Instances],
    names: Sequence[str],
    *,
    classes: Sequence[str],
    validation_predictions: Sequence[Instances],
    validation_truth: Sequence[Instances],
    rng: Stream,
    least_confidence: float | None = None,
    most_components: int = 5,
) -> Target:
    """The target of unlabelled images from a detector's ``predictions``, with its error on labelled validation images.

    Predictions below ``least_confidence`` do not count; None takes the confidence at which as many objects are
    predicted on the validation images as there are. Measures of boxes only. The error is that on the validation images:
    where deployment images differ from them, it may be larger.
    """
    if not predictions or not validation_truth or len(validation_predictions) != len(validation_truth):
        raise ValueError(
            f"expected predictions, and as many validation predictions as labelled validation images; got "
            f"{len(predictions)}, {len(validation_predictions)} and {len(validation_truth)}"
        )
    least = least_confidence
    if least is None:
        least = balanced_confidence(validation_predictions, validation_truth)
    found = measure_boxes([confident(picture, least) for picture in predictions], classes=classes)
    seen = measure_boxes([confident(picture, least) for picture in validation_predictions], classes=classes)
    truth = measure_boxes(validation_truth, classes=classes)
    source = f"predictions on {len(predictions)} unlabelled images, confidence at least {least:.3g}"
    target = fit_target(found, names, rng=rng, most_components=most_components, source=source)
    errors = {name: _error(seen, truth, name) for name in names}
    return Target(target.mixtures, target.components, target.level, source, target.by_class, errors)


def balanced_confidence(predictions: Sequence[Instances], truth: Sequence[Instances]) -> float:
    """The confidence at which there are as many predictions as objects; 0 where there are never enough."""
    scores = np.sort(np.concatenate([np.empty(0), *(_confidences(picture) for picture in predictions)]))[::-1]
    objects = sum(int((~picture.is_crowd).sum()) for picture in truth)
    if not objects:
        raise ValueError("expected objects in the validation images; got none; add labelled ones")
    return float(scores[objects - 1]) if objects <= len(scores) else 0.0


def confident(picture: Instances, least: float) -> Instances:
    """The predictions of at least this confidence."""
    return picture.take(_confidences(picture) >= least)


def _confidences(picture: Instances) -> NDArray[np.floating]:
    if picture.confidences is None:
        if len(picture):
            raise ValueError("expected predictions with confidences; got none; pass what a detector returns")
        return np.empty(0)
    return picture.confidences


def _error(seen: Measures, truth: Measures, name: str) -> InferenceError:
    predicted, stated = _image_means(seen, name), _image_means(truth, name)
    both = np.isfinite(predicted) & np.isfinite(stated)
    if not both.any():
        raise ValueError(f"expected validation images with {name} in truth and prediction; got none; add images")
    gaps = predicted[both] - stated[both]
    return InferenceError(float(gaps.mean()), float(np.abs(gaps).mean()), int(both.sum()))


def _image_means(measures: Measures, name: str) -> Values:
    """(N,) mean of each image's values, NaN where it has none."""
    values, rows = measures.with_rows(name)
    counts = np.bincount(rows, minlength=len(measures))
    sums = np.bincount(rows, weights=values, minlength=len(measures))
    return np.asarray(np.divide(sums, counts, out=np.full(len(measures), np.nan), where=counts > 0))


def _mixture(values: Values, name: str, most_components: int, rng: Stream) -> Mixture:
    return fit_mixture(values, most_components=most_components, step=MEASURES[name].step, rng=rng)


def _level(names: Sequence[str]) -> Literal["image", "object"]:
    return "object" if any(MEASURES[name].level == "object" for name in names) else "image"


def _aligned(measures: Measures, names: Sequence[str]) -> tuple[Mapping[str, Values], Literal["image", "object"]]:
    """Scaled columns of one length, rows with an undefined value left out."""
    level = _level(names)
    columns = {}
    for name in names:
        column = MEASURES[name].scaled(measures.columns[name])
        columns[name] = column[measures.image_rows] if MEASURES[name].level != level else column
    whole = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    return ({name: column[whole] for name, column in columns.items()} if whole.any() else {}), level


def _joint(mixtures: Mapping[str, Mixture], table: Mapping[str, Values]) -> tuple[Component, ...]:
    """Every combination of components, weighted by how often the data are in all of them at once."""
    return _combined(mixtures, {name: mixture.responsibilities(table[name]) for name, mixture in mixtures.items()})


def _independent(mixtures: Mapping[str, Mixture]) -> tuple[Component, ...]:
    return _combined(mixtures, {name: np.array([mixture.weights]) for name, mixture in mixtures.items()})


def _combined(mixtures: Mapping[str, Mixture], held: Mapping[str, NDArray[np.float64]]) -> tuple[Component, ...]:
    """Combinations of components by weight, the mean of the product of memberships ``held`` (N, K) by measure.

    Measure by measure: a combination is never heavier than its beginning, so that light beginnings can go at once.
    """
    partial: dict[tuple[int, ...], NDArray[np.float64]] = {(): np.ones(1)}
    for name, mixture in mixtures.items():
        longer = {
            (*chosen, at): together * held[name][:, at]
            for chosen, together in partial.items()
            for at in range(len(mixture))
        }
        heaviest = max(float(together.mean()) for together in longer.values())
        least = min(LIGHTEST, heaviest)
        partial = {chosen: together for chosen, together in longer.items() if together.mean() >= least}
    kept = {chosen: float(together.mean()) for chosen, together in partial.items()}
    total = sum(kept.values())
    return tuple(
        Component(
            weight / total,
            {name: mixtures[name].means[at] for name, at in zip(mixtures, chosen, strict=True)},
            {name: mixtures[name].stds[at] for name, at in zip(mixtures, chosen, strict=True)},
        )
        for chosen, weight in sorted(kept.items(), key=lambda item: (-item[1], item[0]))
    )


def _stated(name: str, given: Mapping[str, Sequence[float]]) -> Mixture:
    """The mixture that a recipe states for a measure, checked."""
    if name not in MEASURES:
        raise ValueError(f"expected a measure among {', '.join(MEASURES)}; got {name!r}")
    unknown = sorted(set(given) - {"means", "stds", "weights"})
    if unknown or not {"means", "stds"} <= set(given):
        raise ValueError(f"expected means, stds and perhaps weights for {name}; got {', '.join(given) or 'nothing'}")
    means, stds = np.asarray(given["means"], dtype=np.float64), np.asarray(given["stds"], dtype=np.float64)
    weights = np.asarray(given.get("weights", [1.0]), dtype=np.float64)
    if means.ndim != 1 or not len(means) or means.shape != stds.shape or means.shape != weights.shape:
        raise ValueError(
            f"expected as many means, stds and weights for {name}, at least one; got {means.size}, {stds.size} and "
            f"{weights.size}; state a weight for each component"
        )
    if abs(weights.sum() - 1) > WEIGHT_TOLERANCE or not (weights > 0).all():
        raise ValueError(f"expected weights > 0 of {name} that sum to 1; got a sum of {weights.sum():g}")
    scaled = MEASURES[name].scaled(means)
    if not np.isfinite(scaled).all():
        raise ValueError(f"expected finite means of {name}, above 0 on a log scale; got {means.tolist()}")
    if not (np.isfinite(stds).all() and (stds > 0).all()):
        raise ValueError(f"expected finite stds > 0 for {name}; got {stds.tolist()}")
    return Mixture(tuple(weights / weights.sum()), tuple(scaled), tuple(stds))
