import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from twinset.copying import (
    copy_features,
    copy_variants,
    duplicate_families,
    nearest_copies,
    nearest_outside,
)


def textures(count, *, side=32, channels=3, seed=0):
    noise = np.random.default_rng(seed).standard_normal((count, side, side, channels))
    smooth = gaussian_filter(noise, (0, 2.5, 2.5, 0))
    smooth -= smooth.min(axis=(1, 2, 3), keepdims=True)
    return np.rint(40 + 170 * smooth / smooth.max(axis=(1, 2, 3), keepdims=True)).astype(np.uint8)


def jpeg(images, quality):
    def one(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return np.stack([one(pixels) for pixels in images])


def noisy(images, deviation):
    noise = np.random.default_rng(9).normal(0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def moved(images, down, right):
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    return padded[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width]


DISGUISES = {
    "none": lambda images: images,
    "recompressed": lambda images: jpeg(images, 50),
    "noisy": lambda images: noisy(images, 8),
    "brighter": lambda images: images + np.uint8(30),
    "less contrast": lambda images: np.rint(128 + 0.7 * (images.astype(float) - 128)).astype(np.uint8),
    "mirrored": lambda images: images[:, :, ::-1],
    "moved by 1 px": lambda images: moved(images, 1, 0),
    "moved by 2 px": lambda images: moved(images, -2, 2),
    "mirrored, moved and recompressed": lambda images: jpeg(moved(images[:, :, ::-1], 1, -1), 60),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_copy_is_near_its_original_and_far_from_all_else(name):
    originals = textures(30)
    distances, rows = nearest_copies(DISGUISES[name](originals), originals, k=2)
    assert rows[:, 0].tolist() == list(range(30))
    assert (distances[:, 0] / distances[:, 1] < 0.5).all()


def test_different_pictures_are_no_copies():
    distances, _ = nearest_copies(textures(30, seed=1), textures(30, seed=2), k=2)
    assert (distances[:, 0] / distances[:, 1] > 0.6).all()


def test_features_have_unit_length_and_ignore_brightness_and_contrast():
    images = textures(5)
    features = copy_features(images)
    assert features.shape == (5, 16 * 16 * 3)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert copy_features(images + np.uint8(20)) == pytest.approx(features, abs=1e-5)


def test_large_pictures_are_compared_at_32_pixels():
    large = textures(3, side=128)
    assert copy_features(large).shape == (3, 16 * 16 * 3)
    assert copy_features(textures(3, side=8)).shape == (3, 8 * 8 * 3)
    assert copy_features(np.zeros((2, 31, 25, 1), dtype=np.uint8)).shape == (2, 16 * 13)


def test_noise_on_a_flat_picture_is_not_blown_up_to_a_picture():
    flat = noisy(np.full((4, 32, 32, 1), 128, dtype=np.uint8), 1)
    assert np.linalg.norm(copy_features(flat), axis=1).max() < 0.15


def test_the_unchanged_picture_is_the_first_of_50_variants():
    images = textures(2)
    assert copy_variants(images).shape == (2, 50, 768)
    assert np.array_equal(copy_variants(images)[:, 0], copy_features(images))
    assert copy_variants(textures(2, side=8)).shape == (2, 18, 192)


def test_features_of_a_picture_do_not_depend_on_its_company():
    images = textures(9, side=40)
    assert np.array_equal(copy_variants(images)[4], copy_variants(images[4:5])[0])


def test_duplicates_are_one_family_and_chains_join():
    points = np.array([[0.0], [10.0], [0.4], [0.8], [10.0]])
    assert duplicate_families(points, nearer_than=0.5).tolist() == [0, 1, 0, 0, 1]


def test_other_pixels_than_bytes_are_refused():
    with pytest.raises(ValueError, match="got float64"):
        copy_features(np.zeros((2, 8, 8, 1)))


def test_relatives_do_not_count_as_neighbours():
    points = np.array([[0.0], [1.0], [2.0], [10.0]])
    distances, rows = nearest_outside(
        np.array([[0.1], [9.0]]), points, k=1, groups=np.array([0, 0, 1, 2]), own=np.array([0, -1])
    )
    assert rows[:, 0].tolist() == [2, 3]
    assert distances[:, 0] == pytest.approx([1.9, 1.0])
    with pytest.raises(ValueError, match="1 ≤ k ≤ 2 references of other groups"):
        nearest_outside(points, points, k=3, groups=np.array([0, 0, 1, 2]), own=np.zeros(4))
