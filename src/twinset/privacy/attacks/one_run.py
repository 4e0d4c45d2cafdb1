"""An audit by canaries in one run: a lower bound on ε of whatever was done with them (Steinke et al. 2023).

Of r canaries each was put into the training data by a fair coin. An auditor who sees the result guesses for each, or
abstains. Under (ε, 0)-differential privacy the number of right guesses of g is at most binomial with chance
σ(ε) = 1/(1 + e^(−ε)), so v right guesses of g refute, at confidence 1 − β, every ε for which P[Bin(g, σ(ε)) ≥ v] < β
(Theorem 5.1 of "Privacy Auditing with One (1) Training Run", δ = 0; for δ > 0 their correction is added). However good
the guesses, r canaries cannot show more than the ``ceiling``: above it an audit is *vacuous*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.membership import Scores
from twinset.randomness import Stream

LARGEST = 50.0


@dataclass(frozen=True)
class CanaryAudit:
    """``epsilon``: what the guesses show at least, at confidence ``1 − beta``; ``ceiling``: what all right would show.

    ``right`` of ``guesses`` were right, of ``canaries`` in all.
    """

    epsilon: float
    ceiling: float
    right: int
    guesses: int
    canaries: int
    beta: float
    delta: float

    def vacuous_for(self, epsilon: float) -> bool:
        """Whether even perfect guesses could not have shown as much as ``epsilon``."""
        return self.ceiling < epsilon


def epsilon_shown(right: int, guesses: int, canaries: int, *, beta: float = 0.05, delta: float = 0.0) -> float:
    """The largest ε that ``right`` of ``guesses`` refute at confidence 1 − ``beta``; 0 where none.

    >>> round(epsilon_shown(40, 40, 40), 2), round(epsilon_shown(100, 100, 100), 2)
    (2.55, 3.49)
    """
    if not 0 <= right <= guesses <= canaries or not guesses:
        raise ValueError(f"expected 0 ≤ right ≤ guesses ≤ canaries and a guess; got {right}, {guesses}, {canaries}")
    if not 0 < beta < 1 or not 0 <= delta < 1:
        raise ValueError(f"expected beta in (0, 1) and delta in [0, 1); got {beta} and {delta}")
    low, high = 0.0, LARGEST
    if _chance(right, guesses, canaries, low, delta) > beta:
        return 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _chance(right, guesses, canaries, middle, delta) <= beta else (low, middle)
    return low


def canary_audit(
    scores: Scores, included: NDArray[np.bool_], *, guesses: int | None = None, beta: float = 0.05, delta: float = 0.0
) -> CanaryAudit:
    """The bound of canaries with these ``scores`` (r,), higher for those taken to be ``included`` (r,).

    ``guesses`` must be chosen before the scores are seen (None: all): half go to the highest as included, half to the
    lowest as not. Ties are broken by an order of its own: that of the rows may be the order of inclusion.
    """
    count = len(scores)
    made = (count if guesses is None else guesses) // 2
    if not 1 <= made <= count // 2 or np.shape(included) != np.shape(scores):
        raise ValueError(f"expected 2…{count} guesses and a flag for each of {count} scores; got {guesses}")
    if not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores; got {int((~np.isfinite(scores)).sum())} others")
    flags = np.asarray(included, dtype=bool)
    order = np.lexsort((Stream(count).child("ties").numpy().permutation(count), scores))
    right = int(flags[order[-made:]].sum() + (~flags[order[:made]]).sum())
    shown = epsilon_shown(right, 2 * made, count, beta=beta, delta=delta)
    ceiling = epsilon_shown(2 * made, 2 * made, count, beta=beta, delta=delta)
    return CanaryAudit(shown, ceiling, right, 2 * made, count, beta, delta)


def _chance(right: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """The most that the chance of so many right guesses can be under (ε, δ)."""
    q = 1.0 / (1.0 + np.exp(-epsilon))
    beta = float(_at_least(np.array([right]), guesses, q)[0])
    if delta == 0 or right == 0:
        return beta
    # α of the theorem: the largest mean excess over windows of i right guesses fewer, weighed by 1/i.
    steps = np.arange(1, right + 1)
    windows = _at_least(right - steps, guesses, q) - beta
    return min(1.0, beta + 2 * canaries * delta * float(np.max(windows / steps, initial=0.0)))


def _at_least(right: NDArray[np.int64], guesses: int, q: float) -> NDArray[np.float64]:
    """P[Bin(guesses, q) ≥ right]; a fiftieth of the cost of ``scipy.stats.binom.sf``."""
    from scipy.special import betainc

    return np.where(right > 0, betainc(np.maximum(right, 1), guesses - np.maximum(right, 1) + 1, q), 1.0)
