"""How well images are classified: accuracy, top-k, recall, precision, F1, AUROC, by class and subgroup, with intervals.

From probabilities (N, C) and labels (N,) of test images; the predicted class is the most probable one, the first of
them where several are (a warning says how many). Figures by class or by subgroup come with 95 % intervals that hold
for all classes, or all subgroups, at once (:mod:`twinset.evaluation.predictions.simultaneous`); the name of a figure
of class ``cat`` is ``recall[cat]``, of subgroup ``night`` ``accuracy[group=night]``. With ``families`` (N,), images
of one family (a patient, a burst) count as moving together. Classes without a test image are left out of means.

Measured coverage of the 95 % intervals (all classes at once), 2,000 repetitions, five classes of 35 to 8 %
(``tests/evaluation/predictions/test_classification.py``): 93.3–96.0 % at 200 images, 94.5–98.0 % at 75 families of 4;
at 80 images, 95 % of them right, 93.0–97.3 %, and 91.7 % for ``macro_auroc``. The target is the expectation over such
test sets.

The *classification accuracy score* (Ravuri and Vinyals 2019: train on synthetic images alone, test on real ones) is
:func:`accuracy` of such a classifier. The utility study has it already: the arm ``synthetic`` of ``utility.arms``,
whose metric is balanced accuracy and whose figure ``accuracy`` is the plain one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.share_scores import group_names, share_scores
from twinset.evaluation.predictions.simultaneous import Estimates, Joint, one_hot
from twinset.evaluation.protocol import Families
from twinset.label_scores import f1_per_class, precision_per_class, recall_per_class
from twinset.randomness import Stream
from twinset.scores import Score

Array = NDArray[np.float64]
Labels = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Classified:
    """What a classifier said of N test images, checked once.

    ``probabilities`` float (N, C) in [0, 1], rows of sum 1 (to 1e-3); ``labels`` int (N,) in 0…C−1; ``class_names``
    C of them (default: numbers); ``families`` int (N,) (default: every image its own). ``ValueError`` otherwise.
    """

    probabilities: NDArray[np.floating]
    labels: Labels
    class_names: tuple[str, ...] = ()
    families: Families | None = None

    def __post_init__(self) -> None:
        shape = self.probabilities.shape
        if len(shape) != 2 or shape[1] < 2 or self.labels.shape != shape[:1]:
            raise ValueError(f"expected probabilities (N, C), C ≥ 2, and labels (N,); got {shape}, {self.labels.shape}")
        sound = np.isfinite(self.probabilities).all() and (np.abs(self.probabilities.sum(axis=1) - 1) < 1e-3).all()
        if not sound or (self.probabilities < 0).any():
            raise ValueError(
                "expected probabilities ≥ 0 that sum to 1 in every row; got others; apply softmax to logits"
            )
        if len(self.labels) and (self.labels.min() < 0 or self.labels.max() >= shape[1]):
            raise ValueError(f"expected labels 0…{shape[1] - 1}; got {self.labels.min()}…{self.labels.max()}")
        if self.class_names and len(self.class_names) != shape[1]:
            raise ValueError(f"expected {shape[1]} class names; got {len(self.class_names)}")
        if self.families is not None and self.families.shape != shape[:1]:
            raise ValueError(f"expected a family for each of {shape[0]} images; got shape {self.families.shape}")

    @property
    def n_classes(self) -> int:
        """C."""
        return int(self.probabilities.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, numbers where there are none."""
        return self.class_names or tuple(str(number) for number in range(self.n_classes))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class (N,), the first of equals."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of any figure must know."""
        highest = self.probabilities.max(axis=1, keepdims=True) if len(self.labels) else self.probabilities
        tied = int(((self.probabilities == highest).sum(axis=1) > 1).sum())
        return (f"{tied} images have several most probable classes; the first of them counts",) if tied else ()


def accuracy(classified: Classified, *, top: int = 1) -> Score:
    """Share of images whose class is among the ``top`` most probable: ``accuracy`` or ``top5_accuracy``, 0…1.

    Wilson's 95 % interval, under families as many trials as they are worth. Undefined without an image, and for
    ``top`` of C or more, where it would always be 1.

    >>> told = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
    >>> said = Classified(told, np.array([0, 1, 1, 2]))
    >>> accuracy(said).value, accuracy(said, top=2).value
    (0.75, 1.0)
    """
    if top < 1:
        raise ValueError(f"expected top ≥ 1; got {top}")
    name = "accuracy" if top == 1 else f"top{top}_accuracy"
    counts = {"real": len(classified.labels)}
    if not len(classified.labels) or top >= classified.n_classes:
        why = f"it needs an image and more than {top} classes; got {counts['real']} and {classified.n_classes}"
        return Score(name, None, True, counts, undefined_because=why)
    right = _rank_of_truth(classified) < top
    estimates = Estimates.ratios(
        right[:, None].astype(np.float64), np.ones((len(right), 1)), families=classified.families
    )
    return share_scores(estimates, [name], counts=[counts], warnings=classified.warnings)[0]


