from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import t

from twinset.evaluation.pairs.diversity import (
    Classes,
    MeanDistance,
    diversity_scores,
    mean_over_pairs,
    random_pairs,
)
from twinset.randomness import Stream


@pytest.mark.parametrize(("count", "pairs"), [(30, 100), (1000, 500), (9, 35), (10**9, 50)])
def test_drawn_pairs_are_distinct_pairs_of_distinct_pictures(count: int, pairs: int) -> None:
    found = random_pairs(count, pairs, rng=Stream(0))
    assert found.shape == (pairs, 2)
    assert (found[:, 0] < found[:, 1]).all()
    assert found.min() >= 0
    assert found.max() < count
    assert len({tuple(row) for row in found.tolist()}) == pairs


def test_every_pair_is_as_likely_as_any_other() -> None:
    times = np.zeros((6, 6))
    for seed in range(3000):
        found = random_pairs(6, 5, rng=Stream(seed))
        times[found[:, 0], found[:, 1]] += 1
    drawn = times[np.triu_indices(6, 1)]
    assert abs(drawn - 1000).max() < 4.5 * np.sqrt(1000 * 2 / 3)


def test_few_pictures_give_all_their_pairs() -> None:
    assert random_pairs(4, 6, rng=Stream(1)).tolist() == [list(p) for p in itertools.combinations(range(4), 2)]
    assert random_pairs(1, 5, rng=Stream(1)).shape == (0, 2)


def test_the_dyadic_error_counts_every_two_pairs_that_share_a_picture() -> None:
    partners = random_pairs(8, 15, rng=Stream(2))
    draw = np.random.Generator(np.random.PCG64(0))
    distances = draw.uniform(size=8)[partners].sum(axis=1) + 0.2 * draw.uniform(size=15)
    residuals = distances - distances.mean()
    shared = np.array([[bool(set(p) & set(q)) for q in partners.tolist()] for p in partners.tolist()])
    own = residuals @ residuals
    assert residuals @ shared @ residuals > 1.5 * own
    # Pairs with themselves stand on the diagonal once; of the sum over pictures 1 − 15/28 of them are taken off.
    expected = np.sqrt(8 * 7 / 36 * max(residuals @ shared @ residuals + own * 15 / 28, own)) / 15
    assert mean_over_pairs(distances, partners, 8).standard_error == pytest.approx(expected, rel=1e-12)


def test_of_all_pairs_it_is_the_jackknife() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    distances = np.zeros((9, 9))
    partners = random_pairs(9, 36, rng=Stream(0))
    distances[partners[:, 0], partners[:, 1]] = draw.uniform(size=36)
    distances += distances.T
    left_out = [np.delete(np.delete(distances, i, 0), i, 1).sum() / (8 * 7) for i in range(9)]
    expected = np.sqrt(8 / 9 * np.square(left_out - np.mean(left_out)).sum())
    found = mean_over_pairs(distances[partners[:, 0], partners[:, 1]], partners, 9)
    assert found.standard_error == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "pairs"), [(40, 100), (40, 10_000), (150, 300)])
def test_intervals_cover_the_mean_distance_of_the_law(count: int, pairs: int) -> None:
    # |x − y|² of two standard normal vectors has mean 2 D.
    hits = []
    for seed in range(600):
        draw = np.random.Generator(np.random.PCG64(seed))
        values, partners = draw.normal(size=(count, 5)), random_pairs(count, pairs, rng=Stream(seed))
        distances = ((values[partners[:, 0]] - values[partners[:, 1]]) ** 2).sum(axis=1)
        found = mean_over_pairs(distances, partners, count)
        assert found.value is not None
        assert found.standard_error is not None
        hits.append(abs(found.value - 10.0) <= t.ppf(0.975, found.degrees) * found.standard_error)
    assert 0.90 <= np.mean(hits) <= 0.975


def fixed(values: dict[int, float], error: float | None = 0.1):
    """A measure that knows a picture's worth from its first pixel."""

    def measure(pictures, rows, stream):
        return MeanDistance(values[int(pictures[rows[0], 0, 0, 0])], error, len(rows), 10)

    return measure


def blank(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 1, 1)


def test_the_gap_is_synthetic_less_real_with_both_errors() -> None:
    real, synthetic, gap = diversity_scores(
        "d", blank(1, 1, 1), blank(2, 2), fixed({1: 0.7, 2: 0.5}), rng=Stream(0), classes=None, settings={}
    )
    assert (real.name, synthetic.name, gap.name) == ("d_real", "d_synthetic", "d_gap")
    assert (real.value, synthetic.value, gap.value) == (0.7, 0.5, pytest.approx(-0.2))
    assert gap.interval is not None
    assert gap.interval.high - gap.interval.low == pytest.approx(2 * 1.959964 * np.sqrt(0.02), rel=1e-5)
    assert gap.counts["real"] == 3
    assert gap.counts["synthetic"] == 2


def test_all_classes_weigh_the_same_and_those_without_pairs_are_left_out() -> None:
    classes = Classes(["a", "b", "c"], np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2, -1]))
    measure = fixed({1: 0.2, 2: 0.6, 3: 0.9})
    scores = diversity_scores(
        "d",
        blank(1, 1, 1, 1, 2, 2, 3),
        blank(1, 1, 1, 1, 3, 3, 3),
        measure,
        rng=Stream(0),
        classes=classes,
        settings={},
    )
    found = {score.name: score for score in scores}
    assert found["d_real"].value == pytest.approx(0.4)
    assert found["d_synthetic"].value == pytest.approx(0.2)
    assert found["d_real"].settings["classes"] == 2
    assert found["d_real"].settings["standard_error"] == pytest.approx(np.sqrt(0.02) / 2)
    assert "1 classes with fewer than two" in found["d_real"].warnings[-1]
    assert found["d_real[c]"].value is None
    assert found["d_synthetic[c]"].value == 0.9
    assert found["d_gap[c]"].undefined_because == "a pair needs at least two pictures; got 1 real and 2 synthetic"


def test_a_class_for_each_picture_is_needed() -> None:
    classes = Classes(["a"], np.array([0, 0]), np.array([0]))
    with pytest.raises(ValueError, match="a class for each of 3"):
        diversity_scores("d", blank(1, 1, 1), blank(1), fixed({1: 0.0}), rng=Stream(0), classes=classes, settings={})
