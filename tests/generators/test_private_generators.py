"""Generators with ``privacy`` from Python and from a recipe's values."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from twinset import methods
from twinset.contracts import GeneratorContract, digits
from twinset.errors import MissingExtraError, RecipeError
from twinset.formats import read
from twinset.generators.diffusion import Diffusion
from twinset.generators.mean_embedding import MeanEmbedding
from twinset.images import ImageSpec
from twinset.models.private.accounting import Privacy
from twinset.stages import CheckedMethod, Generator, ResumableMethod, Workspace

pytest.importorskip("opacus", reason="needs twinset[dp]")
TINY = {"family": "transformer", "width": 32, "depth": 1, "levels": 1, "patch": 4, "augment": 0.2, "sampler_steps": 3}


@pytest.mark.slow
def test_a_recipe_s_values_make_a_private_diffusion_that_says_what_it_spent(tmp_path: Path) -> None:
    values = {**TINY, "steps": 3, "batch": 12, "privacy": {"epsilon": 5, "delta": 1e-3, "clip": 1.0}}
    method = methods.build("generators", "diffusion", values, where="generate.0")
    assert isinstance(method, Diffusion)
    assert method.privacy == Privacy(5.0, 1e-3, 1.0)
    assert methods.settings_of(method)["privacy"] == {"epsilon": 5.0, "delta": 1e-3, "clip": 1.0, "draws": 4}
    training = read("builtin:digits", on_bad_input="refuse")[0].take(range(40))
    generator = method.fit(training, rng=0, workspace=Workspace(folder=tmp_path))
    assert "ε = " in generator.remarks[0]
    assert generator.shares is None
    assert method.load(tmp_path).remarks == generator.remarks
    assert len(generator.sample(3, rng=1)) == 3


@pytest.mark.parametrize("wrong", [{"epsilon": 5, "noise": 2}, {"epsilon": -1}, {"delta": 1e-3}])
def test_privacy_that_cannot_be_understood_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=r"generate\.0"):
        methods.build("generators", "diffusion", {"privacy": wrong}, where="generate.0")


def test_open_settings_of_a_private_diffusion_are_decided_for_the_time() -> None:
    method = Diffusion(privacy=Privacy(5.0, draws=1))
    settled = method.resolve(ImageSpec(8, 8, 1), n_classes=10, n_training=400, seconds=5, threads=1)
    assert not settled.open
    assert settled.batch == 100
    assert settled.privacy == method.privacy


def test_it_asks_for_its_extra_only_with_privacy(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert isinstance(Diffusion(), CheckedMethod)
    Diffusion().check()
    with pytest.raises(MissingExtraError, match="dp"):
        Diffusion(privacy=Privacy(1.0)).check()


def test_a_mean_embedding_from_a_recipe(tmp_path: Path) -> None:
    values = {"features": 100, "steps": 20, "privacy": {"epsilon": 5}}
    method = methods.build("generators", "mean-embedding", values, where="generate.0")
    assert isinstance(method, MeanEmbedding)
    assert isinstance(method, ResumableMethod)
    training = read("builtin:digits", on_bad_input="refuse")[0].take(range(60))
    generator = method.fit(training, rng=0, workspace=Workspace(folder=tmp_path))
    assert "DP-MERF" in generator.remarks[0]
    assert np.array_equal(
        method.load(tmp_path).model.network.last.weight.numpy(), generator.model.network.last.weight.numpy()
    )


@cache
def once(method: MeanEmbedding | Diffusion) -> Generator:
    """Private fits differ, as their secrets do: the laws hold of one fit."""
    return method.fit(digits(), rng=0)


class TestMeanEmbedding(GeneratorContract):
    def fitted(self, seed: int = 0) -> Generator:
        return once(self.method())

    def method(self) -> MeanEmbedding:
        return MeanEmbedding(features=100, steps=10, width=32)


class TestPrivateDiffusion(GeneratorContract):
    def fitted(self, seed: int = 0) -> Generator:
        return once(self.method())

    def method(self) -> Diffusion:
        return Diffusion(**TINY, steps=2, batch=10**6, sample_batch=4, privacy=Privacy(20.0, 1e-2, draws=1))  # type: ignore[arg-type]
