from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.detectability.residuals import luminance, median_residual
from twinset.evaluation.detectability.spectrum import GRID, Spectrum, grid_peaks, ring_power, spectrum_features


def noise(seed: int, *shape: int, spread: float = 10.0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(128, spread, shape)


def pictures(seed: int, *shape: int, spread: float = 10.0) -> np.ndarray:
    return np.clip(np.rint(noise(seed, *shape, spread=spread)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (61, 47)])
def test_white_noise_has_its_variance_in_every_ring_at_any_size(height: int, width: int) -> None:
    rings = 10 ** ring_power(noise(0, 100, height, width), rings=8).mean(axis=0) - 1 / 12
    # The mean of a logarithm lies below the logarithm of the mean, most in the first ring with its few bins.
    assert rings[1:] == pytest.approx(np.full(8, 100.0), rel=0.1)
    assert rings[0] == pytest.approx(100.0, rel=0.25)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 128)])
@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_a_wave_is_in_the_ring_of_its_frequency_per_pixel(height: int, width: int, direction: str) -> None:
    frequency = 0.30  # of .5, so in ring 9 of 16 (.28125 ... .3125)
    steps = np.arange(width)[None, :] if direction == "rows" else np.arange(height)[:, None]
    wave = 128 + 50 * np.cos(2 * np.pi * frequency * (steps + np.zeros((height, width))))
    rings = ring_power(wave[None], rings=16)[0]
    assert rings.argmax() == 9
    assert rings[9] > np.delete(rings, [8, 9, 10]).max() + 3


def test_a_checkerboard_is_in_the_corner_ring() -> None:
    board = 128 + 60.0 * (-1) ** np.add.outer(np.arange(32), np.arange(32))
    assert ring_power(board[None], rings=8)[0].argmax() == 8


def test_brightness_changes_nothing_and_contrast_adds_its_square() -> None:
    plain = noise(1, 3, 40, 40)
    rings = ring_power(plain, rings=8)
    assert ring_power(plain + 30, rings=8) == pytest.approx(rings, abs=1e-9)
    assert ring_power(3 * plain, rings=8) == pytest.approx(rings + 2 * np.log10(3), abs=2e-3)


def test_power_is_what_a_full_transform_says() -> None:
    plane = noise(2, 12, 15)
    window = np.outer(np.hanning(14)[1:-1], np.hanning(17)[1:-1])
    centred = (plane - (plane * window).sum() / window.sum()) * window
    power = np.abs(np.fft.fft2(centred)) ** 2 / (window**2).sum()
    radius = np.hypot(np.fft.fftfreq(12)[:, None], np.fft.fftfreq(15)[None, :]) / 0.5
    expected = [power[(radius > a) & (radius <= b)].mean() for a, b in ((0, 0.5), (0.5, 1), (1, 9))]
    assert 10 ** ring_power(plane[None], rings=2)[0] == pytest.approx(np.array(expected) + 1 / 12, rel=1e-9)


def test_rings_without_a_bin_lie_between_their_neighbours() -> None:
    rings = ring_power(noise(3, 2, 8, 8), rings=32)
    assert np.isfinite(rings).all()
    # Bins of 8 pixels lie at .25 of Nyquist, in ring 8, and at .354 in ring 11: rings 9 and 10 hold none.
    assert rings[:, 9] == pytest.approx(rings[:, 8] * 2 / 3 + rings[:, 11] / 3)


def test_a_grid_of_eight_pixels_shows_in_its_direction_only() -> None:
    plain = noise(4, 1, 64, 80, spread=3.0)
    striped = plain.copy()
    striped[:, :, ::8] += 20
    rows, columns, diagonals = np.split(grid_peaks(striped)[0], 3)
    assert rows.min() > 1
    assert np.abs(columns).max() < 1.2
    assert np.split(grid_peaks(np.swapaxes(striped, 1, 2))[0], 3)[1] == pytest.approx(rows)
    assert np.abs(diagonals).max() < 1.2


def test_upsampling_between_old_pixels_shows_at_half_a_cycle() -> None:
    small = pictures(5, 4, 72, 36, 1, spread=40)
    doubled = small.repeat(2, axis=2)
    doubled[:, :, 1:-1:2] = (small[:, :, 1:].astype(int) + small[:, :, :-1]) // 2
    half = Spectrum().names(1).index("grid 4/8 along rows of residual magnitude")
    plain = pictures(6, 4, 72, 72, 1, spread=40)
    assert spectrum_features(doubled)[:, half].min() > spectrum_features(plain)[:, half].max() + 0.5


def test_every_feature_has_a_name_whatever_size_and_channels() -> None:
    for shape in ((2, 32, 32, 1), (3, 17, 40, 3), (1, 8, 9, 3)):
        features = spectrum_features(pictures(7, *shape), settings=Spectrum(rings=5))
        assert features.shape == (shape[0], len(Spectrum(rings=5).names(shape[3])))
        assert features.dtype == np.float64
        assert np.isfinite(features).all()
    assert (spectrum_features(pictures(7, 1, 15, 40, 1))[:, -3 * GRID :] == 0).all()


def test_a_picture_does_not_depend_on_its_batch() -> None:
    batch = pictures(8, 5, 24, 30, 3)
    assert np.array_equal(spectrum_features(batch)[2:3], spectrum_features(batch[2:3]))


def test_flat_pictures_are_at_the_level_of_rounding() -> None:
    flat = spectrum_features(np.full((1, 32, 32, 3), 77, dtype=np.uint8))[0]
    assert flat[:-24] == pytest.approx(np.full(len(flat) - 24, np.log10(1 / 12)))
    assert flat[-24:] == pytest.approx(np.zeros(24))


def test_bad_pictures_are_refused() -> None:
    for wrong in (np.zeros((2, 16, 16, 1)), np.zeros((2, 16, 16), np.uint8), np.zeros((0, 16, 16, 1), np.uint8)):
        with pytest.raises(ValueError, match="expected pictures as non-empty uint8"):
            spectrum_features(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 8 × 8 pixels; got 7 × 16"):
        spectrum_features(np.zeros((2, 7, 16, 1), np.uint8))
    with pytest.raises(ValueError, match="rings"):
        Spectrum(rings=1)


def test_the_residual_is_the_picture_less_its_median() -> None:
    plane = pictures(9, 1, 9, 11, 1)[..., 0]
    padded = np.pad(plane[0], 1, mode="edge").astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    assert np.array_equal(median_residual(plane)[0], plane[0] - np.median(windows, axis=(2, 3)))
    assert luminance(np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]], np.uint8)).tolist() == [[[76, 150, 29]]]
