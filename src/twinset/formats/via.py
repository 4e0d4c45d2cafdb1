"""VIA (VGG Image Annotator): ``via_region_data.json``, a project file, or its CSV, beside the pictures it names.

Rectangles, polygons, circles and ellipses are objects; points and lines are left out. The class is the region attribute
called class, label, name, type or category, else the one that most regions have; regions without it are of the only
class there is. Other region attributes are attributes; crowd, difficult and truncated are what they say. A picture that
no file names was not annotated.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from twinset.annotations import AttributeValue, Instances
from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, is_text, visible
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.losses import boxes_beside_masks, instances_of, masks_in, said
from twinset.formats.objects import Objects, Stated
from twinset.formats.outlines import outline
from twinset.formats.pairs import SPLIT_FOLDERS, Walked, read_text, split_of, walk
from twinset.formats.shapes import (
    FLAGS,
    YES,
    Said,
    candidate,
    ellipse,
    encoded,
    folder_of,
    near,
    number_in,
    outline_of,
    spelled,
    unlabelled,
)
from twinset.formats.sidecars import (
    CLASSES_FILE,
    PROVENANCE_FILE,
    ClassList,
    Extras,
    parse_json,
    provenance_lines,
    read_classes,
    read_provenance,
)
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.masks import Polygons

FILE = "via_region_data.json"
CLASS_KEYS = ("class", "label", "name", "type", "category")
ONLY_CLASS = "object"
START = 1 << 14
CELLS = ("file_attributes", "region_shape_attributes", "region_attributes")
HELD = ("objects", "masks", "crowd flags", "difficult flags", "truncated flags", "object attributes")
LEFT_OUT = ("point", "polyline", "line")


def claims(folder: Folder) -> list[str]:
    """The VIA files of a folder: at its top, or in the folders below that and ``images``."""
    return [path for path in near(folder, (".json", ".csv")) if is_via(folder, path)]


def is_via(folder: Folder, path: str) -> bool:
    """Whether a file begins as VIA's do."""
    try:
        with folder.open(path) as handle:
            start = handle.read(START)
    except (Unusable, OSError):
        return False
    if path.lower().endswith(".csv"):
        return b"region_shape_attributes" in start.split(b"\n", 1)[0]
    if b'"_via_img_metadata"' in start or b'"_via_settings"' in start:
        return True
    inner = (b'"file_attributes"', b'"shape_attributes"')  # the former comes last: a file that was cut may lack it
    return b'"filename"' in start and b'"regions"' in start and any(key in start for key in inner)


@dataclass
class _Region:
    """One region as a file has it: where it is, and its attributes."""

    number: int
    shape: object
    values: dict[str, AttributeValue]


@dataclass
class _Picture:
    """One picture as a file names it."""

    file: str
    name: str
    attributes: dict[str, AttributeValue]
    regions: list[_Region] = field(default_factory=list)


def listing(folder: Folder, files: list[str], name: str) -> Listing:
    """The pictures of these VIA files; all are parsed now. :class:`DatasetFormatError` where none can be used.

    Of several, one that is damaged is a bad entry, and pictures of which the others say nothing are left out with it.
    """
    findings, objects = Findings(), Objects()
    walked, given = walk(folder, findings), read_classes(folder)
    pictures: list[_Picture] = []
    damaged: list[BadFile] = []
    for file in files:
        try:
            pictures += list(_pictures(folder, file))
        except Unusable as error:
            damaged.append(BadFile(visible(file), str(error), error.line))
    if len(damaged) == len(files):
        first = damaged[0]
        raise DatasetFormatError(first.problem, path=first.path, line=first.line, hint="export it again")
    key = _class_key(pictures)
    labels = dict.fromkeys(str(one.values[key]) for pic in pictures for one in pic.regions if one.values.get(key))
    findings.ignored["other"] += len(walked.others) - len(files)
    only = next(iter(labels), ONLY_CLASS) if len(labels) < 2 else None
    silent = sum(not one.values.get(key) for pic in pictures for one in pic.regions)
    if silent and only is not None:
        findings.warnings.append(f"{silent} regions name no class: taken as {visible(only)!r}")
    entries = _entries(folder, walked, pictures, damaged, (key, only), objects, findings)
    return Listing("via", entries, findings, folder, name, given.names if given is not None else None, objects)


