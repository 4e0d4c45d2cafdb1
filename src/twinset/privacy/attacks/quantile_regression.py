"""Quantile regression: is the loss below what pictures like this one have that were not trained on?

Bertran et al. 2023, "Scalable Membership Inference Attacks via Quantile Regression", and Tang et al. 2023, who use it
on diffusion models. On pictures that nobody trained on, the α-quantile of the loss is fitted as a function of what is
to be seen on a picture; a picture with a smaller loss is taken for a training image, at a false positive rate of α that
no training image is needed for. Whether that rate is kept is checked on the held-out images and stands beside it.

They fit networks to hundreds of thousands of pictures. With hundreds, we fit linear quantiles (Koenker and Bassett
1978) in the principal axes of the pictures, their contrast and their class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import feature_rows
from twinset.images import PixelBatch
from twinset.membership import Scores
from twinset.privacy.attacks.densities import Whitening
from twinset.privacy.attacks.figures import RATES

AXES = 8
FEWEST = 60
"""Pictures that nobody trained on, below which nothing is fitted."""

AT_RATE = 5
"""Of those so many must lie below a quantile for it to be fitted."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures uint8 (N, H, W, C) with classes (N,) and losses (N,) of a generator."""

    pictures: PixelBatch
    class_ids: NDArray[np.integer]
    losses: Scores


@dataclass(frozen=True, eq=False)
class QuantileScores:
    """``scores`` (N,): by how much the loss lies below the median of such pictures. ``margins``: by how much it lies
    below the quantile of a false positive rate, (N,) each; above 0 means "training image"."""

    scores: Scores
    margins: dict[float, Scores]


def quantile_regression(asked: Seen, known: Seen) -> QuantileScores:
    """``known`` are pictures that were not trained on; ``ValueError`` where they are fewer than :data:`FEWEST`."""
    from sklearn.linear_model import QuantileRegressor

    if len(known.losses) < FEWEST:
        raise ValueError(f"expected at least {FEWEST} pictures that nobody trained on; got {len(known.losses)}")
    axes = Whitening.of(feature_rows(known.pictures), most=AXES)
    classes = np.unique(known.class_ids)
    rows, others = (_described(seen, axes, classes) for seen in (asked, known))
    scale = float(np.std(known.losses)) or 1.0

    def below(rate: float) -> Scores:
        model = QuantileRegressor(quantile=rate, alpha=1e-4, solver="highs").fit(others, known.losses / scale)
        return np.asarray(model.predict(rows) - asked.losses / scale, dtype=np.float64)

    rates = [rate for rate in RATES if rate * len(known.losses) >= AT_RATE]
    return QuantileScores(below(0.5), {rate: below(rate) for rate in rates})


def _described(seen: Seen, axes: Whitening, classes: NDArray[np.integer]) -> Scores:
    points = axes.of_rows(feature_rows(seen.pictures))
    contrast = seen.pictures.reshape(len(seen.pictures), -1).std(axis=1, dtype=np.float64)[:, None] / 255
    return np.concatenate([points, contrast, seen.class_ids[:, None] == classes], axis=1)
