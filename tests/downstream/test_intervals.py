from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream import intervals
from twinset.downstream.intervals import Difference, Judged, judged_labels
from twinset.downstream.metrics import Scores
from twinset.randomness import Stream


def paired_difference(
    with_synthetic: np.ndarray, without: np.ndarray, *, labels: np.ndarray, families: np.ndarray, rng: Stream
) -> Difference:
    """Of correctness bool (subsets, seeds, N) on either side."""
    subsets, seeds, n = without.shape
    correct = np.concatenate([with_synthetic.reshape(-1, n), without.reshape(-1, n)])
    judged = judged_labels(correct, labels=labels, families=families)
    return intervals.paired_difference(judged, subsets=subsets, seeds=seeds, rng=rng)


def interval_of_mean(correct: np.ndarray, *, labels: np.ndarray, families: np.ndarray, rng: Stream) -> Difference:
    """Of correctness bool (subsets, seeds, N)."""
    subsets, seeds, n = correct.shape
    judged = judged_labels(correct.reshape(-1, n), labels=labels, families=families)
    return intervals.interval_of_mean(judged, subsets=subsets, seeds=seeds, rng=rng)


def runs(accuracies: list[float], n: int, rng: np.random.Generator, difficulty: np.ndarray | None = None) -> np.ndarray:
    """bool (1, seeds, n): runs of these accuracies; a shared ``difficulty`` in [0, 1] makes them err together."""
    noise = rng.random((len(accuracies), n)) if difficulty is None else np.tile(difficulty, (len(accuracies), 1))
    return (noise < np.array(accuracies)[:, None])[None]


def difference(a: np.ndarray, b: np.ndarray, families: np.ndarray | None = None, seed: int = 0) -> Difference:
    n = a.shape[2]
    return paired_difference(
        a, b, labels=np.arange(n) % 5, families=np.arange(n) if families is None else families, rng=Stream(seed)
    )


def test_equal_predictions_differ_by_nothing_give_or_take_two_images() -> None:
    a = runs([0.8] * 3, 200, Stream(0).numpy(), Stream(1).numpy().random(200))
    out = difference(a, a)
    assert out.value == 0
    assert out.low == pytest.approx(-2 / 200, rel=0.1)
    assert out.high == pytest.approx(2 / 200, rel=0.1)


def test_five_images_of_a_rare_class_settle_little_even_if_all_agree() -> None:
    labels = np.repeat([0, 1], [100, 5])
    right, wrong = np.ones((1, 5, 105), bool), np.ones((1, 5, 105), bool)
    wrong[:, :, 100:] = False
    out = paired_difference(right, wrong, labels=labels, families=np.arange(105), rng=Stream(0))
    assert out.value == 0.5
    assert 0.3 < out.low < 0.4  # five of five, two-sided: recall differs by .48 at least, so balanced accuracy by .24


