"""Detectability: how well a held-out classifier tells synthetic images from real ones.

A classifier two-sample test (Lopez-Paz and Oquab 2017) with an exact p-value. Both sets are thinned to
equal size, so chance is ½. The classifier is least squares with a ridge on features that are standardised
and joined by random Fourier features of a Gaussian kernel (Rahimi and Recht 2007), so that it sees
differences in shape as well as in mean. Being linear in the labels, it is refitted under a thousand
permuted labellings for the price of one factorisation per fold.

None of standardisation, bandwidth and folds looks at the labels beyond their counts per fold, and labels
are permuted within folds: so the p-value is exact for any N (Phipson and Smyth 2010) if the images are
drawn independently. Real images of one family (a patient, a burst) are not: a classifier that knows some
of them knows the rest. So one image of a family takes part. Two cases remain in which a twin is told apart
too easily: large families that look unlike small ones, which then count for less than in the twin; and
synthetic images that come in families themselves, such as many edits of one parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twinset.evaluation.detectability.classifier import HeldOut, Labellings, design_of, drawn_rows, held_out
from twinset.evaluation.protocol import (
    FEATURES,
    Evidence,
    Families,
    Features,
    Need,
    as_features,
    families_of,
)
from twinset.randomness import Stream
from twinset.scores import Score

AUC = "detectability_auc"
ACCURACY = "detectability_accuracy"
FEWEST = 10


@dataclass(frozen=True)
class Detectability:
    """Settings of the test. ``ridge`` is relative to the number of training images; ``limit`` caps N per side."""

    folds: int = 5
    permutations: int = 999
    fourier_features: int = 256
    ridge: float = 1e-2
    limit: int = 2000

    def __post_init__(self) -> None:
        if self.folds < 2 or self.permutations < 19 or self.fourier_features < 0 or self.limit < FEWEST:
            raise ValueError(f"expected folds ≥ 2, permutations ≥ 19, limit ≥ {FEWEST}; got {self}")
        if not self.ridge > 0:
            raise ValueError(f"expected ridge > 0; got {self.ridge}")

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:
        """Two scores: ``detectability_auc`` (with its p-value) and ``detectability_accuracy``; ½ is undetectable."""
        return detectability(
            evidence.real,
            evidence.synthetic,
            settings=self,
            rng=rng,
            extractor=evidence.extractor,
            real_families=evidence.real_families,
        )


def detectability(
    real: Features,
    synthetic: Features,
    *,
    settings: Detectability,
    rng: Stream,
    extractor: str | None = None,
    real_families: Families | None = None,
) -> list[Score]:
    """AUC and accuracy on held-out images of a real-vs-synthetic classifier; ½ is chance, 1 is always told apart.

    ``real`` (N, D) of families ``real_families`` (N,), ``synthetic`` (M, D). Of F families and M synthetic
    images min(F, M) are drawn, one image of a family. The p-value of both figures' test, "the two sets come
    from one distribution", stands in their settings. Intervals are DeLong's (1988) and Wilson's, widened for
    cross-validation. Undefined under ten families or synthetic images.
    """
    family = families_of(real, real_families)
    families = len(np.unique(family))
    size = min(families, len(synthetic), settings.limit)
    counts = {"real": len(real), "synthetic": len(synthetic)}
    if size < FEWEST:
        reason = f"the test needs at least {FEWEST} images on each side; got {len(real)} and {len(synthetic)}"
        if families < min(FEWEST, len(real)):
            reason = f"the test needs at least {FEWEST} families of real images; got {len(real)} images of {families}"
        return [
            Score(name, None, False, counts, undefined_because=reason, extractor=extractor) for name in (AUC, ACCURACY)
        ]
    draw = rng.child("detectability").numpy()
    rows = [
        as_features(real[drawn_rows(family, size, draw)], "real"),
        as_features(synthetic[drawn_rows(np.arange(len(synthetic)), size, draw)], "synthetic"),
    ]
    design = design_of(np.concatenate(rows), fourier_features=settings.fourier_features, draw=draw)
    labellings = Labellings.of(size, folds=settings.folds, permutations=settings.permutations, draw=draw)
    return scores_of(held_out(design, labellings, ridge=settings.ridge), size, counts, settings, extractor)


def scores_of(
    found: HeldOut, size: int, counts: Mapping[str, int], settings: Detectability, extractor: str | None
) -> list[Score]:
    """Both scores of a classifier that was judged on ``size`` held-out images of each side."""
    shared: dict[str, str | int | float] = {
        "n_each": size,
        "p_value": found.p_value,
        "folds": settings.folds,
        "permutations": settings.permutations,
        "classifier": f"ridge on features and {settings.fourier_features} random Fourier features",
        "interval": "DeLong and Wilson, widened for cross-validation",
        "floor": "chance",
    }
    return [
        Score(name, figure, False, counts, interval=interval, extractor=extractor, floor=0.5, settings=shared)
        for name, figure, interval in (
            (AUC, found.auc, found.auc_interval),
            (ACCURACY, found.accuracy, found.accuracy_interval),
        )
    ]
