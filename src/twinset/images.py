"""Pictures: bytes ⇄ uint8 (H, W, C) ⇄ float32 (N, C, H, W) in [-1, 1].

The only home of 127.5. Everything that reads a picture from outside comes through :func:`decode`, which
knows the limits, the odd modes (16-bit, palette, CMYK, EXIF rotation) and what to say when it gives up.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twinset.errors import ImageError

if TYPE_CHECKING:
    import torch
    from PIL import Image

Pixels = NDArray[np.uint8]
"""One picture: uint8 (H, W, 1) grey or (H, W, 3) RGB."""

PixelBatch = NDArray[np.uint8]
"""Several of one size: uint8 (N, H, W, C)."""

MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 256 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"})

ORIENTATION = 0x0112
"""EXIF's tag of how a picture is turned; from 5 on, width and height change places."""

DEEP_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
GREY_MODES = ("1", "L", "LA", "La", *DEEP_GREY_MODES)
"""Pillow's modes that :func:`decode` turns into one channel."""

SMALL_BYTES = 4096
"""Pictures of at most so many bytes, encoded and as pixels, are kept when they are decoded: 36 × 36 in colour."""

SMALL_PICTURES = 4096
"""How many of them: 35 MB at most."""

PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

Fit = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True)
class Window:
    """The linear window that maps 16-bit or float grey values to 0…255. Never chosen per image.

    >>> Window(0, 65535).apply(np.array([[0, 65535]], dtype=np.uint16)).tolist()
    [[0, 255]]
    """

    low: float = 0.0
    high: float = 65535.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"expected low < high; got {self.low} and {self.high}")

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Values of any numeric dtype to uint8, clipped at the window's ends."""
        scaled = (values.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


FULL_RANGE = Window()


def decode(data: bytes, *, name: str = "image", window: Window = FULL_RANGE) -> Pixels:
    """Pixels of an encoded picture: uint8 (H, W, 1) for grey sources, (H, W, 3) for all others.

    EXIF rotation is applied, palettes and CMYK become RGB, transparency is laid over white, 16-bit and
    float grey pass through ``window``. Of an animation the first frame counts.

    A small plain PNG (:func:`plain_png_shape`) is decoded once, as long as no thousands of others come between: a
    run looks at each of its pictures many times, and a scanned digit takes longer to open than to measure.

    Raises :class:`ImageError` for anything truncated, larger than ``MAX_PIXELS``, or not a picture.
    """
    if len(data) <= SMALL_BYTES and (shape := plain_png_shape(data)) and prod(shape) <= SMALL_BYTES:
        try:
            return _decoded(data).copy()
        except ImageError:
            pass  # to be said of this name
    return _decode(data, name, window)


@lru_cache(maxsize=SMALL_PICTURES)
def _decoded(data: bytes) -> Pixels:
    """The pixels of a small plain PNG, which has no window; not to be changed."""
    return _decode(data, "image", FULL_RANGE)


def _decode(data: bytes, name: str, window: Window) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{name}: expected at most {MAX_FILE_BYTES} bytes; got {len(data)}")
    if not data:
        raise ImageError(f"{name}: expected a picture; got an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise ImageError(f"{name}: expected at most {MAX_PIXELS} pixels; got {width} x {height}")
                picture.load()
                return _to_pixels(picture, window)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: expected one of {', '.join(FORMATS)}; got bytes of another kind") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: expected at most {MAX_PIXELS} pixels; got a decompression bomb") from error
    except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
        raise ImageError(f"{name}: expected a whole picture; got {_first_line(error)}") from error


def shape_of(data: bytes, *, name: str = "image") -> tuple[int, int, int]:
    """(H, W, C) that :func:`decode` would give for these bytes, from the header alone.

    Raises :class:`ImageError` for what is no picture; a picture that is damaged further on passes.
    """
    from PIL import Image, UnidentifiedImageError

    if plain := plain_png_shape(data):
        return plain

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                width, height = picture.size
                if picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
                    width, height = height, width
                grey = picture.mode in GREY_MODES
                return height, width, 1 if grey else 3
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: expected one of {', '.join(FORMATS)}; got bytes of another kind") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: expected at most {MAX_PIXELS} pixels; got a decompression bomb") from error
    except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
        raise ImageError(f"{name}: expected a picture; got {_first_line(error)}") from error


