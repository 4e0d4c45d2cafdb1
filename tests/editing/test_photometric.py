from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.annotations import Annotation, Instances
from twinset.dataset import Sample
from twinset.editing.photometric import LUMA, Photometric, colour_matrix
from twinset.randomness import Stream

STILL = Photometric(brightness=0, contrast=0, saturation=0, hue_degrees=0, noise=0, blur=0, jpeg=100)
BOX = Instances((24, 32), np.array([0]), np.array([[2, 3, 20, 12]]))


def picture(channels: int = 3) -> Sample:
    y, x = np.mgrid[:24, :32]
    planes = np.stack([100 + 2 * x, 60 + 4 * y, 150 - 2 * x], axis=2)[..., :channels]
    return Sample("p", Annotation(instances=BOX), image=planes.astype(np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_settings_of_zero_change_nothing(channels: int) -> None:
    edited = replace(STILL, share=1.0).edit(picture(channels), rng=Stream(1))
    np.testing.assert_array_equal(edited.pixels(), picture(channels).pixels())


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_are_kept_and_the_pixels_are_not(channels: int) -> None:
    for seed in range(20):
        edited = Photometric(share=1.0).edit(picture(channels), rng=Stream(seed))
        assert edited.annotation is not None
        assert edited.annotation.instances is BOX or edited.annotation.instances == BOX
        assert edited.pixels().shape == picture(channels).pixels().shape
        assert not np.array_equal(edited.pixels(), picture(channels).pixels())
        assert np.abs(edited.pixels().astype(int) - picture(channels).pixels()).mean() < 60
        assert edited.origin.parents == ("p",)


def test_brightness_is_a_factor_in_its_range() -> None:
    flat = Sample("f", Annotation(class_id=0), image=np.full((4, 4, 3), 100, np.uint8))
    values = [int(replace(STILL, brightness=0.5).edit(flat, rng=Stream(s)).pixels()[0, 0, 0]) for s in range(200)]
    assert 50 <= min(values) < 60
    assert 140 < max(values) <= 150


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_keeps_the_mean_and_scales_the_spread(channels: int) -> None:
    before = picture(channels).pixels().astype(float)
    for seed in range(20):
        after = replace(STILL, contrast=0.5).edit(picture(channels), rng=Stream(seed)).pixels().astype(float)
        weights = LUMA if channels == 3 else np.ones(1)
        assert (after @ weights).mean() == pytest.approx((before @ weights).mean(), abs=0.6)
        assert 0.48 < after[..., 0].std() / before[..., 0].std() < 1.52


def test_saturation_and_hue_leave_luma_and_grey_alone() -> None:
    before = picture().pixels()
    for seed in range(20):
        after = replace(STILL, saturation=0.8).edit(picture(), rng=Stream(seed)).pixels()
        assert np.abs(after @ LUMA - before @ LUMA).max() < 1.1
    grey = replace(picture(), image=np.repeat(picture(1).pixels(), 3, axis=2))
    turned = replace(STILL, hue_degrees=180.0, saturation=1.0).edit(grey, rng=Stream(3))
    np.testing.assert_array_equal(turned.pixels(), grey.pixels())


def test_a_third_of_a_turn_makes_red_green() -> None:
    np.testing.assert_allclose(colour_matrix(1.0, 2 * np.pi / 3) @ [200, 0, 0], [0, 200, 0], atol=1e-9)
    np.testing.assert_allclose(colour_matrix(1.0, 0.0), np.eye(3), atol=1e-12)


def test_noise_has_the_spread_that_was_drawn() -> None:
    flat = Sample("f", Annotation(class_id=0), image=np.full((64, 64, 1), 128, np.uint8))
    spreads = [float(replace(STILL, noise=20, share=1.0).edit(flat, rng=Stream(s)).pixels().std()) for s in range(60)]
    assert max(spreads) < 21
    assert max(spreads) > 15
    assert np.mean(spreads) == pytest.approx(10, abs=2)


def test_each_degradation_comes_in_its_share_of_pictures() -> None:
    flat = Sample("f", Annotation(class_id=0), image=np.full((16, 16, 1), 128, np.uint8))
    noisy = [replace(STILL, noise=20, share=0.3).edit(flat, rng=Stream(s)).pixels().std() > 0 for s in range(300)]
    assert 0.2 < np.mean(noisy) < 0.4


def test_blur_smooths_and_jpeg_stays_near() -> None:
    sharp = Stream(1).numpy().integers(256, size=(32, 32, 3)).astype(np.uint8)
    sample = Sample("s", Annotation(class_id=0), image=sharp)
    spreads = [replace(STILL, blur=3.0, share=1.0).edit(sample, rng=Stream(s)).pixels().std() for s in range(20)]
    assert max(spreads) <= sharp.std()
    assert min(spreads) < 0.3 * sharp.std()
    packed = replace(STILL, jpeg=50, share=1.0).edit(picture(), rng=Stream(0)).pixels()
    difference = np.abs(packed.astype(int) - picture().pixels())
    assert 0 < difference.mean() < 4


def test_equal_streams_give_equal_edits() -> None:
    edits = [Photometric(share=1.0).edit(picture(), rng=Stream(seed)).pixels() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(edits[0], edits[1])
    assert not np.array_equal(edits[0], edits[2])


def test_settings_out_of_range_are_refused() -> None:
    for values in ({"brightness": -0.1}, {"contrast": 2}, {"jpeg": 0}, {"noise": -1}, {"share": 1.5}):
        with pytest.raises(ValueError, match="expected"):
            Photometric(**values)  # type: ignore[arg-type]
