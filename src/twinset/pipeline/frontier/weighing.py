"""Every release of a setting on the scales: worth on validation images beside what its audit found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset import documents
from twinset.dataset import SplitName
from twinset.downstream import Difference
from twinset.pipeline.frontier.audits import AuditPart
from twinset.pipeline.frontier.choosing import Candidate, Choice, Labels
from twinset.pipeline.frontier.guarantees import guarantee_of
from twinset.pipeline.real import RealData
from twinset.privacy.audit.model_release import Release
from twinset.randomness import Stream
from twinset.recipe import Recipe

ONE_PERCENT = 0.01


@dataclass(frozen=True, eq=False)
class Weighed:
    """One release of one setting as it was found; ``right``: the validation images that its runs name rightly."""

    setting: str
    release: Release
    audit: AuditPart | str
    right: NDArray[np.bool_] | None
    utility: Difference | None
    guarantee: documents.GuaranteePart | None
    guarantee_because: str
    blocked: str

    @property
    def candidate(self) -> Candidate:
        """What the rule looks at."""
        worst = worst_attack(self.audit)
        return Candidate(
            setting=self.setting,
            release=self.release,
            answer=None if isinstance(self.audit, str) else self.audit.answer,
            blocked=self.blocked,
            right=self.right,
            utility=self.utility,
            epsilon=None if self.guarantee is None else self.guarantee.epsilon,
            highest=1.0 if worst is None else worst.high,
        )

    def part(self, choice: Choice) -> documents.WeighedPart:
        """What is told of it."""
        name, audit, worst = self.candidate.key, self.audit, worst_attack(self.audit)
        behind = choice.behind.get(name)
        return documents.WeighedPart(
            setting=self.setting,
            release=self.release,
            answer=None if isinstance(audit, str) else audit.answer,
            finding=audit if isinstance(audit, str) else audit.finding,
            guarantee=self.guarantee,
            guarantee_because=self.guarantee_because,
            utility=None if self.utility is None or self.right is None else figure(self.utility, len(self.right)),
            behind=None if behind is None else difference(behind),
            attack=None if worst is None else worst.name,
            auc=None if worst is None else documents.RatePart(share=worst.auc, low=worst.low, high=worst.high),
            found_at_one_percent=most_found(audit),
            qualifies=not choice.reasons[name],
            disqualified_because=choice.reasons[name],
        )


def weighed(
    setting: str,
    release: Release,
    audit: AuditPart | str,
    right: NDArray[np.bool_] | None,
    *,
    labels: Labels,
    trained: documents.GuaranteePart | None,
    recipe: Recipe,
    blocked: str,
    rng: Stream,
) -> Weighed:
    """A release with its figure and its guarantee; ``recipe`` is the resolved one of its run."""
    utility = None if right is None else labels.mean(right, rng=rng.child("utility", setting, release))
    return Weighed(setting, release, audit, right, utility, *guarantee_of(release, trained, recipe), blocked)


def labels_of(real: RealData, part: SplitName) -> Labels:
    """The classes and families of the images of a part."""
    return Labels(real.part(part).class_ids, real.part_families(part))


def worst_attack(audit: AuditPart | str) -> documents.AttackPart | None:
    """The attack with the highest upper bound of its AUC."""
    if isinstance(audit, str) or not audit.attacks:
        return None
    return max(audit.attacks, key=lambda attack: (attack.high, attack.auc))


def most_found(audit: AuditPart | str) -> documents.RatePart | None:
    """The largest share of training images that an attack finds at 1 % false alarms."""
    if isinstance(audit, str):
        return None
    powers = [power for attack in audit.attacks for power in attack.powers if power.rate == ONE_PERCENT]
    if not powers:
        return None
    most = max(powers, key=lambda power: power.share)
    return documents.RatePart(share=most.share, low=most.low, high=most.high)


def figure(found: Difference, runs: int) -> documents.FigurePart:
    """A mean with its interval, for a document."""
    return documents.FigurePart(value=found.value, low=found.low, high=found.high, runs=runs)


def difference(found: Difference) -> documents.Difference:
    """A difference with its interval, for a document."""
    return documents.Difference(value=found.value, low=found.low, high=found.high)
