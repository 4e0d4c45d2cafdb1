"""What a membership attack found: AUC, power at low false positive rates, and how sure that is.

An attack gives every real image a score, higher for those it takes for training images ("members"). AUC and its test
compare within strata (classes), so that another mix of classes on the held-out side is not taken for a leak; power
looks at all images at once. At a given false positive rate the threshold is set on the held-out images, and as few of
them decide it, the rate that is realised stands beside the one that was asked for (Carlini et al. 2022, "Membership
Inference Attacks From First Principles", whose advice it is to look at low rates: an average hides the few images that
are laid bare).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinset.membership import Scores, Strata, placement_auc
from twinset.scores import Interval

RATES = (0.001, 0.01, 0.1)
"""False positive rates at which power is told."""


@dataclass(frozen=True)
class Power:
    """Share of the members whose score lies above a threshold that a share ``rate`` of the held-out images may pass.

    ``found`` of the members and ``passed`` of the held-out images are above it. ``interval`` and ``realised`` are
    Clopper and Pearson's of either share, given the threshold.
    """

    rate: float
    found: int
    passed: int
    share: float
    interval: Interval
    realised: Interval

    def to_record(self) -> dict[str, object]:
        """As plain JSON types."""
        return {
            "rate": self.rate,
            "found": self.found,
            "passed": self.passed,
            "share": self.share,
            "low": self.interval.low,
            "high": self.interval.high,
            "realised_low": self.realised.low,
            "realised_high": self.realised.high,
        }


@dataclass(frozen=True)
class AttackFigures:
    """``auc``: the chance that a member outscores a held-out image of its class. ``p_value``: of a one-sided test of
    that. ``powers``: one for each rate that so many held-out images can tell."""

    name: str
    auc: float
    interval: Interval
    p_value: float
    powers: tuple[Power, ...]
    members: int
    others: int

    @staticmethod
    def of(
        name: str, members: Scores, others: Scores, strata: Strata | None = None, *, rates: Sequence[float] = RATES
    ) -> AttackFigures:
        """Of scores of members (N,) and held-out images (K,), finite, at least two of either.

        >>> figures = AttackFigures.of("x", np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 6.0]))
        >>> round(figures.auc, 3), figures.powers
        (0.667, ())
        """
        if min(len(members), len(others)) < 2:
            raise ValueError(f"expected scores of at least 2 on each side; got {len(members)} and {len(others)}")
        if not (np.isfinite(members).all() and np.isfinite(others).all()):
            raise ValueError(f"expected finite scores; {name} gave others")
        chosen = strata or Strata.single(len(members), len(others))
        placed = placement_auc(members, others, chosen)
        half = 1.959964 * placed.standard_error
        return AttackFigures(
            name=name,
            auc=placed.auc,
            interval=Interval(max(0.0, placed.auc - half), min(1.0, placed.auc + half)),
            p_value=placed.p_value,
            powers=tuple(power_at(rate, members, others) for rate in rates if rate * len(others) >= 1),
            members=len(members),
            others=len(others),
        )

    def to_record(self) -> dict[str, object]:
        """As plain JSON types."""
        return {
            "name": self.name,
            "auc": self.auc,
            "low": self.interval.low,
            "high": self.interval.high,
            "p_value": self.p_value,
            "members": self.members,
            "others": self.others,
            "powers": [power.to_record() for power in self.powers],
        }


def power_at(rate: float, members: Scores, others: Scores) -> Power:
    """Power at a false positive rate: the threshold lets at most that share of ``others`` (K,) pass.

    >>> power_at(0.25, np.array([9.0, 3.5, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])).found
    2
    """
    allowed = int(np.floor(rate * len(others) + 1e-9))
    threshold = np.sort(others)[::-1][allowed]
    found, passed = int((members > threshold).sum()), int((others > threshold).sum())
    return Power(
        rate=rate,
        found=found,
        passed=passed,
        share=found / len(members),
        interval=clopper_pearson(found, len(members)),
        realised=clopper_pearson(passed, len(others)),
    )


def clopper_pearson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """The exact interval of a share (Clopper and Pearson 1934).

    >>> clopper_pearson(0, 10).low, round(clopper_pearson(0, 10).high, 4)
    (0.0, 0.3085)
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return Interval(low, high, level)
