"""Square windows of marked pictures: what a small diffusion model learns from, and where it may change a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.images import convert_channels, resize
from twinset.instances import Instances
from twinset.motion import Size
from twinset.randomness import Stream

Where = Literal["object", "background"]
"""What is changed: the inside of one object (or of one class of a semantic map), or what lies between objects."""

MOST_WINDOWS = 8
"""Windows of one picture that a model learns from; crowded pictures would drown the others."""

TRIES = 12
BACKGROUND_PARTS = (1 / 2, 1 / 4, 1 / 8)
"""Sides of windows of background, over the shorter side of the picture."""

FREE = 0.95
"""Share of such a window outside of all boxes that is enough."""

SWALLOWED = 0.9
"""Share of a box inside another from which on it counts as an object in front of that one."""


@dataclass(frozen=True, eq=False)
class Region:
    """A window of a picture, its class, and the pixels of it that belong to the class: bool, of the window's size."""

    rows: slice
    columns: slice
    class_id: int
    inside: NDArray[np.bool_]


def region_of(
    annotation: Annotation, size: Size, where: Where, draws: np.random.Generator, *, context: float, background: int
) -> Region:
    """A random region of a marked picture of ``size``.

    Of objects: a random one that is no crowd, in a window ``context`` times its longer side, by its mask, or else its
    box less the boxes of its neighbours. Background: a window of an eighth to half of the shorter side, where there
    are fewest objects, less all boxes; also where there are none. Of a semantic map: the pixels of the class under a
    random pixel. Of a picture with a class only: a box of half its sides.
    """
    instances = annotation.instances
    if instances is not None:
        objects = np.flatnonzero(~instances.is_crowd)
        if where == "object" and len(objects):
            return _of_object(instances, int(draws.choice(objects)), context)
        return _of_background(instances, draws, background)
    if annotation.semantic is not None:
        return _of_class(annotation.semantic.dense(), draws)
    if annotation.class_id is None:
        raise ValueError("expected objects, a semantic map or a class; got none of them")
    inside = np.zeros(size, dtype=np.bool_)
    top, left = (int(draws.integers(side - max(1, side // 2) + 1)) for side in size)
    inside[top : top + max(1, size[0] // 2), left : left + max(1, size[1] // 2)] = True
    return Region(slice(0, size[0]), slice(0, size[1]), annotation.class_id, inside)


def windows(training: Dataset, *, side: int, context: float, rng: Stream) -> Dataset:
    """Square windows ``side`` pixels wide around objects and between them, each of the class of what it shows.

    The last class is the background. ``ValueError`` if nothing in the dataset is marked.
    """
    background = len(training.classes)
    name = "background"
    while name in training.classes:
        name = f"{name}_"
    classes = (*training.classes, name)
    samples = list(_windows(training, side, context, background, rng))
    if not samples:
        raise ValueError("expected training images with objects, semantic maps or classes; got none")
    channels = samples[0].pixels().shape[2]
    same = [replace(sample, image=convert_channels(sample.pixels(), channels)) for sample in samples]
    return Dataset.of(same, classes=classes, name=training.name)


def _windows(training: Dataset, side: int, context: float, background: int, rng: Stream) -> Iterator[Sample]:
    for number, sample in enumerate(training):
        if sample.annotation is None:
            continue
        pixels, draws = sample.pixels(), rng.child("windows", number).numpy()
        size = (pixels.shape[0], pixels.shape[1])
        for place, region in enumerate(_to_learn(sample.annotation, size, draws, context, background)):
            window = resize(np.ascontiguousarray(pixels[region.rows, region.columns]), side, side)
            yield Sample(f"{sample.id}#{place}", Annotation(class_id=region.class_id), image=window)


def _to_learn(
    annotation: Annotation, size: Size, draws: np.random.Generator, context: float, background: int
) -> Iterator[Region]:
    """The regions of a picture to learn from: some objects and one of background, or some of a map, or all of it."""
    instances = annotation.instances
    if instances is not None:
        objects = draws.permutation(np.flatnonzero(~instances.is_crowd))[: MOST_WINDOWS - 1]
        yield from (_of_object(instances, int(row), context) for row in objects)
        yield _of_background(instances, draws, background)
    elif annotation.semantic is not None:
        class_ids = annotation.semantic.dense()
        if (class_ids >= 0).any():
            yield from (_of_class(class_ids, draws) for _ in range(MOST_WINDOWS))
    elif annotation.class_id is not None:
        yield region_of(annotation, size, "object", draws, context=context, background=background)


def _of_object(instances: Instances, row: int, context: float) -> Region:
    box = instances.boxes[row]
    side = context * float((box[2:] - box[:2]).max())
    rows, columns = _square(instances.size, (box[1] + box[3]) / 2, (box[0] + box[2]) / 2, side)
    mask = instances.masks[row] if instances.masks is not None else None
    whole = _own_pixels(instances, row) if mask is None or not mask.area else mask.dense()
    return Region(rows, columns, int(instances.class_ids[row]), whole[rows, columns])


def _own_pixels(instances: Instances, row: int) -> NDArray[np.bool_]:
    """bool (H, W): the pixels of an object's box that lie in no other box, of those that do not hold nearly all of it.

    What is made anew in a box must not go over into a neighbour, whose box would then show something else.
    """
    inside = _box_pixels(instances.size, instances.boxes[row])
    own = inside.copy()
    for other, box in enumerate(instances.boxes):
        theirs = _box_pixels(instances.size, box)
        if other != row and (theirs & inside).sum() < SWALLOWED * inside.sum():
            own &= ~theirs
    return own


def _of_background(instances: Instances, draws: np.random.Generator, background: int) -> Region:
    """The largest of some random windows that hardly shows any object; where all do, the one that shows least.

    A model that has seen objects in what is called background would put some there, and nobody would label them.
    """
    height, width = instances.size
    free = np.ones(instances.size, dtype=np.bool_)
    for box in instances.boxes:
        free &= ~_box_pixels(instances.size, box)
    middles = draws.random((TRIES, 2)) * (height, width)
    best, most = (slice(0, height), slice(0, width)), -1.0
    for part in BACKGROUND_PARTS:
        for y, x in middles:
            rows, columns = _square(instances.size, y, x, min(height, width) * part)
            share = float(free[rows, columns].mean())
            if share > most:
                best, most = (rows, columns), share
        if most >= FREE:
            break
    return Region(*best, background, free[best])


def _of_class(class_ids: NDArray[np.int32], draws: np.random.Generator) -> Region:
    known = np.flatnonzero(class_ids >= 0)
    if not len(known):
        raise ValueError("expected a semantic map with at least one labelled pixel; got none")
    y, x = divmod(int(draws.choice(known)), class_ids.shape[1])
    rows, columns = _square((class_ids.shape[0], class_ids.shape[1]), y, x, min(class_ids.shape) / 2)
    return Region(rows, columns, int(class_ids[y, x]), class_ids[rows, columns] == class_ids[y, x])


def _square(size: Size, y: float, x: float, side: float) -> tuple[slice, slice]:
    """Rows and columns of a square about a point, moved and shrunk until it lies in the picture."""
    length = min(max(1, round(side)), *size)
    top, left = (
        min(max(0, round(middle - length / 2)), most - length) for middle, most in zip((y, x), size, strict=True)
    )
    return slice(top, top + length), slice(left, left + length)


def _box_pixels(size: Size, box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Every pixel that a box touches: bool (H, W)."""
    inside = np.zeros(size, dtype=np.bool_)
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    inside[low[1] : high[1], low[0] : high[0]] = True
    return inside
