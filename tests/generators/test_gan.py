"""`use: gan` from Python and from a recipe's values, with and without privacy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from twinset import methods
from twinset.contracts import GeneratorContract, digits
from twinset.errors import MissingExtraError, RecipeError
from twinset.generators.gan import GAN
from twinset.images import ImageSpec
from twinset.models.private.accounting import Privacy
from twinset.stages import CalibratedMethod, CheckedMethod, Generator, Remarking, ResumableMethod, Workspace
from twinset.store import read_json

TINY = {"width": 16, "discriminator_width": 4, "latent": 8, "steps": 4, "batch": 8, "sample_batch": 8}
RATES = {"learning_rate": 1e-3, "discriminator_rate": 1e-3, "discriminator_steps": 2}


def tiny(**more: object) -> GAN:
    return GAN(**{**TINY, **RATES, **more})  # type: ignore[arg-type]


class TestGan(GeneratorContract):
    def method(self) -> GAN:
        return tiny()


@cache
def once(method: GAN) -> Generator:
    """Private fits differ, as their secrets do: the laws hold of one fit."""
    return method.fit(digits(), rng=0)


class TestPrivateGan(GeneratorContract):
    @pytest.fixture(autouse=True)
    def _needs_its_extra(self) -> None:
        pytest.importorskip("opacus", reason="needs twinset[dp]")

    def fitted(self, seed: int = 0) -> Generator:
        return once(self.method())

    def method(self) -> GAN:
        return tiny(batch=10**6, privacy=Privacy(20.0, 1e-2, draws=1))


def test_a_recipe_s_values_make_a_gan_that_tells_its_diversity(tmp_path: Path) -> None:
    values = {**TINY, **RATES, "changes": ["translation"], "looks": 2}
    method = methods.build("generators", "gan", values, where="generate.0")
    assert isinstance(method, GAN)
    assert isinstance(method, ResumableMethod)
    assert isinstance(method, CalibratedMethod)
    assert methods.settings_of(method)["changes"] == ["translation"]
    training = digits(120)
    generator = method.fit(
        training, rng=0, workspace=Workspace(folder=tmp_path, holdout=digits(180).take(range(120, 180)))
    )
    assert isinstance(generator, Remarking)
    assert any("by Vendi score" in remark for remark in generator.remarks)
    again = method.load(tmp_path)
    assert np.array_equal(again.sample([3], rng=1)[0].pixels(), generator.sample([3], rng=1)[0].pixels())
    assert len(generator.sample(5, rng=1)) == 5
    with pytest.raises(ValueError, match="expected class ids in 0…9; got 10"):
        generator.sample([10], rng=1)


@pytest.mark.parametrize(
    "wrong", [{"width": 10}, {"changes": ["sepia"]}, {"stepps": 3}, {"privacy": {"epsilon": -1}}, {"steps": 0}]
)
def test_what_cannot_be_understood_is_refused_with_its_place(wrong: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"generate\.0"):
        methods.build("generators", "gan", wrong, where="generate.0")


@pytest.mark.slow
def test_open_settings_are_decided_for_the_time_and_kept(tmp_path: Path) -> None:
    settled = GAN(discriminator_width=4, looks=1).resolve(
        ImageSpec(8, 8, 1), n_classes=10, n_training=60, seconds=2, threads=1
    )
    assert not settled.open
    assert settled.discriminator_width == 4
    assert settled.resolve(ImageSpec(8, 8, 1), n_classes=10, n_training=60, seconds=9, threads=1) == settled
    assert settled.fit_seconds(ImageSpec(8, 8, 1), n_classes=10, threads=1) > 0
    fixed = {**TINY, **RATES}
    del fixed["discriminator_rate"]
    generator = GAN(**fixed).fit(digits(), rng=0, workspace=Workspace(folder=tmp_path))  # type: ignore[arg-type]
    kept = read_json(tmp_path / "plan.json")
    assert isinstance(kept, dict)
    assert generator.model.settings.training.discriminator_rate == kept["discriminator_rate"]


def test_open_settings_of_a_private_one_are_large_batches_and_many_discriminator_steps() -> None:
    method = GAN(privacy=Privacy(5.0, draws=1), discriminator_width=4)
    settled = method.resolve(ImageSpec(8, 8, 1), n_classes=10, n_training=400, seconds=2, threads=1)
    assert not settled.open
    assert settled.batch == 200
    assert settled.discriminator_steps is not None
    assert settled.discriminator_steps > 1
    assert settled.privacy == method.privacy
    assert settled.fit_seconds(ImageSpec(8, 8, 1), n_classes=10, threads=1) > 0


def test_it_asks_for_its_extra_only_with_privacy(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert isinstance(GAN(), CheckedMethod)
    GAN().check()
    with pytest.raises(MissingExtraError, match="dp"):
        GAN(privacy=Privacy(1.0)).check()
