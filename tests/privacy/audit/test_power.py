"""What is foreseen of an audit is what the tests of the audit need."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.membership import Strata, more_hits_than_chance, placement_test
from twinset.privacy.audit.controls import required
from twinset.privacy.audit.power import Foreseen, dataset_tests, hits_needed, ranks_needed

ALPHA = 0.01 / 4


@pytest.mark.parametrize("share", [0.2, 0.5, 0.6, 0.9])
def test_the_hits_needed_are_the_fewest_that_the_exact_test_calls_significant(share: float) -> None:
    needed = hits_needed(share, ALPHA)
    assert more_hits_than_chance(np.full(needed, share), needed) < ALPHA
    assert more_hits_than_chance(np.full(needed - 1, share), needed - 1) >= ALPHA


def test_copies_that_ranks_need_are_found_by_about_half_of_rank_tests() -> None:
    training, holdout = 60, 90
    needed = ranks_needed(training, holdout, ALPHA)
    draw = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        members, others = draw.normal(size=training), draw.normal(size=holdout)
        members[:needed] += 100
        found += placement_test(members, others, Strata.single(training, holdout)).p_value < ALPHA
    assert 0.3 < found / 200 < 0.9


def test_what_is_proposed_would_do() -> None:
    found = Foreseen(500, 1078, 719, ALPHA)
    assert (found.planted, found.needed, found.hopeless) == (10, 12, True)
    assert found.outputs_enough is not None
    assert not Foreseen(found.outputs_enough, 1078, 719, ALPHA).hopeless
    assert Foreseen(found.outputs_enough - 50, 1078, 719, ALPHA).hopeless
    assert found.share_enough == 0.5
    assert not Foreseen(500, 898, 899, ALPHA).hopeless


def test_few_real_images_cannot_be_helped() -> None:
    found = Foreseen(1000, 9, 8, ALPHA)
    assert found.planted == 9
    assert found.hopeless == (found.needed > 9)
    assert Foreseen(1000, 8, 2, ALPHA).outputs_enough is None


def test_reference_images_bring_more_tests() -> None:
    assert dataset_tests(reference=True) > dataset_tests(reference=False) >= 3
    assert required(1000) == 20
