from __future__ import annotations

import numpy as np
import pytest

from twinset.models.classical import STRENGTHS
from twinset.models.detection.augmentation import SceneAugmentation, augment_scene, move_objects, scene_augmentation
from twinset.models.detection.scenes import Objects
from twinset.randomness import Stream


def rectangle(box: tuple[int, int, int, int], *, size: tuple[int, int] = (64, 96)) -> tuple[np.ndarray, Objects]:
    image = np.zeros((*size, 3), np.uint8)
    image[..., 2] = 255
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = (255, 0, 0)
    return image, (np.array([box], np.float32), np.array([3]), np.array([False]))


def extent(red: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("frame", [(64, 96), (64, 64), (48, 80)])
def test_the_box_stays_around_its_object(strength: str, frame: tuple[int, int]) -> None:
    settings = scene_augmentation(strength, turn=True)  # type: ignore[arg-type]
    picture, seen = rectangle((20, 10, 52, 34)), 0
    for seed in range(60):
        pixels, (boxes, class_ids, _) = augment_scene(
            [picture], settings, frame=frame, class_weights=None, rng=Stream(seed)
        )
        assert pixels.shape == (*frame, 3)
        red = (pixels[..., 0].astype(int) - pixels[..., 2]) > 40
        if len(boxes):
            seen += 1
            assert class_ids.tolist() == [3]
            np.testing.assert_allclose(extent(red), boxes[0], atol=1.01)
        else:
            assert red.sum() <= max(frame)
    assert seen > 40


def test_all_quarter_turns_and_mirrorings_occur() -> None:
    picture = rectangle((0, 0, 20, 10), size=(64, 64))
    settings = SceneAugmentation(flip=True, turn=True)
    found = {
        tuple(augment_scene([picture], settings, frame=(64, 64), class_weights=None, rng=Stream(s))[1][0][0].tolist())
        for s in range(100)
    }
    wide = {(0, 0, 20, 10), (44, 0, 64, 10), (0, 54, 20, 64), (44, 54, 64, 64)}
    assert found == wide | {(y1, x1, y2, x2) for x1, y1, x2, y2 in wide}


def test_a_mosaic_shows_four_pictures_with_all_their_boxes() -> None:
    settings = SceneAugmentation(mosaic=1)
    picture = rectangle((40, 24, 56, 40))
    for seed in range(30):
        pixels, (boxes, _, ignored) = augment_scene(
            [picture] * 4, settings, frame=(64, 96), class_weights=None, rng=Stream(seed)
        )
        red = (pixels[..., 0].astype(int) - pixels[..., 2]) > 40
        covered = np.zeros(red.shape, bool)
        for x1, y1, x2, y2 in boxes.round().astype(int):
            assert red[y1:y2, x1:x2].mean() > 0.7
            covered[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = True
        assert not (red & ~covered).any()
        assert len(boxes) == len(ignored) >= 3


def test_none_changes_nothing() -> None:
    picture = rectangle((1, 2, 30, 40))
    pixels, objects = augment_scene(
        [picture] * 4, scene_augmentation("none"), frame=(64, 96), class_weights=None, rng=Stream(1)
    )
    np.testing.assert_array_equal(pixels, picture[0])
    np.testing.assert_array_equal(objects[0], picture[1][0])


def test_slivers_are_ignored_and_what_is_outside_goes() -> None:
    boxes = np.array([[0, 0, 10, 10], [8, 0, 18, 10], [6, 0, 16, 10], [20, 0, 30, 10]], np.float32)
    objects = (boxes, np.arange(4), np.array([True, False, False, False]))
    moved, class_ids, ignored = move_objects(objects, np.eye(2, 3), (10, 10))
    assert class_ids.tolist() == [0, 1, 2]
    assert ignored.tolist() == [True, True, False]
    np.testing.assert_allclose(moved, [[0, 0, 10, 10], [8, 0, 10, 10], [6, 0, 10, 10]])


def test_small_frames_are_laid_around_objects_and_rare_ones_more_often() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    boxes = np.array([[10, 10, 30, 30]] * 9 + [[220, 220, 240, 240]], np.float32)
    picture = (image, (boxes, np.array([0] * 9 + [1]), np.zeros(10, bool)))

    def rare(weights: np.ndarray | None) -> float:
        found = [
            1
            in augment_scene([picture], SceneAugmentation(), frame=(64, 64), class_weights=weights, rng=Stream(s))[1][1]
            for s in range(200)
        ]
        return float(np.mean(found))

    assert rare(None) < 0.2
    assert 0.3 < rare(np.array([1 / 9, 1])) < 0.55


def test_light_and_colour_keep_the_pixels_in_place_and_grey_is_fine() -> None:
    image = Stream(0).numpy().integers(50, 200, (16, 16, 1)).astype(np.uint8)
    objects = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    settings = SceneAugmentation(brightness=0.1, contrast=0.2, saturation=0.5, tint=0.1)
    pixels, _ = augment_scene([(image, objects)], settings, frame=(16, 16), class_weights=None, rng=Stream(4))
    assert pixels.shape == image.shape
    assert not np.array_equal(pixels, image)
    assert np.corrcoef(pixels.ravel(), image.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("wrong", [{"scale": 0.9}, {"mosaic": 1.5}, {"translate": -0.1}, {"aspect": float("nan")}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SceneAugmentation(**wrong)
