"""Masks of Pascal VOC: which object of a picture each belongs to, and what the values of class masks mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinset.formats.folder import Folder, Unusable, visible
from twinset.formats.listing import Findings
from twinset.formats.mask_classes import Row, ValueTable, rows_beside, table_of
from twinset.formats.maskfiles import VOID, is_coloured, packed, palette, read_mask
from twinset.formats.objects import Stated
from twinset.formats.pairs import Walked, sisters
from twinset.masks import Rle
from twinset.semantic import IGNORE

PICTURE_FOLDERS = ("jpegimages", "images", "image", "imgs")
CHALLENGE = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The classes of the challenge, by the values of its class masks."""

TABLES = ("labelmap.txt", "class_names.txt")
OWN_OVERLAP = 0.5
LEAST_OVERLAP = 0.1
"""Intersection over union of a box and the box of a mask: to be of the same number, and to be matched at all."""


@dataclass(frozen=True)
class Values:
    """What the values of class masks mean. ``semantic``: all of them are classes of the dataset.

    Where we wrote the masks of objects only, background is no class, and class masks say nothing new.
    """

    table: ValueTable
    semantic: bool


def values_of(folder: Folder, walked: Walked, findings: Findings, given: Sequence[str] | None) -> Values | None:
    """From ``labelmap.txt`` or ``class_names.txt``, else the challenge's; None where there are no class masks.

    ``given`` are the classes of a dataset that we wrote: its table begins with background, or has the same length.
    """
    place = next((spelled for name, spelled in walked.folders.items() if name.endswith("segmentationclass")), None)
    if place is None:
        return None
    above = str(PurePosixPath(place).parent)
    file, rows = rows_beside(folder, TABLES, "" if above == "." else above) or ("", _challenge())
    colours = palette()
    rows = [row if row.colour is not None else replace(row, colour=_colour(colours, row.value)) for row in rows]
    if given is None or not file:
        table = table_of(rows, file or place, findings)
        return Values(_with_void(table), semantic=True)
    first = len(rows) - len(given)
    ids = {row.value: row.value - first for row in rows if row.value >= first}
    known = {row.colour: ids[row.value] for row in rows if row.value in ids and row.colour is not None}
    return Values(_with_void(ValueTable(tuple(given), ids, known)), semantic=first == 0)


def _challenge() -> list[Row]:
    return [Row(value, name) for value, name in enumerate(CHALLENGE)]


def _colour(colours: NDArray[np.uint8], value: int) -> int | None:
    return packed(*colours[value].tolist()) if value <= VOID else None


def _with_void(table: ValueTable) -> ValueTable:
    void = packed(*palette()[VOID].tolist())
    return replace(table, ids={VOID: IGNORE, **table.ids}, colours={void: IGNORE, **table.colours})


@dataclass(frozen=True)
class ObjectMasks:
    """Object ids of a picture's pixels (H, W), 0 where there is none; and the paths of its mask files."""

    folder: Folder
    objects: NDArray[np.int64] | None
    object_path: str | None
    classes: str | None

    def match(self, stated: list[Stated], values: Values | None, *, alone: bool) -> tuple[list[Stated], int]:
        """The objects with the masks that fit them, and how many masks fit none.

        A mask is that of the object of its number where all of them fit so; else they are matched to cover the most.
        ``alone``: there are no objects yet, and each mask is one, of the class that most of its pixels have.
        """
        if self.objects is None:
            return stated, 0
        numbers = [number for number in np.unique(self.objects).tolist() if number]
        masks = [Rle.of(self.objects == number) for number in numbers]
        if alone:
            labels = self._labels(numbers, values)
            return [Stated(label, rle=mask) for label, mask in zip(labels, masks, strict=True)], 0
        if not stated or not masks:
            return stated, len(masks)
        overlaps = _overlaps(np.array([mask.box() for mask in masks]), np.array([one.box for one in stated]))
        found = list(stated)
        lost = len(masks)
        for mask, row in _assigned(overlaps, numbers):
            found[row] = replace(stated[row], rle=masks[mask])
            lost -= 1
        return found, lost

    def _labels(self, numbers: list[int], values: Values | None) -> list[str | None]:
        assert self.objects is not None
        if self.classes is None or values is None:
            return [None] * len(numbers)
        data = self.folder.read(self.classes)
        classes, known = read_mask(data), values.table.colours if is_coloured(data) else values.table.ids
        if classes.shape != self.objects.shape:
            raise Unusable(f"{visible(self.classes)}: expected the size of the object masks; got another")
        labels: list[str | None] = []
        for number in numbers:
            present, counts = np.unique(classes[self.objects == number], return_counts=True)
            class_id = known.get(int(present[counts.argmax()]), IGNORE)
            labels.append(None if class_id == IGNORE else values.table.classes[class_id])
        return labels


def _overlaps(masks: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, K) intersection over union of the boxes of masks (M, 4) and of objects (K, 4)."""
    low = np.maximum(masks[:, None, :2], boxes[None, :, :2])
    high = np.minimum(masks[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (masks, boxes)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def _assigned(overlaps: NDArray[np.float64], numbers: list[int]) -> list[tuple[int, int]]:
    """Pairs of mask and object."""
    from scipy.optimize import linear_sum_assignment

    count = overlaps.shape[1]
    if all(number <= count and overlaps[mask, number - 1] >= OWN_OVERLAP for mask, number in enumerate(numbers)):
        return [(mask, number - 1) for mask, number in enumerate(numbers)]
    masks, rows = linear_sum_assignment(overlaps, maximize=True)
    pairs = zip(masks.tolist(), rows.tolist(), strict=True)
    return [(mask, row) for mask, row in pairs if overlaps[mask, row] >= LEAST_OVERLAP]


def masks_of(folder: Folder, walked: Walked, path: str) -> ObjectMasks:
    """The masks of a picture in the folders beside its own; :class:`Unusable` for one that cannot be read."""
    found = []
    for kind in ("SegmentationObject", "SegmentationClass"):
        wanted = (place.with_suffix(".png") for place in sisters(path, PICTURE_FOLDERS, (kind,)))
        found.append(next((spelled for place in wanted if (spelled := walked.actual(place)) is not None), None))
    if found[0] is None:
        return ObjectMasks(folder, None, None, found[1])
    try:
        data = folder.read(found[0])
        ids = read_mask(data)
        void = packed(*palette()[VOID].tolist()) if is_coloured(data) else VOID
    except Unusable as error:
        raise Unusable(f"{visible(found[0])}: {error}") from error
    return ObjectMasks(folder, np.where(ids == void, 0, ids), found[0], found[1])
