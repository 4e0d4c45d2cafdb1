"""The copy test: is a synthetic set nearer to its training images than to held-out ones of the same kind?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import HIT_RATIO, SAME_RATIO, Pictures, nearest_outside
from twinset.distances import Distances
from twinset.distinct import NOTHING, Distinct, Known
from twinset.families import one_of_each
from twinset.membership import (
    Links,
    Placement,
    Scores,
    expected_log_minimum,
    more_hits_than_chance,
    neighbours_needed,
    placement_test,
    robust_test,
    smallest_significant_hits,
)

__all__ = ["NOTHING", "CopyPair", "CopyTest", "Known", "copy_test", "copy_test_of"]


@dataclass(frozen=True)
class CopyPair:
    """A synthetic image and the training image it is suspiciously near to (rows), their distance and its ratio.

    ``held_out_too``: that training image is among the held-out ones as well.
    """

    synthetic: int
    training: int
    distance: float
    ratio: float
    held_out_too: bool = False


@dataclass(frozen=True)
class CopyTest:
    """Verdict of :func:`copy_test`.

    ``flagged`` when the joint, Bonferroni-corrected ``p_value`` is below ``alpha``. ``p_values`` holds those of
    the single tests. ``membership_auc`` is the chance that a training image is nearer to the synthetic set
    than a held-out one (.5 is chance; the lesser of the plain and the density-corrected form).
    ``training_hits`` and ``holdout_hits`` count *distinct* real images hit, those of one family once;
    ``training_share`` and ``holdout_share`` are the shares of synthetic images that hit one. ``counts`` are the
    distinct images compared, and as ``repeats`` the held-out images that were left out because they are training
    images.
    ``held_out`` are the synthetic images that hit a held-out one, by row, with their d₁/d₂.
    ``smallest_detectable`` is the number of distinct training images hit that would have been flagged.
    """

    flagged: bool
    p_value: float
    p_values: Mapping[str, float]
    alpha: float
    membership_auc: float
    training_hits: int
    holdout_hits: int
    training_share: float
    holdout_share: float
    pairs: tuple[CopyPair, ...]
    held_out: Mapping[int, float]
    counts: Mapping[str, int]
    smallest_detectable: int | None

    @property
    def same_as_holdout(self) -> int:
        """How many synthetic images are a held-out one (d₁/d₂ < .05): no generator that never saw it makes it."""
        return sum(ratio < SAME_RATIO for ratio in self.held_out.values())

    @property
    def finding(self) -> str:
        """The result in one sentence that claims no more than was tested."""
        hits = f"{self.training_hits} training and {self.holdout_hits} held-out images hit"
        if self.flagged:
            return f"copying detected (p = {self.p_value:.2g}; {hits}; membership AUC {self.membership_auc:.2f})"
        least = "no number of" if self.smallest_detectable is None else f"{self.smallest_detectable} or more"
        return f"no copying detected ({hits}); {least} copied training images would have been noticed"


def copy_test(
    synthetic: Pictures,
    training: Pictures,
    holdout: Pictures,
    *,
    alpha: float = 0.01,
    reference: Pictures | None = None,
    of_training: Known = NOTHING,
    of_holdout: Known = NOTHING,
) -> CopyTest:
    """Whether the synthetic set is nearer to its training images than to held-out ones of the same kind.

    All sets are images, uint8 (·, H, W, C), compared under flips and shifts (:func:`nearest_copies`), or all are
    feature rows, float (·, D), of an embedder fitted on neither training nor holdout. Joint test (Bonferroni) of

    - ``gan_leaks`` (Chen et al. 2020): is the nearest synthetic image nearer to training than to holdout images?
      Van Elteren's test, within classes. A holdout set that is merely *harder* would fail it, so the same must
      hold of log d(x, training without x) − log d(x, synthetic), at equal set sizes: the larger p-value counts.
    - ``gan_leaks_calibrated``, given ``reference`` (other real images): the same with d(x, reference) for density.
    - ``distinct_hits``: of the distinct real images hit at a ratio d₁/d₂ < .5, are more in training than chance
      allows? This finds a handful of verbatim copies that the others average away.

    Real images in several files (also across training and holdout: those count as training) are first reduced to
    one each, so a training image that is copied *because* it was duplicated is still found. Images of one family
    count together, by their mean; their relatives do not count as density or as d₂; and held-out images of a training
    family are left out. Scaling all distances changes nothing.

    Raises ``ValueError`` for fewer than 2 training or 1 held-out images, or classes or families of one side only, and
    :class:`DataError` if so few distinct images, or families, are left.
    """
    real = Distinct.of(training, holdout, of_training, of_holdout, distances=Distances())
    return copy_test_of(real, synthetic, alpha=alpha, reference=reference, distances=real.distances)


def copy_test_of(
    distinct: Distinct, synthetic: Pictures, *, alpha: float, reference: Pictures | None, distances: Distances
) -> CopyTest:
    """:func:`copy_test` of real images that are known already; ``distances``: those of them, or beside them."""
    if not 0 < alpha < 1:
        raise ValueError(f"expected 0 < alpha < 1; got {alpha}")
    real = _Real(distinct, distances)
    p_values, auc = _membership(real, synthetic, reference)
    hits = _hits(real, synthetic)
    shares = np.concatenate(distinct.strata.member_share())
    hit_units = np.unique(distinct.units[hits.rows[hits.found]])
    members, others = int((hit_units < distinct.unit_count).sum()), int((hit_units >= distinct.unit_count).sum())
    p_values["distinct_hits"] = more_hits_than_chance(shares[hit_units], members)
    joint = min(1.0, len(p_values) * min(p_values.values()))
    count, other_count = distinct.count, len(distinct.pictures) - distinct.count
    ratios = _ratio(hits.distances, hits.seconds)
    return CopyTest(
        flagged=joint < alpha,
        p_value=joint,
        p_values=p_values,
        alpha=alpha,
        membership_auc=auc,
        training_hits=members,
        holdout_hits=others,
        training_share=float((hits.found & (hits.rows < count)).mean()),
        holdout_share=float((hits.found & (hits.rows >= count)).mean()),
        pairs=_pairs(hits, real, synthetic),
        held_out={int(row): float(ratios[row]) for row in np.flatnonzero(hits.found & (hits.rows >= count))},
        counts={"training": count, "holdout": other_count, "synthetic": len(synthetic), "repeats": distinct.repeats},
        smallest_detectable=smallest_significant_hits(
            distinct.unit_count / len(shares), others, alpha=alpha / len(p_values)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Real:
    """The distinct real images, and the tests between them and other sets."""

    distinct: Distinct
    distances: Distances

    def log_nearness(self, others: Pictures, *, draws: int) -> _Nearness:
        """How near each real image is to ``others``, were there ``draws`` of them."""
        real, k = self.distinct, neighbours_needed(total=len(others), draws=draws)
        distances, rows = self.distances.nearest(real.pictures, others, k=k)
        expected = expected_log_minimum(distances, total=len(others), draws=draws, floor=0.02 * real.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def log_density(self, *, draws: int) -> _Nearness:
        """How near each real image is to training images of other families.

        A held-out image has no family there: one of its class is left out in its place, so that both sides see
        equally much.
        """
        real = self.distinct
        training = real.units[: real.count]
        own = real.stand_in()[real.units]
        total = real.count - np.bincount(training)[own]
        k = min(neighbours_needed(total=int(total.max()), draws=draws), real.count - real.widest)
        distances, rows = nearest_outside(
            real.pictures, real.members, k=k, groups=training, own=own, search=self.distances.nearest
        )
        expected = expected_log_minimum(distances, total=total, draws=draws, floor=0.02 * real.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def by_unit(self, scores: Scores) -> Scores:
        """The mean score of every unit."""
        mean: Scores = np.bincount(self.distinct.units, weights=scores) / np.bincount(self.distinct.units)
        return mean

    def compare(self, scores: Scores) -> Placement:
        """Do training units score higher than held-out ones?"""
        scores, count = self.by_unit(scores), self.distinct.unit_count
        return placement_test(scores[:count], scores[count:], self.distinct.strata)

    def compare_linked(self, scores: Scores, made: _Nearness, dense: _Nearness) -> Placement:
        """The same for scores that share ingredients; a unit's are those of its image nearest to a synthetic one."""
        units = self.distinct.units
        first = one_of_each(units, np.lexsort((made.least, units)))
        links = Links(member=units[dense.rows[first]], synthetic=made.rows[first])
        scores, count = self.by_unit(scores), self.distinct.unit_count
        return robust_test(scores[:count], scores[count:], self.distinct.strata, links=links)