def _class_key(pictures: list[_Picture]) -> str:
    counts = Counter(key for pic in pictures for one in pic.regions for key, value in one.values.items() if value != "")
    lower = {key.strip().casefold(): key for key in counts}
    found = next((lower[key] for key in CLASS_KEYS if key in lower), None)
    return found or next((key for key, _ in counts.most_common(1)), CLASS_KEYS[0])


def _pictures(folder: Folder, file: str) -> Iterator[_Picture]:
    return _csv_pictures(folder, file) if file.lower().endswith(".csv") else _json_pictures(folder, file)


def _json_pictures(folder: Folder, file: str) -> Iterator[_Picture]:
    value = parse_json(read_text(folder, file), "VIA regions")
    if isinstance(value, dict) and isinstance(value.get("_via_img_metadata"), dict):
        value = value["_via_img_metadata"]
    if not isinstance(value, dict):
        raise Unusable("expected an object of pictures; got another")
    for record in value.values():
        name, regions = (record.get("filename"), record.get("regions", [])) if isinstance(record, dict) else (None, [])
        if not isinstance(name, str) or not isinstance(regions, list | dict):
            raise Unusable("expected pictures with filename and regions; got others")
        pic = _Picture(file, name, _plain(record.get("file_attributes")))
        for number, region in enumerate(regions.values() if isinstance(regions, dict) else regions, 1):
            shape, values = (
                (region.get("shape_attributes"), region.get("region_attributes"))
                if isinstance(region, dict)
                else (None, None)
            )
            pic.regions.append(_Region(number, shape, _plain(values)))
        yield pic


def _csv_pictures(folder: Folder, file: str) -> Iterator[_Picture]:
    found: dict[str, _Picture] = {}
    reader = csv.DictReader(io.StringIO(read_text(folder, file), newline=""))
    try:
        for row in reader:
            cells = {str(key).lstrip("#"): value for key, value in row.items()}
            name = cells.get("filename")
            if not isinstance(name, str) or not name:
                raise Unusable("expected a filename; got none", reader.line_num)
            if short := sum(value is None for value in cells.values()):
                got = len(cells) - short
                raise Unusable(f"expected {len(cells)} columns; got {got}", reader.line_num)
            attributes, shape, values = (_cell(cells, key, reader.line_num) for key in CELLS)
            pic = found.setdefault(name, _Picture(file, name, _plain(attributes)))
            if shape:
                pic.regions.append(_Region(len(pic.regions) + 1, shape, _plain(values)))
    except csv.Error as error:
        raise Unusable(f"expected a table; got {visible(str(error))}", reader.line_num) from error
    yield from found.values()


def _cell(cells: Mapping[str, object], key: str, line: int) -> object:
    text = cells.get(key)
    try:
        return parse_json(text, key) if isinstance(text, str) and text.strip() else None
    except Unusable as error:
        raise Unusable(str(error), line) from error


def _plain(value: object) -> dict[str, AttributeValue]:
    """Attributes; the boxes that are ticked of a checkbox are one each."""
    found: dict[str, AttributeValue] = {}
    for key, one in value.items() if isinstance(value, dict) else ():
        if isinstance(one, dict):
            found |= {f"{key}.{option}": ticked for option, ticked in one.items() if isinstance(ticked, bool)}
        elif isinstance(one, str | int | float) and one != "":
            found[key] = one
    return {key: one for key, one in found.items() if is_text(key) and is_text(str(one))}


def _entries(
    folder: Folder,
    walked: Walked,
    pictures: list[_Picture],
    damaged: list[BadFile],
    class_of: tuple[str, str | None],
    objects: Objects,
    findings: Findings,
) -> Iterator[Candidate | BadFile]:
    notes, used = read_provenance(folder), set[str]()
    counts = Counter[str]()
    yield from walked.bad
    yield from damaged
    for pic in pictures:
        path = spelled(walked, folder_of(pic.file), pic.name)
        if path is None:
            yield BadFile(visible(pic.file), f"expected its picture {visible(pic.name)!r}; got none")
            continue
        stated, problems = list[Stated](), list[str]()
        for region in pic.regions:
            try:
                one = _object(region, class_of, findings)
            except Unusable as error:
                problems.append(f"{visible(path)}: object {region.number}: {error}; left out")
                continue
            counts["points and lines are left out"] += one is None
            stated += [one] if one is not None else []
        used.add(path)
        said_of = Said(path, pic.file, split_of(path), None, pic.attributes)
        yield candidate(said_of, notes.get(path, Extras()), objects.picture(stated))
        yield from (BadFile(visible(pic.file), problem, kind="object") for problem in problems)
    if not damaged:
        yield from unlabelled(walked, used, notes)
    findings.warnings += [f"{count} {what}" for what, count in counts.items() if count]


