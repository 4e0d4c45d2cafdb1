"""Is this a copy? Pictures compared as a copyist would disguise them.

The representation is fixed: nothing in it was fitted on anybody's images, so it may judge training and
holdout images alike. Two pictures are as far apart as the best flip and small shift leaves them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch, resize
from twinset.membership import Scores
from twinset.neighbours import Features, NeighbourIndex, Neighbours, nearest, nearest_others

SIDE = 32
"""Longest side, in pixels, at which pictures are compared."""

HIT_RATIO = 0.5
"""A synthetic image nearer to a real one than this share of its distance to any other real one has hit it."""

SAME_RATIO = 0.05
"""A pair at less than this share of the distance to any other real image is one picture, up to rounding."""

DUPLICATE_SHARE = 0.2
"""Real images nearer than this share of the usual nearest-neighbour distance are one image in several files."""

_LEAST_CONTRAST = 0.03  # of full range; below it noise would be blown up to a picture
_CHUNK = 64

Pictures = PixelBatch | Features
"""Images uint8 (N, H, W, C), compared under flips and shifts; or feature rows float (N, D), compared as they are."""


def copy_features(images: PixelBatch) -> NDArray[np.float32]:
    """Unit-length vectors (N, D) that survive recompression, noise, brightness and contrast changes.

    uint8 (N, H, W, C) → longest side at most 32 px with antialiasing → 2 × 2 means where the side is 24 px or
    more → mean removed, contrast normalised. Euclidean distances between them lie in [0, 2].
    """
    return _described(_shrunk(images))


def _shrunk(images: PixelBatch) -> NDArray[np.float32]:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"expected non-empty images as uint8 (N, H, W, C); got {images.dtype} {images.shape}")
    height, width = images.shape[1:3]
    factor = SIDE / max(height, width)
    if factor < 1:
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        images = np.stack([resize(pixels, *size) for pixels in images])
    return images.astype(np.float32) / np.float32(255)


def _pools(images: NDArray[np.float32]) -> bool:
    height, width = images.shape[1:3]
    return bool(min(height, width) >= 24)


def _described(images: NDArray[np.float32]) -> NDArray[np.float32]:
    if _pools(images):
        odd = [(0, side % 2) for side in images.shape[1:3]]
        images = np.pad(images, ((0, 0), *odd, (0, 0)), mode="edge") if any(b for _, b in odd) else images
        images = (
            images[:, ::2, ::2] + images[:, 1::2, ::2] + images[:, ::2, 1::2] + images[:, 1::2, 1::2]
        ) * np.float32(0.25)
    rows = np.ascontiguousarray(images.reshape(len(images), -1))
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    features: NDArray[np.float32] = rows / np.maximum(length, np.float32(_LEAST_CONTRAST * np.sqrt(rows.shape[1])))
    return features


def copy_variants(images: PixelBatch) -> NDArray[np.float32]:
    """The same vectors of every flip and small shift: (N, V, D), the unchanged picture first.

    V = 50 (left–right flip × shifts of up to 2 px both ways) where pictures are compared at 24 px or more,
    else 18 (shifts of 1 px).
    """
    shrunk = _shrunk(images)
    reach = 2 if _pools(shrunk) else 1
    steps = sorted(range(-reach, reach + 1), key=abs)
    height, width = shrunk.shape[1:3]
    variants = []
    for picture in (shrunk, shrunk[:, :, ::-1]):
        padded = np.pad(picture, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
        for down in steps:
            for right in steps:
                top, left = reach + down, reach + right
                variants.append(_described(padded[:, top : top + height, left : left + width]))
    return np.stack(variants, axis=1)


def nearest_copies(
    queries: PixelBatch, references: PixelBatch, *, k: int, exclude: NDArray[np.integer] | None = None
) -> Neighbours:
    """The k nearest reference images of every query image, each at its best flip and shift: (M, k) and (M, k).

    Both uint8 (·, H, W, C) of one size. Arguments and results otherwise as :func:`twinset.neighbours.nearest`.
    """
    index = NeighbourIndex(copy_features(references))
    found = []
    for start in range(0, len(queries), _CHUNK):
        part = slice(start, start + _CHUNK)
        without = None if exclude is None else exclude[part]
        found.append(index.nearest(copy_variants(queries[part]), k=k, exclude=without))
    return np.concatenate([distances for distances, _ in found]), np.concatenate([rows for _, rows in found])


def nearest_pictures(
    queries: Pictures, references: Pictures, *, k: int, exclude: NDArray[np.integer] | None = None
) -> Neighbours:
    """:func:`nearest_copies` for images, :func:`twinset.neighbours.nearest` for feature rows."""
    if queries.dtype != references.dtype and np.uint8 in (queries.dtype, references.dtype):
        raise ValueError(f"expected two sets of images or two of features; got {queries.dtype} and {references.dtype}")
    if queries.dtype == np.uint8:
        return nearest_copies(queries, references, k=k, exclude=exclude)  # type: ignore[arg-type]
    return nearest(queries, references, k=k, exclude=exclude)  # type: ignore[arg-type]


def feature_rows(pictures: Pictures) -> Features:
    """Features (N, D) as they are; pictures as :func:`copy_features`."""
    return copy_features(pictures) if pictures.dtype == np.uint8 else pictures  # type: ignore[arg-type, return-value]


def duplicate_families(pictures: Pictures, *, nearer_than: float) -> NDArray[np.int64]:
    """(N,) the lowest row of every picture's family: those joined by distances of at most ``nearer_than``.

    Flips and shifts do not join: a burst of different photographs should stay one.
    """
    if len(pictures) == 1:
        return np.zeros(1, dtype=np.int64)
    return joined_families(nearest_others(feature_rows(pictures), k=relatives(len(pictures))), nearer_than=nearer_than)


def relatives(count: int) -> int:
    """How many nearest others of each of ``count`` pictures :func:`joined_families` looks at."""
    return min(16, count - 1)


def joined_families(neighbours: Neighbours, *, nearer_than: float) -> NDArray[np.int64]:
    """:func:`duplicate_families` given the nearest others of every picture."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    distances, rows = neighbours
    count = len(rows)
    start, at = np.nonzero(distances <= nearer_than)
    graph = coo_matrix((np.ones(len(start)), (start, rows[start, at])), shape=(count, count))
    labels = np.asarray(connected_components(graph, directed=False)[1])
    lowest = np.full(count, count, dtype=np.int64)
    np.minimum.at(lowest, labels, np.arange(count))
    first: NDArray[np.int64] = lowest[labels]
    return first


