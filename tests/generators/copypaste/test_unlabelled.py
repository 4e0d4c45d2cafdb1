"""What looks like labelled objects and has no label."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.generators.copypaste.removal import holes_of, without_objects
from twinset.generators.copypaste.unlabelled import cores_of, unlabelled_alike
from twinset.instances import Instances
from twinset.masks import Rle

SIZE = (120, 160)
LABELLED = np.array([[10, 10, 40, 40], [60, 15, 90, 45], [20, 70, 50, 100]], dtype=np.float32)
FORGOTTEN = np.array([[110, 20, 140, 50], [80, 75, 110, 105]], dtype=np.float32)


def picture(colour: tuple[int, int, int] = (190, 90, 80)) -> np.ndarray:
    """Discs of a colour on noisy grey."""
    import cv2

    pixels = np.clip(np.random.default_rng(0).normal(200, 4, (*SIZE, 3)), 0, 255).astype(np.uint8)
    for x0, y0, x1, y1 in np.concatenate([LABELLED, FORGOTTEN]).astype(int).tolist():
        cv2.circle(pixels, ((x0 + x1) // 2, (y0 + y1) // 2), (x1 - x0) // 2 - 1, colour, -1)
    return pixels


def objects(boxes: np.ndarray = LABELLED) -> Instances:
    return Instances(SIZE, np.zeros(len(boxes), dtype=np.int64), boxes)


def alike(pixels: np.ndarray, of: Instances) -> np.ndarray:
    return unlabelled_alike(pixels, holes_of(SIZE, of.boxes, [None] * len(of)), of)


def test_forgotten_objects_are_found_and_little_else() -> None:
    found = alike(picture(), objects())
    for x0, y0, x1, y1 in FORGOTTEN.astype(int).tolist():
        assert found[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].all()
    around = holes_of(SIZE, np.concatenate([LABELLED, FORGOTTEN]), [None] * 5)
    assert (found & ~around).mean() < 0.01
    assert not found[holes_of(SIZE, LABELLED, [None] * 3)].any()


def test_nothing_of_them_is_left_once_they_are_filled_in() -> None:
    pixels, of = picture(), objects()
    holes = holes_of(SIZE, of.boxes, [None] * 3)
    filled = without_objects(pixels, holes | alike(pixels, of))
    assert np.abs(filled.astype(int) - 200).max() < 40
    assert np.abs(without_objects(pixels, holes).astype(int) - 200).max() > 90


@pytest.mark.parametrize("boxes", [LABELLED[:0], np.array([[0, 0, 160, 120]], dtype=np.float32)])
def test_without_objects_or_without_anything_beside_them_nothing_is_alike(boxes: np.ndarray) -> None:
    assert not alike(picture(), objects(boxes)).any()


def test_colours_seen_as_often_beside_objects_as_in_them_are_no_sign() -> None:
    pixels = np.clip(np.random.default_rng(1).normal(128, 20, (*SIZE, 3)), 0, 255).astype(np.uint8)
    assert alike(pixels, objects()).mean() < 0.05


def test_masks_are_taken_where_there_are_some() -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[30:60, 40:80] = True
    of = Instances(SIZE, np.zeros(1, dtype=np.int64), np.array([[40, 30, 80, 60]], dtype=np.float32), (Rle.of(mask),))
    np.testing.assert_array_equal(cores_of(of), mask)
