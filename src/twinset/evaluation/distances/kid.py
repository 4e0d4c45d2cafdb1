"""Kernel distance (KID): the unbiased squared maximum mean discrepancy under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs": k(x, y) = (xᵀy/D + 1)³ and

MMD² = Σ_{i≠j} k(xᵢ,xⱼ)/(n(n−1)) + Σ_{i≠j} k(yᵢ,yⱼ)/(m(m−1)) − 2 Σ k(xᵢ,yⱼ)/(nm).

We differ from the paper's code: all pairs count (the full U-statistic) instead of 100 random subsets, and
the standard error is the jackknife's; the customary standard deviation over subsets is not one. The
expectation is 0 for equal distributions at any N, so a single figure may be negative.

The interval and what it is worth: :mod:`twinset.evaluation.distances.kernel_sums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinset.evaluation.distances.kernel_sums import INTERVAL, Subsets, kernel_sums
from twinset.evaluation.protocol import FEATURES, Evidence, Families, Features, Halving, Need
from twinset.randomness import Stream
from twinset.scores import Score

NAME = "kernel_distance"
FEW = 1000
COVERAGE = ".83–.97 simulated (four laws, equal and apart, N = 100 and 1,000, D = 32)"
"""How often it held the expectation: ``benchmarks/interval_coverage.py``, 2,000 repetitions. The low end is a mode of
one in twenty that the synthetic side lost, at N = 100."""


def kernel_distance(
    real: Features,
    synthetic: Features,
    *,
    extractor: str | None = None,
    block: int = 512,
    families: tuple[Families | None, Families | None] = (None, None),
    subsets: Subsets | None = None,
) -> Score:
    """KID of real (N, D) and synthetic (M, D) features with a 95 % interval; lower is better.

    ``families`` (N,), (M,) say which images belong together, such as objects of one picture; None: none of that side.
    ``subsets`` of the images get their sums on the way.
    Undefined for fewer than three families (or images) on either side.
    """
    counts = {"real": len(real), "synthetic": len(synthetic)}
    grouped = any(each is not None for each in families)
    many = [
        len(each) if of is None else len(np.unique(of)) for each, of in zip((real, synthetic), families, strict=True)
    ]
    fewest, unit = min(many), "families" if grouped else "images"
    if fewest < 3:
        reason = f"the jackknife needs at least 3 {unit} on each side; got {many[0]} and {many[1]}"
        return Score(NAME, None, False, counts, undefined_because=reason, extractor=extractor)
    sums = kernel_sums(real, synthetic, block=block, families=families, subsets=subsets)
    return Score(
        NAME,
        sums.value,
        False,
        counts,
        interval=sums.interval(),
        extractor=extractor,
        settings={
            "dimension": real.shape[1],
            "dtype": "float64",
            "kernel": "(x·y/D + 1)^3",
            "estimator": "unbiased, all pairs" + (" of two families" if grouped else ""),
            "standard_error": sums.standard_error,
            "interval": INTERVAL,
            "interval_coverage": COVERAGE,
        },
        warnings=(f"kernel distance of {fewest} {unit} (fewer than {FEW}): wide interval",) if fewest < FEW else (),
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

    def measure_with_floor(
        self, evidence: Evidence, halvings: Sequence[Halving]
    ) -> tuple[list[Score], list[tuple[Mapping[str, float | None], Mapping[str, float | None]]]]:
        """The score, and the distance in every halving: the kernel of two images is computed once for all of them."""
        real, synthetic = evidence.real, evidence.synthetic
        rows = [each for one in halvings for each in (one.mine, one.other, len(real) + one.synthetic)]
        subsets = Subsets.of(rows, len(real) + len(synthetic))
        score = kernel_distance(real, synthetic, extractor=evidence.extractor, subsets=subsets if halvings else None)
        if score.value is None:
            return [score], []
        firsts = range(0, len(rows), 3)
        return [score], [
            ({NAME: subsets.value(mine, mine + 1)}, {NAME: subsets.value(mine, mine + 2)}) for mine in firsts
        ]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The distance without its interval."""
        return {NAME: kernel_sums(real, synthetic).value if min(len(real), len(synthetic)) >= 2 else None}
