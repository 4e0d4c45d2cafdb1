"""How objects and images measure, in the real set, in the twin, and in what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MeasureFacts:
    """One measure of objects or images: its histogram in every set, and how far the sets are from the real images.

    ``edges`` float (B + 1,) in the measure's own unit, ``shares`` by set float (B,), summing to one. ``distances`` are
    Bhattacharyya's, ``floor`` that of real from real; ``at_floor`` names the sets that are no further than that.
    """

    name: str
    edges: NDArray[np.floating]
    shares: Mapping[str, NDArray[np.floating]]
    floor: float
    distances: Mapping[str, float]
    at_floor: tuple[str, ...] = ()
    logarithmic: bool = False

    def __post_init__(self) -> None:
        for name, shares in self.shares.items():
            if len(shares) != len(self.edges) - 1:
                raise ValueError(f"{name}: expected {len(self.edges) - 1} shares; got {len(shares)}")


@dataclass(frozen=True)
class MetadataFacts:
    """Measures of real images, of the twin, and of what it was before; ``shifts`` are sentences on the real splits.

    ``scenes`` are measures that only the maker of synthetic images knows: without real shares, floor or distances.
    """

    measures: tuple[MeasureFacts, ...]
    before_is: str = ""
    images: int = 0
    shifts: tuple[str, ...] = ()
    scenes: tuple[MeasureFacts, ...] = ()
