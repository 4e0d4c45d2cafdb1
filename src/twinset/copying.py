"""Is this a copy? Pictures compared as a copyist would disguise them, and a test of whole sets.

The representation is fixed: nothing in it was fitted on anybody's images, so it may judge training and
holdout images alike. Two pictures are as far apart as the best flip and small shift leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.errors import DataError
from twinset.images import PixelBatch, resize
from twinset.membership import (
    Labels,
    Links,
    Placement,
    Scores,
    Strata,
    expected_log_minimum,
    more_hits_than_chance,
    neighbours_needed,
    placement_test,
    robust_test,
    smallest_significant_hits,
)
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


def duplicate_families(pictures: Pictures, *, nearer_than: float) -> NDArray[np.int64]:
    """(N,) the lowest row of every picture's family: those joined by distances of at most ``nearer_than``.

    Flips and shifts do not join: a burst of different photographs should stay one.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(pictures)
    features: Features = copy_features(pictures) if pictures.dtype == np.uint8 else pictures  # type: ignore[arg-type, assignment]
    if count == 1:
        return np.zeros(1, dtype=np.int64)
    distances, rows = nearest_others(features, k=min(16, count - 1))
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


@dataclass(frozen=True)
class CopyPair:
    """A synthetic image and the training image it is suspiciously near to (rows), their distance and its ratio."""

    synthetic: int
    training: int
    distance: float
    ratio: float


@dataclass(frozen=True)
class CopyTest:
    """Verdict of :func:`copy_test`.

    ``flagged`` when the joint, Bonferroni-corrected ``p_value`` is below ``alpha``. ``p_values`` holds those of
    the single tests. ``membership_auc`` is the chance that a training image is nearer to the synthetic set
    than a held-out one (.5 is chance; the lesser of the plain and the density-corrected form).
    ``training_hits`` and ``holdout_hits`` count *distinct* real images hit; ``training_share`` and
    ``holdout_share`` are the shares of synthetic images that hit one. ``counts`` are the distinct images compared,
    and as ``repeats`` the held-out images that were left out because they are training images.
    ``same_as_holdout`` counts synthetic images that are a held-out one (d₁/d₂ < .05): no generator that never saw it
    makes it. ``smallest_detectable`` is the number of distinct training images hit that would have been flagged.
    """

    flagged: bool
    p_value: float
    p_values: Mapping[str, float]
    alpha: float
    membership_auc: float
    training_hits: int
    holdout_hits: int
    training_share: float
    holdout_share: float
    pairs: tuple[CopyPair, ...]
    same_as_holdout: int
    counts: Mapping[str, int]
    smallest_detectable: int | None

    @property
    def finding(self) -> str:
        """The result in one sentence that claims no more than was tested."""
        hits = f"{self.training_hits} training and {self.holdout_hits} held-out images hit"
        if self.flagged:
            return f"copying detected (p = {self.p_value:.2g}; {hits}; membership AUC {self.membership_auc:.2f})"
        least = "no number of" if self.smallest_detectable is None else f"{self.smallest_detectable} or more"
        return f"no copying detected ({hits}); {least} copied training images would have been noticed"


