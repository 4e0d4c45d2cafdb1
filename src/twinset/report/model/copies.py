"""The copy gate and the pairs that it looked at."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.report.model.pictures import Picture
from twinset.scores import Score


@dataclass(frozen=True)
class ClosePair:
    """A synthetic picture and the training picture it comes closest to.

    ``ratio`` is that distance over what the test compares it with (held-out or second neighbour); ``flagged``
    says that the gate counts the pair as a copy.
    """

    synthetic: Picture
    training: Picture
    distance: float
    ratio: float | None = None
    flagged: bool = False
    class_id: int | None = None


@dataclass(frozen=True)
class Gate:
    """The copy gate: whether it found nothing, in what space it looked, its figures and closest pairs.

    ``blocks`` is false where the copies that it found are only reported.
    """

    passed: bool
    sentence: str
    space: str
    scores: tuple[Score, ...] = ()
    pairs: tuple[ClosePair, ...] = ()
    blocks: bool = True
