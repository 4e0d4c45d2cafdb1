"""What a header says of a picture is what decoding gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from twinset.errors import ImageError
from twinset.images import decode, encode_png, from_model, plain_png_shape, shape_of, to_model

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr")
ENCODINGS = {"CMYK": "TIFF", "F": "TIFF", "YCbCr": "JPEG", "I": "TIFF"}


def encoded(mode: str, *, turned: int = 1) -> bytes:
    picture = Image.new(mode, (7, 5))
    buffer = io.BytesIO()
    encoding = "JPEG" if turned != 1 else ENCODINGS.get(mode, "PNG")
    exif = Image.Exif()
    exif[0x0112] = turned
    picture.save(buffer, format=encoding, exif=exif) if turned != 1 else picture.save(buffer, format=encoding)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", MODES)
def test_the_header_tells_the_shape_that_decoding_gives(mode: str) -> None:
    data = encoded(mode)
    assert shape_of(data) == decode(data).shape
    assert shape_of(data)[:2] == (5, 7)


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_picture_that_is_to_be_turned_is_told_as_turned(turned: int) -> None:
    data = encoded("RGB", turned=turned)
    assert shape_of(data) == decode(data).shape
    assert (shape_of(data)[0] == 7) == (turned >= 5)


def test_transparent_palettes_are_colour_and_transparent_grey_is_grey() -> None:
    for mode, transparency, channels in (("P", 0, 3), ("L", 3, 1)):
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((4, 4), np.uint8), "L").convert(mode).save(buffer, "PNG", transparency=transparency)
        assert shape_of(buffer.getvalue()) == decode(buffer.getvalue()).shape == (4, 4, channels)


def test_what_is_no_picture_is_an_error_that_names_it() -> None:
    with pytest.raises(ImageError, match=r"cat\.png: expected .*; got bytes of another kind"):
        shape_of(b"no picture", name="cat.png")


@pytest.mark.parametrize("shape", [(1, 4, 5, 1), (2, 4, 5, 3)])
def test_read_only_pictures_go_to_the_model_as_others_do(shape: tuple[int, ...]) -> None:
    pictures = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    pictures.flags.writeable = False
    assert np.array_equal(from_model(to_model(pictures)), pictures)  # warnings are errors here


@pytest.mark.parametrize("channels", [1, 3])
def test_our_own_png_is_plain_and_what_says_more_than_its_pixels_is_not(channels: int) -> None:
    pixels = np.arange(5 * 7 * channels, dtype=np.uint8).reshape(5, 7, channels)
    plain, picture = encode_png(pixels), Image.fromarray(pixels.squeeze())
    assert plain_png_shape(plain) == decode(plain).shape == (5, 7, channels)
    told, turned = PngImagePlugin.PngInfo(), Image.Exif()
    told.add_text("who", "me")
    turned[0x0112] = 6
    for extra in ({"pnginfo": told}, {"exif": turned}, {"transparency": 0 if channels == 1 else (0, 0, 0)}):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", **extra)
        assert plain_png_shape(buffer.getvalue()) is None, extra
        assert shape_of(buffer.getvalue()) == decode(buffer.getvalue()).shape
    flipped = bytearray(plain)
    flipped[19] ^= 1  # the width
    for damaged in (plain[:-1], plain + b"\0", plain[:20], bytes(flipped), b""):
        assert plain_png_shape(damaged) is None


@pytest.mark.parametrize("mode", MODES)
def test_of_all_modes_grey_and_rgb_of_eight_bits_are_plain(mode: str) -> None:
    assert (plain_png_shape(encoded(mode)) is not None) == (mode in ("L", "RGB"))


def test_a_small_picture_is_decoded_once_and_changing_what_came_changes_nothing() -> None:
    pixels = np.full((3, 4, 1), 9, dtype=np.uint8)
    data = encode_png(pixels)
    decode(data)[:] = 0
    assert np.array_equal(decode(data), pixels)


def test_each_time_that_a_damaged_small_picture_is_decoded_it_is_named() -> None:
    data = bytearray(encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8, 1)))
    data[45] ^= 255  # inside the pixels: header and frame hold
    assert plain_png_shape(bytes(data)) == (8, 8, 1)
    for name in ("a.png", "b.png"):
        with pytest.raises(ImageError, match=rf"^{name}: expected a whole picture"):
            decode(bytes(data), name=name)
