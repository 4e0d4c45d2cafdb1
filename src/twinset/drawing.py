"""Annotations drawn over their pictures: boxes, labels, translucent masks, semantic colours."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.dataset import Sample
from twinset.images import Pixels, check_pixels, convert_channels, resize
from twinset.instances import Instances
from twinset.masks import Polygons
from twinset.transforms import resized

if TYPE_CHECKING:
    from PIL import Image

MASK_SHARE = 0.4
"""How much of a mask's colour covers the picture."""

SEMANTIC_SHARE = 0.5
LINES_PER_SIDE = 320
"""A line is one pixel for so many pixels of the longer side."""

HUE_STEP = 0.4575
"""Of a turn. Searched for: among the first 24 classes no two colours are nearer than ΔE 22 (CIE 1976)."""

_SMALLEST_FONT = 9
_LONGEST_LABEL = 24


def class_colour(class_id: int) -> tuple[int, int, int]:
    """RGB of a class, always the same one: in turn bright, deep and pale.

    >>> class_colour(0), class_colour(0) == class_colour(0), class_colour(1) == class_colour(2)
    ((255, 38, 38), True, False)
    """
    saturation, value = ((0.85, 1.0), (0.95, 0.6), (0.4, 1.0))[class_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(class_id * HUE_STEP % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def overlay(
    pixels: Pixels,
    annotation: Annotation | None,
    classes: Sequence[str],
    *,
    line: int | None = None,
    masks: bool = True,
    labels: bool = True,
) -> Pixels:
    """The picture as uint8 RGB (H, W, 3) with its objects and semantic map drawn in; the given pixels stay.

    ``line``: width of box lines in pixels, which lie inside the box; None goes by the picture's size. ``masks``: colour
    the pixels of masks and semantic maps (to be ignored: left as they are). ``labels``: class names, and confidences
    where there are some, above the boxes. ``ValueError`` if the annotation is of a picture of another size.
    """
    check_pixels(pixels)
    if line is not None and line < 1:
        raise ValueError(f"expected a line of at least one pixel; got {line}")
    drawn = convert_channels(pixels, 3).copy()
    if annotation is None:
        return drawn
    if masks and annotation.semantic is not None:
        _colour_classes(drawn, annotation.semantic.dense())
    instances = annotation.instances
    if instances is None:
        return drawn
    if instances.size != drawn.shape[:2]:
        raise ValueError(f"expected an annotation of a picture of {drawn.shape[:2]}; got one of {instances.size}")
    width = max(1, round(max(instances.size) / LINES_PER_SIDE)) if line is None else line
    largest_first = np.argsort(-instances.box_areas, kind="stable")
    instances = instances.take(largest_first)
    if masks:
        _colour_masks(drawn, instances)
    for box, class_id in zip(instances.boxes, instances.class_ids.tolist(), strict=True):
        _draw_frame(drawn, box, class_colour(class_id), width)
    return _with_labels(drawn, instances, classes, width) if labels and len(instances) else drawn


def overlay_small(sample: Sample, classes: Sequence[str], side: int) -> Pixels:
    """A thumbnail whose longer side is ``side`` pixels, without names: uint8 RGB."""
    return overlay_scaled(sample, classes, side, line=1, labels=False)


def overlay_scaled(
    sample: Sample, classes: Sequence[str], side: int, *, line: int | None = None, labels: bool = True
) -> Pixels:
    """As :func:`overlay` at another size, the longer side ``side`` pixels: what is drawn stays sharp."""
    pixels = sample.pixels()
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    annotation = sample.annotation
    if annotation is not None:
        annotation = resized(annotation, (height, width), size)
    return overlay(resize(pixels, *size), annotation, classes, line=line, labels=labels)


def printable(text: str) -> str:
    """A name in the characters of the built-in font: accents go, other letters beyond ASCII are escaped.

    >>> printable("Zelle"), printable("Zürich"), printable("细胞")
    ('Zelle', 'Zurich', '\\\\u7ec6\\\\u80de')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    escaped = plain.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)


def _colour_classes(drawn: Pixels, class_ids: NDArray[np.int32]) -> None:
    if class_ids.shape != drawn.shape[:2]:
        raise ValueError(f"expected a semantic map of {drawn.shape[:2]}; got {class_ids.shape}")
    palette = np.array([class_colour(class_id) for class_id in range(int(class_ids.max()) + 1)] or [(0, 0, 0)])
    known = class_ids >= 0
    drawn[known] = _mixed(drawn[known], palette[class_ids[known]], SEMANTIC_SHARE)


def _colour_masks(drawn: Pixels, instances: Instances) -> None:
    for mask, class_id in zip(instances.masks or (), instances.class_ids.tolist(), strict=False):
        if mask is not None:
            inside = (mask.rle() if isinstance(mask, Polygons) else mask).dense()
            drawn[inside] = _mixed(drawn[inside], np.array(class_colour(class_id)), MASK_SHARE)


def _mixed(below: NDArray[np.uint8], colour: NDArray[np.int64], share: float) -> NDArray[np.uint8]:
    return np.asarray(np.rint((1 - share) * below + share * colour), dtype=np.uint8)


def _draw_frame(drawn: Pixels, box: NDArray[np.float32], colour: tuple[int, int, int], width: int) -> None:
    """A frame inside the pixels that a box touches; a small box is filled by it."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    inside = drawn[top:bottom, left:right]
    inside[:width] = inside[-width:] = colour
    inside[:, :width] = inside[:, -width:] = colour


def _with_labels(drawn: Pixels, instances: Instances, classes: Sequence[str], width: int) -> Pixels:
    """Names on plates of their class's colour: above the box, inside it at the upper border."""
    from PIL import Image, ImageDraw, ImageFont

    picture: Image.Image = Image.fromarray(drawn)
    canvas = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(_SMALLEST_FONT, 4 * width + 6))
    for row, class_id in enumerate(instances.class_ids.tolist()):
        text = _label(instances, row, classes)
        x1, y1 = (int(np.floor(value)) for value in instances.boxes[row, :2])
        left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
        tall, wide = round(bottom - top) + 2, round(right - left) + 4
        plate_x = max(0, min(x1, drawn.shape[1] - wide))
        plate_y = y1 - tall if y1 >= tall else y1
        colour = class_colour(class_id)
        canvas.rectangle((plate_x, plate_y, plate_x + wide - 1, plate_y + tall - 1), fill=colour)
        dark = np.dot(colour, (0.299, 0.587, 0.114)) > 128
        canvas.text((plate_x + 2 - left, plate_y + 1 - top), text, font=font, fill=(0, 0, 0) if dark else (255,) * 3)
    return np.array(picture, dtype=np.uint8)


def _label(instances: Instances, row: int, classes: Sequence[str]) -> str:
    class_id = int(instances.class_ids[row])
    name = printable(classes[class_id]) if class_id < len(classes) else str(class_id)
    name = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
    confidence = None if instances.confidences is None else float(instances.confidences[row])
    return name if confidence is None or np.isnan(confidence) else f"{name} {confidence:.2f}"
