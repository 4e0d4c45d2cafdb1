"""Test images one by one: how far each is from the synthetic set, and what every arm made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.scores import Score


@dataclass(frozen=True, eq=False)
class SampleArm:
    """What the runs of one way to train did on N test images.

    ``quality`` float (N,), 0…1, is NaN where there is nothing to find. ``missed`` and ``false_alarms`` are per image,
    one figure a size of boxes; ``doubles`` pairs of predictions of one object, per image, in close-ups and elsewhere
    (None where there is no such image).
    """

    name: str
    setting: str
    runs: int
    quality: NDArray[np.floating]
    correlation: Score | None = None
    missed: tuple[float, ...] = ()
    false_alarms: tuple[float, ...] = ()
    doubles: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class SampleBin:
    """Test images from one distance to another: how many, their mean ``distance``, and every arm's mean quality."""

    low: float
    high: float
    images: int
    distance: float
    quality: tuple[float | None, ...]


@dataclass(frozen=True)
class BoxSize:
    """Boxes that take more than ``low`` and up to ``high`` of the picture (0…1), and how many true ones there are."""

    name: str
    low: float
    high: float
    objects: int


@dataclass(frozen=True, eq=False)
class SampleFacts:
    """Test images one by one: ``distances`` float (N,) to the synthetic set, and what every arm made of them.

    ``score`` is the figure that needs no training, ``measures`` its parts (0: at the floor) beside ``feature_ratio``.
    ``close_ups`` says how many of the images are such (None in segmentation). ``confidence``, ``meeting``, ``double``
    and ``close_up`` are the rules that were counted by, ``k`` the neighbours of a distance.
    """

    ids: tuple[str, ...]
    quality_is: Literal["overlap", "mIoU"]
    score: Score
    measures: Mapping[str, float]
    feature_ratio: float | None
    k: int
    distances: NDArray[np.floating] | None = None
    extractor: str = ""
    arms: tuple[SampleArm, ...] = ()
    bins: tuple[SampleBin, ...] = ()
    sizes: tuple[BoxSize, ...] = ()
    close_ups: int | None = None
    confidence: float = 0.0
    meeting: float = 0.0
    double: float = 0.0
    close_up: float = 0.0

    def __post_init__(self) -> None:
        for arm in self.arms:
            if len(arm.quality) != len(self.ids):
                raise ValueError(f"{arm.name}: expected a quality for each of {len(self.ids)} images")
