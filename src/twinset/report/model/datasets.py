"""The datasets of a report, and what the filters kept of the synthetic one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.scores import Score


@dataclass(frozen=True)
class Problem:
    """Something found wrong with the input, how often, and a few places where."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """One dataset. ``counts`` maps a split ("train", "validation", "test" or "all") to images by class, in class order.

    Where images have no class of their own, ``counts`` are of the ``unit`` that is named ("objects"), and ``pictures``
    has the images of every split.
    ``size`` says what the images are and what was done to them: ``"8 × 8 grey, as they came"`` or
    ``"32 × 32 RGB, resized from 1024 × 900 … 640 × 480"``.
    """

    name: str
    kind: Literal["real", "synthetic"]
    counts: Mapping[str, tuple[int, ...]]
    size: str
    licence: str | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unit: str = "images"
    pictures: Mapping[str, int] | None = None

    @property
    def images(self) -> int:
        """Images over all splits and classes."""
        return sum(self.images_of(split) for split in self.counts)

    def images_of(self, split: str) -> int:
        """Images of one split; 0 if there is none of that name."""
        return sum(self.counts.get(split, ())) if self.pictures is None else self.pictures.get(split, 0)


@dataclass(frozen=True, eq=False)
class ScoreValues:
    """One alignment score of all accepted and all rejected images, each float (N,); whichever filter rejected.

    ``threshold`` is where the filter cuts, ``real`` (R,) what held-out real images (or objects, as ``unit``) score.
    """

    name: str
    accepted: NDArray[np.floating]
    rejected: NDArray[np.floating]
    threshold: float | None = None
    real: NDArray[np.floating] | None = None
    unit: str = "images"


@dataclass(frozen=True)
class AlignmentFacts:
    """What the filters did: candidates judged, kept, dropped by reason; figures before and after.

    ``before`` and ``after`` hold the same scores (same ``name``) on all candidates and on the kept ones.
    ``by_class`` maps a class id to (kept, rejected).
    """

    judged: int
    kept: int
    reasons: Mapping[str, int]
    scores: tuple[ScoreValues, ...] = ()
    before: tuple[Score, ...] = ()
    after: tuple[Score, ...] = ()
    by_class: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.kept <= self.judged:
            raise ValueError(f"expected kept within 0…{self.judged}; got {self.kept}")
