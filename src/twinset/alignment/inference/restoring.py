"""What predictions say of the distribution of the values behind them.

Predictions are pulled towards the mean and blurred by their error, so that their distribution is not that of the
values. On held-out synthetic rows a prediction is p = a + b·v plus noise; on real rows the values are v = (p − a) / b,
less the noise's variance. For classes the confusion on held-out synthetic rows plays this part (Forman 2008).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twinset.alignment.inference.linear import Values

LEAST_VARIANCE = 0.01
"""What is left of the variance at least when noise is taken off, as a share."""


def restored(predicted: Values, held_out: Values, values: Values) -> Values:
    """(M,) numbers with the mean and variance that the values behind real predictions (M,) have.

    The order is that of the predictions; the shape of the distribution is theirs, sharpened. ``held_out`` (N,) are
    predictions of synthetic ``values`` (N,) by models that were not fitted on them.
    """
    centred = values - values.mean()
    slope = float(centred @ held_out / (centred @ centred))
    noise = held_out - held_out.mean() - slope * centred
    raw = (predicted - held_out.mean()) / slope + values.mean()
    variance = float(raw.var())
    if variance == 0:
        return np.asarray(raw)
    kept = max(variance - float(noise.var()) / slope**2, LEAST_VARIANCE * variance)
    return np.asarray(raw.mean() + (raw - raw.mean()) * np.sqrt(kept / variance))


def shares(predicted: Values, held_out: Values, values: Values, count: int) -> Values:
    """(``count``,) shares of the classes 0…count − 1 behind real predictions (M,), summing to 1.

    The mixture of the classes' own confusions (columns of the table) that comes nearest to what was predicted.
    """
    from scipy.optimize import nnls

    table = np.zeros((count, count))
    np.add.at(table, (held_out.astype(np.int64), values.astype(np.int64)), 1.0)
    table /= np.maximum(table.sum(axis=0), 1)
    seen = np.bincount(predicted.astype(np.int64), minlength=count) / len(predicted)
    found = nnls(table, seen)[0]
    return np.asarray(found / found.sum() if found.sum() > 0 else seen)


def named(numbers: Values, names: tuple[str, ...]) -> Mapping[str, float]:
    """Numbers (C,) by the names of classes (C,)."""
    return dict(zip(names, numbers.tolist(), strict=True))
