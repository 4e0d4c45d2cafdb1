"""A folder of feature arrays that does not grow for ever: what was not used for longest goes first.

Arrays appear whole, by a rename, and go whole. Any number of processes may share the folder: whoever has an array open
keeps it, and what was used in the last minutes stays, so that nobody loses what he is about to open.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinset.errors import UsageError
from twinset.store import TEMPORARY

VARIABLE = "TWINSET_FEATURES_GB"
GIGABYTES = 4.0
GRACE_SECONDS = 600.0
ABANDONED_SECONDS = 86_400.0
"""After a day without a write an unfinished file belongs to a process that was killed."""


@dataclass(frozen=True)
class FeatureCache:
    """``folder`` of ``.npy`` files, of ``limit`` bytes in all once it is swept; 0 keeps nothing beyond minutes."""

    folder: Path
    limit: int = int(GIGABYTES * 1e9)

    def place(self, key: str) -> Path:
        """Where the array of this key is, or should be."""
        return self.folder / f"{key}.npy"

    def sweep(self) -> None:
        """Removes what was not used for longest until the rest fits; what cannot be removed stays."""
        now = time.time()
        found = []
        for path in self.folder.glob("*.npy*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        total = 0
        for used, size, path in sorted(found, key=lambda each: -each[0]):
            if path.name.startswith(TEMPORARY):
                gone = now - used > ABANDONED_SECONDS
            else:
                total += size
                gone = total > self.limit and now - used > GRACE_SECONDS
            if gone:
                with suppress(OSError):
                    path.unlink()


def features_limit() -> int:
    """Bytes that features may take on disk: ``$TWINSET_FEATURES_GB`` · 10⁹, by default 4 · 10⁹.

    Raises :class:`UsageError` for anything but a number ≥ 0.
    """
    text = os.environ.get(VARIABLE) or str(GIGABYTES)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"expected {VARIABLE} as a number of gigabytes ≥ 0; got {text!r}", hint=f"{VARIABLE}=4")
    return int(number * 1e9)


def readable(path: Path, count: int) -> NDArray[np.generic] | None:
    """The array (``count``, …) in this file, memory-mapped; None where there is none, or another one.

    That it was used is marked by the file's time: folders are often mounted without times of access.
    """
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if len(array.shape) < 2 or len(array) != count:
        return None
    with suppress(OSError):
        os.utime(path)
    return array
