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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import (
    FEATURES,
    Evidence,
    Families,
    Features,
    Need,
    as_features,
    families_of,
    wilson_interval,
)
from twinset.randomness import Stream
from twinset.scores import Interval, Score

AUC = "detectability_auc"
ACCURACY = "detectability_accuracy"
FEWEST = 10
Array = NDArray[np.float64]


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
        as_features(real[_drawn(family, size, draw)], "real"),
        as_features(synthetic[_drawn(np.arange(len(synthetic)), size, draw)], "synthetic"),
    ]
    design = _design(np.concatenate(rows), settings.fourier_features, draw)
    fold = np.concatenate([draw.permutation(np.arange(size) % settings.folds) for _ in range(2)])
    labels = _labellings(size, fold, settings, draw)
    held_out = _held_out_scores(design, labels, fold, settings)
    return _scores(held_out, labels, fold, counts, size, settings, extractor)


def _drawn(family: NDArray[np.int64], size: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """``size`` random rows of ``family`` (N,), ascending, no two of one family: a row is drawn, its family leaves."""
    order = draw.permutation(len(family))
    first = np.sort(np.unique(family[order], return_index=True)[1])[:size]
    return np.sort(order[first])


def _design(pooled: Array, fourier: int, draw: np.random.Generator) -> Array:
    """Columns of the classifier: standardised features and Fourier features, each block of unit mean square norm."""
    scale = pooled.std(axis=0)
    kept = scale > 1e-12 * max(float(scale.max(initial=0.0)), 1e-300)
    standard = (pooled[:, kept] - pooled[:, kept].mean(axis=0)) / scale[kept]
    parts = [np.ones((len(pooled), 1))]
    if standard.shape[1]:
        parts.append(standard / np.sqrt(standard.shape[1]))
    if standard.shape[1] and fourier:
        one, other = draw.integers(len(pooled), size=(2, 2000))
        distances = np.linalg.norm(standard[one] - standard[other], axis=1)
        bandwidth = float(np.median(distances[one != other]))
        frequencies = draw.normal(size=(standard.shape[1], fourier)) / max(bandwidth, 1e-12)
        waves = np.sqrt(2.0 / fourier) * np.cos(standard @ frequencies + draw.uniform(0, 2 * np.pi, fourier))
        parts.append(waves - waves.mean(axis=0))
    return np.concatenate(parts, axis=1)


def _labellings(size: int, fold: NDArray[np.int64], settings: Detectability, draw: np.random.Generator) -> Array:
    """±1 (2·size, 1 + permutations): the true labelling first (synthetic +1), then permutations within folds."""
    truth = np.repeat([-1.0, 1.0], size)
    labels = np.repeat(truth[:, None], settings.permutations + 1, axis=1)
    for number in range(settings.folds):
        members = np.flatnonzero(fold == number)
        labels[members, 1:] = draw.permuted(labels[members, 1:], axis=0)
    return labels


def _held_out_scores(design: Array, labels: Array, fold: NDArray[np.int64], settings: Detectability) -> Array:
    """Predictions (2·size, 1 + permutations), each by the classifier that did not see its fold."""
    from scipy.linalg import cho_factor, cho_solve

    scores = np.empty_like(labels)
    for number in range(settings.folds):
        seen, held_out = fold != number, fold == number
        train = design[seen]
        penalty = np.full(design.shape[1], settings.ridge * len(train))
        penalty[0] = 1e-9 * len(train)  # the intercept goes free
        factor = cho_factor(train.T @ train + np.diag(penalty), lower=True)
        scores[held_out] = design[held_out] @ cho_solve(factor, train.T @ labels[seen])
    return scores


def _placements(scores: Array, labels: Array) -> tuple[Array, Array]:
    """For one fold, per labelling: AUC (P,), and for the first labelling the placement of every image (n,).

    The placement of an image is the share of the other class that it is ranked right of, ties counting ½;
    the AUC is the mean placement of either class.
    """
    from scipy.stats import rankdata

    positive = labels > 0
    ones, zeros = int(positive[:, 0].sum()), int((~positive[:, 0]).sum())
    ranks = rankdata(scores, axis=0)
    auc = ((ranks * positive).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros)
    first, truth = ranks[:, 0], positive[:, 0]
    placement = np.empty(len(first))
    placement[truth] = (first[truth] - rankdata(scores[truth, 0])) / zeros
    placement[~truth] = 1 - (first[~truth] - rankdata(scores[~truth, 0])) / ones
    return np.asarray(auc), placement


def _scores(
    held_out: Array,
    labels: Array,
    fold: NDArray[np.int64],
    counts: dict[str, int],
    size: int,
    settings: Detectability,
    extractor: str | None,
) -> list[Score]:
    parts = [_placements(held_out[fold == number], labels[fold == number]) for number in range(settings.folds)]
    aucs = np.mean([auc for auc, _ in parts], axis=0)
    value = float(aucs[0])
    p_value = float((1 + (aucs[1:] >= value - 1e-12).sum()) / (1 + settings.permutations))
    placement = np.concatenate([each for _, each in parts])
    truth = np.concatenate([labels[fold == number, 0] for number in range(settings.folds)]) > 0
    # Folds share training images, so held-out figures scatter more than independent ones would. By how much
    # shows on the permuted labellings, where the independent variance is known: (2n + 1) / 12n².
    widening = max(1.0, float(aucs[1:].std(ddof=1)) / np.sqrt((2 * size + 1) / (12 * size**2)))
    error = widening * float(np.sqrt((placement[truth].var(ddof=1) + placement[~truth].var(ddof=1)) / size))
    right = float(((held_out[:, 0] > 0) == (labels[:, 0] > 0)).mean())
    independent = 2 * size / widening**2
    shared: dict[str, str | int | float] = {
        "n_each": size,
        "p_value": p_value,
        "folds": settings.folds,
        "permutations": settings.permutations,
        "classifier": f"ridge on features and {settings.fourier_features} random Fourier features",
        "interval": "DeLong and Wilson, widened for cross-validation",
        "floor": "chance",
    }
    return [
        Score(
            name,
            figure,
            False,
            counts,
            interval=Interval(min(low, figure), max(high, figure)),
            extractor=extractor,
            floor=0.5,
            settings=shared,
        )
        for name, figure, (low, high) in (
            (AUC, value, (max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error))),
            (ACCURACY, right, wilson_interval(right * independent, independent)),
        )
    ]
