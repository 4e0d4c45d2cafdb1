"""Confusion counts, IoU and Dice against loops, scikit-learn and small cases done by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from twinset.pixel_scores import PixelScores, confusion, resampled

CLASSES = 4


def maps(seed: int, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose classes are found more often right than wrong; a tenth of the pixels is not to be counted."""
    draw = np.random.Generator(np.random.PCG64(seed))
    truth = draw.integers(0, CLASSES, size=(n, 13, 17))
    found = np.where(draw.random(truth.shape) < 0.7, truth, draw.integers(0, CLASSES, size=truth.shape))
    return np.where(draw.random(truth.shape) < 0.1, -1, truth), found


def confusions(seed: int, n: int = 5) -> np.ndarray:
    return np.stack([confusion(a, b, n_classes=CLASSES) for a, b in zip(*maps(seed, n), strict=True)])


def test_confusion_equals_a_loop_over_pixels() -> None:
    truth, found = (one[0] for one in maps(0))
    counts = np.zeros((CLASSES, CLASSES), dtype=int)
    for a, b in zip(truth.ravel(), found.ravel(), strict=True):
        if a != -1:
            counts[a, b] += 1
    assert np.array_equal(confusion(truth, found, n_classes=CLASSES), counts)
    assert not np.array_equal(counts, counts.T)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16])
def test_confusion_of_many_classes_does_not_overflow_small_types(dtype: type[np.integer]) -> None:
    truth = np.array([[120, 3], [7, 120]], dtype=dtype)
    counts = confusion(truth, truth[::-1], n_classes=121)
    assert (counts[120, 7], counts[3, 120], counts[7, 120], counts[120, 3], counts.sum()) == (1, 1, 1, 1, 4)


def test_ignored_pixels_do_not_count_whatever_was_found_there() -> None:
    truth = np.array([[0, -1, 1]], dtype=np.int32)
    for there in (-1, 0, 1, 99):
        counts = confusion(truth, np.array([[0, there, 0]]), n_classes=2)
        assert counts.tolist() == [[1, 0], [1, 0]]


def test_scores_equal_scikit_learn() -> None:
    truth, found = maps(1)
    kept = truth != -1
    scores = PixelScores.of(confusions(1))
    np.testing.assert_allclose(scores.iou, jaccard_score(truth[kept], found[kept], average=None), atol=1e-15)
    np.testing.assert_allclose(scores.dice, f1_score(truth[kept], found[kept], average=None), atol=1e-15)
    assert scores.miou == pytest.approx(jaccard_score(truth[kept], found[kept], average="macro"), abs=1e-15)
    assert scores.mean_dice == pytest.approx(f1_score(truth[kept], found[kept], average="macro"), abs=1e-15)
    assert scores.pixel_accuracy == pytest.approx((truth == found)[kept].mean(), abs=1e-15)
    assert np.array_equal(scores.pixels, confusion_matrix(truth[kept], found[kept]).sum(axis=1))


def test_half_of_a_class_by_hand() -> None:
    """Class 0: 4 pixels, 2 given to class 1. IoU 2/4 and 2/4; Dice 4/6 and 4/6; right are 4 of 6."""
    scores = PixelScores.of(np.array([[[2, 2], [0, 2]]]))
    assert scores.iou.tolist() == [0.5, 0.5]
    assert scores.dice.tolist() == [4 / 6, 4 / 6]
    assert (scores.miou, scores.pixel_accuracy) == (0.5, 4 / 6)


def test_truth_and_found_are_not_interchangeable() -> None:
    """A class only in the truth scores 0 and counts in the mean; one only found costs others and does not count."""
    truth, found = np.array([[0, 0, 0, 2]]), np.array([[0, 0, 1, 0]])
    there = PixelScores.of(confusion(truth, found, n_classes=4)[None])
    np.testing.assert_array_equal(there.iou, [0.5, np.nan, 0.0, np.nan])
    assert there.miou == 0.25
    swapped = PixelScores.of(confusion(found, truth, n_classes=4)[None])
    np.testing.assert_array_equal(swapped.iou, [0.5, 0.0, np.nan, np.nan])
    assert there.pixels.tolist() == [3, 0, 1, 0]


def test_pictures_are_pooled_before_they_are_divided() -> None:
    small, large = np.array([[1, 0], [0, 0]]), np.array([[0, 9], [0, 0]])
    assert PixelScores.of(np.stack([small, large])).miou == pytest.approx(0.1)


def test_weights_equal_repeated_pictures() -> None:
    counts = confusions(2, n=6)
    weights = np.random.Generator(np.random.PCG64(2)).integers(0, 4, size=(20, 6))
    for figure in ("miou", "mean_dice", "pixel_accuracy"):
        values = resampled(counts, weights, figure=figure)  # type: ignore[arg-type]
        for row, value in zip(weights, values, strict=True):
            copies = PixelScores.of(np.repeat(counts, row, axis=0))
            assert value == getattr(copies, figure)
            assert PixelScores.of(counts, weights=row).to_json() == copies.to_json()


def test_a_class_without_pixels_in_a_draw_is_left_out_of_its_mean() -> None:
    counts = np.array([[[4, 0], [0, 0]], [[0, 0], [3, 1]]])
    values = resampled(counts, np.array([[1, 0], [0, 1], [1, 1], [0, 0]]))
    np.testing.assert_allclose(values, [1.0, 0.25, (4 / 7 + 1 / 4) / 2, np.nan])


def test_json_has_null_where_nothing_can_be_said() -> None:
    plain = PixelScores.of(np.array([[[1, 0], [0, 0]]])).to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "iou": [1.0, None],
        "dice": [1.0, None],
        "miou": 1.0,
        "mean_dice": 1.0,
        "pixel_accuracy": 1.0,
        "pixels": [1, 0],
    }


def test_bad_arguments_are_named() -> None:
    ids = np.zeros((2, 2), dtype=np.int64)
    with pytest.raises(ValueError, match="of one shape"):
        confusion(ids, ids[0], n_classes=1)
    with pytest.raises(ValueError, match="of one shape"):
        confusion(ids, ids.astype(np.float32), n_classes=1)
    with pytest.raises(ValueError, match=r"0…0 in truth; got 1…1"):
        confusion(ids + 1, ids, n_classes=1)
    with pytest.raises(ValueError, match=r"0…0 in found; got -1…-1"):
        confusion(ids, ids - 1, n_classes=1)
    with pytest.raises(ValueError, match=r"in truth; got -2"):
        confusion(ids - 2, ids, n_classes=1)
    with pytest.raises(ValueError, match=r"\(N, C, C\)"):
        PixelScores.of(np.zeros((2, 2), dtype=np.int64))
    for weights in (np.ones((1, 3)), np.array([[np.nan]]), np.array([[-1]])):
        with pytest.raises(ValueError, match="finite and ≥ 0"):
            resampled(np.ones((1, 2, 2), dtype=np.int64), weights)
