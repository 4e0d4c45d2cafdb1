from __future__ import annotations

import numpy as np
import pytest

from twinset.average_precision import Matches, match_detections
from twinset.evaluation.predictions.placed_scores import average_precision_scores, segmentation_scores
from twinset.instances import Instances
from twinset.pixel_scores import PixelScores, confusion
from twinset.randomness import Stream
from twinset.scores import Score

PRIOR = np.array([0.6, 0.3, 0.1])


def boxes(draw: np.random.Generator, count: int) -> np.ndarray:
    low = draw.integers(0, 80, size=(count, 2)).astype(np.float32)
    return np.concatenate([low, low + 20], axis=1).reshape(-1, 4)


def pictures(
    seed: int, n: int, *, found: float = 0.8, prior: np.ndarray = PRIOR
) -> tuple[list[Instances], list[Instances]]:
    """Objects of three classes, of which ``found`` are, and false alarms; both vary from picture to picture."""
    draw = Stream(seed).numpy()
    truth, said = [], []
    for _ in range(n):
        hard = draw.random() * 0.4
        ids = draw.choice(3, draw.integers(0, 5), p=prior)
        seen, alarms = draw.random(len(ids)) < found - hard + 0.2, int(draw.poisson(0.5 + hard))
        truth.append(Instances((100, 100), ids, boxes(draw, len(ids))))
        confidences = np.concatenate([draw.beta(3, 1.5, size=int(seen.sum())), draw.beta(1.5, 2, size=alarms)])
        said.append(
            Instances(
                (100, 100),
                np.concatenate([ids[seen], draw.choice(3, alarms, p=prior)]),
                np.concatenate([truth[-1].boxes[seen], boxes(draw, alarms)]),
                confidences=confidences.astype(np.float32),
            )
        )
    return truth, said


def matches(seed: int, n: int, *, prior: np.ndarray = PRIOR) -> Matches:
    return match_detections(*pictures(seed, n, prior=prior), n_classes=3, iou_thresholds=(0.5, 0.75))


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_values_are_those_of_coco_by_class_and_of_the_pictures_of_a_subgroup() -> None:
    truth, said = pictures(0, 60)
    groups = np.arange(60) % 2
    whole = match_detections(truth, said, n_classes=3, iou_thresholds=(0.5, 0.75))
    found = by_name(
        average_precision_scores(
            whole, rng=Stream(0), figure="ap50", class_names=["a", "b", "c"], groups=groups, names=["x", "y"], draws=50
        )
    )
    expected = whole.average_precision()
    assert found["ap50"].value == pytest.approx(expected.ap50)
    assert [found[f"ap50[{name}]"].value for name in "abc"] == pytest.approx(expected.class_ap50.tolist())
    assert [found[f"ap50[{name}]"].counts["objects"] for name in "abc"] == expected.objects.tolist()
    part = match_detections(truth[1::2], said[1::2], n_classes=3, iou_thresholds=(0.5, 0.75)).average_precision()
    assert found["ap50[group=y]"].value == pytest.approx(part.ap50)
    assert by_name(average_precision_scores(whole, rng=Stream(0), draws=50))["ap"].value == pytest.approx(expected.ap)


def test_classes_hold_at_once_and_a_rare_one_is_less_certain() -> None:
    found = by_name(average_precision_scores(matches(1, 150), rng=Stream(0), figure="ap50", draws=300))
    width = {name: s.interval.high - s.interval.low for name, s in found.items() if s.interval is not None}
    assert width["ap50[2]"] > 1.5 * width["ap50[0]"]
    assert found["ap50[0]"].settings["interval"] == "Wilson, 3 at once (max_t)"
    error = found["ap50[0]"].settings["standard_error"]
    assert isinstance(error, float)
    assert width["ap50[0]"] > 2 * 2.2 * error


@pytest.mark.slow
def test_the_error_of_ap_agrees_with_monte_carlo() -> None:
    scores = [
        average_precision_scores(matches(seed, 50), rng=Stream(seed), figure="ap50", draws=200)[1] for seed in range(80)
    ]
    spread = np.std([score.value for score in scores if score.value is not None])
    errors = [error for score in scores if isinstance(error := score.settings["standard_error"], float)]
    assert 0.8 < np.mean(errors) / spread < 1.25


