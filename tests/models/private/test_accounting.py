"""ε of private training, against an accountant of another kind."""

from __future__ import annotations

import importlib.util
import math
import sys

import pytest
from tests.models.private.composition import epsilon_by_losses, gaussian_delta

from twinset.errors import MissingExtraError
from twinset.models.private.accounting import Account, Privacy, account_of, check_opacus, epsilon_of

pytest.importorskip("opacus", reason="needs twinset[dp]")


def test_the_tests_own_accountant_knows_the_gaussian_mechanism() -> None:
    # Drawn every time, the loss is a Gaussian's: four steps at σ = 2 are one at σ = 1.
    found = epsilon_by_losses(1 - 1e-12, 2.0, 4, 1e-3)
    assert gaussian_delta(1.0, found) == pytest.approx(1e-3, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "rate"), [(1.0, 0.24), (5.0, 0.24), (10.0, 0.05)])
def test_an_independent_accountant_finds_the_same_epsilon_within_two_per_cent(epsilon: float, rate: float) -> None:
    account = account_of(Privacy(epsilon, 1e-3), images=1000, batch=round(1000 * rate), steps=150)
    assert 0.99 * epsilon <= account.epsilon <= epsilon
    other = epsilon_by_losses(account.sampling_rate, account.noise_multiplier, account.steps, account.delta)
    assert other == pytest.approx(account.epsilon, rel=0.02)
    assert other <= account.epsilon * 1.002


def test_more_steps_cost_more_and_more_noise_less() -> None:
    one = epsilon_of(2.0, 1e-3, sampling_rate=0.1, steps=50)
    assert (
        epsilon_of(2.0, 1e-3, sampling_rate=0.1, steps=100) > one > epsilon_of(3.0, 1e-3, sampling_rate=0.1, steps=50)
    )


def test_whole_batches_are_accounted_exactly() -> None:
    account = account_of(Privacy(2.0, 1e-3), images=50, batch=80, steps=9)
    assert account.sampling_rate == 1
    assert gaussian_delta(3 / account.noise_multiplier, 2.0) == pytest.approx(1e-3, rel=1e-6)


def test_without_noise_nothing_is_claimed() -> None:
    account = account_of(Privacy(None), images=50, batch=10, steps=9)
    assert account.noise_multiplier == 0
    assert math.isinf(account.epsilon)
    assert "no differential privacy" in account.sentence()


def test_the_account_says_what_it_does_not_cover() -> None:
    sentence = Account(0.2, 1.5, 100, 1e-3, 4.2, 1.0).sentence()
    assert "ε = 4.2 at δ = 0.001" in sentence
    assert "without noise" in sentence


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"epsilon": 1.0, "delta": 1.0}, {"epsilon": 1.0, "clip": 0.0}])
def test_impossible_targets_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Privacy(**wrong)  # type: ignore[arg-type]


def test_a_missing_opacus_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"opacus.*install twinset\[dp\]"):
        check_opacus()


@pytest.mark.slow
def test_accounting_loads_opacus_only_when_it_counts() -> None:
    import subprocess

    code = "import sys, twinset.generators.diffusion; sys.exit('opacus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
