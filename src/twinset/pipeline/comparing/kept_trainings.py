"""Where the trainings of a comparison's utility study lie until it is done: one that was stopped goes on from there."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from twinset import __version__
from twinset.errors import RunFolderError
from twinset.locks import in_use, locked
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline.resolving import cache_folder
from twinset.store import read_json, write_json

ABANDONED_SECONDS = 14 * 86_400.0
"""After two weeks nobody comes back to a study that was stopped."""


def key_of(data_digest: str, *, seed: int, seconds: float) -> str:
    """What decides a study: its images, seed and time, and this version; not how many workers there are."""
    return hashlib.sha256(json.dumps([data_digest, seed, seconds, __version__]).encode()).hexdigest()[:32]


@contextmanager
def study_folder(key: str) -> Iterator[Path]:
    """A folder by this key in the user's cache: gone when the block ends well, left as it is when it does not.

    A temporary one where the cache cannot be written to, or another process is at the same study.
    """
    with ExitStack() as stack:
        kept = _held(key, stack)
        yield kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twinset-compare-")))
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)


def settings_once(folder: Path, choose: Callable[[], ClassifierSettings]) -> ClassifierSettings:
    """The settings that the study in this folder began with: a timing of the machine never gives the same twice."""
    path = folder / "settings.json"
    with suppress(RunFolderError, OSError, KeyError, TypeError, ValueError):
        values = read_json(path)
        if isinstance(values, dict):
            steps, width, batch = (int(values[name]) for name in ("steps", "width", "batch"))
            return ClassifierSettings(steps=steps, width=width, batch=batch)
    chosen = choose()
    write_json(path, {"steps": chosen.steps, "width": chosen.width, "batch": chosen.batch})
    return chosen


def _held(key: str, stack: ExitStack) -> Path | None:
    with suppress(OSError, RuntimeError, RunFolderError):
        folder = cache_folder() / "studies" / key
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        stack.enter_context(locked(folder))
        return folder
    return None


def _sweep(root: Path) -> None:
    """Removes studies that nobody has gone on with for long."""
    now = time.time()
    for folder in root.iterdir():
        with suppress(OSError):
            last = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
            if now - last > ABANDONED_SECONDS and not in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
