"""What is in a dataset and what is wrong with it, all at once; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.attributes import grouping_attributes
from twinset.dataset import SPLITS, UNITS, Dataset, Task
from twinset.families import DuplicateGroup, duplicates, fingerprint
from twinset.formats import ReadReport, read
from twinset.formats.counting import counted
from twinset.formats.folder import visible
from twinset.formats.recognising import refuse_part
from twinset.images import FULL_RANGE, Window
from twinset.inspection_lines import SHOWN, lines_of, tallied
from twinset.paths import expanded
from twinset.threads import blas_threads

SCHEMA = "twinset/inspect/1"
TINY_CLASS = 10
IMBALANCE = 5.0
SHOTS = (5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Copies:
    """Pictures that are copies of each other: their ids, and the given splits they lie in."""

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Whether the copies lie in more than one split."""
        return len(self.splits) > 1


@dataclass(frozen=True)
class BoxFacts:
    """The boxes of one class. ``area`` is the share of the picture, ``aspect`` width over height, ``side`` the root of
    the area in pixels; each at the 10th, 50th and 90th percentile."""

    objects: int
    images: int
    area: tuple[float, float, float]
    aspect: tuple[float, float, float]
    side: tuple[float, float, float]

    def to_json(self) -> dict[str, object]:
        """Plain JSON types."""
        return {"objects": self.objects, "images": self.images, **{n: list(getattr(self, n)) for n in SPREADS}}


