"""Names of keypoints: COCO has them by category, we have them by picture."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.dataset import Dataset
from twinset.formats.coco.records import Category
from twinset.formats.folder import is_text, visible
from twinset.formats.shelves import Rows

Names = tuple[str, ...]


def numbered(count: int) -> Names:
    """What stands for names where there are none.

    >>> numbered(3)
    ('1', '2', '3')
    """
    return tuple(str(number + 1) for number in range(count))


def names_in(categories: Sequence[Category]) -> tuple[Names | None, bool]:
    """The names that all categories with any share, and whether there are others, which cannot be kept.

    One picture shows objects of several categories, and has one list of names.
    """
    found = {names for one in categories if (names := _names(one.keypoints)) is not None}
    said = {names for names in found if names != numbered(len(names))}
    if () not in found and len(found) == 1:
        return next(iter(said), None), False
    return None, bool(said) or () in found


def _names(stated: msgspec.Raw | msgspec.UnsetType) -> Names | None:
    """What a category calls its keypoints; None where it has none, () where that is no list of distinct names."""
    if not isinstance(stated, msgspec.Raw):
        return None
    names = msgspec.json.decode(bytes(stated))
    if names in (None, []):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and is_text(name) for name in names):
        return ()
    shown = tuple(visible(name) for name in names)
    return shown if len(set(shown)) == len(shown) else ()


def pointed(instances: Rows) -> tuple[dict[int, int], Names | None]:
    """How many keypoints objects of each class have at most, where they have any; and what all pictures call them.

    Their names are None where they differ or lack.
    """
    points, names = dict[int, int](), set[Names | None]()
    said = (chunk.field("objects").values.field("keypoints") for chunk in instances.column.chunks)
    if all(one.null_count == len(one) for one in said):
        return points, None
    for pictures in instances:
        lists = pc.struct_field(pictures, "objects")
        objects = pc.list_flatten(lists)
        lengths = pc.fill_null(pc.list_value_length(objects.field("keypoints")), 0).to_numpy()
        having = np.flatnonzero(lengths)
        for class_id, length in zip(objects.field("class_id").take(having).to_pylist(), lengths[having], strict=True):
            points[class_id] = max(points.get(class_id, 0), int(length) // 3)
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        rows = np.unique(np.repeat(np.arange(len(pictures)), counts)[having])
        called = pc.struct_field(pictures, "keypoint_names").take(pa.array(rows)).to_pylist()
        names |= {None if one is None else tuple(one) for one in called}
    return points, next(iter(names)) if len(names) == 1 else None


def lost_names(dataset: Dataset) -> int:
    """Pictures whose names of keypoints have no place in the file of their split, since others there differ."""
    instances = dataset.table.column("instances")
    named = pc.struct_field(instances, "keypoint_names").is_valid().to_numpy(zero_copy_only=False)
    splits = np.array([split or "" for split in dataset.splits], dtype=object)
    lost = 0
    for split in set(splits[named].tolist()):
        rows = np.flatnonzero(splits == split)
        if pointed(Rows(instances, rows))[1] is None:
            lost += int(named[rows].sum())
    return lost
