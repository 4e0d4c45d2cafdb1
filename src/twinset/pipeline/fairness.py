"""Whether a twin serves, resembles and exposes all groups of real images alike.

Three questions to every group: how well its test images are recognised, without and with the synthetic images (the mean
over all trainings, whose spread is part of the intervals); what share of its
held-out images has a synthetic one of its class near (coverage, Naeem et al. 2020, "Reliable Fidelity and Diversity
Metrics", within classes); and how well the release tells its training from its held-out images (the AUC of GAN-Leaks,
Chen et al. 2020). Intervals hold for all groups at once, and the largest gap has one that allows for its having been
picked (:mod:`twinset.evaluation.predictions.simultaneous`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset import report
from twinset.copying import nearest_copies
from twinset.dataset import Dataset
from twinset.downstream import Utility
from twinset.evaluation.predictions.simultaneous import Estimates, one_hot
from twinset.pipeline.conditioned import (
    counts_of_groups,
    covered_by,
    figures_of_conditions,
    group_of,
    pair_strips,
)
from twinset.pipeline.fidelity import Features
from twinset.pipeline.group_figures import Array, Numbers, figures_of, measure_of
from twinset.pipeline.opening import Run
from twinset.pipeline.real import RealData
from twinset.pipeline.release_audit import privacy_of
from twinset.pipeline.subgroups import CLASS, Groups, conditions_of, groups_of
from twinset.randomness import Stream
from twinset.recipe import GroupCountPart
from twinset.scores import Interval

Flags = NDArray[np.bool_]


def fairness_of(
    run: Run, accepted: Dataset, utility: Utility | None, features: Features | None
) -> report.FairnessFacts | None:
    """What can be told of groups; None where nothing was measured that has them."""
    groupings = []
    for groups in groups_of(run.recipe, run.real):
        rng = run.stream.child("fairness", groups.by)
        measures = [
            *_served(groups, run.real, utility, rng=rng.child("served")),
            *_resembled(groups, run.real, accepted, features, rng=rng.child("resembled")),
            *(_exposed(groups, run.real, accepted, rng=rng.child("exposed")) if privacy_of(run) is not None else ()),
        ]
        counts: tuple[report.GroupCounts, ...] = ()
        if groups.by != CLASS and run.real.task == "classification":
            counts = counts_of_groups(groups, run.real, accepted)
            measures += figures_of_conditions(groups, run.real, accepted, features, rng=rng.child("conditions"))
        if measures or counts:
            notes = tuple(_notes(run, groups, accepted))
            groupings.append(report.Grouping(groups.by, tuple(measures), notes, counts))
    pairs = [strip for by in conditions_of(run.recipe) for strip in pair_strips(by, accepted)]
    return report.FairnessFacts(tuple(groupings), pairs=tuple(pairs)) if groupings else None


def _served(groups: Groups, real: RealData, utility: Utility | None, *, rng: Stream) -> Iterator[report.GroupMeasure]:
    """Recall by class, balanced accuracy by another group; of the arms that the verdict compares, and their
    difference."""
    if utility is None or real.task != "classification":
        return
    numbers, labels = groups.part(real, "test"), real.part("test").class_ids
    name = "recall" if groups.by == CLASS else "balanced accuracy"
    right: dict[str, Array] = {}
    for what, recipe in (("without", utility.without_synthetic), ("with", utility.with_synthetic)):
        if recipe is None:
            continue
        right[what] = np.asarray(utility.arms[recipe.arm].details.right, dtype=np.float64)
        found = _over_runs(right[what], groups, real, numbers, labels)
        title = f"{name.capitalize()} {what} synthetic images"
        yield measure_of(f"utility_{what}", title, groups, found, numbers, better=True, rng=rng.child(what))
    if len(right) == 2:
        found = _over_runs(right["with"] - right["without"], groups, real, numbers, labels)
        intervals = found.mean_intervals(rng=rng.child("difference"))
        within = [None if one is None else Interval(max(-1.0, one.low), min(1.0, one.high)) for one in intervals]
        figures = figures_of(groups, found.values, within, numbers)
        yield report.GroupMeasure(
            "utility_difference", "Difference", figures, None, higher_is_better=True, unit="difference"
        )


def _over_runs(right: Array, groups: Groups, real: RealData, numbers: Numbers, labels: Numbers) -> Estimates:
    """The mean of the figures of all runs (R, T), their spread between runs being a further error of it."""
    families, classes = real.part_families("test"), len(real.dataset.classes)
    found = _recognised(right.mean(axis=0), groups, numbers, labels, families, classes)
    if len(right) < 2:
        return found
    each = np.array([_recognised(run, groups, numbers, labels, families, classes).values for run in right])
    spread = np.nan_to_num(each.std(axis=0, ddof=1) / np.sqrt(len(right)))
    return replace(found, slack=np.hypot(spread, 0.0 if found.slack is None else found.slack))


def _recognised(
    right: Array, groups: Groups, numbers: Numbers, labels: Numbers, families: Numbers, classes: int
) -> Estimates:
    """Shares of ``right`` (T,): of a group's images, or the mean over the classes of its images."""
    known = numbers >= 0
    right, numbers, labels, families = right[known], numbers[known], labels[known], families[known]
    if groups.by == CLASS:
        inside = one_hot(numbers, len(groups.names))
        return Estimates.ratios(inside.multiply(right[:, None]), inside, families=families)
    cell = numbers * classes + labels
    inside = one_hot(cell, len(groups.names) * classes)
    by_class = Estimates.ratios(inside.multiply(right[:, None]), inside, families=families)
    each = [by_class.take(range(g * classes, (g + 1) * classes)).mean() for g in range(len(groups.names))]
    return Estimates.side_by_side(each)