def copy_test(
    synthetic: Pictures,
    training: Pictures,
    holdout: Pictures,
    *,
    alpha: float = 0.01,
    reference: Pictures | None = None,
    training_classes: NDArray[np.integer] | None = None,
    holdout_classes: NDArray[np.integer] | None = None,
) -> CopyTest:
    """Whether the synthetic set is nearer to its training images than to held-out ones of the same kind.

    All sets are images, uint8 (·, H, W, C), compared under flips and shifts (:func:`nearest_copies`), or all are
    feature rows, float (·, D), of an embedder fitted on neither training nor holdout. Joint test (Bonferroni) of

    - ``gan_leaks`` (Chen et al. 2020): is the nearest synthetic image nearer to training than to holdout images?
      Van Elteren's test, within classes. A holdout set that is merely *harder* would fail it, so the same must
      hold of log d(x, training without x) − log d(x, synthetic), at equal set sizes: the larger p-value counts.
    - ``gan_leaks_calibrated``, given ``reference`` (other real images): the same with d(x, reference) for density.
    - ``distinct_hits``: of the distinct real images hit at a ratio d₁/d₂ < .5, are more in training than chance
      allows? This finds a handful of verbatim copies that the others average away.

    Real images in several files (also across training and holdout: those count as training) are first reduced to
    one each, so a training image that is copied *because* it was duplicated is still found. Scaling all
    distances changes nothing.

    Raises ``ValueError`` for fewer than 2 training or 1 held-out images or classes of one side only, and
    :class:`DataError` if so few are left without duplicates.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"expected 0 < alpha < 1; got {alpha}")
    real = _distinct(training, holdout, training_classes, holdout_classes)
    p_values, auc = _membership(real, synthetic, reference)
    hits = _hits(real, synthetic)
    shares = np.concatenate(real.strata.member_share())
    hit_rows = np.unique(hits.rows[hits.found])
    count, other_count = real.count, len(real.pictures) - real.count
    p_values["distinct_hits"] = more_hits_than_chance(shares[hit_rows], int((hit_rows < count).sum()))
    joint = min(1.0, len(p_values) * min(p_values.values()))
    others = int((hit_rows >= count).sum())
    return CopyTest(
        flagged=joint < alpha,
        p_value=joint,
        p_values=p_values,
        alpha=alpha,
        membership_auc=auc,
        training_hits=int((hit_rows < count).sum()),
        holdout_hits=others,
        training_share=float((hits.found & (hits.rows < count)).mean()),
        holdout_share=float((hits.found & (hits.rows >= count)).mean()),
        pairs=_pairs(hits, real, synthetic),
        same_as_holdout=int(((hits.rows >= count) & (_ratio(hits.distances, hits.seconds) < SAME_RATIO)).sum()),
        counts={"training": count, "holdout": other_count, "synthetic": len(synthetic), "repeats": real.repeats},
        smallest_detectable=smallest_significant_hits(
            count / (count + other_count), others, alpha=alpha / len(p_values)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Real:
    """Distinct real images, training first.

    Beside them all training images with the row of the distinct image that stands for each, who is compared with
    whom, how near held-out images usually are to training images, and how many held-out images were left out because
    they are training images.
    """

    pictures: Pictures
    count: int
    training: Pictures
    stands_for: NDArray[np.int64]
    strata: Strata
    typical: float
    repeats: int

    def log_nearness(self, others: Pictures, *, draws: int) -> _Nearness:
        """How near each real image is to ``others``, were there ``draws`` of them."""
        k = neighbours_needed(total=len(others), draws=draws)
        distances, rows = nearest_pictures(self.pictures, others, k=k)
        expected = expected_log_minimum(distances, total=len(others), draws=draws, floor=0.02 * self.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def log_density(self, *, draws: int) -> _Nearness:
        """How near each real image is to the other training images."""
        total = self.count - 1
        itself = np.where(np.arange(len(self.pictures)) < self.count, np.arange(len(self.pictures)), -1)
        k = neighbours_needed(total=total, draws=draws)
        distances, rows = nearest_pictures(self.pictures, self.pictures[: self.count], k=k, exclude=itself)
        expected = expected_log_minimum(distances, total=total, draws=draws, floor=0.02 * self.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def compare(self, scores: Scores) -> Placement:
        """Do training images score higher than held-out ones?"""
        return placement_test(scores[: self.count], scores[self.count :], self.strata)


@dataclass(frozen=True, eq=False)
class _Nearness:
    """Of every real image: the expected log distance, the least distance, and to which row it leads."""

    log: Scores
    least: Scores
    rows: NDArray[np.int64]


def _distinct(
    training: Pictures, holdout: Pictures, training_classes: Labels | None, holdout_classes: Labels | None
) -> _Real:
    if (training_classes is None) != (holdout_classes is None):
        raise ValueError("expected classes of both training and holdout, or of neither; got one of them")
    if len(training) < 2 or not len(holdout):
        raise ValueError(f"expected ≥ 2 training and ≥ 1 held-out images; got {len(training)} and {len(holdout)}")
    across = nearest_pictures(holdout, training, k=1)[0][:, 0]
    typical = usual_distance(across)
    limit = DUPLICATE_SHARE * typical
    first, stands_for = np.unique(duplicate_families(training, nearer_than=limit), return_inverse=True)
    repeats = np.flatnonzero(across <= limit)
    second = np.setdiff1d(duplicate_families(holdout, nearer_than=limit), repeats)
    if len(first) < 2 or not len(second):
        raise DataError(
            "expected ≥ 2 distinct training images and ≥ 1 held-out image that is none of them; "
            f"got {len(first)} and {len(second)}",
            hint="keep real images out that are training images",
        )
    a = np.zeros(len(training), dtype=np.int64) if training_classes is None else np.asarray(training_classes)
    b = np.zeros(len(holdout), dtype=np.int64) if holdout_classes is None else np.asarray(holdout_classes)
    pictures = np.concatenate([training[first], holdout[second]])
    return _Real(pictures, len(first), training, stands_for, Strata.of(a[first], b[second]), typical, len(repeats))


def _membership(real: _Real, synthetic: Pictures, reference: Pictures | None) -> tuple[dict[str, float], float]:
    """p-values of the nearest-synthetic-image tests, and the membership AUC."""
    draws = min(len(synthetic), real.count - 1)
    made, dense = real.log_nearness(synthetic, draws=draws), real.log_density(draws=draws)
    plain = real.compare(-made.least)
    scores = dense.log - made.log
    members, others = scores[: real.count], scores[real.count :]
    corrected = robust_test(members, others, real.strata, links=Links(member=dense.rows, synthetic=made.rows))
    p_values = {"gan_leaks": max(plain.p_value, corrected.p_value)}
    if reference is not None:
        draws = min(len(synthetic), len(reference))
        known = real.log_nearness(reference, draws=draws).log
        calibrated = real.compare(known - real.log_nearness(synthetic, draws=draws).log)
        p_values["gan_leaks_calibrated"] = max(calibrated.p_value, corrected.p_value)
    return p_values, min(plain.auc, corrected.auc)


@dataclass(frozen=True, eq=False)
class _Hits:
    """Of every synthetic image: the nearest distinct real image, its distance and that of the next."""

    rows: NDArray[np.int64]
    distances: Scores
    seconds: Scores

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether the ratio of the two is that of a copy."""
        return _ratio(self.distances, self.seconds) < HIT_RATIO


def _ratio(first: Scores, second: Scores) -> Scores:
    ratio: Scores = first / np.maximum(second, np.finfo(float).tiny)
    return ratio


def _hits(real: _Real, synthetic: Pictures) -> _Hits:
    distances, rows = nearest_pictures(synthetic, real.pictures, k=2)
    return _Hits(rows[:, 0], distances[:, 0], distances[:, 1])


def _pairs(hits: _Hits, real: _Real, synthetic: Pictures) -> tuple[CopyPair, ...]:
    """Synthetic images with the training file they come suspiciously near to, closest first.

    Here every file counts, not one for all of its duplicates; d₂ is the distance to a real image that is none of them.
    """
    nearest_distances, nearest_rows = nearest_pictures(synthetic, real.training, k=1)
    distances, rows = nearest_distances[:, 0], nearest_rows[:, 0]
    seconds = np.where(hits.rows == real.stands_for[rows], hits.seconds, hits.distances)
    ratios = _ratio(distances, seconds)
    suspects = np.flatnonzero(ratios < HIT_RATIO)
    suspects = suspects[np.lexsort((suspects, distances[suspects], ratios[suspects]))]
    return tuple(CopyPair(int(s), int(rows[s]), float(distances[s]), float(ratios[s])) for s in suspects)
