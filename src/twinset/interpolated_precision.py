"""Average precision from hits and false alarms in order of confidence, for many weightings of the pictures at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.matching_detections import HIT, LEFT_OUT

# As cocoapi makes them: i · 0.01 in floating point, so that recalls fall on the same side there and here.
RECALLS = np.linspace(0.0, 1.0, 101)

VALUES_AT_ONCE = 1 << 15
"""Thresholds × detections that are looked at together."""


def precisions(
    outcome: NDArray[np.uint8],
    images: NDArray[np.int32],
    weights: NDArray[np.float64],
    positives: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 (B, T): the average precision of one class; NaN where ``positives`` (B,) are 0.

    ``outcome`` uint8 (T, D) by falling score, of pictures ``images`` (D,), weighted by ``weights`` (B, N).
    """
    if len(weights) == 1:
        return _for_one_weighting(outcome, weights[0, images], float(positives[0]))[None]
    result = np.full((len(weights), len(outcome)), np.nan)
    some = positives > 0
    weights, whole = weights[some], positives[some, None]
    standing, seen = None, np.zeros((0, 0))
    for t, row in enumerate(outcome):
        counted = np.flatnonzero(row != LEFT_OUT)
        if standing is None or not np.array_equal(counted, standing):
            standing, seen = counted, np.cumsum(weights[:, images[counted]], axis=1)
        hits = np.flatnonzero(row[counted] == HIT)
        met = np.cumsum(weights[:, images[counted[hits]]], axis=1)
        result[some, t] = _interpolated(met, seen[:, hits], whole)
    return result


def _for_one_weighting(outcome: NDArray[np.uint8], weights: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """float64 (T,): as :func:`precisions` under one weight for each detection, (D,).

    Thresholds go together as long as their tables stay in the processor's cache. Between two hits precision falls, so
    that the best from a hit on is that of a hit also here, where all detections count.
    """
    result = np.full(len(outcome), np.nan)
    if not whole:
        return result
    at_once = max(1, VALUES_AT_ONCE // max(1, outcome.shape[1]))
    for first in range(0, len(outcome), at_once):
        some = outcome[first : first + at_once]
        met = np.cumsum(np.where(some == HIT, weights, 0.0), axis=1)
        best = np.cumsum(np.where(some == LEFT_OUT, 0.0, weights), axis=1)
        np.divide(met, np.maximum(best, 1.0, out=best), out=best)
        np.maximum.accumulate(best[:, ::-1], axis=1, out=best[:, ::-1])
        met /= whole
        for t, recall in enumerate(met):
            places = np.searchsorted(recall, RECALLS)
            result[first + t] = best[t, places[places < len(recall)]].sum() / len(RECALLS)
    return result


def _interpolated(
    met: NDArray[np.float64], seen: NDArray[np.float64], whole: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (B,): the mean of the interpolated precision over 101 recalls.

    At each hit: ``met`` (B, P) objects met so far, of ``whole`` (B, 1), with ``seen`` (B, P) detections. Only hits
    matter: between two of them precision falls and recall stands.
    """
    precision = met / np.maximum(seen, 1.0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    levels = np.searchsorted(RECALLS, met / whole, side="right")
    return np.asarray((best * np.diff(levels, axis=1, prepend=0)).sum(axis=1) / len(RECALLS))


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of the values that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def means_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) means over the columns (B, C) that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan))
