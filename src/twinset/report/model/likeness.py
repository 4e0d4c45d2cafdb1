"""How like each other real and synthetic images are: tables of scores, and a map of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.scores import Score

MapSet = Literal["real train", "real held out", "synthetic", "rejected"]


@dataclass(frozen=True)
class MetricTable:
    """Scores under one heading, with a sentence on what was compared with what."""

    title: str
    scores: tuple[Score, ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Images as points of a plane: ``xy`` float (N, 2), ``sets`` N names, ``class_ids`` int (N,), ``ids`` N or none.

    ``method`` says how the plane was chosen (``"PCA, 61 % of the variance"``), ``extractor`` what the features were.
    """

    xy: NDArray[np.floating]
    sets: tuple[MapSet, ...]
    class_ids: NDArray[np.integer]
    method: str
    extractor: str
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.sets)
        if self.xy.shape != (n, 2) or self.class_ids.shape != (n,) or len(self.ids) not in (0, n):
            raise ValueError(
                f"expected xy (N, 2), class_ids (N,) and N ids or none for N = {n}; "
                f"got {self.xy.shape}, {self.class_ids.shape}, {len(self.ids)}"
            )
        if not np.isfinite(self.xy).all():
            raise ValueError("expected finite coordinates; got NaN or infinity")
