"""Augmentation of pictures with boxes: one resampling for flip, turn, zoom and crop, then light, colour and mosaic.

The detector's classical baseline (scale jitter as in Ghiasi et al. 2021, mosaic as in Bochkovskiy et al. 2020). A draw
depends on its own stream and the pictures it is given only. Boxes stay tight because pictures turn by quarters only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels
from twinset.models.classical import STRENGTHS, Strength
from twinset.models.detection.scenes import FILL, SMALLEST_SIDE, Objects
from twinset.randomness import Stream

VISIBLE_SHARE = 0.3
"""An object of which less is left by a crop is ignored: neither an example nor background."""

FOCUSED_SHARE = 0.75
"""Of crops much smaller than the picture, this share is laid around an object; the others lie anywhere."""

MOSAIC_ZOOM = 0.6
"""Pictures in a mosaic are this much smaller, so that objects keep about their size as parts get smaller."""


@dataclass(frozen=True)
class SceneAugmentation:
    """How far each random transform may go; zero (or ``scale`` 1) switches it off.

    ``scale`` is the largest zoom, in or out; ``aspect`` the largest ratio of its two axes; ``translate`` is a share of
    the frame; ``brightness`` a share of the full range; ``contrast``, ``saturation`` and ``tint`` (per channel) are
    largest relative changes; ``mosaic`` is the share of pictures made of four. ``flip`` mirrors half of the pictures
    left to right; ``turn`` turns by quarters and mirrors upside down, for pictures without an up.
    """

    scale: float = 1.0
    aspect: float = 1.0
    translate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    tint: float = 0.0
    mosaic: float = 0.0
    flip: bool = False
    turn: bool = False

    def __post_init__(self) -> None:
        numbers = [value for value in asdict(self).values() if not isinstance(value, bool)]
        shares = (self.translate, self.brightness, self.contrast, self.saturation, self.tint, self.mosaic)
        if not all(math.isfinite(n) for n in numbers) or min(self.scale, self.aspect) < 1:
            raise ValueError(f"expected finite numbers, scale and aspect ≥ 1; got {self}")
        if min(shares) < 0 or max(shares) > 1:
            raise ValueError(
                f"expected translate, brightness, contrast, saturation, tint and mosaic in [0, 1]; got {self}"
            )


_PRESETS: dict[Strength, SceneAugmentation] = {
    "none": SceneAugmentation(),
    "light": SceneAugmentation(scale=1.1, translate=0.03, brightness=0.05, contrast=0.1),
    "medium": SceneAugmentation(
        scale=1.35, aspect=1.1, translate=0.08, brightness=0.1, contrast=0.2, saturation=0.2, tint=0.05
    ),
    "strong": SceneAugmentation(
        scale=1.7, aspect=1.2, translate=0.1, brightness=0.15, contrast=0.3, saturation=0.4, tint=0.1, mosaic=0.25
    ),
}


def scene_augmentation(strength: Strength, *, flip: bool = True, turn: bool = False) -> SceneAugmentation:
    """The settings of a named strength. ``flip`` and ``turn`` hold for all but "none"."""
    if strength not in _PRESETS:
        raise ValueError(f"expected a strength out of {', '.join(STRENGTHS)}; got {strength!r}")
    moves = strength != "none"
    return replace(_PRESETS[strength], flip=flip and moves, turn=turn and moves)


def augment_scene(
    pictures: Sequence[tuple[Pixels, Objects]],
    settings: SceneAugmentation,
    *,
    frame: tuple[int, int],
    class_weights: NDArray[np.floating] | None,
    rng: Stream,
) -> tuple[Pixels, Objects]:
    """A varied picture of size ``frame`` (height, width) with its objects.

    The first of ``pictures`` is the one that is varied; a mosaic takes three others, where there are so many. Where
    the frame is much smaller than the picture, ``class_weights`` (n_classes,) says around which objects crops lie.
    """
    generator = rng.numpy()
    height, width = frame
    if generator.random() >= settings.mosaic or len(pictures) < 4:
        pixels, objects = _varied(pictures[0], settings, frame, 1.0, class_weights, generator)
        return _relit(pixels, settings, generator), objects
    column, row = (np.array([width, height]) * generator.uniform(0.35, 0.65, 2)).round().astype(int)
    canvas = np.empty((height, width, pictures[0][0].shape[2]), dtype=np.uint8)
    found = []
    corners = ((0, 0, row, column), (0, column, row, width), (row, 0, height, column), (row, column, height, width))
    for picture, (top, left, bottom, right) in zip(pictures, corners, strict=False):
        part = (bottom - top, right - left)
        pixels, (boxes, class_ids, ignored) = _varied(picture, settings, part, MOSAIC_ZOOM, class_weights, generator)
        canvas[top:bottom, left:right] = _relit(pixels, settings, generator)
        found.append((boxes + np.array([left, top, left, top], dtype=np.float32), class_ids, ignored))
    boxes, class_ids, ignored = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return canvas, (boxes, class_ids, ignored)


def _varied(
    picture: tuple[Pixels, Objects],
    settings: SceneAugmentation,
    frame: tuple[int, int],
    zoom: float,
    class_weights: NDArray[np.floating] | None,
    generator: np.random.Generator,
) -> tuple[Pixels, Objects]:
    """The picture moved into the frame, before light and colour."""
    import cv2

    pixels, objects = picture
    matrix = _matrix(pixels.shape[:2], objects, settings, frame, zoom, class_weights, generator)
    height, width = frame
    if pixels.shape[:2] == frame and np.array_equal(matrix, np.eye(2, 3)):
        return pixels, objects
    # OpenCV counts from pixel centres, we count from pixel edges.
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    fill = (FILL,) * pixels.shape[2]
    moved = cv2.warpAffine(pixels, centred, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill)
    return _as_pixels(moved, pixels), move_objects(objects, matrix, frame)


def _matrix(
    size: Sequence[int],
    objects: Objects,
    settings: SceneAugmentation,
    frame: tuple[int, int],
    zoom: float,
    class_weights: NDArray[np.floating] | None,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """float64 (2, 3), from the picture's pixel edges to the frame's: signed permutation, zoom, shift."""
    draws = generator.uniform(-1, 1, 4)
    chances = generator.random(6)
    scale = zoom * math.exp(draws[0] * math.log(settings.scale))
    stretch = math.exp(draws[1] * math.log(settings.aspect) / 2)
    linear = np.diag([scale * stretch, scale / stretch])
    if settings.turn and chances[1] < 0.5:
        linear = linear[:, ::-1]
    mirrored = np.array([settings.flip and chances[0] < 0.5, settings.turn and chances[2] < 0.5])
    linear = np.where(mirrored[:, None], -linear, linear)
    extent = np.abs(linear) @ np.array([size[1], size[0]], dtype=np.float64)
    room = np.array([frame[1], frame[0]]) - extent
    start = room * chances[3:5]
    if (room < -0.3 * extent).any() and chances[5] < FOCUSED_SHARE and len(objects[0]):
        start = _around(objects, linear, extent, frame, class_weights, generator)
        start = np.clip(start, np.minimum(room, 0), np.maximum(room, 0))
    start = start + settings.translate * draws[2:] * np.array([frame[1], frame[0]])
    return np.column_stack([linear, start + np.where(mirrored, extent, 0)])


def _around(
    objects: Objects,
    linear: NDArray[np.float64],
    extent: NDArray[np.float64],
    frame: tuple[int, int],
    class_weights: NDArray[np.floating] | None,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Where the picture has to start so that a drawn object lies in the middle part of the frame."""
    boxes, class_ids, _ = objects
    weights = np.ones(len(boxes)) if class_weights is None else class_weights[class_ids].astype(np.float64)
    box = boxes[generator.choice(len(boxes), p=weights / weights.sum())]
    centre = linear @ ((box[:2] + box[2:]) / 2)
    centre += np.where(linear.sum(1) < 0, extent, 0)
    return np.asarray(np.array([frame[1], frame[0]]) * generator.uniform(0.2, 0.8, 2) - centre)


