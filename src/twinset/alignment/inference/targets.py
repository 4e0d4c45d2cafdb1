"""From inferred values to a target that matching can seek, and to measures that distances can compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.inference.inference import Inference
from twinset.alignment.metadata import MEASURES, InferenceError, Measures, Target, fit_target
from twinset.randomness import RandomSource, Stream


def inferred_measures(
    *,
    pictures: Inference | None = None,
    objects: Inference | None = None,
    images: int,
    image_rows: NDArray[np.int64] | None = None,
    class_ids: NDArray[np.int64] | None = None,
    classes: Sequence[str] = ("object",),
) -> Measures:
    """The restored values of N real ``images`` and their M objects as columns of measures, in their own units.

    Inferred numbers were on the measures' scales (logarithms where :data:`MEASURES` says so). ``image_rows`` (M,)
    and ``class_ids`` (M,) say where the objects are and what. Measures that are not inferable, and such as
    :data:`MEASURES` does not know, are left out; ``ValueError`` where none stays.
    """
    rows = np.empty(0, dtype=np.int64) if image_rows is None else image_rows
    kinds = np.zeros(len(rows), dtype=np.int64) if class_ids is None else class_ids
    columns = {
        one.measure: _original(one.measure, one.restored)
        for level, found in (("image", pictures), ("object", objects))
        for one in (found.measures if found is not None else ())
        if one.restored is not None and one.measure in MEASURES and MEASURES[one.measure].level == level
    }
    if not columns:
        raise ValueError("expected an inferable measure with a number; got none; there is nothing to match")
    return Measures(images, columns, rows, kinds, tuple(classes))


def target_of(measures: Measures, *found: Inference, rng: RandomSource, most_components: int = 5) -> Target:
    """The target of inferred measures, with what is known of their error beside it.

    That is the root mean square error expected on real pictures (no mean absolute error is larger); measures where it
    is not known have none. Restored values are meant to have no bias, which is told as 0.
    """
    names = measures.names
    target = fit_target(
        measures,
        names,
        rng=Stream.of(rng),
        most_components=most_components,
        source=f"values inferred on {len(measures)} real images",
    )
    errors = {one.measure: one for each in found for one in each.measures if one.measure in names}
    told: Mapping[str, InferenceError] = {
        name: InferenceError(0.0, one.expected_error, one.rows)
        for name, one in errors.items()
        if one.expected_error is not None
    }
    return Target(target.mixtures, target.components, target.level, target.source, target.by_class, told)


def _original(name: str, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    return scaled if MEASURES[name].scale == "linear" else np.exp(scaled)
