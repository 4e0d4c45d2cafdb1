"""Contact sheets: pictures beside the same pictures with their labels, under headings, with the classes' colours."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twinset.dataset import Sample
from twinset.drawing import class_colour, overlay_scaled, printable
from twinset.images import Pixels, convert_channels, resize

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

SIDE = 300
"""Longer side of a picture on the sheet, in pixels."""

GAP, LINE = 8, 18
ACROSS = 6
"""Pictures in a row, plain ones and labelled ones together."""

LEGIBLE = 36
"""Names stand on boxes only where most are at least so many pixels long on the sheet; else they would hide them."""

MOST_NAMED = 40
INK, PAPER = (40, 40, 40), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures under one heading, each with a line of its own below it."""

    heading: str
    samples: tuple[Sample, ...]
    captions: tuple[str, ...]


def sheet(rows: Sequence[Row], classes: Sequence[str], *, colours: bool) -> Pixels:
    """A sheet uint8 (H, W, 3). Pictures in which something is marked stand twice: as they are, and with their labels.

    ``colours``: the names of the classes stand above, each beside its colour. Names are escaped.
    """
    from PIL import Image, ImageDraw

    tiles = [[_tile(sample, classes) for sample in row.samples] for row in rows]
    wide = max((tile.shape[1] for group in tiles for tile in group), default=SIDE)
    most = max(1, ACROSS * (SIDE + GAP) // (wide + GAP))
    columns = max(1, min(most, max((len(group) for group in tiles), default=1)))
    width = columns * (wide + GAP) + GAP
    legend = _legend(classes, width) if colours else []
    height = GAP + LINE * (len(legend) + len(rows))
    height += sum(_high(line) for group in tiles for line in _lines(group, columns))
    drawn = Image.new("RGB", (width, height), PAPER)
    canvas = ImageDraw.Draw(drawn)
    y = GAP
    for line in legend:
        _colours(canvas, line, y)
        y += LINE
    for row, group in zip(rows, tiles, strict=True):
        canvas.text((GAP, y), _cut(row.heading, width - GAP), fill=INK, font=_font(bold=True))
        y += LINE
        captions = iter(row.captions)
        for tiles_in_line in _lines(group, columns):
            for across, tile in enumerate(tiles_in_line):
                left = GAP + across * (wide + GAP)
                drawn.paste(Image.fromarray(tile), (left, y))
                canvas.text((left, y + len(tile) + 2), _cut(next(captions), wide), fill=INK, font=_font())
            y += _high(tiles_in_line)
    return np.array(drawn, dtype=np.uint8)


def _lines(tiles: Sequence[Pixels], columns: int) -> list[Sequence[Pixels]]:
    return [tiles[start : start + columns] for start in range(0, len(tiles), columns)]


def _high(line: Sequence[Pixels]) -> int:
    """Pixels that a line of tiles takes, with captions."""
    return max(map(len, line)) + LINE + GAP


def _tile(sample: Sample, classes: Sequence[str]) -> Pixels:
    """A picture at the sheet's size; beside it the labelled one, where something is marked."""
    pixels = convert_channels(sample.pixels(), 3)
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 2:  # Few pixels are to be counted, not blurred.
        plain = np.repeat(np.repeat(pixels, int(scale), axis=0), int(scale), axis=1)
    else:
        plain = resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    annotation = sample.annotation
    if annotation is None or (annotation.instances is None and annotation.semantic is None):
        return plain
    boxes = np.zeros((0, 4)) if annotation.instances is None else annotation.instances.boxes
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1) * scale if len(boxes) else np.zeros(1)
    marked = overlay_scaled(sample, classes, SIDE, labels=bool(np.median(sides) >= LEGIBLE))
    tile = np.full((max(len(plain), len(marked)), plain.shape[1] + 2 + marked.shape[1], 3), 255, np.uint8)
    tile[: len(plain), : plain.shape[1]] = plain
    tile[: len(marked), -marked.shape[1] :] = marked
    return tile


def _legend(classes: Sequence[str], width: int) -> list[list[tuple[int, str, int]]]:
    """Lines of class id, name and place, as many to a line as fit."""
    named = [(class_id, _cut(name, width // 3)) for class_id, name in enumerate(classes[:MOST_NAMED])]
    if len(classes) > MOST_NAMED:
        named.append((-1, f"and {len(classes) - MOST_NAMED} more"))
    lines: list[list[tuple[int, str, int]]] = [[]]
    x = GAP
    for class_id, name in named:
        needed = LINE + round(_font().getlength(name)) + 2 * GAP
        if lines[-1] and x + needed > width:
            lines.append([])
            x = GAP
        lines[-1].append((class_id, name, x))
        x += needed
    return lines


def _colours(canvas: ImageDraw.ImageDraw, line: Sequence[tuple[int, str, int]], y: int) -> None:
    for class_id, name, x in line:
        if class_id >= 0:
            canvas.rectangle((x, y + 2, x + 11, y + 13), fill=class_colour(class_id))
        canvas.text((x + LINE - 2, y), name, fill=INK, font=_font())


def _cut(text: str, width: int) -> str:
    """As much of a line as fits, in the characters of the built-in font."""
    # A character takes a pixel at least, and takes up to ten to write: a name of a megabyte is not measured whole.
    text, font = printable(text[: width + 1])[: width + 1], _font()
    if font.getlength(text) <= width:
        return text
    fits = bisect(range(len(text)), width, key=lambda end: math.ceil(font.getlength(f"{text[:end]}…")))
    return f"{text[: max(0, fits - 1)]}…"


def _font(*, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(14 if bold else 12)
