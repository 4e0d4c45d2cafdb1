"""The verdict: whether the paired difference on test lies clear of zero, and the sentence that says what to do."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.downstream.intervals import Difference
from twinset.downstream.summary import Utility
from twinset.scores import Decision


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


def decide(utility: Utility, *, gate_failure: str = "") -> Verdict:
    """What to do with the synthetic set. ``gate_failure`` says why the release gate refused; empty if it did not."""
    difference = utility.difference
    if gate_failure:
        return Verdict("blocked_by_gate", f"Do not release it: {gate_failure.rstrip('.')}.", difference)
    if difference is None:
        sentence = "Do not use it: no synthetic image passed alignment, so there is nothing to train on."
        return Verdict("do_not_use", sentence, None)
    decision: Decision = "no_measurable_difference"
    if difference.low > 0:
        decision = "use"
    if difference.high < 0:
        decision = "do_not_use"
    return Verdict(decision, _sentence(decision, utility, difference), difference)


def _sentence(decision: Decision, utility: Utility, difference: Difference) -> str:
    assert utility.with_synthetic is not None
    points, low, high = (100 * value for value in (difference.value, difference.low, difference.high))
    with_arm, without_arm = utility.arms[utility.with_synthetic.arm], utility.arms[utility.without_synthetic.arm]
    runs = f"{with_arm.seeds} seeds" + (f" × {with_arm.subsets} subsets" if with_arm.subsets > 1 else "")
    measured = (
        f"from {100 * without_arm.mean:.1f} % ({utility.without_synthetic.text}) to {100 * with_arm.mean:.1f} % "
        f"({utility.with_synthetic.text}); difference {points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
        f"{utility.sizes.test} real test images, {runs}"
    )
    if decision == "use":
        return f"Use it: adding the synthetic images raises {utility.metric} {measured}."
    if decision == "do_not_use":
        return f"Do not use it: adding the synthetic images lowers {utility.metric} {measured}."
    return f"No measurable difference: adding the synthetic images takes {utility.metric} {measured}."
