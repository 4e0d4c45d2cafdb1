"""YOLO: a text file of boxes or outlines for each picture, in fractions of its size; detection and segmentation.

Read with ``data.yaml``, in the darknet layout (``obj.data``, ``obj.names``, ``train.txt``), or by folders alone:
``images`` beside ``labels``, or text files beside the pictures. A line is ``class cx cy w h``, with a confidence after
it or not, or ``class x1 y1 x2 y2 x3 y3 …``. A picture without a text file is an error: an empty file says that nothing
is there.

Written with ``data.yaml``: boxes with as many digits as float32 needs, masks as one outline each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Instances
from twinset.dataset import Dataset
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import BadFile, Candidate, Findings, Listing
from twinset.formats.losses import instances_of, masks_in, said
from twinset.formats.objects import Objects, Stated
from twinset.formats.outlines import outline
from twinset.formats.pairs import IMAGE_FOLDERS, SPLIT_FOLDERS, Walked, lines_of, peek, read_text, sisters, walk
from twinset.formats.sidecars import PROVENANCE_FILE, Extras, provenance_lines, read_provenance
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.formats.yolo_layout import Layout, Named, data_files, layout_of
from twinset.images import SUFFIXES
from twinset.masks import Mask, Polygons, Ring

LABEL_FOLDERS = ("labels", "annotations")
DIGITS = 11
"""Decimals of a fraction: a box in a picture of 10,000 pixels comes back as the same float32."""

FURTHEST = 2.0
"""Beyond this a coordinate is not a fraction of the picture that a box sticks out of, but pixels."""

NEAR = 1e-3
"""Pixels by which a box may differ from that of its mask."""


def claims(folder: Folder) -> bool:
    """Whether a folder looks like YOLO: a ``data.yaml`` or darknet's files, or text files of boxes for pictures."""
    if data_files(folder):
        return True
    for top in ["", *folder.names()[:64]]:
        for name in folder.names(top)[:64]:
            below = f"{top}/{name}" if top else name
            if name.casefold() in LABEL_FOLDERS and _mostly_boxes(folder, peek(folder, below, {".txt"}, depth=2)):
                return True
        pictures = {PurePosixPath(path).with_suffix(".txt") for path in peek(folder, top, SUFFIXES, depth=0)}
        beside = [str(path) for path in sorted(pictures) if path.name in folder.names(top)]
        if beside and _mostly_boxes(folder, beside) and any(read_quietly(folder, path).strip() for path in beside):
            return True
    return False


def _mostly_boxes(folder: Folder, paths: list[str]) -> bool:
    """Whether most of these are label files; a damaged one among them is told when they are read."""
    texts = [read_quietly(folder, path) for path in paths if PurePosixPath(path).name != "classes.txt"]
    fitting = [text for text in texts if _are_boxes(text)]
    return len(fitting) * 2 > len(texts) or (len(fitting) * 2 == len(texts) and any(map(str.strip, fitting)))


def read_quietly(folder: Folder, path: str) -> str:
    """The text of a small file, or one that is no table of numbers."""
    try:
        return read_text(folder, path, limit=1 << 20)
    except Unusable:
        return "?"


def _are_boxes(text: str) -> bool:
    """Whether the first line is one of a label file; an empty file may be one."""
    first = next((line for _, line in lines_of(text)), None)
    try:
        if first is not None:
            _numbers(first)
    except Unusable:
        return False
    return True


def listing(folder: Folder, name: str, data_file: str | None = None) -> Listing:
    """The pictures of a YOLO dataset, with their boxes and outlines.

    ``data_file`` is the YAML file that describes it, where the folder has several.
    """
    findings = Findings()
    walked = walk(folder, findings)
    layout = layout_of(folder, walked, findings, data_file)
    objects = Objects(relative=True, counted="line")
    entries = _entries(folder, walked, layout, objects, findings)
    classes = None if layout.names is None else tuple(layout.names.values())
    return Listing("yolo", entries, findings, folder, name, classes, objects)