def _resembled(
    groups: Groups, real: RealData, accepted: Dataset, features: Features | None, *, rng: Stream
) -> Iterator[report.GroupMeasure]:
    """The share of a group's held-out images that have a synthetic one near."""
    if features is None:
        return
    held = real.holdout
    labelled = real.task == "classification"
    mine, made = (side.class_ids if labelled else np.zeros(len(side), np.int64) for side in (held, accepted))
    covered = covered_by(features.holdout, mine, mine, features.accepted, made)
    numbers = np.where(np.isnan(covered), -1, groups.part(real, "validation", "test"))
    known = numbers >= 0
    inside = one_hot(numbers[known], len(groups.names))
    families = real.part_families("validation", "test")[known]
    found = Estimates.ratios(inside.multiply(covered[known][:, None]), inside, families=families)
    title = "Held-out images with a synthetic one near"
    yield measure_of("coverage", title, groups, found, numbers, better=True, rng=rng)


def _exposed(groups: Groups, real: RealData, accepted: Dataset, *, rng: Stream) -> Iterator[report.GroupMeasure]:
    """How well the nearest released image tells a group's training from its held-out images."""
    sides = real.training, real.holdout
    made = accepted.prepared(real.spec)
    distances = [nearest_copies(side.prepared(real.spec), made, k=1)[0][:, 0] for side in sides]
    numbers = [groups.part(real, "train"), groups.part(real, "validation", "test")]
    families = [real.part_families("train"), real.part_families("validation", "test")]
    labelled = real.task == "classification"
    classes = [side.class_ids if labelled else np.zeros(len(side), dtype=np.int64) for side in sides]
    found = told_apart(
        -np.concatenate(distances),
        np.repeat([True, False], list(map(len, sides))),
        np.concatenate(numbers),
        np.concatenate(classes),
        np.concatenate(families),
        count=len(groups.names),
    )
    title = "Training told from held-out images, AUC (.5 is none)"
    yield measure_of(
        "membership_auc", title, groups, found, np.concatenate(numbers), better=False, rng=rng, unit="number"
    )


def told_apart(
    scores: Array, member: Flags, numbers: Numbers, classes: Numbers, families: Numbers, *, count: int
) -> Estimates:
    """AUC (G,) of members against others, within the classes of each group, all given as (N,); numbers −1 are left out.

    Classes are weighed by m n/(m + n), and those with fewer than two images on a side left out; influences are DeLong's
    placements (1988). NaN for groups that have no class left.
    """
    from scipy.stats import rankdata

    values, moved = np.full(count, np.nan), np.zeros((len(scores), count))
    behind = np.zeros(count, dtype=np.int64)
    for group in range(count):
        cells = []
        for class_id in np.unique(classes[numbers == group]):
            inside = (numbers == group) & (classes == class_id)
            mine, others = np.flatnonzero(inside & member), np.flatnonzero(inside & ~member)
            if min(len(mine), len(others)) >= 2:
                cells.append((mine, others, len(mine) * len(others) / (len(mine) + len(others))))
        whole = sum(weight for *_, weight in cells)
        if not cells:
            continue
        values[group] = 0.0
        for mine, others, weight in cells:
            ranks = rankdata(scores[np.concatenate([mine, others])])
            above = (ranks[: len(mine)] - rankdata(scores[mine])) / len(others)
            below = 1 - (ranks[len(mine) :] - rankdata(scores[others])) / len(mine)
            share = weight / whole
            values[group] += share * above.mean()
            moved[mine, group] = share * (above - above.mean()) / len(mine)
            moved[others, group] = share * (below - above.mean()) / len(others)
        sides = (np.concatenate([cell[side] for cell in cells]) for side in (0, 1))
        behind[group] = min(len(np.unique(families[rows])) for rows in sides)
    # Placements near 1 of a few images say little of their own spread: Student's t.
    return replace(Estimates.influenced(values, moved, behind=behind, families=families), grouped=True)


def _notes(run: Run, groups: Groups, accepted: Dataset) -> Iterator[str]:
    """What has to be known of these figures, and what they do not tell."""
    count = run.recipe.count
    if (
        groups.by == CLASS
        and isinstance(count, dict | GroupCountPart)
        and len(set(run.real.training.class_counts().values())) > 1
    ):
        yield "Without and with synthetic images is before and after the numbers by class that the recipe asks for"
    if groups.by != CLASS:
        silent = int((group_of(groups, accepted) < 0).sum())
        if silent == len(accepted):
            yield (
                f"Synthetic images carry no {groups.by}: how many of each group there are, and whether they could be "
                "balanced by it, is not known"
            )
        else:
            yield (
                f"The {groups.by} of a synthetic image is what its generator was asked for; whether it shows is told "
                "by the nearest training image, beside how often that is right for held-out images"
            )
            if silent:
                yield f"{silent} synthetic images say nothing of {groups.by} and are left out"
        if unknown := int((groups.of < 0).sum()):
            yield f"{unknown} real images say nothing of {groups.by} and are left out"
    if run.real.task != "classification":
        yield "How well objects of a group are found is not told: only whole images have attributes"
