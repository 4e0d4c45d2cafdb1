from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinset.evaluation.explain.pooled import PooledNeighbours
from twinset.evaluation.explain.regions import RegionSettings, chance_share, chosen_k
from twinset.evaluation.explain.uncovered import uncovered
from twinset.evaluation.explain.unsupported import unsupported
from twinset.evaluation.neighbourhoods.prdc import memberships
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int, at: float = 0.0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d)) + at


def test_pooled_neighbours_are_those_of_all_distances() -> None:
    first, second = draw(0, 30, 3), draw(1, 20, 3)
    both = np.concatenate([first, second])
    distances = np.linalg.norm(both[:, None] - both, axis=2)
    np.fill_diagonal(distances, np.inf)
    found = PooledNeighbours.of(first, second, k=7)
    assert np.array_equal(found.rows, np.argsort(distances, axis=1)[:, :7])
    assert found.distances == pytest.approx(np.sort(distances, axis=1)[:, :7])
    assert found.labels().sum() == 30


@pytest.mark.parametrize("ties", [False, True])
def test_alone_is_outside_coverage(ties: bool) -> None:
    first, second = draw(2, 200, 2), draw(3, 60, 2)
    if ties:
        first, second = first.round(), second.round() + np.array([2.0, 0.0])
    found = PooledNeighbours.of(first, second, k=40)
    covered = memberships(first, second, k=4).covered
    assert covered is not None
    assert not covered.all()
    assert np.array_equal(found.among_their_own(found.labels(), k=4)[:200], ~covered)


def test_the_share_that_chance_leaves_alone_is_as_derived() -> None:
    for n, m, k in ((60, 40, 3), (50, 50, 5)):
        alone = []
        for s in range(60):
            found = PooledNeighbours.of(draw(2 * s, n, 3), draw(2 * s + 1, m, 3), k=k + 8)
            alone.append(found.among_their_own(found.labels(), k=k).sum() / n)
        assert np.mean(alone) == pytest.approx(chance_share(n, m, k), abs=0.025)
    assert chance_share(4, 10, 5) == 0.0
    assert chance_share(1000, 100, chosen_k(1000, 100)) <= 0.05 < chance_share(1000, 100, chosen_k(1000, 100) - 1)


def test_a_planted_hole_is_found_exactly_with_its_classes_and_pictures_to_show() -> None:
    real = np.concatenate([draw(0, 300, 6), draw(1, 40, 6, at=15), draw(2, 25, 6, at=-15)])
    order = np.random.Generator(np.random.PCG64(5)).permutation(len(real))
    real = real[order]
    planted = [set(np.flatnonzero((order >= a) & (order < b))) for a, b in ((300, 340), (340, 365))]
    classes = np.where(order >= 300, 1, 0)
    found = uncovered(real, draw(3, 300, 6), rng=Stream(0), class_ids=classes)
    assert [set(region.rows) for region in found.regions] == planted
    large, small = found.regions
    assert large.p_value <= small.p_value <= 0.05
    assert large.share == pytest.approx(40 / 365)
    assert (large.classes, small.classes) == ({1: 40}, {1: 25})
    assert large.medoid == large.representatives[0]
    assert len(large.representatives) == len(large.nearest_other) == 8
    assert set(large.representatives) < planted[0]
    sums = np.linalg.norm(real[large.rows][:, None] - real[large.rows], axis=2).sum(axis=1)
    assert large.medoid == large.rows[sums.argmin()]
    assert found.by_class[1] == (65, 65)
    assert found.by_class[0][0] == len(found.alone) - 65
    assert set(found.alone) >= planted[0] | planted[1]


def test_a_planted_cluster_without_real_images_is_found_exactly_and_only_from_its_side() -> None:
    real = draw(0, 250, 5)
    synthetic = np.concatenate([draw(1, 250, 5), draw(2, 30, 5, at=12)])
    found = unsupported(real, synthetic, rng=Stream(0), class_ids=np.repeat([0, 4], [250, 30]))
    assert [set(region.rows) for region in found.regions] == [set(range(250, 280))]
    assert found.regions[0].classes == {4: 30}
    assert set(found.regions[0].nearest_other) <= set(range(250))
    assert uncovered(real, synthetic, rng=Stream(0)).regions == ()


def test_a_collapsed_twin_leaves_the_rest_uncovered() -> None:
    real = np.concatenate([draw(s, 60, 4, at=12.0 * s) for s in range(4)])
    found = uncovered(real, draw(9, 240, 4), rng=Stream(0))
    assert [len(region.rows) for region in found.regions] == [60, 60, 60]
    assert found.share >= 0.75


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "d"), [(80, 80, 2), (80, 80, 16), (120, 40, 4)])
def test_equal_laws_have_a_region_no_more_often_than_stated(n: int, m: int, d: int) -> None:
    settings = RegionSettings(alpha=0.1, permutations=39)
    hits = [
        bool(uncovered(draw(2 * s, n, d), draw(2 * s + 1, m, d), rng=Stream(s), settings=settings).regions)
        for s in range(40)
    ]
    assert np.mean(hits) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 40)


def test_large_sets_are_thinned_and_rows_still_name_the_given_images() -> None:
    real = np.concatenate([draw(0, 400, 3), draw(1, 100, 3, at=20)])
    found = uncovered(real, draw(2, 300, 3), rng=Stream(0), settings=RegionSettings(limit=200))
    assert len(found.examined) == 200
    assert [set(region.rows) for region in found.regions] == [set(found.examined[found.examined >= 400])]
    assert np.isin(found.regions[0].representatives, found.regions[0].rows).all()
    assert found.regions[0].nearest_other.max() < 300


def test_memory_mapped_features_give_the_same(tmp_path: Path) -> None:
    real = np.concatenate([draw(0, 100, 3), draw(1, 20, 3, at=20)])
    np.save(tmp_path / "real.npy", real)
    mapped = np.load(tmp_path / "real.npy", mmap_mode="r")
    plain, read = (uncovered(each, draw(2, 100, 3), rng=Stream(0)).regions[0] for each in (real, mapped))
    assert np.array_equal(plain.rows, read.rows)


def test_too_few_images_say_so() -> None:
    for n, m in ((10, 100), (100, 10), (0, 5)):
        found = uncovered(draw(0, n, 2), draw(1, m, 2), rng=Stream(0))
        assert found.regions == found.smaller == ()
        assert "images on each side" in found.undefined_because
    with pytest.raises(ValueError, match="a class for each of 50 images"):
        uncovered(draw(0, 50, 2), draw(1, 50, 2), rng=Stream(0), class_ids=np.zeros(3, dtype=int))
    for wrong in ({"k": 0}, {"alpha": 0.0}, {"permutations": 9}, {"limit": 5}, {"shown": 0}):
        with pytest.raises(ValueError, match="expected"):
            RegionSettings(**wrong)  # type: ignore[arg-type]
