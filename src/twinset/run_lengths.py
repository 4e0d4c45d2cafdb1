"""How many pixels packed run lengths cover, many masks at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def covered(packed: Sequence[bytes]) -> NDArray[np.int64]:
    """How many pixels each text of packed run lengths covers, −1 where it is damaged.

    Each number is six bits a character, lowest first: bit 5 says that more follow, the last carries the sign; from the
    fourth on it is the difference to the number two before (pycocotools, ``rleFrString``).
    """
    sizes = np.array([len(text) for text in packed], dtype=np.int64)
    characters = np.frombuffer(b"".join(packed), dtype=np.uint8).astype(np.int64) - 48
    totals = np.zeros(len(packed), dtype=np.int64)
    if not len(characters):
        return np.where(sizes == 0, -1, totals)
    owner = np.repeat(np.arange(len(packed)), sizes)
    bad = np.bincount(owner[(characters < 0) | (characters > 63)], minlength=len(packed)) > 0
    last = (characters & 32) == 0
    text_ends = np.cumsum(sizes[sizes > 0]) - 1
    bad[owner[text_ends[~last[text_ends]]]] = True
    last[text_ends] = True
    ends = np.flatnonzero(last)
    begins = np.concatenate([[0], ends[:-1] + 1])
    digit = np.arange(len(characters)) - np.repeat(begins, ends - begins + 1)
    number_owner = owner[ends]
    bad[number_owner[ends - begins > 6]] = True
    parts = (characters & 31) << (5 * np.minimum(digit, 7))
    numbers = np.add.reduceat(parts, begins)
    signed = (characters[ends] & 16) != 0
    numbers -= np.where(signed, np.int64(1) << (5 * np.minimum(digit[ends] + 1, 8)), 0)
    return _sums_of_runs(numbers, number_owner, bad)


def _sums_of_runs(numbers: NDArray[np.int64], owner: NDArray[np.int64], bad: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Undoes the differences of each mask's numbers, and adds them up; −1 where one is negative or ``bad``."""
    first = np.searchsorted(owner, np.arange(len(bad)))
    rank = np.arange(len(numbers)) - first[owner]
    runs = np.zeros_like(numbers)
    for parity in (0, 1):
        own = np.flatnonzero((rank % 2 == parity) & (rank > 0))
        sums = np.cumsum(numbers[own])
        lead = np.searchsorted(owner[own], np.arange(len(bad)))
        base = np.concatenate([[0], sums])[lead]
        runs[own] = sums - base[owner[own]]
    runs[rank == 0] = numbers[rank == 0]
    bad = bad | (np.bincount(owner[runs < 0], minlength=len(bad)) > 0)
    bad |= np.bincount(owner, minlength=len(bad)) == 0
    totals = np.zeros(len(bad), dtype=np.int64)
    np.add.at(totals, owner, runs)
    return np.where(bad, -1, totals)
