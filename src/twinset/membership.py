"""Do the members score higher than the non-members? The statistics under the copy test and its attacks.

All tests are one-sided (members higher) and compare within strata only, so that another mix of classes in
the holdout set is not mistaken for a leak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Labels = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Strata:
    """Which members (N,) and non-members (K,) may be compared: those of equal label.

    A label that only one side has is pooled with the others of its kind; if that leaves a side alone, all are one.
    """

    members: NDArray[np.int64]
    others: NDArray[np.int64]

    @staticmethod
    def of(members: Labels, others: Labels) -> Strata:
        """Strata of class labels, −1 for unlabelled."""
        shared = np.intersect1d(members, others)
        a = np.where(np.isin(members, shared), members, -2).astype(np.int64)
        b = np.where(np.isin(others, shared), others, -2).astype(np.int64)
        if ((a == -2).any()) != ((b == -2).any()):
            a, b = np.zeros_like(a), np.zeros_like(b)
        return Strata(a, b)

    @staticmethod
    def single(members: int, others: int) -> Strata:
        """One stratum of everything."""
        return Strata(np.zeros(members, dtype=np.int64), np.zeros(others, dtype=np.int64))

    def pairs(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows of the members and of the others, per stratum."""
        labels = np.unique(self.members)
        return [(np.flatnonzero(self.members == c), np.flatnonzero(self.others == c)) for c in labels]

    def member_share(self) -> tuple[Scores, Scores]:
        """The share of members in the stratum of every member (N,) and of every other (K,)."""
        first, second = np.empty(len(self.members)), np.empty(len(self.others))
        for a, b in self.pairs():
            first[a] = second[b] = len(a) / (len(a) + len(b))
        return first, second


@dataclass(frozen=True)
class Placement:
    """Result of a comparison: ``p_value`` (one-sided), and ``auc``, the chance that a member outscores another."""

    p_value: float
    auc: float


def placement_test(members: Scores, others: Scores, strata: Strata) -> Placement:
    """The stratified Wilcoxon test (van Elteren 1960): rank sums per stratum, weighted by 1 / (n + 1).

    ``members`` (N,), ``others`` (K,). Normal approximation, variance corrected for ties. Exact in the limit
    when members and others are exchangeable within strata.

    >>> placement_test(np.array([1.0, 2.0]), np.array([1.0, 2.0]), Strata.single(2, 2)).p_value
    0.5
    """
    statistic, auc, _, _ = _placements(members, others, strata)
    return _placement(statistic, _null_variance(members, others, strata), auc)


def _placement(statistic: float, variance: float, auc: float) -> Placement:
    from scipy.stats import norm

    return Placement(float(norm.sf(statistic / np.sqrt(variance))) if variance > 0 else 0.5, auc)


@dataclass(frozen=True)
class PlacedAuc:
    """The chance that a member outscores another of its stratum, its standard error, and a one-sided p-value of ½."""

    auc: float
    standard_error: float
    p_value: float


def placement_auc(members: Scores, others: Scores, strata: Strata) -> PlacedAuc:
    """AUC of ``members`` (N,) over ``others`` (K,) within strata, weighed as in :func:`placement_test`.

    The error is DeLong's (DeLong, DeLong and Clarke-Pearson 1988), the test the one above. What is alone on its side of
    a stratum shows no spread: it counts with the largest that shares of this mean can have.

    >>> round(placement_auc(np.array([2.0, 3.0]), np.array([1.0, 2.5]), Strata.single(2, 2)).auc, 3)
    0.75
    """
    statistic, auc, first, second = _placements(members, others, strata)
    pairs = sum(len(rows) * len(those) / (len(rows) + len(those) + 1) for rows, those in strata.pairs())
    variance = 0.0
    for rows, those in strata.pairs():
        weight = 1 / (len(rows) + len(those) + 1)
        for influence, other in ((first[rows], len(those)), (second[those], len(rows))):
            n = len(influence)
            alone = (weight * other) ** 2 * auc * (1 - auc)
            variance += float((influence**2).sum()) * n / (n - 1) / pairs**2 if n > 1 else alone / pairs**2
    return PlacedAuc(auc, variance**0.5, _placement(statistic, _null_variance(members, others, strata), auc).p_value)


def _null_variance(members: Scores, others: Scores, strata: Strata) -> float:
    variance = 0.0
    for rows, other_rows in strata.pairs():
        ties = np.unique(np.concatenate([members[rows], others[other_rows]]), return_counts=True)[1].astype(float)
        n, m = len(rows), len(other_rows)
        total = n + m
        variance += n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1))) / (total + 1) ** 2
    return variance


