"""Small datasets with objects, for the tests of all formats that hold some."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.formats import read, write
from twinset.formats.writing import WritableFormat
from twinset.masks import Polygons, Rle

HEIGHT, WIDTH = 20, 30
SIZE = (HEIGHT, WIDTH)
CLASSES = ("cat", "traffic light", "小猫")


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def dense(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """A box with a hole and a notch, so that no symmetry hides a mistake."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[y1:y2, x1:x2] = True
    mask[y1 + 1, x1 + 1] = False
    mask[y1, x2 - 1] = False
    return mask


def boxes_only() -> Instances:
    return Instances(
        SIZE,
        np.array([2, 0, 1]),
        np.array([[1.25, 2.5, 10.1, 7], [0, 0, 30, 20], [12, 3, 13.5, 19.75]], dtype=np.float32),
        truncated=np.array([True, False, False]),
    )


def masked() -> Instances:
    """A polygon of two parts, run lengths, one outline, and a box alone."""
    two = Polygons(*SIZE, ((1.0, 1.0, 6.5, 1.0, 6.5, 4.0), (8.0, 8.0, 12.0, 8.0, 12.0, 11.25)))
    one = Polygons(*SIZE, ((20.0, 2.0, 28.0, 2.0, 24.0, 9.0, 21.0, 9.5),))
    rle = Rle.of(dense(3, 12, 9, 18))
    masks = (two, rle, one, None)
    boxes = [mask.box() for mask in masks if mask is not None]
    return Instances(
        SIZE,
        np.array([0, 1, 0, 2]),
        np.array([*boxes, (14, 14, 18, 19)], dtype=np.float32),
        masks,
        crowd=np.array([False, True, False, False]),
        difficult=np.array([False, False, True, False]),
        columns={
            "colour": ("red", None, 'b,"l<u>e', None),
            "legs": (None, 4, None, None),
            "wet": (None, None, True, False),
        },
    )


def whole() -> Instances:
    """Everything that can be said of an object."""
    base = masked()
    return Instances(
        SIZE,
        base.class_ids,
        base.boxes,
        base.masks,
        areas=np.array([10, np.nan, 3.5, 1], dtype=np.float32),
        crowd=base.crowd,
        difficult=base.difficult,
        truncated=np.array([True, False, False, True]),
        confidences=np.array([0.25, np.nan, 1, 0], dtype=np.float32),
        amodal_boxes=np.array([[-4, -3, 40, 50]] * 4, dtype=np.float32),
        amodal_masks=(Rle.of(dense(0, 0, 9, 9)), None, None, Rle.of(dense(2, 2, 20, 20))),
        keypoints=np.arange(24, dtype=np.float32).reshape(4, 2, 3),
        columns=base.columns,
    )


def semantic(seed: int) -> SemanticMap:
    return SemanticMap.of(np.random.default_rng(seed).integers(-1, len(CLASSES), SIZE))


def dataset_of(*annotations: Annotation | None, splits: bool = True) -> Dataset:
    samples = []
    for row, annotation in enumerate(annotations):
        origin = Origin("copypaste", 7 + row, "abc", ("p",), "CC0") if row % 2 else Origin()
        samples.append(Sample(f"s/{row}.a", annotation, origin, image=pixels(row)))
    names = ["train", "validation", "test"]
    return Dataset.of(
        samples, classes=CLASSES, splits=[names[row % 3] for row in range(len(samples))] if splits else None
    )


def back(dataset: Dataset, path: Path, format: WritableFormat) -> Dataset:
    """The dataset written and read again, in its own order."""
    write(dataset, path, format)
    found, report = read(path)
    assert report.bad_files == ()
    return found.take([found.row_of(one) for one in dataset.ids])


def instances_in(dataset: Dataset, row: int = 0) -> Instances:
    annotation = dataset[row].annotation
    assert annotation is not None
    assert annotation.instances is not None
    return annotation.instances
