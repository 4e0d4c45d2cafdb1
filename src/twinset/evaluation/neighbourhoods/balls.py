"""The ball of every point: the distance to its k-th nearest neighbour in its own set, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.evaluation.neighbourhoods.points import Array, Points, Rows, merged, smallest
from twinset.evaluation.protocol import blocks

# Relative to the squared norms: far above the rounding of a float64 Gram product, far below any real gap.
TIE = 1e-11


@dataclass(frozen=True, eq=False)
class Balls:
    """Squared radii (N,) and how many other points each ball holds (N,): k, unless ties make it more."""

    squared_radii: Array
    members: Array
    tied: bool


def balls_of(points: Points, k: int, block: int) -> Balls:
    """The k-nearest-neighbour ball of every point, of which there are more than k."""
    # One neighbour more than k, to see where a tie follows the k-th.
    return balls_from(points, _nearest_squares(points, k + 1, block), block)


def balls_from(points: Points, nearest: Array, block: int) -> Balls:
    """The balls of points, given the k + 1 smallest squared distances (N, k + 1) to others, ascending."""
    k = nearest.shape[1] - 1
    radii = np.maximum(nearest[:, k - 1], 0.0)
    members = np.full(len(radii), float(k))
    tied = np.flatnonzero(nearest[:, k] - radii <= 4 * TIE * points.norms)
    for rows in (tied[part] for part in blocks(tied.size, block)):
        members[rows] = _count_members(points, rows, radii[rows], block)
    return Balls(radii, members, tied.size > 0)


def _nearest_squares(points: Points, count: int, block: int) -> Array:
    """Squared distances (N, count) to the nearest other points, ascending, infinite where there are fewer.

    The blocks on the diagonal come first. They bound every point's distances so well that of any later
    block only the few entries under the bound need sorting, along rows and along columns.
    """
    nearest = np.full((len(points.norms), count), np.inf)
    parts = list(blocks(len(points.norms), block))
    for mine in parts:
        distances = points.squared_distances(mine, points, mine)
        np.fill_diagonal(distances, np.inf)
        nearest[mine] = smallest(nearest[mine], distances)
    for number, mine in enumerate(parts):
        for theirs in parts[number + 1 :]:
            distances = points.squared_distances(mine, points, theirs)
            rows, columns = np.nonzero(distances < nearest[mine, -1:])
            nearest[mine] = merged(nearest[mine], rows, distances[rows, columns])
            rows, columns = np.nonzero(distances < nearest[theirs, -1])
            nearest[theirs] = merged(nearest[theirs], columns, distances[rows, columns])
    return nearest


def _count_members(points: Points, rows: Rows, squared_radii: Array, block: int) -> Array:
    some = points.take(rows)
    held = np.zeros(len(rows))
    for theirs in blocks(len(points.norms), block):
        distances = some.squared_distances(slice(None), points, theirs, shrink=TIE)
        held += (distances <= squared_radii[:, None]).sum(axis=1)
    return held - 1.0
