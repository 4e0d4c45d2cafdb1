"""The verdict: whether the paired difference on test lies clear of zero, and the sentence that says what to do.

A difference between networks that learnt nothing says nothing, however narrow its interval. So before it counts, one of
the two must have learnt something: its interval lies above what an answer scores that never looks at the picture, or
its mean is at least a tenth of the way from there to the perfect score (few seeds make wide intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

from twinset.downstream.intervals import Difference
from twinset.downstream.summary import ArmSummary, Utility
from twinset.scores import Decision

GIVEN = " in the time given"

LEAST_SKILL = 0.1
"""How far from a blind answer to the perfect one a mean must be to count as learnt where its interval does not."""


@dataclass(frozen=True)
class Verdict:
    """The decision, the sentence for people, and the paired difference it rests on (None: nothing was measured)."""

    decision: Decision
    sentence: str
    difference: Difference | None

    def to_json(self) -> dict[str, object]:
        """``decision``, ``sentence``, ``difference``, as in a run's JSON."""
        empty = {"value": None, "low": None, "high": None}
        return {
            "decision": self.decision,
            "sentence": self.sentence,
            "difference": self.difference.to_json() if self.difference else empty,
        }


def decide(utility: Utility, *, gate_failure: str = "", own_trainer: bool = False) -> Verdict:
    """What to do with the synthetic set. ``gate_failure`` says why the release gate refused; empty if it did not.

    ``own_trainer``: who trained was a command of the user's, which no time is given to.
    """
    difference = utility.difference
    if gate_failure:
        return Verdict("blocked_by_gate", f"Do not release it: {gate_failure.rstrip('.')}.", difference)
    if difference is None:
        sentence = "Do not use it: no synthetic image passed alignment, so there is nothing to train on."
        return Verdict("do_not_use", sentence, None)
    assert utility.with_synthetic is not None
    without, with_ = (utility.arms[recipe.arm] for recipe in (utility.without_synthetic, utility.with_synthetic))
    if not learnt(without, utility.blind) and not learnt(with_, utility.blind):
        advice = "see what your trainer wrote" if own_trainer else "give it more time"
        nothing = _nothing_learnt(utility, without, with_, when="" if own_trainer else GIVEN)
        sentence = f"{nothing} The comparison says nothing; {advice}."
        return Verdict("nothing_learnt", sentence, difference)
    decision: Decision = "no_measurable_difference"
    if difference.low > 0:
        decision = "use"
    if difference.high < 0:
        decision = "do_not_use"
    sentence = _sentence(decision, utility, difference, without, with_)
    if decision == "use" and not learnt(without, utility.blind):
        when = "" if own_trainer else GIVEN
        sentence += (
            f" Without them the networks learnt next to nothing{when} (an answer that never looks at the picture gets "
            f"{100 * utility.blind:.1f} %): longer training may change the difference."
        )
    return Verdict(decision, sentence, difference)


def learnt(arm: ArmSummary, blind: float) -> bool:
    """Whether these networks did better than an answer that scores ``blind`` and never looks at the picture."""
    return arm.low > blind or arm.mean - blind >= LEAST_SKILL * (1 - blind)


def _nothing_learnt(utility: Utility, *arms: ArmSummary, when: str) -> str:
    scored = " and ".join(f"{100 * arm.mean:.1f} % ({arm.recipe.text})" for arm in arms)
    return (
        f"No verdict: the networks learnt next to nothing{when}: {utility.metric} {scored} on "
        f"{utility.sizes.test} real test images, where an answer that never looks at the picture gets "
        f"{100 * utility.blind:.1f} %."
    )


def _sentence(
    decision: Decision, utility: Utility, difference: Difference, without: ArmSummary, with_: ArmSummary
) -> str:
    points, low, high = (100 * value for value in (difference.value, difference.low, difference.high))
    measured = (
        f"from {100 * without.mean:.1f} % ({without.recipe.text}) to {100 * with_.mean:.1f} % ({with_.recipe.text}); "
        f"difference {points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, {utility.sizes.test} real test "
        f"images, {_runs(utility, with_)}"
    )
    if decision == "use":
        return f"Use it: adding the synthetic images raises {utility.metric} {measured}."
    if decision == "do_not_use":
        return f"Do not use it: adding the synthetic images lowers {utility.metric} {measured}."
    return f"No measurable difference: adding the synthetic images takes {utility.metric} {measured}."


def _runs(utility: Utility, arm: ArmSummary) -> str:
    """``5 seeds (3 as every way to train, 2 more for the two compared here) × 5 subsets``."""
    text = f"{arm.seeds} seed{'' if arm.seeds == 1 else 's'}"
    if utility.extra_seeds:
        text += f" ({utility.seeds} as every way to train, {utility.extra_seeds} more for the two compared here)"
    return text + (f" × {arm.subsets} subsets" if arm.subsets > 1 else "")
