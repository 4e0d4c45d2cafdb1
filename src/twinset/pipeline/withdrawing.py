"""Exports that no longer stand for their run: they are kept, out of the way, with a note that says why."""

from __future__ import annotations

import time
from pathlib import Path

from twinset.store import disk_refusals, sync_folder, write_json

FOLDER = "withdrawn"
NOTE = "WITHDRAWN.json"


def withdraw(folder: Path, *, because: str, digest: str | None = None) -> Path | None:
    """Moves ``export`` of a run to ``withdrawn/NNN``, and where it is now; None where there is none.

    ``digest`` is that of the dataset that was exported, where it is known. The note is written first, so that a
    withdrawal that was interrupted is not taken for a release (:func:`end_withdrawal`).
    """
    export = folder / "export"
    if not export.is_dir() or not any(export.iterdir()):
        return None
    note = {"schema": "twinset/withdrawn/1", "because": because, "digest": digest, "when": _now()}
    write_json(export / NOTE, note)
    return _moved(folder)


def end_withdrawal(folder: Path) -> None:
    """Ends a withdrawal that was interrupted after its note."""
    if (folder / "export" / NOTE).exists():
        _moved(folder)


def _moved(folder: Path) -> Path:
    place = folder / FOLDER
    with disk_refusals(place, "to move an export there"):
        place.mkdir(exist_ok=True)
        taken = [int(path.name) for path in place.iterdir() if path.name.isdigit()]
        into = place / f"{max(taken, default=0) + 1:03d}"
        (folder / "export").rename(into)
        sync_folder(place)
        sync_folder(folder)
    return into


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
