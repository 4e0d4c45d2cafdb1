"""What an answer that never looks at the picture scores on the test images.

A network that does no better has learnt nothing, and a difference between two such networks says nothing. Blind answers
are made from the validation images' labels, so that what they score on test is not hindsight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.average_precision import match_detections
from twinset.instances import Instances
from twinset.pixel_scores import IGNORE, PixelScores, confusion

NEXT_TO_NOTHING = 0.02
"""mAP@50 up to which a detector has found next to nothing. Blind boxes score up to .017 on four sets measured (digit
scenes .002, blood cells .017, cars from the air .00002, COCO photographs .002)."""

MOST_BOXES = 100
GRID = 64
THINNEST = 0.1
"""Pixels below which a box scaled to a smaller picture is left out."""


def blind_accuracy(labels: NDArray[np.integer]) -> float:
    """Balanced accuracy of one class for all images: one over the number of classes in ``labels`` (N,).

    >>> blind_accuracy(np.array([0, 0, 0, 1]))
    0.5
    """
    return 1 / len(np.unique(labels))


def blind_boxes(known: Sequence[Instances], truth: Sequence[Instances], *, n_classes: int) -> float:
    """mAP@50 of the same boxes in every picture, at least :data:`NEXT_TO_NOTHING`.

    The better of two answers: the median box of every class, and boxes of ``known`` (at most a hundred); all placed by
    their share of the picture's sides, classes that more of them show first. Masks fill no box, so for them this is
    rather too strict.
    """
    shares = [one.boxes / np.tile(one.size[::-1], 2) for one in known]
    crowd = [one.crowd if one.crowd is not None else np.zeros(len(one.boxes), dtype=bool) for one in known]
    counted = ~np.concatenate(crowd) if crowd else np.zeros(0, dtype=bool)
    boxes = np.concatenate([np.zeros((0, 4)), *shares])[counted]
    classes = np.concatenate([np.zeros(0, dtype=np.int64), *(one.class_ids for one in known)])[counted]
    shown = np.unique(classes)
    medians = np.array([np.median(boxes[classes == c], axis=0) for c in shown]).reshape(-1, 4)
    some = np.unique(np.linspace(0, len(boxes) - 1, min(len(boxes), MOST_BOXES)).round().astype(np.int64))
    frequency = np.bincount(classes, minlength=n_classes) / max(1, len(classes))
    answers = [(medians, shown), (boxes[some], classes[some])]
    scores = [
        match_detections(truth, [_everywhere(answer, named, frequency, one.size) for one in truth], n_classes=n_classes)
        .average_precision()
        .ap50
        for answer, named in answers
    ]
    return float(np.nanmax([*scores, NEXT_TO_NOTHING]))


def _everywhere(
    shares: NDArray[np.float64], classes: NDArray[np.int64], frequency: NDArray[np.float64], size: tuple[int, int]
) -> Instances:
    """Boxes given as shares of the sides (K, 4), in a picture of this size; rarer classes are less sure."""
    height, width = size
    boxes = shares * np.array([width, height, width, height])
    seen = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= THINNEST
    return Instances(
        size,
        classes[seen],
        boxes[seen].astype(np.float32),
        confidences=frequency[classes[seen]].astype(np.float32),
    )


def blind_map(known: Sequence[NDArray[np.integer]], truth: Sequence[NDArray[np.integer]], *, n_classes: int) -> float:
    """mIoU of the same map in every picture: the commonest class of all pixels, or of those at each place.

    The better of the two; ``known`` and ``truth`` are class ids (H, W) of any size, -1 where nothing is said.
    """
    votes = np.zeros((GRID, GRID, n_classes), dtype=np.int64)
    for one in known:
        small = _stretched(one, (GRID, GRID))
        rows, columns = np.nonzero(small != IGNORE)
        np.add.at(votes, (rows, columns, small[rows, columns]), 1)
    commonest = int(votes.sum((0, 1)).argmax())
    by_place = np.where(votes.any(2), votes.argmax(2), commonest)
    answers = [np.full((GRID, GRID), commonest), by_place]
    return max(
        PixelScores.of(
            np.stack([confusion(one, _stretched(answer, one.shape), n_classes=n_classes) for one in truth])
        ).miou
        for answer in answers
    )


def _stretched(values: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.integer]:
    """The nearest value of (H, W) at every place of another shape."""
    rows, columns = ((np.arange(new) + 0.5) * old // new for new, old in zip(shape, values.shape, strict=True))
    found: NDArray[np.integer] = values[rows.astype(np.int64)[:, None], columns.astype(np.int64)[None]]
    return found
