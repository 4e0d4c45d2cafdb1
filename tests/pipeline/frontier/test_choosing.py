"""The rule: what qualifies, what is tied, and which of the tied ones is taken."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.pipeline.frontier.choosing import Candidate, Labels, chosen
from twinset.privacy.audit.answers import Answer
from twinset.randomness import Stream

IMAGES = 300
LABELS = Labels(np.arange(IMAGES) % 3, np.arange(IMAGES))


def candidate(
    name: str,
    share: float,
    *,
    answer: Answer | None = "no_leakage_detected",
    epsilon: float | None = None,
    highest: float = 0.55,
    blocked: str = "",
    seed: int = 0,
) -> Candidate:
    """Two runs that name this share of the images rightly."""
    draw = np.random.Generator(np.random.PCG64(seed))
    right = np.stack([draw.permutation(IMAGES) < share * IMAGES for _ in range(2)])
    utility = LABELS.mean(right, rng=Stream(0))
    return Candidate(name, "dataset", answer, blocked, right, utility, epsilon, highest)


def taken(*candidates: Candidate) -> str | None:
    found = chosen(candidates, LABELS, blind=1 / 3, rng=Stream(1)).recommended
    return None if found is None else found.setting


def test_what_leaks_is_inconclusive_or_blocked_is_not_taken_however_useful() -> None:
    leaks = candidate("leaks", 0.99, answer="leak_found")
    unsure = candidate("unsure", 0.98, answer="inconclusive")
    copies = candidate("copies", 0.97, blocked="the copy gate of its run")
    assert taken(leaks, unsure, copies, candidate("plain", 0.6)) == "plain"
    found = chosen([leaks, unsure, copies], LABELS, blind=1 / 3, rng=Stream(1))
    assert found.recommended is None
    assert list(found.reasons.values()) == [
        "a leak was found",
        "its audit is inconclusive",
        "the copy gate of its run",
    ]


def test_what_is_more_useful_beyond_doubt_is_taken_without_a_guarantee() -> None:
    assert taken(candidate("bound", 0.6, epsilon=1.0), candidate("free", 0.9)) == "free"


def test_what_cannot_be_told_apart_goes_to_the_smallest_epsilon_then_to_the_lowest_attack() -> None:
    free = candidate("free", 0.91, highest=0.51)
    loose = candidate("loose", 0.905, epsilon=10.0, highest=0.52, seed=1)
    tight = candidate("tight", 0.9, epsilon=1.0, highest=0.6, seed=2)
    assert taken(free, loose, tight) == "tight"
    assert taken(free, candidate("exposed", 0.91, highest=0.56, seed=3)) == "free"
    found = chosen([free, loose, tight], LABELS, blind=1 / 3, rng=Stream(1))
    assert found.best is free
    assert {one.setting for one in found.tied} == {"free", "loose", "tight"}
    assert "strongest guarantee" in found.because


def test_what_knows_no_more_than_one_answer_for_all_is_of_no_use() -> None:
    blind = candidate("blind", 1 / 3, epsilon=1.0)
    assert taken(blind) is None
    assert "no use" in chosen([blind], LABELS, blind=1 / 3, rng=Stream(1)).reasons["blind/dataset"]


def test_what_could_not_be_weighed_is_left_out() -> None:
    nothing = Candidate("empty", "dataset", None, "", None, None, 1.0, 1.0)
    assert taken(nothing, candidate("plain", 0.6)) == "plain"


def test_a_difference_of_unequal_numbers_of_runs_is_that_of_their_means() -> None:
    first, second = candidate("a", 0.9).right, candidate("b", 0.6, seed=5).right
    assert first is not None
    assert second is not None
    found = LABELS.difference(first, second[:1], rng=Stream(0))
    shares = [[run[LABELS.class_ids == c].mean() for c in range(3)] for run in (*first, second[0])]
    assert found.value == pytest.approx(np.mean(shares[:2]) - np.mean(shares[2]))
    assert 0 < found.low < found.value < found.high
    back = LABELS.difference(second[:1], first, rng=Stream(0))
    assert back.value == pytest.approx(-found.value)
