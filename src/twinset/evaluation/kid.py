"""Kernel distance (KID): the unbiased squared maximum mean discrepancy under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs": k(x, y) = (xᵀy/D + 1)³ and

MMD² = Σ_{i≠j} k(xᵢ,xⱼ)/(n(n−1)) + Σ_{i≠j} k(yᵢ,yⱼ)/(m(m−1)) − 2 Σ k(xᵢ,yⱼ)/(nm).

We differ from the paper's code: all pairs count (the full U-statistic) instead of 100 random subsets, and
the standard error is the jackknife's; the customary standard deviation over subsets is not one. The
expectation is 0 for equal distributions at any N, so a single figure may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, as_features, blocks
from twinset.randomness import Stream
from twinset.scores import Interval, Score

NAME = "kernel_distance"
FEW = 1000
Array = NDArray[np.float64]
Kernel = Callable[[Array, Array], Array]
"""A kernel on blocks: vectors float64 (A, D) and (B, D) in, values float64 (A, B) out; symmetric, written anew."""


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Sums of k over partners, one per image: ``within`` its own set without itself, ``across`` the other set."""

    within_real: Array
    within_synthetic: Array
    across_real: Array
    across_synthetic: Array

    @property
    def value(self) -> float:
        """MMD², unbiased."""
        n, m = len(self.within_real), len(self.within_synthetic)
        within = self.within_real.sum() / (n * (n - 1)) + self.within_synthetic.sum() / (m * (m - 1))
        return float(within - 2 * self.across_real.sum() / (n * m))

    @property
    def standard_error(self) -> float:
        """Jackknife standard error: each image left out once, on either side, in closed form."""
        left_out = (
            self._without(self.within_real, self.across_real, self.within_synthetic),
            self._without(self.within_synthetic, self.across_synthetic, self.within_real),
        )
        return float(np.sqrt(sum((len(v) - 1) / len(v) * ((v - v.mean()) ** 2).sum() for v in left_out)))

    @staticmethod
    def _without(within: Array, across: Array, other: Array) -> Array:
        n, m = len(within), len(other)
        mine = (within.sum() - 2 * within) / ((n - 1) * (n - 2))
        return np.asarray(mine + other.sum() / (m * (m - 1)) - 2 * (across.sum() - across) / ((n - 1) * m))


def cubic(rows: Array, columns: Array) -> Array:
    """(xᵀy/D + 1)³ of rows (A, D) and columns (B, D), float64 (A, B).

    >>> cubic(np.array([[1.0, 1.0]]), np.array([[2.0, 0.0], [-2.0, 0.0]]))
    array([[8., 0.]])
    """
    kernel: Array = rows @ columns.T
    kernel /= rows.shape[1]
    kernel += 1.0
    return np.asarray(kernel * kernel * kernel)


def kernel_sums(real: Features, synthetic: Features, *, kernel: Kernel = cubic, block: int = 1024) -> KernelSums:
    """All sums behind the distance of (N, D) and (M, D), in blocks of ``block`` × ``block`` kernel values, float64."""
    across_real, across_synthetic = np.zeros(len(real)), np.zeros(len(synthetic))
    for mine in blocks(len(real), block):
        rows = as_features(real[mine], "real")
        for theirs in blocks(len(synthetic), block):
            values = kernel(rows, as_features(synthetic[theirs], "synthetic"))
            across_real[mine] += values.sum(axis=1)
            across_synthetic[theirs] += values.sum(axis=0)
    within = [_within(each, what, kernel, block) for each, what in ((real, "real"), (synthetic, "synthetic"))]
    return KernelSums(within[0], within[1], across_real, across_synthetic)


def kernel_distance(real: Features, synthetic: Features, *, extractor: str | None = None, block: int = 1024) -> Score:
    """KID of real (N, D) and synthetic (M, D) features with a 95 % jackknife interval; lower is better.

    Undefined for fewer than three images on either side.
    """
    counts = {"real": len(real), "synthetic": len(synthetic)}
    fewest = min(counts.values())
    if fewest < 3:
        reason = f"the jackknife needs at least 3 images on each side; got {counts['real']} and {counts['synthetic']}"
        return Score(NAME, None, False, counts, undefined_because=reason, extractor=extractor)
    sums = kernel_sums(real, synthetic, block=block)
    value, error = sums.value, sums.standard_error
    return Score(
        NAME,
        value,
        False,
        counts,
        interval=Interval(value - 1.96 * error, value + 1.96 * error),
        extractor=extractor,
        settings={
            "dimension": real.shape[1],
            "dtype": "float64",
            "kernel": "(x·y/D + 1)^3",
            "estimator": "unbiased, all pairs",
            "standard_error": error,
            "interval": "jackknife",
        },
        warnings=(f"kernel distance of {fewest} images (fewer than {FEW}): wide interval",) if fewest < FEW else (),
    )


@dataclass(frozen=True)
class KernelDistance:
    """:func:`kernel_distance` as a metric."""

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """One score, ``kernel_distance``."""
        return [kernel_distance(evidence.real, evidence.synthetic, extractor=evidence.extractor)]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The distance without its interval."""
        return {NAME: kernel_sums(real, synthetic).value if min(len(real), len(synthetic)) >= 2 else None}


def _within(features: Features, what: str, kernel: Kernel, block: int) -> Array:
    """Σ_{j≠i} k(xᵢ, xⱼ) for every i; each off-diagonal block is computed once and used for both its sides."""
    sums = np.zeros(len(features))
    for mine in blocks(len(features), block):
        rows = as_features(features[mine], what)
        diagonal = kernel(rows, rows)
        np.fill_diagonal(diagonal, 0.0)
        sums[mine] += diagonal.sum(axis=1)
        for theirs in blocks(len(features), block):
            if theirs.start > mine.start:
                values = kernel(rows, as_features(features[theirs], what))
                sums[mine] += values.sum(axis=1)
                sums[theirs] += values.sum(axis=0)
    return sums
