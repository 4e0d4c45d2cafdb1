"""Feature tables of pictures that need not be of one size: statistics of pixels, and spectra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.pixel_statistics import PixelStatistics, pixel_features
from twinset.evaluation.detectability.spectrum import Spectrum, spectrum_features
from twinset.images import Pixels, convert_channels

Array = NDArray[np.float64]
View = Literal["pixels", "spectrum"]
VIEWS: tuple[View, ...] = ("pixels", "spectrum")
RECIPE_VERSION = 1
"""Raised whenever the same picture would get other numbers: a kept detector then refuses."""

CHUNK_PIXELS = 4_000_000


@dataclass(frozen=True)
class PictureFeatures:
    """What is computed of every picture, at ``channels`` (1 grey or 3 RGB) and at its own size."""

    channels: int = 3
    pixels: PixelStatistics = field(default_factory=PixelStatistics)
    spectrum: Spectrum = field(default_factory=Spectrum)

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ValueError(f"expected 1 or 3 channels; got {self.channels}")

    def names(self) -> dict[View, tuple[str, ...]]:
        """Names of the columns of each table."""
        return {"pixels": self.pixels.names(self.channels), "spectrum": self.spectrum.names(self.channels)}

    def tables(self, pictures: Iterable[Pixels]) -> dict[View, Array]:
        """Tables float64 (N, F) of uint8 (H, W, C) pictures, which are read once; ``ValueError`` if there are none.

        Pictures of one size that follow each other are computed together, some four million pixels at a time.
        """
        parts: dict[View, list[Array]] = {view: [] for view in VIEWS}
        for batch in _batches(convert_channels(picture, self.channels) for picture in pictures):
            parts["pixels"].append(pixel_features(batch, settings=self.pixels))
            parts["spectrum"].append(spectrum_features(batch, settings=self.spectrum))
        if not parts["pixels"]:
            raise ValueError("expected at least one picture; got none")
        return {view: np.concatenate(tables) for view, tables in parts.items()}


def _batches(pictures: Iterable[Pixels]) -> Iterator[NDArray[np.uint8]]:
    held: list[Pixels] = []
    for picture in pictures:
        if held and (held[0].shape != picture.shape or len(held) * held[0].size >= CHUNK_PIXELS):
            yield np.stack(held)
            held = []
        held.append(picture)
    if held:
        yield np.stack(held)
