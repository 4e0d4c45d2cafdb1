"""Noise on the votes, from a secret (:mod:`twinset.secret_randomness`).

The sum is rounded to multiples of 2⁻¹⁰ votes. The low bits of floating-point noise tell which number it was added to
(Mironov 2012); rounded, the released value differs from that of exact real arithmetic with probability of about 10⁻¹².
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.secret_randomness import standard_normals

GRID = 2.0**-10
"""Votes, to which a noisy histogram is rounded."""


def noisy(votes: NDArray[np.float64], sigma: float, *, key: bytes, round_: int) -> NDArray[np.float64]:
    """The histogram (P,) plus N(0, ``sigma``²) for every candidate, those without votes included; as it is for 0."""
    if not 0 <= sigma < np.inf:
        raise ValueError(f"expected a finite sigma ≥ 0; got {sigma}")
    if not sigma:
        return votes.copy()
    total = votes + sigma * standard_normals(len(votes), key=key, purpose=f"twinset evolution votes {round_}")
    rounded: NDArray[np.float64] = np.round(total / GRID) * GRID
    return rounded


def thresholded(votes: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Votes above ``least``, lowered by nothing; 0 for the others and for all that is not above 0."""
    kept: NDArray[np.float64] = np.where(votes > max(least, 0.0), votes, 0.0)
    return kept
