"""Opening files of a dataset without ever leaving its folder.

A dataset is somebody else's data: its names may be links, ``..``, absolute paths, devices, or bytes that are no
text. Everything that a reader opens by a name found in the data comes through :class:`Folder`.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from twinset.images import MAX_FILE_BYTES

HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "icon\r", "__pycache__"})

_BIDI_CONTROLS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Unusable(Exception):
    """Why one entry of a dataset is left out: *expected X; got Y*. Readers turn it into a :class:`BadFile`.

    ``line`` is that of the file, from 1, where what is wrong has one.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


class Absent(Unusable):
    """There is nothing of that name; a file that is there and cannot be read is :class:`Unusable`."""


def visible(text: str) -> str:
    r"""The same text with control, bidirectional and undecodable characters written out, so that it stays one line.

    >>> visible("cat\n\x1b[31m"), visible("小猫")
    ('cat\\n\\x1b[31m', '小猫')
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character


def first_line(error: BaseException) -> str:
    """What a library says of hostile bytes, as one line."""
    return visible((str(error).strip().splitlines() or [type(error).__name__])[0])


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold this text: no half of a surrogate pair, such as undecodable file names bring."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sorts ``2`` before ``10`` and ``cat`` beside ``Cat``; total, so that equal input gives equal order.

    >>> sorted(["10", "9", "b", "A"], key=natural_key)
    ['9', '10', 'A', 'b']
    """
    parts = re.split(r"(\d+)", text.casefold())
    return tuple(_number_key(p) if p.isdecimal() else (1, 0, p) for p in parts if p), text


def _number_key(digits: str) -> tuple[int, int, str]:
    """Orders numbers of any length by their value; Python refuses to make an int of thousands of digits."""
    stripped = "".join(str(int(digit)) for digit in digits).lstrip("0")
    return 0, len(stripped), stripped


def relative_path(text: str) -> PurePosixPath:
    """A path found in the data, as one inside the dataset folder; :class:`Unusable` if it points anywhere else."""
    windows = PureWindowsPath(text)
    if not text.strip() or "\0" in text:
        raise Unusable(f"expected a path; got {text!r}")
    if "://" in text:
        raise Unusable(f"expected a path inside the dataset folder; got the address {visible(text)!r}")
    if text.startswith(("/", "\\")) or windows.drive:
        raise Unusable(f"expected a path inside the dataset folder; got the absolute path {visible(text)!r}")
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Unusable(f"expected a path inside the dataset folder; got {visible(text)!r}, which climbs out with ..")
    if not parts:
        raise Unusable(f"expected the path of a file; got {visible(text)!r}")
    return PurePosixPath(*parts)


@dataclass(frozen=True)
class Entry:
    """A file (or an empty folder) met on a walk; ``problem`` says why it must not be opened."""

    path: str
    is_folder: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class Folder:
    """The folder of a dataset. Paths are relative to it, with forward slashes; ``own`` are files the user named."""

    root: Path
    own: Mapping[str, Path] = field(default_factory=dict, repr=False, compare=False)
    _parents: dict[Path, Path | None] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def at(path: Path) -> Folder:
        """The folder at this path; links in the path itself are the user's own and are followed."""
        return Folder(path.resolve())

    @staticmethod
    def around(path: Path) -> Folder:
        """The folder of the one file at this path; where that is a link, which is followed, the folder it leads to."""
        real = path.resolve()
        return Folder(real.parent, own={path.name: real})

    def locate(self, relative: str | PurePosixPath) -> Path:
        """The real path of a file, which is inside the folder; :class:`Unusable` if a link leads out or nowhere."""
        if str(relative) in self.own:
            return self.own[str(relative)]
        full = self.root / relative
        try:
            if full.parent not in self._parents:
                self._parents[full.parent] = self._inside(full.parent)
            parent = self._parents[full.parent]
            if parent is None:
                raise Unusable("expected a file inside the dataset folder; got a link that leads outside")
            real: Path | None = parent / full.name
            if full.is_symlink():
                real = self._inside(full)
        except (OSError, RuntimeError, ValueError) as error:
            raise Unusable(f"expected a file; got {_reason(error)}") from error
        if real is None:
            raise Unusable("expected a file inside the dataset folder; got a link that leads outside")
        return real

    def _inside(self, path: Path) -> Path | None:
        real = path.resolve(strict=True)
        return real if real.is_relative_to(self.root) else None

    def open(self, relative: str | PurePosixPath) -> BinaryIO:
        """A plain file inside the folder, to be read; :class:`Unusable` for links out, folders, pipes and devices.

        Nothing hangs: a pipe is opened without waiting for its writer, and then refused.
        """
        real = self.locate(relative)
        flags = os.O_RDONLY
        for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        try:
            descriptor = os.open(real, flags)
        except FileNotFoundError as error:
            raise Absent(f"expected a readable file; got {_reason(error)}") from error
        except (OSError, ValueError) as error:
            raise Unusable(f"expected a readable file; got {_reason(error)}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unusable("expected a plain file; got a folder, pipe or device")
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def read(self, relative: str | PurePosixPath, *, limit: int = MAX_FILE_BYTES) -> bytes:
        """The bytes of a file, by :meth:`open`; :class:`Unusable` also for giants."""
        with self.open(relative) as handle:
            try:
                size = os.fstat(handle.fileno()).st_size
                if size > limit:
                    raise Unusable(f"expected at most {limit} bytes; got {size}")
                return handle.read(size)
            except OSError as error:
                raise Unusable(f"expected a readable file; got {_reason(error)}") from error

    def names(self, below: str = "") -> list[str]:
        """What lies in one folder, by name and without hidden files; nothing where there is a link or no folder."""
        place = self.root / below
        if below and (place.is_symlink() or not place.is_dir()):
            return []
        try:
            return sorted(p.name for p in place.iterdir() if not p.name.startswith(".") and is_text(p.name))
        except OSError:
            return []

    def walk(self) -> Iterator[Entry]:
        """Every file in natural order. Hidden ones come with ``problem="hidden"``, folder links with ``"link"``.

        Folders are yielded (``is_folder``) only when there is nothing in them at all.
        """
        pending: list[Entry | str] = [""]
        while pending:
            item = pending.pop()
            if isinstance(item, Entry):
                yield item
            else:
                pending.extend(reversed(self._contents(item)))

    def _contents(self, below: str) -> list[Entry | str]:
        """What lies in one folder: entries, and the paths of folders that are still to be walked."""
        try:
            with os.scandir(self.root / below) as listing:
                entries = sorted(listing, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            return [Entry(visible(below) or ".", problem=f"expected a readable folder; got {_reason(error)}")]
        if below and not entries:
            return [Entry(below, is_folder=True)]
        return [self._visit(entry, f"{below}/{entry.name}" if below else entry.name) for entry in entries]

    def _visit(self, entry: os.DirEntry[str], path: str) -> Entry | str:
        if entry.name.startswith(".") or entry.name.casefold() in HIDDEN:
            return Entry(path, problem="hidden")
        if not is_text(entry.name):
            return Entry(visible(path), problem="expected a file name in UTF-8; got other bytes")
        if entry.is_symlink():
            return self._link(path)
        return path if entry.is_dir(follow_symlinks=False) else Entry(path)

    def _link(self, path: str) -> Entry:
        try:
            real = self.locate(path)
        except Unusable as error:
            return Entry(path, problem=str(error))
        return Entry(path, problem="link" if real.is_dir() else None)


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, RuntimeError) or "symbolic link" in str(error):
        return "a link that leads in a circle"
    return str(getattr(error, "strerror", None) or type(error).__name__)
