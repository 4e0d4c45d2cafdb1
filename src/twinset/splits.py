"""Training, validation and test parts of a dataset: given ones stand, families stay together.

What is decided here decides what every later figure means, so nothing is silent: whatever had to give is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import SPLITS, Dataset, SplitName
from twinset.errors import DataError
from twinset.families import one_of_each
from twinset.randomness import Stream

Fractions = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Split:
    """The three parts, the family (N,) of every sample of each, and what had to be decided."""

    train: Dataset
    validation: Dataset
    test: Dataset
    train_families: NDArray[np.int64]
    validation_families: NDArray[np.int64]
    test_families: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def holdout(self) -> Dataset:
        """Validation and test together: what no generator may see."""
        return self.validation.concat(self.test)

    def __repr__(self) -> str:
        return f"Split({len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test images)"


def split(
    dataset: Dataset,
    *,
    families: NDArray[np.integer],
    rng: Stream,
    fractions: Fractions = (0.6, 0.2, 0.2),
    shots: int | None = None,
) -> Split:
    """The parts of a dataset; ``families`` (N,) never straddle them.

    Where the dataset names splits, those stand: a missing validation or test part is carved out of training, in
    the ratio of their ``fractions``; where both are missing, training is dealt out as if no split were named.
    Families that lie in several given parts (leakage) keep their test images, else their validation images; their
    images in the other parts are left out and counted in the notes. Without given splits, families are dealt out
    by ``fractions`` (train, validation, test), class by class (of pictures with objects: by their rarest class).
    ``shots`` keeps that many training images of every class, or in all where images have no class, drawn by seed, of
    different families first. Raises :class:`DataError` where a part stays empty or a
    class has no training image.
    """
    if len(families) != len(dataset):
        raise ValueError(f"expected a family per sample; got {len(families)} for {len(dataset)}")
    if abs(sum(fractions) - 1) > 1e-6 or min(fractions) <= 0:
        raise ValueError(f"expected three fractions above 0 that sum to 1; got {fractions}")
    if shots is not None and shots < 1:
        raise ValueError(f"expected shots ≥ 1; got {shots}")
    family = np.asarray(families, dtype=np.int64)
    part, notes = _parts(dataset, family, fractions, rng)
    if shots is not None:
        part = _few_shot(part, dataset.class_ids, family, shots, rng.child("shots"))
        kept = dataset.take(np.flatnonzero(part == 0))
        counts = kept.class_counts() if (dataset.class_ids >= 0).any() else {}
        notes += [
            f"class {name!r} has only {n} training images of {shots} shots" for name, n in counts.items() if n < shots
        ]
        if not counts and len(kept) < shots:
            notes.append(f"there are only {len(kept)} training images of {shots} shots")
    return _assemble(dataset, part, family, notes)


def few_shot_subsets(split_: Split, shots: int, *, count: int, rng: Stream) -> Iterator[Dataset]:
    """``count`` training sets of ``shots`` images per class, each drawn anew from the training part."""
    labels, family = split_.train.class_ids, split_.train_families
    for number in range(count):
        kept = _few_shot(np.zeros(len(labels), dtype=np.int64), labels, family, shots, rng.child("subset", number))
        yield split_.train.take(np.flatnonzero(kept == 0))


def _assemble(dataset: Dataset, part: NDArray[np.int64], family: NDArray[np.int64], notes: list[str]) -> Split:
    rows = {name: np.flatnonzero(part == number) for number, name in enumerate(SPLITS)}
    for name, found in rows.items():
        if not len(found):
            raise DataError(
                f"expected images for the {name} part; got none out of {len(dataset)}",
                hint="bring more images, or change split: in the recipe",
            )
    absent = [
        dataset.classes[c]
        for c in np.setdiff1d(np.unique(dataset.class_ids), np.unique(dataset.class_ids[rows["train"]]))
        if c >= 0
    ]
    if absent:
        raise DataError(
            f"expected training images of every class; got none of {', '.join(map(repr, absent[:8]))}",
            hint="move some of its images into train, or leave the class out",
        )
    unseen = _unseen(dataset, rows)
    if unseen:
        notes.append(f"no training image shows {', '.join(map(repr, unseen[:8]))}: nothing can be learnt of it")
    parts: Mapping[SplitName, Dataset] = {
        name: dataset.take(rows[name]).with_splits([name] * len(rows[name])) for name in SPLITS
    }
    return Split(
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        train_families=family[rows["train"]],
        validation_families=family[rows["validation"]],
        test_families=family[rows["test"]],
        notes=tuple(notes),
    )


def _unseen(dataset: Dataset, rows: Mapping[SplitName, NDArray[np.int64]]) -> list[str]:
    """Classes of objects in held-out images that no training image shows."""
    train = dataset.take(rows["train"]).object_class_counts()
    held = dataset.take(np.concatenate([rows["validation"], rows["test"]])).object_class_counts()
    return [name for name, count in held.items() if count and not train[name]]


def _parts(
    dataset: Dataset, family: NDArray[np.int64], fractions: Fractions, rng: Stream
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) part number of every sample (−1: left out), and the notes."""
    notes: list[str] = []
    given = np.array([SPLITS.index(name) if name in SPLITS else -1 for name in dataset.splits], dtype=np.int64)
    labels = _labels(dataset)
    if (given < 0).all():
        return _deal(family, labels, np.asarray(fractions), rng.child("deal")), notes
    if (given < 0).any():
        notes.append(f"{int((given < 0).sum())} images outside the given splits are left out")
    part = _without_leaks(given, family, notes)
    _carve(part, family, labels, fractions, rng, notes)
    return part, notes


