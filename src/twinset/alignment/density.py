"""Nothing far from all real images: k-nearest-neighbour density in feature space, with a cut at the elbow.

The score grows with the distance from the training images; 1 is what held-out real images usually have. The
threshold is the elbow of the pilot round's sorted scores (Satopää et al. 2011), kept between two levels of real images,
so that a bad pilot cannot raise its own threshold:

- at least the 99 % quantile of the H held-out scores. A set from the real distribution then keeps about
  (.99 (H − 1) + 1)/(H + 1) of it, or more: 90 % for H = 10, 97 % for 50, 98 % for 100.
- at most the largest held-out score or, where few are held out, the 99 % quantile of the training images' own scores,
  each taken without itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.choices import check_choices
from twinset.dataset import Dataset
from twinset.embedding.embedder import embed_dataset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.images import ImageSpec
from twinset.neighbours import mean_distance, nearest
from twinset.randomness import Stream
from twinset.stages import Embedder, Judgement

BANDWIDTH = 1 / 3
"""Kernel width in units of the usual held-out distance: at 1 the densities of scans and of noise overlap (digits)."""

FEWEST_FOR_AN_ELBOW = 3

TRAINING_SCORES = 500
"""Training images, evenly spread, whose own scores bound the threshold: enough for a 99 % quantile."""


@dataclass(frozen=True)
class Density:
    """``kind``: mean distance to ``neighbours`` training images (knn) or a Gaussian kernel estimate (kde).

    ``floor_quantile``: share of the held-out real images that stays below the threshold whatever the elbow says.
    Features are those of fixed random convolutions, which saw none of the images.
    """

    kind: Literal["knn", "kde"] = "knn"
    neighbours: int = 5
    floor_quantile: float = 0.99

    def __post_init__(self) -> None:
        check_choices(self)
        if self.neighbours < 1 or not 0.5 <= self.floor_quantile <= 1:
            raise ValueError(f"expected neighbours ≥ 1 and floor_quantile in [0.5, 1]; got {self}")

    def fit(
        self,
        pilot: Dataset,
        *,
        training: Dataset,
        holdout: Dataset,
        spec: ImageSpec,
        rng: Stream,  # noqa: ARG002
    ) -> DensityFilter:
        """Finds the threshold on the pilot round."""
        embedder = RandomConvolution()
        real = embed_dataset(embedder, training, spec=spec)
        k = min(self.neighbours, len(real))
        held = embed_dataset(embedder, holdout, spec=spec)
        usual = max(float(np.median(mean_distance(held, real, k=k))), 1e-12)
        raw = DensityFilter(embedder, real, k, self.kind, BANDWIDTH * usual, 1.0, np.inf, spec)
        unit = replace(raw, scale=max(float(np.median(raw.scores(held))), 1e-12))
        held_scores = unit.scores(held)
        floor = float(np.quantile(held_scores, self.floor_quantile))
        if len(pilot) < FEWEST_FOR_AN_ELBOW:
            return replace(unit, threshold=floor)
        ceiling = float(held_scores.max())
        if len(real) > k:
            rows = np.arange(0, len(real), -(-len(real) // TRAINING_SCORES))
            own = unit.scores(real[rows], exclude=rows)
            ceiling = max(ceiling, float(np.quantile(own, self.floor_quantile)))
        turn = elbow(np.sort(unit.scores(embed_dataset(embedder, pilot, spec=spec))))
        return replace(unit, threshold=min(max(floor, turn), ceiling))


@dataclass(frozen=True, eq=False)
class DensityFilter:
    """Features (N, D) of the training images and a frozen threshold.

    kde scores are √(−2 log density), so that they too grow like a distance. ``scale`` is the usual held-out score.
    """

    embedder: Embedder
    real: NDArray[np.float32]
    neighbours: int
    kind: Literal["knn", "kde"]
    bandwidth: float
    scale: float
    threshold: float
    spec: ImageSpec

    def scores(
        self, features: NDArray[np.float32], *, exclude: NDArray[np.integer] | None = None
    ) -> NDArray[np.float64]:
        """(M,) distance from the real images; 1 is what held-out real images usually have, more is farther.

        ``exclude`` (M,) names one training row for each that does not count: itself, if it is a training image.
        """
        count = self.neighbours if self.kind == "knn" else len(self.real) - (exclude is not None)
        distances, _ = nearest(features, self.real, k=count, exclude=exclude)
        if self.kind == "knn":
            return np.asarray(distances.mean(axis=1) / self.scale)
        exponents = -0.5 * (distances / self.bandwidth) ** 2
        top = exponents.max(axis=1)
        log_density = top + np.log(np.exp(exponents - top[:, None]).mean(axis=1))
        far: NDArray[np.float64] = np.sqrt(np.maximum(0.0, -2 * log_density)) / self.scale
        return far

    @property
    def thresholds(self) -> dict[str, float]:
        """Where the scores of :meth:`judge` are cut."""
        return {"distance_from_real": self.threshold}

    def judge(self, synthetic: Dataset) -> Judgement:
        """Score ``distance_from_real``; above the threshold a sample goes."""
        if not len(synthetic):
            return Judgement({"distance_from_real": np.empty(0)}, ())
        scores = self.scores(embed_dataset(self.embedder, synthetic, spec=self.spec))
        reasons = tuple(
            f"far from all real images ({score:.2f}, threshold {self.threshold:.2f})"
            if score > self.threshold
            else None
            for score in scores
        )
        return Judgement({"distance_from_real": scores}, reasons)


def elbow(rising: NDArray[np.float64]) -> float:
    """The value at which a rising curve turns up most: farthest below the straight line between its ends.

    >>> elbow(np.array([1.0, 1.1, 1.2, 1.3, 5.0, 9.0]))
    1.3
    """
    span = rising[-1] - rising[0]
    if span <= 0:
        return float(rising[-1])
    line = np.linspace(0.0, 1.0, len(rising))
    return float(rising[int(np.argmax(line - (rising - rising[0]) / span))])