def class_scores(classified: Classified, *, rng: Stream, joint: Joint = "max_t") -> list[Score]:
    """Recall, precision, F1 and AUROC of every class, and their means over the classes that are there.

    ``recall[c]``: share of the images of c that were called c; ``precision[c]``: share of those called c that are;
    ``f1[c]`` = 2·right/(predicted + actual); ``auroc[c]``: chance that an image of c is given a higher probability of
    c than one of another class, ties half (Mann–Whitney; its influences are DeLong's placements, DeLong et al.
    1988). Means: ``balanced_accuracy`` (of recalls), ``macro_precision`` (0 for a class never predicted),
    ``macro_f1``, ``macro_auroc``. The intervals of one figure hold for all its classes at once; those of the means
    are their own. All 0…1, higher is better. O(N C log N).
    """
    kinds = {
        "recall": ("balanced_accuracy", recall_estimates(classified)),
        "precision": ("macro_precision", _precision(classified)),
        "f1": ("macro_f1", _f1(classified)),
        "auroc": ("macro_auroc", auroc_estimates(classified)),
    }
    scores: list[Score] = []
    for kind, (mean_name, estimates) in kinds.items():
        counts = _class_counts(classified)
        names = [f"{kind}[{name}]" for name in classified.names]
        scores += share_scores(
            _mean(kind, estimates, classified),
            [mean_name],
            counts=[{"real": len(classified.labels)}],
            warnings=classified.warnings,
        )
        scores += share_scores(
            estimates, names, counts=counts, warnings=classified.warnings, joint=joint, rng=rng.child("joint", kind)
        )
    return scores


def subgroup_scores(
    classified: Classified,
    groups: Labels,
    *,
    rng: Stream,
    names: Sequence[str] | None = None,
    joint: Joint = "max_t",
) -> list[Score]:
    """``accuracy[group=g]`` and ``balanced_accuracy[group=g]`` of every subgroup, and ``accuracy_gap``.

    ``groups`` int (N,) numbers the subgroups from 0 (several attributes: one call each, or number their
    combinations). Intervals of one figure hold for all subgroups at once. ``accuracy_gap`` is the best subgroup's
    accuracy minus the worst's, lower is better; its interval comes from intervals of all pairwise differences that
    hold at once, so that it stays valid though best and worst were picked after the fact.
    """
    named = group_names(groups, names)
    if groups.shape != classified.labels.shape:
        raise ValueError(f"expected a subgroup for each of {len(classified.labels)} images; got shape {groups.shape}")
    right = classified.predicted == classified.labels
    families, warnings = classified.families, classified.warnings
    plain = Estimates.ratios(one_hot(groups, len(named), where=right), one_hot(groups, len(named)), families=families)
    cell, width = groups.astype(np.int64) * classified.n_classes + classified.labels, classified.n_classes
    cells = len(named) * width
    by_class = Estimates.ratios(one_hot(cell, cells, where=right), one_hot(cell, cells), families=families)
    balanced = Estimates.side_by_side(
        [by_class.take(range(g * width, (g + 1) * width)).mean() for g in range(len(named))]
    )
    counts = [{"real": int(count)} for count in np.bincount(groups, minlength=len(named))]
    scores: list[Score] = []
    for kind, estimates in (("accuracy", plain), ("balanced_accuracy", balanced)):
        labels = [f"{kind}[group={name}]" for name in named]
        scores += share_scores(
            estimates, labels, counts=counts, warnings=warnings, joint=joint, rng=rng.child("groups", kind)
        )
    return [*scores, _gap(plain, len(classified.labels), joint, rng.child("groups", "gap"))]


def classification_scores(
    classified: Classified,
    *,
    rng: Stream,
    groups: Mapping[str, Labels] | None = None,
    joint: Joint = "max_t",
) -> list[Score]:
    """Accuracy, top-5 accuracy where there are more than five classes, and everything by class and by subgroup.

    ``groups`` has one numbering (N,) per attribute; its names become ``accuracy[group=weather:0]``.
    """
    scores = [accuracy(classified), *([accuracy(classified, top=5)] if classified.n_classes > 5 else [])]
    scores += class_scores(classified, rng=rng.child("classes"), joint=joint)
    for attribute, numbers in (groups or {}).items():
        names = [f"{attribute}:{name}" for name in group_names(numbers, None)]
        scores += subgroup_scores(classified, numbers, rng=rng.child("subgroups", attribute), names=names, joint=joint)
    return scores


