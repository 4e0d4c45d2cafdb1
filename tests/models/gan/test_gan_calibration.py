"""Times of a GAN's steps, by a clock that only its steps move on: 1 s the discriminator's, 2 s the generator's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from twinset.images import ImageSpec
from twinset.models.gan import training as usual
from twinset.models.gan.calibration import USUAL, calibrate, private_seconds_per_step, seconds_per_step
from twinset.models.gan.choices import GanChoices
from twinset.models.private import gan as private
from twinset.models.private.accounting import Privacy
from twinset.models.private.trainer import PrivateTrainer

SPEC = ImageSpec(8, 8, 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    now = [0.0]

    def slowly(step: Callable[..., object], seconds: float) -> Callable[..., object]:
        def timed(*given: object, **named: object) -> object:
            now[0] += seconds
            return step(*given, **named)

        return timed

    monkeypatch.setattr(usual.GanTrainer, "_judge", slowly(usual.GanTrainer._judge, 1.0))
    monkeypatch.setattr(PrivateTrainer, "advance", slowly(PrivateTrainer.advance, 1.0))
    for module in (usual, private):
        monkeypatch.setattr(module, "generator_step", slowly(module.generator_step, 2.0))
    return lambda: now[0]


def choices(**given: int) -> GanChoices:
    return GanChoices(**{"width": 16, "discriminator_width": 4, "latent": 8, "batch": 8, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("between", [1, 4])
def test_a_step_counts_its_share_of_a_generator_s(clock: Callable[[], float], between: int) -> None:
    settings = choices(discriminator_steps=between).settings(USUAL)
    found = seconds_per_step(settings, SPEC, 2, threads=1, clock=clock)
    assert found == pytest.approx(1 + 2 / between)


def test_a_hopeless_one_is_told_by_its_discriminator_alone(clock: Callable[[], float]) -> None:
    settings = choices(discriminator_steps=1).settings(USUAL)
    assert seconds_per_step(settings, SPEC, 2, threads=1, clock=clock, hopeless=0.5) == 1


@pytest.mark.parametrize(("batch", "discriminator", "generator"), [(160, 10, 20), (1600, 100, 32)])
def test_a_private_generator_makes_no_more_than_it_ever_does(
    clock: Callable[[], float], batch: int, discriminator: float, generator: float
) -> None:
    settings = choices(discriminator_steps=4, batch=batch).settings(USUAL)
    found = private_seconds_per_step(settings, Privacy(1.0, draws=1), SPEC, 2, threads=1, clock=clock)
    assert found == pytest.approx(discriminator + generator / 4)


def test_the_time_decides_the_steps_and_what_was_asked_for_stays(clock: Callable[[], float]) -> None:
    """A step is 1 + 2/2 s here, of .85 of the time."""
    own = choices(discriminator_steps=2).settings
    plan = partial(calibrate, SPEC, own, n_classes=2, n_training=20, threads=1, clock=clock)
    assert plan(seconds=1000).steps == 425
    assert plan(seconds=1e6).steps == 1500
    with pytest.raises(ValueError, match="expected seconds > 0 and training images"):
        plan(seconds=0)