def usual_distance(distances: Scores) -> float:
    """The median distance of held-out images (N,) to their nearest training image, those at no distance left out."""
    return float(np.median(distances[distances > 0])) if (distances > 0).any() else 0.0


class Search(Protocol):
    """:func:`nearest_pictures`, or what remembers its answers (:class:`twinset.distances.Distances`)."""

    def __call__(self, queries: Pictures, references: Pictures, *, k: int) -> Neighbours:
        """Distances (M, k) and rows (M, k)."""
        ...


def nearest_outside(
    queries: Pictures,
    references: Pictures,
    *,
    k: int,
    groups: NDArray[np.integer],
    own: NDArray[np.integer],
    search: Search = nearest_pictures,
) -> Neighbours:
    """:func:`nearest_pictures` of another group: ``groups`` (N,) of the references, ``own`` (M,) that does not count.

    Raises ``ValueError`` if fewer than k references may be left for a query.
    """
    widest = int(np.unique(groups, return_counts=True)[1].max())
    if not 1 <= k <= len(references) - widest:
        raise ValueError(f"expected 1 ≤ k ≤ {len(references) - widest} references of other groups; got k = {k}")
    distances, rows = search(queries, references, k=k + widest)
    order = np.argsort(groups[rows] == np.asarray(own)[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)
