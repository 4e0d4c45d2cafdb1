"""Which format with places in pictures a folder holds, told by its marks; and of which dataset a folder is a part."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from twinset.errors import DatasetFormatError
from twinset.formats import bop, cityscapes, coco, cvat, hdf5, kitti, labelme, semantic_masks, via, voc, yolo
from twinset.formats.folder import Folder, visible
from twinset.formats.listing import SPLIT_NAMES, Listing

PARTS = frozenset(
    [
        *("image", "images", "imgs", "img", "jpegimages", "leftimg8bit", "data"),
        *("label", "labels", "annotation", "annotations", "xmls", "imagesets", "main", "layout"),
        *("mask", "masks", "semantic", "segmentation", "segment", "segmentationclass", "segmentationobject", "gtfine"),
        *("panoptic", "instance", "instances", *SPLIT_NAMES),
    ]
)
"""Words that the names of folders with a part of a dataset are made of: its pictures, or what is said of them."""

HIGHEST = 3
"""How far up the dataset is looked for."""

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class _Remembered(Folder):
    """A folder that lists each of its folders once: those who look for their marks all look at the same ones."""

    _names: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def names(self, below: str = "") -> list[str]:
        if below not in self._names:
            self._names[below] = super().names(below)
        return self._names[below]


def remembered(folder: Folder) -> Folder:
    """The same folder; each listing is made once, so it serves to look around and not to read."""
    return _Remembered(folder.root)


def recognised(folder: Folder, seen: Folder) -> Callable[[str], Listing] | None:
    """Lists what marks places in pictures, given a name for the dataset; None where nothing does.

    Layouts that cannot be mistaken come first; the files of an annotation tool come after what they are often
    converted to. ``seen`` is the folder as :func:`remembered`.
    """
    if found := coco.claims(seen):
        return lambda name: coco.listing(folder, found, name)
    if bop.claims(seen):
        return lambda name: bop.listing(folder, name)
    if hdf5.claims(seen):
        return lambda name: hdf5.listing(folder, name)
    if cityscapes.claims(seen):
        return lambda name: cityscapes.listing(folder, name)
    if kitti.claims(seen):
        return lambda name: kitti.listing(folder, name)
    if yolo.claims(seen):
        return lambda name: yolo.listing(folder, name)
    if voc.claims(seen):
        return lambda name: voc.listing(folder, name)
    if drawn := cvat.claims(seen):
        return lambda name: cvat.listing(folder, drawn, name)
    if drawn := via.claims(seen):
        return lambda name: via.listing(folder, drawn, name)
    if labelme.claims(seen):
        return lambda name: labelme.listing(folder, name)
    if semantic_masks.claims(seen):
        return lambda name: semantic_masks.listing(folder, name)
    return None


def whole_of(path: Path) -> Path | None:
    """The folder of the dataset of which the folder at this path is a part, such as its ``labels``; None if of none."""
    found, place = None, path.resolve()
    for _ in range(HIGHEST):
        if not _is_part(place.name) or place.parent == place:
            break
        place = place.parent
        if recognised(Folder.at(place), remembered(Folder.at(place))) is not None:
            found = place
    return found


def refuse_part(path: Path) -> None:
    """A :class:`DatasetFormatError` where the folder at this path is a part of a dataset, which it names."""
    whole = whole_of(path) if path.is_dir() else None
    if whole is not None:
        shown = visible(str(whole) if path.is_absolute() else os.path.relpath(whole))
        raise DatasetFormatError(
            f"expected a dataset; got a part of the one in {shown}", path=visible(str(path)), hint=f"give {shown}"
        )


def _is_part(name: str) -> bool:
    words = {word.casefold() for word in _WORD.findall(name)}
    return bool(words) and words <= PARTS
