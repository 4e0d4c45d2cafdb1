from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.distances.frechet import (
    FrechetDistance,
    Moments,
    cheaper_route,
    frechet_distance,
    frechet_from_moments,
    frechet_value,
)


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def whitened(seed: int, n: int, d: int) -> np.ndarray:
    """Features whose sample mean is exactly 0 and sample covariance exactly the identity."""
    x = draw(seed, n, d)
    x -= x.mean(axis=0)
    return np.asarray(x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T)


@pytest.mark.parametrize("route", ["primal", "dual"])
class TestKnownGaussians:
    def test_diagonal_covariances(self, route: str) -> None:
        first, second = np.array([1.0, 2.0, 3.0]), np.array([4.0, 0.5, 3.0])
        shift = np.array([1.0, -2.0, 0.5])
        x, y = whitened(0, 50, 3) * first, whitened(1, 40, 3) * second + shift
        expected = (shift**2).sum() + ((first - second) ** 2).sum()  # Σ (σ₁ − σ₂)²
        assert frechet_value(x, y, route=route) == pytest.approx(expected, rel=1e-10)

    def test_translated(self, route: str) -> None:
        x, shift = whitened(23, 45, 4) * [1.0, 2.0, 3.0, 0.5], np.array([3.0, -4.0, 12.0, 0.0])
        assert frechet_value(x, x + shift, route=route) == pytest.approx(169.0, rel=1e-10)

    @pytest.mark.parametrize("factor", [0.25, 3.0, -2.0])
    def test_scaled(self, route: str, factor: float) -> None:
        # Σ₂ = f² Σ₁, whose root is |f| Σ₁: FD = (1 − |f|)² tr Σ₁, here with Σ₁ = I of 5 dimensions.
        x, y = whitened(24, 70, 5), factor * whitened(25, 55, 5)
        assert frechet_value(x, y, route=route) == pytest.approx(5 * (1 - abs(factor)) ** 2, rel=1e-10)

    @pytest.mark.parametrize("degrees", [0, 20, 60, 110])
    def test_turned_by_any_angle(self, route: str, degrees: float) -> None:
        # diag(a, b) against itself turned by φ: tr Σ₁Σ₂ = (a² + b²) cos²φ + 2ab sin²φ, and √det = ab.
        a, b, phi = 9.0, 0.25, np.deg2rad(degrees)
        turn = np.array([[np.cos(phi), -np.sin(phi)], [np.sin(phi), np.cos(phi)]])
        x, y = whitened(26, 60, 2) * [3.0, 0.5], whitened(27, 50, 2) * [3.0, 0.5] @ turn.T
        trace = (a * a + b * b) * np.cos(phi) ** 2 + 2 * a * b * np.sin(phi) ** 2
        expected = 2 * (a + b) - 2 * np.sqrt(trace + 2 * a * b)
        assert frechet_value(x, y, route=route) == pytest.approx(expected, rel=1e-9, abs=1e-9)

    def test_rotated_ellipse(self, route: str) -> None:
        # Σ₁ = diag(4, 1), Σ₂ the same turned by 90°: tr(Σ₁Σ₂)^½ = 2 + 2, so FD = 10 − 8 = 2.
        x, y = whitened(2, 60, 2) * [2.0, 1.0], whitened(3, 60, 2) * [1.0, 2.0]
        assert frechet_value(x, y, route=route) == pytest.approx(2.0, rel=1e-10)

    def test_non_commuting_covariances(self, route: str) -> None:
        # Σ₁ = diag(4, 1), Σ₂ = diag(4, 1) turned by 45°. tr M^½ = √(tr M + 2√det M) for 2 × 2:
        # tr Σ₁Σ₂ = 4·2.5 + 1·2.5, det = 16.
        half = np.sqrt(0.5)
        turn = np.array([[half, -half], [half, half]])
        x, y = whitened(4, 60, 2) * [2.0, 1.0], whitened(5, 60, 2) * [2.0, 1.0] @ turn.T
        expected = 10 - 2 * np.sqrt(12.5 + 2 * 4)
        assert frechet_value(x, y, route=route) == pytest.approx(expected, rel=1e-10)

    def test_equal_sets(self, route: str) -> None:
        x = draw(6, 200, 10) + 1000
        assert frechet_value(x, x, route=route) == pytest.approx(0.0, abs=1e-6)

    def test_a_dead_feature_changes_nothing(self, route: str) -> None:
        x, y = draw(7, 80, 5), 2 * draw(8, 70, 5)
        dead = [np.concatenate([z, np.full((len(z), 2), 3.0)], axis=1) for z in (x, y)]
        assert frechet_value(*dead, route=route) == pytest.approx(frechet_value(x, y), rel=1e-7)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 50, 100), (300, 200, 20), (100, 20, 50)])
