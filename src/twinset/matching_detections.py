"""Which detection meets which object, as COCO decides it, for all pictures at once.

COCO goes through the detections of a picture and class by falling confidence; each takes, of the objects that no other
has taken and that it overlaps enough, the one it overlaps most. Objects that are left out (crowds, sizes out of range)
are taken only where nothing else is left, and crowds may be taken often. A detection's choice depends only on those of
higher rank in its own picture and class. Therefore the n-th ones of all pictures, at all overlaps asked for and in all
ranges of area, choose in one step; and only pairs that overlap enough for the lowest threshold ever come into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from twinset.instances import Instances
from twinset.overlap import Packed, box_areas, packed, packed_areas, packed_overlaps, paired_box_overlaps

Kind = Literal["boxes", "masks"]

_Item = TypeVar("_Item", bound=np.generic)

FALSE_ALARM, HIT, LEFT_OUT = 0, 1, 2
"""What becomes of a detection; what is left out counts neither for nor against."""

PAIRS_AT_ONCE = 1 << 15
"""Bounds the memory of the search for pairs (about 200 bytes each)."""

CHOICES_AT_ONCE = 1 << 11
"""Detections that choose together: few enough that their tables stay in the processor's cache."""


@dataclass(frozen=True)
class Objects:
    """The objects of all pictures in one row of arrays, sorted by picture, then class, then (detections) rank.

    ``images``, ``rows`` (place in their picture), ``class_ids`` int64 (K,); ``groups`` int64 (K,) number picture and
    class together; ``boxes`` float64 (K, 4); ``areas``, ``scores`` float64 (K,); ``crowd``, ``difficult`` bool (K,);
    ``masks`` packed, empty where boxes are compared.
    """

    images: NDArray[np.int64]
    rows: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    groups: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    scores: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    masks: tuple[Packed, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: NDArray[np.int64]) -> Objects:
        """The objects at ``index``, in this order."""
        arrays = {name: value[index] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return Objects(**arrays, masks=tuple(self.masks[i] for i in index) if self.masks else ())

    def ranks(self) -> NDArray[np.int64]:
        """int64 (K,): place among those of the same picture and class, from 0."""
        return np.asarray(np.arange(len(self)) - np.searchsorted(self.groups, self.groups))


def gather_truth(pictures: Sequence[Instances], *, n_classes: int, kind: Kind) -> Objects:
    """The true objects; an area is what the source states, else that of the mask, else that of the box."""
    areas = _joined([_stated_areas(picture) for picture in pictures], np.float64)
    masks = [mask for picture in pictures for mask in picture.masks or (None,) * len(picture)]
    wanted = [i for i in np.flatnonzero(np.isnan(areas)) if masks[i] is not None]
    areas[wanted] = packed_areas(packed([mask for i in wanted if (mask := masks[i]) is not None]))
    objects = _gathered(pictures, areas, np.zeros(len(areas)), n_classes=n_classes, kind=kind)
    return objects.take(np.argsort(objects.groups, kind="stable"))


def gather_found(pictures: Sequence[Instances], *, n_classes: int, kind: Kind, most: int) -> Objects:
    """The ``most`` most confident detections of each picture and class; ties keep their order.

    Areas are those of what is compared, boxes or masks. ``ValueError`` without confidences.
    """
    for n, picture in enumerate(pictures):
        if len(picture) and (picture.confidences is None or np.isnan(picture.confidences).any()):
            raise ValueError(f"expected a confidence for each detection; got none for some in picture {n}")
    scores = _joined([picture.confidences for picture in pictures if picture.confidences is not None], np.float64)
    objects = _gathered(pictures, np.full(len(scores), np.nan), scores, n_classes=n_classes, kind=kind)
    if kind == "masks":
        objects.areas[:] = packed_areas(objects.masks)
    objects = objects.take(np.lexsort((-objects.scores, objects.groups)))
    return objects.take(np.flatnonzero(objects.ranks() < most))


def outcomes(
    truth: Objects, found: Objects, left_out: NDArray[np.bool_], outside: NDArray[np.bool_], thresholds: Sequence[float]
) -> NDArray[np.uint8]:
    """uint8 (A, T, D): what becomes of each detection, in A ranges of area and at T thresholds of overlap.

    ``left_out`` bool (A, G): objects that do not count there. ``outside`` bool (A, D): detections out of that range,
    which are left out where they meet nothing.
    """
    # The cap is cocoapi's: at a threshold of 1 rounding must not part equal boxes.
    reach = np.minimum(np.asarray(thresholds, dtype=np.float64), 1 - 1e-10)
    pairs = _near_pairs(truth, found, float(reach.min()))
    result = np.full((len(found), len(left_out), len(reach)), FALSE_ALARM, dtype=np.uint8)
    result[outside.T] = LEFT_OUT
    taken = np.zeros((len(truth), len(left_out), len(reach)), dtype=np.bool_)
    for step in _steps(found, pairs):
        _choose(step, pairs, reach, left_out.T, truth.crowd, taken, result)
    return np.ascontiguousarray(result.transpose(1, 2, 0))


@dataclass(frozen=True)
class _Pairs:
    """Detection, object and overlap, (P,) each, sorted by detection.

    ``merit`` int64 (P,) is 1…P, rising with overlap, then with the place of the object: cocoapi lets the last of
    equals win. ``by_merit`` (P,) leads from merit − 1 back to the object.
    """

    found: NDArray[np.int64]
    truth: NDArray[np.int64]
    overlap: NDArray[np.float64]
    merit: NDArray[np.int64]
    by_merit: NDArray[np.int64]


def _near_pairs(truth: Objects, found: Objects, least: float) -> _Pairs:
    parts = list(_near_masks(truth, found, least) if found.masks else _near_boxes(truth, found, least))
    d, g = (_joined([part[i] for part in parts], np.int64) for i in (0, 1))
    overlap = _joined([part[2] for part in parts], np.float64)
    order = np.lexsort((g, overlap))
    merit = np.empty(len(order), dtype=np.int64)
    merit[order] = np.arange(1, len(order) + 1)
    return _Pairs(d, g, overlap, merit, g[order])


_Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def _near_boxes(truth: Objects, found: Objects, least: float) -> Iterator[_Part]:
    first = np.searchsorted(truth.groups, found.groups, side="left")
    counts = np.searchsorted(truth.groups, found.groups, side="right") - first
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(found):
        before = ends[begin] - counts[begin]
        end = max(begin + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
        n = counts[begin:end]
        d = np.repeat(np.arange(begin, end), n)
        g = np.arange(len(d)) - np.repeat(np.cumsum(n) - n - first[begin:end], n)
        overlap = paired_box_overlaps(found.boxes[d], truth.boxes[g], truth.crowd[g])
        near = np.flatnonzero(overlap >= least)
        yield d[near], g[near], overlap[near]
        begin = end


def _near_masks(truth: Objects, found: Objects, least: float) -> Iterator[_Part]:
    groups = np.intersect1d(truth.groups, found.groups)
    d_bounds = [np.searchsorted(found.groups, groups, side=side).tolist() for side in ("left", "right")]
    g_bounds = [np.searchsorted(truth.groups, groups, side=side).tolist() for side in ("left", "right")]
    for d0, d1, g0, g1 in zip(*d_bounds, *g_bounds, strict=True):
        overlap = packed_overlaps(found.masks[d0:d1], truth.masks[g0:g1], truth.crowd[g0:g1])
        d, g = np.nonzero(overlap >= least)
        yield d + d0, g + g0, overlap[d, g]


def _steps(found: Objects, pairs: _Pairs) -> Iterator[NDArray[np.int64]]:
    """Rows of pairs: those of the first detection (of all that meet anything) of every group, of the second, …"""
    able, place = np.unique(pairs.found, return_inverse=True)
    groups = found.groups[able]
    rank = (np.arange(len(able)) - np.searchsorted(groups, groups))[place]
    order = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[order], np.arange(int(rank.max(initial=-1)) + 2))
    for low, high in pairwise(bounds.tolist()):
        yield order[low:high]


def _choose(
    step: NDArray[np.int64],
    pairs: _Pairs,
    reach: NDArray[np.float64],
    left_out: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    result: NDArray[np.uint8],
) -> None:
    """Every detection of the step takes its object; ``taken`` (G, A, T) and ``result`` (D, A, T) are written."""
    begins = np.flatnonzero(np.diff(pairs.found[step], prepend=-1))
    # Detections of a step are of different pictures or classes, so they may choose in any portions.
    for first in range(0, len(begins), CHOICES_AT_ONCE):
        ends = begins[first + CHOICES_AT_ONCE : first + CHOICES_AT_ONCE + 1]
        some = step[begins[first] : int(ends[0]) if len(ends) else None]
        starts = begins[first : first + CHOICES_AT_ONCE] - begins[first]
        _choose_now(some, starts, pairs, reach, left_out, crowd, taken, result)


def _choose_now(
    step: NDArray[np.int64],
    starts: NDArray[np.int64],
    pairs: _Pairs,
    reach: NDArray[np.float64],
    left_out: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    result: NDArray[np.uint8],
) -> None:
    """As :func:`_choose`, with the pairs of each detection from ``starts`` on."""
    d, g, n = pairs.found[step], pairs.truth[step], len(pairs.merit)
    open_ = ~taken[g]
    open_ |= crowd[g, None, None]
    open_ &= (pairs.overlap[step, None] >= reach)[:, None, :]
    # Objects that count come before all that do not, whatever the overlap.
    merit = pairs.merit[step, None] + np.where(left_out[g], 0, n)
    best = np.maximum.reduceat(open_ * merit[..., None], starts, axis=0)
    row, area, threshold = np.nonzero(best)
    winner = best[row, area, threshold]
    taken[pairs.by_merit[(winner - 1) % n], area, threshold] = True
    result[d[starts][row], area, threshold] = np.where(winner > n, HIT, LEFT_OUT)


def _gathered(
    pictures: Sequence[Instances],
    areas: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    n_classes: int,
    kind: Kind,
) -> Objects:
    counts = [len(picture) for picture in pictures]
    images = np.repeat(np.arange(len(pictures)), counts)
    class_ids = _joined([picture.class_ids for picture in pictures], np.int64)
    if len(class_ids) and class_ids.max() >= n_classes:
        raise ValueError(f"expected class ids below {n_classes}; got {class_ids.max()}")
    boxes = _joined([picture.boxes for picture in pictures], np.float64).reshape(-1, 4)
    return Objects(
        images,
        np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts),
        class_ids,
        images * n_classes + class_ids,
        boxes,
        np.where(np.isnan(areas), box_areas(boxes), areas),
        scores,
        _joined([picture.is_crowd for picture in pictures], np.bool_),
        _joined([picture.is_difficult for picture in pictures], np.bool_),
        tuple(_packed_masks(pictures)) if kind == "masks" else (),
    )


def _packed_masks(pictures: Sequence[Instances]) -> list[Packed]:
    for n, picture in enumerate(pictures):
        if len(picture) and not picture.has_masks:
            raise ValueError(f"expected a mask for each object; got none for some in picture {n}; compare boxes")
    return packed([mask for picture in pictures for mask in picture.masks or () if mask is not None])


def _stated_areas(picture: Instances) -> NDArray[np.float32]:
    return np.full(len(picture), np.nan, dtype=np.float32) if picture.areas is None else picture.areas


def _joined(parts: Sequence[NDArray[np.generic]], dtype: type[_Item]) -> NDArray[_Item]:
    empty = np.zeros((0, *(parts[0].shape[1:] if parts else ())), dtype=dtype)
    return np.concatenate([empty, *parts], dtype=dtype, casting="same_kind")
