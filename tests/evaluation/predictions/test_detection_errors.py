from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.predictions.detection_errors import (
    close_ups,
    confident,
    double_finds,
    errors_by_size,
    object_quality,
    pixel_quality,
    size_bins,
)
from twinset.instances import Instances

SIZE = (100, 200)
Box = tuple[float, float, float, float]


def objects(*boxes: Box, classes: list[int] | None = None, crowd: list[bool] | None = None) -> Instances:
    ids = np.zeros(len(boxes), dtype=np.int64) if classes is None else np.array(classes)
    flags = None if crowd is None else np.array(crowd)
    return Instances(SIZE, ids, np.array(boxes, dtype=np.float32).reshape(-1, 4), crowd=flags)


def predictions(*boxes: Box, classes: list[int] | None = None, sure: list[float] | None = None) -> Instances:
    plain = objects(*boxes, classes=classes)
    scores = np.full(len(boxes), 0.9) if sure is None else np.array(sure)
    return Instances(SIZE, plain.class_ids, plain.boxes, confidences=scores.astype(np.float32))


def test_quality_is_the_mean_best_overlap_and_zero_for_what_was_not_found() -> None:
    truth = objects((0, 0, 10, 10), (50, 50, 60, 60))
    found = predictions((0, 0, 10, 5), (0, 0, 10, 8), (150, 0, 160, 10))
    assert object_quality([truth], [found]).tolist() == pytest.approx([0.4])


def test_another_class_or_a_crowd_does_not_count() -> None:
    truth = objects((0, 0, 10, 10), (0, 0, 90, 90), classes=[1, 0], crowd=[False, True])
    assert object_quality([truth], [predictions((0, 0, 10, 10), classes=[0])]).tolist() == [0.0]
    assert object_quality([truth], [predictions((0, 0, 10, 10), classes=[1])]).tolist() == [1.0]


def test_pictures_without_objects_have_no_quality_and_empty_predictions_have_zero() -> None:
    quality = object_quality([objects(), objects((0, 0, 5, 5))], [predictions((0, 0, 5, 5)), Instances.none(SIZE)])
    assert np.isnan(quality[0])
    assert quality[1] == 0


def test_only_confident_predictions_are_kept_the_threshold_included() -> None:
    found = predictions((0, 0, 5, 5), (5, 5, 9, 9), (0, 0, 9, 9), sure=[0.29, 0.3, 0.8])
    kept = confident([found, Instances.none(SIZE)])
    assert [len(one) for one in kept] == [2, 0]
    assert kept[0].boxes[0].tolist() == [5, 5, 9, 9]
    with pytest.raises(ValueError, match="expected a confidence"):
        confident([objects((0, 0, 5, 5))])


def test_pixel_quality_is_of_single_pictures() -> None:
    perfect, half, blank = np.diag([3, 5]), np.array([[4, 4], [0, 0]]), np.zeros((2, 2), dtype=np.int64)
    quality = pixel_quality(np.stack([perfect, half, blank]))
    assert quality[:2].tolist() == [1.0, 0.5]
    assert np.isnan(quality[2])


def test_size_bins_are_thirds_of_shares_of_the_picture() -> None:
    truth = [objects((0, 0, 10, 10), (0, 0, 20, 20)), objects((0, 0, 40, 40), (0, 0, 60, 60), (0, 0, 99, 99))]
    truth.append(objects((0, 0, 200, 100), crowd=[True]))
    bins = size_bins(truth)
    assert [one.name for one in bins] == ["small", "medium", "large"]
    assert bins[0].low == 0
    assert bins[2].high == 1
    assert bins[0].high == bins[1].low
    assert 0.02 < bins[0].high < 0.08 < bins[1].high < 0.18
    assert size_bins([objects()]) == ()
    assert [one.name for one in size_bins([objects((0, 0, 10, 10), (5, 5, 15, 15))])] == ["all"]


