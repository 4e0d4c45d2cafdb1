"""A user's own command: its words, the files and folders among them, and whether these are still what they were."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twinset.errors import ChangedFileError, UsageError

MOST_MINUTES = 100_000

MOST_FILES = 10_000
MOST_BYTES = 256 * 1024 * 1024
"""Bounds of what is read of one folder, so that looking at it before and after every training stays cheap."""

FOLDER = "folder:"
"""Begins the digest of a folder; that of a file is its sha256 alone."""


@dataclass(frozen=True)
class OwnTrainer:
    """A user's own command. Words that name files or folders are absolute; their content is part of what is trained.

    ``digests`` has one entry a word, "" for words that name nothing. Of a folder the first 10,000 files count, by
    their names, sizes and, while together they hold at most 256 MB, contents; not hidden files, ``__pycache__`` and
    runs of twinset. Nobody looks at what a script imports or reads from elsewhere, at files named inside a word
    (``--config=a.yaml``), at programs found on the PATH, or at what links in a folder lead to.
    ``minutes`` is how long one training may take before it is stopped; it decides no result.
    """

    command: tuple[str, ...]
    digests: tuple[str, ...]
    minutes: float

    @staticmethod
    def of(words: Sequence[str], *, minutes: float) -> OwnTrainer:
        """The command of these words, as :func:`placed_words` left them, with the files as they are now.

        :class:`UsageError` for a program that is neither there nor on the PATH, a script that is not there, and files
        that cannot be read.
        """
        if not words or not 0 < minutes <= MOST_MINUTES:
            raise UsageError(f"expected a command and minutes in (0, {MOST_MINUTES}]; got {list(words)}, {minutes}")
        # A relative path would lead somewhere else in the folder of every training.
        here = "/" in words[0] and not Path(words[0]).is_absolute()
        if here or shutil.which(words[0]) is None:
            raise UsageError(
                f"expected a command that can be run; got {words[0]!r}", hint="it is neither a file nor on the PATH"
            )
        lost = [word for word in words[1:] if word.endswith((".py", ".sh")) and not _is_placed_file(word)]
        if lost:
            hint = "it is looked for from the recipe's folder"
            raise UsageError(f"expected a script; got {lost[0]!r}, which is not there", hint=hint)
        try:
            digests = tuple(_digest(word) for word in words)
        except OSError as error:
            raise UsageError(f"{error.filename}: expected a file that can be read; got {error.strerror}") from error
        return OwnTrainer(tuple(words), digests, minutes)

    def check(self) -> None:
        """:class:`ChangedFileError` unless the files and folders are still those that the study began with."""
        for word, digest in zip(self.command, self.digests, strict=True):
            found = ""
            with suppress(OSError):
                found = _digest(word) if digest else ""
            if found != digest:
                hint = "put it back, or resume the run: its trainings are then all made with what is there now"
                if digest.startswith(FOLDER):
                    hint += "; a trainer may write into its working directory, not into a folder of its command"
                raise ChangedFileError(f"{word}: expected what this study began with; got another content", hint=hint)

    def to_dict(self) -> dict[str, object]:
        """Its words, in place of files and folders their names and digests."""
        return {"command": [_told(word, digest) for word, digest in zip(self.command, self.digests, strict=True)]}

    @property
    def text(self) -> str:
        """For people: the command with names in place of paths."""
        pairs = zip(self.command, self.digests, strict=True)
        return shlex.join(
            Path(word).name or word if digest or Path(word).is_absolute() else word for word, digest in pairs
        )


def placed_words(words: Sequence[str], base: Path) -> tuple[str, ...]:
    """The words of a command; those with a slash or a suffix that name something below ``base`` are made absolute."""
    bad = [word for word in words if "\0" in word]
    if bad:
        raise UsageError(f"expected words of a command; got {bad[0]!r}", hint="a NUL character cannot be in one")
    # Links stay: the Python of a virtual environment is one.
    return tuple(
        str((base / word).absolute()) if ("/" in word or Path(word).suffix) and _exists(base / word) else word
        for word in words
    )


def _exists(path: Path) -> bool:
    """Whether there is such a path; what is too long to be one is a word (``python -c …``)."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_placed_file(word: str) -> bool:
    return Path(word).is_absolute() and Path(word).is_file()


def _told(word: str, digest: str) -> object:
    if not digest:
        return word
    kind = "folder" if digest.startswith(FOLDER) else "file"
    return {kind: Path(word).name, "sha256": digest.removeprefix(FOLDER)}


def _digest(word: str) -> str:
    """Of the file or folder that a word names; "" where it names none."""
    path = Path(word)
    if not path.is_absolute() or not _exists(path):
        return ""
    if path.is_file():
        return _sha256(path)
    return FOLDER + _folder_sha256(path) if path.is_dir() else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_sha256(folder: Path) -> str:
    """sha256 over names, sizes and contents of its files, within the bounds."""
    total, left = hashlib.sha256(), MOST_BYTES
    for number, path in enumerate(_files(folder)):
        if number == MOST_FILES:
            break
        size = path.stat().st_size
        total.update(os.fsencode(f"{path.relative_to(folder).as_posix()}\0{size}\0"))
        if size <= left:
            left -= size
            total.update(_sha256(path).encode())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """The plain files below a folder, in a fixed order; neither links nor mounts (``/proc``) are followed."""
    disk = folder.stat().st_dev
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(Path(place, name), disk))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _counts(folder: Path, disk: int) -> bool:
    """Whether a folder inside another counts: none that Python, an editor or a run of twinset goes on writing into."""
    if folder.name.startswith(".") or folder.name == "__pycache__" or (folder / "run.json").exists():
        return False
    return folder.lstat().st_dev == disk
