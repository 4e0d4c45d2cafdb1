from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.pairs.psnr import PeakSignalToNoise, psnr, psnr_values


def flat(*values: int) -> np.ndarray:
    return np.repeat(np.array(values, dtype=np.uint8), 12).reshape(len(values), 2, 2, 3)


def test_a_tenth_of_the_range_is_twenty_decibels_and_half_the_error_six_more() -> None:
    values = psnr_values(np.full((2, 4, 4, 1), 0.5), np.array([0.6, 0.55]).reshape(2, 1, 1, 1) + np.zeros((2, 4, 4, 1)),
                         data_range=1.0)  # fmt: skip
    assert values == pytest.approx([20.0, 20.0 + 20 * np.log10(2)])


def test_bytes_and_floats_of_the_same_pictures_agree_and_order_does_not_matter() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    x, y = (draw.integers(0, 256, (5, 9, 7, 3), dtype=np.uint8) for _ in range(2))
    expected = 10 * np.log10(255**2 / ((x.astype(float) - y) ** 2).mean(axis=(1, 2, 3)))
    assert psnr_values(x, y, data_range=255) == pytest.approx(expected, rel=1e-12)
    assert psnr_values(y / 255, x / 255, data_range=1) == pytest.approx(expected, rel=1e-9)


def test_the_error_is_of_the_whole_picture_not_of_its_channels_one_by_one() -> None:
    x = np.zeros((1, 2, 2, 3))
    y = x.copy()
    y[..., 0] = 0.3
    assert psnr_values(x, y, data_range=1.0)[0] == pytest.approx(10 * np.log10(1 / 0.03))


def test_equal_pictures_are_infinitely_close_and_left_out_of_the_mean() -> None:
    x, y = flat(10, 20, 30), flat(10, 25, 35)
    assert psnr_values(x, y, data_range=255)[0] == np.inf
    score = psnr(x, y, data_range=255)
    assert score.value == pytest.approx(20 * np.log10(51))
    assert score.counts["pairs"] == 2
    assert "1 pairs of equal pictures" in score.warnings[0]
    assert "infinite" in psnr(x, x, data_range=255).undefined_because
    assert psnr(x[:0], y[:0], data_range=255).undefined_because == "there are no pairs"


def test_the_interval_is_that_of_a_mean_and_one_pair_has_none() -> None:
    x, y = flat(0, 0, 0), flat(10, 20, 40)
    values = psnr_values(x, y, data_range=255)
    score = PeakSignalToNoise().score(x, y)
    assert score.interval is not None
    assert score.interval.high - score.interval.low == pytest.approx(2 * 1.96 * values.std(ddof=1) / np.sqrt(3))
    assert score.higher_is_better
    assert psnr(x[:1], y[:1], data_range=255).interval is None


def test_what_is_no_pair_is_refused() -> None:
    x = flat(1, 2)
    with pytest.raises(ValueError, match="one shape"):
        psnr(x, x[:1], data_range=255)
    with pytest.raises(ValueError, match="data_range > 0"):
        psnr(x, x, data_range=0)
    with pytest.raises(ValueError, match="uint8 or float"):
        psnr(x.astype(np.int32), x.astype(np.int32), data_range=255)
    with pytest.raises(ValueError, match="NaN or infinity in pair 1"):
        psnr(x / 1.0, np.where(np.arange(2)[:, None, None, None] == 1, np.nan, x), data_range=255)
