"""Semantic masks: for each picture another whose values, palette indices or colours are classes.

``images/[split/]x.jpg`` with ``masks/[split/]x.png`` (or ``labels``, ``annotations``, ``SegmentationClass`` …), split
folders above or below, folders ``train`` and ``trainannot``, or masks beside the pictures (``x_mask.png``).

Classes come from a table beside (:mod:`twinset.formats.mask_classes`); "unlabelled", "void" and the like are ignored,
and so is 255 where the table does not name it. Without a table every value found is a class of that name, except that
255 beside two others or more is ignored: in a mask of 0 and 255 both are classes. Ids are at most 254.

Written as ``images/``, ``masks/`` (palette PNG, 255 = ignore) and ``classes.json``; of datasets with masks of objects
these are painted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.losses import boxes_beside_masks, said
from twinset.formats.mask_classes import ValueTable, table_beside
from twinset.formats.maskfiles import VOID, encode_ids, is_coloured, read_mask
from twinset.formats.painting import Painter, hidden, is_painted
from twinset.formats.pairs import IMAGE_FOLDERS, SPLIT_FOLDERS, Walked, peek, sisters, split_of, walk
from twinset.formats.sidecars import CLASSES_FILE, PROVENANCE_FILE, ClassList, Extras, provenance_lines, read_provenance
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.images import SUFFIXES
from twinset.semantic import IGNORE, MOST_CLASSES

MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "segmentationclass",
    "semantic_masks",
    "semantic",
    "segmentation",
    "gt",
)
ENDINGS = ("", "_mask", "_L", "_label", "_labels", "_labelIds", "_seg", "_gt", "-mask")
SUFFIX_ENDINGS = ENDINGS[1:]
SPLIT_ENDINGS = ("annot", "_labels", "_masks")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".webp", ".pgm", ".ppm", ".pnm")


def claims(folder: Folder) -> bool:
    """Whether a folder holds pictures with masks: a few pictures, in folders or beside, of which most have one.

    Not where there are object masks too: that is Pascal VOC.
    """
    looking = _Looking(folder)
    tops = [name for name in folder.names()[:64] if not _is_picture(name) and folder.names(name)]
    if any("segmentationobject" in (name.casefold() for name in folder.names(top)) for top in ["", *tops]):
        return False
    inner = (f"{top}/{name}" for top in tops for name in folder.names(top)[:16] if not _is_picture(name))
    places = ["", *tops, *inner]
    for place in places:
        own = PurePosixPath(place).name.casefold()
        depth = 1 if own in IMAGE_FOLDERS else 0
        pictures = [path for path in peek(folder, place, SUFFIXES, depth=depth) if not _is_ending(path)]
        if pictures and sum(map(looking.has_mask, pictures)) * 2 > len(pictures):
            return True
    return False


def _is_picture(name: str) -> bool:
    """Whether a name is that of a picture, so that nobody need ask the disk if it is a folder."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _is_ending(path: str) -> bool:
    return PurePosixPath(path).stem.endswith(SUFFIX_ENDINGS)


@dataclass(frozen=True)
class _Looking:
    """Looks for masks; what lies in a folder, and which folders lie around it, is asked once."""

    folder: Folder
    _around: dict[str, dict[str, str]] = field(default_factory=dict)
    _inside: dict[str, frozenset[str]] = field(default_factory=dict)

    def has_mask(self, path: str) -> bool:
        """Whether a picture has a mask."""
        parent = str(PurePosixPath(path).parent)
        if parent not in self._around:
            self._around[parent] = {name.casefold(): name for name in _around(self.folder, parent)}
        stem = PurePosixPath(path).stem
        return any(
            not self._names(place).isdisjoint(_named(stem, endings))
            for place, endings in _places(path, self._around[parent])
        )

    def _names(self, place: PurePosixPath) -> frozenset[str]:
        below = str(place) if place.name else ""
        if below not in self._inside:
            self._inside[below] = frozenset(self.folder.names(below))
        return self._inside[below]


