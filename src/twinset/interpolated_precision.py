"""Average precision from hits and false alarms in order of confidence, for many weightings of the pictures at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.matching_detections import HIT, LEFT_OUT

# As cocoapi makes them: i · 0.01 in floating point, so that recalls fall on the same side there and here.
RECALLS = np.linspace(0.0, 1.0, 101)


def precisions(
    outcome: NDArray[np.uint8],
    images: NDArray[np.int32],
    weights: NDArray[np.float64],
    positives: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 (B, T): the average precision of one class; NaN where ``positives`` (B,) are 0.

    ``outcome`` uint8 (T, D) by falling score, of pictures ``images`` (D,), weighted by ``weights`` (B, N).
    """
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
