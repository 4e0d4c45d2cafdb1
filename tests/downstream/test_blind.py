"""What an answer scores that never looks at the picture, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.downstream.blind import NEXT_TO_NOTHING, blind_accuracy, blind_boxes, blind_map
from twinset.instances import Instances
from twinset.randomness import Stream


def shown(
    *boxes: tuple[float, float, float, float], size: tuple[int, int] = (100, 100), class_id: int = 0
) -> Instances:
    return Instances(size, np.full(len(boxes), class_id), np.array(boxes, dtype=np.float32).reshape(-1, 4))


def test_one_class_for_all_has_one_over_the_classes_that_are_there() -> None:
    assert blind_accuracy(np.array([2, 2, 2, 5, 9])) == pytest.approx(1 / 3)


def test_objects_that_always_lie_in_the_middle_are_found_blindly() -> None:
    known = [shown((20, 20, 80, 80)), shown((24, 20, 80, 80))]
    truth = [shown((40, 20, 160, 80), size=(100, 200))] * 5
    assert blind_boxes(known, truth, n_classes=1) == 1.0


def test_objects_anywhere_are_not() -> None:
    rng = Stream(0).numpy()

    def one() -> Instances:
        x, y = rng.uniform(0, 90, 2)
        return shown((x, y, x + 10, y + 10))

    known, truth = [one() for _ in range(50)], [one() for _ in range(50)]
    assert NEXT_TO_NOTHING <= blind_boxes(known, truth, n_classes=1) < 0.1


def test_only_classes_that_are_known_are_answered() -> None:
    known = [shown((20, 20, 80, 80), class_id=1)]
    truth = [shown((20, 20, 80, 80), class_id=0), shown((20, 20, 80, 80), class_id=1)]
    assert blind_boxes(known, truth[:1], n_classes=2) == NEXT_TO_NOTHING
    # Class 1 in every picture: one hit before or after one miss of equal confidence, in one of two classes.
    assert 0.2 < blind_boxes(known, truth, n_classes=2) <= 0.5


def test_nothing_known_and_crowds_give_the_least() -> None:
    crowd = Instances((100, 100), np.zeros(1), np.array([[20, 20, 80, 80]], np.float32), crowd=np.array([True]))
    for known in ([], [shown()], [crowd]):
        assert blind_boxes(known, [shown((20, 20, 80, 80))], n_classes=1) == NEXT_TO_NOTHING


def test_one_class_everywhere_has_its_share_over_the_classes() -> None:
    truth = np.zeros((10, 10), dtype=np.int32)
    truth.flat[Stream(1).numpy().permutation(100)[:25]] = 1
    known = np.zeros((7, 9), dtype=np.int32)
    assert blind_map([known], [truth], n_classes=2) == pytest.approx(0.75 / 2)


def test_sky_above_and_road_below_is_answered_by_place_at_any_size() -> None:
    def scene(height: int, width: int) -> np.ndarray:
        made = np.zeros((height, width), dtype=np.int32)
        made[height // 2 :] = 1
        return made

    assert blind_map([scene(40, 60), scene(20, 20)], [scene(100, 30)] * 2, n_classes=3) == 1.0
    ignored = np.full((40, 60), -1, dtype=np.int32)
    assert blind_map([ignored, scene(40, 60)], [scene(10, 10)], n_classes=3) == 1.0
