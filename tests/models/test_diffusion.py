from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError
from twinset.images import ImageSpec, PixelBatch
from twinset.models import diffusion as module
from twinset.models import looking
from twinset.models.diffusion import DiffusionModel, DiffusionSettings, fit_diffusion
from twinset.models.networks import NetworkSettings
from twinset.models.sampling import SamplingSettings
from twinset.models.training import TrainingSettings
from twinset.randomness import Stream


def settings(steps: int = 12, *, looks: int = 0, family: str = "unet") -> DiffusionSettings:
    levels = 2 if family == "unet" else 1
    return DiffusionSettings(
        NetworkSettings(family, 32, 1, levels, 2),  # type: ignore[arg-type]
        TrainingSettings(steps=steps, batch=16, augment=0.3),
        SamplingSettings(steps=4, batch=8),
        looks=looks,
    )


def pictures(count: int = 40, side: int = 8, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Bright left halves (class 0) and bright right halves (class 1)."""
    class_ids = np.arange(count, dtype=np.int64) % 2
    images = np.full((count, side, side, channels), 30, dtype=np.uint8)
    for row, class_id in enumerate(class_ids):
        half = slice(0, side // 2) if class_id == 0 else slice(side // 2, side)
        images[row, :, half] = 180 + row % 40
    return images, class_ids


def weights(model: DiffusionModel) -> dict[str, torch.Tensor]:
    return dict(model.denoiser.named_parameters())


def equal(left: DiffusionModel, right: DiffusionModel) -> bool:
    return all(torch.equal(value, weights(right)[name]) for name, value in weights(left).items())


def fit(**changes: object) -> DiffusionModel:
    images, class_ids = pictures()
    values: dict[str, object] = {"n_classes": 2, "settings": settings(), "rng": Stream(3), **changes}
    return fit_diffusion(images, class_ids, **values)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["unet", "transformer"])
def test_equal_streams_give_equal_weights(family: str) -> None:
    assert equal(fit(settings=settings(family=family)), fit(settings=settings(family=family)))
    assert not equal(fit(settings=settings(family=family)), fit(settings=settings(family=family), rng=Stream(4)))


@pytest.mark.slow
def test_a_fit_that_is_killed_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit()
    monkeypatch.setattr(looking, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def kill(done: int, total: int, what: str) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(folder=tmp_path, progress=kill)
    assert (tmp_path / "training.safetensors").exists()
    seen: list[int] = []
    resumed = fit(folder=tmp_path, progress=lambda done, total, what: seen.append(done))
    assert seen[0] == 8
    assert equal(whole, resumed)


@pytest.mark.slow
def test_a_fit_that_is_killed_while_it_looks_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holdout = Stream(1).numpy().integers(256, size=(24, 8, 8, 1), dtype=np.uint8)
    images = Stream(2).numpy().integers(256, size=(40, 8, 8, 1), dtype=np.uint8)
    class_ids = np.arange(40, dtype=np.int64) % 2

    def whole_fit(folder: Path | None = None) -> DiffusionModel:
        return fit_diffusion(
            images,
            class_ids,
            n_classes=2,
            settings=settings(8, looks=4),
            rng=Stream(3),
            others=looking.Others(holdout, None),
            folder=folder,
        )

    whole = whole_fit()
    assert [look["step"] for look in whole.history] == [2, 4, 6, 8]
    monkeypatch.setattr(looking, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    test = looking.copy_test
    tests: list[int] = []

    def killed(*arguments: object, **named: object) -> object:
        tests.append(1)
        if len(tests) == 4:
            raise KeyboardInterrupt
        return test(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(looking, "copy_test", killed)
    with pytest.raises(KeyboardInterrupt):
        whole_fit(tmp_path)
    resumed = whole_fit(tmp_path)
    assert resumed.history == whole.history
    assert equal(whole, resumed)


@pytest.mark.slow
def test_another_fit_s_checkpoint_is_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    fit(folder=tmp_path)
    seen: list[int] = []
    fit(folder=tmp_path, rng=Stream(9), progress=lambda done, total, what: seen.append(done))
    assert seen[0] == 1


def test_a_saved_model_samples_the_same(tmp_path: Path) -> None:
    model = fit(folder=tmp_path)
    again = DiffusionModel.load(tmp_path)
    streams = [Stream(n) for n in range(3)]
    assert np.array_equal(model.sample([0, 1, 0], [0, 1, 2], streams), again.sample([0, 1, 0], [0, 1, 2], streams))


def test_a_sample_does_not_depend_on_its_company() -> None:
    model = fit()
    streams = [Stream(n) for n in range(11)]
    together = model.sample([n % 2 for n in range(11)], list(range(11)), streams)
    for number in (0, 3, 10):
        alone = model.sample([number % 2], [number], [streams[number]])
        assert np.array_equal(alone[0], together[number])


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 13, 3)])
def test_any_size_and_colour_comes_back_in_its_shape(shape: tuple[int, int, int]) -> None:
    images = np.zeros((20, *shape), dtype=np.uint8)
    model = fit_diffusion(images, np.arange(20, dtype=np.int64) % 2, n_classes=2, settings=settings(2), rng=Stream(0))
    assert model.spec == ImageSpec(*shape)
    assert model.sample([1], [0], [Stream(0)]).shape == (1, *shape)


@pytest.mark.slow
def test_classes_are_learnt() -> None:
    model = fit(settings=settings(150))
    made = model.sample([0, 1] * 8, list(range(16)), [Stream(n) for n in range(16)]).astype(float)
    left, right = made[:, :, :4].mean(axis=(1, 2, 3)), made[:, :, 4:].mean(axis=(1, 2, 3))
    assert np.array_equal(left > right, np.arange(16) % 2 == 0)


class Found:
    """What a look finds at these p-values, one after the other; the test objects below .01."""

    membership_auc, training_hits, holdout_hits = 0.5, 0, 0

    def __init__(self, p_values: list[float]) -> None:
        self.left = list(p_values)

    def __call__(self, *args: object, **kwargs: object) -> Found:
        self.p_value = self.left.pop(0)
        self.flagged = self.p_value < 0.01
        return self


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p_values", "looked", "kept"),
    [
        ([0.5, 0.4, 0.001], [3, 6, 9], 6),
        ([0.5, 0.4, 0.03, 0.02], [3, 6, 9, 12], 6),
        ([0.5, 0.03, 0.4, 0.2], [3, 6, 9, 12], 12),
        ([0.02, 0.04, 0.03, 0.02], [3, 6, 9, 12], 6),
        ([0.001], [3], 3),
    ],
)
def test_the_model_is_the_last_look_at_which_little_spoke_for_copies(
    monkeypatch: pytest.MonkeyPatch, p_values: list[float], looked: list[int], kept: int
) -> None:
    holdout = pictures(24)[0]
    averages: dict[int, DiffusionModel] = {}
    pilot = module._Fit._pilot

    def remembered(self: module._Fit, step: int) -> PixelBatch:
        averages[step] = self.model(self.trainer.average)
        return pilot(self, step)

    monkeypatch.setattr(module._Fit, "_pilot", remembered)
    monkeypatch.setattr(looking, "copy_test", Found(p_values))
    model = fit(settings=settings(12, looks=4), others=looking.Others(holdout, None))
    assert [look["step"] for look in model.history] == looked
    assert bool(model.history[-1]["copies"]) == (len(looked) < 4)
    assert [step for step in looked if equal(model, averages[step])] == [kept]
    told = " ".join(model.remarks)
    assert told == "" if kept == looked[-1] else f"that of step {kept} of 12" in told


def test_it_says_when_nothing_could_look_for_copies() -> None:
    assert "nothing looked for copies" in fit(settings=settings(4, looks=2)).remarks[0]
    assert fit(settings=settings(4, looks=0)).remarks == ()


@pytest.mark.slow
def test_varying_little_changes_little() -> None:
    model = fit(settings=settings(60))
    images, class_ids = pictures(4)
    streams = [Stream(n) for n in range(4)]

    def change(strength: float) -> float:
        varied = model.vary(images, class_ids.tolist(), streams, strength=strength)
        return float(np.abs(varied.astype(float) - images).mean())

    assert change(0.05) < 0.5 * change(1.0)
    with pytest.raises(ValueError, match="expected 0 < strength ≤ 1"):
        model.vary(images, class_ids.tolist(), streams, strength=0.0)


@pytest.mark.parametrize("damage", [b"", b"garbage" * 100])
def test_a_damaged_model_file_is_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(damage)
    with pytest.raises(RunFolderError, match=r"model\.safetensors"):
        DiffusionModel.load(tmp_path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    model = fit(folder=tmp_path)
    with torch.no_grad():
        next(iter(weights(model).values())).fill_(float("nan"))
    model.save(tmp_path)
    with pytest.raises(RunFolderError, match="NaN"):
        DiffusionModel.load(tmp_path)
