"""Objects cut out of their pictures, at one size: what a detection set's objects look like, one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.images import PixelBatch, Pixels, convert_channels, resize
from twinset.instances import Instances

BATCH = 256


def crop_frames(instances: Instances, *, margin: float = 0.0) -> list[list[int]]:
    """Whole pixels x1, y1, x2, y2 (half-open) that each box touches.

    The box first grows by ``margin`` of its width on the left and on the right, of its height above and below, and ends
    at the picture's edge.
    """
    if not 0 <= margin < np.inf:
        raise ValueError(f"expected margin ≥ 0, a share of the box's side; got {margin}")
    low, high = instances.boxes[:, :2], instances.boxes[:, 2:]
    if margin:
        more = margin * (high.astype(np.float64) - low)
        height, width = instances.size
        low, high = np.maximum(low - more, 0.0), np.minimum(high + more, [width, height])
    frames: list[list[int]] = np.column_stack([np.floor(low), np.ceil(high)]).astype(int).tolist()
    return frames


def object_crops(pixels: Pixels, instances: Instances, *, side: int, margin: float = 0.0) -> Iterator[Pixels]:
    """uint8 (side, side, 3) of each object's box with its margin, stretched, antialiased."""
    colours = convert_channels(pixels, 3)
    for x1, y1, x2, y2 in crop_frames(instances, margin=margin):
        yield resize(np.ascontiguousarray(colours[y1:y2, x1:x2]), side, side)


def crop_batches(dataset: Dataset, *, side: int, margin: float = 0.0, batch: int = BATCH) -> Iterator[PixelBatch]:
    """The crops of all objects but crowds, in the dataset's order, uint8 (≤ ``batch``, side, side, 3) at a time.

    One picture is open at a time; what these objects are says :func:`crop_owners`.
    """
    if side < 1 or batch < 1:
        raise ValueError(f"expected side ≥ 1 and batch ≥ 1; got {side} and {batch}")
    waiting: list[Pixels] = []
    for sample in dataset:
        instances = objects_of(sample)
        if len(instances := instances.take(~instances.is_crowd)):
            waiting += object_crops(sample.pixels(), instances, side=side, margin=margin)
        while len(waiting) >= batch:
            yield np.stack(waiting[:batch])
            waiting = waiting[batch:]
    if waiting:
        yield np.stack(waiting)


def crop_owners(dataset: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of every crop of :func:`crop_batches`: the row (M,) of its picture and the class (M,) of its object."""
    single = ~dataset.object_column("crowd").astype(bool)
    rows = np.repeat(np.arange(len(dataset), dtype=np.int64), dataset.object_counts())
    return rows[single], dataset.object_column("class_id").astype(np.int64)[single]


def objects_of(sample: Sample) -> Instances:
    """The objects of a sample, none where nothing is said."""
    if sample.annotation is None or sample.annotation.instances is None:
        return Instances.none((1, 1))
    return sample.annotation.instances
