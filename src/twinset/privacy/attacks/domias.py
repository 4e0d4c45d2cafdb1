"""DOMIAS: a training image lies where the released data are denser than the population (van Breugel et al. 2023).

score = log p_synthetic(x) − log p_reference(x), both kernel densities over the same whitened principal axes of the
reference images, which belong to neither training nor held-out side. With ``by: "ratio"`` the difference is estimated
at once: the log odds of a classifier that tells synthetic from reference images (Sugiyama et al. 2012, "Density Ratio
Estimation in Machine Learning", sec. 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from twinset.choices import check_choices
from twinset.copying import Pictures
from twinset.membership import Scores
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.privacy.attacks.densities import Whitening, log_density, scott
from twinset.randomness import Stream


@dataclass(frozen=True)
class Domias:
    """``dimension``: most principal axes of the reference images. ``by``: two kernel densities, or their ratio."""

    by: Literal["kde", "ratio"] = "kde"
    dimension: int = 16

    def __post_init__(self) -> None:
        check_choices(self)
        if self.dimension < 1:
            raise ValueError(f"expected a dimension ≥ 1; got {self.dimension}")

    @property
    def name(self) -> str:
        """domias, or domias_ratio."""
        return "domias" if self.by == "kde" else "domias_ratio"

    @property
    def needs_reference(self) -> bool:
        """Yes."""
        return True

    def scores(self, targets: Pictures, seen: SeenDataset, *, rng: Stream) -> Scores:  # noqa: ARG002
        """log p_synthetic − log p_reference, float64 (N,)."""
        known = seen.known(self.name)
        points, made, others = (self._coordinates(each, known, seen) for each in (targets, seen.synthetic, known))
        if self.by == "ratio":
            return _log_odds(points, made, others)
        # One bandwidth for both, that of the smaller set: a narrower kernel would be a difference of its own.
        bandwidth = scott(min(len(made), len(others)), points.shape[1])
        population = seen.distances.once(
            ("log_density", self.dimension, bandwidth),
            targets,
            known,
            make=lambda: log_density(points, others, bandwidth=bandwidth),
        )
        return log_density(points, made, bandwidth=bandwidth) - population

    def _coordinates(self, pictures: Pictures, reference: Pictures, seen: SeenDataset) -> Scores:
        """Of pictures (N, …) along the axes of the reference images: (N, d)."""
        rows, distances = seen.distances.rows, seen.distances
        axes = distances.once(
            ("axes", self.dimension), reference, make=lambda: Whitening.of(rows(reference), most=self.dimension)
        )
        return distances.once(
            ("coordinates", self.dimension), pictures, reference, make=lambda: axes.of_rows(rows(pictures))
        )


def _log_odds(points: Scores, made: Scores, known: Scores) -> Scores:
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([made, known])
    labels = np.concatenate([np.ones(len(made)), np.zeros(len(known))])
    model = LogisticRegression(C=1.0, max_iter=500, class_weight="balanced").fit(_curved(rows), labels)
    return np.asarray(model.decision_function(_curved(points)), dtype=np.float64)


def _curved(rows: Scores) -> Scores:
    """Coordinates and their products of two: the log ratio of two Gaussians is a quadratic."""
    first, second = np.triu_indices(rows.shape[1])
    return np.concatenate([rows, rows[:, first] * rows[:, second]], axis=1)
