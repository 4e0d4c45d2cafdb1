"""Pictures whose values are class or object ids: decoded without any change of value, and written with a palette."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray

from twinset.formats.folder import Unusable, first_line
from twinset.images import FORMATS, MAX_PIXELS

VOID = 255
"""The value that means "to be ignored" in a mask of ids."""


def palette() -> NDArray[np.uint8]:
    """uint8 (256, 3): the colours of Pascal VOC. The bits of an id, three at a time, become the high bits of R, G, B.

    >>> palette()[[0, 1, 2, 15]].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128]]
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.int64)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (ids >> (3 * place + channel) & 1) << (7 - place)
    return colours.astype(np.uint8)


def read_mask(data: bytes, *, colours: bool = False) -> NDArray[np.int64]:
    """int64 (H, W) ids of a grey, 1-bit, 16-bit or palette picture, or R·65536 + G·256 + B of one in colour.

    ``colours`` takes the colours of a palette instead of its indices. :class:`Unusable` for anything else, for
    transparency that hides something, and for what :func:`twinset.images.decode` refuses.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as mask:
                if mask.width * mask.height > MAX_PIXELS:
                    raise Unusable(f"expected at most {MAX_PIXELS} pixels; got {mask.width} x {mask.height}")
                mask.load()
                shown = mask.convert("RGB") if mask.mode == "P" and colours else mask
                return _values(np.asarray(shown), shown.mode)
    except Unusable:
        raise
    except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
        raise Unusable(f"expected a whole mask; got {first_line(error)}") from error


def _values(pixels: NDArray[np.generic], mode: str) -> NDArray[np.int64]:
    if mode in ("RGBA", "LA", "PA"):
        if (pixels[..., -1] != 255).any():
            raise Unusable("expected a mask without transparency; got some")
        pixels, mode = pixels[..., :-1], mode[:-1]
        pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    if mode in ("1", "L", "P") or mode.startswith("I"):
        return pixels.astype(np.int64)
    if mode != "RGB":
        raise Unusable(f"expected a mask of grey values, a palette or RGB; got mode {mode}")
    wide = pixels.astype(np.int64)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])


def is_coloured(data: bytes) -> bool:
    """Whether a mask holds colours, not ids; false for bytes that are no picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as mask:
            return mask.mode in ("RGB", "RGBA")
    except Exception:  # Pillow's plugins raise anything at all on hostile bytes
        return False


def packed(red: int, green: int, blue: int) -> int:
    """A colour as the one number that :func:`read_mask` gives it."""
    return red << 16 | green << 8 | blue


def encode_ids(ids: NDArray[np.integer]) -> bytes:
    """A palette PNG with these ids 0…255 (H, W)."""
    from PIL import Image

    if ids.ndim != 2 or ids.min() < 0 or ids.max() > VOID:
        raise ValueError(f"expected ids 0…255 (H, W); got {ids.min()}…{ids.max()} {ids.shape}")
    mask = Image.fromarray(ids.astype(np.uint8))
    mask.putpalette(palette().tobytes())
    buffer = io.BytesIO()
    mask.save(buffer, format="PNG")
    return buffer.getvalue()
