"""Exact copies among feature vectors, found by digest: one pass over the rows and 16 bytes for each."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.mapped import gathered
from twinset.evaluation.protocol import Features, blocks

Rows = NDArray[np.int64]


def copy_groups(features: Features, *, rows: Rows | None = None, block: int = 4096) -> Rows:
    """Of each of ``rows`` (R,) of (N, D), by default all, the number (R,) of the first one with the same values.

    Numbers are those of rows; −0 and 0 are the same value.

    >>> copy_groups(np.array([[1.0], [0.0], [1.0], [-0.0]])).tolist()
    [0, 1, 0, 1]
    """
    chosen = np.arange(len(features)) if rows is None else rows
    first: dict[bytes, int] = {}
    found = np.empty(len(chosen), dtype=np.int64)
    for part in blocks(len(chosen), block):
        values = gathered(features, chosen[part]) + 0  # −0 + 0 = 0
        for place, (number, row) in enumerate(zip(chosen[part], values, strict=True), start=part.start):
            found[place] = first.setdefault(hashlib.blake2b(row.tobytes(), digest_size=16).digest(), int(number))
    return found


def distinct_rows(features: Features) -> Rows:
    """The first row of every group of exact copies, ascending."""
    return np.unique(copy_groups(features))


def with_copies(features: Features, norms: NDArray[np.float64], k: int) -> int:
    """How many rows of (N, D) have at least k exact copies; only rows whose ``norms`` (N,) hardly differ are compared.

    >>> with_copies(np.array([[1.0], [0.0], [1.0], [2.0]]), np.array([1.0, 0.0, 1.0, 4.0]), 1)
    2
    """
    order = np.argsort(norms, kind="stable")
    near = np.diff(norms[order]) <= 1e-9 * norms[order[1:]]
    suspects = np.sort(order[np.append(near, False) | np.insert(near, 0, False)])
    if not suspects.size:
        return 0
    sizes = np.unique(copy_groups(features, rows=suspects), return_counts=True)[1]
    return int(sizes[sizes > k].sum())
