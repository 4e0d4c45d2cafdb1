"""Pascal VOC: ``Annotations/x.xml`` for ``JPEGImages/x.jpg``, lists in ``ImageSets/Main``; or XML beside the pictures.

Coordinates are taken as they stand: x1 = ``xmin``, x2 = ``xmax``, continuous, as labelImg writes them (the challenge
itself counted pixels from 1, both ends inside: its boxes lie up to one pixel off). ``SegmentationObject`` gives masks,
matched to the boxes; ``SegmentationClass`` gives semantic maps, unless we wrote it to say no more than the objects do.

Images in ``train.txt``, ``val.txt`` and ``test.txt`` are in that split; other lists mean nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from twinset.annotations import SemanticMap
from twinset.dataset import SplitName
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.mask_classes import ValueTable
from twinset.formats.maskfiles import is_coloured, read_mask
from twinset.formats.objects import Objects
from twinset.formats.pairs import PEEKED, Walked, lines_of, peek, read_text, sisters, split_of, walk
from twinset.formats.sidecars import Extras, read_classes, read_provenance
from twinset.formats.voc_masks import PICTURE_FOLDERS, ObjectMasks, Values, masks_of, values_of
from twinset.formats.voc_writing import losses, write
from twinset.formats.voc_xml import Record, parse_record
from twinset.images import SUFFIXES

__all__ = ["claims", "listing", "losses", "write"]

XML_FOLDERS = ("annotations", "xmls", "labels")
MAX_XML_BYTES = 16 << 20
SETS = ("Main", "Segmentation", "Layout")


def claims(folder: Folder) -> bool:
    """Whether a folder holds VOC: XML files of annotations, or object masks beside ``JPEGImages``."""
    tops = folder.names()[:64]
    for top in ["", *tops]:
        names = {name.casefold(): name for name in folder.names(top)[:4096]}
        if "segmentationobject" in names and "jpegimages" in names:
            return True
        places = [f"{top}/{names[name]}" if top else names[name] for name in XML_FOLDERS if name in names]
        found = [path for place in places for path in peek(folder, place, {".xml"})]
        if any(_is_record(folder, path) for path in found or peek(folder, top, {".xml"}, depth=0)[:PEEKED]):
            return True
    return False


def _is_record(folder: Folder, path: str) -> bool:
    """Whether an XML file begins as VOC's do; LabelMe's polygons begin so too, and are not VOC."""
    try:
        text = read_text(folder, path, limit=1 << 20)
    except Unusable:
        return False
    return "<annotation" in text and "<polygon" not in text and ("<bndbox" in text or "<filename" in text)


@dataclass
class _Found:
    """One picture: where it and its files lie, as far as they are there."""

    path: str | None = None
    xml: str | None = None
    split: SplitName | None = None


@dataclass
class _Reading:
    """What is known while a VOC folder is read, and what is counted on the way."""

    folder: Folder
    walked: Walked
    findings: Findings
    objects: Objects
    notes: Mapping[str, Extras]
    values: Values | None
    exact: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)


def listing(folder: Folder, name: str) -> Listing:
    """The pictures of a VOC dataset with boxes, flags and attributes, and masks where there are any."""
    findings = Findings()
    walked = walk(folder, findings)
    given = read_classes(folder)
    values = values_of(folder, walked, findings, None if given is None else given.names)
    objects = Objects()
    exact = frozenset(given.names if given is not None else ())
    reading = _Reading(folder, walked, findings, objects, read_provenance(folder), values, exact)
    classes = given.names if given is not None else values.table.classes if values is not None else None
    return Listing("voc", _entries(reading), findings, folder, name, classes, objects)


def _entries(reading: _Reading) -> Iterator[Candidate | BadFile]:
    walked = reading.walked
    found = _found(walked)
    yield from walked.bad
    yield from _give_splits(reading, found)
    for base, one in found.items():
        if one.path is None and one.xml is None:
            continue
        try:
            yield from _entry(reading, one)
        except Unusable as error:
            yield BadFile(visible(one.xml or one.path or base), str(error), error.line)
    xmls = {one.xml for one in found.values()}
    reading.findings.ignored["other"] += sum(path not in xmls and not path.endswith(".txt") for path in walked.others)
    for what, count in sorted(reading.counts.items()):
        reading.findings.warnings.append(f"{count} {what}")


def _found(walked: Walked) -> dict[str, _Found]:
    """Pictures and XML files that belong together, by their common path."""
    found: dict[str, _Found] = {}
    for xml in walked.others:
        if PurePosixPath(xml).suffix.lower() == ".xml":
            found[str(PurePosixPath(xml).with_suffix(""))] = _Found(xml=xml, split=split_of(xml))
    for path in walked.pictures:
        place = PurePosixPath(path).with_suffix("")
        if any(part.casefold() in ("segmentationclass", "segmentationobject") for part in place.parts[:-1]):
            continue
        wanted = [place, *sisters(path, PICTURE_FOLDERS, XML_FOLDERS)]
        keys = [str(one.with_suffix("")) for one in wanted[1:]] + [str(place)]
        keys = [_as_spelled(walked, key) for key in keys]
        one = next((found[key] for key in keys if key in found), None)
        if one is None:
            one = found.setdefault(keys[0], _Found(split=split_of(path)))
        if one.path is None:
            one.path = path
    return found


def _as_spelled(walked: Walked, key: str) -> str:
    place = PurePosixPath(key)
    parent = walked.folders.get(str(place.parent).casefold(), str(place.parent))
    return str(PurePosixPath(parent) / place.name)


def _give_splits(reading: _Reading, found: dict[str, _Found]) -> Iterator[BadFile]:
    """Sets the splits that lists give; a picture in two is left out, as its copies would be on both sides."""
    lists = _lists(reading.walked)
    if not lists:
        return
    by_stem: dict[tuple[str, str], list[_Found]] = {}
    for base, one in found.items():
        one.split = None
        by_stem.setdefault((_root(base), PurePosixPath(base).name), []).append(one)
    placed: dict[int, tuple[_Found, set[SplitName]]] = {}
    for file, split in lists:
        try:
            lines = list(lines_of(read_text(reading.folder, file)))
        except Unusable as error:
            yield BadFile(visible(file), str(error), error.line)
            continue
        for number, line in lines:
            key = _root(str(PurePosixPath(file).parent.parent / "x"))
            named = by_stem.get((key, line)) or by_stem.get((key, line.split()[0]))
            if named is None and not line.startswith("#"):
                yield BadFile(visible(file), f"expected a picture of the dataset; got {visible(line)!r}", number)
            for one in named or ():
                placed.setdefault(id(one), (one, set()))[1].add(split)
    for one, splits in placed.values():
        if len(splits) == 1:
            one.split = next(iter(splits))
        else:
            yield BadFile(visible(one.path or one.xml or ""), f"expected one split; got {', '.join(sorted(splits))}")
            one.path = one.xml = None


def _root(base: str) -> str:
    """The folder above ``Annotations`` or ``ImageSets``: lists count for the pictures under the same one."""
    return str(PurePosixPath(base).parent.parent)


def _lists(walked: Walked) -> list[tuple[str, SplitName]]:
    """The lists of splits: in ``ImageSets/Main``, or in the next folder that has any."""
    for kind in SETS:
        found = []
        for path in walked.others:
            place = PurePosixPath(path)
            inside = [part.casefold() for part in place.parts[-3:-1]]
            if (
                inside == ["imagesets", kind.casefold()]
                and place.suffix == ".txt"
                and place.stem.casefold() in SPLIT_NAMES
            ):
                found.append((path, SPLIT_NAMES[place.stem.casefold()]))
        if found:
            return found
    return []


def _entry(reading: _Reading, one: _Found) -> Iterator[Candidate | BadFile]:
    """One picture with what its files say; :class:`Unusable` where one of them is missing or damaged."""
    record = _record(reading, one)
    path = _picture_of(reading.walked, one, record)
    masks = masks_of(reading.folder, reading.walked, path)
    if one.xml is None and masks.objects is None and masks.classes is None:
        raise Unusable("expected an XML file of its name; got none; one without objects says that nothing is there")
    stated, lost = masks.match(record.objects, reading.values, alone=one.xml is None)
    if lost:
        reading.counts["object masks fit no box"] += lost
    extra = reading.notes.get(path, Extras())
    yield Candidate(
        id=extra.id or visible(path),
        label=None,
        split=one.split,
        path=path,
        where=one.xml or "",
        caption=extra.caption,
        attributes=extra.attributes,
        origin=extra.origin,
        objects=None if one.xml is None and masks.objects is None else reading.objects.picture(stated),
        semantic=_semantic(reading, masks),
        stated_size=None if record.size is None else record.size[::-1],
    )
    for _, problem in record.bad:
        yield BadFile(visible(one.xml or path), problem, kind="object")


def _record(reading: _Reading, one: _Found) -> Record:
    if one.xml is None:
        return Record()
    record = parse_record(reading.folder.read(one.xml, limit=MAX_XML_BYTES), reading.findings, reading.exact)
    reading.counts.update(record.counts)
    return record


def _semantic(reading: _Reading, masks: ObjectMasks) -> _ClassMask | None:
    """The semantic map of a picture, where all values of class masks are classes of the dataset."""
    if masks.classes is None or reading.values is None or not reading.values.semantic:
        return None
    return _ClassMask(reading.folder, masks.classes, reading.values.table)


@dataclass(frozen=True)
class _ClassMask:
    """Gives the semantic map of ``SegmentationClass`` when the picture is opened."""

    folder: Folder
    path: str
    table: ValueTable

    def __call__(self, size: tuple[int, int]) -> SemanticMap:
        """For a picture of this (height, width); :class:`Unusable` if the mask does not fit."""
        data = self.folder.read(self.path)
        values = read_mask(data)
        if values.shape != size:
            height, width = values.shape
            got = f"got one of {width} x {height}"
            raise Unusable(f"{visible(self.path)}: expected a mask of {size[1]} x {size[0]}; {got}")
        return self.table.semantic(values, coloured=is_coloured(data))


def _picture_of(walked: Walked, one: _Found, record: Record) -> str:
    """The picture that an XML file means: the one it names if that is there, else the one of its own name."""
    if one.xml is None:
        return one.path or ""
    place = PurePosixPath(one.xml)
    name = PurePosixPath(record.filename.replace("\\", "/")).name if record.filename else ""
    if name and PurePosixPath(name).suffix.lower() in SUFFIXES:
        named = place.with_name(name)
        for wanted in (*sisters(str(named), XML_FOLDERS, PICTURE_FOLDERS), named):
            if (spelled := walked.actual(wanted)) is not None:
                return spelled
    if one.path is None:
        wanted_name = str(next(sisters(one.xml, XML_FOLDERS, ("JPEGImages",)), place).with_suffix(".jpg"))
        raise Unusable(f"expected its picture, such as {visible(wanted_name)}; got none")
    return one.path