def _entries(
    folder: Folder, walked: Walked, layout: Layout, objects: Objects, findings: Findings
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    used: set[str] = set()
    yield from walked.bad
    yield from layout.bad
    for one in layout.pictures:
        expected, label = _label_file(one.path, walked, layout.label_folders)
        if label is None:
            problem = f"expected {visible(expected)}; got none; an empty file says that nothing is there"
            yield BadFile(visible(one.path), problem)
            continue
        used.add(label)
        try:
            text = read_text(folder, label)
        except Unusable as error:
            yield BadFile(visible(label), f"{visible(one.path)}: {error}", error.line)
            continue
        stated, bad = stated_in(text, visible(label), layout.names)
        yield _candidate(one, label, objects.picture(stated), notes.get(one.path, Extras()))
        yield from bad
    _note_orphans(walked, layout, used, findings)


def _candidate(one: Named, label: str, number: int, extra: Extras) -> Candidate:
    return Candidate(
        id=extra.id or visible(one.path),
        label=None,
        split=one.split,
        path=one.path,
        where=label,
        caption=extra.caption,
        attributes=extra.attributes,
        origin=extra.origin,
        objects=number,
    )


def _label_file(path: str, walked: Walked, folders: tuple[str, ...]) -> tuple[str, str | None]:
    """Where the labels of a picture are expected, and the file that is there."""
    beside = PurePosixPath(path).with_suffix(".txt")
    wanted = [*sisters(str(beside), IMAGE_FOLDERS, folders or LABEL_FOLDERS), beside]
    found = next((spelled for place in wanted if (spelled := walked.actual(place)) is not None), None)
    return str(wanted[0]), found


def _note_orphans(walked: Walked, layout: Layout, used: set[str], findings: Findings) -> None:
    """Warns of label files whose picture is missing, in the folders in which there were others."""
    folders = {str(PurePosixPath(path).parent) for path in used}
    lone = [
        path
        for path in walked.others
        if path.endswith(".txt") and path not in used and path not in layout.read and _in(path, folders)
    ]
    findings.ignored["other"] += len(walked.others) - len(used) - len(lone)
    if lone:
        findings.ignored["label without picture"] += len(lone)
        findings.warnings.append(f"{len(lone)} label files have no picture, first {visible(lone[0])}")


def _in(path: str, folders: set[str]) -> bool:
    name = PurePosixPath(path)
    return str(name.parent) in folders and name.name not in ("classes.txt", "README.txt")


def stated_in(text: str, where: str, names: Mapping[int, str] | None) -> tuple[list[Stated], list[BadFile]]:
    """The objects of one label file, and what is wrong with it by line."""
    stated, bad = [], []
    for number, line in lines_of(text):
        try:
            stated.append(_object(line, number, names))
        except Unusable as error:
            bad.append(BadFile(where, f"{error}; left out", number, "object"))
    return stated, bad


def _object(line: str, number: int, names: Mapping[int, str] | None) -> Stated:
    class_id, values = _numbers(line)
    label = str(class_id) if names is None else names.get(class_id)
    if label is None:
        known = sorted(names or ())
        raise Unusable(f"expected a class id out of {known[0]}…{known[-1]}; got {class_id}")
    if len(values) > 5:
        return Stated(label, number=number, rings=(tuple(values),))
    x, y, width, height = values[:4]
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Stated(label, box, number, confidence=values[4] if len(values) == 5 else None)


def _numbers(line: str) -> tuple[int, list[float]]:
    """Class id and coordinates of a line; :class:`Unusable` unless it is a box or an outline."""
    parts = line.split()
    if len(parts) not in (5, 6) and (len(parts) < 7 or len(parts) % 2 == 0):
        raise Unusable(
            f"expected class, x, y, width, height, or class and three points or more; got {len(parts)} columns"
        )
    try:
        first, *values = map(float, parts)
    except ValueError as error:
        raise Unusable(f"expected numbers; got {visible(line[:60])!r}") from error
    if "_" in line or not (first >= 0 and first.is_integer() and first < 1 << 31):
        raise Unusable(f"expected a class id; got {visible(parts[0][:20])!r}")
    if len(values) == 5 and not 0 <= values[4] <= 1:
        raise Unusable(f"expected a confidence in 0–1; got {parts[5][:20]}")
    for value, part in zip(values, parts[1:], strict=True):
        if not isfinite(value) or abs(value) > FURTHEST:
            raise Unusable(f"expected fractions of the picture, 0–1; got {visible(part[:20])}")
    return int(first), values


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``images/[split/]`` and ``labels/[split/]`` for every sample, with ``data.yaml``; the number of pictures.

    Samples of which nothing is said get no text file. Class ids are those of the dataset.
    """
    names, rows = FileNames(), []
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        parent = "/".join(filter(None, ("images", SPLIT_FOLDERS[split])))
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        rows.append((path, sample))
        instances = sample.annotation.instances if sample.annotation is not None else None
        if instances is not None:
            text = "".join(f"{line}\n" for line in label_lines(instances))
            target.add(f"labels{path[len('images') : -len(suffix)]}.txt", text.encode())
    target.add("data.yaml", _data_yaml(dataset).encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _data_yaml(dataset: Dataset) -> str:
    """Names by id; trainers want ``train`` and ``val``, so a dataset without splits names its one folder for both."""
    import yaml

    splits = [split for split in SPLIT_FOLDERS if split is not None and split in set(dataset.splits)]
    places = {SPLIT_FOLDERS[split]: f"images/{SPLIT_FOLDERS[split]}" for split in splits}
    values = {
        **(places or {"train": "images", "val": "images"}),
        "nc": len(dataset.classes),
        "names": dict(enumerate(dataset.classes)),
    }
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1 << 20))


def label_lines(instances: Instances) -> Iterator[str]:
    """The lines of a label file: an outline for each object with a mask, else a box."""
    height, width = instances.size
    boxes = instances.boxes.astype(np.float64) / (width, height, width, height)
    masks = instances.masks or (None,) * len(instances)
    for class_id, box, mask in zip(instances.class_ids.tolist(), boxes, masks, strict=True):
        values = _fractions(mask, width, height) if mask is not None else None
        if values is None:
            values = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
        yield " ".join([str(class_id), *map(_decimal, values.tolist())])


def _fractions(mask: Mask, width: int, height: int) -> NDArray[np.float64] | None:
    """The outline of a mask, traced along its pixels where it goes far out of the picture; None for an empty mask."""

    def scaled(ring: Ring | None) -> NDArray[np.float64] | None:
        return None if ring is None else (np.reshape(ring, (-1, 2)) / (width, height)).ravel()

    values = scaled(outline(mask))
    return scaled(outline(mask.rle())) if values is not None and np.abs(values).max() > FURTHEST else values


def _decimal(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") if value else "0"


def losses(dataset: Dataset) -> dict[str, int]:
    """What YOLO cannot hold, counted. An object with a mask is written as its outline, without a box of its own."""
    found = said(dataset, held=("objects", "masks"))
    found["unlabelled images"] = int(dataset.table.column("instances").null_count)
    found["boxes beside masks"] = found["outlines of several parts"] = 0
    for instances in instances_of(dataset) if masks_in(dataset) else ():
        for box, mask in zip(instances.boxes, instances.masks or (), strict=False):
            if mask is not None:
                found["boxes beside masks"] += bool(np.abs(np.subtract(box, mask.box())).max() > NEAR)
                found["outlines of several parts"] += isinstance(mask, Polygons) and len(mask.rings) > 1
    return {what: count for what, count in found.items() if count}
