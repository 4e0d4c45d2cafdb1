"""Canaries against private training: bounds below ε with noise, high ones without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.formats import read
from twinset.models.private.accounting import Privacy
from twinset.privacy.audit.training import TrainingAudit, audit_training
from twinset.randomness import Stream

pytest.importorskip("opacus", reason="needs twinset[dp]")


def audited(epsilon: float | None, *, canaries: int = 1000) -> TrainingAudit:
    digits = read("builtin:digits", on_bad_input="refuse")[0].take(range(300))
    pictures = np.stack([sample.pixels() for sample in digits])
    return audit_training(
        pictures,
        digits.class_ids,
        n_classes=10,
        privacy=Privacy(epsilon, 1e-5),
        canaries=canaries,
        steps=40,
        rng=Stream(1),
        key=bytes(32),
    )


@pytest.mark.slow
def test_without_noise_the_same_cuts_leak_more_than_three() -> None:
    found = audited(None)
    assert found.canaries.epsilon > 3
    assert "no noise" in found.sentence()


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 5.0, 10.0])
def test_with_noise_the_bound_stays_below_the_account(epsilon: float) -> None:
    found = audited(epsilon)
    assert found.canaries.canaries == 1000
    assert found.canaries.epsilon <= found.account.epsilon <= epsilon
    assert not found.refuted
    assert found.vacuous == (found.canaries.ceiling < found.account.epsilon)
    assert ("vacuous" in found.sentence()) == (epsilon == 10.0)


@pytest.mark.slow
def test_an_account_that_says_too_little_is_refuted() -> None:
    found = audited(None)
    assert replace(found, account=replace(found.account, epsilon=1.0)).refuted
