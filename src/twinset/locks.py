"""One process at a time in a run folder, or at a file: locks that go when their holder does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinset.errors import RunFolderError
from twinset.store import disk_refusals

LOCK_TRIES, LOCK_PAUSE_SECONDS = 5, 0.05
PATIENCE_SECONDS = 20.0
"""A look at the lock (:func:`in_use`) takes it for an instant, and must not turn a starting run away."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the run folder for this process; a second holder gets a :class:`RunFolderError` at once.

    A folder that is no run when the block ends keeps no lock file of ours.
    """
    path = folder / "run.lock"
    with disk_refusals(folder, "a folder to write a run into"):
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder}: expected a folder; got a file", hint="choose another --out")
        folder.mkdir(parents=True, exist_ok=True)
        made_here = not path.exists()
        handle = path.open("a+b")
    with handle:
        _hold(handle.fileno(), path)
        try:
            yield
        finally:
            with suppress(OSError):
                if made_here and not (folder / "run.json").exists():
                    path.unlink()


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Holds the file ``path`` for one reader and writer: others who come by here wait, up to :data:`PATIENCE_SECONDS`.

    What holds it is a file beside it, which goes when the block ends. :class:`RunFolderError` where it stays held.
    """
    beside = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + PATIENCE_SECONDS
    with disk_refusals(path, "a folder to write into"):
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = beside.open("a+b")
            with suppress(BlockingIOError, PermissionError, FileNotFoundError):
                _lock(handle.fileno())
                # The one before takes its file away: a lock on a file that has lost its name keeps nobody out.
                if os.path.samestat(os.fstat(handle.fileno()), beside.stat()):
                    break
            handle.close()
            if time.monotonic() > deadline:
                raise RunFolderError(f"{path}: expected a file that is free to change; got one that another holds")
            time.sleep(LOCK_PAUSE_SECONDS / 10)
    with handle:
        try:
            yield
        finally:
            with suppress(OSError):
                beside.unlink()


def in_use(folder: Path) -> bool:
    """Whether a process holds this folder now (:func:`locked`); others who look at the same time do not count."""
    try:
        with (folder / "run.lock").open("rb") as handle:
            _lock(handle.fileno(), shared=True)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _hold(descriptor: int, path: Path) -> None:
    try:
        _lock_patiently(descriptor)
        # A refused holder takes its file away: a lock on a file that has lost its name keeps nobody out.
        held = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, PermissionError, FileNotFoundError):
        held = False
    except OSError as error:
        raise RunFolderError(
            f"{path}: expected a file that can be locked; got {error.strerror or error}",
            hint="use an --out on a disk that has file locks",
        ) from error
    if not held:
        raise RunFolderError(
            f"{path.parent}: expected a free run folder; got one that another process works in",
            hint="wait for it, or use another --out",
        )


def _lock_patiently(descriptor: int) -> None:
    for _ in range(LOCK_TRIES - 1):
        with suppress(BlockingIOError, PermissionError):
            _lock(descriptor)
            return
        time.sleep(LOCK_PAUSE_SECONDS)
    _lock(descriptor)


def _lock(descriptor: int, *, shared: bool = False) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
