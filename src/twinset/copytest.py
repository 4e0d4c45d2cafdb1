"""The copy test: is a synthetic set nearer to its training images than to held-out ones of the same kind?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import (
    DUPLICATE_SHARE,
    HIT_RATIO,
    SAME_RATIO,
    Pictures,
    duplicate_families,
    nearest_outside,
    nearest_pictures,
    usual_distance,
)
from twinset.errors import DataError
from twinset.families import one_of_each
from twinset.membership import (
    Labels,
    Links,
    Placement,
    Scores,
    Strata,
    expected_log_minimum,
    more_hits_than_chance,
    neighbours_needed,
    placement_test,
    robust_test,
    smallest_significant_hits,
)


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of real images beside their pixels, all (N,) or None.

    ``classes`` are compared with their own kind only. ``families`` are equal for images of one patient, video or
    burst: such images are no independent witnesses, and each has relatives where it is and none on the other side.
    """

    classes: Labels | None = None
    families: Labels | None = None


NOTHING = Known()


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
    ``same_as_holdout`` counts synthetic images that are a held-out one (d₁/d₂ < .05): no generator that never saw it
    makes it. ``smallest_detectable`` is the number of distinct training images hit that would have been flagged.
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
    same_as_holdout: int
    counts: Mapping[str, int]
    smallest_detectable: int | None

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
    if not 0 < alpha < 1:
        raise ValueError(f"expected 0 < alpha < 1; got {alpha}")
    real = _distinct(training, holdout, of_training, of_holdout)
    p_values, auc = _membership(real, synthetic, reference)
    hits = _hits(real, synthetic)
    shares = np.concatenate(real.strata.member_share())
    hit_units = np.unique(real.units[hits.rows[hits.found]])
    members, others = int((hit_units < real.unit_count).sum()), int((hit_units >= real.unit_count).sum())
    p_values["distinct_hits"] = more_hits_than_chance(shares[hit_units], members)
    joint = min(1.0, len(p_values) * min(p_values.values()))
    count, other_count = real.count, len(real.pictures) - real.count
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
        same_as_holdout=int(((hits.rows >= count) & (_ratio(hits.distances, hits.seconds) < SAME_RATIO)).sum()),
        counts={"training": count, "holdout": other_count, "synthetic": len(synthetic), "repeats": real.repeats},
        smallest_detectable=smallest_significant_hits(
            real.unit_count / len(shares), others, alpha=alpha / len(p_values)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Real:
    """Distinct real images, training first; ``units`` numbers their families, those of training first.

    Beside them all training images with the row of the distinct image that stands for each and whether it is held out
    too, which units are compared with which, how near held-out images usually are to training images, and how many
    held-out images were left out because they are training images.
    """

    pictures: Pictures
    count: int
    units: NDArray[np.int64]
    unit_count: int
    strata: Strata
    training: Pictures
    stands_for: NDArray[np.int64]
    held_out_too: NDArray[np.bool_]
    typical: float
    repeats: int

    @property
    def widest(self) -> int:
        """Images of the largest training family."""
        return int(np.bincount(self.units[: self.count]).max())

    def log_nearness(self, others: Pictures, *, draws: int) -> _Nearness:
        """How near each real image is to ``others``, were there ``draws`` of them."""
        k = neighbours_needed(total=len(others), draws=draws)
        distances, rows = nearest_pictures(self.pictures, others, k=k)
        expected = expected_log_minimum(distances, total=len(others), draws=draws, floor=0.02 * self.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def log_density(self, *, draws: int) -> _Nearness:
        """How near each real image is to training images of other families.

        A held-out image has no family there: one of its class is left out in its place, so that both sides see
        equally much.
        """
        training = self.units[: self.count]
        own = self.stand_in()[self.units]
        total = self.count - np.bincount(training)[own]
        k = min(neighbours_needed(total=int(total.max()), draws=draws), self.count - self.widest)
        distances, rows = nearest_outside(self.pictures, self.pictures[: self.count], k=k, groups=training, own=own)
        expected = expected_log_minimum(distances, total=total, draws=draws, floor=0.02 * self.typical)
        return _Nearness(expected, distances[:, 0], rows[:, 0])

    def stand_in(self) -> NDArray[np.int64]:
        """The training unit that does not count for each unit: itself, or for held-out ones some of their class."""
        members = np.arange(self.unit_count)
        others = np.empty(len(self.strata.others), dtype=np.int64)
        for own, rows in self.strata.pairs():
            others[rows] = own[np.arange(len(rows)) % len(own)]
        return np.concatenate([members, others])

    def by_unit(self, scores: Scores) -> Scores:
        """The mean score of every unit."""
        mean: Scores = np.bincount(self.units, weights=scores) / np.bincount(self.units)
        return mean

    def compare(self, scores: Scores) -> Placement:
        """Do training units score higher than held-out ones?"""
        scores = self.by_unit(scores)
        return placement_test(scores[: self.unit_count], scores[self.unit_count :], self.strata)

    def compare_linked(self, scores: Scores, made: _Nearness, dense: _Nearness) -> Placement:
        """The same for scores that share ingredients; a unit's are those of its image nearest to a synthetic one."""
        first = one_of_each(self.units, np.lexsort((made.least, self.units)))
        links = Links(member=self.units[dense.rows[first]], synthetic=made.rows[first])
        scores = self.by_unit(scores)
        return robust_test(scores[: self.unit_count], scores[self.unit_count :], self.strata, links=links)


@dataclass(frozen=True, eq=False)
class _Nearness:
    """Of every real image: the expected log distance, the least distance, and to which row it leads."""

    log: Scores
    least: Scores
    rows: NDArray[np.int64]


def _distinct(training: Pictures, holdout: Pictures, of_training: Known, of_holdout: Known) -> _Real:
    for name in ("classes", "families"):
        if (getattr(of_training, name) is None) != (getattr(of_holdout, name) is None):
            raise ValueError(f"expected {name} of both training and holdout, or of neither; got one of them")
    if len(training) < 2 or not len(holdout):
        raise ValueError(f"expected ≥ 2 training and ≥ 1 held-out images; got {len(training)} and {len(holdout)}")
    distances, rows = nearest_pictures(holdout, training, k=1)
    across, nearest_rows = distances[:, 0], rows[:, 0]
    typical = usual_distance(across)
    limit = DUPLICATE_SHARE * typical
    first, stands_for = np.unique(duplicate_families(training, nearer_than=limit), return_inverse=True)
    repeats = np.flatnonzero(across <= limit)
    second = np.setdiff1d(duplicate_families(holdout, nearer_than=limit), repeats)
    families, other_families = _families(len(training), of_training), _families(len(holdout), of_holdout)
    if of_training.families is not None:
        second = second[~np.isin(other_families[second], families)]
    own, units = np.unique(families[first], return_inverse=True)
    others, other_units = np.unique(other_families[second], return_inverse=True)
    if len(own) < 2 or not len(others):
        raise DataError(
            "expected ≥ 2 distinct training images and ≥ 1 held-out image that is none of them, of families of their "
            f"own; got {len(own)} and {len(others)}",
            hint="keep real images out that are training images",
        )
    return _Real(
        pictures=np.concatenate([training[first], holdout[second]]),
        count=len(first),
        units=np.concatenate([units, len(own) + other_units]),
        unit_count=len(own),
        strata=Strata.of(_of_units(of_training, first, units), _of_units(of_holdout, second, other_units)),
        training=training,
        stands_for=stands_for,
        held_out_too=np.isin(stands_for, stands_for[nearest_rows[repeats]]),
        typical=typical,
        repeats=len(repeats),
    )


def _families(count: int, known: Known) -> NDArray[np.int64]:
    return np.arange(count) if known.families is None else np.asarray(known.families, dtype=np.int64)


def _of_units(known: Known, rows: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of every unit: that of its first image."""
    first = np.unique(units, return_index=True)[1]
    if known.classes is None:
        return np.zeros(len(first), dtype=np.int64)
    classes: NDArray[np.int64] = np.asarray(known.classes, dtype=np.int64)[rows[first]]
    return classes


def _membership(real: _Real, synthetic: Pictures, reference: Pictures | None) -> tuple[dict[str, float], float]:
    """p-values of the nearest-synthetic-image tests, and the membership AUC."""
    draws = min(len(synthetic), real.count - real.widest)
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
    distances, rows = nearest_pictures(synthetic, real.pictures, k=1)
    seconds, _ = nearest_outside(synthetic, real.pictures, k=1, groups=real.units, own=real.units[rows[:, 0]])
    return _Hits(rows[:, 0], distances[:, 0], seconds[:, 0])


def _pairs(hits: _Hits, real: _Real, synthetic: Pictures) -> tuple[CopyPair, ...]:
    """Synthetic images with the training file they come suspiciously near to, closest first.

    Here every file counts, not one for all of its duplicates; d₂ is the distance to a real image of another family.
    """
    nearest_distances, nearest_rows = nearest_pictures(synthetic, real.training, k=1)
    distances, rows = nearest_distances[:, 0], nearest_rows[:, 0]
    related = real.units[hits.rows] == real.units[real.stands_for[rows]]
    ratios = _ratio(distances, np.where(related, hits.seconds, hits.distances))
    suspects = np.flatnonzero(ratios < HIT_RATIO)
    suspects = suspects[np.lexsort((suspects, distances[suspects], ratios[suspects]))]
    return tuple(
        CopyPair(int(s), int(rows[s]), float(distances[s]), float(ratios[s]), bool(real.held_out_too[rows[s]]))
        for s in suspects
    )
