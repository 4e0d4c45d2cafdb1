"""RMIA: does seeing the image lift its probability more than those of other images (Zarifzadeh et al. 2024)?

ratio(x) = p_target(x) / p(x), where p(x) is what models on average give it. Of reference models that did not see x,
whose mean is p_out, p(x) = ((1 + a) p_out + 1 − a) / 2 (the paper's offline form, a = .3). The score is the share of
other images z with ratio(x) / ratio(z) ≥ γ: one reference model is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.membership import Scores
from twinset.privacy.attacks.classifier import SeenClassifier, log_probabilities, of_class

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rmia:
    """``a`` of the offline approximation, in [0, 1]; ``gamma`` ≥ 1."""

    a: float = 0.3
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.a <= 1 or not self.gamma >= 1:
            raise ValueError(f"expected a in [0, 1] and gamma ≥ 1; got {self.a} and {self.gamma}")

    @property
    def name(self) -> str:
        """rmia."""
        return "rmia"

    @property
    def needs_shadows(self) -> bool:
        """Yes: at least one that did not see each image."""
        return True

    def scores(self, seen: SeenClassifier) -> Scores:
        """Share of the population that each image's ratio exceeds by γ, float64 (N,).

        ``ValueError`` without a population, or where every shadow saw an image.
        """
        shadows = seen.known(self.name)
        if seen.population is None:
            raise ValueError("expected other real images (population) for rmia; got none")
        out = ~shadows.included
        if not out.any(axis=0).all():
            raise ValueError("expected for each image a shadow that did not see it; got images that all saw")
        logits, class_ids, by_shadows = seen.population
        own = self._ratios(_chance(seen.logits, seen.class_ids), _chance(shadows.logits, seen.class_ids), out)
        all_out = np.ones(by_shadows.shape[:2], dtype=bool)
        others = self._ratios(_chance(logits, class_ids), _chance(by_shadows, class_ids), all_out)
        ordered = np.sort(others)
        return np.asarray(np.searchsorted(ordered, own / self.gamma, side="right") / len(ordered))

    def _ratios(self, target: Array, shadows: Array, out: NDArray[np.bool_]) -> Array:
        mean_out = (shadows * out).sum(axis=0) / out.sum(axis=0)
        least = np.finfo(np.float64).tiny  # a = 1 and a class that no shadow believes
        return np.asarray(target / np.maximum(((1 + self.a) * mean_out + 1 - self.a) / 2, least))


def _chance(logits: NDArray[np.floating], class_ids: NDArray[np.integer]) -> Array:
    """Probability of the true class, the mean over views: (…, N)."""
    return np.asarray(np.exp(of_class(log_probabilities(logits), class_ids)).mean(axis=-1))
