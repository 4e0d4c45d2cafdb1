import numpy as np
import pytest

from twinset.alignment.metadata import fit_target, infer_target, measure_boxes, target_from_numbers
from twinset.alignment.metadata.target import balanced_confidence
from twinset.randomness import Stream


def two_kinds(measures_of, *, linked):
    """Small objects above and large ones below, or sizes and places that know nothing of each other."""
    rng = np.random.default_rng(0)
    large = np.arange(1000) < 300
    low = large if linked else rng.permutation(large)
    columns = {
        "box_area": np.exp(rng.normal(np.where(large, -2, -5), 0.2)),
        "centre_y": rng.normal(np.where(low, 0.8, 0.3), 0.03),
    }
    return measures_of(columns, np.repeat(np.arange(100), 10), 100, large.astype(int))


def test_measures_that_go_together_stay_together(measures_of):
    target = fit_target(two_kinds(measures_of, linked=True), ["box_area", "centre_y"], rng=Stream(0))
    small, large = target.components
    assert target.level == "object"
    assert (small.weight, large.weight) == (pytest.approx(0.7, abs=0.01), pytest.approx(0.3, abs=0.01))
    assert (small.means["box_area"], small.means["centre_y"]) == (
        pytest.approx(-5, abs=0.1),
        pytest.approx(0.3, abs=0.01),
    )
    assert (large.means["box_area"], large.means["centre_y"]) == (
        pytest.approx(-2, abs=0.1),
        pytest.approx(0.8, abs=0.01),
    )


def test_independent_measures_give_all_combinations(measures_of):
    target = fit_target(two_kinds(measures_of, linked=False), ["box_area", "centre_y"], rng=Stream(0))
    assert [round(component.weight, 1) for component in target.components] == [0.5, 0.2, 0.2, 0.1]
    assert sum(component.weight for component in target.components) == pytest.approx(1)


def test_classes_get_their_own_mixtures(measures_of):
    target = fit_target(two_kinds(measures_of, linked=True), ["box_area"], rng=Stream(0), by_class=True)
    assert target.by_class[0]["box_area"].means == (pytest.approx(-5, abs=0.1),)
    assert target.by_class[1]["box_area"].means == (pytest.approx(-2, abs=0.1),)


def test_objects_take_image_measures_from_their_image(measures_of):
    rows = np.repeat(np.arange(60), np.where(np.arange(60) < 30, 2, 8))
    columns = {"count": np.where(np.arange(60) < 30, 2, 8), "box_area": np.where(rows < 30, 0.2, 0.02)}
    target = fit_target(measures_of(columns, rows, 60), ["count", "box_area"], rng=Stream(0))
    many, few = target.components
    assert (many.weight, few.weight) == (pytest.approx(0.8, abs=1e-3), pytest.approx(0.2, abs=1e-3))
    assert (many.means["count"], few.means["count"]) == (pytest.approx(8), pytest.approx(2))
    assert few.means["box_area"] > many.means["box_area"]
    alone = fit_target(measures_of(columns, rows, 60), ["count"], rng=Stream(0))
    assert alone.level == "image"
    assert [component.weight for component in alone.components] == pytest.approx([0.5, 0.5])


def test_many_measures_do_not_explode(measures_of):
    rng = np.random.default_rng(1)
    names = ["box_area", "aspect_ratio", "centre_x", "centre_y", "box_overlap", "box_contrast", "box_entropy"]
    columns = {name: np.exp(rng.choice([-4, -2, 0, 2], 800) + rng.normal(0, 0.1, 800)) for name in names}
    target = fit_target(measures_of(columns, np.arange(800), 800), names, rng=Stream(0))
    assert 1 <= len(target.components) <= 50
    assert sum(component.weight for component in target.components) == pytest.approx(1)


