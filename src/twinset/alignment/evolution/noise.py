"""Noise on the votes, from a secret.

Whoever knows the noise can take it off again, and everything else in a run follows from its recipe. So noise does not:
it is expanded by SHAKE-256 from a key that was drawn once, by the operating system, and that is destroyed with the last
round. The same key, purpose and round give the same noise: a run that was killed repeats its round, spending nothing.

The sum is rounded to multiples of 2⁻¹⁰ votes. The low bits of floating-point noise tell which number it was added to
(Mironov 2012); rounded, the released value differs from that of exact real arithmetic with probability of about 10⁻¹².
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 32
GRID = 2.0**-10
"""Votes, to which a noisy histogram is rounded."""


def fresh_key() -> bytes:
    """A key that nobody can guess."""
    return secrets.token_bytes(KEY_BYTES)


def noisy(votes: NDArray[np.float64], sigma: float, *, key: bytes, round_: int) -> NDArray[np.float64]:
    """The histogram (P,) plus N(0, ``sigma``²) for every candidate, those without votes included; as it is for 0."""
    if not 0 <= sigma < np.inf:
        raise ValueError(f"expected a finite sigma ≥ 0; got {sigma}")
    if not sigma:
        return votes.copy()
    total = votes + sigma * _standard_normal(len(votes), key, round_)
    rounded: NDArray[np.float64] = np.round(total / GRID) * GRID
    return rounded


def thresholded(votes: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Votes above ``least``, lowered by nothing; 0 for the others and for all that is not above 0."""
    kept: NDArray[np.float64] = np.where(votes > max(least, 0.0), votes, 0.0)
    return kept


def _standard_normal(count: int, key: bytes, round_: int) -> NDArray[np.float64]:
    """By inversion of uniform numbers at the middles of 2⁵² cells, so that none is 0 or 1."""
    from scipy.special import ndtri

    if len(key) != KEY_BYTES:
        raise ValueError(f"expected a key of {KEY_BYTES} bytes; got {len(key)}; take one from fresh_key()")
    stream = hashlib.shake_256(key + f"twinset evolution votes {round_}".encode()).digest(8 * count)
    cells = np.frombuffer(stream, dtype="<u8") >> np.uint64(12)
    found: NDArray[np.float64] = np.asarray(ndtri((cells.astype(np.float64) + 0.5) * 2.0**-52), dtype=np.float64)
    return found
