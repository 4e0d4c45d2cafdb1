"""Figures of groups as the report tells them, each with an interval that holds for all groups at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.evaluation.predictions.simultaneous import Estimates
from twinset.pipeline.subgroups import Groups
from twinset.randomness import Stream
from twinset.scores import Interval

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


def measure_of(
    name: str,
    title: str,
    groups: Groups,
    found: Estimates,
    numbers: Numbers,
    *,
    better: bool,
    rng: Stream,
    unit: report.Unit = "share",
) -> report.GroupMeasure:
    """One figure of every group with the largest gap; ``numbers`` (N,) are the groups of what it was measured on."""
    intervals = found.share_intervals(rng=rng.child("joint"))
    known = np.flatnonzero(np.isfinite(found.values))
    gap = None
    if len(known) > 1:
        value, interval, _ = found.take(known).largest_difference(rng=rng.child("gap"))
        gap = value, interval.low, interval.high
    figures = figures_of(groups, found.values, intervals, numbers)
    return report.GroupMeasure(name, title, figures, gap, higher_is_better=better, unit=unit)


def figures_of(
    groups: Groups, values: Array, intervals: Sequence[Interval | None], numbers: Numbers
) -> dict[str, report.GroupFigure]:
    """The figures by the groups' names."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(groups.names))
    return {
        name: report.GroupFigure(
            None if np.isnan(value) else float(value),
            None if interval is None else interval.low,
            None if interval is None else interval.high,
            int(count),
        )
        for name, value, interval, count in zip(groups.names, values, intervals, counts, strict=True)
    }
