"""What a detector got right and wrong, picture by picture: overlap, misses and false alarms by size, double finds.

Boxes are compared, also where objects have masks. Only predictions at least as confident as a threshold count. It is
fixed beforehand: one that is tuned on test images would flatter whoever has most to gain from tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.average_precision import match_detections
from twinset.instances import Instances
from twinset.matching_detections import FALSE_ALARM, HIT
from twinset.overlap import box_overlaps
from twinset.pixel_scores import PixelScores

CONFIDENCE = 0.3
"""From here on a prediction counts."""

MEETING = 0.5
"""Overlap from which a prediction has found an object."""

DOUBLE = 0.3
"""Overlap above which two predictions are of one thing."""

CLOSE_UP = 0.3
"""Share of the picture above which its largest object makes it a close-up."""

SLACK = 1e-4
"""Relative difference below which two shares of the picture are taken as equal."""

SIDE = 1024
"""Side of the square that pictures are stretched to, for boxes' shares of the picture to compare; overlaps stay."""


def confident(found: Sequence[Instances], *, threshold: float = CONFIDENCE) -> list[Instances]:
    """The predictions with at least this confidence; ``ValueError`` where they have none."""
    kept = []
    for one in found:
        if len(one) and one.confidences is None:
            raise ValueError("expected a confidence for each prediction; got none; keep what the detector said")
        kept.append(one if one.confidences is None else one.take(one.confidences >= np.float32(threshold)))
    return kept


def object_quality(truth: Sequence[Instances], found: Sequence[Instances]) -> NDArray[np.float64]:
    """float64 (N,): mean over a picture's objects of the best overlap with any prediction of their class.

    It is 0 for an object without one. Crowds do not count. NaN where there is nothing to find. False alarms are
    counted apart.
    """
    quality = np.full(len(truth), np.nan)
    for row, (objects, predicted) in enumerate(_pairs(truth, found)):
        single = np.flatnonzero(~objects.is_crowd)
        if not len(single):
            continue
        overlap = box_overlaps(predicted.boxes, objects.boxes[single])
        overlap[predicted.class_ids[:, None] != objects.class_ids[single]] = 0.0
        quality[row] = overlap.max(axis=0, initial=0.0).mean()
    return quality


def pixel_quality(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (N,): mIoU of each picture over the classes it shows, from confusions (N, C, C); NaN where none is."""
    return np.array([PixelScores.of(one[None]).miou for one in confusions], dtype=np.float64)


@dataclass(frozen=True)
class SizeBin:
    """Boxes whose share of the picture is above ``low``, up to ``high``."""

    name: str
    low: float
    high: float


def size_bins(truth: Sequence[Instances]) -> tuple[SizeBin, ...]:
    """Thirds of the true boxes by their share of the picture, smallest first; fewer where they are of one size.

    Empty where there is no object.
    """
    shares = np.concatenate([np.zeros(0), *(_shares(one.take(~one.is_crowd)) for one in truth)])
    if not len(shares):
        return ()
    # Equal boxes of pictures of unlike sizes differ by rounding; they must not part.
    cuts = np.quantile(shares, [1 / 3, 2 / 3], method="lower") * (1 + SLACK)
    cuts = [cut for n, cut in enumerate(cuts) if cut < shares.max() and (n == 0 or cut > cuts[0] * (1 + SLACK))]
    names = {0: ("all",), 1: ("smaller", "larger"), 2: ("small", "medium", "large")}[len(cuts)]
    ends = [0.0, *(float(cut) for cut in cuts), 1.0]
    return tuple(SizeBin(name, *ends[n : n + 2]) for n, name in enumerate(names))


@dataclass(frozen=True)
class SizeErrors:
    """Errors on boxes of one size: ``objects`` there were, ``missed`` of them, and ``false_alarms`` of that size."""

    objects: int
    missed: int
    false_alarms: int


def errors_by_size(
    truth: Sequence[Instances], found: Sequence[Instances], bins: Sequence[SizeBin], *, n_classes: int
) -> tuple[SizeErrors, ...]:
    """Misses and false alarms of each bin, as COCO matches at an overlap of one half.

    A false alarm is a prediction that meets no object of its class, or one that another prediction has met already.
    """
    if not bins:
        return ()
    whole = float(SIDE) ** 2
    ranges = {"all": (0.0, 2 * whole)}
    for one in bins:
        # The ends of ranges belong to them, on both sides.
        ranges[f"bin {one.name}"] = (np.nextafter(one.low * whole, np.inf) if one.low else 0.0, one.high * whole)
    pairs = list(_pairs([_squared(one) for one in truth], [_squared(one) for one in found]))
    matches = match_detections(
        [objects for objects, _ in pairs],
        [predicted for _, predicted in pairs],
        n_classes=n_classes,
        iou_thresholds=(MEETING,),
        area_ranges=ranges,
        most=max(1, *(len(one) for one in found)),
    )
    errors = []
    for number in range(1, len(ranges)):
        outcome = matches.outcomes[number, 0]
        objects = int(matches.counted[number].sum())
        hits = int((outcome == HIT).sum())
        errors.append(SizeErrors(objects, objects - hits, int((outcome == FALSE_ALARM).sum())))
    return tuple(errors)


def close_ups(truth: Sequence[Instances]) -> NDArray[np.bool_]:
    """bool (N,): whether the largest true box covers more than ``CLOSE_UP`` of the picture."""
    return np.array([bool(_shares(one).max(initial=0.0) > CLOSE_UP) for one in truth], dtype=np.bool_)


def double_finds(truth: Sequence[Instances], found: Sequence[Instances]) -> NDArray[np.int64]:
    """int64 (N,): pairs of predictions of one class that overlap by more than ``DOUBLE`` and lie on one true object.

    A prediction lies on the object that it overlaps most, whatever its class.
    """
    return np.array([_doubles(*pair) for pair in _pairs(truth, found)], dtype=np.int64)


def _doubles(objects: Instances, predicted: Instances) -> int:
    if not len(objects) or len(predicted) < 2:
        return 0
    on = box_overlaps(predicted.boxes, objects.boxes)
    best = np.where(on.max(axis=1) > 0, on.argmax(axis=1), -1)
    together = box_overlaps(predicted.boxes, predicted.boxes) > DOUBLE
    together &= predicted.class_ids[:, None] == predicted.class_ids
    together &= (best[:, None] == best) & (best[:, None] >= 0)
    return int(np.triu(together, k=1).sum())


def _pairs(truth: Sequence[Instances], found: Sequence[Instances]) -> list[tuple[Instances, Instances]]:
    if len(truth) != len(found):
        raise ValueError(f"expected predictions for each of {len(truth)} pictures; got {len(found)}")
    return list(zip(truth, found, strict=True))


def _shares(one: Instances) -> NDArray[np.float64]:
    """float64 (K,): each box's share of the picture, as it is once the picture is stretched to a square."""
    boxes = _squared(one).boxes.astype(np.float64)
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / float(SIDE) ** 2)


def _squared(one: Instances) -> Instances:
    """Boxes alone, in a picture stretched to a square."""
    height, width = one.size
    scale = SIDE / np.array([width, height, width, height], dtype=np.float64)
    boxes = np.clip(one.boxes * scale, 0, SIDE).astype(np.float32)
    plain = Instances((SIDE, SIDE), one.class_ids, boxes, crowd=one.crowd, difficult=one.difficult)
    return replace(plain, confidences=one.confidences)
