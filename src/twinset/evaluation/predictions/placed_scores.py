"""Intervals for what detectors and segmenters score: AP and IoU by class and subgroup, and their means.

The figures are those of :mod:`twinset.average_precision` (COCO's, boxes or masks, with crowds) and
:mod:`twinset.pixel_scores` (all pixels together); here they get 95 % intervals that hold for all classes, or all
subgroups, at once (:mod:`twinset.evaluation.predictions.simultaneous`).

IoU of a class is a ratio of sums over images, and is linearised. AP is not: images, or whole families of them, are
drawn with replacement ``draws`` times from the per-image matches; the draws' spread and dependence serve, and not their
quantiles, which would carry AP's small-sample bias twice. Each figure has Student's t at the number of families with an
object of its class. Draws from few families of a class show too little spread (none from a single one), so the mean
over classes allows for half a family more or less of each, as :meth:`~.simultaneous.Estimates.mean` does for all means.
The target is the figure's expectation over test sets of that size, given the trained network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.average_precision import Matches
from twinset.evaluation.predictions.share_scores import group_names, share_scores
from twinset.evaluation.predictions.simultaneous import Estimates, Joint, checked_families
from twinset.evaluation.protocol import Families
from twinset.pixel_scores import PixelScores
from twinset.randomness import Stream
from twinset.scores import Score

Array = NDArray[np.float64]
Groups = NDArray[np.integer]
Figure = Literal["ap", "ap50", "ap75"]
DRAWS = 1000
COVERAGE = ".94–.98 simulated (four laws of detectors, 50 and 200 images)"
"""How often the interval of the mean over classes held its expectation: ``benchmarks/interval_coverage.py``."""


def average_precision_scores(
    matches: Matches,
    *,
    rng: Stream,
    figure: Figure = "ap",
    class_names: Sequence[str] | None = None,
    groups: Groups | None = None,
    names: Sequence[str] | None = None,
    families: Families | None = None,
    joint: Joint = "max_t",
    draws: int = DRAWS,
) -> list[Score]:
    """``ap`` (or ``ap50``, ``ap75``), ``ap[class]`` of every class, and with ``groups`` ``ap[group=…]``; 0…1.

    ``matches`` of N images as :func:`~twinset.average_precision.match_detections` gives them; ``groups`` int (N,)
    numbers the subgroups of images from 0, called ``names``; ``families`` (N,) says which images belong together.
    Classes and subgroups without an object are undefined. O(draws · detections · overlaps).
    """
    named = _class_names(class_names, matches.n_classes)
    weights = _family_draws(matches.n_images, families, draws, rng.child("draws", figure))
    classes = [_only(matches, c) for c in range(matches.n_classes)]
    everywhere = np.ones(matches.n_images, dtype=np.bool_)
    each, whole = _by_class(classes, everywhere, weights, figure, families)
    objects = [_objects_by_image(one) for one in classes]
    counts = {"real": matches.n_images, "objects": int(sum(one.sum() for one in objects))}
    per_class = [{"real": int((one > 0).sum()), "objects": int(one.sum())} for one in objects]
    settings: dict[str, str | int | float] = {"estimator": "COCO, 101 recalls", "draws": draws}
    told = settings | {"interval_coverage": COVERAGE}
    scores = share_scores(whole, [figure], counts=[counts], settings=told)
    labels = [f"{figure}[{name}]" for name in named]
    scores += share_scores(each, labels, counts=per_class, settings=settings, joint=joint, rng=rng.child("classes"))
    if groups is None:
        return scores
    parts = _parts(groups, matches.n_images, names)
    by_group = Estimates.side_by_side([_by_class(classes, inside, weights, figure, families)[1] for _, inside in parts])
    sizes = [{"real": int(inside.sum())} for _, inside in parts]
    labels = [f"{figure}[group={name}]" for name, _ in parts]
    return scores + share_scores(
        by_group, labels, counts=sizes, settings=settings, joint=joint, rng=rng.child("groups")
    )


def segmentation_scores(
    confusions: NDArray[np.int64],
    *,
    rng: Stream,
    class_names: Sequence[str] | None = None,
    groups: Groups | None = None,
    names: Sequence[str] | None = None,
    families: Families | None = None,
    joint: Joint = "max_t",
) -> list[Score]:
    """``miou``, ``mean_dice``, ``pixel_accuracy``, ``iou[class]``, ``dice[class]``, with ``groups`` ``miou[group=…]``.

    ``confusions`` int64 (N, C, C) of N images, as :func:`~twinset.pixel_scores.confusion` gives them (rows: truth).
    Classes without a true pixel are undefined, and left out of means. All 0…1, higher is better.

    >>> two = np.array([[[3, 1], [0, 4]], [[4, 0], [1, 3]]])
    >>> found = segmentation_scores(two, rng=Stream(0))
    >>> [round(score.value, 3) for score in found[:1] + found[3:5]]  # IoU 7/9 and 7/9
    [0.778, 0.778, 0.778]
    """
    values = PixelScores.of(confusions)
    n_images, n_classes = confusions.shape[:2]
    named = _class_names(class_names, n_classes)
    iou, dice = _overlaps(confusions, families)
    total = confusions.sum(axis=(1, 2))[:, None].astype(np.float64)
    met = np.trace(confusions, axis1=1, axis2=2)[:, None].astype(np.float64)
    accuracy = replace(Estimates.ratios(met, total, families=families), grouped=True)
    counts = {"real": n_images}
    per_class = [{"real": int(seen)} for seen in (confusions.sum(axis=2) > 0).sum(axis=0)]
    scores = [
        *share_scores(iou.mean(), ["miou"], counts=[counts]),
        *share_scores(dice.mean(), ["mean_dice"], counts=[counts]),
        *share_scores(accuracy, ["pixel_accuracy"], counts=[counts]),
    ]
    for kind, estimates, given in (("iou", iou, values.iou), ("dice", dice, values.dice)):
        labels = [f"{kind}[{name}]" for name in named]
        scores += share_scores(
            replace(estimates, values=given), labels, counts=per_class, joint=joint, rng=rng.child("classes", kind)
        )
    if groups is None:
        return scores
    parts = _parts(groups, n_images, names)
    by_group = Estimates.side_by_side(
        [_overlaps(confusions * inside[:, None, None], families)[0].mean() for _, inside in parts]
    )
    sizes = [{"real": int(inside.sum())} for _, inside in parts]
    labels = [f"miou[group={name}]" for name, _ in parts]
    return scores + share_scores(by_group, labels, counts=sizes, joint=joint, rng=rng.child("groups"))


def _overlaps(confusions: NDArray[np.int64], families: Families | None) -> tuple[Estimates, Estimates]:
    """IoU and Dice by class (C,), NaN for classes without a true pixel."""
    met = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    both = (confusions.sum(axis=2) + confusions.sum(axis=1)).astype(np.float64)
    there = confusions.sum(axis=(0, 2)) > 0
    found = []
    for above, below in ((met, both - met), (2 * met, both)):
        estimates = Estimates.ratios(above, below, families=families)
        # Pixels of an image go together: errors are estimated from images, however many pixels they have.
        found.append(replace(estimates, values=np.where(there, estimates.values, np.nan), grouped=True))
    return found[0], found[1]


def _only(matches: Matches, class_id: int) -> Matches:
    """The matches of one class."""
    mine, true = matches.class_ids == class_id, matches.object_classes == class_id
    return replace(
        matches,
        images=matches.images[mine],
        class_ids=matches.class_ids[mine],
        rows=matches.rows[mine],
        ranks=matches.ranks[mine],
        scores=matches.scores[mine],
        outcomes=matches.outcomes[..., mine],
        object_images=matches.object_images[true],
        object_classes=matches.object_classes[true],
        counted=matches.counted[:, true],
    )


def _objects_by_image(matches: Matches) -> NDArray[np.int64]:
    """(N,): objects that count, of any size."""
    counted = matches.counted[matches.areas.index("all")]
    return np.bincount(matches.object_images[counted], minlength=matches.n_images)


def _by_class(
    classes: Sequence[Matches],
    inside: NDArray[np.bool_],
    weights: NDArray[np.int64],
    figure: Figure,
    families: Families | None,
) -> tuple[Estimates, Estimates]:
    """A figure of every class on the images ``inside``, and its mean over classes, from draws ``weights`` (B, N)."""
    once = inside[None].astype(np.int64)
    values = np.array([one.resampled(once, figure=figure)[0] for one in classes])
    drawn = np.stack([one.resampled(weights * inside, figure=figure) for one in classes], axis=1)
    behind = _behind([(_objects_by_image(one) > 0) & inside for one in classes], families)
    each = Estimates.resampled(values, drawn, behind)
    return each, each.mean()


def _family_draws(count: int, families: Families | None, draws: int, rng: Stream) -> NDArray[np.int64]:
    """int64 (B, N): how often each image counts when families are drawn with replacement."""
    if draws < 2:
        raise ValueError(f"expected at least 2 draws; got {draws}")
    family = np.arange(count)
    if checked_families(families, count) is not None:
        _, family = np.unique(np.asarray(families), return_inverse=True)
    total = int(family.max()) + 1
    drawn = rng.numpy().multinomial(total, np.full(total, 1 / total), size=draws)
    return np.asarray(drawn[:, family], dtype=np.int64)


def _behind(seen: Sequence[NDArray[np.bool_]], families: Families | None) -> NDArray[np.int64]:
    """How many families have an image that was seen, for each."""
    belongs = np.arange(len(seen[0])) if families is None else families
    return np.array([len(np.unique(belongs[one])) for one in seen], dtype=np.int64)


def _parts(groups: Groups, count: int, names: Sequence[str] | None) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name and images bool (N,) of each subgroup."""
    if groups.shape != (count,):
        raise ValueError(f"expected a subgroup for each of {count} images; got shape {groups.shape}")
    return [(name, groups == number) for number, name in enumerate(group_names(groups, names))]


def _class_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is not None and len(names) != count:
        raise ValueError(f"expected {count} class names; got {len(names)}")
    return list(names) if names is not None else [str(number) for number in range(count)]