def move_objects(objects: Objects, matrix: NDArray[np.float64], frame: tuple[int, int]) -> Objects:
    """The objects after an axis-aligned affine map, clipped to the frame; those outside go, slivers are ignored."""
    boxes, class_ids, ignored = objects
    corners = boxes.reshape(-1, 2, 2).astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    whole = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    height, width = frame
    clipped = np.clip(whole, 0, np.array([width, height, width, height]))
    sides, whole_sides = clipped[:, 2:] - clipped[:, :2], whole[:, 2:] - whole[:, :2]
    inside = (sides > 0).all(1)
    share = sides.prod(1) / np.maximum(whole_sides.prod(1), 1e-9)
    hidden = (share < VISIBLE_SHARE) | (sides.min(1) < SMALLEST_SIDE)
    return clipped[inside].astype(np.float32), class_ids[inside], (ignored | hidden)[inside]


def _relit(pixels: Pixels, settings: SceneAugmentation, generator: np.random.Generator) -> Pixels:
    """Saturation, tint, contrast about the mean and brightness in one linear map of the colours."""
    import cv2

    draws = generator.uniform(-1, 1, 6)
    if max(settings.brightness, settings.contrast, settings.saturation, settings.tint) == 0:
        return pixels
    channels = pixels.shape[2]
    saturation = 1 + settings.saturation * draws[0] if channels == 3 else 1.0
    contrast = 1 + settings.contrast * draws[1]
    tint = 1 + settings.tint * draws[3 : 3 + channels] if channels == 3 else np.ones(1)
    colours = saturation * np.eye(channels) + (1 - saturation) / channels
    mean = np.array(cv2.mean(pixels)[:channels])
    linear = contrast * tint[:, None] * colours
    shift = tint * mean.mean() * (1 - contrast) + 255 * settings.brightness * draws[2]
    return _as_pixels(cv2.transform(pixels, np.column_stack([linear, shift])), pixels)


def _as_pixels(changed: NDArray[np.generic], pixels: Pixels) -> Pixels:
    """OpenCV drops a single channel; here it comes back."""
    return np.asarray(changed, dtype=np.uint8).reshape(*changed.shape[:2], pixels.shape[2])
