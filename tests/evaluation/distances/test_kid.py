from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.distances.kid import KernelDistance, kernel_distance, kernel_sums


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def test_a_worked_example() -> None:
    # D = 1, x = {0, 1}, y = {0, 2}: k(0,·) = 1, k(1,2) = 27, k(x₁,x₂) = k(y₁,y₂) = 1.
    # 1 + 1 − 2·(1 + 1 + 1 + 27)/4 = −13.
    assert kernel_sums(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])).value == pytest.approx(-13.0)


@pytest.mark.parametrize(("n", "m", "d"), [(3, 3, 1), (11, 6, 4), (5, 17, 9)])
def test_it_is_the_double_sum_over_all_pairs(n: int, m: int, d: int) -> None:
    x, y = draw(n, n, d) + 0.2, 1.5 * draw(m, m, d) - 0.3

    def mean(rows: np.ndarray, columns: np.ndarray, *, skip: bool) -> float:
        total, pairs = 0.0, 0
        for i, a in enumerate(rows):
            for j, b in enumerate(columns):
                if skip and i == j:
                    continue
                total += (sum(float(p * q) for p, q in zip(a, b, strict=True)) / d + 1.0) ** 3
                pairs += 1
        return total / pairs

    expected = mean(x, x, skip=True) + mean(y, y, skip=True) - 2 * mean(x, y, skip=False)
    assert kernel_distance(x, y, block=4).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("block", [1, 7, 16, 1024])
def test_blocks_change_nothing(block: int) -> None:
    x, y = draw(0, 33, 5), draw(1, 20, 5) + 0.3
    whole, parts = kernel_distance(x, y), kernel_distance(x, y, block=block)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.settings["standard_error"] == pytest.approx(whole.settings["standard_error"], rel=1e-10)


def test_the_jackknife_equals_leaving_each_image_out() -> None:
    x, y = draw(2, 9, 3), draw(3, 7, 3) + 0.5
    parts = []
    for mine, theirs, swap in ((x, y, False), (y, x, True)):
        left = [np.delete(mine, i, axis=0) for i in range(len(mine))]
        values = np.array([kernel_sums(*((theirs, z) if swap else (z, theirs))).value for z in left])
        parts.append((len(mine) - 1) / len(mine) * ((values - values.mean()) ** 2).sum())
    assert kernel_sums(x, y).standard_error == pytest.approx(np.sqrt(sum(parts)), rel=1e-10)


def test_the_standard_error_agrees_with_monte_carlo() -> None:
    found = [kernel_sums(draw(2 * s, 80, 4), draw(2 * s + 1, 60, 4) + 0.5) for s in range(300)]
    spread = np.std([sums.value for sums in found])
    assert 0.85 < np.mean([sums.standard_error for sums in found]) / spread < 1.2


def test_it_is_symmetric_and_grows_with_a_shift() -> None:
    x, y = draw(4, 50, 4), draw(5, 60, 4)
    values = [kernel_sums(x, y + shift).value for shift in (0.5, 1.0, 2.0)]
    assert 0 < values[0] < values[1] < values[2]
    assert kernel_sums(y + 1.0, x).value == pytest.approx(values[1], rel=1e-12)


def test_few_images_are_undefined_or_warned_about() -> None:
    few = kernel_distance(draw(6, 2, 3), draw(7, 50, 3))
    assert few.value is None
    assert "at least 3" in few.undefined_because
    assert "fewer than 1000" in kernel_distance(draw(8, 50, 3), draw(9, 50, 3)).warnings[0]
    assert KernelDistance().values(draw(6, 1, 3), draw(7, 5, 3)) == {"kernel_distance": None}


def test_another_kernel_makes_another_distance() -> None:
    # k(x, y) = xᵀy: MMD² of the means, without the diagonal: (0·2) + (1·3) − 2·(1·2) with x = {0, 2}, y = {1, 3}.
    sums = kernel_sums(
        np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]), kernel=lambda rows, columns: rows @ columns.T
    )
    assert sums.value == pytest.approx(-1.0)