def test_pictures_of_one_family_are_drawn_together() -> None:
    truth, said = pictures(2, 40)
    once = match_detections(truth, said, n_classes=3)
    # A picture's copies would take turns with equal confidences; a little less of it does not change the order.
    copied = match_detections(truth * 2, said * 2, n_classes=3)
    family = np.tile(np.arange(40), 2)
    mine = average_precision_scores(once, rng=Stream(0), draws=400)[0]
    together = average_precision_scores(copied, rng=Stream(0), families=family, draws=400)[0]
    apart = average_precision_scores(copied, rng=Stream(0), draws=400)[0]
    errors = [score.settings["standard_error"] for score in (mine, together, apart)]
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
    assert errors[2] == pytest.approx(errors[0] / np.sqrt(2), rel=0.15)


def test_a_class_without_an_object_is_undefined_and_nothing_found_is_zero() -> None:
    truth, said = pictures(3, 30)
    plain = [one.take(one.class_ids != 2) for one in truth]
    found = by_name(average_precision_scores(match_detections(plain, said, n_classes=3), rng=Stream(0), draws=50))
    assert found["ap[2]"].value is None
    nothing = match_detections(plain, [one.take(np.zeros(len(one), bool)) for one in said], n_classes=3)
    zero = by_name(average_precision_scores(nothing, rng=Stream(0), draws=50))["ap[0]"]
    assert zero.value == 0
    assert zero.interval is not None
    assert 0 < zero.interval.high < 0.5


def test_a_perfect_detector_has_an_interval_and_no_error() -> None:
    truth, _ = pictures(4, 12)
    said = [Instances(o.size, o.class_ids, o.boxes, confidences=np.ones(len(o), np.float32)) for o in truth]
    scores = average_precision_scores(
        match_detections(truth, said, n_classes=3), rng=Stream(0), groups=np.arange(12) % 2, draws=50
    )
    for score in scores:
        assert score.value is None or score.value == pytest.approx(1.0)
        assert score.interval is None or score.interval.low < 0.95


def test_a_class_seen_in_one_picture_makes_the_mean_uncertain_though_no_draw_shows_it() -> None:
    truth, _ = pictures(4, 12)
    first = next(n for n, one in enumerate(truth) if (one.class_ids == 1).any())
    kept = [one.take((one.class_ids == 0) | (np.arange(len(truth)) == first)[n]) for n, one in enumerate(truth)]
    said = [Instances(o.size, o.class_ids, o.boxes, confidences=np.ones(len(o), np.float32)) for o in kept]
    scores = by_name(average_precision_scores(match_detections(kept, said, n_classes=3), rng=Stream(0), draws=50))
    shown = [scores[f"ap[{c}]"].counts["real"] for c in range(3) if scores[f"ap[{c}]"].value is not None]
    assert min(shown) == 1 < max(shown)
    # Half a picture more or less of each class, independent of each other, in their mean.
    expected = np.linalg.norm(0.5 / np.array(shown)) / len(shown)
    assert scores["ap"].settings["standard_error"] == pytest.approx(expected)
    assert scores["ap[0]"].settings["standard_error"] == pytest.approx(0, abs=1e-9)


def maps(seed: int, n: int) -> np.ndarray:
    draw = Stream(seed).numpy()
    tables = []
    for _ in range(n):
        truth = draw.choice(3, size=(8, 8), p=draw.dirichlet([2, 2, 1]))
        found = np.where(draw.random((8, 8)) < draw.beta(8, 2), truth, draw.integers(0, 3, size=(8, 8)))
        tables.append(confusion(truth, found, 4))
    return np.stack(tables)


def test_segmentation_values_are_those_of_all_pixels() -> None:
    confusions, groups = maps(0, 40), np.arange(40) % 2
    found = by_name(segmentation_scores(confusions, rng=Stream(0), groups=groups))
    expected = PixelScores.of(confusions)
    assert found["miou"].value == pytest.approx(expected.miou)
    assert found["mean_dice"].value == pytest.approx(expected.mean_dice)
    assert found["pixel_accuracy"].value == pytest.approx(expected.pixel_accuracy)
    assert [found[f"iou[{c}]"].value for c in range(3)] == pytest.approx(expected.iou[:3].tolist())
    assert found["dice[3]"].value is None
    assert found["miou[group=1]"].value == pytest.approx(PixelScores.of(confusions[groups == 1]).miou)


