"""The mark is found by its key alone, at the false-positive rate that is stated, after what pictures go through."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from twinset.errors import ImageError, UsageError
from twinset.images import Pixels
from twinset.release.watermark import SecretKey, SpreadSpectrum
from twinset.release.watermark.tiles import COARSE, FINE, TILE, correlations, features, pattern

KEY = SecretKey(b"a key of the tests, not a secret")
MARK = SpreadSpectrum(KEY)


def scene(seed: int, height: int, width: int, channels: int = 3) -> Pixels:
    """Smooth shapes, edges and grain: (height, width, channels) with the falling spectrum of a photograph."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    smooth = sum(gaussian_filter(rng.normal(size=shape), (s, s, 0)) * s * 22 for s in (1, 3, 9))
    edges = 40 * (gaussian_filter(rng.normal(size=(height, width, 1)), (12, 12, 0)) > 0)
    return np.asarray(np.clip(110 + smooth + edges + rng.normal(0, 1, shape), 0, 255).astype(np.uint8))


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(pixels.shape)


def halved(pixels: Pixels) -> Pixels:
    height, width, _ = pixels.shape
    small = Image.fromarray(pixels.squeeze()).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).reshape(pixels.shape)


def brighter(pixels: Pixels) -> Pixels:
    return np.asarray(np.clip(np.rint(pixels * 1.1 + 10.0), 0, 255).astype(np.uint8))


def noisy(pixels: Pixels) -> Pixels:
    grain = np.random.default_rng(3).normal(0, 5, pixels.shape)
    return np.asarray(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8))


def cropped(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[11:-15, 7:-19])


def psnr(one: Pixels, other: Pixels) -> float:
    return float(10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()))


@pytest.mark.parametrize("change", [lambda x: x, lambda x: jpeg(x, 75), halved, brighter, noisy, cropped])
def test_the_payload_comes_back(change: object) -> None:
    for seed, payload in enumerate((0, 1, 40_000, 2**16 - 1)):
        marked = MARK.mark(scene(seed, 256, 256), payload)
        reading = MARK.read(change(marked))  # type: ignore[operator]
        assert reading.payload == payload
        assert reading.p_value < 1e-6


def test_a_crop_below_the_size_of_the_tile_is_still_looked_at_as_the_larger_picture_was() -> None:
    larger = [scene(seed, 72, 72) for seed in range(20)]
    crops = [np.ascontiguousarray(MARK.mark(picture, 5)[4:59, 9:64]) for picture in larger]
    found = MARK.judge([look for crop in crops for look in MARK.look(crop)])
    assert (found.payload, found.shift) == (5, ((-4) % TILE, (-9) % TILE))
    assert found.p_value < 1e-6


def test_a_crop_is_told_as_a_shift_of_the_tile() -> None:
    marked = MARK.mark(scene(9, 256, 256), 7)
    assert MARK.read(cropped(marked)).shift == ((-11) % TILE, (-7) % TILE)


def test_what_was_not_marked_or_with_another_key_is_not_found() -> None:
    other = SpreadSpectrum(SecretKey(b"some other key of the tests....."))
    pictures = [scene(seed, 96, 96) for seed in range(6)]
    assert min(MARK.read(picture).p_value for picture in pictures) > 0.01
    assert min(other.read(MARK.mark(picture, 5)).p_value for picture in pictures) > 0.01


def test_another_payload_than_the_one_asked_for_is_not_found() -> None:
    marked = MARK.mark(scene(2, 128, 128), 1234)
    assert MARK.read(marked, 1234).p_value < MARK.read(marked).p_value or MARK.read(marked, 1234).p_value < 1e-15
    assert MARK.read(marked, 4321 ^ 0x5A5A).p_value > 0.01