def recall_estimates(classified: Classified) -> Estimates:
    """Recall by class (C,)."""
    right = classified.predicted == classified.labels
    actual = one_hot(classified.labels, classified.n_classes)
    found = one_hot(classified.labels, classified.n_classes, where=right)
    values = recall_per_class(classified.predicted, classified.labels, classified.n_classes)
    return replace(Estimates.ratios(found, actual, families=classified.families), values=values)


def auroc_estimates(classified: Classified) -> Estimates:
    """One-vs-rest AUROC by class (C,), NaN where either side is empty; influences by DeLong's placements."""
    from scipy.stats import rankdata

    n, n_classes = classified.probabilities.shape
    values, moved = np.full(n_classes, np.nan), np.zeros((n, n_classes))
    for c in range(n_classes):
        mine = classified.labels == c
        ones, zeros = int(mine.sum()), int((~mine).sum())
        if not ones or not zeros:
            continue
        told = classified.probabilities[:, c]
        ranks = rankdata(told)
        above = (ranks[mine] - rankdata(told[mine])) / zeros
        below = 1 - (ranks[~mine] - rankdata(told[~mine])) / ones
        values[c] = above.mean()
        moved[mine, c] = (above - values[c]) / ones
        moved[~mine, c] = (below - values[c]) / zeros
    behind = np.minimum(*_families_of_classes(classified))
    # Placements near 1 of a few images say little of their own spread: Student's t, as under families.
    return replace(Estimates.influenced(values, moved, behind=behind, families=classified.families), grouped=True)


def _families_of_classes(classified: Classified) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Families with images of each class, and with images of others, (C,)."""
    count = len(classified.labels)
    family = np.arange(count) if classified.families is None else np.unique(classified.families, return_inverse=True)[1]
    both = np.unique(np.stack([family, classified.labels.astype(np.int64)]), axis=1)
    with_class = np.bincount(both[1], minlength=classified.n_classes)
    of_one_class = np.bincount(both[0])[both[0]] == 1
    only = np.bincount(both[1][of_one_class], minlength=classified.n_classes)
    return with_class, np.asarray(len(np.unique(family)) - only)


def _precision(classified: Classified) -> Estimates:
    right = classified.predicted == classified.labels
    made = one_hot(classified.predicted, classified.n_classes)
    met = one_hot(classified.predicted, classified.n_classes, where=right)
    values = precision_per_class(classified.predicted, classified.labels, classified.n_classes)
    return replace(Estimates.ratios(met, made, families=classified.families), values=values)


def _f1(classified: Classified) -> Estimates:
    right = classified.predicted == classified.labels
    both = one_hot(classified.predicted, classified.n_classes) + one_hot(classified.labels, classified.n_classes)
    met = 2 * one_hot(classified.labels, classified.n_classes, where=right)
    values = f1_per_class(classified.predicted, classified.labels, classified.n_classes)
    return replace(Estimates.ratios(met, both, families=classified.families), values=values)


def _mean(kind: str, estimates: Estimates, classified: Classified) -> Estimates:
    """The mean over the classes that are there."""
    if kind == "auroc":
        # Placements are fine-grained: half an image more or less would be too much.
        return replace(estimates.mean(), slack=None)
    if kind == "precision":
        there = np.bincount(classified.labels, minlength=classified.n_classes) > 0
        estimates = replace(estimates, values=np.where(there, np.nan_to_num(estimates.values), np.nan))
    return estimates.mean()


def _class_counts(classified: Classified) -> list[Mapping[str, int]]:
    actual, predicted = (
        np.bincount(ids, minlength=classified.n_classes) for ids in (classified.labels, classified.predicted)
    )
    return [{"real": int(n), "predicted": int(m)} for n, m in zip(actual, predicted, strict=True)]


def _rank_of_truth(classified: Classified) -> NDArray[np.int64]:
    """How many classes are ahead of the true one (N,): more probable, or as probable and earlier."""
    rows = np.arange(len(classified.labels))
    told = classified.probabilities[rows, classified.labels][:, None]
    earlier = np.arange(classified.n_classes)[None] < classified.labels[:, None]
    ahead = (classified.probabilities > told) | ((classified.probabilities == told) & earlier)
    return np.asarray(ahead.sum(axis=1), dtype=np.int64)


def _gap(plain: Estimates, count: int, joint: Joint, rng: Stream) -> Score:
    known = np.flatnonzero(np.isfinite(plain.values))
    if len(known) < 2:
        why = f"a gap needs two subgroups with images; got {len(known)}"
        return Score("accuracy_gap", None, False, {"real": count}, undefined_because=why)
    value, interval, error = plain.take(known).largest_difference(joint=joint, rng=rng)
    settings: dict[str, str | int | float] = {
        "interval": f"all pairwise differences at once ({joint})",
        "standard_error": error,
    }
    return Score("accuracy_gap", value, False, {"real": count}, interval=interval, settings=settings)
