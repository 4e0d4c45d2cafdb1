"""What any watermark does: it marks pixels, looks at pixels, and judges what it saw, of one picture or of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels

Look = tuple[str, NDArray[np.float64]]
"""What of a picture bears on the mark: the kind of features, and the features. Those of one kind can be pooled."""


@dataclass(frozen=True)
class Reading:
    """What a picture, or several pooled, say of the mark.

    ``p_value``: how often something that was never marked with this key says as much, over all keys. ``payload`` is the
    number that fits best, None where a mark without one fits better; it means nothing where the p-value is large.
    ``shift`` is by how many pixels (down, right) the mark has moved, as by a crop, modulo the size of its tile.
    """

    p_value: float
    payload: int | None = None
    shift: tuple[int, int] = (0, 0)


class Watermark(Protocol):
    """A mark in pixels under a secret key."""

    def mark(self, pixels: Pixels, payload: int | None = None) -> Pixels:
        """The picture with the mark, of the same shape; equal arguments give equal pixels."""

    def look(self, pixels: Pixels) -> tuple[Look, ...]:
        """The features of a picture, of each kind that may hold a mark; none if it is too small, or flat."""

    def judge(self, looks: Sequence[Look], payload: int | None = None) -> Reading:
        """Whether these, pooled, hold the mark; with ``payload``: whether they hold that one, or a mark without any."""
