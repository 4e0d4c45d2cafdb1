from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.instances import Instances
from twinset.joining import joined, less_visible, with_column
from twinset.masks import Rle

SIZE = (40, 60)


def marked(*, masks: bool = True) -> Instances:
    """Three boxes with names, with or without masks."""
    boxes = np.array([[2, 3, 12, 9], [20, 1, 31, 30], [40, 25, 60, 40]])
    dense = np.zeros((3, *SIZE), dtype=bool)
    for plane, (x1, y1, x2, y2) in zip(dense, boxes, strict=True):
        plane[y1:y2, x1:x2] = True
    names = {"name": ("a", "b", "c")}
    return Instances(SIZE, np.arange(3), boxes, tuple(map(Rle.of, dense)) if masks else None, columns=names)


def test_joined_objects_keep_order_and_leave_the_unknown_unknown() -> None:
    first = replace(
        marked().take([0, 1]),
        areas=np.array([7, 8], np.float32),
        keypoints=np.ones((2, 2, 3), np.float32),
        amodal_boxes=np.array([[0, 0, 70, 70]] * 2, np.float32),
    )
    second = replace(marked(masks=False).take([2]), columns={"site": (3,)}, truncated=np.array([True]))
    both = joined([first, second])
    assert both.class_ids.tolist() == [0, 1, 2]
    assert both.masks is not None
    assert both.masks[2] is None
    np.testing.assert_array_equal(both.areas, [7, 8, np.nan])
    assert dict(both.columns) == {"name": ("a", "b", None), "site": (None, None, 3)}
    assert both.is_truncated.tolist() == [False, False, True]
    assert both.amodal_boxes is not None
    np.testing.assert_array_equal(both.amodal_boxes[2], second.boxes[0])
    assert both.keypoints is not None
    assert both.keypoints[2].sum() == 0
    assert joined([Instances.none(SIZE), first]).take([0, 1]) == first
    with pytest.raises(ValueError, match="one size"):
        joined([first, Instances.none((3, 3))])


def test_a_column_is_added_or_replaced_and_the_rest_stays() -> None:
    more = with_column(with_column(marked(), "site", (1, 2, 3)), "name", ("x", None, "z"))
    assert dict(more.columns) == {"name": ("x", None, "z"), "site": (1, 2, 3)}
    assert replace(more, columns={}) == replace(marked(), columns={})
    with pytest.raises(ValueError, match="expected 3 values"):
        with_column(marked(), "site", (1,))


def test_keypoints_with_names_are_laid_out_by_name_and_poses_stay() -> None:
    first = replace(
        marked().take([0]),
        keypoints=np.array([[[1, 2, 2], [3, 4, 2]]], np.float32),
        keypoint_names=("nose", "tail"),
        poses=np.eye(4)[None],
    )
    second = replace(
        marked().take([1]),
        keypoints=np.array([[[5, 6, 2], [7, 8, 1]]], np.float32),
        keypoint_names=("ear", "nose"),
    )
    both = joined([first, second])
    assert both.keypoint_names == ("nose", "tail", "ear")
    assert both.keypoints is not None
    assert both.keypoints.tolist() == [[[1, 2, 2], [3, 4, 2], [0, 0, 0]], [[7, 8, 1], [0, 0, 0], [5, 6, 2]]]
    assert both.poses is not None
    assert np.isnan(both.poses).all((1, 2)).tolist() == [False, True]
    nameless = joined([first, replace(second, keypoint_names=None)])
    assert nameless.keypoint_names is None
    assert nameless.keypoints is not None
    assert nameless.keypoints.shape == (2, 2, 3)


def test_less_visible_objects_say_so_where_they_said_anything() -> None:
    stated = with_column(marked(), "visible_fraction", (1.0, None, 0.5))
    assert less_visible(stated, np.array([0.25, 0.5, 1.0000001])).columns["visible_fraction"] == (0.25, None, 0.5)
    assert less_visible(marked(), np.array([0.25, 0.5, 1.0])) == marked()
