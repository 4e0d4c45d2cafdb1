from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods.groups import coordinates, groups
from twinset.evaluation.neighbourhoods.points import Points
from twinset.randomness import Stream


@pytest.mark.parametrize(("n", "size"), [(1, 4), (7, 4), (8, 4), (1000, 16)])
def test_every_row_is_in_one_group_of_bounded_size(n: int, size: int) -> None:
    places = np.random.Generator(np.random.PCG64(0)).normal(size=(n, 3)).astype(np.float32)
    found = groups(places, size, rng=Stream(0))
    assert sorted(np.concatenate(found)) == list(range(n))
    assert all(min(n, size) <= len(rows) < 2 * size or n < 2 * size for rows in found)


def test_members_of_a_group_are_nearer_than_others_and_trees_differ() -> None:
    places = np.random.Generator(np.random.PCG64(1)).normal(size=(2000, 3)).astype(np.float32)
    found = groups(places, 50, rng=Stream(0))
    within = np.mean([places[rows].std(axis=0).mean() for rows in found])
    assert within < 0.55
    assert any(not np.array_equal(a, b) for a, b in zip(found, groups(places, 50, rng=Stream(1)), strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d"), [(50, 200), (300, 6), (20, 3)])
def test_coordinates_keep_distances_along_the_largest_directions(n: int, d: int) -> None:
    draw = np.random.Generator(np.random.PCG64(2))
    x = draw.normal(size=(n, 2)) @ draw.normal(size=(2, d)) + 1e-6 * draw.normal(size=(n, d)) + 5
    points = Points.of(x, "test", np.full(d, 5.0), 64)
    places = coordinates(points, rng=Stream(0), block=16).astype(np.float64)
    true, kept = (((each[:, None] - each[None]) ** 2).sum(axis=2) for each in (x, places))
    assert kept * points.norms.max() == pytest.approx(true, rel=1e-3, abs=1e-3)


def test_points_without_any_spread_are_cut_all_the_same() -> None:
    points = Points.of(np.ones((30, 4)), "test", np.ones(4), 64)
    found = groups(coordinates(points, rng=Stream(0)), 4, rng=Stream(0))
    assert sorted(np.concatenate(found)) == list(range(30))
