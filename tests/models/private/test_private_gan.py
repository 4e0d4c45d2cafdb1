"""Private training of a GAN: only its discriminator sees images, and what it logs, resumes, refuses and spends."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError
from twinset.models.gan.model import GanModel, GanSettings
from twinset.models.gan.networks import GanNetworkSettings
from twinset.models.gan.training import GanTrainingSettings
from twinset.models.private import sitting as sitting_module
from twinset.models.private.accounting import Account, Privacy, account_of
from twinset.models.private.gan import PrivateGanTrainer, fit_private_gan
from twinset.models.private.gradients import clipped_sum
from twinset.models.training import TrainingSet
from twinset.randomness import Stream

STEPS = 5
SETTINGS = GanSettings(
    GanNetworkSettings(16, 4, 8), GanTrainingSettings(steps=STEPS, batch=10, discriminator_steps=2), looks=0
)
PRIVACY = Privacy(5.0, 1e-2, draws=2)
account_once = cache(account_of)


def images(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return (
        Stream(1).numpy().integers(256, size=(count, 8, 8, 1), dtype=np.uint8),
        np.arange(count, dtype=np.int64) % 2,
    )


def trainer(data: tuple[np.ndarray, np.ndarray], account: Account, **changes: object) -> PrivateGanTrainer:
    values: dict[str, object] = {"draws": 2, "key": bytes(32), **changes}
    return PrivateGanTrainer(TrainingSet(*data), 2, SETTINGS, account=account, **values)  # type: ignore[arg-type]


def fit(folder: Path | None = None, **changes: object) -> GanModel:
    pictures, class_ids = images()
    values: dict[str, object] = {"images": pictures, "class_ids": class_ids, "n_classes": 2, "privacy": PRIVACY}
    return fit_private_gan(settings=SETTINGS, folder=folder, **{**values, **changes})  # type: ignore[arg-type]


def equal(left: GanModel, right: GanModel) -> bool:
    others = dict(right.generator.named_parameters())
    return all(torch.equal(value, others[name]) for name, value in left.generator.named_parameters())


class Killed(Exception):
    pass


def killer(at: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done == at:
            raise Killed

    return progress


@pytest.fixture(autouse=True)
def _every_step_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opacus", reason="needs twinset[dp]")
    monkeypatch.setattr(sitting_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(sitting_module, "account_of", account_once)


def begin(folder: Path) -> Path:
    """A folder in which a training with a known key is about to begin."""
    folder.mkdir(parents=True)
    (folder / sitting_module.KEY).write_bytes(bytes(32))
    return folder


@pytest.mark.slow
def test_a_killed_training_ends_as_an_undisturbed_one_and_spends_the_same(tmp_path: Path) -> None:
    whole = fit(begin(tmp_path / "whole"))
    killed = begin(tmp_path / "killed")
    for at in (1, 3):
        with pytest.raises(Killed):
            fit(killed, progress=killer(at))
    seen: list[int] = []
    resumed = fit(killed, progress=lambda done, total, what: seen.append(done))
    assert seen == [4, 5]
    assert equal(whole, resumed)
    assert resumed.facts == whole.facts
    assert resumed.facts.account is not None
    assert resumed.facts.account.steps == STEPS
    assert not (killed / sitting_module.KEY).exists()
    assert equal(whole, fit(killed))
    log = json.loads((killed / sitting_module.LOG).read_text())
    assert (log["finished"], log["account"]["steps"], log["account"]["sampling_rate"]) == (True, STEPS, 0.25)


@pytest.mark.slow
def test_changed_data_and_settings_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, progress=killer(2))
    pictures, class_ids = images()
    with pytest.raises(RunFolderError, match="expected the data that this private training began with") as told:
        fit(tmp_path, images=255 - pictures)
    assert "\n" not in str(told.value)
    with pytest.raises(RunFolderError, match="expected the data"):
        fit(tmp_path, class_ids=1 - class_ids)
    with pytest.raises(RunFolderError, match="expected the settings"):
        fit(tmp_path, privacy=Privacy(6.0, 1e-2, draws=2))


def test_two_trainings_differ_as_their_secrets_do() -> None:
    assert not equal(fit(), fit())


def test_the_generator_sees_images_through_the_discriminator_alone() -> None:
    """With other images and the discriminator as it was, its step is the same, bit for bit; the other's is not."""
    pictures, class_ids = images()
    account = Account(1.0, 0.0, STEPS, 1e-2, float("inf"), 1.0)
    here, there = (trainer((each, class_ids), account) for each in (pictures, 255 - pictures))
    for one in (here, there):
        one._generator_step()
    assert all(
        torch.equal(value, there.generator.parameters[name]) for name, value in here.generator.parameters.items()
    )
    for one in (here, there):
        one.advance()
    mine, theirs = here.discriminator.parameters, there.discriminator.parameters
    assert not all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_one_image_more_moves_the_sum_by_no_more_than_the_clip() -> None:
    pictures, class_ids = images(6)
    one = trainer((pictures, class_ids), Account(1.0, 1.0, STEPS, 1e-2, 1.0, 0.3))
    drawn = one._drawn(np.arange(6), Stream(2).torch())
    weights = one.discriminator.parameters
    whole, norms = clipped_sum(one._loss, weights, drawn, clip=0.3)
    assert float(norms.min()) > 0.3
    for left_out in range(6):
        kept = [row for row in range(6) if row != left_out]
        part, _ = clipped_sum(one._loss, weights, tuple(each[kept] for each in drawn), clip=0.3)
        moved = torch.cat([(whole[name] - part[name]).flatten() for name in whole]).norm()
        assert float(moved) == pytest.approx(0.3, rel=1e-3)


def test_the_generator_steps_after_so_many_of_the_discriminator() -> None:
    one = trainer(images(), Account(0.25, 1.0, STEPS, 1e-2, 1.0, 1.0))
    done = []
    for _ in range(STEPS):
        one.advance()
        done.append((one.step, one.generator.step))
    assert done == [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]


def test_a_step_that_draws_nobody_still_adds_noise() -> None:
    one = trainer(images(), Account(1e-9, 1.0, STEPS, 1e-2, 1.0, 1.0))
    before = {name: value.clone() for name, value in one.discriminator.parameters.items()}
    one.advance()
    assert not any(torch.equal(value, before[name]) for name, value in one.discriminator.parameters.items())


def test_without_noise_no_privacy_is_claimed(tmp_path: Path) -> None:
    model = fit(tmp_path, privacy=Privacy(None, draws=1))
    assert "no differential privacy is claimed" in model.remarks(("a", "b"))[0]
    assert "no differential privacy is claimed" in GanModel.load(tmp_path).remarks(("a", "b"))[0]
