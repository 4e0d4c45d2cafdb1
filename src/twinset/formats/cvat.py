"""CVAT 1.1 "for images": one XML file of a task or project, with the pictures in ``images/[subset/]`` or beside it.

Boxes, polygons, ellipses and masks are objects; those of one label and ``group_id`` are parts of one. Lines, points,
cuboids and skeletons are left out. ``occluded`` and other attributes are attributes, typed as the labels say; the
checkboxes crowd, difficult and truncated are what they say. A picture with one tag is of that class.

The split is the subset, or what the file is called. Tracks of videos are refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from twinset.annotations import AttributeValue
from twinset.errors import DatasetFormatError
from twinset.formats.cvat_writing import losses, write
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.objects import Objects, Stated
from twinset.formats.pairs import Walked, split_of, walk
from twinset.formats.shapes import (
    FLAGS,
    YES,
    Part,
    Said,
    candidate,
    ellipse,
    encoded,
    folder_of,
    joined,
    number_in,
    outline_of,
    picture_size,
    spelled,
    turned_box,
    unlabelled,
    xml_root,
)
from twinset.formats.sidecars import Extras, read_classes, read_provenance
from twinset.masks import Rle

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["claims", "listing", "losses", "write"]

MAX_XML_BYTES = 256 << 20
START = 1 << 12
SHAPES = ("box", "polygon", "mask", "ellipse")
OTHERS = {"polyline": "lines", "points": "points", "cuboid": "cuboids", "skeleton": "skeletons"}


def claims(folder: Folder) -> list[str]:
    """The CVAT files at the top of a folder."""
    return [name for name in folder.names() if name.lower().endswith(".xml") and is_cvat(folder, name)]


def is_cvat(folder: Folder, path: str) -> bool:
    """Whether a file begins as CVAT's do."""
    try:
        with folder.open(path) as handle:
            start = handle.read(START)
    except (Unusable, OSError):
        return False
    return b"<annotations" in start and b"<version>1." in start


