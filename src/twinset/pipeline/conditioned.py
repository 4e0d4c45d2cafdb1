"""What comes of synthetic images that carry an attribute: how many of each group there are before and after, whom they
lie near, whether they look like what they say, and pairs of one noise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.annotations import PAIR
from twinset.dataset import Dataset
from twinset.evaluation.predictions.simultaneous import Estimates, one_hot
from twinset.neighbours import nearest, nearest_others
from twinset.pipeline.fidelity import Features
from twinset.pipeline.group_figures import Array, Numbers, measure_of
from twinset.pipeline.page import picture
from twinset.pipeline.real import RealData
from twinset.pipeline.subgroups import Groups, numbered
from twinset.randomness import Stream

NEIGHBOUR = 5
"""An image is near to a real one where it is no farther than that one's fifth real neighbour."""

SHOWN_PAIRS = 24


def group_of(groups: Groups, accepted: Dataset) -> Numbers:
    """(M,) the group that every synthetic image says it is of, −1 where it says none of the real ones'."""
    return numbered(groups.names, accepted.attribute(groups.by))


def counts_of_groups(groups: Groups, real: RealData, accepted: Dataset) -> tuple[report.GroupCounts, ...]:
    """Training and synthetic images of every group in every class; none where no synthetic image carries one."""
    made = group_of(groups, accepted)
    if not (made >= 0).any():
        return ()
    numbers = groups.part(real, "train")

    def of(class_ids: Numbers, own: Numbers, class_id: int) -> dict[str, int]:
        mine = own[(class_ids == class_id) & (own >= 0)]
        return dict(zip(groups.names, np.bincount(mine, minlength=len(groups.names)).tolist(), strict=True))

    return tuple(
        report.GroupCounts(name, of(real.training.class_ids, numbers, class_id), of(accepted.class_ids, made, class_id))
        for class_id, name in enumerate(real.dataset.classes)
    )


def figures_of_conditions(
    groups: Groups, real: RealData, accepted: Dataset, features: Features | None, *, rng: Stream
) -> Iterator[report.GroupMeasure]:
    """Coverage by images of the same class and group: of training images alone, of synthetic ones, of both; and how
    often the nearest training image of its class is of the group that an image says it is of."""
    made = group_of(groups, accepted)
    if features is None or not (made >= 0).any():
        return
    training, held = groups.part(real, "train"), groups.part(real, "validation", "test")
    yield from _covered(groups, real, accepted, features, training, held, made, rng=rng.child("coverage"))
    yield from _told(groups, real, accepted, features, training, held, made, rng=rng.child("told"))


def _covered(
    groups: Groups,
    real: RealData,
    accepted: Dataset,
    features: Features,
    training: Numbers,
    held: Numbers,
    made: Numbers,
    *,
    rng: Stream,
) -> Iterator[report.GroupMeasure]:
    classes = real.holdout.class_ids
    mine = _cells(groups, classes, held)
    of_training = _cells(groups, real.training.class_ids, training)
    of_made = _cells(groups, accepted.class_ids, made)
    both = np.concatenate([features.training, features.accepted]), np.concatenate([of_training, of_made])
    families = real.part_families("validation", "test")
    for name, who, (others, cells) in (
        ("training", "a training image", (features.training, of_training)),
        ("synthetic", "a synthetic one", (features.accepted, of_made)),
        ("both", "either", both),
    ):
        covered = covered_by(features.holdout, classes, mine, others, cells)
        numbers = np.where(np.isnan(covered), -1, held)
        found = _shares(covered, numbers, len(groups.names), families)
        title = f"Held-out images with {who} of their group near"
        yield measure_of(f"group_coverage_{name}", title, groups, found, numbers, better=True, rng=rng.child(name))


def _told(
    groups: Groups,
    real: RealData,
    accepted: Dataset,
    features: Features,
    training: Numbers,
    held: Numbers,
    made: Numbers,
    *,
    rng: Stream,
) -> Iterator[report.GroupMeasure]:
    known = training >= 0
    known_features, classes, known_groups = features.training[known], real.training.class_ids[known], training[known]
    sides = (
        ("held_out", "Held-out", features.holdout, real.holdout.class_ids, held),
        ("synthetic", "Synthetic", features.accepted, accepted.class_ids, made),
    )
    for name, who, vectors, class_ids, own in sides:
        told = np.full(len(own), np.nan)
        for class_id in np.unique(class_ids):
            rows, others = np.flatnonzero((class_ids == class_id) & (own >= 0)), classes == class_id
            if len(rows) and others.any():
                near = nearest(vectors[rows], known_features[others], k=1)[1][:, 0]
                told[rows] = known_groups[others][near] == own[rows]
        numbers = np.where(np.isnan(told), -1, own)
        families = real.part_families("validation", "test") if name == "held_out" else np.arange(len(own))
        found = _shares(told, numbers, len(groups.names), families)
        title = f"{who} images nearest to a training image of their group"
        yield measure_of(f"group_told_{name}", title, groups, found, numbers, better=True, rng=rng.child(name))


def _shares(flags: Array, numbers: Numbers, count: int, families: Numbers) -> Estimates:
    """The share of ``flags`` (N,) in every group; numbers −1 are left out."""
    known = numbers >= 0
    inside = one_hot(numbers[known], count)
    return Estimates.ratios(inside.multiply(flags[known][:, None]), inside, families=families[known])


def _cells(groups: Groups, class_ids: Numbers, numbers: Numbers) -> Numbers:
    """A number for every class and group; −1 where the group is unknown."""
    return np.where(numbers < 0, -1, class_ids * len(groups.names) + numbers)


def covered_by(
    held: NDArray[np.floating], classes: Numbers, cells: Numbers, others: NDArray[np.floating], other_cells: Numbers
) -> Array:
    """(H,) 1 for held-out images that have one of the ``others`` of their cell near, else 0; NaN for those of too small
    a class, and of cell −1.

    Features (H, D) and (M, D); near is no farther than the fifth held-out neighbour of the same class.
    """
    reach = np.full(len(held), np.nan)
    for class_id in np.unique(classes):
        mine = classes == class_id
        if mine.sum() > NEIGHBOUR:
            reach[mine] = nearest_others(held[mine], k=NEIGHBOUR)[0][:, -1]
    covered = np.full(len(held), np.nan)
    for cell in np.unique(cells[cells >= 0]):
        rows, near = np.flatnonzero((cells == cell) & np.isfinite(reach)), others[other_cells == cell]
        if len(rows):
            covered[rows] = nearest(held[rows], near, k=1)[0][:, 0] <= reach[rows] if len(near) else 0.0
    return covered


def pair_strips(by: str, accepted: Dataset) -> tuple[report.PairStrip, ...]:
    """Pairs of one noise, classes alternating; none where images do not come in pairs."""
    pairs: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(accepted.attribute(PAIR)):
        if pair is not None:
            pairs[str(pair)].append(row)
    values, class_ids = accepted.attribute(by), accepted.class_ids
    whole = [rows for rows in pairs.values() if len(rows) > 1 and values[rows[0]] is not None]
    seen: dict[int, int] = defaultdict(int)
    order = []
    for rows in whole:
        class_id = int(class_ids[rows[0]])
        order.append((seen[class_id], class_id, rows))
        seen[class_id] += 1
    return tuple(
        report.PairStrip(
            accepted.classes[class_id],
            tuple(str(values[row]) for row in rows),
            tuple(picture(accepted, row) for row in rows),
        )
        for _, class_id, rows in sorted(order, key=lambda each: each[:2])[:SHOWN_PAIRS]
    )