@dataclass(frozen=True, eq=False)
class _Nearness:
    """Of every real image: the expected log distance, the least distance, and to which row it leads."""

    log: Scores
    least: Scores
    rows: NDArray[np.int64]


def _membership(real: _Real, synthetic: Pictures, reference: Pictures | None) -> tuple[dict[str, float], float]:
    """p-values of the nearest-synthetic-image tests, and the membership AUC."""
    draws = min(len(synthetic), real.distinct.count - real.distinct.widest)
    fewest = draws if reference is None else min(draws, len(synthetic), len(reference))
    # Searched once, for the test that looks at most neighbours, and for the hits.
    k, back = neighbours_needed(total=len(synthetic), draws=fewest), 1 + real.distinct.widest
    real.distances.search_both(real.distinct.pictures, synthetic, k=k, k_back=back)
    real.distances.nearest(real.distinct.pictures, synthetic, k=k)
    made, dense = real.log_nearness(synthetic, draws=draws), real.log_density(draws=draws)
    plain = real.compare(-made.least)
    corrected = real.compare_linked(dense.log - made.log, made, dense)
    p_values = {"gan_leaks": max(plain.p_value, corrected.p_value)}
    if reference is not None:
        draws = min(len(synthetic), len(reference))
        known = real.log_nearness(reference, draws=draws).log
        calibrated = real.compare(known - real.log_nearness(synthetic, draws=draws).log)
        p_values["gan_leaks_calibrated"] = max(calibrated.p_value, corrected.p_value)
    return p_values, min(plain.auc, corrected.auc)


