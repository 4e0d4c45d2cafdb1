"""Pictures in one folder per class, with or without ``train`` / ``validation`` / ``test`` folders above.

Classes may be nested (``animal/cat``). Pictures that lie in no class folder are unlabelled. The ImageFolder that
we write is read by ``datasets.load_dataset("imagefolder", data_dir=…)`` and by torchvision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from twinset.dataset import Dataset, SplitName
from twinset.formats.folder import Entry, Folder, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Candidate, Findings, Listing
from twinset.formats.sidecars import (
    CLASSES_FILE,
    MAX_NOTES_BYTES,
    PROVENANCE_FILE,
    ClassList,
    Extras,
    provenance,
    read_classes,
    read_provenance,
)
from twinset.formats.writing import Encode, FileNames, Target, folder_names, picture
from twinset.images import SUFFIXES

UNLABELLED = "_unlabelled"
NOTED_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".jp2", ".dcm", ".svg", ".raw", ".npy", ".npz", ".zip", ".gz"})


@dataclass
class _Walked:
    pictures: list[str] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    populated: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


def listing(folder: Folder, name: str) -> Listing:
    """The pictures under a folder. Empty class folders are bad entries; loose and odd files are warned of."""
    findings = Findings()
    walked = _walk(folder, findings)
    if not walked.pictures and not walked.bad:
        return Listing("imagefolder", (), findings, folder, name)
    given = read_classes(folder)
    notes = read_provenance(folder, limit=MAX_NOTES_BYTES)
    splits = _split_folders(walked, given)
    entries = _entries(walked, splits, given, notes, findings)
    kind = "imagefolder with splits" if splits else "imagefolder"
    return Listing(kind, entries, findings, folder, name, given.names if given else None)


def _walk(folder: Folder, findings: Findings) -> _Walked:
    walked, suffixes = _Walked(), dict[str, int]()
    for entry in folder.walk():
        if entry.problem in ("hidden", "link"):
            findings.ignored[entry.problem] += 1
            continue
        walked.folders.update(str(parent) for parent in PurePosixPath(entry.path).parents if parent.name)
        if entry.is_folder:
            walked.folders.add(entry.path)
        elif entry.problem is not None:
            walked.bad.append(BadFile(visible(entry.path), entry.problem))
            walked.populated.update(str(parent) for parent in PurePosixPath(entry.path).parents)
        else:
            _sort_in(entry, walked, suffixes, findings)
    for suffix, count in sorted(suffixes.items()):
        if suffix in NOTED_SUFFIXES:
            findings.warnings.append(f"{count} {suffix} files are not opened: expected {', '.join(sorted(SUFFIXES))}")
    return walked


def _sort_in(entry: Entry, walked: _Walked, suffixes: dict[str, int], findings: Findings) -> None:
    path = PurePosixPath(entry.path)
    if path.suffix.lower() in SUFFIXES:
        walked.pictures.append(entry.path)
        walked.populated.update(str(parent) for parent in path.parents)
    elif entry.path not in (CLASSES_FILE, PROVENANCE_FILE):
        findings.ignored["other"] += 1
        suffixes[path.suffix.lower()] = suffixes.get(path.suffix.lower(), 0) + 1


def _split_folders(walked: _Walked, given: ClassList | None) -> Mapping[str, SplitName]:
    """Top folders that mean a split.

    Those that the class list names, with pictures right in them, do not; nor does a lone ``train`` beside others.
    """
    tops = {path.split("/", 1)[0] for path in walked.folders}
    classes = _class_tops(walked, given) if given is not None else set()
    found = {top: SPLIT_NAMES[top.casefold()] for top in tops - classes if top.casefold() in SPLIT_NAMES}
    if set(found) == tops or len(set(found.values())) >= 2:
        return found
    return {}


def _class_tops(walked: _Walked, given: ClassList) -> set[str]:
    listed = set(given.folders or given.names)
    holding = {str(PurePosixPath(path).parent) for path in walked.pictures}
    empty = {folder for folder in walked.folders if folder not in walked.populated}
    return {folder.split("/", 1)[0] for folder in listed & (holding | empty)}


def _entries(
    walked: _Walked,
    splits: Mapping[str, SplitName],
    given: ClassList | None,
    notes: Mapping[str, Extras],
    findings: Findings,
) -> Iterator[Candidate | BadFile]:
    yield from walked.bad
    yield from _empty_classes(walked, splits)
    placed = [_place(path, splits) for path in walked.pictures]
    with_classes = {top for top, parts in placed if parts}
    stray: list[str] = []
    for path, (top, parts) in zip(walked.pictures, placed, strict=True):
        if (not parts and top in with_classes) or (splits and not top):
            findings.ignored["loose"] += 1
            stray.append(path)
            continue
        label = _label("/".join(parts), given, findings) if parts else None
        extra = notes.get(path, Extras())
        yield Candidate(
            id=extra.id or visible(path),
            label=label,
            split=splits.get(top),
            path=path,
            caption=extra.caption,
            attributes=extra.attributes,
            probabilities=extra.probabilities,
            origin=extra.origin,
        )
    if stray:
        findings.warnings.append(
            f"{len(stray)} pictures lie in no class folder and are left out, first {visible(stray[0])}"
        )


def _place(path: str, splits: Mapping[str, SplitName]) -> tuple[str, tuple[str, ...]]:
    """The split folder ("" for none) and the class folders of a picture."""
    parts = PurePosixPath(path).parts[:-1]
    if splits:
        return (parts[0], parts[1:]) if parts and parts[0] in splits else ("", parts)
    return "", parts


def _label(text: str, given: ClassList | None, findings: Findings) -> str | None:
    if given is not None and text in given.folders:
        return given.folders[text]
    return findings.class_name(text)


def _empty_classes(walked: _Walked, splits: Mapping[str, SplitName]) -> Iterator[BadFile]:
    """Folders without any picture, unless the same class has some in another split."""
    known = {_place(f"{path}/x", splits)[1] for path in walked.populated if path != "."}
    empty = sorted(walked.folders - walked.populated)
    for path in empty:
        inner = any(other.startswith(f"{path}/") for other in empty)
        if not inner and _place(f"{path}/x", splits)[1] not in known - {()}:
            yield BadFile(visible(path), "expected pictures in this folder; got none")


def write(dataset: Dataset, target: Target, *, encode: Encode | None) -> int:
    """``[split/]class/picture`` for every sample; the number of pictures."""
    *class_folders, unlabelled = folder_names((*dataset.classes, UNLABELLED))
    some = bool((dataset.class_ids < 0).any())
    mixed = some and (bool((dataset.class_ids >= 0).any()) or not {*dataset.splits}.isdisjoint(class_folders))
    names, lines = FileNames(), list[str]()
    for sample, split in zip(dataset, dataset.splits, strict=True):
        class_id = sample.annotation.class_id if sample.annotation else None
        class_folder = class_folders[class_id] if class_id is not None else unlabelled if mixed else ""
        data, suffix = picture(sample, encode)
        parent = "/".join(part for part in (split, class_folder) if part)
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        lines.append(json.dumps({"path": path, **provenance(sample)}, ensure_ascii=False))
    mapping: dict[str, str | None] = dict(zip(class_folders, dataset.classes, strict=True))
    if mixed:
        mapping[unlabelled] = None
    target.add(CLASSES_FILE, ClassList(dataset.classes, mapping).to_json().encode())
    target.add(PROVENANCE_FILE, "".join(f"{line}\n" for line in lines).encode())
    return len(lines)