def _around(folder: Folder, parent: str) -> Iterator[str]:
    """The folders above a folder of pictures, and beside it and those; a file among them does no harm."""
    inside = PurePosixPath(parent)
    above = [str(inside), *map(str, inside.parents)] if parent != "." else ["."]
    for place in above:
        base = "" if place == "." else f"{place}/"
        for name in folder.names(base.rstrip("/")):
            if not _is_picture(name):
                yield f"{base}{name}"
                yield from (f"{base}{name}/{below}" for below in folder.names(base + name) if below in inside.parts[1:])
    yield from above


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of a folder that have masks, with the classes of a table beside or of the values found."""
    findings = Findings()
    walked = walk(folder, findings)
    pairs, lone = _pair(walked, findings)
    table = table_beside(folder, findings) or _found_values(folder, [mask for mask in pairs.values() if mask], findings)
    if lone:
        findings.warnings.append(f"{len(lone)} masks have no picture, first {visible(lone[0])}")
        findings.ignored["mask without picture"] += len(lone)
    findings.ignored["other"] += len(walked.others)
    return Listing("masks", _entries(folder, walked, pairs, table), findings, folder, name, table.classes)


def _pair(walked: Walked, findings: Findings) -> tuple[dict[str, str | None], list[str]]:
    """The mask of each picture, None where it is missing; and masks that are of no picture."""
    pairs, used = dict[str, str | None](), set[str]()
    images = [path for path in walked.pictures if not _is_mask(path, walked)]
    placed = [path for path in images if any(_beside(path, walked))]
    if placed:
        findings.ignored["other"] += len(images) - len(placed)
        images = placed
    for path in images:
        wanted = (walked.actual(place) for place in _wanted(path, walked.folders))
        pairs[path] = next((mask for mask in wanted if mask is not None and mask != path), None)
        used.add(pairs[path] or "")
    return pairs, [path for path in walked.pictures if _is_mask(path, walked) and path not in used]


def _beside(path: str, walked: Walked) -> Iterator[str]:
    """The mask folders beside the image folder that a picture lies in."""
    for place in sisters(path, IMAGE_FOLDERS, MASK_FOLDERS):
        if (actual := walked.folders.get(str(place.parent).casefold())) is not None:
            yield actual


def _is_mask(path: str, walked: Walked) -> bool:
    """Whether a picture is a mask by its place: in a mask folder beside an image folder, or named after a picture."""
    place = PurePosixPath(path)
    if any(str(other.parent).casefold() in walked.folders for other in sisters(path, MASK_FOLDERS, IMAGE_FOLDERS)):
        return True
    top = place.parts[0].casefold()
    if (
        any(top.endswith(end) and top.removesuffix(end) in SPLIT_NAMES for end in SPLIT_ENDINGS)
        and len(place.parts) > 1
    ):
        return True
    ending = next((end for end in SUFFIX_ENDINGS if place.stem.endswith(end)), None)
    named = [place.with_name(place.stem.removesuffix(ending) + suffix) for suffix in SUFFIXES] if ending else []
    return any(str(one) in walked.known for one in named)


def _wanted(path: str, folders: Mapping[str, str]) -> Iterator[PurePosixPath]:
    """Where the mask of a picture may lie, most likely places first; only in folders that are there."""
    stem = PurePosixPath(path).stem
    for place, endings in _places(path, folders):
        yield from (place / name for name in _named(stem, endings))


def _places(path: str, folders: Mapping[str, str]) -> Iterator[tuple[PurePosixPath, tuple[str, ...]]]:
    """Folders in which the mask of a picture may lie, and what may stand there between its name and the suffix."""
    place = PurePosixPath(path)
    places = list(sisters(path, IMAGE_FOLDERS, MASK_FOLDERS))
    if len(place.parts) > 1 and place.parts[0].casefold() in SPLIT_NAMES:
        places += [PurePosixPath(place.parts[0] + end, *place.parts[1:]) for end in SPLIT_ENDINGS]
    for other in places:
        actual = folders.get(str(other.parent).casefold())
        if actual is not None:
            yield PurePosixPath(actual), ENDINGS
    yield place.parent, SUFFIX_ENDINGS


def _named(stem: str, endings: tuple[str, ...]) -> Iterator[str]:
    return (f"{stem}{ending}{suffix}" for ending in endings for suffix in MASK_SUFFIXES)


def _found_values(folder: Folder, masks: list[str], findings: Findings) -> ValueTable:
    """A class for each value in any mask; one mask at a time is held. Masks that cannot be read are told later."""
    ids, colours = set[int](), set[int]()
    for mask in masks:
        try:
            data = folder.read(mask)
            (colours if is_coloured(data) else ids).update(np.unique(read_mask(data)).tolist())
        except Unusable:
            continue
        if len(ids) > 1 << 16 or len(colours) > MOST_CLASSES:
            break
    if max(len(colours), len([value for value in ids if value < VOID])) > MOST_CLASSES or (ids and colours):
        got = "ids and colours" if ids and colours else f"more than {MOST_CLASSES}"
        hint = "masks must not be JPEG or smoothed; a classes.json beside tells what the values mean"
        raise DatasetFormatError(f"expected masks of at most {MOST_CLASSES} ids or colours; got {got}", hint=hint)
    void = {VOID} & ids if len(ids) > 2 else set[int]()
    values = sorted(colours) if colours else sorted(value for value in ids - void if value <= VOID)
    if void:
        findings.warnings.append("255 in the masks is taken as: to be ignored")
    table = {value: class_id for class_id, value in enumerate(values)} | dict.fromkeys(void, IGNORE)
    names = tuple(f"#{value:06x}" if colours else str(value) for value in values)
    return ValueTable(names, {} if colours else table, table if colours else {})


@dataclass(frozen=True)
class _MaskOf:
    """Gives the semantic map of one picture when it is opened."""

    folder: Folder
    path: str
    table: ValueTable

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if the mask does not fit or means nothing."""
        try:
            data = self.folder.read(self.path)
            values, coloured = self._values(data)
            if values.shape != size:
                height, width = values.shape
                raise Unusable(f"expected a mask of {size[1]} x {size[0]}; got one of {width} x {height}")
            return self.table.semantic(values, coloured=coloured)
        except Unusable as error:
            raise Unusable(f"{visible(self.path)}: {error}") from error

    def _values(self, data: bytes) -> tuple[NDArray[np.int64], bool]:
        """Mask values, and whether they are colours: those of a palette where the table knows all of them."""
        if is_coloured(data):
            return read_mask(data), True
        if self.table.colours:
            values = read_mask(data, colours=True)
            if set(np.unique(values).tolist()) <= set(self.table.colours):
                return values, True
        return read_mask(data), False


