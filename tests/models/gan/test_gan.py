"""Training, resuming, keeping and sampling a GAN, and what it tells of its diversity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from twinset.errors import RunFolderError, UsageError
from twinset.images import ImageSpec
from twinset.models import looking
from twinset.models.gan.augmentation import CHANGES
from twinset.models.gan.diversity import class_diversity, diversity_remark, spread_within
from twinset.models.gan.fitting import fit_gan
from twinset.models.gan.model import Facts, GanModel, GanSettings
from twinset.models.gan.networks import GanNetworkSettings, build_gan
from twinset.models.gan.training import GanTrainer, GanTrainingSettings, draw_gan_batch, hinge, r1
from twinset.models.private.accounting import Account
from twinset.models.training import TrainingSet
from twinset.randomness import Stream


def settings(steps: int = 12, *, looks: int = 0, **changes: object) -> GanSettings:
    given = {"batch": 16, "discriminator_steps": 1, "changes": CHANGES, "r1": 0.1, **changes}
    training = GanTrainingSettings(steps=steps, **given)  # type: ignore[arg-type]
    return GanSettings(GanNetworkSettings(16, 8, 8), training, looks=looks, sample_batch=8)


def pictures(count: int = 40, side: int = 8, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Bright left halves (class 0) and bright right halves (class 1)."""
    class_ids = np.arange(count, dtype=np.int64) % 2
    images = np.full((count, side, side, channels), 30, dtype=np.uint8)
    for row, class_id in enumerate(class_ids):
        half = slice(0, side // 2) if class_id == 0 else slice(side // 2, side)
        images[row, :, half] = 180 + row % 40
    return images, class_ids


def fit(**changes: object) -> GanModel:
    images, class_ids = pictures()
    values: dict[str, object] = {"n_classes": 2, "settings": settings(), "rng": Stream(3), **changes}
    return fit_gan(images, class_ids, **values)  # type: ignore[arg-type]


def equal(left: GanModel, right: GanModel) -> bool:
    others = dict(right.generator.named_parameters())
    return all(torch.equal(value, others[name]) for name, value in left.generator.named_parameters())


@pytest.mark.slow
def test_equal_streams_give_equal_weights() -> None:
    assert equal(fit(), fit())
    assert not equal(fit(), fit(rng=Stream(4)))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_fit_that_is_killed_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole = fit(settings=settings(discriminator_steps=steps))
    monkeypatch.setattr(looking, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def kill(done: int, total: int, what: str) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings=settings(discriminator_steps=steps), folder=tmp_path, progress=kill)
    seen: list[int] = []
    resumed = fit(
        settings=settings(discriminator_steps=steps),
        folder=tmp_path,
        progress=lambda done, total, what: seen.append(done),
    )
    assert seen[0] == 9
    assert equal(whole, resumed)
    assert whole.facts == resumed.facts
    assert not (tmp_path / "training.safetensors").exists()


def test_another_fit_s_checkpoint_is_not_continued_and_a_finished_one_is_loaded(tmp_path: Path) -> None:
    fit(folder=tmp_path)
    seen: list[int] = []

    def progress(done: int, total: int, what: str) -> None:
        seen.append(done)

    fit(folder=tmp_path, progress=progress)
    assert not seen
    fit(folder=tmp_path, rng=Stream(9), progress=progress)
    assert seen[0] == 1


def test_a_saved_model_samples_and_tells_the_same(tmp_path: Path) -> None:
    model = fit(folder=tmp_path)
    again = GanModel.load(tmp_path)
    streams = [Stream(n) for n in range(3)]
    assert np.array_equal(model.sample([0, 1, 0], [0, 1, 2], streams), again.sample([0, 1, 0], [0, 1, 2], streams))
    assert again.facts == model.facts
    assert again.settings == model.settings
    assert again.remarks(("a", "b")) == model.remarks(("a", "b"))


def test_the_discriminator_is_not_kept(tmp_path: Path) -> None:
    from twinset.models.checkpoint import load_tensors

    model = fit(folder=tmp_path)
    tensors, _ = load_tensors(tmp_path / "model.safetensors")
    assert set(tensors) == {name for name, _ in model.generator.named_parameters()}


def test_a_sample_does_not_depend_on_its_company() -> None:
    model = fit()
    streams = [Stream(n) for n in range(11)]
    together = model.sample([n % 2 for n in range(11)], list(range(11)), streams)
    for number in (0, 3, 10):
        assert np.array_equal(model.sample([number % 2], [number], [streams[number]])[0], together[number])


@pytest.mark.parametrize("shape", [(20, 20, 1), (9, 13, 3)])
def test_any_size_and_colour_comes_back_in_its_shape(shape: tuple[int, int, int]) -> None:
    images = Stream(0).numpy().integers(256, size=(20, *shape), dtype=np.uint8)
    model = fit_gan(images, np.arange(20, dtype=np.int64) % 2, n_classes=2, settings=settings(2), rng=Stream(0))
    assert model.spec == ImageSpec(*shape)
    assert model.sample([1], [0], [Stream(0)]).shape == (1, *shape)


def test_looks_stop_a_fit_that_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        flagged, p_value, membership_auc, training_hits, holdout_hits = True, 0.001, 0.9, 5, 0

    monkeypatch.setattr(looking, "copy_test", lambda *given, **named: Found())
    model = fit(settings=settings(12, looks=4), others=looking.Others(pictures(24)[0], None))
    assert [look["step"] for look in model.facts.history] == [3]
    assert fit(settings=settings(4, looks=2)).remarks(("a", "b"))[0].startswith("While the GAN trained, nothing looked")


def test_damaged_files_and_other_models_are_named(tmp_path: Path) -> None:
    from twinset.models.checkpoint import save_tensors

    (tmp_path / "model.safetensors").write_bytes(b"garbage" * 100)
    with pytest.raises(RunFolderError, match=r"model\.safetensors"):
        GanModel.load(tmp_path)
    save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(1)}, {"n_classes": 2})
    with pytest.raises(RunFolderError, match="expected a GAN of this version"):
        GanModel.load(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"discriminator_steps": 3, "steps": 2},
        {"learning_rate": 0.0},
        {"r1": -1.0},
        {"changes": ("colour", "colour")},
        {"changes": ("sepia",)},
        {"ema": 0.5},
    ],
)
def test_trainings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        GanTrainingSettings(**wrong)  # type: ignore[arg-type]


