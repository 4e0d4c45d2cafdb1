from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from twinset.models.classical import STRENGTHS, AugmentationSettings, augment, augmentation, flip_is_safe
from twinset.randomness import Stream


def ramp(n: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    """Images whose value is the column's position: -0.5 at the left edge, 0.5 at the right."""
    columns = (torch.arange(width) + 0.5) / width - 0.5
    return columns.expand(n, channels, height, width).clone()


def test_no_augmentation_returns_the_images_bit_for_bit() -> None:
    images = torch.rand(5, 3, 9, 7, generator=Stream(1).torch()) * 2 - 1
    assert torch.equal(augment(images, augmentation("none", flip=True), rng=Stream(0)), images)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range_are_kept_and_the_input_is_not_touched(strength: str, channels: int) -> None:
    images = torch.rand(6, channels, 12, 10, generator=Stream(1).torch()) * 2 - 1
    before = images.clone()
    out = augment(images, augmentation(strength, flip=True), rng=Stream(2))  # type: ignore[arg-type]
    assert out.shape == images.shape
    assert out.min() >= -1
    assert out.max() <= 1
    assert torch.equal(images, before)


def test_equal_streams_give_equal_draws_and_global_state_is_left_alone() -> None:
    images = torch.rand(6, 3, 12, 12, generator=Stream(1).torch()) * 2 - 1
    state = torch.random.get_rng_state()
    strong = augmentation("strong", flip=True)
    assert torch.equal(augment(images, strong, rng=Stream(2)), augment(images, strong, rng=Stream(2)))
    assert not torch.equal(augment(images, strong, rng=Stream(2)), augment(images, strong, rng=Stream(3)))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_each_image_of_a_batch_has_its_own_draw() -> None:
    out = augment(ramp(4, 16, 16), augmentation("strong"), rng=Stream(0))
    assert all(not torch.equal(out[0], out[i]) for i in range(1, 4))


def test_flip_mirrors_about_half_of_the_images_and_nothing_else() -> None:
    images = ramp(400, 4, 8)
    out = augment(images, AugmentationSettings(flip=True), rng=Stream(0))
    mirrored = torch.tensor([torch.equal(image, images[0].flip(2)) for image in out])
    untouched = torch.tensor([torch.equal(image, images[0]) for image in out])
    assert bool((mirrored ^ untouched).all())
    assert 150 < int(mirrored.sum()) < 250


def test_translation_stays_within_its_fraction_of_the_side() -> None:
    width = 100
    out = augment(ramp(200, 4, width), AugmentationSettings(translate=0.1), rng=Stream(0))
    shift = out[:, 0, 2, width // 2] - ramp(1, 4, width)[0, 0, 2, width // 2]
    assert shift.abs().max() <= 0.1 + 1e-5
    assert shift.min() < -0.08
    assert shift.max() > 0.08


def test_rotation_keeps_angles_in_pictures_that_are_not_square() -> None:
    # A bar that is horizontal in a wide picture: after rotation by a, its slope in pixels is tan(a), not stretched.
    height, width = 41, 81
    rows = torch.arange(height, dtype=torch.float32) - height // 2
    images = (rows[:, None] / 40).expand(60, 1, height, width).clone()
    out = augment(images, AugmentationSettings(rotate_degrees=20), rng=Stream(0))
    right = out[:, 0, height // 2, width // 2 + 5] - out[:, 0, height // 2, width // 2 - 5]
    down = out[:, 0, height // 2 + 5, width // 2] - out[:, 0, height // 2 - 5, width // 2]
    norm = torch.sqrt(right**2 + down**2) * 40 / 10
    assert torch.allclose(norm, torch.ones(60), atol=1e-3)
    angle = torch.rad2deg(torch.atan2(right, down))
    assert angle.abs().max() <= 20 + 1e-2
    assert angle.abs().max() > 15


def test_zoom_spans_its_range_both_ways() -> None:
    out = augment(ramp(300, 4, 64), AugmentationSettings(scale=1.5), rng=Stream(0))
    slope = (out[:, 0, 2, 36] - out[:, 0, 2, 28]) / (8 / 64)
    assert slope.min() >= 1 / 1.5 - 1e-3
    assert slope.max() <= 1.5 + 1e-3
    assert slope.min() < 0.8
    assert slope.max() > 1.25


def test_elastic_displacement_has_the_stated_spread() -> None:
    images = ramp(400, 32, 200)
    out = augment(images, AugmentationSettings(elastic=0.03), rng=Stream(0))
    moved = (out - images)[:, 0, 0, 66]  # between knots the interpolated field is a little calmer
    assert 0.015 < float(moved.std()) < 0.035


def test_brightness_and_contrast_move_mean_and_spread_only() -> None:
    images = ramp(300, 8, 8) * 0.5
    out = augment(images, AugmentationSettings(brightness=0.2, contrast=0.3), rng=Stream(0))
    assert out.mean((1, 2, 3)).abs().max() <= 0.2 + 1e-5
    gain = out.std((1, 2, 3)) / images.std((1, 2, 3))
    assert gain.min() >= 0.7 - 1e-4
    assert gain.max() <= 1.3 + 1e-4
    assert gain.max() - gain.min() > 0.4


def test_saturation_leaves_grey_pixels_grey() -> None:
    grey = ramp(5, 8, 8, channels=3)
    assert torch.allclose(augment(grey, AugmentationSettings(saturation=0.9), rng=Stream(0)), grey, atol=1e-6)


def test_cutout_replaces_a_box_no_larger_than_asked_in_the_asked_share_of_images() -> None:
    images = torch.rand(400, 1, 20, 20, generator=Stream(1).torch())
    out = augment(images, AugmentationSettings(cutout=0.5, cutout_share=0.25), rng=Stream(0))
    changed = (out != images).flatten(1).sum(1)
    assert changed.max() <= 10 * 10
    assert 50 < int((changed > 0).sum()) < 110


@pytest.mark.parametrize(
    "wrong", [{"scale": 0.9}, {"translate": -0.1}, {"cutout": 1.5}, {"rotate_degrees": math.nan}, {"contrast": 2.0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        AugmentationSettings(**wrong)  # type: ignore[arg-type]


def test_flips_are_unsafe_for_digits_and_safe_for_symmetric_classes() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)[..., None]
    assert not flip_is_safe(images[:100], digits.target[:100])
    rng = Stream(0).numpy()
    half = rng.integers(100, size=(60, 8, 4, 1)) + np.repeat([0, 100], 30)[:, None, None, None]
    symmetric = np.concatenate([half, half[:, :, ::-1]], axis=2).astype(np.uint8)
    assert flip_is_safe(symmetric, np.repeat([0, 1], 30))


def test_a_left_and_a_right_class_make_flips_unsafe() -> None:
    rng = Stream(0).numpy()
    images = rng.integers(60, size=(40, 8, 8, 1)).astype(np.uint8)
    classes = np.repeat([0, 1], 20)
    images[:20, :, :4] += 120
    images[20:, :, 4:] += 120
    assert not flip_is_safe(images, classes)