def _labels(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) what parts are balanced by: the class of each picture, or its object of the rarest class (−1: none)."""
    if (dataset.class_ids >= 0).any() or not dataset.object_counts().any():
        return dataset.class_ids
    objects = dataset.object_column("class_id").astype(np.int64)
    rank = np.argsort(np.argsort(np.bincount(objects, minlength=len(dataset.classes)), kind="stable"))
    rarest = np.full(len(dataset), len(dataset.classes), dtype=np.int64)
    np.minimum.at(rarest, np.repeat(np.arange(len(dataset)), dataset.object_counts()), rank[objects])
    return np.append(np.argsort(rank), -1)[rarest]


def _carve(
    part: NDArray[np.int64],
    family: NDArray[np.int64],
    labels: NDArray[np.int64],
    fractions: Fractions,
    rng: Stream,
    notes: list[str],
) -> None:
    """Deals the training images out, in place, to training and the missing parts, in the ratio of their fractions."""
    missing = [number for number in (1, 2) if not (part == number).any()]
    train = np.flatnonzero(part == 0)
    if not missing or not len(train):
        return
    takers = np.array([0, *missing])
    shares = np.asarray(fractions)[takers]
    purpose = rng.child("deal") if len(missing) == 2 else rng.child("carve", SPLITS[missing[0]])
    part[train] = takers[_deal(family[train], labels[train], shares / shares.sum(), purpose)]
    for number in missing:
        count = int((part == number).sum())
        notes.append(f"no {SPLITS[number]} part was given: {count} training images became it")


def _without_leaks(given: NDArray[np.int64], family: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    part = given.copy()
    last = np.full(int(family.max(initial=-1)) + 1, -1, dtype=np.int64)
    np.maximum.at(last, family[given >= 0], given[given >= 0])
    leaking = (given >= 0) & (given < last[family])
    if leaking.any():
        part[leaking] = -1
        counts = [int((leaking & (given == number)).sum()) for number in range(2)]
        notes.append(
            f"{counts[0]} training and {counts[1]} validation images have a copy or relative in a later part "
            "(leakage): they are left out"
        )
    return part


def _deal(
    family: NDArray[np.int64], labels: NDArray[np.int64], fractions: NDArray[np.float64], rng: Stream
) -> NDArray[np.int64]:
    """(N,) part of every sample: families, rarest class and largest first, go where their classes are most missed."""
    names, member = np.unique(family, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    table = np.zeros((len(names), len(classes)))
    np.add.at(table, (member, label), 1.0)
    totals = table.sum(axis=0)
    wanted = fractions[:, None] * totals[None, :]
    rarest = np.where(table > 0, totals, np.inf).min(axis=1)
    shuffled = rng.numpy().permutation(len(names))
    order = shuffled[np.lexsort((-table.sum(axis=1)[shuffled], rarest[shuffled]))]
    have = np.zeros_like(wanted)
    chosen = np.empty(len(names), dtype=np.int64)
    for row in order:
        mine = table[row] > 0
        need = ((wanted - have)[:, mine] / np.maximum(wanted[:, mine], 1e-9)).mean(axis=1)
        chosen[row] = int(np.argmax(np.round(need, 9)))
        have[chosen[row]] += table[row]
    return chosen[member]


def _few_shot(
    part: NDArray[np.int64], labels: NDArray[np.int64], family: NDArray[np.int64], shots: int, rng: Stream
) -> NDArray[np.int64]:
    """The parts with all but ``shots`` training images of every class left out; relatives go first."""
    kept = part.copy()
    generator = rng.numpy()
    for class_id in np.unique(labels[part == 0]):
        rows = generator.permutation(np.flatnonzero((part == 0) & (labels == class_id)))
        repeated = np.isin(rows, one_of_each(family, rows), invert=True)
        kept[rows[np.argsort(repeated, kind="stable")][shots:]] = -1
    return kept
