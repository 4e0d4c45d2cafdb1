"""Cutting polygons into triangles, concave ones too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LOOKS = 20_000_000
"""Looks at a corner over the concave polygons of a whole file, about 2 s; one of n corners needs about n² at least."""


class TooIntricateError(Exception):
    """The concave polygons of a file are too large to be cut in bounded time."""


def triangles_of(positions: Floats, sizes: Ints, corners: Ints) -> tuple[Ints, Ints]:
    """Triangles (T, 3) as places in ``corners``, and the polygon (T,) that each is of, in order of polygons.

    Triangles stay as they are; convex polygons become fans; concave ones lose ears (Meisters 1975) in the plane of
    their area vector. Polygons under 3 corners give none.

    Raises :class:`TooIntricateError` past :data:`MOST_LOOKS`.

    >>> square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    >>> triangles_of(square, np.array([4]), np.arange(4))[0].tolist()
    [[0, 1, 2], [0, 2, 3]]
    """
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1].astype(np.int64)
    found, owners = [], []
    spent = 0
    by_size = np.argsort(sizes, kind="stable")
    kinds, firsts = np.unique(sizes[by_size], return_index=True)
    for size, own in zip(kinds.tolist(), np.split(by_size, firsts[1:]), strict=True):
        if size < 3:
            continue
        places = starts[own][:, None] + np.arange(size)
        fan = np.stack([places[:, [0] * (size - 2)], places[:, 1:-1], places[:, 2:]], axis=-1)
        if size > 3:
            for row in np.flatnonzero(~_fans_hold(positions, corners, places)):
                cut, looks = _ears(_flattened(positions[corners[places[row]]]), MOST_LOOKS - spent)
                spent += looks
                fan[row] = places[row][cut]
        found.append(fan.reshape(-1, 3))
        owners.append(np.repeat(own, size - 2))
    if not found:
        return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
    triangles, polygon = np.concatenate(found), np.concatenate(owners)
    order = np.argsort(polygon, kind="stable")
    return triangles[order], polygon[order]


def _fans_hold(positions: Floats, corners: Ints, places: Ints) -> NDArray[np.bool_]:
    """For polygons (P, n) whether no triangle of the fan faces against the whole."""
    at = positions[corners[places]]
    parts = np.cross(at[:, 1:-1] - at[:, :1], at[:, 2:] - at[:, :1])
    whole = parts.sum(axis=1)
    facing = np.einsum("pnk,pk->pn", parts, whole)
    return np.asarray((facing >= -1e-9 * np.einsum("pk,pk->p", whole, whole)[:, None]).all(axis=1))


def _flattened(at: Floats) -> Floats:
    """A polygon (n, 3) in its own plane (n, 2), counter-clockwise."""
    normal = np.cross(at[1:-1] - at[0], at[2:] - at[0]).sum(axis=0)
    length = float(np.linalg.norm(normal))
    normal = normal / length if length > 0 else np.array([0.0, 0.0, 1.0])
    across = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    across /= np.linalg.norm(across)
    return np.asarray((at - at[0]) @ np.stack([across, np.cross(normal, across)], axis=1))


def _ears(at: Floats, budget: int) -> tuple[Ints, int]:
    """Triangles (n − 2, 3) of a polygon (n, 2), and how many looks at corners it took.

    A polygon that crosses itself has at times no ear; the rest of it becomes a fan.
    """
    left = list(range(len(at)))
    cut: list[tuple[int, int, int]] = []
    looks = place = since = 0
    while len(left) > 3 and since < len(left):
        looks += len(left)
        if looks > budget:
            raise TooIntricateError
        before, tip, after = left[place - 1], left[place], left[(place + 1) % len(left)]
        if _is_ear(at, before, tip, after, left):
            cut.append((before, tip, after))
            del left[place]
            since = 0
            place %= len(left)
        else:
            place, since = (place + 1) % len(left), since + 1
    cut += [(left[0], left[n], left[n + 1]) for n in range(1, len(left) - 1)]
    return np.array(cut, dtype=np.int64), looks


def _is_ear(at: Floats, before: int, tip: int, after: int, left: list[int]) -> bool:
    a, b, c = at[before], at[tip], at[after]
    if not _side(a, b, c[None])[0] > 0:
        return False
    others = at[[n for n in left if n not in (before, tip, after)]]
    inside = (_side(a, b, others) >= 0) & (_side(b, c, others) >= 0) & (_side(c, a, others) >= 0)
    corner = (others == a).all(1) | (others == b).all(1) | (others == c).all(1)
    return not bool((inside & ~corner).any())


def _side(a: Floats, b: Floats, points: Floats) -> Floats:
    """(N,) > 0 for points to the left of the way from a to b."""
    return np.asarray((b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]))
