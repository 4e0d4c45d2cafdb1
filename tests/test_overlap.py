"""Overlaps of boxes and masks against cocoapi, dense masks and small cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from twinset.masks import Polygons, Rle
from twinset.overlap import box_areas, box_overlaps, mask_overlaps, paired_box_overlaps


def boxes(seed: int, k: int) -> np.ndarray:
    draw = np.random.Generator(np.random.PCG64(seed))
    low = draw.integers(0, 40, size=(k, 2)) * draw.choice([0.5, 1.0, 1.37])
    return np.concatenate([low, low + draw.integers(1, 30, size=(k, 2))], axis=1).astype(np.float32)


def xywh(values: np.ndarray) -> np.ndarray:
    exact = values.astype(np.float64)
    return np.concatenate([exact[:, :2], exact[:, 2:] - exact[:, :2]], axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_equal_cocoapi(seed: int) -> None:
    found, truth = boxes(seed, 17), boxes(seed + 100, 11)
    crowd = np.random.Generator(np.random.PCG64(seed)).random(11) < 0.3
    theirs = coco.iou(xywh(found), xywh(truth), crowd.astype(np.uint8).tolist())
    np.testing.assert_allclose(box_overlaps(found, truth, crowd), theirs, rtol=0, atol=1e-15)
    paired = paired_box_overlaps(found[:11], truth, crowd)
    assert np.array_equal(paired, np.diagonal(box_overlaps(found, truth, crowd)[:11]))


def test_overlaps_by_hand() -> None:
    found = np.array([[0.0, 0, 2, 2], [4, 0, 6, 2]])
    truth = np.array([[1.0, 0, 3, 2], [2, 0, 4, 2], [0, 0, 6, 2]])
    np.testing.assert_allclose(box_overlaps(found, truth), [[1 / 3, 0, 1 / 3], [0, 0, 1 / 3]])
    assert box_areas(truth).tolist() == [4, 4, 12]


def test_a_crowd_counts_by_the_area_of_what_was_found() -> None:
    inside, around = np.array([[10.0, 10, 20, 20]]), np.array([[0.0, 0, 100, 100]])
    crowd = np.array([True])
    assert box_overlaps(inside, around, crowd).item() == 1.0
    assert box_overlaps(around, inside, crowd).item() == 0.01
    assert box_overlaps(inside, around).item() == 0.01


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_overlap_is_symmetric_and_one_for_equal_boxes(seed: int) -> None:
    a, b = boxes(seed, 5), boxes(seed + 1, 4)
    np.testing.assert_array_equal(box_overlaps(a, b), box_overlaps(b, a).T)
    np.testing.assert_array_equal(np.diagonal(box_overlaps(a, a)), 1.0)


def test_nothing_overlaps_nothing() -> None:
    none = np.zeros((0, 4), dtype=np.float32)
    assert box_overlaps(none, boxes(0, 3)).shape == (0, 3)
    assert box_overlaps(boxes(0, 3), none).shape == (3, 0)
    assert mask_overlaps([], [Rle.of(np.ones((2, 2), dtype=np.bool_))]).shape == (0, 1)


def test_masks_equal_dense_counts() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    dense = draw.random((6, 20, 30)) < 0.4
    dense[5] = False
    masks = [*(Rle.of(one) for one in dense), Polygons(20, 30, ((2, 2, 20, 3, 18, 15, 4, 17),))]
    dense = np.concatenate([dense, masks[-1].dense()[None]])
    crowd = np.array([False, True, False, True])
    ours = mask_overlaps(masks, masks[3:], crowd)
    for i, one in enumerate(dense):
        for j, other in enumerate(dense[3:]):
            shared = (one & other).sum()
            whole = one.sum() if crowd[j] else (one | other).sum()
            assert ours[i, j] == (shared / whole if shared else 0.0)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"boxes \(P, 4\) twice"):
        paired_box_overlaps(boxes(0, 3), boxes(0, 2))
    with pytest.raises(ValueError, match=r"crowd flags bool \(2,\)"):
        box_overlaps(boxes(0, 3), boxes(0, 2), np.array([True]))
    with pytest.raises(ValueError, match="several sizes"):
        mask_overlaps([Rle.of(np.ones((2, 2), dtype=np.bool_))], [Rle.of(np.ones((2, 3), dtype=np.bool_))])