def test_a_loss_that_is_not_finite_stops_training() -> None:
    spec, own = ImageSpec(8, 8, 1), settings()
    trainer = GanTrainer(build_gan(own.network, spec, 2, generator=Stream(0).torch()), own.training, rng=Stream(0))
    batch = draw_gan_batch(0, TrainingSet(*pictures()), own.training, own.network.latent, rng=Stream(0))
    with pytest.raises(UsageError, match="step 0"):
        trainer.advance(batch._replace(real=batch.real * float("nan")))


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    data, own = TrainingSet(*pictures()), settings().training
    first, again, later = (draw_gan_batch(step, data, own, 8, rng=Stream(1)) for step in (5, 5, 6))
    assert all(torch.equal(left, right) for left, right in zip(first[:4], again[:4], strict=True))
    assert torch.equal(first.of_made.numbers, again.of_made.numbers)
    assert not torch.equal(first.latent, first.latent_again)
    assert not torch.equal(first.latent, later.latent)
    assert not torch.equal(first.of_real.numbers, first.of_made.numbers)


def test_hinge_is_least_where_both_are_told_apart() -> None:
    right, wrong = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -3.0])
    assert float(hinge(right, wrong)) == 0
    assert float(hinge(wrong, right)) == 6
    assert float(hinge(torch.zeros(2), torch.zeros(2))) == 2


class Slope(nn.Module):
    """⟨a, x⟩ for one a."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(4.0).view(1, 1, 2, 2))

    def forward(self, images: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        return (images * self.weight).sum(dim=(1, 2, 3))


def test_r1_of_a_linear_discriminator_is_half_the_squared_slope() -> None:
    judge = Slope()
    weights = dict(judge.named_parameters())
    found = r1(judge, weights, torch.randn(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))  # type: ignore[arg-type]
    assert float(found.detach()) == pytest.approx(7.0)
    found.backward()
    assert torch.allclose(judge.weight.grad, judge.weight.detach())  # type: ignore[arg-type]


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = Stream(seed).numpy()
    return draw.integers(256, size=(count, 8, 8, 1), dtype=np.uint8), np.arange(count, dtype=np.int64) % 2


def test_diversity_is_one_against_the_like_and_falls_where_modes_are_missing() -> None:
    real, of_real = noisy(100, 0)
    same, of_same = noisy(100, 1)
    assert class_diversity(same, of_same, real, of_real, n_classes=2) == pytest.approx((1, 1), abs=0.05)
    two = same.copy()
    two[of_same == 1] = same[of_same == 1][np.arange(50) % 2]
    fine, collapsed = class_diversity(two, of_same, real, of_real, n_classes=2)
    assert fine == pytest.approx(1, abs=0.05)
    assert collapsed == pytest.approx(2 / 50, abs=0.03)
    assert class_diversity(same[:6], of_same[:6], real, of_real, n_classes=3) == (None, None, None)


def test_collapse_is_told_by_class() -> None:
    told = diversity_remark([0.9, 0.2, None], ("cat", "dog", "rare"))
    assert told.startswith("Mode collapse of the GAN, less than half the diversity in 1 of 2 classes")
    assert "lowest 0.20, class dog" in told
    assert diversity_remark([0.9, 0.8], ("cat", "dog")).startswith("The GAN's diversity: ")
    assert diversity_remark([None], ("rare",)) == ""


def test_spread_is_none_of_it_where_every_class_is_one_picture() -> None:
    images, class_ids = noisy(40, 0)
    assert spread_within(images[class_ids], class_ids) == pytest.approx(0, abs=1e-9)
    assert spread_within(images, class_ids) > 0.9


def test_a_private_model_tells_its_account_and_compares_with_nothing() -> None:
    model = fit()
    account = Account(0.25, 2.0, 100, 1e-3, 4.98, 1.0)
    private = GanModel(model.generator, model.spec, 2, model.settings, Facts(account=account, spread=0.4))
    (told,) = private.remarks(("a", "b"))
    assert "ε = 4.98" in told
    assert "it is not kept" in told
    assert "40% lies within classes" in told


@pytest.mark.slow
def test_classes_are_learnt() -> None:
    model = fit(settings=settings(200, discriminator_steps=1))
    made = model.sample([0, 1] * 8, list(range(16)), [Stream(n) for n in range(16)]).astype(float)
    left, right = made[:, :, :4].mean(axis=(1, 2, 3)), made[:, :, 4:].mean(axis=(1, 2, 3))
    assert np.array_equal(left > right, np.arange(16) % 2 == 0)