def plain_png_shape(data: bytes) -> tuple[int, int, int] | None:
    """(H, W, C) of a PNG of 8-bit grey or RGB that holds pixels and nothing else, as ours do; None of any other bytes.

    Its pixels stand in it as they are: there is no palette, transparency, rotation or window to apply. That they can be
    decoded is not looked at.
    """
    if not data.startswith(PNG_HEADER) or len(data) < 33 or zlib.crc32(data[12:29]) != int.from_bytes(data[29:33]):
        return None
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    if depth != 8 or colour not in (0, 2) or not 0 < width * height <= MAX_PIXELS:
        return None
    at, kind = 33, b""
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += length + 12
        if kind != b"IDAT":
            break
    return (height, width, 1 if colour == 0 else 3) if kind == b"IEND" and at == len(data) else None


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _to_pixels(picture: Image.Image, window: Window) -> Pixels:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in DEEP_GREY_MODES:
        return window.apply(np.asarray(picture))[..., None]
    if picture.mode in ("LA", "PA", "La") or "transparency" in picture.info or picture.mode in ("RGBA", "RGBa"):
        grey = picture.mode in ("LA", "La", "L")
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        white.alpha_composite(over)
        picture = white.convert("L" if grey else "RGB")
    elif picture.mode in ("1", "L"):
        picture = picture.convert("L")
    else:
        picture = picture.convert("RGB")
    pixels = np.array(picture, dtype=np.uint8)
    return np.ascontiguousarray(pixels[..., None] if pixels.ndim == 2 else pixels)


def encode_png(pixels: Pixels, *, compress_level: int = 6) -> bytes:
    """A PNG with exactly these pixels and no metadata; equal pixels give equal bytes."""
    from PIL import Image

    check_pixels(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        buffer, format="PNG", compress_level=compress_level
    )
    return buffer.getvalue()


def check_pixels(pixels: NDArray[np.generic]) -> None:
    """Raises ``ValueError`` unless this is uint8 (H, W, 1) or (H, W, 3), not empty."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(
            f"expected pixels as non-empty uint8 (H, W, 1) or (H, W, 3); got {pixels.dtype} {pixels.shape}"
        )


@dataclass(frozen=True)
class ImageSpec:
    """The one size and channel count that a run works at."""

    height: int
    width: int
    channels: int
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or self.channels not in (1, 3):
            raise ValueError(f"expected a positive size and 1 or 3 channels; got {self}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)

    def prepare(self, pixels: Pixels) -> Pixels:
        """These pixels at this size: channels converted, resized once with antialiasing (bicubic)."""
        check_pixels(pixels)
        if pixels.shape == self.shape:
            return pixels
        pixels = convert_channels(pixels, self.channels)
        if pixels.shape[:2] == (self.height, self.width):
            return pixels
        if self.fit == "crop":
            pixels = _crop_to_aspect(pixels, self.width / self.height)
        if self.fit == "pad":
            pixels = _pad_to_aspect(pixels, self.width / self.height)
        return resize(pixels, self.height, self.width)


def convert_channels(pixels: Pixels, channels: int) -> Pixels:
    """Grey to RGB by repetition; RGB to grey by the ITU-R 601 luma, as Pillow does."""
    from PIL import Image

    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.uint8)[..., None]


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Bicubic with antialiasing (Pillow widens its kernel when it shrinks)."""
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)
    return resized[..., None] if resized.ndim == 2 else resized


def _crop_to_aspect(pixels: Pixels, aspect: float) -> Pixels:
    height, width = pixels.shape[:2]
    new_width = min(width, max(1, round(height * aspect)))
    new_height = min(height, max(1, round(width / aspect)))
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return np.ascontiguousarray(pixels[top : top + new_height, left : left + new_width])


def _pad_to_aspect(pixels: Pixels, aspect: float) -> Pixels:
    height, width = pixels.shape[:2]
    new_width, new_height = max(width, round(height * aspect)), max(height, round(width / aspect))
    top, left = (new_height - height) // 2, (new_width - width) // 2
    return np.pad(pixels, ((top, new_height - height - top), (left, new_width - width - left), (0, 0)), mode="edge")


def to_model(pixels: PixelBatch) -> torch.Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in [-1, 1]; exact inverse of :func:`from_model`."""
    import torch

    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise ValueError(f"expected uint8 (N, H, W, C); got {pixels.dtype} {pixels.shape}")
    # A single grey picture of a mapped file would stay a read-only view, which PyTorch warns of.
    batch = torch.from_numpy(np.require(pixels.transpose(0, 3, 1, 2), requirements=["C", "W"]))
    return batch.to(torch.float32) / 127.5 - 1.0


def from_model(images: torch.Tensor) -> PixelBatch:
    """float (N, C, H, W) in [-1, 1] to uint8 (N, H, W, C); values outside are clipped.

    >>> every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    >>> bool((from_model(to_model(every)) == every).all())
    True
    """
    import torch

    if images.ndim != 4:
        raise ValueError(f"expected (N, C, H, W); got {tuple(images.shape)}")
    values = ((images.detach().to("cpu", torch.float32) + 1.0) * 127.5).round().clamp(0, 255)
    return np.ascontiguousarray(values.to(torch.uint8).numpy().transpose(0, 2, 3, 1))


def contact_sheet(images: Sequence[Pixels], *, columns: int, gap: int = 2, background: int = 255) -> Pixels:
    """Pictures of one size in rows of ``columns``, on one (H, W, C) sheet."""
    if not images:
        raise ValueError("expected at least one picture; got none")
    height, width, channels = images[0].shape
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), background, dtype=np.uint8)
    for index, pixels in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = pixels
    return sheet
