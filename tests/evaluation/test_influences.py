"""Influences are those of the scores themselves: their variances are the scores' squared standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation import cmmd, frechet_distance, kernel_distance, prdc
from twinset.evaluation.influences import RANKED, influenced
from twinset.evaluation.ranking import ranking


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    return draws.normal(size=(90, 6)), draws.normal(0.4, 0.8, size=(70, 6))


def test_the_values_are_those_of_the_metrics(sets: tuple[np.ndarray, np.ndarray]) -> None:
    found = influenced(*sets)
    shares = {score.name: score.value for score in prdc(*sets)}
    assert tuple(found) == tuple(RANKED)
    assert found["kernel_distance"].value == pytest.approx(kernel_distance(*sets).value)
    assert found["frechet_distance"].value == pytest.approx(frechet_distance(*sets).value)
    assert found["cmmd"].value == pytest.approx(cmmd(*sets).value)
    assert found["precision"].value == shares["precision"]


def test_their_variances_are_the_squared_standard_errors(sets: tuple[np.ndarray, np.ndarray]) -> None:
    found = influenced(*sets)
    for name, score in (("frechet_distance", frechet_distance(*sets)), ("kernel_distance", kernel_distance(*sets))):
        assert found[name].standard_error == pytest.approx(score.settings["standard_error"], rel=0.05), name


@pytest.mark.parametrize("name", ["kernel_distance", "frechet_distance", "cmmd"])
def test_weighing_an_image_more_moves_the_score_as_its_influence_says(
    name: str, sets: tuple[np.ndarray, np.ndarray]
) -> None:
    real, synthetic = (np.repeat(each, 3, axis=0) for each in sets)
    base = influenced(real, synthetic, (name,))[name]
    own = base.synthetic - base.synthetic.mean()
    moved = []
    for row in range(0, 12, 3):
        more = influenced(real, np.concatenate([synthetic, synthetic[row : row + 1]]), (name,))[name].value
        moved.append((more - base.value) * (len(synthetic) + 1))
    np.testing.assert_allclose(np.array(moved) - np.mean(moved), own[:12:3] - own[:12:3].mean(), rtol=0.15, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RANKED))
def test_equal_generators_are_seldom_ranked_apart(name: str) -> None:
    draws = np.random.default_rng(3)
    wrong = 0
    for _ in range(150):
        real = draws.normal(size=(120, 6))
        scores = [influenced(real, draws.normal(0.5, 1, size=(120, 6)), (name,))[name] for _ in range(2)]
        found = ranking("ab", scores, higher_is_better=RANKED[name])
        wrong += any((one.best, one.worst) != (1, 2) for one in found)
    assert wrong / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_copies_count_once_where_families_are_told() -> None:
    draws = np.random.default_rng(4)
    real, few = draws.normal(size=(80, 4)), draws.normal(0.3, 1, size=(40, 4))
    many = np.repeat(few, 5, axis=0)
    once = influenced(real, few, ("precision",))["precision"]
    copied = influenced(real, many, ("precision",))["precision"]
    kin = copied.by_family(np.arange(80), np.repeat(np.arange(40), 5))
    assert copied.standard_error == pytest.approx(once.standard_error / np.sqrt(5), rel=0.02)
    assert kin.standard_error == pytest.approx(once.standard_error, rel=1e-6)


def test_a_score_without_influences_is_refused() -> None:
    with pytest.raises(ValueError, match="got coverage"):
        influenced(np.zeros((9, 2)), np.zeros((9, 2)), ("coverage",))
    with pytest.raises(ValueError, match="at least 6 images"):
        influenced(np.zeros((5, 2)), np.zeros((9, 2)))
