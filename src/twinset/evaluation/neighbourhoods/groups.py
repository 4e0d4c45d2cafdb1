"""Groups of vectors that lie close together, of equal size, for the price of one short product per vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.mapped import gathered, release
from twinset.evaluation.neighbourhoods.points import Points, Rows, Single
from twinset.evaluation.protocol import blocks
from twinset.randomness import Stream

SAMPLE = 2048
DIRECTIONS = 32


def coordinates(points: Points, *, rng: Stream, block: int = 4096) -> Single:
    """Coordinates float32 (N, ≤ 32) of the points on the principal directions of a sample of them."""
    draw = rng.child("coordinates").numpy()
    sample = np.sort(draw.permutation(len(points))[:SAMPLE])
    centred = np.subtract(gathered(points.features, sample), points.centre, dtype=np.float64)
    centred -= centred.mean(axis=0)
    small = centred.shape[0] < centred.shape[1]
    values, vectors = np.linalg.eigh(centred @ centred.T if small else centred.T @ centred)
    kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1][:DIRECTIONS]
    directions = vectors[:, kept]
    if small:
        directions = centred.T @ directions / np.sqrt(values[kept])
    # Divided by the largest norm, coordinates fit into float32 whatever the features are.
    directions /= max(float(points.norms.max()) ** 0.5, 1e-300)
    found = np.empty((len(points), len(kept)), dtype=np.float32)
    for part in blocks(len(points), block):
        found[part] = np.subtract(points.features[part], points.centre, dtype=np.float64) @ directions
        release(points.features)
    return found


def groups(places: Single, size: int, *, rng: Stream) -> list[Rows]:
    """Rows of ``places`` (N, P) in groups of ``size`` to 2 · ``size`` neighbours, or all as one.

    A tree: each set is cut at the median along the line between two of its points, chosen at random. Two streams give
    two trees, so that a pair of neighbours that one tree parts may be together in the other.
    """
    draw = rng.child("groups").numpy()
    pending: list[Rows] = [np.arange(len(places))]
    found: list[Rows] = []
    while pending:
        rows = pending.pop()
        if len(rows) < 2 * size:
            found.append(np.sort(rows))
            continue
        along = places[rows] @ _direction(places, rows, draw)
        order = np.argpartition(along, len(rows) // 2)
        pending += [rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]]
    return found


def _direction(places: Single, rows: Rows, draw: np.random.Generator) -> NDArray[np.float32]:
    """The longest of a few differences between points drawn from ``rows``: a long side is worth cutting."""
    ends = places[rows[draw.integers(len(rows), size=(2, 8))]]
    differences = ends[0] - ends[1]
    return np.asarray(differences[np.argmax(np.einsum("ij,ij->i", differences, differences))])
