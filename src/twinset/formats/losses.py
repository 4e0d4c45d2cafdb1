"""What a dataset says that a format may have no place for, counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pyarrow.compute as pc

from twinset.annotations import Instances
from twinset.dataset import Dataset
from twinset.instances import from_value


def said(dataset: Dataset, *, held: Collection[str] = ()) -> dict[str, int]:
    """How often a dataset says each thing, less what a format has ``held``; nothing that never occurs.

    The things: objects, masks, crowd flags, difficult flags, truncated flags, confidences, stated areas, amodal boxes,
    amodal masks, keypoints, object attributes, poses, image classes, semantic maps, names of keypoints, depth maps,
    normal maps, cameras.
    """
    objects = {
        "confidences": "confidence",
        "stated areas": "area",
        "amodal boxes": "amodal_box",
        "amodal masks": "amodal_rle",
        "keypoints": "keypoints",
        "object attributes": "attributes",
    }
    found = {"objects": int(dataset.object_counts().sum())}
    found["masks"] = masks_in(dataset)
    for flag in ("crowd", "difficult", "truncated"):
        found[f"{flag} flags"] = int(np.count_nonzero(dataset.object_column(flag)))
    found |= {what: _present(dataset, column) for what, column in objects.items()}
    found["image classes"] = int((dataset.class_ids >= 0).sum())
    found["semantic maps"] = len(dataset) - dataset.table.column("semantic").null_count
    found |= seen_by_cameras(dataset)
    return {what: count for what, count in found.items() if count and what not in held}


def seen_by_cameras(dataset: Dataset) -> dict[str, int]:
    """Poses, names of keypoints, depth maps, normal maps and cameras that a dataset has, each counted."""
    named = pc.struct_field(dataset.table.column("instances"), "keypoint_names")
    found = {"poses": _present(dataset, "pose"), "names of keypoints": len(named) - int(named.null_count)}
    for what, column in (("depth maps", "depth"), ("normal maps", "normals"), ("cameras", "camera")):
        found[what] = len(dataset) - dataset.table.column(column).null_count
    return found


def masks_in(dataset: Dataset) -> int:
    """How many objects have a mask."""
    return _present(dataset, "rle") + _present(dataset, "polygons")


NEAR = 1e-3
"""Pixels by which a box may differ from that of its mask."""


def boxes_beside_masks(dataset: Dataset) -> dict[str, int]:
    """How many objects have a box that is not that of their mask, for formats that keep the mask alone."""
    found = 0
    for instances in instances_of(dataset) if masks_in(dataset) else ():
        for box, mask in zip(instances.boxes, instances.masks or (), strict=False):
            found += mask is not None and bool(np.abs(np.subtract(box, mask.box())).max() > NEAR)
    return {"boxes beside masks": found} if found else {}


def instances_of(dataset: Dataset) -> Iterator[Instances]:
    """The objects of each sample of which something is said; no picture is touched."""
    for batch in dataset.table.select(["instances"]).to_batches(max_chunksize=256):
        yield from (from_value(value) for value in batch.column(0).to_pylist() if value is not None)


def _present(dataset: Dataset, column: str) -> int:
    objects = pc.list_flatten(pc.struct_field(dataset.table.column("instances"), "objects"))
    values = pc.struct_field(objects, column)
    return len(values) - int(values.null_count)
