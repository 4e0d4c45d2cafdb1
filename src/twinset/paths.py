"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from twinset.errors import UsageError
from twinset.images import SUFFIXES


def expanded(path: str | Path) -> Path:
    """A path as a person wrote it, with the home folder in place of ``~``; :class:`UsageError` if there is none."""
    if "\0" in str(path):
        raise UsageError(f"expected a path; got {str(path)!r}", hint="a file name cannot hold a NUL character")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"expected a path; got {str(path)!r}, but there is no such home folder",
            hint="write the folder out, or begin with ./ if its name begins with ~",
        ) from error


def pictures_under(folder: Path) -> list[Path]:
    """Files under a folder that are named as pictures, by path; none that are hidden, or in a hidden folder."""
    named = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in named if not any(part[0] == "." for part in path.relative_to(folder).parts))
