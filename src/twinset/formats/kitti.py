"""KITTI: ``image_2/x.png`` with ``label_2/x.txt``, in ``training`` and ``testing``, other split folders, or at the top.

A line is ``type truncated occluded alpha x1 y1 x2 y2 height width length x y z rotation [score]``, boxes as they
stand. Truncated by any part is truncated; the part, ``occluded`` (0…3) and the 3-D numbers are attributes where they
are known. ``DontCare`` is a class of crowd regions that are difficult: found or not, nothing there counts. Masks in
``semantic`` and ``instance`` (label ids of Cityscapes) are read as semantic maps. Pictures without a label file are
unlabelled in ``testing``, and bad elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np

from twinset.annotations import AttributeValue, Instances, SemanticMap
from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError
from twinset.formats.cityscapes import CLASSES, from_label_ids
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.losses import instances_of, said
from twinset.formats.maskfiles import read_mask
from twinset.formats.objects import Objects, Stated
from twinset.formats.pairs import Walked, lines_of, read_text, split_of, walk
from twinset.formats.shapes import Said, candidate, encoded, number_in
from twinset.formats.sidecars import (
    CLASSES_FILE,
    PROVENANCE_FILE,
    ClassList,
    Extras,
    provenance_lines,
    read_classes,
    read_provenance,
)
from twinset.formats.writing import Encode, FileNames, Target, picture

PICTURES, LABELS = "image_2", "label_2"
MASKS = ("semantic", "instance")
RAW = "tracklet_labels.xml"
DONT_CARE = "DontCare"
INSTANCES_EACH = 256
NUMBERS = ("truncation", "occluded", "alpha", "x1", "y1", "x2", "y2")
SOLID = ("height", "width", "length", "x", "y", "z", "rotation")
UNKNOWN = (-1.0, -1.0, -1.0, -1000.0, -1000.0, -1000.0, -10.0)
SPLITS = {None: "", "train": "training", "validation": "validation", "test": "testing"}
HELD = ("truncation", "occluded", "alpha", *SOLID)


def claims(folder: Folder) -> bool:
    """Whether ``image_2`` and ``label_2`` or masks lie side by side, at the top or in a split folder."""
    tops = [name for name in folder.names() if name.casefold() in SPLIT_NAMES]
    for top in ("", *tops):
        names = folder.names(top)
        if RAW in names or (PICTURES in names and any(other in names for other in (LABELS, *MASKS))):
            return True
    return False


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of KITTI; :class:`DatasetFormatError` for raw recordings, whose labels are 3-D alone."""
    if RAW in folder.names():
        hint = "give the object benchmark: image_2 and label_2"
        raise DatasetFormatError("expected boxes in pictures; got 3-D tracklets of a recording", path=RAW, hint=hint)
    findings, objects = Findings(), Objects(counted="line")
    walked = walk(folder, findings)
    given = read_classes(folder)
    masked = any(split_at(path) in MASKS for path in walked.pictures)
    classes = given.names if given is not None else CLASSES if masked else None
    tokens = {token: name for token, name in given.folders.items() if name is not None} if given is not None else {}
    entries = _entries(folder, walked, objects, findings, tokens)
    return Listing("kitti", entries, findings, folder, name, classes, objects)


def split_at(path: str) -> str:
    """What the folder of a file is called."""
    return PurePosixPath(path).parent.name


