from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.distances.cmmd import BLIND, ClipDiscrepancy, cmmd, gaussian_less_one, unit
from twinset.evaluation.protocol import Evidence
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def by_double_sum(real: np.ndarray, synthetic: np.ndarray) -> float:
    """From differences of unit vectors, pair by pair."""
    x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (real, synthetic))

    def mean(a: np.ndarray, b: np.ndarray, *, same: bool) -> float:
        values = [
            np.exp(-((p - q) ** 2).sum() / 200)
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (same and i == j)
        ]
        return float(np.mean(values))

    return 1000 * (mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False))


def test_it_equals_the_double_sum_over_unit_vectors() -> None:
    x, y = draw(0, 12, 5), 3 * draw(1, 9, 5) + 0.5
    assert cmmd(x, y).value == pytest.approx(by_double_sum(x, y), rel=1e-9)
    assert cmmd(y, x).value == pytest.approx(by_double_sum(x, y), rel=1e-9)


def test_norms_do_not_matter_not_even_extreme_ones() -> None:
    x, y = draw(2, 20, 6), draw(3, 25, 6) + 0.4
    lengths = np.logspace(-250, 250, 25)[:, None]
    assert cmmd(x * 1e-300, y * lengths).value == pytest.approx(cmmd(x, y).value, rel=1e-9)


def test_the_kernel_keeps_its_digits_near_one() -> None:
    x = np.array([[1.0, 0.0]])
    y = np.array([[np.cos(1e-5), np.sin(1e-5)]])
    assert gaussian_less_one(x, y)[0, 0] == pytest.approx(-1e-10 / 200, rel=1e-5)


def test_it_is_unbiased_where_the_customary_estimator_is_not() -> None:
    values = [float(cmmd(draw(2 * s, 50, 64), draw(2 * s + 1, 50, 64)).value or 0.0) for s in range(100)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10
    assert min(values) < 0 < max(values)
    assert np.mean(values) < 0.02  # with the diagonal it would be 1000 · .01 · 2/50 = .4


def test_the_interval_agrees_with_monte_carlo() -> None:
    found = [cmmd(draw(2 * s, 60, 8) + 0.5, draw(2 * s + 1, 50, 8) - 0.2) for s in range(200)]
    spread = np.std([score.value for score in found])
    assert 0.85 < np.mean([float(score.settings["standard_error"]) for score in found]) / spread < 1.2


def test_a_collapse_that_keeps_the_mean_is_hardly_seen_and_a_warning_says_so() -> None:
    x = draw(4, 600, 8)
    x[:, 0] += 2
    mean = unit(x).mean(axis=0)
    side = np.eye(8)[1] * np.sqrt(1 - mean @ mean)
    side -= mean * (side @ mean) / (mean @ mean)
    side *= np.sqrt(1 - mean @ mean) / np.linalg.norm(side)
    collapsed = np.repeat([mean + side, mean - side], 300, axis=0)  # two images, the mean kept
    shifted = x + 0.8 * np.eye(8)[3]
    collapse, shift = cmmd(x, collapsed), cmmd(x, shifted)
    assert abs(collapse.value) < 0.02 * shift.value
    assert BLIND in collapse.warnings


def test_undefined_cases_say_why() -> None:
    assert "at least 3" in cmmd(draw(5, 2, 3), draw(6, 9, 3)).undefined_because
    zeros = np.concatenate([draw(7, 5, 3), np.zeros((2, 3))])
    assert "0 real and 2 synthetic images have features of zeros" in cmmd(draw(8, 5, 3), zeros).undefined_because
    with pytest.raises(ValueError, match="2 rows of zeros"):
        unit(zeros)


def test_as_a_metric() -> None:
    x, y = draw(9, 30, 4), draw(10, 30, 4) + 1
    (score,) = ClipDiscrepancy().measure(Evidence(x, y, "clip"), rng=Stream(0))
    assert score.extractor == "clip"
    assert ClipDiscrepancy().values(x, y) == {"cmmd": score.value}
    assert ClipDiscrepancy().values(x[:1], y) == {"cmmd": None}
