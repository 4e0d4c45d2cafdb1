"""Features in memory-mapped files: read so that few of their pages count as memory of this process.

Pages of a map that were read stay with the process until the system needs them, so that one pass over a large file
looks like a process as large as the file, and may be stopped for it. And one row that is read brings along what lies
around it: 64 KiB, or 2 MiB where the system keeps the file in large pages.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 64
"""Scattered rows between two releases: 128 MiB of pages at most."""


def release(features: NDArray[np.floating]) -> None:
    """Lets go of the pages of a file that is memory-mapped for reading; what is read again comes from the file.

    Anything else is left alone: pages of a map that may be written to could hold changes.
    """
    base: object = features
    if not isinstance(features, np.memmap) or features.flags.writeable:
        return
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and features.mode == "r" and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def passing(features: NDArray[np.floating], block: int) -> Iterator[NDArray[np.floating]]:
    """All of (N, D), at most ``block`` rows at a time; the pages of each are released when the next is asked for."""
    for start in range(0, len(features), block):
        yield features[start : start + block]
        release(features)


def gathered(features: NDArray[np.floating], rows: NDArray[np.integer]) -> NDArray[np.floating]:
    """Copies of these rows (R,) of (N, D), in their order and type; pages are released as it goes.

    >>> gathered(np.array([[1.0], [2.0], [3.0]]), np.array([2, 0])).tolist()
    [[3.0], [1.0]]
    """
    found = np.empty((len(rows), *features.shape[1:]), dtype=features.dtype)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found[part] = features[rows[part]]
        release(features)
    return found
