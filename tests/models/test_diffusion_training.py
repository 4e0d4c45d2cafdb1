"""Batches, averages, schedules and calibration of diffusion training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from twinset.errors import UsageError
from twinset.images import ImageSpec, to_model
from twinset.models.calibration import FEWEST_STEPS, calibrate, candidates
from twinset.models.descent import Descent, ema_exponent
from twinset.models.diffusion import fresh_denoiser
from twinset.models.networks import NetworkSettings
from twinset.models.training import (
    Trainer,
    TrainingSet,
    TrainingSettings,
    batch_rows,
    draw_batch,
    learning_rate_at,
)
from twinset.randomness import Stream
from twinset.threads import torch_threads

SPEC = ImageSpec(8, 8, 1)
DATA = TrainingSet(
    np.random.default_rng(0).integers(256, size=(10, 8, 8, 1), dtype=np.uint8), np.arange(10, dtype=np.int64) % 2
)


def draw(step: int, settings: TrainingSettings, seed: int = 0) -> list[torch.Tensor]:
    return list(draw_batch(step, DATA, settings, null_class=2, sigma_data=0.5, rng=Stream(seed)))


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    settings = TrainingSettings(steps=9, batch=7, augment=0.5)
    alone = draw(5, settings)
    for step in range(5):
        draw(step, settings)
    assert all(torch.equal(left, right) for left, right in zip(alone, draw(5, settings), strict=True))
    assert not torch.equal(alone[1], draw(6, settings)[1])
    assert not torch.equal(alone[1], draw(5, settings, seed=1)[1])


def test_every_image_comes_once_an_epoch() -> None:
    rows = np.concatenate([batch_rows(step, images=10, batch=4, rng=Stream(3)) for step in range(10)])
    for epoch in rows.reshape(4, 10):
        assert sorted(epoch.tolist()) == list(range(10))


def test_batches_carry_the_images_and_drop_some_classes() -> None:
    settings = TrainingSettings(steps=2, batch=2000, class_dropout=0.1)
    clean, _, sigma, class_ids, augmentation = draw(0, settings)
    rows = batch_rows(0, images=10, batch=2000, rng=Stream(0))
    assert torch.equal(clean, to_model(DATA.images[rows]))
    assert not augmentation.any()
    dropped = class_ids == 2
    assert 0.07 < float(dropped.double().mean()) < 0.13
    assert torch.equal(class_ids[~dropped], torch.from_numpy(DATA.class_ids[rows])[~dropped])
    assert float((sigma / 0.5).log().mean()) == pytest.approx(-0.5, abs=0.01)


def test_a_memory_map_trains_like_an_array(tmp_path: object) -> None:
    path = f"{tmp_path}/images.npy"
    np.save(path, DATA.images)
    mapped = TrainingSet(np.load(path, mmap_mode="r"), DATA.class_ids)
    settings = TrainingSettings(steps=2, batch=4)
    left = draw_batch(1, mapped, settings, null_class=2, sigma_data=0.5, rng=Stream(0))
    assert all(torch.equal(a, b) for a, b in zip(left, draw(1, settings), strict=True))


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    settings = TrainingSettings(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate_at(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == 1.0
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_the_average_weighs_steps_by_a_power_of_time(width: float) -> None:
    """Weights ∝ t^γ have relative spread ``width`` (Karras et al. 2024)."""
    value = torch.zeros(1)
    descent = Descent({"weight": value}, torch.optim.SGD([value], lr=1.0), ema=width)
    times = np.arange(1, 401)
    moments = []
    for power in (1, 2):
        for time in times:
            descent.step = int(time)
            value.fill_((time / 400) ** power)
            descent._update_average()
        moments.append(float(descent.average["weight"]))
    assert np.sqrt(moments[1] - moments[0] ** 2) == pytest.approx(width, rel=0.05)
    assert ema_exponent(0.1) == pytest.approx(6.94, abs=0.01)


def test_a_loss_that_is_not_finite_stops_training() -> None:
    settings = TrainingSettings(steps=3, batch=4)
    trainer = Trainer(
        fresh_denoiser(NetworkSettings("unet", 32, 1, 1, 4), SPEC, 2, sigma_data=0.5, rng=Stream(0)), settings
    )
    batch = draw_batch(0, DATA, settings, null_class=2, sigma_data=0.5, rng=Stream(0))
    with pytest.raises(UsageError, match="step 0"):
        trainer.advance(batch._replace(noise=batch.noise * float("nan")))


def test_the_thread_count_is_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def clock(seconds: float) -> Callable[[], float]:
    """Every reading is this much later."""
    now = [0.0]

    def read() -> float:
        now[0] += seconds
        return now[0]

    return read


def plan(seconds: float, step: float, images: int = 100) -> tuple[NetworkSettings, int]:
    found = calibrate(SPEC, n_classes=2, n_training=images, seconds=seconds, threads=1, clock=clock(step))
    return found.network, found.steps


@pytest.mark.slow
def test_more_time_gives_more_steps_up_to_a_limit_and_then_a_wider_network() -> None:
    widest, narrowest = candidates(SPEC)[0], candidates(SPEC)[-1]
    assert plan(5, 0.1) == (narrowest, FEWEST_STEPS)
    network, steps = plan(20, 0.1)
    assert network == narrowest
    assert steps == 150
    assert plan(60, 0.1)[0] == widest
    assert plan(1e6, 0.1) == plan(1e7, 0.1)


def test_large_pictures_get_coarse_patches_and_a_family_can_be_asked_for() -> None:
    assert max(network.patch for network in candidates(SPEC)) < min(
        network.patch for network in candidates(ImageSpec(64, 64, 3))
    )
    assert {network.family for network in candidates(SPEC, family="transformer")} == {"transformer"}


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"n_training": 0}])
def test_nothing_to_calibrate_for_is_refused(wrong: dict[str, float]) -> None:
    values = {"n_classes": 2, "n_training": 5, "seconds": 1.0, "threads": 1, **wrong}
    with pytest.raises(ValueError, match="expected"):
        calibrate(SPEC, **values)  # type: ignore[arg-type]