def test_p_values_of_one_picture_over_many_keys_are_no_smaller_than_they_say() -> None:
    picture = scene(4, 64, 64)
    found = []
    for number in range(400):
        mark = SpreadSpectrum(SecretKey(b"key number %016d" % number))
        found.append(mark._presence(features(picture, COARSE), COARSE).p_value / 4)
    uniform = np.sort(np.array(found)) * 4
    uniform = uniform[uniform < 1.0] / 4
    # With the weight of the union taken out, they are uniform below 1/4: Kolmogorov's distance at the level .001.
    grid = np.arange(1, len(uniform) + 1) / 400
    assert np.abs(grid - uniform).max() < 1.95 / np.sqrt(400)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_found_together(channels: int) -> None:
    small = [scene(seed, 28, 28, channels) for seed in range(40)]
    looks = [look for picture in small for look in MARK.look(MARK.mark(picture, 99))]
    plain = [look for picture in small for look in MARK.look(picture)]
    found = MARK.judge(looks)
    assert found.payload == 99
    assert found.p_value < 1e-6
    assert MARK.judge(plain).p_value > 0.01


def test_the_marked_picture_is_as_near_as_was_asked() -> None:
    for asked in (36.0, 42.0):
        picture = scene(1, 120, 200)
        marked = SpreadSpectrum(KEY, asked).mark(picture, 3)
        assert abs(psnr(picture, marked) - asked) < 0.3
        assert marked.shape == picture.shape


def test_equal_pictures_are_marked_equally_and_payloads_differ() -> None:
    picture = scene(6, 80, 80)
    assert (MARK.mark(picture, 3) == MARK.mark(picture, 3)).all()
    assert (MARK.mark(picture, 3) != MARK.mark(picture, 4)).any()
    assert (MARK.mark(picture) != MARK.mark(picture, 0)).any()


def test_correlations_at_a_shift_are_those_of_the_shifted_pattern() -> None:
    carrier = KEY.normals("test", COARSE.dimensions)
    shown = pattern(carrier, COARSE, TILE, TILE)
    moved = np.roll(shown, (5, 9), axis=(0, 1))
    rows, columns = COARSE.places.T
    spectrum = np.fft.fft2(moved)[rows, columns]
    seen = np.concatenate([spectrum.real, spectrum.imag])
    found: NDArray[np.float32] = correlations(seen, carrier[None], COARSE)[0]
    assert divmod(int(found.argmax()), TILE) == (5, 9)
    assert np.isclose(found[5, 9], carrier @ carrier, rtol=1e-5)


def test_a_flat_picture_holds_no_mark_and_says_so() -> None:
    assert MARK.look(np.full((32, 32, 1), 9, dtype=np.uint8)) == ()
    assert MARK.read(np.full((32, 32, 1), 9, dtype=np.uint8)).p_value == 1.0
    assert MARK.judge([]).p_value == 1.0


def test_carriers_never_change() -> None:
    """Marks of today must be found by the versions of tomorrow."""
    first = KEY.normals("coarse:presence", 3)
    assert np.allclose(first, GOLDEN, atol=1e-12)
    assert (COARSE.dimensions, FINE.dimensions) == (600, 1560)


GOLDEN = (0.9377582142119323, -0.11404088031348213, 0.45056482512270446)


def test_bad_keys_sizes_and_payloads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a key of 16 to 4096 bytes; got 3"):
        SecretKey(b"abc")
    (tmp_path / "short").write_bytes(b"abc\n")
    with pytest.raises(UsageError, match="short: expected a key of 16 to 4096 bytes; got 3"):
        SecretKey.read(tmp_path / "short")
    with pytest.raises(UsageError, match="expected a file with the watermark's key; got No such file"):
        SecretKey.read(tmp_path / "none")
    with pytest.raises(ImageError, match="at least 8 × 8 pixels to mark; got 20 × 7"):
        MARK.mark(np.zeros((7, 20, 1), dtype=np.uint8))
    with pytest.raises(ValueError, match="expected a payload of 16 bits, 0 to 65535; got 65536"):
        MARK.mark(scene(0, 32, 32), 65536)
    with pytest.raises(UsageError, match="expected a psnr of 30 to 60 dB; got 5"):
        SpreadSpectrum(KEY, 5.0)
    (tmp_path / "key").write_bytes(KEY.secret + b"\n")
    assert SecretKey.read(tmp_path / "key") == KEY
    assert "secret" not in repr(KEY).replace("SecretKey", "")