def _entries(
    folder: Folder, walked: Walked, objects: Objects, findings: Findings, tokens: dict[str, str]
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    used = set[str]()
    yield from walked.bad
    for path in (path for path in walked.pictures if split_at(path) == PICTURES):
        above, split = PurePosixPath(path).parent.parent, split_of(path)
        label = walked.actual(above / LABELS / f"{PurePosixPath(path).stem}.txt")
        masks = [walked.actual(above / kind / f"{PurePosixPath(path).stem}.png") for kind in MASKS]
        mask = next((one for one in masks if one is not None), None)
        used |= {path, *(one for one in (label, *masks) if one is not None)}
        extra = notes.get(path, Extras())
        if label is None and mask is None and split != "test" and path not in notes:
            expected = above / LABELS / f"{PurePosixPath(path).stem}.txt"
            problem = f"expected {visible(str(expected))}; got none; an empty file says that nothing is there"
            yield BadFile(visible(path), problem)
            continue
        try:
            stated, bad = _stated(folder, label, findings, tokens) if label is not None else ([], [])
        except Unusable as error:
            yield BadFile(visible(label or path), str(error), error.line)
            continue
        number = None if label is None else objects.picture(stated)
        found = candidate(Said(path, label or "", split), extra, number)
        yield found if mask is None else replace(found, semantic=_MapOf(folder, mask))
        yield from bad
    findings.ignored["other"] += len(walked.known - used)


@dataclass(frozen=True)
class _MapOf:
    """Gives the semantic map of one picture when it is opened."""

    folder: Folder
    path: str

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if the mask does not fit or means nothing."""
        try:
            values = read_mask(self.folder.read(self.path))
            if values.shape != size:
                raise Unusable(f"expected a mask of {size[1]} x {size[0]}; got {values.shape[1]} x {values.shape[0]}")
            return SemanticMap.of(
                from_label_ids(values // INSTANCES_EACH if split_at(self.path) == MASKS[1] else values)
            )
        except Unusable as error:
            raise Unusable(f"{visible(self.path)}: {error}") from error


def _stated(
    folder: Folder, path: str, findings: Findings, tokens: dict[str, str]
) -> tuple[list[Stated], list[BadFile]]:
    stated, bad = list[Stated](), list[BadFile]()
    for number, line in lines_of(read_text(folder, path)):
        try:
            stated.append(_object(line, number, findings, tokens))
        except Unusable as error:
            bad.append(BadFile(visible(path), f"{error}; left out", number, "object"))
    return stated, bad


def _object(line: str, number: int, findings: Findings, tokens: dict[str, str]) -> Stated:
    token, *texts = line.split()
    if len(texts) not in (14, 15):
        raise Unusable(f"expected 15 columns, or 16 with a score; got {len(texts) + 1}")
    values = [number_in(text, name) for text, name in zip(texts, (*NUMBERS, *SOLID, "score"), strict=False)]
    truncation, occluded, alpha, x1, y1, x2, y2, *solid = values
    attributes: dict[str, AttributeValue] = {}
    if 0 < truncation < 1:
        attributes["truncation"] = truncation
    if occluded in (0, 1, 2, 3):
        attributes["occluded"] = int(occluded)
    if min(solid[:3]) > 0:
        attributes |= {"alpha": alpha, **dict(zip(SOLID, solid, strict=False))}
    score = solid[7] if len(solid) > 7 else None
    if score is not None and not 0 <= score <= 1:
        attributes["score"], score = score, None
    return Stated(
        tokens.get(token) or findings.class_name(token),
        (x1, y1, x2, y2),
        number,
        crowd=token == DONT_CARE,
        difficult=token == DONT_CARE,
        truncated=truncation > 0,
        confidence=score,
        attributes=encoded(attributes),
    )


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``[training|validation|testing/]image_2`` and ``label_2`` for every sample; the number of pictures.

    Samples of whose objects nothing is said get no label file. Blanks in class names become underscores in the label
    files; ``classes.json`` has the names.
    """
    names, rows, tokens = FileNames(), [], _tokens(dataset.classes)
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        path = names.free("/".join(filter(None, (SPLITS[split], PICTURES))), sample.id, suffix)
        target.add(path, data)
        rows.append((path, sample))
        instances = sample.annotation.instances if sample.annotation is not None else None
        if instances is not None:
            place = PurePosixPath(path).parent.parent / LABELS / PurePosixPath(path).name.removesuffix(suffix)
            text = "".join(f"{line}\n" for line in _lines(instances, tokens))
            target.add(f"{place}.txt", text.encode())
    folders: dict[str, str | None] = dict(zip(tokens, dataset.classes, strict=True))
    target.add(CLASSES_FILE, ClassList(dataset.classes, folders).to_json().encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _tokens(classes: tuple[str, ...]) -> list[str]:
    """One word for each class, all different."""
    tokens: list[str] = []
    for name in classes:
        token = "_".join(name.split()) or "_"
        while token in tokens or (token == DONT_CARE != name) or token.startswith("#"):
            token = f"{token}_" if not token.startswith("#") else f"_{token}"
        tokens.append(token)
    return tokens


def _lines(instances: Instances, tokens: list[str]) -> Iterator[str]:
    for row, class_id in enumerate(instances.class_ids.tolist()):
        given = {name: column[row] for name, column in instances.columns.items() if _is_number(column[row])}
        truncation = given.get("truncation", 1.0 if instances.is_truncated[row] else 0.0)
        solid = [given.get(name, unknown) for name, unknown in zip(SOLID, UNKNOWN, strict=True)]
        corners = [np.format_float_positional(value, trim="-") for value in instances.boxes[row]]
        numbers = [truncation, given.get("occluded", -1), given.get("alpha", -10), *corners, *solid]
        if instances.confidences is not None and not np.isnan(instances.confidences[row]):
            numbers.append(instances.confidences[row].item())
        yield " ".join([tokens[class_id], *map(str, numbers)])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def losses(dataset: Dataset) -> dict[str, int]:
    """What KITTI cannot hold, counted."""
    found = said(dataset, held=("objects", "truncated flags", "confidences"))
    found["object attributes"] = found["crowd flags"] = found["difficult flags"] = 0
    for instances in instances_of(dataset):
        for row, class_id in enumerate(instances.class_ids.tolist()):
            values = {name: column[row] for name, column in instances.columns.items() if column[row] is not None}
            found["object attributes"] += any(name not in HELD or not _is_number(v) for name, v in values.items())
            if dataset.classes[class_id] != DONT_CARE:
                found["crowd flags"] += bool(instances.is_crowd[row])
                found["difficult flags"] += bool(instances.is_difficult[row])
    return {what: count for what, count in found.items() if count}