def _object(region: _Region, class_of: tuple[str, str | None], findings: Findings) -> Stated | None:
    """The object of a region; None for a point or line."""
    key, only = class_of
    values = dict(region.values)
    where = _where(region.shape, region.number)
    if where is None:
        return None
    label = values.pop(key, None) or only
    if label is None:
        raise Unusable(f"expected a class as {visible(key)!r}; got none")
    flags = {name: str(values.pop(name)).casefold() in YES for name in FLAGS if name in values}
    return replace(
        where,
        label=findings.class_name(str(label)),
        crowd=flags.get("crowd", False),
        difficult=flags.get("difficult", False),
        truncated=flags.get("truncated", False),
        attributes=encoded(values),
    )


def _where(shape: object, number: int) -> Stated | None:
    if not isinstance(shape, dict):
        raise Unusable("expected shape_attributes; got none")
    kind = shape.get("name")
    if kind in LEFT_OUT:
        return None

    def value(key: str) -> float:
        return number_in(shape.get(key), key)

    if kind == "rect":
        x, y = value("x"), value("y")
        return Stated(None, (x, y, x + value("width"), y + value("height")), number)
    if kind == "circle":
        return Stated(None, number=number, rings=(ellipse(value("cx"), value("cy"), value("r"), value("r")),))
    if kind == "ellipse":
        turn = number_in(shape.get("theta", 0), "theta")
        return Stated(None, number=number, rings=(ellipse(value("cx"), value("cy"), value("rx"), value("ry"), turn),))
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if kind != "polygon" or not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise Unusable(f"expected rect, polygon, circle or ellipse; got {visible(str(kind)[:40])!r}")
    points = [(number_in(x, "x"), number_in(y, "y")) for x, y in zip(xs, ys, strict=True)]
    return Stated(None, number=number, rings=(outline_of(points),))


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``images/[split/]`` with ``via_region_data.json`` among the pictures; the number of pictures.

    Samples of whose objects nothing is said are not in it. Masks are one outline each.
    """
    names, rows = FileNames(), []
    records: dict[str, dict[str, object]] = {}
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        parent = "/".join(filter(None, ("images", SPLIT_FOLDERS[split])))
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        rows.append((path, sample))
        instances = sample.annotation.instances if sample.annotation is not None else None
        if instances is not None:
            name = PurePosixPath(path).name
            regions = list(_regions(instances, dataset.classes))
            record = {"filename": name, "size": len(data), "regions": regions, "file_attributes": {}}
            records.setdefault(parent, {})[f"{name}{len(data)}"] = record
    for parent, found in records.items():
        target.add(f"{parent}/{FILE}", json.dumps(found, ensure_ascii=False).encode())
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _regions(instances: Instances, classes: tuple[str, ...]) -> Iterator[dict[str, object]]:
    masks = instances.masks or (None,) * len(instances)
    for row, class_id in enumerate(instances.class_ids.tolist()):
        mask = masks[row]
        ring = outline(mask) if mask is not None else None
        x1, y1, x2, y2 = instances.boxes[row].astype(np.float64).tolist()
        shape: dict[str, object] = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
        if ring is not None:
            shape = {"name": "polygon", "all_points_x": list(ring[::2]), "all_points_y": list(ring[1::2])}
        values: dict[str, object] = {key: column[row] for key, column in instances.columns.items()}
        values |= {name: "true" for name in FLAGS if getattr(instances, f"is_{name}")[row]}
        values = {key: value for key, value in values.items() if value is not None}
        yield {"shape_attributes": shape, "region_attributes": {**values, "class": classes[class_id]}}


def losses(dataset: Dataset) -> dict[str, int]:
    """What VIA cannot hold, counted. An object with a mask is one outline, without a box of its own."""
    found = said(dataset, held=HELD) | boxes_beside_masks(dataset)
    parts = 0
    for instances in instances_of(dataset) if masks_in(dataset) else ():
        parts += sum(isinstance(mask, Polygons) and len(mask.rings) > 1 for mask in instances.masks or ())
    return found | ({"outlines of several parts": parts} if parts else {})
