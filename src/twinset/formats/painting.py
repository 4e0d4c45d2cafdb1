"""Objects with masks painted into semantic maps, for formats that hold nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.annotations import Instances
from twinset.dataset import Dataset
from twinset.formats.losses import instances_of
from twinset.semantic import IGNORE

BACKGROUND = "background"


@dataclass(frozen=True)
class Painter:
    """Paints the objects of a dataset: ``classes`` are those of the maps, ``class_ids`` (C,) the map's id of each of
    the dataset's, ``background`` the id of pixels of no object.
    """

    classes: tuple[str, ...]
    class_ids: NDArray[np.int32]
    background: int

    @staticmethod
    def of(classes: tuple[str, ...]) -> Painter:
        """With a class "background" before the others, unless one of them is called so.

        >>> Painter.of(("cat", "dog")).classes
        ('background', 'cat', 'dog')
        """
        own = next((row for row, name in enumerate(classes) if name.casefold() == BACKGROUND), None)
        ids = np.arange(len(classes), dtype=np.int32)
        return Painter((BACKGROUND, *classes), ids + 1, 0) if own is None else Painter(classes, ids, own)

    def paint(self, instances: Instances) -> NDArray[np.int32]:
        """int32 (H, W): the class of every pixel. Later objects lie over earlier ones, and all of them over crowds,
        which are −1, to be ignored.
        """
        values = np.where(instances.is_crowd, IGNORE, self.class_ids[instances.class_ids])
        return np.append(values, self.background).astype(np.int32)[_topmost(instances)]


def _topmost(instances: Instances) -> NDArray[np.int64]:
    """(H, W) the row of the object that is seen at each pixel, −1 where there is none."""
    top = np.full(instances.size, -1, dtype=np.int64)
    masks = instances.masks or (None,) * len(instances)
    for row in np.argsort(~instances.is_crowd, kind="stable").tolist():
        mask = masks[row]
        if mask is not None:
            top[mask.dense()] = row
        else:  # a crowd with a box alone: the others were refused
            x1, y1 = np.floor(instances.boxes[row, :2]).astype(int)
            x2, y2 = np.ceil(instances.boxes[row, 2:]).astype(int)
            top[y1:y2, x1:x2] = row
    return top


def is_painted(dataset: Dataset) -> bool:
    """Whether the semantic maps of a dataset are to be painted: it has none of its own."""
    return int(dataset.table.column("semantic").null_count) == len(dataset)


def boxes_alone(dataset: Dataset) -> int:
    """How many objects, crowds aside, have no mask and cannot be painted."""
    objects = pc.list_flatten(pc.struct_field(dataset.table.column("instances"), "objects"))
    crowd, rle, polygons = (pc.struct_field(objects, name) for name in ("crowd", "rle", "polygons"))
    alone = pc.and_(pc.invert(crowd), pc.and_(rle.is_null(), polygons.is_null()))
    return int(pc.sum(alone).as_py() or 0)


def hidden(dataset: Dataset) -> dict[str, int]:
    """How many objects lie under later ones, where each pixel shows one alone."""
    partly = wholly = 0
    for instances in instances_of(dataset):
        seen = np.bincount(_topmost(instances).ravel() + 1, minlength=len(instances) + 1)[1:]
        masks = instances.masks or (None,) * len(instances)
        for row in np.flatnonzero(~instances.is_crowd).tolist():
            mask = masks[row]
            area = 0 if mask is None else mask.area
            partly += 0 < seen[row] < area
            wholly += seen[row] == 0 < area
    found = {"objects partly under later ones": int(partly), "objects wholly under later ones": int(wholly)}
    return {what: count for what, count in found.items() if count}
