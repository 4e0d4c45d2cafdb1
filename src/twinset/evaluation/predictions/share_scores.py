"""Scores of figures in [0, 1] that belong together: those of all classes, of all subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.simultaneous import Estimates, Joint
from twinset.randomness import Stream
from twinset.scores import Score


def share_scores(
    estimates: Estimates,
    names: Sequence[str],
    *,
    counts: Sequence[Mapping[str, int]],
    settings: Mapping[str, str | int | float] | None = None,
    warnings: tuple[str, ...] = (),
    joint: Joint = "max_t",
    rng: Stream | None = None,
) -> list[Score]:
    """Scores of figures in [0, 1], higher is better, with intervals that hold at once; undefined without an image."""
    intervals, errors = estimates.share_intervals(joint=joint, rng=rng), estimates.errors
    defined = int(np.isfinite(estimates.values).sum())
    how = "Wilson" if defined < 2 else f"Wilson, {defined} at once ({joint})"
    scores = []
    for j, (name, interval) in enumerate(zip(names, intervals, strict=True)):
        value = float(estimates.values[j])
        if not np.isfinite(value):
            why = "there is nothing to count: no image of it"
            scores.append(Score(name, None, True, counts[j], undefined_because=why))
            continue
        told: dict[str, str | int | float] = {"interval": how, "standard_error": float(errors[j])}
        if estimates.grouped:
            told["families"] = int(estimates.behind[j])
        told |= settings or {}
        scores.append(Score(name, value, True, counts[j], interval=interval, settings=told, warnings=warnings))
    return scores


def group_names(groups: NDArray[np.integer], names: Sequence[str] | None) -> list[str]:
    """Names of groups 0…G−1; ``ValueError`` for a negative group or too few names."""
    count = int(groups.max()) + 1 if len(groups) else 0
    if len(groups) and groups.min() < 0:
        raise ValueError(f"expected groups numbered from 0; got {groups.min()}")
    if names is not None and len(names) < count:
        raise ValueError(f"expected a name for each of {count} groups; got {len(names)}")
    return list(names) if names is not None else [str(number) for number in range(count)]
