"""What is decided before anything is inferred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twinset.choices import check_choices

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties that are tried, in shares of the number of rows (features have variance 1)."""


@dataclass(frozen=True)
class InferenceSettings:
    """A measure is inferable where its cross-validated score reaches ``threshold``.

    The score of numbers is R²; that of classes (accuracy − chance) / (1 − chance), chance being the share of the most
    frequent class. ``folds`` and ``inner_folds`` keep the rows of a picture together. ``selection`` ``"forest"`` keeps
    the ``kept_features`` that a random forest of ``trees`` finds most important, anew in every fold. ``strength`` is
    the inverse penalty of logistic regressions. Intervals are 95 % over ``resamples`` draws of pictures.

    A measure is affected by a domain shift where more than ``most_beyond`` of the real rows lie farther from synthetic
    ones than ``1 − beyond`` of held-out synthetic rows do, or where models that agree on synthetic rows differ
    ``most_disagreement`` times as much on real ones. Fewer than ``least_effective`` of the synthetic rows behind a
    weighted error (effective number, as a share of the real rows) leave it undefined.
    """

    threshold: float = 0.5
    folds: int = 5
    inner_folds: int = 3
    selection: Literal["none", "forest"] = "none"
    kept_features: int = 64
    trees: int = 100
    strength: float = 0.1
    resamples: int = 1000
    beyond: float = 0.05
    most_beyond: float = 0.2
    most_disagreement: float = 1.35
    least_effective: float = 0.1
    neighbours: int = 5

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 < self.threshold < 1:
            raise ValueError(f"expected a threshold of 0…1, decided beforehand; got {self.threshold}")
        if min(self.folds, self.inner_folds) < 2 or min(self.kept_features, self.trees, self.neighbours) < 1:
            raise ValueError(
                f"expected 2 folds and inner folds, and a feature, tree and neighbour, or more; got {self.folds}, "
                f"{self.inner_folds}, {self.kept_features}, {self.trees} and {self.neighbours}"
            )
        if not self.strength > 0 or self.resamples < 100:
            raise ValueError(f"expected strength > 0 and resamples ≥ 100; got {self.strength} and {self.resamples}")
        shares = (self.beyond, self.most_beyond, self.least_effective)
        if not all(0 < share < 1 for share in shares) or self.most_disagreement <= 1:
            raise ValueError(
                f"expected beyond, most_beyond and least_effective in 0…1 and most_disagreement > 1; got {shares} and "
                f"{self.most_disagreement}"
            )
