"""CMMD: the squared maximum mean discrepancy of unit vectors under a wide Gaussian kernel.

Jayasumana et al. 2024, "Rethinking FID", eq. 6: k(x, y) = exp(−‖x − y‖²/(2σ²)), σ = 10, on CLIP embeddings of
norm 1, times 1,000. On unit vectors ‖x − y‖² = 2 − 2xᵀy, so k = exp((xᵀy − 1)/σ²).

We differ from the paper's code: pairs of an image with itself do not count, so the expectation is 0 for equal
laws at any N (the customary estimator keeps them, which adds about (1 − E k)(1/n + 1/m), +.18 at n = 50); the
interval is the jackknife's; and vectors are normalised here, whatever their norm.

With σ = 10 and distances ≤ 2 the kernel is all but linear: the figure is nearly 1000·‖E x − E y‖²/σ², the shift of
the mean alone. A generator that collapses onto few images around the right mean scores well. Read it beside
coverage and the Vendi score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.distances.kernel_sums import INTERVAL, KernelSums, kernel_sums
from twinset.evaluation.distances.kid import FEW
from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, as_features, blocks
from twinset.randomness import Stream
from twinset.scores import Interval, Score

NAME = "cmmd"
SIGMA = 10.0
SCALE = 1000.0
BLIND = (
    "CMMD sees hardly more than the mean of the features: a collapse that keeps the mean passes; see coverage, Vendi"
)
Array = NDArray[np.float64]


def gaussian_less_one(rows: Array, columns: Array) -> Array:
    """exp(−‖x − y‖²/(2σ²)) − 1 of the directions of rows (A, D) and columns (B, D), float64 (A, B), in [−.02, 0].

    The constant cancels in the discrepancy. Without it values near 1 would lose four digits in their difference.

    >>> gaussian_less_one(np.array([[3.0, 0.0]]), np.array([[5.0, 0.0], [-2.0, 0.0]])).round(6)
    array([[ 0.      , -0.019801]])
    """
    cosine: Array = unit(rows) @ unit(columns).T
    cosine -= 1.0
    cosine /= SIGMA**2
    return np.asarray(np.expm1(cosine, out=cosine))


def unit(rows: Array) -> Array:
    """Rows (A, D) divided by their norms, float64. Raises ``ValueError`` for a row of zeros, which has no direction."""
    # Divided by the largest entry first: the square of 1e-200 is 0, and that of 1e200 is infinite.
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        zeros = int((largest == 0).sum())
        raise ValueError(f"expected features with a direction; got {zeros} rows of zeros; drop these images")
    scaled = rows / largest
    return np.asarray(scaled / np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None])


def directionless(features: Features, what: str, *, block: int = 4096) -> int:
    """How many of (N, D) features are all zero, read in blocks."""
    return sum(int((~as_features(features[part], what).any(axis=1)).sum()) for part in blocks(len(features), block))


def cmmd(real: Features, synthetic: Features, *, extractor: str | None = None, block: int = 1024) -> Score:
    """CMMD of real (N, D) and synthetic (M, D) features with a 95 % interval, KID's; lower is better.

    About 0 for equal laws (a figure may be negative), at most 1000·(2 − 2e^−.02) ≈ 39.6. Undefined for fewer than three
    images on either side and where an image has features of zeros.

    >>> up, down = np.full((3, 1), 7.0), np.full((3, 1), -1.0)
    >>> round(float(cmmd(up, down).value), 4)
    39.6027
    """
    n, m = len(real), len(synthetic)
    if min(n, m) < 3:
        return _undefined(f"the jackknife needs at least 3 images on each side; got {n} and {m}", n, m, extractor)
    zeros = directionless(real, "real"), directionless(synthetic, "synthetic")
    if any(zeros):
        reason = f"{zeros[0]} real and {zeros[1]} synthetic images have features of zeros, which have no direction"
        return _undefined(reason, n, m, extractor)
    sums = _sums(real, synthetic, block)
    value, error = SCALE * sums.value, SCALE * sums.standard_error
    reach = sums.interval()
    few = (f"CMMD of {min(n, m)} images (fewer than {FEW}): wide interval",) if min(n, m) < FEW else ()
    return Score(
        NAME,
        value,
        False,
        {"real": n, "synthetic": m},
        interval=Interval(SCALE * reach.low, SCALE * reach.high),
        extractor=extractor,
        settings={
            "dimension": real.shape[1],
            "dtype": "float64",
            "kernel": "exp(-|x-y|^2 / 2 sigma^2) of unit vectors",
            "sigma": SIGMA,
            "scale": SCALE,
            "estimator": "unbiased, all pairs",
            "standard_error": error,
            "interval": INTERVAL,
        },
        warnings=(BLIND, *few),
    )


@dataclass(frozen=True)
class ClipDiscrepancy:
    """:func:`cmmd` as a metric. The paper's extractor is CLIP; with any other say which."""

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """One score, ``cmmd``."""
        return [cmmd(evidence.real, evidence.synthetic, extractor=evidence.extractor)]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The figure without its interval."""
        if min(len(real), len(synthetic)) < 2 or directionless(real, "real") or directionless(synthetic, "synthetic"):
            return {NAME: None}
        return {NAME: SCALE * _sums(real, synthetic, 1024).value}


def _sums(real: Features, synthetic: Features, block: int) -> KernelSums:
    return kernel_sums(real, synthetic, kernel=gaussian_less_one, block=block)


def _undefined(reason: str, n: int, m: int, extractor: str | None) -> Score:
    return Score(NAME, None, False, {"real": n, "synthetic": m}, undefined_because=reason, extractor=extractor)
