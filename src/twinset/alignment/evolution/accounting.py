"""How far one real image moves the votes; what T rounds with noise cost stands in :mod:`twinset.gaussian_privacy`."""

from __future__ import annotations

import math
from typing import Literal

Neighbours = Literal["add_remove", "replace"]
"""Two datasets are neighbours when one image more makes one the other, or when one image is another."""


def vote_sensitivity(votes: int = 1, *, images: int = 1, neighbours: Neighbours = "add_remove") -> float:
    """Δ: how far (Euclidean) the histogram moves at most, when ``images`` images come, go or (replace) become others.

    An image gives each of ``votes`` different candidates 1/votes: one image is a step of 1/√votes. Several images of
    one person or sequence may all vote alike: their steps add up. A replaced image leaves its candidates for others.

    >>> vote_sensitivity(), vote_sensitivity(4), vote_sensitivity(images=3)
    (1.0, 0.5, 3.0)
    """
    if votes < 1 or images < 1:
        raise ValueError(f"expected votes ≥ 1 and images ≥ 1; got {votes} and {images}")
    step = images / math.sqrt(votes)
    return step if neighbours == "add_remove" else math.sqrt(2) * step
