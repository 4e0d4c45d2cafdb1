from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods.points import Points, Screen, pair_squares, screening_margin


def points(seed: int, n: int, d: int, *, scale: float = 1.0, centre: np.ndarray | None = None) -> Points:
    x = scale * np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))
    return Points.of(x, "test", np.zeros(d) if centre is None else centre, 64)


@pytest.mark.parametrize("dimension", [1, 7, 512, 4096])
@pytest.mark.parametrize("scale", [1e-18, 1.0, 3e15])
def test_screened_bounds_enclose_every_squared_distance(dimension: int, scale: float) -> None:
    first, second = points(0, 40, dimension, scale=scale), points(1, 60, dimension, scale=scale)
    # Neighbours at a distance far below float32's resolution of their norms, and copies.
    second.features[:20] = first.features[:20] * (1 + 1e-6)
    second.features[20:30] = first.features[20:30]
    second = Points.of(second.features, "test", first.centre, 64)
    screen = Screen.over(first, second)
    rows, columns = (each.ravel() for each in np.indices((40, 60)))
    exact = pair_squares(first.features, second.features, rows, columns).reshape(40, 60)
    lower = (screen.left(first) @ screen.right(second).T).astype(np.float64) * screen.unit**2
    upper = (screen.left(first, upper=True) @ screen.right(second, upper=True).T).astype(np.float64) * screen.unit**2
    slack = screen.slack(first.norms[:, None] + second.norms)
    assert (lower <= exact).all()
    assert (exact <= upper).all()
    assert (exact <= lower + slack).all()
    assert (lower <= screen.threshold(exact).astype(np.float64) * screen.unit**2).all()


def test_the_margin_holds_for_the_worst_signs_of_rounding() -> None:
    # All terms of one sign and size, just above a float32 step: rounding errors of inputs and sums add up.
    dimension = 3000
    step = np.full((1, dimension), 1 + 2.0**-24 + 2.0**-40)
    first, second = (Points.of(sign * step, "test", np.zeros(dimension), 8) for sign in (1.0, -1.0))
    screen = Screen.over(first, second)
    lower = float((screen.left(first) @ screen.right(second).T)[0, 0]) * screen.unit**2
    upper = float((screen.left(first, upper=True) @ screen.right(second, upper=True).T)[0, 0]) * screen.unit**2
    assert lower <= 4 * first.norms[0] <= upper


def test_the_margin_grows_with_the_dimension_and_covers_sums_in_sequence() -> None:
    assert screening_margin(10) < screening_margin(100) < screening_margin(1000) < 2e-4
    draw = np.random.Generator(np.random.PCG64(2))
    for dimension in (3, 100, 2000):
        x, y = draw.uniform(0.5, 1, size=(2, dimension))
        total = np.float32(0)
        for a, b in zip(x.astype(np.float32), y.astype(np.float32), strict=True):
            total += np.float32(-2) * a * b
        assert abs(float(total) + 2 * x @ y) < screening_margin(dimension) * (x @ x + y @ y)


def test_pairs_are_told_by_differences_so_that_copies_are_at_zero() -> None:
    x = np.random.Generator(np.random.PCG64(3)).normal(size=(5, 3)).astype(np.float32) + 1e4
    assert pair_squares(x, x.copy(), np.arange(5), np.arange(5)).tolist() == [0.0] * 5
    assert pair_squares(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([0]), np.array([0])).tolist() == [25.0]
