"""LabelMe: a JSON file of shapes beside each picture.

Polygons, rectangles, circles and masks of one label and ``group_id`` are parts of one object (masks stay alone); points
and lines are left out, and so are shapes called ``__ignore__``. Flags and ``attributes`` are attributes; the flags
crowd, difficult and truncated are what they say. A picture without a JSON file was not annotated. Pictures that exist
only inside the JSON (``imageData``) are read from there.

Files without any shape whose flags name one class each are a classification set: the flag is the class.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import hypot
from pathlib import PurePosixPath

import numpy as np

from twinset.annotations import AttributeValue
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, is_text, visible
from twinset.formats.labelme_writing import losses, write
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.maskfiles import read_mask
from twinset.formats.objects import Objects, Stated
from twinset.formats.pairs import Walked, lines_of, read_text, split_of, walk
from twinset.formats.shapes import (
    FLAGS,
    Part,
    Said,
    around,
    candidate,
    ellipse,
    encoded,
    folder_of,
    joined,
    near,
    number_in,
    outline_of,
    picture_size,
    spelled,
    unlabelled,
)
from twinset.formats.sidecars import CLASSES_FILE, Extras, parse_json, read_classes, read_provenance
from twinset.masks import Rle

__all__ = ["claims", "listing", "losses", "write"]

MAX_JSON_BYTES = 256 << 20
START = 1 << 18
KEYS = (b'"shapes"', b'"imagePath"', b'"imageData"', b'"shape_type"', b'"points"')
IGNORED = ("__ignore__", "_background_")


def claims(folder: Folder) -> bool:
    """Whether a folder holds JSON files of shapes, at the top or up to two levels below."""
    return any(_is_labelme(_start(folder, path)) for path in near(folder, (".json",)))


def _start(folder: Folder, path: str) -> bytes:
    try:
        with folder.open(path) as handle:
            return handle.read(START)
    except (Unusable, OSError):
        return b""


def _is_labelme(start: bytes) -> bool:
    """Whether a file begins as LabelMe's do; also of one that was cut off among its shapes."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and sum(key in start for key in KEYS) > 1


def _is_meant(folder: Folder, path: str, stems: Collection[PurePosixPath]) -> bool:
    """Whether a JSON file is one of LabelMe's, or was: damaged, and small or of the name of a picture."""
    start = _start(folder, path)
    if _is_labelme(start):
        return True
    if path == CLASSES_FILE or (len(start) == START and PurePosixPath(path).with_suffix("") not in stems):
        return False
    try:
        value = parse_json(folder.read(path, limit=MAX_JSON_BYTES), "shapes")
    except Unusable:
        return True
    return isinstance(value, dict) and isinstance(value.get("shapes"), list)