def robust_test(members: Scores, others: Scores, strata: Strata, *, links: Links) -> Placement:
    """As :func:`placement_test` for scores that share ingredients: images with a common neighbour count as linked.

    The variance is that of the statistic's influence values, summed over all linked pairs (a cluster-robust
    "sandwich"), and never less than for independent scores under the null.
    """
    statistic, auc, first, second = _placements(members, others, strata)
    influence = np.concatenate([first, second])
    return _placement(statistic, max(_null_variance(members, others, strata), links.quadratic(influence)), auc)


@dataclass(frozen=True, eq=False)
class Links:
    """Which of N + K real images, members first, share an ingredient.

    ``member`` (N + K,) is the nearest member of each, ``synthetic`` (N + K,) its nearest synthetic image. Linked
    are images with the same entry in either, and a member with those whose nearest member it is.
    """

    member: NDArray[np.int64]
    synthetic: NDArray[np.int64]

    def quadratic(self, values: Scores) -> float:
        """Σ vᵢvⱼ over all linked pairs, i = j included."""
        both = np.unique(np.stack([self.member, self.synthetic]), axis=1, return_inverse=True)[1].ravel()
        groups = _grouped(self.member, values) + _grouped(self.synthetic, values) - _grouped(both, values)
        to = self.member
        known = (to == to[to]) | (self.synthetic == self.synthetic[to])
        mutual = to[to] == np.arange(len(to))
        edges = values * values[to] * np.where(mutual, 0.5, 1.0)
        return groups + 2 * float(edges[~known].sum())


def _grouped(labels: NDArray[np.int64], values: Scores) -> float:
    return float((np.bincount(labels, weights=values) ** 2).sum())


def _placements(members: Scores, others: Scores, strata: Strata) -> tuple[float, float, Scores, Scores]:
    """The weighted statistic (0 under the null), the weighted AUC, and each score's influence on the statistic."""
    statistic = wins = pairs = 0.0
    first, second = np.zeros(len(members)), np.zeros(len(others))
    for rows, other_rows in strata.pairs():
        a, b = members[rows], others[other_rows]
        weight = 1 / (len(a) + len(b) + 1)
        beats, beaten = _share_below(a, b), 1 - _share_below(b, a)
        auc = float(beats.mean())
        statistic += weight * len(a) * len(b) * (auc - 0.5)
        wins += weight * len(a) * len(b) * auc
        pairs += weight * len(a) * len(b)
        first[rows] = weight * len(b) * (beats - auc)
        second[other_rows] = weight * len(a) * (beaten - auc)
    return statistic, wins / pairs, first, second


def _share_below(values: Scores, others: Scores) -> Scores:
    """For each value, the share of others below it; equal ones count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    share: Scores = below / (2.0 * len(others))
    return share


def more_hits_than_chance(hit_shares: Scores, member_hits: int) -> float:
    """P[at least ``member_hits`` members among the hits], where hit i is a member with chance ``hit_shares[i]``.

    The exact upper tail of a Poisson-binomial law; 1 when nothing was hit.

    >>> more_hits_than_chance(np.full(3, 0.5), 3)
    0.125
    """
    law = np.ones(1)
    for share in hit_shares:
        law = np.convolve(law, [1 - share, share])
    return float(min(1.0, law[member_hits:].sum()))


def smallest_significant_hits(share: float, other_hits: int, *, alpha: float) -> int | None:
    """The least number of distinct members hit, beside ``other_hits``, that is significant; None if above 10,000."""
    from scipy.stats import binom

    counts = np.arange(10_001)
    significant = binom.sf(counts - 1, counts + other_hits, share) <= alpha
    return int(np.argmax(significant)) if significant.any() else None


def expected_log_minimum(
    sorted_distances: Scores, *, total: int | NDArray[np.int64], draws: int, floor: float
) -> Scores:
    """E[log of the least distance to ``draws`` images drawn from ``total`` (one number, or (N,)), exactly: (N,).

    ``sorted_distances`` (N, k) holds the k smallest of the ``total`` distances, ascending. Comparing two sets
    at one number of draws makes them comparable whatever their sizes. Distances count as at least ``floor``.
    """
    order = np.arange(sorted_distances.shape[1])
    taken = np.minimum(1.0, draws / (np.atleast_1d(total)[:, None] - order))
    weights = taken * np.cumprod(1 - np.pad(taken[:, :-1], ((0, 0), (1, 0))), axis=1)
    logs = np.log(np.maximum(sorted_distances, floor))
    expected: Scores = (weights * logs).sum(axis=1) / weights.sum(axis=1)
    return expected


def neighbours_needed(*, total: int, draws: int) -> int:
    """How many of ``total`` sorted distances carry all but e⁻⁸ of the weight in :func:`expected_log_minimum`."""
    return min(total, int(np.ceil(8 * total / draws)))
