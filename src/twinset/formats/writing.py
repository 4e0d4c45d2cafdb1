"""What all writers share: a folder that appears whole or not at all, names that are safe on every system."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from twinset.dataset import Sample
from twinset.errors import DatasetFormatError, UsageError
from twinset.images import FULL_RANGE, encode_png
from twinset.store import sync_folder, temporary_beside

Encode = Callable[[Sample], bytes]
"""Gives the file content of a sample, such as a PNG with provenance in it."""

WritableFormat = Literal[
    "imagefolder",
    "webdataset",
    "parquet",
    "csv",
    "coco",
    "yolo",
    "voc",
    "masks",
    "labelme",
    "cvat",
    "kitti",
    "via",
    "bop",
    "hdf5",
]

LONGEST_NAME = 80

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tiff"),
    (b"MM\0*", ".tiff"),
)


@dataclass(frozen=True)
class WriteReport:
    """What was written, and where; ``losses`` counts what the format has no place for, ``notes`` tell what changed."""

    format: WritableFormat
    destination: Path
    images: int
    files: int
    bytes: int
    losses: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The report as plain JSON types."""
        return {
            "format": self.format,
            "destination": str(self.destination),
            "images": self.images,
            "files": self.files,
            "bytes": self.bytes,
            "losses": dict(self.losses),
        }


@dataclass
class Target:
    """A folder being written. Every file is flushed to the disk before it counts."""

    folder: Path
    files: int = 0
    size: int = 0

    def add(self, path: str, data: bytes) -> None:
        """One whole file at a relative path."""
        with self.open(path) as handle:
            handle.write(data)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A file to write in pieces at a relative path."""
        full = self.folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        with full.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            self.size += handle.tell()
        self.files += 1


@contextmanager
def whole_folder(destination: Path) -> Iterator[Target]:
    """A :class:`Target` beside the destination that takes its place at the end; after an error nothing is left.

    Raises :class:`UsageError` if something is there already, :class:`DatasetFormatError` if the disk refuses.
    """
    destination = destination.absolute()
    try:
        if destination.exists() and not (destination.is_dir() and not any(destination.iterdir())):
            raise UsageError(
                f"{destination}: expected a new or empty folder; got one with files in it", hint="choose another folder"
            )
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(destination)
        try:
            temporary.mkdir()
            yield Target(temporary)
            if destination.exists():
                destination.rmdir()
            temporary.rename(destination)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(destination.parent)
    except OSError as error:
        raise DatasetFormatError(
            f"expected to write a dataset; got {error.strerror or error}",
            path=destination,
            hint="free some space or permissions; nothing was left behind",
        ) from error


def picture(sample: Sample, encode: Encode | None) -> tuple[bytes, str]:
    """The file content of a sample and its suffix: ``encode``'s, or the bytes as they came.

    Pictures that were read through a window are written as PNG of their windowed pixels: the window itself
    has no place in a picture file.
    """
    if encode is not None:
        data = encode(sample)
    else:
        data = sample.encoded() if sample.window == FULL_RANGE else encode_png(sample.pixels())
    for magic, suffix in _MAGIC:
        if data.startswith(magic):
            return data, suffix
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return data, ".webp"
    if re.match(rb"P[1-6]\s", data):
        return data, ".ppm"
    return encode_png(sample.pixels()), ".png"


def safe_name(text: str) -> str:
    """A file name for any text: unsafe characters percent-encoded, hidden and reserved names escaped, length bound.

    Equal texts give equal names; different texts may collide only in case (see :class:`FileNames`).

    >>> safe_name("cat"), safe_name("a/b"), safe_name(".."), safe_name("NUL"), safe_name("小猫")
    ('cat', 'a%2Fb', '%2E%2E', '%4EUL', '小猫')
    """
    name = "".join(c if _is_safe(c) else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)
    if not name:
        return "%"
    if name[0] in ". " or _RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name[-1] in ". ":
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"{name.encode()[: LONGEST_NAME - 14].decode(errors='ignore')}~{digest}"
    return name


def _is_safe(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in " ._-+,()=@"
    return unicodedata.category(character)[0] in "LNM"


def folder_names(names: Sequence[str]) -> list[str]:
    """One folder name per class, distinct also where file names ignore case or Unicode form."""
    taken: set[str] = set()
    return [_free(safe_name(name), taken) for name in names]


@dataclass
class FileNames:
    """Hands out file names that are free in their folder."""

    taken: dict[str, set[str]] = field(default_factory=dict)

    def free(self, parent: str, sample_id: str, suffix: str) -> str:
        """``parent/name.suffix`` for a sample, named after the last part of its id."""
        last = re.split(r"[/\\]", sample_id)[-1]
        stem = re.sub(r"\.(png|jpe?g|bmp|tiff?|webp|gif|p[pgn]m)$", "", last, flags=re.IGNORECASE)
        name = _free(safe_name(stem), self.taken.setdefault(parent, set())) + suffix
        return f"{parent}/{name}" if parent else name


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while _folded(free) in taken:
        number += 1
        free = f"{name}~{number}"
    taken.add(_folded(free))
    return free


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