@dataclass(frozen=True, eq=False)
class _Hits:
    """Of every synthetic image: the nearest distinct real image, its distance, and that of the next family."""

    rows: NDArray[np.int64]
    distances: Scores
    seconds: Scores

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether the ratio of the two is that of a copy."""
        return _ratio(self.distances, self.seconds) < HIT_RATIO


def _ratio(first: Scores, second: Scores) -> Scores:
    ratio: Scores = first / np.maximum(second, np.finfo(float).tiny)
    return ratio


def _hits(real: _Real, synthetic: Pictures) -> _Hits:
    known, units = real.distinct.pictures, real.distinct.units
    widest = int(np.bincount(units).max())
    distances, rows = real.distances.nearest(synthetic, known, k=min(1 + widest, len(known)))
    own = units[rows[:, 0]]
    seconds, _ = nearest_outside(synthetic, known, k=1, groups=units, own=own, search=real.distances.nearest)
    return _Hits(rows[:, 0], distances[:, 0], seconds[:, 0])


def _pairs(hits: _Hits, real: _Real, synthetic: Pictures) -> tuple[CopyPair, ...]:
    """Synthetic images with the training file they come suspiciously near to, closest first.

    Here every file counts, not one for all of its duplicates; d₂ is the distance to a real image of another family.
    """
    known = real.distinct
    nearest_distances, nearest_rows = real.distances.nearest(synthetic, known.training, k=1)
    distances, rows = nearest_distances[:, 0], nearest_rows[:, 0]
    related = known.units[hits.rows] == known.units[known.stands_for[rows]]
    ratios = _ratio(distances, np.where(related, hits.seconds, hits.distances))
    suspects = np.flatnonzero(ratios < HIT_RATIO)
    suspects = suspects[np.lexsort((suspects, distances[suspects], ratios[suspects]))]
    return tuple(
        CopyPair(int(s), int(rows[s]), float(distances[s]), float(ratios[s]), bool(known.held_out_too[rows[s]]))
        for s in suspects
    )
