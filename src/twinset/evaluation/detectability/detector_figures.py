"""Figures of a fixed classifier on images that it did not see: AUC, and shares called generated, with intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import wilson_interval
from twinset.scores import Interval, Score

Array = NDArray[np.float64]
AUC = "generated_detector_auc"


def auc_score(real: Array, synthetic: Array, *, name: str = AUC) -> Score:
    """The chance that a synthetic image scores above a real one (ties ½), of scores (N,) and (M,), 95 % interval.

    The standard error is DeLong's (1988). The interval is Wilson's at as many trials as a proportion of this error
    has, at most min(N, M): so that a perfect separation of 20 images is not reported as a certainty. Undefined with
    fewer than two images on a side.

    >>> score = auc_score(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0]))
    >>> round(score.value, 4)
    0.75
    """
    counts = {"real": len(real), "synthetic": len(synthetic)}
    if min(counts.values()) < 2:
        reason = f"an interval needs at least 2 images on each side; got {len(real)} and {len(synthetic)}"
        return Score(name, None, None, counts, undefined_because=reason)
    above = _share_below(synthetic, real)
    below = 1 - _share_below(real, synthetic)
    value = float(above.mean())
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    most = float(min(counts.values()))
    trials = min(most, value * (1 - value) / variance) if variance > 0 else most
    low, high = wilson_interval(value * max(trials, 1.0), max(trials, 1.0))
    return Score(
        name,
        value,
        None,
        counts,
        interval=Interval(min(low, value), max(high, value)),
        floor=0.5,
        settings={
            "standard_error": float(np.sqrt(variance)),
            "interval": "Wilson at DeLong's standard error",
            "floor": "chance",
        },
    )


def share_score(name: str, flagged: NDArray[np.bool_], side: str, *, rate: float, reason: str = "") -> Score:
    """The share of images of one ``side`` ("real", "synthetic") that are called generated, with Wilson's interval.

    ``rate`` is the false-alarm rate that the threshold was calibrated for; ``reason`` says why there is none.
    """
    if not reason and not len(flagged):
        reason = "there are no images"
    low, high = wilson_interval(float(flagged.sum()), len(flagged)) if not reason else (0.0, 1.0)
    return Score(
        name,
        None if reason else float(flagged.mean()),
        None,
        {side: len(flagged)},
        interval=None if reason else Interval(low, high),
        undefined_because=reason,
        settings={"calibrated_false_alarm_rate": rate, "interval": "Wilson"},
    )


def _share_below(values: Array, others: Array) -> Array:
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.asarray(below / (2.0 * len(others)))
