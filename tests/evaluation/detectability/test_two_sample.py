from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.detectability.two_sample import Detectability, detectability
from twinset.randomness import Stream
from twinset.scores import Score

QUICK = Detectability(permutations=99, fourier_features=64)


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def auc(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    seed: int = 0,
    settings: Detectability = QUICK,
    families: np.ndarray | None = None,
) -> Score:
    return detectability(real, synthetic, settings=settings, rng=Stream(seed), real_families=families)[0]


def test_p_values_of_equal_laws_are_uniform_and_the_interval_holds_one_half() -> None:
    scores = [auc(draw(2 * s, 60, 8), draw(2 * s + 1, 60, 8), seed=s) for s in range(120)]
    p_values = np.array([float(score.settings["p_value"]) for score in scores])
    assert 0.4 < p_values.mean() < 0.6
    assert (p_values <= 0.1).mean() < 0.2
    inside = [score.interval is not None and score.interval.low <= 0.5 <= score.interval.high for score in scores]
    assert np.mean(inside) > 0.88


def test_bursts_of_real_images_do_not_give_a_twin_away() -> None:
    families = np.arange(150) // 5
    known, blind = [], []
    for s in range(60):
        real = np.repeat(draw(3 * s, 30, 8), 5, axis=0) + 0.3 * draw(3 * s + 1, 150, 8)
        twin = np.sqrt(1 + 0.3**2) * draw(3 * s + 2, 150, 8)
        known.append(auc(real, twin, seed=s, families=families))
        if s < 5:
            blind.append(auc(real, twin, seed=s))
    assert {score.settings["n_each"] for score in known} == {30}
    p_values = np.array([float(score.settings["p_value"]) for score in known])
    assert 0.38 < p_values.mean() < 0.62
    assert (p_values <= 0.1).mean() < 0.22
    assert max(float(score.settings["p_value"]) for score in blind) <= 0.02


def test_a_shift_and_a_change_of_scale_alone_are_both_seen() -> None:
    real = draw(0, 300, 8)
    for synthetic in (draw(1, 300, 8) + 0.6, 0.7 * draw(2, 300, 8)):
        score = auc(real, synthetic)
        assert score.value is not None
        assert score.value > 0.65
        assert score.settings["p_value"] == 0.01


def test_sets_far_apart_are_always_told_apart() -> None:
    found, accuracy = detectability(draw(3, 50, 4), draw(4, 50, 4) + 20, settings=QUICK, rng=Stream(0))
    assert found.value == pytest.approx(1.0)
    assert accuracy.value == pytest.approx(1.0)
    assert found.floor == accuracy.floor == 0.5


def test_the_larger_set_is_thinned_so_that_chance_is_one_half() -> None:
    scores = detectability(draw(5, 40, 4), draw(6, 400, 4), settings=QUICK, rng=Stream(0))
    assert scores[1].settings["n_each"] == 40
    assert scores[1].value == pytest.approx(0.5, abs=0.15)
    assert scores[1].counts == {"real": 40, "synthetic": 400}


def test_equal_streams_give_equal_scores() -> None:
    real, synthetic = draw(7, 40, 4), draw(8, 40, 4)
    assert auc(real, synthetic, seed=1) == auc(real, synthetic, seed=1)


def test_copies_of_real_images_and_dead_features_do_not_break_it() -> None:
    real = np.concatenate([draw(9, 40, 3), np.zeros((40, 2))], axis=1)
    score = auc(real, real.copy())
    assert score.value is not None
    assert score.value < 0.6
    assert auc(np.ones((20, 3)), np.ones((20, 3))).value == 0.5


def test_under_ten_images_it_is_undefined() -> None:
    for score in detectability(draw(10, 9, 3), draw(11, 50, 3), settings=QUICK, rng=Stream(0)):
        assert score.value is None
        assert "at least 10" in score.undefined_because


def test_under_ten_families_it_is_undefined_however_many_images_they_hold() -> None:
    score = auc(draw(12, 90, 3), draw(13, 90, 3), families=np.arange(90) // 10)
    assert score.value is None
    assert "at least 10 families of real images; got 90 images of 9" in score.undefined_because
    assert auc(draw(12, 100, 3), draw(13, 90, 3), families=np.arange(100) // 10).value is not None


def test_a_perfect_separation_is_no_certainty() -> None:
    widths = []
    for n in (20, 100):
        score = auc(draw(0, n, 4), draw(1, n, 4) + 50)
        assert score.value == 1
        assert score.interval is not None
        assert score.interval.high == 1
        # Not above Wilson's for n of n: n / (n + 1.96²).
        assert 0.5 < score.interval.low <= n / (n + 1.96**2) + 1e-6
        widths.append(1 - score.interval.low)
    assert widths[0] > 2 * widths[1]


def test_equal_pictures_give_an_interval_with_a_width() -> None:
    same = np.ones((30, 4))
    score = auc(same, same)
    assert score.value == 0.5
    assert score.interval is not None
    assert score.interval.low < 0.45 < 0.55 < score.interval.high
