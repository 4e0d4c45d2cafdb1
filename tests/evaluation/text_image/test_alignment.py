"""CLIP score and R-precision."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from twinset.evaluation.text_image import clip_cosine, clip_score, r_precision
from twinset.evaluation.text_image.r_precision import draw_others
from twinset.randomness import Stream


def pairs(seed: int, n: int, *, alike: float, d: int = 16) -> tuple[np.ndarray, np.ndarray]:
    draw = Stream(seed).numpy()
    text = draw.normal(size=(n, d))
    return alike * text + draw.normal(size=(n, d)), text


def test_clip_score_by_hand_and_its_plain_twin() -> None:
    image, text = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [-2.0, 0.0]])
    assert clip_score(image, text).value == pytest.approx(2.5 * (0.6 + 0.0) / 2)
    assert clip_score(image, text, weight=100).value == pytest.approx(30.0)
    plain = clip_cosine(image, text)
    assert (plain.name, plain.value) == ("clip_cosine", pytest.approx((0.6 - 1) / 2))


def test_length_does_not_matter_but_pairing_does() -> None:
    image, text = pairs(0, 60, alike=1.0)
    score = clip_score(image, text)
    scaled = clip_score(image * np.arange(1, 61)[:, None], text * 7)
    assert scaled.value == pytest.approx(score.value)
    shuffled = clip_score(image, np.roll(text, 1, axis=0))
    assert score.value is not None
    assert shuffled.interval is not None
    assert shuffled.interval.high < score.value


def test_images_of_one_caption_are_one_observation() -> None:
    image, text = pairs(1, 40, alike=0.5)
    many = clip_score(np.repeat(image, 3, axis=0), np.repeat(text, 3, axis=0), families=np.repeat(np.arange(40), 3))
    once = clip_score(image, text)
    assert many.value == pytest.approx(once.value)
    assert once.interval is not None
    assert many.interval is not None
    assert many.interval.high == pytest.approx(once.interval.high)


def test_the_interval_holds_the_expectation() -> None:
    scores = [clip_score(*pairs(seed, 30, alike=0.6)) for seed in range(300)]
    target = np.mean([score.value for score in scores if score.value is not None])
    held = [s.interval is not None and s.interval.low <= target <= s.interval.high for s in scores]
    assert 0.91 <= np.mean(held) <= 0.99


def test_few_pairs_are_undefined_and_bad_ones_refused() -> None:
    assert clip_score(np.eye(2)[:1], np.eye(2)[:1]).value is None
    with pytest.raises(ValueError, match="row i of each of one pair"):
        clip_score(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="zeros in row 1"):
        clip_score(np.array([[1.0, 0], [0, 0]]), np.eye(2))


def test_r_precision_is_one_for_perfect_and_chance_for_unrelated_features() -> None:
    image, text = pairs(2, 400, alike=0.0)
    captions = [f"caption {n}" for n in range(400)]
    assert r_precision(text, text, captions, rng=Stream(0)).value == 1.0
    blind = r_precision(image, text, captions, rng=Stream(0), mismatches=9)
    assert blind.interval is not None
    assert blind.interval.low < 0.1 < blind.interval.high
    assert r_precision(-text, text, captions, rng=Stream(0), mismatches=9).value == 0.0


def test_ties_share_the_first_place() -> None:
    same = np.ones((20, 3))
    score = r_precision(same, same, [str(n) for n in range(20)], rng=Stream(0), mismatches=4)
    assert score.value == pytest.approx(1 / 5)


def test_equal_captions_are_never_mismatches() -> None:
    text = np.repeat(np.eye(3), [5, 1, 1], axis=0)
    captions = ["a"] * 5 + ["b", "c"]
    score = r_precision(text, text, captions, rng=Stream(0), mismatches=2)
    assert score.value == 1.0
    assert score.counts["captions"] == 3


def test_too_few_captions_are_undefined() -> None:
    score = r_precision(np.eye(3), np.eye(3), ["a", "b", "b"], rng=Stream(0), mismatches=2)
    assert score.value is None
    assert "2 distinct ones" in score.undefined_because


def test_one_seed_gives_one_draw_in_which_every_set_is_equally_likely() -> None:
    own = np.full(6000, 2)
    drawn = draw_others(own, 5, 2, rng=Stream(3))
    assert np.array_equal(drawn, draw_others(own, 5, 2, rng=Stream(3)))
    sets = [tuple(sorted(row)) for row in drawn.tolist()]
    for pair in combinations([0, 1, 3, 4], 2):
        assert sets.count(pair) == pytest.approx(1000, abs=120)
    assert (np.sort(draw_others(np.arange(5), 5, 4, rng=Stream(0)), axis=1)[2] == [0, 1, 3, 4]).all()
