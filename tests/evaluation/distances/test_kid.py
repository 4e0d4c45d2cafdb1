from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from twinset.evaluation import fidelity, real_floor
from twinset.evaluation.distances import kid
from twinset.evaluation.distances.kid import KernelDistance, kernel_distance, kernel_sums
from twinset.randomness import Stream


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


@pytest.mark.parametrize(("n", "m", "block"), [(9, 30, 512), (700, 520, 512), (4, 3, 2)])
def test_the_floor_of_one_pass_is_the_floor_of_every_halving_alone(
    n: int, m: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synthetic = draw(4, n, 5), draw(5, m, 5) + 0.4
    monkeypatch.setattr(kid, "kernel_distance", partial(kernel_distance, block=block))
    score = fidelity(real, synthetic, extractor="given", rng=Stream(3), metrics=[KernelDistance()])[0]
    alone = real_floor(KernelDistance(), real, synthetic, rng=Stream(3))
    assert alone is not None
    assert score.value == pytest.approx(kernel_sums(real, synthetic).value, rel=1e-10)
    assert score.floor == pytest.approx(alone.floors[kid.NAME], rel=1e-8)
    assert score.settings["value_at_floor"] == pytest.approx(alone.at_floor[kid.NAME], rel=1e-8)
    assert (score.settings["floor_n_real"], score.settings["floor_n_other"]) == (alone.real, alone.other)


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


def with_pictures(seed: int, pictures: int, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Objects (M, 8), and their pictures (M,): those of one picture have a part of themselves in common."""
    draws = np.random.Generator(np.random.PCG64(seed))
    of = np.repeat(np.arange(pictures), 1 + draws.poisson(7, pictures))
    common, own = draws.normal(size=(pictures, 8))[of], draws.normal(size=(len(of), 8))
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * own, of


def test_families_of_one_image_change_nothing() -> None:
    x, y = draw(0, 20, 3), draw(1, 15, 3) + 0.3
    plain, alone = kernel_distance(x, y), kernel_distance(x, y, families=(np.arange(20)[::-1], np.arange(15)), block=4)
    assert alone.value == pytest.approx(plain.value, rel=1e-12)
    assert alone.settings["standard_error"] == pytest.approx(plain.settings["standard_error"], rel=1e-9)
    assert plain.interval is not None
    assert alone.interval is not None
    assert (alone.interval.low, alone.interval.high) == pytest.approx((plain.interval.low, plain.interval.high))


def test_pairs_within_a_family_do_not_count() -> None:
    # x = {0, 1 | 2}, D = 1: pairs (0, 2) and (1, 2) with k = 1 and 27; y = {0 | 0}: k = 1; across: k(·, 0) = 1.
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [0.0]])
    found = kernel_sums(x, y, families=(np.array([5, 5, 2]), None))
    assert found.value == pytest.approx(14 + 1 - 2)


@pytest.mark.parametrize("block", [2, 9, 512])
def test_sums_over_families_are_those_of_their_embeddings(block: int) -> None:
    x, y = draw(0, 40, 5), draw(1, 30, 5) + 0.2
    draws = np.random.Generator(np.random.PCG64(2))
    families = draws.integers(0, 9, 40), draws.integers(0, 7, 30)
    sums = kernel_sums(x, y, kernel=lambda rows, columns: rows @ columns.T, families=families, block=block)
    totals = []
    for rows, family in zip((x, y), families, strict=True):
        number = np.unique(family, return_inverse=True)[1]
        total = np.zeros((number.max() + 1, 5))
        np.add.at(total, number, rows - rows.mean(axis=0))
        totals.append(total / len(rows))
    own = [total @ total.T for total in totals]
    for found, gram in zip((sums.real, sums.synthetic), own, strict=True):
        squares = (gram**2).sum() - (np.diagonal(gram) ** 2).sum()
        assert found.spread() == pytest.approx((np.trace(gram), squares * len(gram) / (len(gram) - 1)), rel=1e-9)
    assert sums._cross_spread() == pytest.approx(((totals[0] @ totals[1].T) ** 2).sum(), rel=1e-9)


def test_the_jackknife_leaves_out_whole_families() -> None:
    (x, of), y = with_pictures(3, 6, 0.5), draw(4, 9, 8)
    values = np.array([kernel_sums(x[of != k], y, families=(of[of != k], None)).value for k in range(6)])
    rest = np.array([kernel_sums(x, np.delete(y, i, axis=0), families=(of, None)).value for i in range(9)])
    expected = 5 / 6 * ((values - values.mean()) ** 2).sum() + 8 / 9 * ((rest - rest.mean()) ** 2).sum()
    assert kernel_sums(x, y, families=(of, None)).standard_error == pytest.approx(np.sqrt(expected), rel=1e-9)


def test_objects_of_equal_laws_that_share_pictures_are_at_zero() -> None:
    held = {True: 0, False: 0}
    values = []
    for repeat in range(100):
        (x, of), (y, by) = with_pictures(2 * repeat, 20, 0.5), with_pictures(2 * repeat + 1, 20, 0.5)
        for families, name in (((of, by), True), ((None, None), False)):
            score = kernel_distance(x, y, families=families)
            assert score.interval is not None
            held[name] += score.interval.low <= 0 <= score.interval.high
            values += [score.value] if name else []
    assert held[True] >= 88
    assert held[False] < 40
    assert abs(np.mean(values)) < 2.5 * np.std(values) / 10


def test_an_interval_around_a_negative_estimate_reaches_below_it_and_holds_zero() -> None:
    negative = []
    for seed in range(40):
        score = kernel_distance(draw(2 * seed, 60, 8), draw(2 * seed + 1, 60, 8))
        assert score.value is not None
        assert score.interval is not None
        if score.value < 0:
            negative.append(score.value)
            assert score.interval.low < score.value - 0.5 * abs(score.interval.high - score.value)
            assert score.interval.high >= 0
    assert len(negative) > 10