def by_hand() -> tuple[list[Instances], list[Instances]]:
    """Smaller: one found twice, one missed, and an alarm in an empty picture. Larger: one found, one misnamed."""
    truth = [
        objects((0, 0, 10, 10), (20, 20, 30, 30), (100, 0, 180, 80)),
        objects((0, 0, 80, 80), classes=[1]),
        objects(),
    ]
    found = [
        predictions((0, 0, 10, 10), (0, 0, 10, 9), (100, 0, 180, 70), sure=[0.9, 0.8, 0.7]),
        predictions((0, 0, 80, 80), classes=[0]),
        predictions((50, 50, 60, 60)),
    ]
    return truth, found


def test_misses_and_false_alarms_fall_into_the_bin_of_their_own_box() -> None:
    truth, found = by_hand()
    bins = size_bins(truth)
    assert [one.name for one in bins] == ["smaller", "larger"]
    small, large = errors_by_size(truth, found, bins, n_classes=2)
    assert (small.objects, small.missed, small.false_alarms) == (2, 1, 2)
    assert (large.objects, large.missed, large.false_alarms) == (2, 1, 1)


def test_sizes_are_relative_to_each_picture() -> None:
    wide = Instances((50, 100), np.zeros(1, dtype=np.int64), np.array([[0, 0, 10, 10]], dtype=np.float32))
    truth = [objects((0, 0, 10, 10)), wide]
    bins = size_bins(truth)
    none = [Instances.none(SIZE), Instances.none((50, 100))]
    errors = errors_by_size(truth, none, bins, n_classes=1)
    assert [(one.objects, one.missed) for one in errors] == [(1, 1), (1, 1)]


def test_every_object_is_in_one_bin_also_on_its_edge() -> None:
    truth = [objects(*((0, 0, side, 10) for side in (10, 10, 20, 20, 40, 40, 40)))]
    bins = size_bins(truth)
    errors = errors_by_size(truth, [Instances.none(SIZE)], bins, n_classes=1)
    assert sum(one.objects for one in errors) == 7
    assert errors_by_size([objects()], [predictions((0, 0, 5, 5))], (), n_classes=1) == ()


def test_close_ups_have_an_object_above_three_tenths() -> None:
    truth = [objects((0, 0, 100, 59), (0, 0, 5, 5)), objects((0, 0, 100, 61)), objects()]
    assert close_ups(truth).tolist() == [False, True, False]


def test_double_finds_are_pairs_of_one_class_on_one_object() -> None:
    truth = objects((0, 0, 100, 100), (120, 0, 160, 40))
    three = predictions((0, 0, 100, 90), (0, 5, 100, 95), (0, 10, 100, 100))
    assert double_finds([truth], [three]).tolist() == [3]
    apart = predictions((0, 0, 50, 50), (50, 50, 100, 100), (120, 0, 160, 40))
    assert double_finds([truth], [apart]).tolist() == [0]
    other_class = predictions((0, 0, 100, 90), (0, 5, 100, 95), classes=[0, 1])
    assert double_finds([truth], [other_class]).tolist() == [0]


def test_pairs_beside_objects_or_on_two_objects_are_no_double_finds() -> None:
    truth = objects((0, 0, 40, 40), (20, 0, 60, 40))
    on_two = predictions((2, 0, 42, 40), (18, 0, 58, 40))
    assert double_finds([truth], [on_two]).tolist() == [0]
    assert double_finds([objects((0, 0, 40, 40))], [on_two]).tolist() == [1]
    beside = predictions((150, 50, 190, 90), (150, 55, 190, 90))
    assert double_finds([truth, objects()], [beside, beside]).tolist() == [0, 0]


def test_predictions_are_asked_for_every_picture() -> None:
    with pytest.raises(ValueError, match="each of 2 pictures; got 1"):
        object_quality([objects(), objects()], [Instances.none(SIZE)])
