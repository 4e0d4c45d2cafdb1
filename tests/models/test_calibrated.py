"""What all generators that learn classes share: whom they refuse, and settings that are decided once."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinset
from twinset.contracts import digits
from twinset.errors import RunFolderError
from twinset.models.calibrated import PLAN_FILE, check_classes
from twinset.models.calibration import DiffusionPlan
from twinset.models.networks import NetworkSettings
from twinset.models.private import calibration as private_calibration
from twinset.models.probing import most_able
from twinset.stages import Workspace


@pytest.mark.parametrize(
    ("method", "learner"),
    [
        (twinset.Diffusion(), "diffusion"),
        (twinset.GAN(), "a GAN"),
        (twinset.MeanEmbedding(features=2, steps=1), "a mean embedding"),
    ],
)
def test_who_learns_classes_alone_says_so_of_itself(
    method: twinset.Diffusion | twinset.GAN | twinset.MeanEmbedding, learner: str
) -> None:
    scenes = twinset.load("builtin:digit-scenes").take(range(4))
    with pytest.raises(
        ValueError, match=f"one class each, which is all that {learner} learns; got images for "
    ) as told:
        method.fit(scenes, rng=0)
    assert "\n" not in str(told.value)
    with pytest.raises(ValueError, match="expected labelled training images; got none"):
        check_classes(scenes.take([]), learner)


def test_an_open_private_fit_decides_once_and_can_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second start that timed anew would find other settings, which a private training refuses."""
    pytest.importorskip("opacus", reason="needs twinset[dp]")
    timed = iter((3, 4))

    def plan(*_: object, **__: object) -> DiffusionPlan:
        return DiffusionPlan(NetworkSettings("unet", 32, 1, 1, 2), 10**6, next(timed), 0.3)

    monkeypatch.setattr(private_calibration, "private_plan", plan)
    method = twinset.Diffusion(sampler_steps=2, privacy=twinset.Privacy(20.0, 1e-2, draws=1))
    first, again = (method.fit(digits(20), rng=0, workspace=Workspace(folder=tmp_path)) for _ in range(2))
    assert (tmp_path / PLAN_FILE).exists()
    assert first.model.settings == again.model.settings
    assert first.model.settings.training.steps == 3


@pytest.mark.parametrize("kept", ["{", '{"width": 16}', "[]"])
def test_a_damaged_plan_is_named_in_one_line(kept: str, tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text(kept)
    with pytest.raises(RunFolderError, match=r"plan\.json: expected the plan of an earlier fit") as told:
        twinset.GAN().fit(digits(), rng=0, workspace=Workspace(folder=tmp_path))
    assert "\n" not in told.value.message


def test_the_most_able_that_gets_enough_steps_is_taken_and_of_hopeless_ones_the_last() -> None:
    asked: list[float] = []

    def seconds(candidate: float, hopeless: float) -> float:
        asked.append(hopeless)
        return candidate

    assert most_able([4.0, 2.0, 1.0], seconds, budget=20.0, enough=10) == (2.0, 10)
    assert asked == [4.0, 4.0]
    assert most_able([4.0, 2.0, 1.0], seconds, budget=5.0, enough=10) == (1.0, 5)