@pytest.mark.parametrize(
    ("labels", "families", "weight"),
    [
        # An image weighs 1/(2·100) or 1/(2·5).
        (np.repeat([0, 1], [100, 5]), np.arange(105), np.sqrt((0.005**2 + 0.1**2) / 2)),
        (np.repeat([0, 3], [52, 52]), np.arange(104), 1 / 104),  # classes 1 and 2 have no test image
        (np.tile([0, 1], 60), np.arange(120) // 4, 1 / 30),  # families that hold both classes
        (np.repeat([0, 1], 60), np.arange(120) // 4, 1 / 30),
    ],
)
def test_equal_predictions_differ_by_nothing_give_or_take_two_families(
    labels: np.ndarray, families: np.ndarray, weight: float
) -> None:
    right = np.ones((1, 5, len(labels)), bool)
    out = paired_difference(right, right, labels=labels, families=families, rng=Stream(0))
    assert out.value == 0
    assert out.high == pytest.approx(2 * weight, rel=0.1)
    assert out.low == pytest.approx(-2 * weight, rel=0.1)


def test_swapping_the_sides_flips_the_sign() -> None:
    rng = Stream(0).numpy()
    better, worse = runs([0.9, 0.91, 0.9], 500, rng), runs([0.7, 0.71, 0.7], 500, rng)
    forth, back = difference(better, worse), difference(worse, better)
    assert forth.low > 0
    assert back.high < 0
    assert forth.value == -back.value == pytest.approx(0.2, abs=0.04)
    assert forth.low == pytest.approx(-back.high, abs=0.01)


def test_pairing_by_image_narrows_the_interval() -> None:
    rng = Stream(0).numpy()
    hard = rng.random(400)
    paired = difference(runs([0.84] * 3, 400, rng, hard), runs([0.8] * 3, 400, rng, hard))
    apart = difference(runs([0.84] * 3, 400, rng, rng.random(400)), runs([0.8] * 3, 400, rng, rng.random(400)))
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_seeds_that_disagree_widen_the_interval() -> None:
    hard = Stream(0).numpy().random(2000)
    rng = Stream(1).numpy()
    steady = difference(runs([0.85] * 3, 2000, rng, hard), runs([0.8] * 3, 2000, rng, hard))
    shaky = difference(runs([0.75, 0.85, 0.95], 2000, rng, hard), runs([0.7, 0.8, 0.9], 2000, rng, hard))
    assert steady.low > 0
    assert shaky.low < 0 < shaky.high


def test_subsets_are_compared_in_pairs() -> None:
    # Subsets differ a lot, but the gain is the same on each: paired, it is clear; as seeds of one subset, it is not.
    hard = Stream(0).numpy().random(2000)
    level = np.array([0.6, 0.7, 0.8, 0.9])
    without = (hard < level[:, None])[:, None]
    with_synthetic = (hard < level[:, None] + 0.05)[:, None]
    assert difference(with_synthetic, without).low > 0
    assert difference(with_synthetic.swapaxes(0, 1), without.swapaxes(0, 1)).low < 0


def test_families_count_once_however_many_images_they_hold() -> None:
    rng = Stream(0).numpy()
    a, b = runs([0.85] * 3, 60, rng, rng.random(60)), runs([0.75] * 3, 60, rng, rng.random(60))
    lone = paired_difference(a, b, labels=np.zeros(60, int), families=np.arange(60), rng=Stream(0))
    tenfold = [np.repeat(x, 10, axis=2) for x in (a, b)]
    many = paired_difference(*tenfold, labels=np.zeros(600, int), families=np.arange(600) // 10, rng=Stream(0))
    assert many.high - many.low == pytest.approx(lone.high - lone.low, rel=0.05)


def test_the_interval_of_one_seed_is_that_of_the_test_images() -> None:
    correct = (np.arange(400) % 4 != 0)[None, None]
    out = interval_of_mean(correct, labels=np.zeros(400, int), families=np.arange(400), rng=Stream(0))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert out.value == 0.75
    assert out.low == pytest.approx(0.75 - half, abs=0.005)
    assert out.high == pytest.approx(0.75 + half, abs=0.005)


def test_intervals_stay_in_range_and_contain_the_value() -> None:
    out = interval_of_mean(np.ones((1, 3, 50), bool), labels=np.zeros(50, int), families=np.arange(50), rng=Stream(0))
    assert (out.value, out.high) == (1, 1)
    assert out.low == pytest.approx(1 - 2 / 50, abs=0.005)
    with pytest.raises(ValueError, match="expected low"):
        Difference(0.5, 0.6, 0.7)
    with pytest.raises(ValueError, match="expected"):
        difference(np.ones((1, 3, 10), bool), np.ones((1, 2, 10), bool))


def few_with_objects(study: int) -> tuple[Scores, float]:
    """The share of objects found, of 12 families of which 3 show any, by three runs; and the truth."""
    rng = Stream(study).child("families").numpy()
    objects, hits = np.zeros(12), np.zeros((3, 12))
    objects[:3] = rng.integers(1, 6, 3)
    level = np.clip(0.6 + 0.25 * rng.normal(size=3), 0, 1)
    hits[:, :3] = rng.binomial(objects[:3].astype(int), level, size=(3, 3))

    def scores(weights: np.ndarray) -> np.ndarray:
        whole = (weights @ objects)[:, None]
        return np.divide(weights @ hits.T, whole, out=np.full((len(weights), 3), np.nan), where=whole > 0)

    return scores, 0.6


@pytest.mark.slow
def test_leaving_out_draws_that_say_nothing_is_fair_and_narrower_than_counting_them_as_zero() -> None:
    held, widths = [], []
    for study in range(200):
        scores, truth = few_with_objects(study)
        found = [
            intervals.interval_of_mean(Judged(each, 12, 0.02, 500), subsets=1, seeds=3, rng=Stream(study))
            for each in (scores, lambda weights, scores=scores: np.nan_to_num(scores(weights)))
        ]
        assert found[0].undefined_draws == pytest.approx(500 * 0.75**12, abs=25)
        assert found[1].undefined_draws == 0
        held.append(found[0].low <= truth <= found[0].high)
        widths.append([each.high - each.low for each in found])
    assert np.mean(held) >= 0.9
    left_out, zeros = np.mean(widths, axis=0)
    assert left_out < 0.92 * zeros


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.03])
def test_two_exchangeable_arms_are_rarely_told_apart_and_the_interval_is_not_wasteful(spread: float) -> None:
    # 300 studies with no effect: each side is wrong at most about one in twenty; and no interval is needlessly wide.
    rng = Stream(7).numpy()
    n, studies = 200, 300
    outcomes, values, halves = [], [], []
    for study in range(studies):
        shared = rng.normal(size=n)
        sides = []
        for _ in range(2):
            level = 0.8 + spread * rng.normal(size=(3, 1))
            sides.append((0.7 * shared + 0.7 * rng.normal(size=(3, n)) < 0.85 + 3 * (level - 0.8))[None])
        out = difference(*sides, seed=study)
        outcomes.append((out.low > 0) - (out.high < 0))
        values.append(out.value)
        halves.append((out.high - out.low) / 2)
    assert outcomes.count(1) <= 0.05 * studies
    assert outcomes.count(-1) <= 0.05 * studies
    assert np.median(halves) < 2.2 * 1.96 * np.std(values)


@pytest.mark.slow
def test_no_effect_is_seldom_found_where_a_class_has_five_test_images() -> None:
    # Five runs a side that mostly agree: what a recipe does to an image, it does in every run.
    rng = Stream(3).numpy()
    labels = np.repeat([0, 1], [100, 5])
    missed = 0
    for study in range(150):
        shared, own = 2 * rng.normal(size=105), 2 * rng.normal(size=(2, 1, 1, 105))
        sides = shared + own + rng.normal(size=(2, 1, 5, 105)) + 3.1 > 0
        out = paired_difference(*sides, labels=labels, families=np.arange(105), rng=Stream(study))
        missed += not out.low <= 0 <= out.high
    assert missed <= 0.05 * 150


@pytest.mark.slow
@pytest.mark.parametrize(("draws", "draw_sd"), [(3, 0.1), (3, 0.05), (5, 0.05)])
def test_few_draws_of_training_images_still_hold_the_mean_gain(draws: int, draw_sd: float) -> None:
    # Normal gains of draws beside 400 test images, so that the draws decide: percentiles alone would hold 70 to 85 %.
    rng = Stream(draws).child(repr(draw_sd)).numpy()
    held, n = [], 400
    for study in range(300):
        hard = 0.3 * rng.normal(size=n)
        gain = 0.05 + draw_sd * rng.normal(size=(draws, 1))
        level = 0.5 + 0.1 * rng.normal(size=(draws, 1))
        sides = [level + one + hard + 0.2 * rng.normal(size=(draws, n)) for one in (gain, 0.0)]
        flat = np.concatenate(sides)
        judged = Judged(lambda w, flat=flat: w @ flat.T / w.sum(1, keepdims=True), n, 1 / n, 400)  # type: ignore[misc]
        found = intervals.paired_difference(judged, subsets=draws, seeds=1, rng=Stream(study))
        held.append(found.low <= 0.05 <= found.high)
    assert np.mean(held) >= 0.885
