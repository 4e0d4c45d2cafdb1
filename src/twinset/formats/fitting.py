"""Whether a format can hold what a dataset is about: asked before anything is written."""

from __future__ import annotations

from twinset.dataset import Dataset
from twinset.errors import UsageError
from twinset.formats.losses import masks_in
from twinset.formats.painting import BACKGROUND, Painter, boxes_alone, is_painted
from twinset.formats.writing import WritableFormat

OF_OBJECTS = ("coco", "yolo", "labelme", "cvat", "kitti", "via", "bop")
"""Formats of objects that have no place for semantic maps."""


def check_writable(dataset: Dataset, format: WritableFormat) -> None:
    """:class:`UsageError` where nothing of what a dataset says of pixels or objects could be written, or not all of it.

    Masks of objects become semantic masks; boxes do not, and semantic masks do not become objects.
    """
    if format == "masks" and is_painted(dataset):
        _check_paintable(dataset)
    maps = len(dataset) - dataset.table.column("semantic").null_count
    if format in OF_OBJECTS and maps and not int(dataset.object_counts().sum()):
        raise UsageError(
            f"expected objects to write {format}; got semantic masks of {maps} images, which do not tell objects apart",
            hint="write masks, voc, parquet or webdataset, or read the objects of the same images from elsewhere",
        )


def _check_paintable(dataset: Dataset) -> None:
    objects, alone = int(dataset.object_counts().sum()), boxes_alone(dataset)
    if alone:
        raise UsageError(
            f"expected a mask of each object to write semantic masks; got {alone} of {objects} with a box alone",
            hint="write coco, yolo, voc, labelme, cvat, kitti or via, which hold boxes, or add outlines to the source",
        )
    if len(dataset) and dataset.table.column("instances").null_count == len(dataset):
        raise UsageError(
            "expected semantic maps, or masks of objects, to write semantic masks; got neither in any image",
            hint="write imagefolder, csv, parquet or webdataset, which hold the class of an image",
        )


def remarks(dataset: Dataset, format: WritableFormat) -> tuple[str, ...]:
    """What is written otherwise than it was read, for people."""
    if format == "masks" and is_painted(dataset) and masks_in(dataset):
        own = Painter.of(dataset.classes).classes == dataset.classes
        called = f"are of the class {BACKGROUND!r}" + ("" if own else ", which was added")
        return (
            f"masks of objects were painted into semantic masks, later ones over earlier ones; other pixels {called}",
        )
    return ()
