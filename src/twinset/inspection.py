"""What is in a dataset and what is wrong with it, all at once; nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinset.dataset import SPLITS, Dataset
from twinset.families import DuplicateGroup, duplicates
from twinset.formats import ReadReport, read
from twinset.formats.folder import visible
from twinset.images import FULL_RANGE, Window

SCHEMA = "twinset/inspect/1"
TINY_CLASS = 10
IMBALANCE = 5.0
SHOTS = (5, 10, 20, 50, 100)
SHOWN = 8


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
class Inspection:
    """What :func:`inspect` found. ``splits`` holds images per class of every given split."""

    source: str
    report: ReadReport
    classes: Mapping[str, int]
    splits: Mapping[str, Mapping[str, int]]
    unlabelled: int
    duplicates: tuple[Copies, ...]
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]
    few_shot: tuple[int, ...]
    task: str = "classification"

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
        }

    def lines(self) -> list[str]:
        """The same for people, one thing a line."""
        return list(_lines(self))


def inspect(source: str | Path, *, window: Window = FULL_RANGE) -> Inspection:
    """Everything :func:`twinset.formats.read` meets, plus counts, copies (also across splits) and suggestions.

    Raises :class:`DatasetFormatError` only where there is no dataset at all.
    """
    dataset, report = read(source, on_bad_input="report", window=window)
    names = dataset.splits
    splits: dict[str, Mapping[str, int]] = {
        name: dataset.where([split == name for split in names]).class_counts() for name in SPLITS if name in names
    }
    copies = tuple(_copies(group, dataset) for group in duplicates(dataset))
    few_shot = _few_shot(dataset.class_counts(), splits)
    return Inspection(
        source=visible(str(source)),
        report=report,
        classes=dataset.class_counts(),
        splits=splits,
        unlabelled=int((dataset.class_ids < 0).sum()),
        duplicates=copies,
        warnings=(*report.warnings, *_warnings(dataset, report, splits, copies)),
        suggestions=tuple(_suggestions(dataset, splits, few_shot)),
        few_shot=few_shot,
    )


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
    counts = {name: count for name, count in dataset.class_counts().items() if count}
    if len(counts) == 1:
        yield f"only one class: {visible(next(iter(counts)))!r}; point to the folder that holds the class folders"
    for name, count in dataset.class_counts().items():
        if count < TINY_CLASS:
            yield f"class {name!r} has {count} images: too few to split and to measure"
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        large, small = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        yield f"imbalance: {counts[large]} images of {large!r} to {counts[small]} of {small!r}"
    if len(report.stats.sizes) > 1:
        yield f"{len(report.stats.sizes)} image sizes: all are resized to one"
    if len({_colours(mode) for mode in report.stats.modes}) > 1:
        yield f"mixed colour modes: {_counted(report.stats.modes)}"
    unlabelled = int((dataset.class_ids < 0).sum())
    if unlabelled:
        yield f"{unlabelled} images have no class"
    yield from _split_warnings(splits)
    leaking = sum(group.leaks for group in copies)
    if leaking:
        yield f"leakage: {leaking} groups of copies lie in more than one split; training copies will be left out"
    contradicting = sum(len(group.classes) > 1 for group in copies)
    if contradicting:
        yield f"{contradicting} groups of copies carry different classes"


def _colours(mode: str) -> str:
    return "grey" if mode.split()[0] in ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N") else "colour"


def _split_warnings(splits: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    present = {name: {label for label, count in counts.items() if count} for name, counts in splits.items()}
    for name, labels in present.items():
        for other, others in present.items():
            for label in sorted(others - labels) if name == "train" else ():
                yield f"class {label!r} is in {other} and not in train: nothing can be learnt of it"
        missing = sorted(present.get("train", set()) - labels)
        if missing:
            yield f"{name} lacks {len(missing)} classes, such as {missing[0]!r}"


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


def _lines(found: Inspection) -> Iterator[str]:
    stats = found.report.stats
    total, bad = found.report.images, len(found.report.bad_files)
    yield f"{found.source}: {found.report.format}, {found.task}, {total} images, {len(found.classes)} classes"
    yield f"  sizes: {_counted(stats.sizes)}"
    yield f"  modes: {_counted(stats.modes)}; files: {_counted(stats.encodings)}"
    if found.report.ignored:
        yield f"  ignored: {_counted(found.report.ignored)}"
    names = list(found.splits)
    width = max((len(name) for name in found.classes), default=5)
    yield f"  {'class':<{width}}  {'images':>8}" + "".join(f"  {name:>10}" for name in names)
    for label, count in found.classes.items():
        row = "".join(f"  {found.splits[name].get(label, 0):>10}" for name in names)
        yield f"  {label:<{width}}  {count:>8}{row}"
    yield f"bad files: {bad or 'none'}"
    yield from (f"  {entry}" for entry in found.report.bad_files)
    kinds = Counter(group.kind for group in found.duplicates)
    yield f"copies: {_counted(kinds)} groups" if kinds else "copies: none"
    for group in found.duplicates[:SHOWN]:
        where = f" ({', '.join(group.splits)})" if group.splits else ""
        yield f"  {group.kind}: {' = '.join(visible(path) for path in group.paths[:SHOWN])}{where}"
    if len(found.duplicates) > SHOWN:
        yield f"  … and {len(found.duplicates) - SHOWN} more (--json lists all)"
    yield from (f"warning: {text}" for text in found.warnings)
    yield from (f"suggestion: {text}" for text in found.suggestions)


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name} × {count}" for name, count in list(counts.items())[:SHOWN]]
    more = len(counts) - SHOWN
    return ", ".join(shown) + (f", … {more} more" if more > 0 else "") if shown else "none"
