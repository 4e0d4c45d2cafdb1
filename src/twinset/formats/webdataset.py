"""WebDataset: tar files in which consecutive members with one key make a sample (``k.png``, ``k.cls``, ``k.json``).

Objects and the camera are part of ``k.json``, a semantic map is ``k.seg.png`` (class ids, 255 = ignore). Depth is
``k.depth.npy`` (float32 metres, inf = none), normals are ``k.normals.npy`` (int16, 32767 times the unit vectors).
Nothing is unpacked to disk. Links, devices and names that climb out of the archive are bad entries. What we write
is read by the ``webdataset`` package.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twinset.dataset import Dataset, Sample, SplitName
from twinset.formats.embedded import ClassMask, Found, known_names, read_ours, to_json
from twinset.formats.folder import Folder, Unusable, relative_path, visible
from twinset.formats.geometry import Arrays, npy
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.objects import Objects
from twinset.formats.sidecars import CLASSES_FILE, ClassList, Extras, extras, parse_json, provenance, read_classes
from twinset.formats.writing import Encode, Target, picture
from twinset.images import MAX_FILE_BYTES, SUFFIXES
from twinset.sample import camera_value

TEXTS = ("cls", "json", "txt")
SEMANTIC = "seg.png"
DEPTH, NORMALS = "depth.npy", "normals.npy"
LABEL_KEYS = ("label", "class", "target", "category")
MAX_TEXT_BYTES = 16 << 20
SHARD_BYTES = 512 << 20


def listing(folder: Folder, shards: Sequence[str], name: str) -> Listing:
    """The samples of these tar files of a folder."""
    findings, objects = Findings(), Objects()
    given = read_classes(folder)

    def entries() -> Iterator[Candidate | BadFile]:
        for shard in shards:
            for group in _shard(folder, shard, findings):
                yield from [group] if isinstance(group, BadFile) else _finish(group, shard, given, objects, findings)

    return Listing("webdataset", entries(), findings, folder, name, given.names if given else None, objects)


def shard_split(path: str) -> SplitName | None:
    """The split that a word of a shard's name or folder means; None where there is none, or are two.

    >>> shard_split("val/00.tar"), shard_split("pets-test-000.tar"), shard_split("trainer.tar")
    ('validation', 'test', None)
    >>> shard_split("train-and-test.tar") is None
    True
    """
    for part in reversed(path.casefold().split("/")):
        meant = {SPLIT_NAMES[word] for word in re.findall(r"[a-z]+", part) if word in SPLIT_NAMES}
        if meant:
            return meant.pop() if len(meant) == 1 else None
    return None


@dataclass
class _Group:
    """Consecutive members with one key; of many pictures, which are an error, only the first is kept."""

    key: str
    image: bytes = b""
    images: int = 0
    semantic: bytes | None = None
    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, extension: str, data: bytes) -> None:
        if extension == SEMANTIC:
            self.semantic = data
            return
        if not _is_picture(extension):
            self.texts[extension] = data
            return
        self.image = self.image if self.images else data
        self.images += 1


def _shard(folder: Folder, shard: str, findings: Findings) -> Iterator[_Group | BadFile]:
    """The members of a shard, key by key."""
    name, group = visible(shard), _Group("")
    try:
        with folder.open(shard) as handle, tarfile.open(fileobj=handle, mode="r:") as archive:
            for key, extension, data in _members(archive, name, findings):
                if isinstance(data, BadFile):
                    yield data
                    continue
                if key != group.key:
                    yield from [group] if group.key else []
                    group = _Group(key)
                group.add(extension, data)
            yield from [group] if group.key else []
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        yield BadFile(name, f"expected a whole, uncompressed tar file; got {visible(str(error)) or 'another'}")
    except Unusable as error:
        yield BadFile(name, str(error))


def _members(archive: tarfile.TarFile, name: str, findings: Findings) -> Iterator[tuple[str, str, bytes | BadFile]]:
    last = -1
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header that it has seen
        if member.offset <= last:
            raise tarfile.ReadError("members that run backwards")
        last = member.offset
        if member.isdir():
            continue
        try:
            path = relative_path(member.name)
            if not member.isreg() or member.issparse():
                raise Unusable("expected a plain file; got a link or device")
            stem, _, extension = path.name.partition(".")
            if reason := _ignored(stem, extension.lower()):
                findings.ignored[reason] += 1
                continue
            yield str(path.with_name(stem)), extension.lower(), _content(archive, member, extension.lower())
        except Unusable as error:
            yield "", "", BadFile(name, f"{visible(member.name)}: {error}")


def _ignored(stem: str, extension: str) -> str | None:
    if not stem:
        return "hidden"
    return None if _is_picture(extension) or extension in (*TEXTS, DEPTH, NORMALS) else "other"


def _is_picture(extension: str) -> bool:
    return f".{extension.rsplit('.')[-1]}" in SUFFIXES


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, extension: str) -> bytes:
    limit = MAX_FILE_BYTES if _is_picture(extension) or extension in (DEPTH, NORMALS) else MAX_TEXT_BYTES
    if member.size > limit:
        raise Unusable(f"expected at most {limit} bytes; got {member.size}")
    file = archive.extractfile(member)
    data = file.read(member.size) if file is not None else b""
    if len(data) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    return data


def _finish(
    group: _Group, shard: str, given: ClassList | None, objects: Objects, findings: Findings
) -> Iterator[Candidate | BadFile]:
    where = f"{visible(shard)}: {visible(group.key)}"
    try:
        if group.images != 1:
            why = " (a key ends at the first dot of a name)" if group.images else ""
            raise Unusable(f"expected one picture a key; got {group.images}{why}")
        row = _row(group)
        label, extra = _labels(group, row, given, findings)
        found, caption = _objects(row, given), extra.caption or _text(group, "txt") or None
        if group.semantic is not None and given is None:
            raise Unusable(f"expected {CLASSES_FILE} beside, to tell what {SEMANTIC} means; got none")
    except Unusable as error:
        yield BadFile(where, str(error))
        return
    yield Candidate(
        id=extra.id or f"{visible(shard[: -len('.tar')])}/{visible(group.key)}",
        label=label,
        split=shard_split(shard),
        data=group.image,
        where=where,
        caption=caption,
        attributes=extra.attributes,
        probabilities=extra.probabilities,
        origin=extra.origin,
        objects=None if found is None else found.picture_in(objects),
        semantic=ClassMask(group.semantic, len(given.names)) if group.semantic is not None and given else None,
        geometry=_geometry(group, row),
    )
    for problem in found.problems if found is not None else ():
        yield BadFile(where, problem, kind="object")


def _row(group: _Group) -> Mapping[str, object]:
    row = parse_json(_text(group, "json"), "the member .json") if "json" in group.texts else {}
    if not isinstance(row, dict):
        raise Unusable(f"expected a JSON object; got {type(row).__name__}")
    return row


def _objects(row: Mapping[str, object], given: ClassList | None) -> Found | None:
    """The objects of a sample that we wrote; None where nothing is said of them."""
    ours = row.get("twinset")
    if not isinstance(ours, dict) or ours.get("instances") is None:
        return None
    if given is None:
        raise Unusable(f"expected {CLASSES_FILE} beside objects; got none")
    return read_ours(ours["instances"], known_names(given.names))


def _geometry(group: _Group, row: Mapping[str, object]) -> Arrays | None:
    """What the camera saw in a sample that we wrote."""
    ours = row.get("twinset")
    camera = ours.get("camera") if isinstance(ours, dict) else None
    found = Arrays(group.texts.get(DEPTH), group.texts.get(NORMALS), camera)
    return None if found == Arrays() else found


def _labels(
    group: _Group, row: Mapping[str, object], given: ClassList | None, findings: Findings
) -> tuple[str | None, Extras]:
    ours = "twinset" in row
    extra = extras(row["twinset"]) if ours and isinstance(row["twinset"], dict) else Extras(attributes=_plain(row))
    value = next((row[key] for key in LABEL_KEYS if row.get(key) is not None), None)
    if value is None and "cls" in group.texts:
        value = _text(group, "cls")
    if value is None or value == "":
        return None, extra
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unusable(f"expected one label; got {type(value).__name__}")
    text = str(value)
    if given is not None and text not in given.names and text.isdecimal():
        number = int(text[-9:]) if text[:-9].strip("0") == "" else len(given.names)
        if number >= len(given.names):
            raise Unusable(f"expected a class below {len(given.names)}; got {text[:40]}")
        return given.names[number], extra
    return findings.class_name(text), extra


def _text(group: _Group, extension: str) -> str:
    try:
        return group.texts.get(extension, b"").decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise Unusable(f"expected the member .{extension} in UTF-8; got other bytes") from error


def _plain(row: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    return {k: v for k, v in row.items() if k not in LABEL_KEYS and isinstance(v, str | int | float | bool)}


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``train-000000.tar`` and so on (``data-…`` without splits), a new shard every 512 MiB; the number of pictures.

    Members are ``key.png``, ``key.cls`` (class index) and ``key.json`` (class name, provenance, objects), with no times
    or owners, so that equal datasets give equal bytes.
    """
    groups: dict[str | None, list[int]] = {}
    for row, split in enumerate(dataset.splits):
        groups.setdefault(split, []).append(row)
    for split, rows in groups.items():
        _write_split(dataset, rows, split or "data", target, encode)
    target.add(CLASSES_FILE, ClassList(dataset.classes).to_json().encode())
    return len(dataset)


