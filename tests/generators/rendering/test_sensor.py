"""The lens warps pictures, labels and points alike; the sensor does what its numbers say."""

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.sensor import Lens, sensed

CAMERA = Camera.looking((0, 0, 5), (0, 0, 0), size=(90, 140), field_of_view_degrees=60)


@pytest.mark.parametrize("k1", [-0.25, -0.05, 0.1, 0.3])
def test_points_land_where_the_warped_picture_shows_them(k1: float) -> None:
    lens = Lens(CAMERA, k1)
    rng = np.random.default_rng(1)
    points = np.c_[rng.uniform(-2, 2, (40, 2)), rng.uniform(-0.5, 0.5, 40)]
    for point in points:
        ideal, _ = lens.wide.project([point])
        (x, y), _ = ((p := lens.project([point]))[0][0], p[1])
        wide = np.zeros((*lens.wide.size, 1), dtype=np.float32)
        rows, columns = np.ogrid[: wide.shape[0], : wide.shape[1]]
        wide[..., 0] = (columns + 0.5 - ideal[0, 0]) ** 2 + (rows + 0.5 - ideal[0, 1]) ** 2
        if not (2 < x < 138 and 2 < y < 88):
            continue
        seen = lens.labels(wide)[..., 0]
        row, column = np.unravel_index(int(seen.argmin()), seen.shape)
        assert abs(column + 0.5 - x) < 1.01
        assert abs(row + 0.5 - y) < 1.01


@pytest.mark.parametrize("k1", [-0.2, 0.2])
def test_picture_and_labels_are_warped_alike(k1: float) -> None:
    lens = Lens(CAMERA, k1)
    wide = np.zeros((*lens.wide.size, 3), dtype=np.uint8)
    wide[30:60, 50:100] = 255
    by_labels = lens.labels(wide[..., 0] > 0)
    by_picture = lens.picture(wide)[..., 0] > 127
    assert by_labels.any()
    assert (by_labels != by_picture).mean() < 0.01


def test_without_distortion_nothing_changes() -> None:
    lens = Lens(CAMERA)
    picture = np.random.default_rng(0).integers(0, 256, (90, 140, 3)).astype(np.uint8)
    assert lens.wide is CAMERA
    np.testing.assert_array_equal(lens.picture(picture), picture)
    np.testing.assert_allclose(lens.project([[0.3, 0.2, 0.1]])[0], CAMERA.project([[0.3, 0.2, 0.1]])[0])


@pytest.mark.parametrize("k1", [-0.3, 0.05, 0.4])
def test_a_lens_finds_all_its_pixels_in_the_wide_picture(k1: float) -> None:
    lens = Lens(CAMERA, k1)
    at = lens._sources
    height, width = lens.wide.size
    assert at.min() >= 0
    assert at[..., 0].max() <= width
    assert at[..., 1].max() <= height


def test_a_barrel_moves_points_inwards() -> None:
    corner = [[1.9, 1.2, 0.0]]
    plain, _ = CAMERA.project(corner)
    bent, _ = Lens(CAMERA, 0.3).project(corner)
    assert np.linalg.norm(bent - (70, 45)) < np.linalg.norm(plain - (70, 45))


def test_a_lens_that_folds_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fold"):
        Lens(CAMERA, -0.5)


def test_noise_has_its_standard_deviation_and_blur_its_width() -> None:
    rng = np.random.default_rng(0)
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noisy = sensed(grey, rng, blur=0.0, noise=8.0, jpeg_quality=100)
    assert noisy.astype(float).std() == pytest.approx(8.0, rel=0.03)
    dot = np.zeros((41, 41, 3), dtype=np.uint8)
    dot[20, 20] = 255
    spread = sensed(dot, rng, blur=1.0, noise=0.0, jpeg_quality=100).astype(float)[..., 0]
    assert spread[20, 20] / 255 == pytest.approx(1 / (2 * np.pi), rel=0.05)


def test_a_poorer_jpeg_is_further_from_the_picture() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    errors = [
        np.abs(sensed(picture, rng, blur=0, noise=0, jpeg_quality=q).astype(float) - picture).mean()
        for q in (100, 90, 30)
    ]
    assert errors[0] == 0 < errors[1] < errors[2]


@pytest.mark.parametrize("k1", [-0.3, -0.1, 0.4])
def test_what_lies_far_outside_the_picture_lands_outside_in_the_same_order(k1: float) -> None:
    across = np.geomspace(0.01, 1e12, 60)
    points = np.stack([across, 0.5 * across, np.ones(60)], axis=1)
    with np.errstate(all="raise"):
        pixels, _ = Lens(CAMERA, k1).project(points)
    assert np.isfinite(pixels).all()
    away = np.linalg.norm(pixels - (70, 45), axis=1)
    assert (np.diff(away) > 0).all()
