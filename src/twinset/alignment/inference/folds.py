"""Rows of one picture stay together: in folds, in halves, in the draws behind intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.randomness import Stream

Groups = NDArray[np.int64]


def numbered(groups: NDArray[np.generic]) -> Groups:
    """(N,) the same groups as whole numbers from 0, in the order of their sorted names.

    >>> numbered(np.array(["b", "a", "b"])).tolist()
    [1, 0, 1]
    """
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64).reshape(-1)


def folds_of(groups: Groups, count: int, *, rng: Stream) -> NDArray[np.int64]:
    """(N,) the fold, 0…``count`` − 1, of every row: groups at random, dealt in rounds, larger ones to emptier folds.

    So folds differ by one group at most, however many rows one of them has. ``ValueError`` where there are fewer groups
    than folds.
    """
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < count:
        raise ValueError(f"expected at least {count} pictures for {count} folds; got {len(sizes)}; add pictures")
    shuffled = rng.numpy().permutation(len(sizes))
    filled = np.zeros(count, dtype=np.int64)
    fold = np.empty(len(sizes), dtype=np.int64)
    ordered = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    for first in range(0, len(ordered), count):
        dealt = ordered[first : first + count]
        fold[dealt] = np.argsort(filled, kind="stable")[: len(dealt)]
        filled[fold[dealt]] += sizes[dealt]
    return np.asarray(fold[inverse])


def group_draws(groups: Groups, resamples: int, *, rng: Stream) -> NDArray[np.float64]:
    """(R, G) how often each group stands in each of ``resamples`` draws with replacement; groups are 0…G − 1."""
    count = int(groups.max()) + 1
    return rng.numpy().multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