@pytest.mark.slow
def test_segmentation_errors_agree_with_monte_carlo_and_hold_the_expectation() -> None:
    tables = [by_name(segmentation_scores(maps(seed, 30), rng=Stream(seed))) for seed in range(200)]
    for name in ("miou", "pixel_accuracy", "iou[2]"):
        values = [table[name].value for table in tables]
        errors = [table[name].settings["standard_error"] for table in tables]
        assert 0.85 < np.mean(errors) / np.std(values) < 1.2  # type: ignore[arg-type]
        target = np.mean(values)  # type: ignore[arg-type]
        held = [
            s.interval is not None and s.interval.low <= target <= s.interval.high for s in (t[name] for t in tables)
        ]
        assert np.mean(held) >= 0.9


def test_a_class_that_is_only_found_is_left_out_of_the_mean() -> None:
    truth, said = np.array([[0, 0, 1, 1]]), np.array([[0, 3, 1, 1]])
    confusions = np.stack([confusion(truth, said, 4)] * 3)
    found = by_name(segmentation_scores(confusions, rng=Stream(0)))
    assert found["iou[3]"].value is None
    assert found["miou"].value == pytest.approx((1 / 2 + 1) / 2)


def test_a_subgroup_is_as_uncertain_as_its_own_pictures() -> None:
    scores = by_name(
        average_precision_scores(matches(6, 80), rng=Stream(0), figure="ap50", groups=np.arange(80) % 4, draws=300)
    )
    whole, part = (scores[name].settings["standard_error"] for name in ("ap50", "ap50[group=1]"))
    assert isinstance(whole, float)
    assert isinstance(part, float)
    assert part > 1.5 * whole


def test_wrong_inputs_say_what_is_expected() -> None:
    with pytest.raises(ValueError, match="3 class names"):
        average_precision_scores(matches(5, 5), rng=Stream(0), class_names=["a"], draws=10)
    with pytest.raises(ValueError, match="a subgroup for each of 5"):
        average_precision_scores(matches(5, 5), rng=Stream(0), groups=np.zeros(3, int), draws=10)
    with pytest.raises(ValueError, match="a family for each of 4"):
        segmentation_scores(maps(0, 4), rng=Stream(0), families=np.zeros(3, int))


@pytest.mark.slow(seconds=20)
def test_all_average_precisions_hold_at_once() -> None:
    tables = [
        by_name(
            average_precision_scores(
                matches(seed, 60), rng=Stream(seed), figure="ap50", groups=np.arange(60) % 2, draws=300
            )
        )
        for seed in range(400)
    ]
    target = {name: np.mean([t[name].value for t in tables if t[name].value is not None]) for name in tables[0]}  # type: ignore[arg-type]
    families = {
        "mean": ["ap50"],
        "class": [f"ap50[{c}]" for c in range(3)],
        "group": [f"ap50[group={g}]" for g in range(2)],
    }
    for names in families.values():
        held = [
            all(
                s.interval is None or s.interval.low <= target[name] <= s.interval.high
                for name, s in ((name, table[name]) for name in names)
            )
            for table in tables
        ]
        assert 0.91 <= np.mean(held) <= 0.99, names


@pytest.mark.slow
def test_the_mean_holds_its_expectation_with_a_class_of_four_objects() -> None:
    rare = np.array([0.6, 0.36, 0.04])
    scores = [
        average_precision_scores(matches(seed, 50, prior=rare), rng=Stream(seed), draws=200)[0] for seed in range(500)
    ]
    target = np.mean([score.value for score in scores if score.value is not None])
    held = [score.interval is not None and score.interval.low <= target <= score.interval.high for score in scores]
    # Without the half picture of each class it was 87 %.
    assert 0.93 <= np.mean(held) <= 0.995
