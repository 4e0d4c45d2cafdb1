"""The vote: every real image names the candidates that are nearest to it in feature space.

The histogram of votes is the only thing that evolution takes from the real images (Lin et al. 2023, algorithm 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.neighbours import NeighbourIndex

Features = NDArray[np.floating]
Histogram = NDArray[np.float64]
"""(P,) votes of P candidates, float64."""

Labels = NDArray[np.integer]
Lookahead = Literal["each", "mean"]


def votes_of(
    real: Features,
    pictures: Features,
    *,
    votes: int = 1,
    lookahead: Lookahead = "each",
    class_ids: tuple[Labels, Labels] | None = None,
) -> Histogram:
    """Votes (P,) of real images (N, D) for P candidates, whose ``pictures`` (P, m, D) stand for each of them.

    Every real image gives its ``votes`` nearest candidates 1/``votes`` each; of equally near ones the first. With
    ``each`` a candidate is as near as its nearest picture; with ``mean`` as the mean of its pictures' features, as the
    paper's lookahead has it. ``class_ids`` (N,) and (P,): images vote for candidates of their own class only; one of a
    class without candidates does not vote. So all votes sum to the number of images that vote.

    Raises ``ValueError`` for other shapes, values that are not finite, or fewer candidates than votes.

    >>> real = np.array([[0.0], [0.2], [5.0]])
    >>> votes_of(real, np.array([[[0.1]], [[9.0]], [[4.0]]]))
    array([2., 0., 1.])
    """
    if pictures.ndim != 3 or not pictures.shape[0] or not pictures.shape[1]:
        raise ValueError(f"expected features of pictures as (candidates, pictures, D); got {pictures.shape}")
    shown = pictures.astype(np.float64).mean(axis=1, keepdims=True) if lookahead == "mean" else pictures
    total = np.zeros(len(shown), dtype=np.float64)
    for voters, candidates in _electorates(len(real), len(shown), class_ids):
        if len(voters) and len(candidates):
            np.add.at(total, candidates[_named(real[voters], shown[candidates], votes)], 1 / votes)
    return total


def _electorates(
    real: int, candidates: int, class_ids: tuple[Labels, Labels] | None
) -> Sequence[tuple[Labels, Labels]]:
    """Rows of the real images that vote together, and of the candidates they vote for."""
    if class_ids is None:
        return [(np.arange(real), np.arange(candidates))]
    if class_ids[0].shape != (real,) or class_ids[1].shape != (candidates,):
        raise ValueError(
            f"expected a class for each of {real} images and {candidates} candidates; got {class_ids[0].shape} and "
            f"{class_ids[1].shape}"
        )
    return [tuple(np.flatnonzero(ids == c) for ids in class_ids) for c in np.unique(class_ids[1])]  # type: ignore[misc]


def _named(real: Features, pictures: Features, votes: int) -> NDArray[np.int64]:
    """(N, votes) different candidates, the nearest of every real image."""
    count, each, length = pictures.shape
    if not 1 <= votes <= count:
        raise ValueError(f"expected 1 to {count} votes for {count} candidates; got {votes}; use fewer")
    # Among so many nearest pictures there are those of enough candidates, whoever they belong to.
    enough = (votes - 1) * each + 1
    rows: NDArray[np.int64] = NeighbourIndex(pictures.reshape(count * each, length)).nearest(real, k=enough)[1] // each
    if votes == 1:
        return rows
    repeated = (rows[:, :, None] == rows[:, None, :]) & np.tri(enough, k=-1, dtype=bool)
    fresh = ~repeated.any(axis=2)
    chosen = fresh & (np.cumsum(fresh, axis=1) <= votes)
    found: NDArray[np.int64] = rows[chosen].reshape(len(real), votes)
    return found
