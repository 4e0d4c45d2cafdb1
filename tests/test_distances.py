from __future__ import annotations

import numpy as np
import pytest

from twinset import distances as module
from twinset.copying import nearest_pictures
from twinset.distances import Distances, Part, others
from twinset.neighbours import nearest_others


def features(seed: int, count: int) -> np.ndarray:
    """Features (N, 3) on a coarse grid, so that many distances tie."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 4, (count, 3)).astype(np.float32)


def whole(source: np.ndarray, first: int) -> Part:
    return Part(source, np.arange(len(source)), np.arange(first, first + len(source)))


def equal(found: tuple[np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("left_out", [1, 30, 120])
def test_a_set_made_of_others_has_the_neighbours_that_a_search_finds(left_out: int) -> None:
    first, second, queries = features(0, 200), features(1, 50), features(2, 40)
    kept = np.sort(np.random.Generator(np.random.PCG64(3)).permutation(200)[left_out:])
    made = np.concatenate([first[kept], second])
    distances = Distances()
    distances.made_of(made, Part(first, kept, np.arange(len(kept))), whole(second, len(kept)))
    assert equal(distances.nearest(queries, made, k=5), nearest_pictures(queries, made, k=5))
    assert equal(distances.nearest(made, queries, k=5), nearest_pictures(made, queries, k=5))
    assert equal(distances.nearest(made, made, k=5), nearest_pictures(made, made, k=5))


def test_a_part_of_a_part_is_found_at_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source, queries = features(0, 100), features(1, 20)
    inner, outer = source[10:90], source[12:80]
    distances = Distances()
    distances.made_of(inner, Part(source, np.arange(10, 90), np.arange(80)))
    distances.made_of(outer, Part(inner, np.arange(2, 70), np.arange(68)))
    distances.nearest(source, queries, k=3)
    monkeypatch.setattr(module, "nearest_pictures", None)
    assert equal(distances.nearest(outer, queries, k=3), nearest_pictures(outer, queries, k=3))


def test_a_pair_of_sets_is_searched_once_and_fewer_neighbours_are_the_first_of_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queries, references, distances = features(0, 20), features(1, 50), Distances()
    wanted = distances.nearest(queries, references, k=4)
    monkeypatch.setattr(module, "nearest_pictures", None)
    found = Distances(beside=distances).nearest(queries, references, k=2)
    assert equal(found, (wanted[0][:, :2], wanted[1][:, :2]))


def test_what_is_known_beside_is_not_kept_there() -> None:
    real, made, distances = features(0, 20), features(1, 20), Distances()
    beside = Distances(beside=distances)
    new = made.copy()
    beside.made_of(new, whole(made, 0))
    assert beside.once("x", real, new, make=lambda: 1) == 1
    assert distances.once("x", real, new, make=lambda: 2) == 2
    assert beside.once("y", real, make=lambda: 3) == 3
    assert distances.once("y", real, make=lambda: 4) == 3


def test_both_directions_are_those_of_two_searches() -> None:
    first, second = features(0, 200), features(1, 50)
    rows = np.arange(1, 200)
    made = first[rows]
    distances = Distances()
    distances.made_of(made, Part(first, rows, np.arange(199)))
    distances.search_both(made, second, k=4, k_back=2)
    assert equal(distances.nearest(made, second, k=4), nearest_pictures(made, second, k=4))
    assert equal(distances.nearest(second, made, k=9), nearest_pictures(second, made, k=9))


@pytest.mark.parametrize("listed", [0, 3, 100])
def test_counts_within_radii_are_exact_whether_lists_reach_as_far_or_not(listed: int) -> None:
    queries, made, distances = features(2, 40), features(1, 100), Distances()
    table = np.linalg.norm(queries[:, None].astype(float) - made, axis=2)
    if listed:
        distances.nearest(queries, made, k=listed)
    for radii in (np.array([1.0, 0.0, 2.0]), np.array([2**0.5]), np.array([9.0])):
        wanted = np.stack([(table <= radius).sum(axis=1) for radius in radii], axis=1)
        assert np.array_equal(distances.within(queries, made, radii), wanted)


def test_pictures_are_described_once_and_parts_of_them_by_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    some, distances = pictures[[1, 3]], Distances()
    distances.made_of(some, Part(pictures, np.array([1, 3]), np.arange(2)))
    wanted = distances.rows(pictures)
    monkeypatch.setattr(module, "feature_rows", None)
    assert np.array_equal(distances.rows(some), wanted[[1, 3]])


def test_others_are_those_of_a_search_that_passes_the_point_over() -> None:
    points = features(0, 60)
    assert equal(others(nearest_pictures, points, k=7), nearest_others(points, k=7))
    with pytest.raises(ValueError, match="make all 60 rows"):
        Distances().made_of(points, whole(points[:3], 0))
