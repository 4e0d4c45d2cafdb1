from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.neighbourhoods.authenticity import Authenticity, authentic, authenticity
from twinset.evaluation.protocol import Evidence
from twinset.randomness import Stream


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_points_on_a_line_by_hand() -> None:
    # Training 0 1 5: spacings 1 1 4. 0.4 → t = 0 at .4 < 1. −1.5 → t = 0 at 1.5 > 1. 8 → t = 5 at 3 < 4. 10 → 5 > 4.
    assert authentic(column(0.4, -1.5, 8.0, 10.0), column(0.0, 1.0, 5.0)).tolist() == [False, True, False, True]


def test_exactly_as_far_as_the_spacing_is_not_farther() -> None:
    assert authentic(column(-1.0, -1.0000001), column(0.0, 1.0)).tolist() == [False, True]


def test_of_several_nearest_training_images_the_largest_spacing_counts_in_any_order() -> None:
    # 10 is 2 from both 8 (spacing 1, to 7) and 12 (spacing 4, to 8).
    train = column(8.0, 12.0, 7.0, -18.0)
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]):
        assert not authentic(column(10.0), train[order])[0]


@pytest.mark.parametrize("lonely", [False, True])
def test_more_ties_than_are_looked_up_at_once_all_count(lonely: bool) -> None:
    # Six images 5·eᵢ at 5 from the origin, each with a mate at 5.5·eᵢ. Without it the last one's spacing is 5√2 > 5.
    train = np.concatenate([5 * np.eye(6), 5.5 * np.eye(6)])[: 11 if lonely else 12]
    for rows in (np.arange(len(train)), np.arange(len(train))[::-1]):
        assert authentic(np.zeros((1, 6)), train[rows])[0] != lonely


def test_copies_in_the_training_set_do_not_make_near_copies_authentic() -> None:
    train = draw(0, 50, 4)
    near = train + 1e-6 * draw(1, 50, 4)
    doubled = np.concatenate([train, train])
    assert not authentic(near, doubled).any()
    fresh = draw(2, 200, 4)
    assert np.array_equal(authentic(fresh, doubled), authentic(fresh, train))
    score = authenticity(near, doubled)
    assert score.value == 0.0
    assert "50 training images are exact copies of others" in score.warnings[0]


def test_a_copier_scores_low_and_fresh_images_as_the_holdout_does() -> None:
    train, holdout = draw(3, 400, 6), draw(4, 400, 6)
    copier = authenticity(train + 0.01 * draw(5, 400, 6), train, holdout=holdout)
    honest = authenticity(draw(6, 400, 6), train, holdout=holdout)
    assert copier.value < 0.02
    assert honest.floor is not None
    assert honest.interval is not None
    assert honest.interval.low < honest.floor < honest.interval.high
    assert 0.4 < honest.floor < 0.7
    assert copier.interval.high < copier.floor


def test_half_copies_score_half_and_the_interval_is_wilsons() -> None:
    train = draw(7, 100, 3)
    score = authenticity(np.concatenate([train[:10], train[:10] + 1000]), train)
    assert score.value == 0.5
    assert (round(score.interval.low, 3), round(score.interval.high, 3)) == (0.299, 0.701)


@pytest.mark.parametrize(("synthetic", "train"), [(0, 9), (5, 0), (5, 1)])
def test_too_few_images_are_undefined(synthetic: int, train: int) -> None:
    assert authenticity(draw(8, synthetic, 3), draw(9, train, 3)).undefined_because
    assert "different training images; got 1" in authenticity(draw(8, 5, 3), np.ones((7, 3))).undefined_because


def test_as_a_metric_it_needs_training_features_of_an_extractor_that_did_not_see_them() -> None:
    real, synthetic, train = draw(10, 20, 3), draw(11, 30, 3), draw(12, 40, 3)
    (found,) = Authenticity().measure(Evidence(real, synthetic, "test", train), rng=Stream(0))
    assert found.value == authentic(synthetic, train).mean()
    assert found.counts == {"real": 20, "synthetic": 30, "train": 40}
    (without,) = Authenticity().measure(Evidence(real, synthetic, "test"), rng=Stream(0))
    assert "no training images" in without.undefined_because
    (saw,) = Authenticity().measure(Evidence(real, synthetic, "self", train, extractor_saw_real=True), rng=Stream(0))
    assert "was trained on these images" in saw.undefined_because