SPREADS = ("area", "aspect", "side")


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect` found. ``splits`` holds images per class of every given split, ``groups`` images by value of
    the attributes that have few values."""

    source: str
    report: ReadReport
    classes: Mapping[str, int]
    splits: Mapping[str, Mapping[str, int]]
    unlabelled: int
    duplicates: tuple[Copies, ...]
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]
    few_shot: tuple[int, ...]
    task: Task = "classification"
    boxes: Mapping[str, BoxFacts] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def leakage(self) -> tuple[Copies, ...]:
        """The copies that lie in more than one split."""
        return tuple(group for group in self.duplicates if group.leaks)

    def to_json(self) -> dict[str, object]:
        """The document ``twinset/inspect/1``."""
        report = self.report.to_json()
        return {
            "schema": SCHEMA,
            "source": self.source,
            "format": self.report.format,
            "task": self.task,
            "classes": dict(self.classes),
            "images": self.report.images,
            "unlabelled": self.unlabelled,
            "splits": {name: dict(counts) for name, counts in self.splits.items()},
            **{key: report[key] for key in ("sizes", "modes", "encodings", "ignored", "bad_files")},
            "duplicates": [_copies_json(group) for group in self.duplicates],
            "leakage": [_copies_json(group) for group in self.leakage],
            "warnings": list(self.warnings),
            "suggestions": list(self.suggestions),
            "few_shot": list(self.few_shot),
            "objects": self.report.objects,
            "boxes": {name: facts.to_json() for name, facts in self.boxes.items()},
            "groups": {name: dict(counts) for name, counts in self.groups.items()},
        }

    def lines(self) -> list[str]:
        """The same for people, one thing a line."""
        return list(lines_of(self))


def inspect(source: str | Path, *, window: Window = FULL_RANGE) -> Inspection:
    """Everything :func:`twinset.formats.read` meets, plus counts, copies (also across splits) and suggestions.

    Raises :class:`DatasetFormatError` only where there is no dataset at all, or a folder of one without the others.
    """
    with blas_threads(1):
        dataset, report = read(source, on_bad_input="report", window=window, look=fingerprint)
        _refuse_bare_part(dataset, source)
        copies = tuple(_copies(group, dataset) for group in duplicates(dataset, fingerprints=report.looks))
    names = dataset.splits
    splits: dict[str, Mapping[str, int]] = {
        name: dataset.where([split == name for split in names]).label_counts() for name in SPLITS if name in names
    }
    classified = dataset.task == "classification"
    few_shot = _few_shot(dataset.class_counts(), splits) if classified else ()
    return Inspection(
        source=visible(str(source)),
        report=report,
        classes=dataset.label_counts(),
        splits=splits,
        unlabelled=_unlabelled(dataset),
        duplicates=copies,
        warnings=tuple(dict.fromkeys((*report.warnings, *_warnings(dataset, report, splits, copies)))),
        suggestions=tuple(_suggestions(dataset, splits, few_shot)),
        few_shot=few_shot,
        task=dataset.task,
        boxes=_boxes(dataset),
        groups=grouping_attributes(dataset),
    )


def _refuse_bare_part(dataset: Dataset, source: str | Path) -> None:
    """An error for the pictures, or masks, of a dataset without what is said of them."""
    if dataset.task == "classification" and bool((dataset.class_ids < 0).all()):
        refuse_part(expanded(source))


def _unlabelled(dataset: Dataset) -> int:
    """Images of which nothing is said."""
    if dataset.task == "classification":
        return int((dataset.class_ids < 0).sum())
    column = "semantic" if dataset.task == "semantic-segmentation" else "instances"
    return int(dataset.table.column(column).null_count)


def _boxes(dataset: Dataset) -> dict[str, BoxFacts]:
    """Sizes and shapes of the boxes of every class that has any."""
    counts = dataset.object_counts()
    boxes, owner = dataset.object_boxes().astype(np.float64), np.repeat(np.arange(len(dataset)), counts)
    class_ids = dataset.object_column("class_id").astype(np.int64)
    pictures = dataset.object_sizes()[owner]
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(axis=1)
    found = {}
    for number, name in enumerate(dataset.classes):
        mine = class_ids == number
        if mine.any():
            found[name] = BoxFacts(
                objects=int(mine.sum()),
                images=len(np.unique(owner[mine])),
                area=_spread(areas[mine] / pictures[mine].prod(axis=1)),
                aspect=_spread(sides[mine, 0] / sides[mine, 1]),
                side=_spread(np.sqrt(areas[mine])),
            )
    return found


def _spread(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in np.percentile(values, [10, 50, 90]))
    return low, middle, high


def _copies(group: DuplicateGroup, dataset: Dataset) -> Copies:
    ids, names, labels = dataset.ids, dataset.splits, dataset.class_ids
    found = {names[row] for row in group.rows}
    classes = {dataset.classes[label] for label in labels[list(group.rows)] if label >= 0}
    return Copies(
        kind=group.kind,
        paths=tuple(ids[row] for row in group.rows),
        splits=tuple(name for name in SPLITS if name in found),
        classes=tuple(sorted(classes)),
    )


def _copies_json(group: Copies) -> dict[str, object]:
    return {
        "kind": group.kind,
        "paths": list(group.paths),
        "splits": list(group.splits),
        "classes": list(group.classes),
    }


def _warnings(
    dataset: Dataset, report: ReadReport, splits: Mapping[str, Mapping[str, int]], copies: tuple[Copies, ...]
) -> Iterator[str]:
    classified, unit = dataset.task == "classification", UNITS[dataset.task]
    all_counts = dataset.label_counts()
    counts = {name: count for name, count in all_counts.items() if count}
    if len(counts) == 1 and classified:
        yield f"only one class: {visible(next(iter(counts)))!r}; point to the folder that holds the class folders"
    yield from _tiny_classes(all_counts, unit)
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        large, small = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        yield f"imbalance: {counted(counts[large], unit)} of {large!r} to {counts[small]} of {small!r}"
    if len(report.stats.sizes) > 1 and classified:
        yield f"{len(report.stats.sizes)} image sizes: all are resized to one"
    if len({_colours(mode) for mode in report.stats.modes}) > 1:
        yield f"mixed colour modes: {tallied(report.stats.modes)}"
    if unlabelled := _unlabelled(dataset):
        verb = "has" if unlabelled == 1 else "have"
        yield f"{counted(unlabelled, 'images')} {verb} no {'class' if classified else 'annotation'}"
    if empty := int((dataset.object_counts()[_annotated(dataset)] == 0).sum()):
        yield f"{counted(empty, 'images')} {'is' if empty == 1 else 'are'} annotated as showing nothing"
    if bad := report.bad_objects:
        verb = "is" if bad == 1 else "are"
        yield f"{bad} of {report.stated_objects} objects {verb} bad: clipped or left out, see bad files"
    if sized := sum(bad.kind == "size" for bad in report.bad_files):
        yield (
            f"{counted(sized, 'images')} of another size than the annotations state: left out, as objects would be off"
        )
    yield from _split_warnings(splits)
    leaking = sum(group.leaks for group in copies)
    if leaking:
        verb = "lies" if leaking == 1 else "lie"
        groups = counted(leaking, "groups of copies")
        yield f"leakage: {groups} {verb} in more than one split; training copies will be left out"
    contradicting = sum(len(group.classes) > 1 for group in copies)
    if contradicting:
        verb = "carries" if contradicting == 1 else "carry"
        yield f"{counted(contradicting, 'groups of copies')} {verb} different classes"


def _tiny_classes(counts: Mapping[str, int], unit: str) -> Iterator[str]:
    """One warning for each class that is too small, or one for all where they are many."""
    tiny = {name: count for name, count in counts.items() if count < TINY_CLASS}
    if len(tiny) <= SHOWN:
        for name, count in tiny.items():
            yield f"class {name!r} has {counted(count, unit)}: too few to split and to measure"
        return
    yield (
        f"{len(tiny)} of {len(counts)} classes have fewer than {TINY_CLASS} {unit}: too few to split and to measure; "
        f"{_first(f'{name!r} {count}' for name, count in tiny.items())}"
    )


def _first(texts: Iterable[str]) -> str:
    """The first few, and how many there are beyond."""
    shown = list(texts)
    more = len(shown) - SHOWN
    return ", ".join(shown[:SHOWN]) + (f", … and {more} more" if more > 0 else "")


def _annotated(dataset: Dataset) -> NDArray[np.bool_]:
    return np.asarray(dataset.table.column("instances").is_valid().to_numpy(), dtype=bool)


def _colours(mode: str) -> str:
    return "grey" if mode.split()[0] in ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N") else "colour"


def _split_warnings(splits: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    present = {name: {label for label, count in counts.items() if count} for name, counts in splits.items()}
    for name, labels in present.items():
        for other, others in present.items():
            lone = sorted(others - labels) if name == "train" else []
            if len(lone) > SHOWN:
                yield f"{len(lone)} classes are in {other} and not in train, where nothing is learnt: {_first(lone)}"
            else:
                yield from (
                    f"class {label!r} is in {other} and not in train: nothing can be learnt of it" for label in lone
                )
        missing = sorted(present.get("train", set()) - labels)
        if missing:
            yield f"{name} lacks {counted(len(missing), 'classes')}, such as {missing[0]!r}"


def _few_shot(counts: Mapping[str, int], splits: Mapping[str, Mapping[str, int]]) -> tuple[int, ...]:
    """Shots per class that leave something to draw from: at most half of the smallest training class."""
    training = splits.get("train") or {name: int(0.6 * count) for name, count in counts.items()}
    smallest = min((count for count in training.values()), default=0)
    return tuple(shots for shots in SHOTS if 2 * shots <= smallest)


def _suggestions(dataset: Dataset, splits: Mapping[str, Mapping[str, int]], few_shot: tuple[int, ...]) -> Iterator[str]:
    if not len(dataset):
        return
    if not splits:
        sizes = [int(share * len(dataset)) for share in (0.6, 0.2, 0.2)]
        yield f"split of 0.6, 0.2, 0.2 gives about {sizes[0]} train, {sizes[1]} validation and {sizes[2]} test images"
    for name in SPLITS[1:]:
        if splits and name not in splits:
            yield f"no {name} split is given: part of train will become it"
    if few_shot:
        yield f"few-shot studies: split.shots of {', '.join(map(str, few_shot))} images per class, in 5 or more subsets"
