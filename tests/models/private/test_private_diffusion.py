"""Private training of a diffusion model: what it logs, resumes, refuses and spends."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError
from twinset.images import ImageSpec
from twinset.models.diffusion import DiffusionModel, DiffusionSettings
from twinset.models.networks import NetworkSettings
from twinset.models.private import sitting as sitting_module
from twinset.models.private.accounting import Privacy, account_of
from twinset.models.private.diffusion import fit_private_diffusion
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import Stream

pytest.importorskip("opacus", reason="needs twinset[dp]")

STEPS = 4
SETTINGS = DiffusionSettings(
    NetworkSettings("transformer", 32, 1, 1, 4),
    TrainingSettings(steps=STEPS, batch=10, augment=0.3),
    SamplingSettings(steps=3, batch=4),
    looks=0,
)
PRIVACY = Privacy(5.0, 1e-2, draws=2)


def images(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return (
        Stream(1).numpy().integers(256, size=(count, 8, 8, 1), dtype=np.uint8),
        np.arange(count, dtype=np.int64) % 2,
    )


def fit(folder: Path | None = None, **changes: object) -> DiffusionModel:
    pictures, class_ids = images()
    values: dict[str, object] = {"images": pictures, "class_ids": class_ids, "privacy": PRIVACY, **changes}
    return fit_private_diffusion(n_classes=2, settings=SETTINGS, folder=folder, **values)  # type: ignore[arg-type]


def equal(left: DiffusionModel, right: DiffusionModel) -> bool:
    others = dict(right.denoiser.named_parameters())
    return all(torch.equal(value, others[name]) for name, value in left.denoiser.named_parameters())


class Killed(Exception):
    pass


def killer(at: int) -> object:
    def progress(done: int, total: int, what: str) -> None:
        if done == at:
            raise Killed

    return progress


account_once = cache(account_of)
"""Composition takes seconds, and is tested elsewhere: once for all trainings of one kind here."""


@pytest.fixture(autouse=True)
def _every_step_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(sitting_module, "account_of", account_once)


def begin(folder: Path, *, key: bytes = bytes(32)) -> None:
    """A folder in which a training with a known key is about to begin."""
    folder.mkdir(parents=True)
    (folder / sitting_module.KEY).write_bytes(key)


@pytest.mark.slow
def test_a_killed_training_ends_as_an_undisturbed_one_and_spends_the_same(tmp_path: Path) -> None:
    begin(tmp_path / "whole")
    whole = fit(tmp_path / "whole")
    begin(tmp_path / "killed")
    for at in (1, 3):
        with pytest.raises(Killed):
            fit(tmp_path / "killed", progress=killer(at))
    seen: list[int] = []
    resumed = fit(tmp_path / "killed", progress=lambda done, total, what: seen.append(done))
    assert seen == [4]
    assert equal(whole, resumed)
    assert resumed.account == whole.account
    assert resumed.account is not None
    assert resumed.account.steps == STEPS


@pytest.mark.slow
def test_a_checkpoint_that_lags_behind_repeats_the_same_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "whole")
    whole = fit(tmp_path / "whole")
    begin(tmp_path / "killed")
    monkeypatch.setattr(sitting_module, "SECONDS_BETWEEN_CHECKPOINTS", 1e9)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", progress=killer(3))
    assert equal(whole, fit(tmp_path / "killed"))


@pytest.mark.parametrize("finished", [False, True])
def test_a_changed_dataset_is_refused_in_one_line(tmp_path: Path, *, finished: bool) -> None:
    if finished:
        fit(tmp_path)
    else:
        with pytest.raises(Killed):
            fit(tmp_path, progress=killer(2))
    pictures, class_ids = images()
    pictures = pictures.copy()
    pictures[7, 0, 0, 0] ^= 1
    with pytest.raises(RunFolderError, match="expected the data that this private training began with") as told:
        fit(tmp_path, images=pictures)
    assert "\n" not in str(told.value)
    with pytest.raises(RunFolderError, match="expected the data"):
        fit(tmp_path, class_ids=1 - class_ids)


def test_other_settings_and_a_lost_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, progress=killer(2))
    with pytest.raises(RunFolderError, match="expected the settings"):
        fit(tmp_path, privacy=Privacy(6.0, 1e-2, draws=2))
    (tmp_path / sitting_module.KEY).unlink()
    with pytest.raises(RunFolderError, match="expected the key"):
        fit(tmp_path)


def test_the_log_holds_what_another_accountant_needs_and_the_key_goes(tmp_path: Path) -> None:
    model = fit(tmp_path)
    log = json.loads((tmp_path / sitting_module.LOG).read_text())
    assert log["finished"]
    assert log["account"]["sampling_rate"] == 0.25
    assert log["account"]["steps"] == STEPS
    assert log["account"]["delta"] == 1e-2
    assert log["account"]["noise_multiplier"] > 0
    assert not (tmp_path / sitting_module.KEY).exists()
    assert not (tmp_path / sitting_module.CHECKPOINT).exists()
    again = fit(tmp_path)
    assert equal(model, again)
    assert "ε = " in again.remarks[0]


def test_two_trainings_differ_as_their_secrets_do() -> None:
    assert not equal(fit(), fit())


def test_noise_has_the_size_that_the_account_says() -> None:
    from twinset.models.private.accounting import Account
    from twinset.models.private.trainer import PrivateTrainer

    account = Account(0.25, 3.0, 1, 1e-2, 1.0, 0.5)
    trainer = PrivateTrainer(
        {"weight": torch.zeros(40_000)},
        lambda values, one: (values["weight"][:2] * one[0]).sum(),
        account=account,
        images=40,
        key=bytes(32),
        learning_rate=lambda step: 0.0,
    )
    trainer.advance(lambda rows, generator: (torch.zeros(len(rows), 2),))
    gradient = trainer.parameters["weight"].grad
    assert gradient is not None
    assert float(gradient.std()) == pytest.approx(3.0 * 0.5 / 10, rel=0.02)
    assert float(gradient.mean()) == pytest.approx(0.0, abs=0.003)


def test_every_image_is_drawn_at_the_stated_chance_by_itself() -> None:
    from twinset.models.private.accounting import Account
    from twinset.models.private.trainer import PrivateTrainer

    trainer = PrivateTrainer(
        {"weight": torch.zeros(1)},
        lambda values, one: values["weight"].sum(),
        account=Account(0.25, 1.0, 1, 1e-2, 1.0, 1.0),
        images=200,
        key=bytes(32),
        learning_rate=lambda step: 0.0,
    )
    counts = np.zeros(200)
    sizes = []
    for step in range(300):
        trainer.step = step
        counts[trainer.rows()] += 1
        sizes.append(len(trainer.rows()))
    assert counts.mean() / 300 == pytest.approx(0.25, abs=0.01)
    # Binomial, not fixed: fixed batches would have no spread, and another account.
    assert np.std(sizes) == pytest.approx(np.sqrt(200 * 0.25 * 0.75), rel=0.2)


def test_the_time_of_a_fit_is_told_whatever_copies_would_be_looked_for() -> None:
    from twinset.models.private.calibration import seconds_per_step

    ticks = iter(range(100))
    step = seconds_per_step(
        replace(SETTINGS, training=replace(SETTINGS.training, steps=100), looks=4),
        PRIVACY,
        ImageSpec(8, 8, 1),
        2,
        threads=1,
        clock=lambda: float(next(ticks)),
    )
    assert step > 0