@dataclass
class _Reading:
    """What is known while CVAT files are read. ``kinds`` is the input type of each attribute, by label and name."""

    walked: Walked
    findings: Findings
    exact: frozenset[str]
    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    classes: dict[str, None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def label(self, text: str | None) -> str:
        """A class name; spaces around it go unless it is known so."""
        name = text or ""
        name = name if name in self.exact else name.strip()
        if not name:
            raise Unusable("expected a label; got none")
        return self.findings.class_name(name)


def listing(folder: Folder, files: list[str], name: str) -> Listing:
    """The pictures of these CVAT files; all are parsed now. :class:`DatasetFormatError` where none can be used.

    Of several, one that is damaged is a bad entry, and pictures of which the others say nothing are left out with it.
    """
    findings, objects = Findings(), Objects()
    given = read_classes(folder)
    reading = _Reading(walk(folder, findings), findings, frozenset(given.names if given is not None else ()))
    roots: dict[str, Element] = {}
    damaged: list[BadFile] = []
    for file in files:
        try:
            roots[file] = _root(folder, file)
        except Unusable as error:
            damaged.append(BadFile(visible(file), str(error), error.line))
    if not roots:
        first = damaged[0]
        raise DatasetFormatError(first.problem, path=first.path, line=first.line, hint="export the task again")
    for root in roots.values():
        _read_labels(root, reading)
    findings.ignored["other"] += len(reading.walked.others) - len(files)
    classes = given.names if given is not None else tuple(reading.classes) or None
    return Listing("cvat", _entries(folder, roots, damaged, reading, objects), findings, folder, name, classes, objects)


def _root(folder: Folder, file: str) -> Element:
    """The root of a file; :class:`Unusable` for a damaged one, :class:`DatasetFormatError` for one of another kind."""
    root = xml_root(folder.read(file, limit=MAX_XML_BYTES))
    if root.tag != "annotations":
        raise DatasetFormatError(f"expected <annotations>; got <{visible(str(root.tag)[:40])}>", path=visible(file))
    if root.find("track") is not None:
        hint = 'export the task as "CVAT for images 1.1"'
        raise DatasetFormatError("expected annotations of images; got tracks of a video", path=visible(file), hint=hint)
    return root


def _read_labels(root: Element, reading: _Reading) -> None:
    """Class names in the order of the labels, and the types of their attributes."""
    for node in root.iterfind("meta/*/labels/label"):
        try:
            name = reading.label(node.findtext("name"))
        except Unusable:
            continue
        reading.classes.setdefault(name)
        for attribute in node.iterfind("attributes/attribute"):
            kind = (attribute.findtext("input_type") or "").strip()
            reading.kinds[name, attribute.findtext("name") or ""] = kind


def _entries(
    folder: Folder, roots: Mapping[str, Element], damaged: Sequence[BadFile], reading: _Reading, objects: Objects
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    used = set[str]()
    yield from reading.walked.bad
    yield from damaged
    for file, root in roots.items():
        for node in root.iterfind("image"):
            try:
                path, said = _picture(node, file, reading)
            except Unusable as error:
                yield BadFile(visible(file), str(error))
                continue
            parts, problems = _parts(node, reading)
            used.add(path)
            number = objects.picture(joined(parts)) if said.label is None or parts else None
            yield candidate(said, notes.get(path, Extras()), number)
            yield from (BadFile(visible(file), f"{visible(path)}: {one}", kind="object") for one in problems)
    if not damaged:
        yield from unlabelled(reading.walked, used, notes)
    reading.findings.warnings += [f"{count} {what} are left out" for what, count in sorted(reading.counts.items())]


def _picture(node: Element, file: str, reading: _Reading) -> tuple[str, Said]:
    """Where the picture of an element lies, and what is said of it as a whole."""
    name, subset = node.get("name", ""), node.get("subset", "")
    places = [f"images/{subset}", subset, "images", "", "images/default", "data"]
    parents = [str(PurePosixPath(folder_of(file)) / place) for place in places]
    found = (_inside(reading.walked, parent, name) for parent in parents)
    path = next((one for one in found if one is not None), None)
    if path is None:
        raise Unusable(f"expected its picture {visible(name)!r}, such as in images/; got none")
    tags = [reading.label(tag.get("label")) for tag in node.iterfind("tag")]
    split = SPLIT_NAMES.get(subset.casefold()) or split_of(path)
    split = split or SPLIT_NAMES.get(PurePosixPath(file).stem.casefold())
    attributes: dict[str, AttributeValue] = dict.fromkeys(tags, True) if len(tags) > 1 else {}
    size = picture_size(node.get("height"), node.get("width"))
    return path, Said(path, file, split, tags[0] if len(tags) == 1 else None, attributes, size)


def _inside(walked: Walked, parent: str, name: str) -> str | None:
    """The picture of this name below a folder; one of its last part alone would be another."""
    found = spelled(walked, parent, name)
    wanted = PurePosixPath(name.replace("\\", "/")).parts
    return found if found is not None and PurePosixPath(found).parts[-len(wanted) :] == wanted else None


def _parts(node: Element, reading: _Reading) -> tuple[list[Part], list[str]]:
    size = picture_size(node.get("height"), node.get("width"))
    parts, problems = list[Part](), list[str]()
    for number, shape in enumerate((one for one in node if one.tag != "tag"), 1):
        if shape.tag not in SHAPES:
            reading.counts[OTHERS.get(str(shape.tag), "shapes of unknown kinds")] += 1
            continue
        try:
            parts.append(_part(shape, number, size, reading))
        except Unusable as error:
            problems.append(f"object {number}: {error}; left out")
    return parts, problems


def _part(shape: Element, number: int, size: tuple[int, int] | None, reading: _Reading) -> Part:
    label = reading.label(shape.get("label"))
    where = _where(shape, size)
    values = _attributes(shape, label, reading)
    flags = {name: values.pop(name) for name in FLAGS if isinstance(values.get(name), bool)}
    stated = Stated(
        label,
        where.box,
        number,
        rings=where.rings,
        rle=where.rle,
        crowd=flags.get("crowd") is True,
        difficult=flags.get("difficult") is True,
        truncated=flags.get("truncated") is True,
        attributes=encoded(values),
    )
    group = shape.get("group_id")
    return Part(stated, None if group in (None, "", "0") else group)


def _where(shape: Element, size: tuple[int, int] | None) -> Stated:
    """Box, outline or mask of a shape. Boxes and ellipses may be turned about their middle, by degrees clockwise."""
    turn = math.radians(number_in(shape.get("rotation", "0"), "rotation"))
    if shape.tag == "box":
        x1, y1, x2, y2 = (number_in(shape.get(key), key) for key in ("xtl", "ytl", "xbr", "ybr"))
        return Stated(None, rings=(turned_box((x1, y1, x2, y2), turn),)) if turn else Stated(None, (x1, y1, x2, y2))
    if shape.tag == "ellipse":
        x, y, across, down = (number_in(shape.get(key), key) for key in ("cx", "cy", "rx", "ry"))
        return Stated(None, rings=(ellipse(x, y, across, down, turn),))
    if shape.tag == "mask":
        return Stated(None, rle=_mask(shape, size))
    points = [pair.split(",") for pair in (shape.get("points") or "").split(";") if pair.strip()]
    if not all(len(pair) == 2 for pair in points):
        raise Unusable("expected points x,y;x,y; got others")
    return Stated(None, rings=(outline_of([(number_in(x, "x"), number_in(y, "y")) for x, y in points]),))


def _mask(shape: Element, size: tuple[int, int] | None) -> Rle:
    """Run lengths along the rows of a box in the picture, background first."""
    left, top, width, height = (number_in(shape.get(key), key) for key in ("left", "top", "width", "height"))
    x, y, across, down = int(left), int(top), int(width), int(height)
    if size is None or not (x >= 0 and y >= 0 and across > 0 and down > 0 and x + across <= size[1]):
        raise Unusable("expected a mask inside a picture of known size; got another")
    texts = [text.strip() for text in (shape.get("rle") or "").split(",")]
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in texts) or y + down > size[0]:
        raise Unusable("expected a mask of run lengths inside the picture; got others")
    runs = np.array([int(text) for text in texts], dtype=np.int64)
    if runs.sum() != across * down:
        raise Unusable(f"expected run lengths that cover {across} x {down} pixels; got a sum of {runs.sum()}")
    whole = np.zeros(size, dtype=bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    whole[y : y + down, x : x + across] = values.reshape(down, across)
    return Rle.of(whole)


def _attributes(shape: Element, label: str, reading: _Reading) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {"occluded": True} if shape.get("occluded") == "1" else {}
    for node in shape.iterfind("attribute"):
        name, text = node.get("name"), node.text or ""
        if name:
            found[name] = _typed(text, reading.kinds.get((label, name), ""))
    return found


def _typed(text: str, kind: str) -> AttributeValue:
    """A value as its label declares it; text where it does not fit."""
    if kind == "checkbox" and text.strip().casefold() in ("true", "false", "1", "0"):
        return text.strip().casefold() in YES
    if kind == "number":
        try:
            return int(text) if text.strip().lstrip("-").isdecimal() else number_in(text, "a number")
        except (Unusable, ValueError):
            return text
    return text
