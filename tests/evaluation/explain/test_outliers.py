from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.explain.outliers import outliers


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_planted_outliers_are_found_exactly_farthest_first_and_told_whether_the_twin_has_them() -> None:
    real, synthetic = draw(0, 300, 8), draw(1, 300, 8)
    directions = np.eye(8)
    for row, away in ((17, 40.0), (120, 60.0), (250, 50.0)):
        real[row] = away * directions[row % 8]
    synthetic[33] = real[120] + 0.1
    found = outliers(real, synthetic, shown=3)
    odd = found.outliers
    assert odd.rows.tolist() == [120, 250, 17]
    assert odd.contained.tolist() == [True, False, False]
    assert odd.nearest_synthetic.shape == odd.synthetic_distances.shape == (3, 3)
    assert odd.nearest_synthetic[0, 0] == 33
    assert odd.synthetic_distances[0, 0] == pytest.approx(np.sqrt(8 * 0.01))
    distances = np.linalg.norm(real - real[17], axis=1)
    assert odd.distances[2] == pytest.approx(np.sort(distances)[5])
    assert odd.nearest_real[2] == np.argsort(distances)[1]
    assert found.near < found.far < 30


def test_up_to_k_odd_images_together_are_still_odd() -> None:
    real = np.concatenate([draw(0, 300, 8), draw(1, 5, 8) * 0.1 + 30])
    assert set(outliers(real, draw(2, 50, 8), k=5).outliers.rows) == set(range(300, 305))
    assert outliers(real, draw(2, 50, 8), k=4).outliers.rows.size == 0


def test_the_rule_is_tukeys_on_log_distances() -> None:
    line = np.concatenate([np.arange(40.0), [47.0], [90.0]])[:, None]
    found = outliers(line + 0.001 * draw(0, 42, 1), np.array([[46.5]]), k=1)
    spacing = np.concatenate([np.ones(40), [8.0], [43.0]])
    low, high = np.quantile(np.log(spacing), [0.25, 0.75])
    assert found.near == pytest.approx(np.exp(high + 1.5 * (high - low)), rel=0.05)
    assert found.far == pytest.approx(np.exp(high + 3 * (high - low)), rel=0.05)
    assert found.outliers.rows.tolist() == [41, 40]
    assert found.outliers.contained.tolist() == [False, True]


def test_corner_cases_lie_between_the_fences() -> None:
    real = draw(3, 400, 2)
    found = outliers(real, draw(4, 400, 2))
    assert found.corner_cases.rows.size > 0
    assert (found.corner_cases.distances > found.near).all()
    assert (found.corner_cases.distances <= found.far).all()
    assert (found.outliers.distances > found.far).all()
    assert (np.diff(found.corner_cases.distances) <= 0).all()


@pytest.mark.parametrize("d", [2, 8, 64])
def test_gaussian_images_are_hardly_ever_outliers(d: int) -> None:
    shares = [outliers(draw(s, 200, d), draw(99, 10, d)).outliers.rows.size / 200 for s in range(20)]
    assert np.mean(shares) <= 0.003


def test_it_says_why_nothing_was_looked_at() -> None:
    assert "at least 21 real images" in outliers(draw(0, 20, 2), draw(1, 20, 2)).undefined_because
    assert "a synthetic one; got 30 and 0" in outliers(draw(0, 30, 2), np.empty((0, 2))).undefined_because
    copies = np.concatenate([np.zeros((60, 2)), draw(0, 60, 2)])
    assert "exact copies" in outliers(copies, draw(1, 20, 2)).undefined_because
    assert outliers(copies, draw(1, 20, 2)).outliers.rows.size == 0
    with pytest.raises(ValueError, match="k ≥ 1"):
        outliers(draw(0, 30, 2), draw(1, 20, 2), k=0)
