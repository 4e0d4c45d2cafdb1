"""Which release of which setting is recommended: a rule, and what it leaves out.

1. A release qualifies if its audit says that no leakage was detected, which takes that what was planted for the audit
   was found; if the copy gate of its run does not block it; and if it is worth more than one answer for all images.
2. Of those the most useful is found, on validation images. All whose paired difference to it has an interval that
   reaches 0 are tied with it.
3. Of the tied ones that with a guarantee is taken, the smallest ε first; then that of whose attacks the highest bound
   of an AUC is lowest; then the more useful.

Where nothing qualifies, nothing is recommended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.downstream import Difference
from twinset.downstream.intervals import difference_of_means, interval_of_mean, judged_labels
from twinset.privacy.audit.answers import Answer
from twinset.privacy.audit.model_release import Release
from twinset.randomness import Stream


@dataclass(frozen=True, eq=False)
class Labels:
    """What real images show: ``class_ids`` (N,), and the ``families`` (N,) that they belong to."""

    class_ids: NDArray[np.integer]
    families: NDArray[np.integer]

    def mean(self, right: NDArray[np.bool_], *, rng: Stream) -> Difference:
        """Balanced accuracy of runs by which images they got right, bool (R, N)."""
        judged = judged_labels(right, labels=self.class_ids, families=self.families)
        return interval_of_mean(judged, subsets=1, seeds=len(right), rng=rng)

    def difference(self, first: NDArray[np.bool_], second: NDArray[np.bool_], *, rng: Stream) -> Difference:
        """That of the ``first`` runs minus that of the ``second``, on the same images."""
        judged = judged_labels(np.concatenate([first, second]), labels=self.class_ids, families=self.families)
        return difference_of_means(judged, runs=(len(first), len(second)), rng=rng)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One release of one setting. ``right``: which validation images its runs classify rightly, bool (R, N); None where
    nothing could be trained. ``epsilon``: what holds for this release, None for no bound. ``highest``: the upper bound
    of the AUC of the attack for which that is highest."""

    setting: str
    release: Release
    answer: Answer | None
    blocked: str
    right: NDArray[np.bool_] | None
    utility: Difference | None
    epsilon: float | None
    highest: float

    @property
    def key(self) -> str:
        """Its name."""
        return f"{self.setting}/{self.release}"


@dataclass(frozen=True, eq=False)
class Choice:
    """``reasons``: by candidate why it does not qualify, "" where it does; ``behind``: the most useful minus it;
    ``tied``: what cannot be told from the most useful, itself among them, the recommended first."""

    reasons: dict[str, str]
    behind: dict[str, Difference]
    best: Candidate | None
    tied: tuple[Candidate, ...]

    @property
    def recommended(self) -> Candidate | None:
        """The one, or none."""
        return self.tied[0] if self.tied else None

    @property
    def because(self) -> str:
        """What decided between those that are tied."""
        if not self.tied or self.best is None:
            return ""
        taken, *others = self.tied
        if not others:
            return "it is the most useful of those that qualify, beyond what chance among validation images explains"
        told = f"validation images cannot tell {len(self.tied)} releases apart that qualify"
        if any(other.epsilon != taken.epsilon for other in others) and taken.epsilon is not None:
            with_bound = [other for other in others if other.epsilon == taken.epsilon]
            more = ", and the lowest bound on the attacks of those that have it" if with_bound else ""
            return f"{told}; this one has the strongest guarantee{more}"
        return f"{told}; of this one the attacks have the lowest bound"


def chosen(candidates: Sequence[Candidate], labels: Labels, *, blind: float, rng: Stream) -> Choice:
    """The choice among candidates; ``blind`` is what one answer for all images is worth."""
    reasons = {one.key: disqualified(one, blind) for one in candidates}
    fit = [one for one in candidates if not reasons[one.key]]
    if not fit:
        return Choice(reasons, {}, None, ())
    best = max(fit, key=_value)
    behind = {}
    for one in candidates:
        if one.right is not None and one is not best:
            assert best.right is not None
            behind[one.key] = labels.difference(best.right, one.right, rng=rng.child(one.key))
    tied = [one for one in fit if one is best or behind[one.key].low <= 0]
    return Choice(reasons, behind, best, tuple(sorted(tied, key=_risk)))


def disqualified(one: Candidate, blind: float) -> str:
    """Why a release does not qualify; "" if it does."""
    if one.answer is None or one.right is None or one.utility is None:
        return "it could not be weighed"
    if one.answer == "leak_found":
        return "a leak was found"
    if one.answer == "inconclusive":
        return "its audit is inconclusive"
    if one.blocked:
        return one.blocked
    if one.utility.low <= blind:
        return "it is of no use: no better than one answer for all images"
    return ""


def _value(one: Candidate) -> float:
    assert one.utility is not None
    return one.utility.value


def _risk(one: Candidate) -> tuple[float, float, float]:
    """Smallest first: the guarantee, the attacks, and the worth with its sign turned."""
    return (np.inf if one.epsilon is None else one.epsilon, one.highest, -_value(one))
