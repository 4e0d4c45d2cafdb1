"""What an audit of a dataset can find at best, from numbers of images alone: is it worth making?

The audit plants copies of training images (:func:`~.controls.required`) and says nothing where it misses them. Two of
its tests can find a few copies. *Distinct hits*: m copies hit m training images and, at best, no held-out one, which
happens by chance with (share of training images)^m. *Ranks* (GAN-Leaks): m of T training images come first and the
others stand anywhere, so that the AUC is on average ½ + m/2T, of a standard error √((T + H + 1) / 12TH) (Mann and
Whitney 1947). Either must be significant among all tests of the audit (Bonferroni).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from twinset.privacy.audit.controls import REQUIRED, REQUIRED_SHARE, required
from twinset.privacy.audit.dataset_release import ATTACKS

SHARES = (0.5, 0.4, 0.3)
"""Shares of training images that are proposed, from large to small."""


def dataset_tests(*, reference: bool) -> int:
    """How many tests share the false alarms of an audit, with or without reference images."""
    names = {attack.name for attack in ATTACKS if reference or not attack.needs_reference}
    return len(names | {"distinct_hits"})


def hits_needed(share: float, alpha: float) -> int:
    """The least number of hits that is significant at ``alpha`` if all are training images, of which there are so many
    among all: ``share`` in (0, 1).

    >>> hits_needed(0.5, 0.01), hits_needed(0.6, 0.01 / 4)
    (7, 12)
    """
    return math.floor(math.log(alpha) / math.log(share)) + 1


def ranks_needed(training: int, holdout: int, alpha: float) -> int:
    """The least number of copies among so many training images at which ranks are significant on average."""
    from scipy.stats import norm

    error = math.sqrt((training + holdout + 1) / (12 * training * holdout))
    return math.ceil(2 * training * error * float(norm.isf(alpha)))


@dataclass(frozen=True)
class Foreseen:
    """What is known of an audit before it: so many ``outputs``, ``training`` and ``holdout`` families, and the level
    ``alpha`` of each of its tests."""

    outputs: int
    training: int
    holdout: int
    alpha: float

    @property
    def planted(self) -> int:
        """The most copies that the audit will plant."""
        return min(required(self.outputs), self.training, self.outputs)

    @property
    def needed(self) -> int:
        """The fewest copies that can be found, at best."""
        hits = hits_needed(self.training / (self.training + self.holdout), self.alpha)
        return min(hits, ranks_needed(self.training, self.holdout, self.alpha))

    @property
    def hopeless(self) -> bool:
        """Whether not even all planted copies can be found, so that nothing can be cleared."""
        return self.planted < self.needed

    @property
    def outputs_enough(self) -> int | None:
        """So many outputs would do with these real images; None where no number does."""
        if self.needed > self.training:
            return None
        return max(self.needed, 0 if self.needed <= REQUIRED else math.ceil((self.needed - 0.5) / REQUIRED_SHARE) + 1)

    @property
    def share_enough(self) -> float | None:
        """The largest of :data:`SHARES` of training images that would do with these outputs; None where none does."""
        total = self.training + self.holdout
        for share in SHARES:
            training = round(share * total)
            if training >= 1 and not Foreseen(self.outputs, training, total - training, self.alpha).hopeless:
                return share
        return None
