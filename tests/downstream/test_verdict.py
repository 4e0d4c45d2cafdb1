"""A verdict is only given where a network has learnt something."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream import ArmSummary, Difference, Recipe, Utility, decide
from twinset.downstream.summary import Details, Sizes
from twinset.downstream.verdict import learnt

REAL, MIXED = Recipe("real", "none", 0.0), Recipe("real+synthetic", "none", 0.5)


def arm(recipe: Recipe, mean: float, half: float, *, seeds: int = 5) -> ArmSummary:
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return ArmSummary(recipe, mean, low, high, seeds, 1, (mean,) * seeds, mean, Details({}, "ap50_by_class", ()))


def utility(
    without: float, with_: float, *, half: float = 0.01, blind: float = 0.02, metric: str = "mAP@50", seeds: int = 3
) -> Utility:
    gain = with_ - without
    arms = {
        "real": arm(REAL, without, half, seeds=seeds + 2),
        "real+synthetic": arm(MIXED, with_, half, seeds=seeds + 2),
    }
    return Utility(
        metric=metric,
        arms=arms,  # type: ignore[arg-type]
        trials=(),
        without_synthetic=REAL,
        with_synthetic=MIXED,
        difference=Difference(gain, gain - 2 * half, gain + 2 * half),
        sizes=Sizes(20, 100, 8, 40, 40),
        seconds=1.0,
        blind=blind,
        seeds=seeds,
        extra_seeds=2,
    )


@pytest.mark.parametrize(
    ("without", "with_", "blind", "metric"),
    [
        (0.01, 0.012, 0.02, "mAP@50"),
        (0.0, 0.019, 0.02, "mAP@50"),
        (0.019, 0.0, 0.02, "mAP@50"),
        (0.40, 0.415, 0.42, "mIoU"),
        (0.42, 0.38, 0.42, "mIoU"),
        (0.5, 0.47, 0.5, "balanced accuracy"),
    ],
)
def test_networks_at_the_level_of_a_blind_answer_give_no_verdict(
    without: float, with_: float, blind: float, metric: str
) -> None:
    study = utility(without, with_, half=0.001, blind=blind, metric=metric)
    found = decide(study)
    assert found.decision == "nothing_learnt"
    assert found.sentence.startswith("No verdict: the networks learnt next to nothing in the time given")
    assert f"{metric} {100 * without:.1f} % (real) and {100 * with_:.1f} % (real+synthetic" in found.sentence
    assert f"gets {100 * blind:.1f} %" in found.sentence
    assert found.sentence.endswith("The comparison says nothing; give it more time.")
    assert found.difference == study.difference


@pytest.mark.parametrize(
    ("without", "with_", "decision"),
    [(0.30, 0.40, "use"), (0.40, 0.30, "do_not_use"), (0.35, 0.351, "no_measurable_difference")],
)
def test_networks_that_learnt_are_compared(without: float, with_: float, decision: str) -> None:
    found = decide(utility(without, with_))
    assert found.decision == decision
    assert "next to nothing" not in found.sentence


def test_a_gain_over_networks_that_learnt_nothing_counts_and_says_so() -> None:
    found = decide(utility(0.01, 0.40))
    assert found.decision == "use"
    assert "Without them the networks learnt next to nothing in the time given" in found.sentence


def test_synthetic_images_that_spoil_everything_are_not_used() -> None:
    assert decide(utility(0.40, 0.01)).decision == "do_not_use"


def test_a_wide_interval_alone_does_not_make_a_network_one_that_learnt_nothing() -> None:
    assert learnt(arm(REAL, 0.5, 0.6), 0.02)
    assert not learnt(arm(REAL, 0.08, 0.1), 0.02)
    assert learnt(arm(REAL, 0.08, 0.05), 0.02)
    assert not learnt(arm(REAL, 0.52, 0.1), 0.5)
    assert learnt(arm(REAL, 0.56, 0.1), 0.5)


def test_the_gate_comes_first() -> None:
    assert decide(utility(0.0, 0.0), gate_failure="copies").decision == "blocked_by_gate"


def test_seeds_that_nobody_asked_for_are_explained() -> None:
    found = decide(utility(0.30, 0.40, seeds=1))
    assert "3 seeds (1 as every way to train, 2 more for the two compared here)" in found.sentence
    assert utility(0.3, 0.4, seeds=1).seeds_text == (
        "every way to train ran with 1 seed, the two that are compared with 2 more"
    )
    assert np.isfinite(found.difference.value)  # type: ignore[union-attr]


def test_own_trainers_are_not_said_to_lack_time() -> None:
    study = utility(0.0, 0.01, half=0.001, blind=0.02)
    found = decide(study, own_trainer=True)
    assert found.decision == "nothing_learnt"
    assert "time" not in found.sentence
    assert found.sentence.endswith("The comparison says nothing; see what your trainer wrote.")
    assert "in the time given" not in decide(utility(0.01, 0.40), own_trainer=True).sentence
