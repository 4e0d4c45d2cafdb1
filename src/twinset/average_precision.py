"""Average precision and recall of detections as COCO reports them, from arrays; and for many weightings at once.

Lin et al., "Microsoft COCO", ECCV 2014, as cocoapi computes it: per class and threshold, the precision at 101 levels
of recall, each the best at that recall or a higher one; classes without objects are left out. Where nothing can be
said, cocoapi says −1 and we say NaN (in JSON: null).

Weights are how often each picture counts. They multiply its objects, hits and false alarms, which is what repeating
the picture would do, as long as no two detections of one picture and class are equally confident: of such a pair,
repeated, copies would take turns, where weights leave them in two blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.instances import Instances
from twinset.interpolated_precision import mean_of_known, means_of_known, precisions
from twinset.matching_detections import HIT, Kind, gather_found, gather_truth, outcomes

COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""Overlaps from which on a detection may meet an object."""

COCO_AREAS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
)
"""Ranges of area in pixels, both ends included; one of them is ``all``."""

VALUES_AT_ONCE = 1 << 21
"""Bounds the memory of resampling: weights × detections held at a time (about 60 bytes each)."""


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's twelve figures, 0…1 or NaN where there is nothing to find, and AP and AP50 by class.

    ``ap`` is the mean over thresholds and classes; ``ap_small`` … over objects of that size. ``ar1`` and ``ar10`` are
    mean recalls with that many detections a picture and class, ``ar100`` with as many as were matched (COCO: 100).
    ``class_ap``, ``class_ap50`` float64 (C,); ``objects`` int64 (C,) how many count in the range ``all``.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    class_ap: NDArray[np.float64]
    class_ap50: NDArray[np.float64]
    objects: NDArray[np.int64]

    def figures(self) -> dict[str, float]:
        """The twelve by name, in COCO's order."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name.startswith(("ap", "ar"))}

    def to_json(self) -> dict[str, object]:
        """The figures as plain JSON types, null for NaN."""
        by_class = {"class_ap": self.class_ap.tolist(), "class_ap50": self.class_ap50.tolist()}
        return {
            **{name: _or_null(value) for name, value in self.figures().items()},
            **{name: [_or_null(value) for value in values] for name, values in by_class.items()},
            "objects": self.objects.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of every detection, ready to be scored; arrays only.

    Detections, D of them, by class, then falling score, then picture: ``images``, ``class_ids``, ``rows`` (place in
    their picture's ``found``), ``ranks`` (among those of picture and class) int32 (D,); ``scores`` float64 (D,);
    ``outcomes`` uint8 (A, T, D): 0 false alarm, 1 hit, 2 left out. Objects, G of them, by class: ``object_images``,
    ``object_classes`` int32 (G,), ``counted`` bool (A, G). A ranges of area in the order of ``areas``; T overlaps in
    ``iou_thresholds``.
    """

    images: NDArray[np.int32]
    class_ids: NDArray[np.int32]
    rows: NDArray[np.int32]
    ranks: NDArray[np.int32]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.uint8]
    object_images: NDArray[np.int32]
    object_classes: NDArray[np.int32]
    counted: NDArray[np.bool_]
    iou_thresholds: tuple[float, ...]
    areas: tuple[str, ...]
    n_images: int
    n_classes: int

    def average_precision(self, *, weights: NDArray[np.integer] | None = None) -> AveragePrecision:
        """COCO's figures, with each picture counted ``weights`` (N,) times (integers ≥ 0; once by default)."""
        once = np.ones(self.n_images, dtype=np.int64) if weights is None else np.asarray(weights)
        rows = self._checked(once[None] if once.ndim == 1 else once, n_rows=1)
        precision = {area: self._class_precision(area, range(len(self.iou_thresholds)), rows)[0] for area in self.areas}
        nowhere = np.full_like(precision["all"], np.nan)
        at50, at75 = (self._at(value) for value in (0.5, 0.75))
        recall = {area: self._class_recall(area, rows[0]) for area in self.areas}
        by_class = precision["all"][at50].mean(axis=0) if at50 else nowhere[0]
        return AveragePrecision(
            ap=mean_of_known(precision["all"]),
            ap50=mean_of_known(precision["all"][at50]),
            ap75=mean_of_known(precision["all"][at75]),
            ap_small=mean_of_known(precision.get("small", nowhere)),
            ap_medium=mean_of_known(precision.get("medium", nowhere)),
            ap_large=mean_of_known(precision.get("large", nowhere)),
            ar1=mean_of_known(self._class_recall("all", rows[0], most=1)),
            ar10=mean_of_known(self._class_recall("all", rows[0], most=10)),
            ar100=mean_of_known(recall["all"]),
            ar_small=mean_of_known(recall.get("small", nowhere)),
            ar_medium=mean_of_known(recall.get("medium", nowhere)),
            ar_large=mean_of_known(recall.get("large", nowhere)),
            class_ap=precision["all"].mean(axis=0),
            class_ap50=by_class,
            objects=np.array([self._positives("all", c, rows)[0] for c in range(self.n_classes)], dtype=np.int64),
        )

    def resampled(
        self, weights: NDArray[np.integer], *, figure: Literal["ap", "ap50", "ap75"] = "ap"
    ) -> NDArray[np.float64]:
        """float64 (B,): the figure under each row of ``weights`` (B, N), integers ≥ 0; NaN where no object is left.

        A class without objects in a row is left out of that row's mean.
        """
        rows = self._checked(weights)
        thresholds = (
            range(len(self.iou_thresholds)) if figure == "ap" else self._at({"ap50": 0.5, "ap75": 0.75}[figure])
        )
        if not thresholds:
            raise ValueError(f"expected matches at the threshold of {figure}; got {self.iou_thresholds}")
        return means_of_known(self._class_precision("all", thresholds, rows).mean(axis=1))

    def _at(self, threshold: float) -> list[int]:
        return [t for t, value in enumerate(self.iou_thresholds) if abs(value - threshold) < 1e-9]

    def _checked(self, weights: NDArray[np.integer], *, n_rows: int | None = None) -> NDArray[np.float64]:
        shape = (len(weights) if n_rows is None else n_rows, self.n_images)
        if weights.shape != shape or weights.dtype.kind not in "iu" or (weights.size and weights.min() < 0):
            raise ValueError(f"expected weights {shape}, integers ≥ 0; got {weights.dtype} {weights.shape}")
        return weights.astype(np.float64)

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        """Where the detections and the objects of each class begin, and where those of the last one end."""
        classes = np.arange(self.n_classes + 1, dtype=np.int32)
        first, second = (np.searchsorted(ids, classes) for ids in (self.class_ids, self.object_classes))
        return first.tolist(), second.tolist()

    def _slices(self) -> Iterator[tuple[int, slice, slice]]:
        """Each class that has objects, where its detections stand, and where its objects."""
        found, true = self._bounds
        for c in range(self.n_classes):
            if true[c] < true[c + 1]:
                yield c, slice(found[c], found[c + 1]), slice(true[c], true[c + 1])

    def _positives(self, area: str, c: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        where = slice(*self._bounds[1][c : c + 2])
        counted = self.counted[self.areas.index(area), where]
        return np.asarray(weights[:, self.object_images[where][counted]].sum(axis=1))

    def _class_precision(
        self, area: str, thresholds: Sequence[int], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """float64 (B, T, C) under weights (B, N), at the ``thresholds`` with these numbers."""
        result = np.full((len(weights), len(thresholds), self.n_classes), np.nan)
        table = self.outcomes[self.areas.index(area)]
        for c, found, _ in self._slices():
            at_once = max(1, VALUES_AT_ONCE // (found.stop - found.start + 1))
            for low in range(0, len(weights), at_once):
                part = weights[low : low + at_once]
                positives = self._positives(area, c, part)
                outcome = table[list(thresholds), found]
                result[low : low + at_once, :, c] = precisions(outcome, self.images[found], part, positives)
        return result

    def _class_recall(self, area: str, weights: NDArray[np.float64], most: int | None = None) -> NDArray[np.float64]:
        """float64 (T, C) under weights (N,), with the first ``most`` detections of each picture and class."""
        result = np.full((len(self.iou_thresholds), self.n_classes), np.nan)
        table = self.outcomes[self.areas.index(area)]
        for c, found, _ in self._slices():
            positives = self._positives(area, c, weights[None])[0]
            if positives:
                seen = weights[self.images[found]]
                seen = seen if most is None else seen * (self.ranks[found] < most)
                result[:, c] = (table[:, found] == HIT) @ seen / positives
        return result


def match_detections(
    truth: Sequence[Instances],
    found: Sequence[Instances],
    *,
    n_classes: int,
    kind: Kind = "boxes",
    iou_thresholds: Sequence[float] = COCO_THRESHOLDS,
    area_ranges: Mapping[str, tuple[float, float]] = COCO_AREAS,
    most: int = 100,
    ignore_difficult: bool = False,
) -> Matches:
    """Which detection meets which object, in pictures 0…N−1 of ``truth`` and ``found``; see :mod:`matching_detections`.

    Boxes are compared, or the visible masks. Crowds never count; nor, with ``ignore_difficult``, do difficult objects
    (either may still be met without blame: crowds often, difficult objects once). The area of an object is what its
    source states, else that of its mask, else of its box; that of a detection, of what is compared. ``ValueError`` for
    lists of different length or sizes, class ids from ``n_classes`` on, missing confidences or masks, thresholds
    outside (0, 1], or ranges without ``all``.
    """
    _check(truth, found, iou_thresholds, area_ranges, most)
    objects = gather_truth(truth, n_classes=n_classes, kind=kind)
    detections = gather_found(found, n_classes=n_classes, kind=kind, most=most)
    ignored = objects.crowd | objects.difficult if ignore_difficult else objects.crowd
    bounds = np.array(list(area_ranges.values()), dtype=np.float64)[..., None]
    outside, out_of_range = ((one.areas < bounds[:, 0]) | (one.areas > bounds[:, 1]) for one in (detections, objects))
    left_out = out_of_range | ignored
    table = outcomes(objects, detections, left_out, outside, iou_thresholds)
    order = np.lexsort((-detections.scores, detections.class_ids))
    by_class = np.argsort(objects.class_ids, kind="stable")
    return Matches(
        images=detections.images[order].astype(np.int32),
        class_ids=detections.class_ids[order].astype(np.int32),
        rows=detections.rows[order].astype(np.int32),
        ranks=detections.ranks()[order].astype(np.int32),
        scores=detections.scores[order],
        outcomes=table[..., order],
        object_images=objects.images[by_class].astype(np.int32),
        object_classes=objects.class_ids[by_class].astype(np.int32),
        counted=~left_out[:, by_class],
        iou_thresholds=tuple(float(value) for value in iou_thresholds),
        areas=tuple(area_ranges),
        n_images=len(truth),
        n_classes=n_classes,
    )


def _check(
    truth: Sequence[Instances],
    found: Sequence[Instances],
    iou_thresholds: Sequence[float],
    area_ranges: Mapping[str, tuple[float, float]],
    most: int,
) -> None:
    if not truth or len(truth) != len(found):
        raise ValueError(f"expected as many pictures of truth as of detections, not 0; got {len(truth)}, {len(found)}")
    for n, (a, b) in enumerate(zip(truth, found, strict=True)):
        if a.size != b.size:
            raise ValueError(f"expected one size of picture {n}; got {a.size} in truth and {b.size} in detections")
    if not iou_thresholds or not all(0 < value <= 1 for value in iou_thresholds):
        raise ValueError(f"expected thresholds of overlap in (0, 1]; got {tuple(iou_thresholds)}")
    if "all" not in area_ranges:
        raise ValueError(f"expected a range of areas named 'all'; got {sorted(area_ranges)}")
    if most < 1:
        raise ValueError(f"expected at least 1 detection a picture and class; got {most}")


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
