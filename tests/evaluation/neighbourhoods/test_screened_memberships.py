from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods import lazy_balls, lazy_memberships, screened_balls, screened_memberships
from twinset.evaluation.neighbourhoods.balls import balls_of
from twinset.evaluation.neighbourhoods.lazy_balls import LazyBalls
from twinset.evaluation.neighbourhoods.memberships import Memberships
from twinset.evaluation.neighbourhoods.points import Points, Screen, centre_of
from twinset.evaluation.neighbourhoods.prdc import cheapest_route, memberships


def sets(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(seed))
    n, m, d = (int(draw.integers(*limits)) for limits in ((8, 100), (20, 500), (1, 9)))
    real, synthetic = draw.normal(size=(n, d)), draw.normal(size=(m, d))
    if kind == "ties":
        return draw.integers(0, 3, (n, d)).astype(float), draw.integers(0, 4, (m, d)).astype(float)
    if kind == "copies":
        return real, real[draw.integers(0, n, m)] + 1e-3 * synthetic * draw.integers(0, 2, (m, 1))
    if kind == "clusters":
        centres = 50 * draw.normal(size=(4, d))
        return centres[draw.integers(0, 4, n)] + real, centres[draw.integers(0, 3, m)] + 0.5 * synthetic
    if kind == "identical":
        return np.ones((n, d)), np.ones((m, d))
    if kind == "wide and far":
        return (each.normal(size=(size, 64)) + 1e4 for each, size in ((draw, n), (draw, m)))  # type: ignore[return-value]
    if kind == "heavy tails":
        return real * np.exp(3 * draw.normal(size=(n, 1))), synthetic * np.exp(3 * draw.normal(size=(m, 1)))
    return real.astype(np.float32), np.concatenate([synthetic, synthetic[: m // 2]]).astype(np.float32)


def lazily(real: np.ndarray, synthetic: np.ndarray, k: int, *, block: int, group: int, pool: int) -> Memberships:
    centre = centre_of(real, "real", 64)
    first, second = (Points.of(each, "test", centre, 64) for each in (real, synthetic))
    balls = balls_of(first, k, 64)
    return lazy_memberships.lazy_memberships(first, second, balls, k=k, block=block, group=group, pool=pool)


def assert_same(found: Memberships, full: Memberships, case: object) -> None:
    for name in ("inside_real", "covered", "inside_synthetic"):
        assert np.array_equal(getattr(found, name), getattr(full, name)), (name, case)
    assert found.density == pytest.approx(full.density, abs=1e-12), case


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["doubled", "ties", "copies", "clusters", "identical", "wide and far", "heavy tails"])
@pytest.mark.parametrize("crowded", [0.01, 2.0])
def test_both_routes_equal_the_full_one_exactly(kind: str, crowded: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lazy_balls, screened_memberships, screened_balls):
        monkeypatch.setattr(module, "CROWDED", crowded)
    monkeypatch.setattr(screened_balls, "MOST", 10 * crowded)
    for seed in range(12):
        monkeypatch.setattr(lazy_balls, "CAPACITY", 7 if seed % 2 else 8192)
        real, synthetic = sets(kind, seed)
        k = 1 + seed % 5
        full = memberships(real, synthetic, k=k, route="full")
        block, group, pool = ((7, 8, 5), (16, 32, 100), (64, 1024, 10**6))[seed % 3]
        assert_same(lazily(real, synthetic, k, block=block, group=group, pool=pool), full, (seed, "lazy"))
        assert_same(memberships(real, synthetic, k=k, block=block, route="screened"), full, (seed, "screened"))


def test_the_full_route_is_for_few_images_and_the_lazy_one_for_very_many_synthetic_ones() -> None:
    assert [cheapest_route(599, 600, 800), cheapest_route(600, 600, 800)] == ["full", "screened"]
    assert [cheapest_route(2000, 59_999, 50), cheapest_route(2000, 60_000, 50)] == ["screened", "lazy"]
    assert [cheapest_route(500, 49_999, 50), cheapest_route(500, 50_000, 50)] == ["screened", "lazy"]
    assert cheapest_route(100_000, 4000, 50) == "screened"


def test_high_dimensions_where_distances_hardly_differ() -> None:
    draw = np.random.Generator(np.random.PCG64(5))
    real, synthetic = draw.normal(size=(300, 800)), 1.02 * draw.normal(size=(260, 800))
    full = memberships(real, synthetic, route="full")
    assert 0 < full.inside_synthetic.mean() < 1  # type: ignore[union-attr]
    for route in ("screened", "lazy"):
        assert_same(memberships(real, synthetic, route=route, block=64), full, route)  # type: ignore[arg-type]


def test_bounds_are_above_the_radii_and_few_radii_are_computed() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    mix = draw.normal(size=(4, 32))
    real, synthetic = (np.tanh(draw.normal(size=(size, 4)) @ mix) for size in (100, 3000))
    centre = centre_of(real, "real", 512)
    first, second = (Points.of(each, "test", centre, 512) for each in (real, synthetic))
    screen = Screen.over(first, second)
    radii = balls_of(second, 5, 512).squared_radii
    lazy = LazyBalls(second, screen, k=5, block=128)
    lazy_memberships.tighten_bounds(lazy, first, second, screen, group=64)
    assert (lazy.bounds >= radii).all()
    assert np.median(lazy.bounds / radii) < 1.2
    crossing = lazy_memberships._Crossing(first, second, balls_of(first, 5, 512), screen, lazy, 10**6)
    crossing.meet(slice(0, 100), slice(0, 3000), screen.right(second))
    crossing.settle()
    assert lazy.computed < 300
    assert lazy.bounds[lazy.exact] == pytest.approx(radii[lazy.exact], rel=1e-9)
    assert (lazy.bounds >= radii * (1 - 1e-9)).all()
