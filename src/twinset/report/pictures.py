"""Pictures inside the page: small PNGs as ``data:`` addresses, shrunk until the page stays light."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from twinset.images import Pixels, encode_png, resize
from twinset.report.model import Picture, ReportData

SIDES = (192, 128, 96, 64, 48)
MARKED_SIDE = 448
"""Longest side of pictures in which objects are marked, which small ones would hide."""

BUDGET_BYTES = 5_500_000


def thumbnail(pixels: Pixels, longest: int) -> Pixels:
    """The picture with its longest side at most ``longest`` pixels, aspect kept; small ones stay as they are.

    >>> import numpy as np
    >>> thumbnail(np.zeros((10, 200, 1), np.uint8), 50).shape
    (2, 50, 1)
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    if side <= longest:
        return pixels
    return resize(pixels, max(1, height * longest // side), max(1, width * longest // side))


def data_uri(pixels: Pixels) -> str:
    """The picture inside a ``data:`` address: PNG, or JPEG where it is large and coloured."""
    if max(pixels.shape[:2]) > SIDES[0] and pixels.shape[2] == 3:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="JPEG", quality=88, subsampling=0)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels, compress_level=9)).decode("ascii")


@dataclass(frozen=True)
class Thumbnails:
    """Encoded pictures of one report. ``uris`` maps a picture's object identity to its address."""

    longest: int
    uris: dict[int, str]

    def uri(self, picture: Picture) -> str:
        """The ``data:`` address of a picture of this report."""
        return self.uris[id(picture)]


def encode_all(data: ReportData, *, budget: int = BUDGET_BYTES) -> Thumbnails:
    """All pictures of a report at the largest of :data:`SIDES` with which they stay within ``budget`` characters.

    The smallest side is used even where it does not suffice: nothing is dropped.
    """
    pictures = list(pictures_of(data))
    marked = data.gallery is not None and data.gallery.marked
    for longest in (MARKED_SIDE, *SIDES) if marked else SIDES:
        uris: dict[int, str] = {}
        used = 0
        for picture in pictures:
            if id(picture) not in uris:
                uris[id(picture)] = data_uri(thumbnail(picture.pixels, longest))
            used += len(uris[id(picture)])
            if used > budget and longest != SIDES[-1]:
                break
        else:
            return Thumbnails(longest, uris)
    raise AssertionError("the smallest side always ends the loop")


def pictures_of(data: ReportData) -> Iterator[Picture]:
    """Every picture that the page will show, in order."""
    for grid in data.gallery.grids if data.gallery else ():
        yield from grid.real
        for twin in grid.synthetic:
            yield twin.synthetic
            if twin.nearest is not None:
                yield twin.nearest
    for curation in data.curations:
        yield from (look.picture for look in curation.looks)
    for rejected in data.rejected:
        yield rejected.picture
    for strip in data.fairness.pairs if data.fairness else ():
        yield from strip.pictures
    releases = data.privacy.releases if data.privacy else ()
    for pair in (*(data.gate.pairs if data.gate else ()), *(pair for each in releases for pair in each.pairs)):
        yield pair.synthetic
        yield pair.training


def tiny(picture: Picture) -> bool:
    """Whether single pixels should stay visible when the picture is shown larger than it is."""
    height, width = picture.pixels.shape[:2]
    return bool(max(height, width) <= 64)
