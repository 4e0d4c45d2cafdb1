"""Spatial Fréchet distance (sFID): the Fréchet distance of features that still say where in the picture they are.

Nash, Menick, Dieleman and Battaglia 2021, "Generating images with sparse representations", appendix: in place of pooled
features, the first 7 channels of an intermediate map are taken whole (17 × 17 × 7 = 2,023 numbers of Inception's
``mixed_6``), so that the arrangement of a picture counts and not only what is in it. Which extractor and which layer is
the caller's choice and must be named: figures of different layers do not compare.

The distance itself, its interval and its two routes are those of :mod:`twinset.evaluation.distances.frechet`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.distances.frechet import frechet_distance
from twinset.evaluation.protocol import Features
from twinset.scores import Score

NAME = "spatial_frechet_distance"
CHANNELS = 7

Maps = NDArray[np.floating]
"""Feature maps before pooling, float (N, C, h, w). A memory-mapped file does."""


def spatial_features(maps: Maps, *, channels: int = CHANNELS) -> Features:
    """The first ``channels`` channels of maps (N, C, h, w), flattened to (N, channels · h · w).

    A view, without copying, where the maps lie in memory as NCHW.

    >>> spatial_features(np.arange(16.0).reshape(1, 4, 2, 2), channels=1).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise ValueError(f"expected feature maps (N, C, h, w); got shape {maps.shape}; take them before pooling")
    count, held, height, width = maps.shape
    if not 1 <= channels <= held:
        raise ValueError(f"expected 1 to {held} channels; got {channels}; name fewer")
    flat = maps.reshape(count, held * height * width)
    return flat[:, : channels * height * width]


def spatial_frechet_distance(
    real: Maps, synthetic: Maps, *, channels: int = CHANNELS, extractor: str | None = None
) -> Score:
    """The Fréchet distance of the first ``channels`` of real (N, C, h, w) and synthetic (M, C, h, w) maps.

    Lower is better. ``extractor`` should name the network *and* the layer. The interval, the bias at small N and the
    reasons for being undefined are those of :func:`~twinset.evaluation.frechet.frechet_distance`.

    Two pictures each, whose right half moves by 3 and whose left half does not:

    >>> maps = np.zeros((2, 1, 1, 2))
    >>> moved = maps + np.array([0.0, 3.0])
    >>> round(float(spatial_frechet_distance(maps, moved, channels=1).value), 6)
    9.0
    """
    if real.shape[1:] != synthetic.shape[1:]:
        raise ValueError(f"expected maps of one shape (C, h, w); got {real.shape[1:]} and {synthetic.shape[1:]}")
    first, second = (spatial_features(maps, channels=channels) for maps in (real, synthetic))
    score = frechet_distance(first, second, extractor=extractor)
    height, width = real.shape[2:]
    chosen = {"channels": f"first {channels} of {real.shape[1]}", "map": f"{height} x {width}"}
    warnings = tuple(text.replace("Fréchet distance", "spatial Fréchet distance", 1) for text in score.warnings)
    return replace(score, name=NAME, settings={**score.settings, **chosen}, warnings=warnings)


@dataclass(frozen=True)
class SpatialFrechetDistance:
    """:func:`spatial_frechet_distance` as a metric of feature maps."""

    channels: int = CHANNELS

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"expected channels ≥ 1; got {self.channels}")

    def score(self, real: Maps, synthetic: Maps, *, extractor: str) -> Score:
        """One score, ``spatial_frechet_distance``."""
        return spatial_frechet_distance(real, synthetic, channels=self.channels, extractor=extractor)
