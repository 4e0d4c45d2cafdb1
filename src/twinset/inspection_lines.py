"""What an inspection found as lines for people: long lists are cut, which JSON never does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from twinset.dataset import UNITS
from twinset.formats.counting import counted
from twinset.formats.folder import visible

if TYPE_CHECKING:
    from twinset.inspection import Inspection

SHOWN = 8
"""Things that are named on one line."""

LISTED = 20
"""Classes, and bad files, that have lines of their own."""


def lines_of(found: Inspection) -> Iterator[str]:
    """One thing a line, without control characters."""
    stats = found.report.stats
    total, bad = found.report.images, len(found.report.bad_files)
    sizes = f"{counted(total, 'images')}, {counted(len(found.classes), 'classes')}"
    yield f"{found.source}: {found.report.format}, {found.task}, {sizes}"
    yield f"  sizes: {tallied(stats.sizes)}"
    yield f"  modes: {tallied(stats.modes)}; files: {tallied(stats.encodings)}"
    if found.report.ignored:
        yield f"  ignored: {tallied(found.report.ignored)}"
    shown = _largest(found.classes)
    width = max((len(name) for name in shown), default=5)
    yield from _class_lines(found, shown, width)
    yield from _box_lines(found, [name for name in shown if name in found.boxes], width)
    for name, counts in list(found.groups.items())[:SHOWN]:
        yield f"  groups by {visible(name)}: {tallied({visible(value): count for value, count in counts.items()})}"
    yield f"bad files: {bad or 'none'}"
    yield from (f"  {entry}" for entry in found.report.bad_files[:LISTED])
    if bad > LISTED:
        yield _more(bad - LISTED)
    kinds = Counter(group.kind for group in found.duplicates)
    groups = "group" if kinds.total() == 1 else "groups"
    yield f"copies: {tallied(kinds)} {groups}" if kinds else "copies: none"
    for group in found.duplicates[:SHOWN]:
        where = f" ({', '.join(group.splits)})" if group.splits else ""
        yield f"  {group.kind}: {' = '.join(visible(path) for path in group.paths[:SHOWN])}{where}"
    if len(found.duplicates) > SHOWN:
        yield _more(len(found.duplicates) - SHOWN)
    yield from (f"warning: {text}" for text in found.warnings)
    yield from (f"suggestion: {text}" for text in found.suggestions)


def _more(count: int) -> str:
    return f"  … and {count} more (--json lists all)"


def _largest(counts: Mapping[str, int]) -> list[str]:
    """The classes that are listed: all in their order, or of many the largest, largest first."""
    if len(counts) <= LISTED:
        return list(counts)
    return sorted(counts, key=lambda name: -counts[name])[:LISTED]


def _class_lines(found: Inspection, shown: Sequence[str], width: int) -> Iterator[str]:
    names = list(found.splits)
    yield f"  {'class':<{width}}  {UNITS[found.task].split()[0]:>8}" + "".join(f"  {name:>10}" for name in names)
    for label in shown:
        row = "".join(f"  {found.splits[name].get(label, 0):>10}" for name in names)
        yield f"  {label:<{width}}  {found.classes[label]:>8}{row}"
    if len(shown) < len(found.classes):
        yield _more(len(found.classes) - len(shown))


def _box_lines(found: Inspection, shown: Sequence[str], width: int) -> Iterator[str]:
    if not shown:
        return
    yield "boxes, at the 10th, 50th and 90th percentile:"
    yield f"  {'class':<{width}}  {'in images':>9}  {'side, px':>16}  {'area, % of image':>20}  {'width / height':>16}"
    for name in shown:
        facts = found.boxes[name]
        side = " ".join(f"{value:.0f}" for value in facts.side)
        area = " ".join(f"{100 * value:.2f}" for value in facts.area)
        aspect = " ".join(f"{value:.2f}" for value in facts.aspect)
        yield f"  {name:<{width}}  {facts.images:>9}  {side:>16}  {area:>20}  {aspect:>16}"
    if len(shown) < len(found.boxes):
        yield _more(len(found.boxes) - len(shown))


def tallied(counts: Mapping[str, int]) -> str:
    """Things and how many of each, the first few."""
    shown = [f"{name} × {count}" for name, count in list(counts.items())[:SHOWN]]
    more = len(counts) - SHOWN
    return ", ".join(shown) + (f", … {more} more" if more > 0 else "") if shown else "none"
