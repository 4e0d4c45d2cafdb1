"""Pictures and the files that label them, which lie beside them or in a sister folder (``images/`` and ``labels/``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from twinset.dataset import SplitName
from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import SPLIT_NAMES, BadFile, Findings
from twinset.images import SUFFIXES

IMAGE_FOLDERS = ("images", "jpegimages", "image", "imgs", "img")
MAX_TEXT_BYTES = 64 << 20
PEEKED = 8
"""Files that are looked at to find out of which format a folder is."""

SPLIT_FOLDERS: Mapping[str | None, str] = {None: "", "train": "train", "validation": "val", "test": "test"}
"""What writers call the folder, or the list, of each split."""


@dataclass
class Walked:
    """All files of a folder: pictures and others in natural order, and what each folder is called in small letters."""

    pictures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    folders: dict[str, str] = field(default_factory=dict)

    def actual(self, path: PurePosixPath) -> str | None:
        """The file of this name, in a folder that may differ in case; None if there is none."""
        if str(path) in self.known:
            return str(path)
        parent = self.folders.get(str(path.parent).casefold())
        spelled = None if parent is None else str(PurePosixPath(parent) / path.name)
        return spelled if spelled in self.known else None


def walk(folder: Folder, findings: Findings) -> Walked:
    """Every file of a folder; hidden ones and links to folders are counted as ignored."""
    walked = Walked()
    for entry in folder.walk():
        if entry.problem in ("hidden", "link"):
            findings.ignored[entry.problem] += 1
        elif entry.problem is not None:
            walked.bad.append(BadFile(visible(entry.path), entry.problem))
        elif not entry.is_folder:
            path = PurePosixPath(entry.path)
            kind = walked.pictures if path.suffix.lower() in SUFFIXES else walked.others
            kind.append(entry.path)
            walked.known.add(entry.path)
            for parent in path.parents:
                walked.folders.setdefault(str(parent).casefold(), str(parent))
    return walked


def sisters(path: str, own: Collection[str], other: Collection[str]) -> Iterator[PurePosixPath]:
    """The path with its last folder out of ``own`` (in small letters) replaced by each of ``other``.

    >>> [str(p) for p in sisters("train/Images/a.jpg", ["images"], ["labels"])]
    ['train/labels/a.jpg']
    """
    parts = PurePosixPath(path).parts
    for at in range(len(parts) - 2, -1, -1):
        if parts[at].casefold() in own:
            for name in other:
                yield PurePosixPath(*parts[:at], name, *parts[at + 1 :])
            return


def split_of(path: str) -> SplitName | None:
    """The split that one of the folders above a file means, the first if several do."""
    return next(
        (SPLIT_NAMES[p.casefold()] for p in PurePosixPath(path).parts[:-1] if p.casefold() in SPLIT_NAMES), None
    )


def peek(folder: Folder, below: str, suffixes: Collection[str], *, depth: int = 1) -> list[str]:
    """A few files of these suffixes in a folder, or one or so levels below it."""
    names = folder.names(below)
    paths = [f"{below}/{name}" if below else name for name in names]
    found = [path for path in paths if PurePosixPath(path).suffix.lower() in suffixes][:PEEKED]
    if not found and depth:
        for path in paths[:PEEKED]:
            found += peek(folder, path, suffixes, depth=depth - 1)
    return found[:PEEKED]


def read_text(folder: Folder, path: str, *, limit: int = MAX_TEXT_BYTES) -> str:
    """A text file in UTF-8, a byte order mark left out; :class:`Unusable` for others."""
    data = folder.read(path, limit=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unusable(f"expected UTF-8; got the byte 0x{data[error.start]:02x}", line) from error


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines that hold something, stripped, with their numbers from 1."""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if stripped := line.strip():
            yield number, stripped