def test_both_routes_agree_in_value_and_standard_error(n: int, m: int, d: int) -> None:
    x, y = draw(9, n, d), 1.4 * draw(10, m, d) + 0.2
    primal, dual = frechet_distance(x, y, route="primal"), frechet_distance(x, y, route="dual")
    assert primal.value == pytest.approx(dual.value, rel=1e-7)
    assert primal.settings["standard_error"] == pytest.approx(dual.settings["standard_error"], rel=1e-5)


def test_the_cheaper_route_is_dual_exactly_when_images_are_few() -> None:
    routes = [cheaper_route(n, n, 512) for n in (50, 400, 5_000, 50_000)]
    assert routes == ["dual", "dual", "primal", "primal"]


@pytest.mark.parametrize(("n", "m", "d"), [(60, 60, 40), (150, 90, 6)])
def test_the_standard_error_agrees_with_monte_carlo(n: int, m: int, d: int) -> None:
    scores = []
    for seed in range(200):
        y = np.abs(draw(2 * seed + 1, m, d)) * 1.5  # neither Gaussian nor equal
        scores.append(frechet_distance(draw(2 * seed, n, d), y))
    spread = np.std([score.value for score in scores])
    estimated = np.mean([float(score.settings["standard_error"]) for score in scores])
    assert 0.8 < estimated / spread < 1.25


def test_moments_merge_in_any_order_and_give_the_same_distance() -> None:
    x, y = draw(11, 700, 8) * 3 + 50, draw(12, 500, 8)
    parts = [Moments.of(part) for part in (x[:13], x[13:400], x[400:])]
    forth, back = parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[0]).merge(parts[1])
    assert np.allclose(forth.covariance, np.cov(x.T), rtol=1e-12)
    assert forth.count == back.count == 700
    whole = frechet_value(x, y, route="primal")
    assert frechet_from_moments(forth, Moments.of(y, block=64)) == pytest.approx(whole, rel=1e-10)
    assert frechet_from_moments(back, Moments.of(y)) == pytest.approx(whole, rel=1e-10)


def test_it_is_positive_at_small_n_even_for_one_law_and_falls_with_n() -> None:
    means = [
        np.mean([frechet_value(draw(2 * s, n, 16), draw(2 * s + 1, n, 16)) for s in range(20)]) for n in (50, 200, 800)
    ]
    assert means[0] > 2 * means[1] > 4 * means[2] > 0


def test_float32_features_are_not_summed_in_float32() -> None:
    x, y = (draw(13, 400, 8) + 4096).astype(np.float32), (2 * draw(14, 400, 8) + 4096).astype(np.float32)
    exact = frechet_value(x.astype(np.float64) - 4096, y.astype(np.float64) - 4096)
    assert frechet_value(x, y) == pytest.approx(exact, rel=1e-9)


def test_one_image_is_no_covariance_and_few_images_are_warned_about() -> None:
    score = frechet_distance(draw(15, 1, 4), draw(16, 10, 4))
    assert score.value is None
    assert "at least 2" in score.undefined_because
    assert frechet_distance(draw(17, 19, 4), draw(18, 30, 4)).warnings
    assert not frechet_distance(draw(17, 20, 4), draw(18, 30, 4)).warnings
    assert FrechetDistance().values(draw(15, 1, 4), draw(16, 10, 4)) == {"frechet_distance": None}


def test_nan_and_other_widths_are_refused() -> None:
    bad = draw(19, 10, 3)
    bad[4, 1] = np.nan
    with pytest.raises(ValueError, match="finite real features; got NaN or infinity in 1 rows, first 4"):
        frechet_value(bad, draw(20, 10, 3))
    with pytest.raises(ValueError, match="one D; got 3 and 4"):
        frechet_from_moments(Moments.of(draw(21, 10, 3)), Moments.of(draw(22, 10, 4)))


def test_the_error_of_families_is_that_of_drawing_them_as_a_whole() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    values, errors, alone = [], [], []
    for _ in range(200):
        of = np.repeat(np.arange(20), 6)
        x, y = (0.7 * draws.normal(size=(20, 3))[of] + 0.7 * draws.normal(size=(120, 3)) for _ in range(2))
        score = frechet_distance(x, y + 0.5, families=(of, of))
        values.append(score.value)
        errors.append(score.settings["standard_error"])
        alone.append(frechet_distance(x, y + 0.5).settings["standard_error"])
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)
    assert np.mean(alone) < 0.7 * np.std(values)
