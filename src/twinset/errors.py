"""What can go wrong outside our own code, and the exit code each kind ends with.

    TwinsetError                      1
    ├── UsageError                    2   a wrong option or argument
    │   ├── RecipeError                   a recipe that cannot be understood (file, line)
    │   └── UnknownNameError              no method, class or schema of that name
    ├── MissingExtraError             3   an optional package is not installed
    ├── MissingModelError             3   a checkpoint is not on this machine
    ├── DataError                     4   the user's data
    │   ├── DatasetFormatError            a folder or file we cannot read as a dataset (file, line)
    │   ├── ImageError                    bytes that are not a usable picture
    │   └── ChangedFileError              a file is not the one recorded earlier
    └── RunFolderError                4   a run folder that is damaged, foreign or in use

A finished run is no error: its process ends with 5 where slots stayed empty and with 6 where the gate refused.
Bad *arguments* of a Python function stay ``ValueError`` and ``TypeError``. Every message reads
*expected X; got Y*; ``hint`` says what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class TwinsetError(Exception):
    """Root of the tree. ``code`` names the kind in JSON, ``exit_code`` ends the process."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[TwinsetError], message: str, hint: str) -> TwinsetError:
    error = kind.__new__(kind)
    TwinsetError.__init__(error, message, hint=hint)
    return error


class UsageError(TwinsetError):
    """A wrong option, argument or combination of them."""

    code = "usage"
    exit_code = 2


def _located(message: str, path: Path | str | None, line: int | None) -> str:
    if path is None:
        return message
    return f"{path}:{line}: {message}" if line is not None else f"{path}: {message}"


class RecipeError(UsageError):
    """A recipe that cannot be understood; the message begins with ``file:line``."""

    code = "recipe"

    def __init__(
        self, message: str, *, path: Path | str | None = None, line: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(_located(message, path, line), hint=hint)


class UnknownNameError(UsageError):
    """A name that is in no table; lists the known ones and the nearest, or else says ``hint``."""

    code = "unknown-name"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "use one of those") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else hint
        article = "an" if kind[:1] in "aeiou" else "a"
        super().__init__(f"expected {article} {kind} out of {', '.join(known)}; got {name!r}", hint=hint)


class MissingExtraError(TwinsetError):
    """An optional package is needed and not installed."""

    code = "missing-extra"
    exit_code = 3


class MissingModelError(TwinsetError):
    """A pretrained checkpoint is needed and not on this machine."""

    code = "missing-model"
    exit_code = 3


class DataError(TwinsetError):
    """Something about the user's data."""

    code = "data"
    exit_code = 4


class DatasetFormatError(DataError):
    """A folder or file that cannot be read as a dataset; the message begins with ``file:line``."""

    code = "dataset-format"

    def __init__(
        self, message: str, *, path: Path | str | None = None, line: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(_located(message, path, line), hint=hint)


class ImageError(DataError):
    """Bytes that are not a picture we can use: truncated, lying, too large, of an unknown kind."""

    code = "image"


class UnshownError(DataError):
    """A picture that should show something and does not, however often it is drawn."""

    code = "unshown"


class ChangedFileError(DataError):
    """A file whose content is not the one that was recorded."""

    code = "changed-file"


class RunFolderError(TwinsetError):
    """A run folder that is damaged, belongs to another recipe, or is in use."""

    code = "run-folder"
    exit_code = 4


def printable(text: str) -> str:
    """One line for a terminal: control characters, which names from data may hold, are made visible."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
