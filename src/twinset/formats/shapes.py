"""What readers of annotation tools share: shapes as outlines, parts joined to objects, pictures found by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from twinset.annotations import AttributeValue
from twinset.dataset import SplitName
from twinset.formats.folder import Folder, Unusable, first_line, visible
from twinset.formats.listing import Candidate
from twinset.formats.objects import Stated
from twinset.formats.pairs import PEEKED, Walked, split_of
from twinset.formats.sidecars import Extras
from twinset.images import MAX_PIXELS
from twinset.masks import Ring

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CORNERS = 72
"""Points of the outline that stands for a circle: at a radius of 100 pixels it is off by a tenth of one."""

LARGEST = 1e30
"""Beyond this no number is a coordinate; float32 holds little more."""

FLAGS = ("crowd", "difficult", "truncated")
"""Attributes that mean a flag of ours, in tools that have none of their own."""

YES = frozenset({"1", "true", "yes"})


def ellipse(x: float, y: float, across: float, down: float, turn: float = 0.0) -> Ring:
    """The outline of an ellipse around a centre, with half axes ``across`` and ``down``, turned by radians.

    >>> [round(value) for value in ellipse(10, 10, 5, 5)[:2]]
    [15, 10]
    """
    if not (across > 0 and down > 0):
        raise Unusable(f"expected a radius above 0; got {across:g}, {down:g}")
    points = []
    for step in range(CORNERS):
        angle = 2 * math.pi * step / CORNERS
        a, b = across * math.cos(angle), down * math.sin(angle)
        points += [x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)]
    return tuple(points)


def outline_of(points: Sequence[tuple[float, float]]) -> Ring:
    """Points as one closed outline; :class:`Unusable` for fewer than three."""
    if len(points) < 3:
        raise Unusable(f"expected an outline of three points or more; got {len(points)}")
    return tuple(value for point in points for value in point)


def turned_box(box: tuple[float, float, float, float], turn: float) -> Ring:
    """A box xyxy, turned by radians from x to y about its middle, as an outline.

    >>> [round(value) for value in turned_box((0, 4, 10, 6), math.pi / 2)]
    [6, 0, 6, 10, 4, 10, 4, 0]
    """
    x1, y1, x2, y2 = box
    x, y, across, down = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    points = []
    for a, b in ((-across, -down), (across, -down), (across, down), (-across, down)):
        points += [x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)]
    return tuple(points)


def corners_of(box: tuple[float, float, float, float]) -> Ring:
    """A box xyxy as an outline."""
    x1, y1, x2, y2 = box
    return (x1, y1, x2, y1, x2, y2, x1, y2)


def around(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The box xyxy around points."""
    if len(points) < 2:
        raise Unusable(f"expected two corners; got {len(points)}")
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def number_in(value: object, what: str) -> float:
    """A finite number, or text of one; :class:`Unusable` for anything else."""
    shown = visible(str(value)[:20]) if isinstance(value, str | int | float) else type(value).__name__
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not abs(found) < LARGEST or "_" in shown:
        raise Unusable(f"expected {what} as a number; got {shown!r}")
    return found


def picture_size(height: object, width: object) -> tuple[int, int] | None:
    """A picture's (height, width) as a file states it; None where it does not, or no picture can be so large."""
    sides = [
        int(side) if isinstance(side, int | str) and str(side).isascii() and str(side).isdecimal() else 0
        for side in (height, width)
        if len(str(side)) < 8
    ]
    return (sides[0], sides[1]) if len(sides) == 2 and 0 < sides[0] * sides[1] <= MAX_PIXELS else None


def encoded(attributes: Mapping[str, AttributeValue]) -> str | None:
    """Attributes as an object has them; None where there are none."""
    return json.dumps(attributes, sort_keys=True) if attributes else None


@dataclass(frozen=True)
class Part:
    """One shape; those of one class and group are parts of one object. ``group`` is None for an object of its own."""

    stated: Stated
    group: str | None = None


def joined(parts: Iterable[Part]) -> list[Stated]:
    """The objects that parts make, each where its first part stood; a box that is joined becomes an outline.

    Run lengths are never joined.
    """
    found: dict[object, list[Stated]] = {}
    for number, part in enumerate(parts):
        alone = part.group is None or part.stated.rle is not None
        found.setdefault(number if alone else (part.stated.label, part.group), []).append(part.stated)
    return [same[0] if len(same) == 1 else _united(same) for same in found.values()]


def _united(same: Sequence[Stated]) -> Stated:
    rings: list[Ring] = []
    for one in same:
        rings += one.rings if one.rings is not None else [corners_of(one.box)] if one.box is not None else []
    return replace(same[0], box=None, rings=tuple(rings))


def spelled(walked: Walked, parent: str, text: str) -> str | None:
    """The file that a path relative to ``parent`` means, written on any system; None where it is not there.

    A path that leads out of the dataset, or was absolute elsewhere, means the file of its name in ``parent``.
    """
    path = PurePosixPath(PureWindowsPath(text).as_posix())
    parts = [part for part in PurePosixPath(parent).parts if part != "."]
    inside = "\0" not in text and not PureWindowsPath(text).drive and not path.is_absolute()
    for part in path.parts if inside else ():
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            inside = False
            break
    found = walked.actual(PurePosixPath(*parts)) if inside and parts else None
    return found or (walked.actual(PurePosixPath(parent) / path.name) if path.name else None)


def near(folder: Folder, suffixes: tuple[str, ...]) -> list[str]:
    """Files of these suffixes at the top of a folder and up to two levels below it, a few of each folder."""
    tops = folder.names()[:64]
    below = [f"{top}/{name}" for top in tops for name in folder.names(top)[:16]]
    found = []
    for place in ("", *tops, *below):
        names = [name for name in folder.names(place) if name.lower().endswith(suffixes)]
        found += [f"{place}/{name}" if place else name for name in names[:PEEKED]]
    return found


def folder_of(path: str) -> str:
    """The folder that a file lies in, "" for the top."""
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


@dataclass(frozen=True)
class Said:
    """What a file of annotations says of one picture, besides its objects; ``size`` is (height, width) as stated."""

    path: str
    where: str
    split: SplitName | None = None
    label: str | None = None
    attributes: Mapping[str, AttributeValue] | None = None
    size: tuple[int, int] | None = None


def candidate(said: Said, extra: Extras, objects: int | None) -> Candidate:
    """A picture with its objects; what rides beside a dataset that we wrote comes first."""
    return Candidate(
        id=extra.id or visible(said.path),
        label=said.label,
        split=said.split,
        path=said.path,
        where=said.where,
        caption=extra.caption,
        attributes={**(said.attributes or {}), **extra.attributes},
        probabilities=extra.probabilities,
        origin=extra.origin,
        objects=objects,
        stated_size=said.size,
    )


def unlabelled(walked: Walked, used: set[str], notes: Mapping[str, Extras]) -> Iterator[Candidate]:
    """Pictures of which nothing is said, in the folders of those of which something is, or that we wrote."""
    folders = {folder_of(path) for path in used}
    for path in walked.pictures:
        if path not in used and (folder_of(path) in folders or path in notes):
            yield candidate(Said(path, "", split_of(path)), notes.get(path, Extras()), None)


def xml_root(data: bytes) -> Element:
    """The root of an XML file; :class:`Unusable` for damaged XML and for any document type or entity."""
    from xml.parsers.expat import ErrorString

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Unusable("expected XML without a document type or entities; got some") from error
    except ParseError as error:
        raise Unusable(f"expected XML; got {ErrorString(error.code)}", error.position[0]) from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise Unusable(f"expected XML; got {first_line(error)}") from error
    return root
