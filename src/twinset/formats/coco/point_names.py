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


def common_names(instances: Rows) -> Names | None:
    """The names of keypoints in all pictures with keypoints, of type INSTANCES; None where they differ or lack."""
    found: set[Names] = set()
    for chunk in instances:
        lists = pc.struct_field(chunk, "objects")
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        pointed = pc.list_flatten(lists).field("keypoints").is_valid().to_numpy(zero_copy_only=False)
        rows = np.unique(np.repeat(np.arange(len(chunk)), lengths)[pointed])
        said = pc.struct_field(chunk, "keypoint_names").take(pa.array(rows)).to_pylist()
        if None in said:
            return None
        found |= {tuple(one) for one in said}
        if len(found) > 1:
            return None
    return found.pop() if found else None


def lost_names(dataset: Dataset) -> int:
    """Pictures whose names of keypoints have no place in the file of their split, since others there differ."""
    instances = dataset.table.column("instances")
    named = pc.struct_field(instances, "keypoint_names").is_valid().to_numpy(zero_copy_only=False)
    splits = np.array([split or "" for split in dataset.splits], dtype=object)
    lost = 0
    for split in set(splits[named].tolist()):
        rows = np.flatnonzero(splits == split)
        if common_names(Rows(instances, rows)) is None:
            lost += int(named[rows].sum())
    return lost
