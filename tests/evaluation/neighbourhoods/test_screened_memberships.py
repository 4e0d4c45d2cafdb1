from __future__ import annotations

import sys

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods import lazy_balls, prdc, screened_memberships
from twinset.evaluation.neighbourhoods.balls import balls_of
from twinset.evaluation.neighbourhoods.lazy_balls import LazyBalls
from twinset.evaluation.neighbourhoods.memberships import Memberships
from twinset.evaluation.neighbourhoods.points import Points, Screen, centre_of
from twinset.evaluation.neighbourhoods.prdc import memberships


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


def screened(real: np.ndarray, synthetic: np.ndarray, k: int, *, block: int, group: int, pool: int) -> Memberships:
    centre = centre_of(real, "real", 64)
    first, second = (Points.of(each, "test", centre, 64) for each in (real, synthetic))
    balls = balls_of(first, k, 64)
    return screened_memberships.screened_memberships(first, second, balls, k=k, block=block, group=group, pool=pool)


@pytest.mark.parametrize("kind", ["doubled", "ties", "copies", "clusters", "identical", "wide and far", "heavy tails"])
@pytest.mark.parametrize("crowded", [0.01, 2.0])
def test_it_equals_the_full_route_exactly(kind: str, crowded: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lazy_balls, screened_memberships):
        monkeypatch.setattr(module, "CROWDED", crowded)
    for seed in range(12):
        monkeypatch.setattr(lazy_balls, "CAPACITY", 7 if seed % 2 else 8192)
        real, synthetic = sets(kind, seed)
        k = 1 + seed % 5
        full = memberships(real, synthetic, k=k, route="full")
        block, group, pool = ((3, 8, 5), (16, 32, 100), (64, 1024, 10**6))[seed % 3]
        found = screened(real, synthetic, k, block=block, group=group, pool=pool)
        for name in ("inside_real", "covered", "inside_synthetic"):
            assert np.array_equal(getattr(found, name), getattr(full, name)), (name, seed)
        assert found.density == pytest.approx(full.density, abs=1e-12)


def test_the_screened_route_is_taken_from_many_synthetic_images_on(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["twinset.evaluation.neighbourhoods.prdc"]  # the package has a function of that name
    real, synthetic = sets("clusters", 3)
    full = [score.value for score in prdc(real, synthetic)]
    monkeypatch.setattr(module, "SCREENED", len(synthetic))
    monkeypatch.setattr(module, "full_memberships", lambda *_: pytest.fail("the full route was taken"))
    assert [score.value for score in prdc(real, synthetic)] == pytest.approx(full)
    with pytest.raises(pytest.fail.Exception, match="full route"):
        prdc(real, synthetic[1:])


def test_bounds_are_above_the_radii_and_few_radii_are_computed() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    mix = draw.normal(size=(4, 32))
    real, synthetic = (np.tanh(draw.normal(size=(size, 4)) @ mix) for size in (100, 3000))
    centre = centre_of(real, "real", 512)
    first, second = (Points.of(each, "test", centre, 512) for each in (real, synthetic))
    screen = Screen.over(first, second)
    radii = balls_of(second, 5, 512).squared_radii
    lazy = LazyBalls(second, screen, k=5, block=128)
    screened_memberships.tighten_bounds(lazy, first, second, screen, group=64)
    assert (lazy.bounds >= radii).all()
    assert np.median(lazy.bounds / radii) < 1.2
    crossing = screened_memberships._Crossing(first, second, balls_of(first, 5, 512), screen, lazy, 10**6)
    crossing.meet(slice(0, 100), slice(0, 3000), second, screen.right(second))
    crossing.settle()
    assert lazy.computed < 300
    assert lazy.bounds[lazy.exact] == pytest.approx(radii[lazy.exact], rel=1e-9)
    assert (lazy.bounds >= radii * (1 - 1e-9)).all()
