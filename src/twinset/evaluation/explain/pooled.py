"""Nearest neighbours among both sets together, which do not depend on who is real: the ground of permutation tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Features
from twinset.neighbours import nearest, nearest_others

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PooledNeighbours:
    """Of n + m images, the n of the first set before the m of the second: Euclidean ``distances`` (n + m, K),
    ascending, and the pooled ``rows`` (n + m, K) that they lead to; no image is its own neighbour."""

    distances: NDArray[np.float64]
    rows: Rows
    first: int

    @staticmethod
    def of(first: Features, second: Features, *, k: int) -> PooledNeighbours:
        """The ``k`` nearest of every image of (n, D) and (m, D) features, at least k + 1 images in each set.

        Both sets stay where they are (memory maps do), and are read in blocks.
        """
        own = nearest_others(first, k=k), nearest_others(second, k=k)
        other = nearest(first, second, k=k), nearest(second, first, k=k)
        n = len(first)
        top = _merged((own[0][0], own[0][1]), (other[0][0], other[0][1] + n), k)
        bottom = _merged((own[1][0], own[1][1] + n), other[1], k)
        return PooledNeighbours(np.concatenate([top[0], bottom[0]]), np.concatenate([top[1], bottom[1]]), n)

    def labels(self) -> NDArray[np.bool_]:
        """bool (n + m,): True for the first set."""
        return np.arange(len(self.rows)) < self.first

    def among_their_own(self, mine: NDArray[np.bool_], *, k: int) -> NDArray[np.bool_]:
        """bool (n + m,): images of ``mine`` (n + m,) with no other image in their ball of k neighbours of ``mine``.

        With the true labels these are the images outside coverage (:func:`twinset.evaluation.prdc.memberships`): the
        ball is closed, so an image of the other set as far away as the k-th neighbour counts as inside.
        """
        alike = mine[self.rows]
        alone = mine & alike[:, :k].all(axis=1)
        tied = (self.distances[:, k:] <= self.distances[:, k - 1 : k]) & ~alike[:, k:]
        return np.asarray(alone & ~tied.any(axis=1))


def _merged(
    one: tuple[NDArray[np.float64], Rows], other: tuple[NDArray[np.float64], Rows], k: int
) -> tuple[NDArray[np.float64], Rows]:
    distances, rows = np.concatenate([one[0], other[0]], axis=1), np.concatenate([one[1], other[1]], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)
