"""When differential privacy is claimed of an evolution, and what is said where it is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import pytest
from tests.alignment.evolution.greys import Extractor

from twinset.alignment.evolution import Evolution, Guarantee, epsilon, guarantee
from twinset.stages import Embedder

NOISY = Evolution(rounds=4, sigma=6.0)
FIXED = Extractor()
IDS = frozenset({"a", "b", "c"})


def account(settings: Evolution = NOISY, embedder: Extractor = FIXED, **given: object) -> Guarantee:
    return guarantee(  # type: ignore[arg-type]
        settings, images=100, embedder=cast(Embedder, embedder), private_ids=IDS, **given
    )


def test_noise_and_foreign_features_are_claimed_with_their_numbers() -> None:
    found = account()
    assert found.claimed
    assert found.delta == pytest.approx(1e-3)
    assert found.epsilon == epsilon(6.0, 4, 1e-3)
    first, *rest = found.sentences()
    assert f"ε = {found.epsilon:.4g} at δ = 0.001, for one image more or less" in first
    assert any("not covered" in sentence for sentence in rest)


def test_features_that_saw_the_images_forbid_the_claim() -> None:
    found = account(embedder=Extractor(frozenset({"c", "x"})))
    assert not found.claimed
    assert "extractor, which was trained on 1 of the images" in found.sentences()[0]
    assert account(embedder=Extractor(frozenset({"x"}))).claimed


def test_whatever_else_touched_the_images_forbids_the_claim() -> None:
    found = account(touched=("the backdrops are exposed images",))
    assert not found.claimed
    assert "not claimed all the same: the backdrops are exposed images" in found.sentences()[0]


def test_without_noise_nothing_is_claimed() -> None:
    found = account(replace(NOISY, sigma=0.0))
    assert math.isinf(found.epsilon)
    assert not found.claimed
    assert found.sentences() == ("The votes were counted without noise: no differential privacy is claimed.",)


def test_families_and_replacement_cost_more_and_split_votes_less() -> None:
    assert account(family=3).family == (3, epsilon(6.0, 4, 1e-3, sensitivity=3.0))
    assert "a whole family of 3 images" in account(family=3).sentences()[0]
    assert account(neighbours="replace").epsilon > account().epsilon
    assert account(replace(NOISY, votes=4)).epsilon == epsilon(6.0, 4, 1e-3, sensitivity=0.5)


def test_votes_on_several_generators_are_one_account() -> None:
    found = account(generators=3, family=2)
    assert found.epsilon == epsilon(6.0, 12, 1e-3) > account().epsilon
    assert found.family == (2, epsilon(6.0, 12, 1e-3, sensitivity=2.0))
    assert found.sentences()[0].startswith(
        f"4 rounds of votes on each of 3 generators with noise of 6 votes amount together to ε = {found.epsilon:.4g} at"
    )