@dataclass
class _Record:
    """One JSON file: the picture it names, its size as stated, and what it says."""

    file: str
    picture: str
    inline: bool
    size: tuple[int, int] | None
    flags: Mapping[str, bool]
    parts: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Damaged:
    """A JSON file that cannot be used."""

    file: str
    told: BadFile


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of a LabelMe folder; every JSON file is parsed now, pictures are opened as entries are drawn."""
    findings, objects = Findings(), Objects()
    walked = walk(folder, findings)
    given = read_classes(folder)
    counts = Counter[str]()
    stems = {PurePosixPath(path).with_suffix("") for path in walked.pictures}
    records: list[_Record | _Damaged] = []
    for path in walked.others:
        if path.endswith(".json") and _is_meant(folder, path, stems):
            try:
                records.append(_record(folder, path, findings, counts))
            except Unusable as error:
                records.append(_Damaged(path, BadFile(visible(path), str(error), error.line)))
    findings.warnings += [f"{count} {what} are left out" for what, count in sorted(counts.items())]
    findings.ignored["other"] += len(walked.others) - len(records)
    entries = _entries(folder, walked, records, objects)
    classes = given.names if given is not None else _listed(folder)
    return Listing("labelme", entries, findings, folder, name, classes, objects)


def _listed(folder: Folder) -> tuple[str, ...] | None:
    """The classes of ``labels.txt``, None without one."""
    if "labels.txt" not in folder.names():
        return None
    try:
        names = [line for _, line in lines_of(read_text(folder, "labels.txt", limit=1 << 20))]
    except Unusable as error:
        raise DatasetFormatError(str(error), path="labels.txt", line=error.line, hint="repair or delete it") from error
    return tuple(dict.fromkeys(visible(name) for name in names if name not in IGNORED))


def _record(folder: Folder, file: str, findings: Findings, counts: Counter[str]) -> _Record:
    value = parse_json(folder.read(file, limit=MAX_JSON_BYTES), "shapes")
    if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
        raise Unusable("expected an object with a list of shapes; got another")
    size = picture_size(value.get("imageHeight"), value.get("imageWidth"))
    picture = value.get("imagePath")
    inline = isinstance(value.get("imageData"), str)
    record = _Record(file, picture if isinstance(picture, str) else "", inline, size, _flags(value.get("flags")))
    for number, shape in enumerate(value["shapes"], 1):
        try:
            part = _part(shape, number, size, findings, counts)
        except Unusable as error:
            record.problems.append(f"object {number}: {error}; left out")
            continue
        if part is not None:
            record.parts.append(part)
    return record


def _flags(value: object) -> dict[str, bool]:
    given = value if isinstance(value, dict) else {}
    return {key: flag for key, flag in given.items() if isinstance(flag, bool) and is_text(key)}


def _part(
    shape: object, number: int, size: tuple[int, int] | None, findings: Findings, counts: Counter[str]
) -> Part | None:
    """One shape; None for one that is left out on purpose."""
    if not isinstance(shape, dict):
        raise Unusable(f"expected a shape; got {type(shape).__name__}")
    label, kind, group = shape.get("label"), shape.get("shape_type") or "polygon", shape.get("group_id")
    if kind in ("point", "points", "line", "linestrip"):
        counts["points and lines"] += 1
        return None
    if not isinstance(label, str) or not label.strip() or not is_text(label):
        raise Unusable("expected a label; got none")
    if label in IGNORED:
        counts[f"shapes called {label}"] += 1
        return None
    flags = {**_flags(shape.get("flags")), **{key: True for key in FLAGS if shape.get(key) is True}}
    score = shape.get("score")
    where = _where(shape, str(kind), size)
    stated = Stated(
        findings.class_name(label),
        where.box,
        number,
        rings=where.rings,
        rle=where.rle,
        crowd=flags.get("crowd", False),
        difficult=flags.get("difficult", False),
        truncated=flags.get("truncated", False),
        confidence=float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None,
        attributes=encoded(_attributes(shape, flags)),
    )
    return Part(stated, None if group is None else str(group))


def _where(shape: Mapping[str, object], kind: str, size: tuple[int, int] | None) -> Stated:
    """Box, outline or mask of a shape."""
    given = shape.get("points")
    if not isinstance(given, list) or not all(isinstance(p, list) and len(p) == 2 for p in given):
        raise Unusable("expected points [x, y]; got others")
    points = [(number_in(x, "a coordinate"), number_in(y, "a coordinate")) for x, y in given]
    if kind == "rectangle":
        return Stated(None, around(points))
    if kind == "circle" and len(points) == 2:
        (x, y), (edge_x, edge_y) = points
        radius = hypot(edge_x - x, edge_y - y)
        return Stated(None, rings=(ellipse(x, y, radius, radius),))
    if kind == "mask":
        return Stated(None, rle=_mask(shape.get("mask"), around(points), size))
    if kind in ("polygon", "oriented_rectangle", "rotation"):
        return Stated(None, rings=(outline_of(points),))
    raise Unusable(f"expected polygon, rectangle, circle or mask; got {visible(kind[:40])!r}")


def _mask(text: object, box: tuple[float, float, float, float], size: tuple[int, int] | None) -> Rle:
    """A mask as PNG of its box, which begins at the first corner."""
    if size is None:
        raise Unusable("expected imageHeight and imageWidth beside a mask; got none")
    values = read_mask(_decoded(text, "mask")) != 0
    x, y = int(box[0]), int(box[1])
    height, width = values.shape
    if not (x >= 0 and y >= 0 and y + height <= size[0] and x + width <= size[1]):
        raise Unusable(f"expected a mask inside {size[1]} x {size[0]}; got {width} x {height} at {x}, {y}")
    whole = np.zeros(size, dtype=bool)
    whole[y : y + height, x : x + width] = values
    return Rle.of(whole)


def _decoded(text: object, what: str) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unusable(f"expected {what} in base64; got other text") from error


def _attributes(shape: Mapping[str, object], flags: Mapping[str, bool]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {key: flag for key, flag in flags.items() if key not in FLAGS}
    given, description = shape.get("attributes"), shape.get("description")
    if isinstance(given, dict):
        found |= {key: value for key, value in given.items() if isinstance(value, str | int | float)}
    if isinstance(description, str) and description:
        found["description"] = description
    return {key: value for key, value in found.items() if is_text(key) and is_text(str(value))}


def _entries(
    folder: Folder, walked: Walked, records: list[_Record | _Damaged], objects: Objects
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    used = set[str]()
    whole = [record for record in records if isinstance(record, _Record)]
    classes = not any(one.parts or one.problems for one in whole) and all(sum(one.flags.values()) == 1 for one in whole)
    yield from walked.bad
    for record in records:
        if isinstance(record, _Damaged):
            yield record.told
            used.update(_namesakes(walked, record.file))
            continue
        try:
            path, data = _picture(folder, walked, record)
        except Unusable as error:
            yield BadFile(visible(record.file), str(error))
            continue
        label = next((flag for flag, value in record.flags.items() if value), None) if classes else None
        said = Said(path, record.file, split_of(record.file), label, {} if classes else record.flags, record.size)
        number = None if classes else objects.picture(joined(record.parts))
        found = candidate(said, notes.get(path, Extras()), number)
        yield found if data is None else _inline(found, data)
        yield from (BadFile(visible(record.file), problem, kind="object") for problem in record.problems)
        used.add(path)
    yield from unlabelled(walked, used, notes)


def _namesakes(walked: Walked, file: str) -> Iterator[str]:
    """The pictures of the name of a file, in its folder."""
    stem = PurePosixPath(file).with_suffix("")
    return (path for path in walked.pictures if PurePosixPath(path).with_suffix("") == stem)


def _inline(found: Candidate, data: bytes) -> Candidate:
    return replace(found, path=None, data=data)


def _picture(folder: Folder, walked: Walked, record: _Record) -> tuple[str, bytes | None]:
    """The path of the picture, or what stands in the JSON; :class:`Unusable` where there is neither."""
    found = spelled(walked, folder_of(record.file), record.picture) if record.picture else None
    if found is None:
        found = next(_namesakes(walked, record.file), None)
    if found is not None:
        return found, None
    if not record.inline:
        raise Unusable(f"expected its picture {visible(record.picture)!r}; got none, nor imageData")
    data = json.loads(folder.read(record.file, limit=MAX_JSON_BYTES))["imageData"]
    return record.file, _decoded(data, "imageData")
