"""The size at which a run uses its pictures, and the one at which it compares them as wholes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa

from twinset import transforms
from twinset.dataset import SCHEMA, Dataset, Sample, Task
from twinset.formats.threads import ordered_map
from twinset.images import FULL_RANGE, ImageSpec, encode_png, plain_png_shape
from twinset.recipe import ImagePart

AUTO_SIDE = 32
LOOK_SIDE = 48
"""Longer side, in pixels, of the small copies by which pictures with objects are compared: gate, fidelity, map."""


def looking_spec(dataset: Dataset) -> ImageSpec:
    """The small size at which pictures are compared as wholes: the commonest shape, 48 pixels on its longer side."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
    (height, width, _), _ = shapes.most_common(1)[0]
    scale = min(1.0, LOOK_SIDE / max(height, width))
    channels = 3 if any(shape[2] == 3 for shape in shapes) else 1
    return ImageSpec(max(8, round(height * scale)), max(8, round(width * scale)), channels, "stretch")


def _sizes(dataset: Dataset) -> str:
    """What the pictures of a dataset measure, for people."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
    found = sorted({(h, w) for h, w, _ in shapes})
    colours = "RGB" if any(c == 3 for *_, c in shapes) else "grey"
    low, high = found[0], found[-1]
    came = f"{low[1]} × {low[0]}" if low == high else f"{low[1]} × {low[0]} … {high[1]} × {high[0]}"
    return f"{came} {colours}"


def choose_spec(image: ImagePart, dataset: Dataset) -> tuple[ImageSpec, str]:
    """The run's image size, and a sentence on what it means for these images."""
    shapes = Counter(ordered_map(Sample.shape, dataset))
    (height, width, _), _ = shapes.most_common(1)[0]
    found = sorted({(h, w) for h, w, _ in shapes})
    channels = image.channels if image.channels != "auto" else (3 if any(c == 3 for *_, c in shapes) else 1)
    if image.size == "auto":
        scale = min(1.0, AUTO_SIDE / max(height, width)) if len(found) == 1 else AUTO_SIDE / max(height, width)
        height, width = max(4, round(height * scale)), max(4, round(width * scale))
    else:
        height, width = (image.size, image.size) if isinstance(image.size, int) else image.size
    spec = ImageSpec(height, width, channels, image.fit)
    colours = "grey" if channels == 1 else "RGB"
    text = f"{width} × {height} {colours}"
    if found == [(height, width)]:
        return spec, f"{text}, as they came"
    low, high = found[0], found[-1]
    came = f"{low[1]} × {low[0]}" if low == high else f"{low[1]} × {low[0]} … {high[1]} × {high[0]}"
    return spec, f"{text}, resized from {came} ({image.fit}, antialiased bicubic)"


def at_run_size(dataset: Dataset, task: Task, image: ImagePart) -> tuple[Dataset, ImageSpec, str]:
    """The pictures as a run uses them, the size at which they are compared as wholes, and a sentence on it."""
    if task == "classification":
        spec, size = choose_spec(image, dataset)
        return _at_one_size(dataset, spec), spec, size
    prepared, size = _with_places(dataset, image)
    spec = looking_spec(prepared)
    return prepared, spec, f"{size}; compared as wholes at {spec.width} × {spec.height}"


def _at_one_size(dataset: Dataset, spec: ImageSpec) -> Dataset:
    images = [_encoded(sample, spec) for sample in dataset]
    at = SCHEMA.get_field_index("image")
    table = dataset.table.set_column(at, SCHEMA.field(at), pa.array(images, pa.binary()))
    return replace(dataset, table=table, window=FULL_RANGE)


def _encoded(sample: Sample, spec: ImageSpec) -> bytes:
    """The picture at this size as a PNG: as it came, where it came as that."""
    if not isinstance(sample.image, np.ndarray) and plain_png_shape(data := sample.encoded()) == spec.shape:
        return data
    return encode_png(spec.prepare(sample.pixels()))


def _with_places(dataset: Dataset, image: ImagePart) -> tuple[Dataset, str]:
    """The pictures as they are, or brought to the recipe's size with all that lies in them; and a sentence on it."""
    if image.size == "auto" and image.channels == "auto":
        return dataset.with_absolute_paths(), f"{_sizes(dataset)}, as they came"
    came = _sizes(dataset)
    resized = []
    for sample in dataset:
        height, width, channels = sample.shape()
        if image.size != "auto":
            height, width = (image.size, image.size) if isinstance(image.size, int) else image.size
        spec = ImageSpec(height, width, channels if image.channels == "auto" else image.channels, image.fit)
        resized.append(transforms.prepared(sample, spec))
    made = Dataset.of(resized, classes=dataset.classes, splits=dataset.splits, name=dataset.name)
    return made, f"{_sizes(made)}, resized from {came} ({image.fit}, antialiased bicubic)"