def _write_split(dataset: Dataset, rows: Sequence[int], prefix: str, target: Target, encode: Encode | None) -> None:
    shard, at = 0, 0
    while at < len(rows):
        with (
            target.open(f"{prefix}-{shard:06d}.tar") as handle,
            tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            while at < len(rows) and archive.offset < SHARD_BYTES:
                for extension, data in _files(dataset[rows[at]], dataset.classes, encode):
                    member = tarfile.TarInfo(f"{rows[at]:09d}.{extension}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
                at += 1
        shard += 1


def _files(sample: Sample, classes: Sequence[str], encode: Encode | None) -> Iterator[tuple[str, bytes]]:
    data, suffix = picture(sample, encode)
    yield suffix[1:], data
    ours = provenance(sample)
    row: dict[str, object] = {"twinset": ours}
    annotation = sample.annotation
    if annotation is not None and annotation.class_id is not None:
        yield "cls", str(annotation.class_id).encode()
        row["label"] = classes[annotation.class_id]
    if annotation is not None and annotation.semantic is not None:
        yield SEMANTIC, annotation.semantic.png
    if annotation is not None and annotation.instances is not None:
        ours["instances"] = to_json(annotation.instances, classes)
    if annotation is not None and annotation.depth_metres is not None:
        yield DEPTH, npy(annotation.depth_metres.dense())
    if annotation is not None and annotation.normals is not None:
        yield NORMALS, npy(annotation.normals.whole())
    if annotation is not None and annotation.camera is not None:
        ours["camera"] = camera_value(annotation.camera)
    yield "json", json.dumps(row, ensure_ascii=False).encode()