def test_numbers_in_a_recipe_are_in_the_measures_own_unit():
    numbers = {
        "box_area": {"means": [0.01, 0.1], "stds": [0.2, 0.3], "weights": [0.75, 0.25]},
        "count": {"means": [12], "stds": [3]},
    }
    target = target_from_numbers(numbers)
    np.testing.assert_allclose(np.exp(target.mixtures["box_area"].means), [0.01, 0.1])
    assert target.mixtures["count"].means == (12,)
    assert [component.weight for component in target.components] == [0.75, 0.25]
    assert target.level == "object"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "at least one measure"),
        ({"boxarea": {"means": [1], "stds": [1]}}, "got 'boxarea'"),
        ({"count": {"means": [1]}}, "expected means, stds and perhaps weights for count; got means"),
        ({"count": {"means": [1], "stds": [1], "sd": [1]}}, "got means, stds, sd"),
        ({"count": {"means": [1, 2], "stds": [1, 1]}}, "got 2, 2 and 1; state a weight"),
        ({"count": {"means": [1, 2], "stds": [1, 1], "weights": [0.5, 0.6]}}, "sum to 1; got a sum of 1.1"),
        ({"box_area": {"means": [0.0], "stds": [1]}}, "above 0 on a log scale"),
        ({"count": {"means": [1], "stds": [0]}}, "stds > 0 for count"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_refused_in_one_line(numbers, message):
    with pytest.raises(ValueError, match=message):
        target_from_numbers(numbers)


def detections(instances_of, rng, *, side, count, stretch=1.0, doubtful=0):
    """Pictures of square objects; predictions are ``stretch`` times as wide, some of low confidence are not there."""
    truth, predicted = [], []
    for _ in range(count):
        k = int(rng.integers(3, 7))
        low = rng.uniform(0, 100, (k, 2))
        sides = side * np.exp(rng.normal(0, 0.1, (k, 1)))
        boxes = np.concatenate([low, low + sides], axis=1)
        wide = np.concatenate([low, low + sides * [stretch, 1]], axis=1)
        false = np.tile([0, 0, 50, 1], (doubtful, 1))
        truth.append(instances_of(boxes, (300, 300)))
        scores = np.concatenate([rng.uniform(0.6, 1, k), np.full(doubtful, 0.1)]).astype(np.float32)
        predicted.append(instances_of(np.concatenate([wide, false]), (300, 300), confidences=scores))
    return truth, predicted


def test_an_inferred_target_follows_the_deployment_images_and_states_its_error(instances_of):
    rng = np.random.default_rng(0)
    known, seen = detections(instances_of, rng, side=60, count=20, stretch=1.2, doubtful=4)
    hidden, predicted = detections(instances_of, rng, side=20, count=30, stretch=1.2, doubtful=4)
    target = infer_target(
        predicted,
        ["box_area_px", "aspect_ratio"],
        classes=["a"],
        validation_predictions=seen,
        validation_truth=known,
        rng=Stream(0),
    )
    truth = measure_boxes(hidden, classes=["a"]).values("box_area_px").mean()
    assert target.mixtures["box_area_px"].means[0] == pytest.approx(truth + np.log(1.2), abs=0.02)
    for error in target.errors.values():
        assert error.bias == pytest.approx(np.log(1.2), abs=1e-3)  # wider than it is: positive
        assert error.mean_absolute_error == pytest.approx(np.log(1.2), abs=1e-3)
        assert error.images == 20
    assert "30 unlabelled images" in target.source


def test_the_confidence_keeps_as_many_predictions_as_there_are_objects(instances_of):
    truth = [instances_of([[0, 0, 10, 10], [20, 0, 30, 10]])]
    scores = np.array([0.9, 0.5, 0.4], dtype=np.float32)
    predicted = [instances_of([[0, 0, 10, 10]] * 3, confidences=scores)]
    assert balanced_confidence(predicted, truth) == pytest.approx(0.5)
    assert balanced_confidence([predicted[0].take([0])], truth) == 0.0
    with pytest.raises(ValueError, match="got none; add labelled ones"):
        balanced_confidence(predicted, [instances_of([])])
    with pytest.raises(ValueError, match="predictions with confidences"):
        balanced_confidence(truth, truth)