def _entries(
    folder: Folder, walked: Walked, pairs: Mapping[str, str | None], table: ValueTable
) -> Iterator[Candidate | BadFile]:
    notes = read_provenance(folder)
    yield from walked.bad
    for path, mask in pairs.items():
        if mask is None:
            yield BadFile(visible(path), "expected a mask of the same name; got none")
            continue
        extra = notes.get(path, Extras())
        yield Candidate(
            id=extra.id or visible(path),
            label=None,
            split=split_of(path),
            path=path,
            caption=extra.caption,
            attributes=extra.attributes,
            origin=extra.origin,
            semantic=_MaskOf(folder, mask, table),
        )


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``images/[split/]`` and ``masks/[split/]`` for every sample; the number of pictures.

    Where no sample has a semantic map, the masks of objects are painted (:mod:`twinset.formats.painting`). A sample of
    which nothing is known gets a mask that says "ignore" everywhere.
    """
    painter = Painter.of(dataset.classes) if is_painted(dataset) else None
    known = dataset.classes if painter is None else painter.classes
    if len(known) > MOST_CLASSES:
        raise ValueError(f"expected at most {MOST_CLASSES} classes in masks; got {len(known)}")
    names, rows = FileNames(), []
    for sample, split in zip(dataset, dataset.splits, strict=True):
        data, suffix = picture(sample, encode)
        parent = "/".join(filter(None, ("images", SPLIT_FOLDERS[split])))
        path = names.free(parent, sample.id, suffix)
        ids = _ids(sample, painter)
        target.add(path, data)
        target.add(f"masks{path[len('images') : -len(suffix)]}.png", encode_ids(np.where(ids == IGNORE, VOID, ids)))
        rows.append((path, sample))
    classes = {**json.loads(ClassList(known).to_json()), "ignore": VOID}
    target.add(CLASSES_FILE, (json.dumps(classes, indent=1, ensure_ascii=False) + "\n").encode())
    target.add(PROVENANCE_FILE, provenance_lines(rows))
    return len(rows)


def _ids(sample: Sample, painter: Painter | None) -> NDArray[np.int32]:
    """int32 (H, W): the class of every pixel of a sample, −1 where it is not known."""
    annotation = sample.annotation
    if annotation is not None and annotation.semantic is not None:
        return annotation.semantic.dense()
    if annotation is not None and annotation.instances is not None and painter is not None:
        return painter.paint(annotation.instances)
    return np.full(sample.pixels().shape[:2], IGNORE, dtype=np.int32)


def losses(dataset: Dataset) -> dict[str, int]:
    """What masks cannot hold, counted. Where they are painted, that is which object a pixel is of."""
    painted = is_painted(dataset)
    found = said(dataset, held=("semantic maps", *(("objects", "masks", "crowd flags") if painted else ())))
    unknown = int(dataset.table.column("instances" if painted else "semantic").null_count)
    if painted and (objects := int(dataset.object_counts().sum())):
        found |= {"identities of objects": objects, **boxes_beside_masks(dataset), **hidden(dataset)}
    return found | ({"images without a mask": unknown} if unknown else {})
