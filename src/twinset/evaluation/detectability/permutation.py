"""p-values of permutation tests, alone and of several statistics at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Relative to the spread of a statistic: rounding must not decide between equal labellings.
TIE = 1e-9


def p_value_of(statistics: Array, *, tie: float = 1e-12) -> float:
    """(1 + how many of the permuted ones reach the first) / (1 + P) of statistics (1 + P,), the true labelling first.

    Exact and never 0 (Phipson and Smyth 2010). Values within ``tie`` of each other are equal.

    >>> p_value_of(np.array([3.0, 1.0, 3.0, 0.0]))
    0.5
    """
    return float((1 + (statistics[1:] >= statistics[0] - tie).sum()) / len(statistics))


def adjusted_p_values(statistics: Array) -> list[float]:
    """p-values of V statistics (V, 1 + P), the true labelling first, that hold for all V at once (max-statistic).

    Each statistic counts in units of its own mean and spread over all labellings, the true one among them, so that
    the 1 + P columns stay exchangeable; the largest of a column is what each first entry is compared with
    (Westfall and Young 1993, single step). The least of the V is the p-value of the joint test.

    >>> adjusted_p_values(np.array([[9.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]))
    [0.25, 1.0]
    """
    spread = statistics.std(axis=1, keepdims=True)
    size = np.abs(statistics).max(axis=1, keepdims=True)
    constant = spread <= 1e-12 * size
    units = np.where(constant, 0.0, statistics - statistics.mean(axis=1, keepdims=True))
    units /= np.where(constant, 1.0, spread)
    largest = units.max(axis=0)
    return [p_value_of(np.concatenate([own[:1], largest[1:]]), tie=TIE) for own in units]
