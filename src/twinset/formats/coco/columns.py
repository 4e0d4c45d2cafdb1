"""Annotations of a COCO file as Arrow columns, slice by slice; what cannot be used is told by annotation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError
from twinset.formats.coco.records import Annotation, Box, Id, Notes, Plain, Runs
from twinset.formats.coco.slices import Slice, named
from twinset.formats.folder import visible
from twinset.formats.objects import STATED
from twinset.formats.settling import CORNERS
from twinset.formats.spool import Spool
from twinset.masks import Rle
from twinset.run_lengths import covered

_RINGS = STATED.field("polygons").type
_ABSENT = (float("nan"),) * 4
Segmentation = list[list[float]] | Runs | None
_MOST_PIXELS = 2**31 - 1
IMAGE, CATEGORY = "image_id", "category_id"


@dataclass
class Annotations:
    """All annotations of one file. ``problems`` are of those that are in no row of ``parts``, ``bare`` counts those
    without box and mask, ``captions`` are (image id, text).

    ``parts`` have columns of :data:`~twinset.formats.objects.STATED`, less those of which nothing is said; in place of
    picture and label the ids that are stated, :data:`IMAGE` and :data:`CATEGORY`.
    """

    parts: Spool = field(default_factory=Spool)
    problems: list[str] = field(default_factory=list)
    captions: list[tuple[str, str]] = field(default_factory=list)
    odd_areas: int = 0
    odd_scores: int = 0
    bare: int = 0
    panoptic: bool = False
    rows: int = 0

    def __len__(self) -> int:
        return self.rows

    def add(self, found: Slice) -> None:
        """More annotations."""
        self.problems += found.problems
        wrong: dict[int, str] = {}
        full = self._without_captions(found.full)
        _check_rest(full, wrong)
        whole: Sequence[Plain] = found.plain or full
        packed = _run_lengths([one.segmentation for one in whole], wrong)
        if wrong:
            self.problems += [f"{named(whole[row].id)}{problem}; left out" for row, problem in sorted(wrong.items())]
            keep = [row for row in range(len(whole)) if row not in wrong]
            packed = [packed[row] for row in keep] if packed else []
            full = [full[row] for row in keep] if full else []
            whole = full or [whole[row] for row in keep]
        if whole:
            self.rows += len(whole)
            columns = self._columns(whole, packed)
            if full:
                columns |= self._further(full, columns["area"])
            ids = {IMAGE: as_ids([one.image_id for one in whole]), CATEGORY: as_ids([one.category_id for one in whole])}
            self.parts.add(pa.record_batch(_said(columns) | ids))

    def _without_captions(self, records: list[Annotation]) -> list[Annotation]:
        if _any([one.segments_info for one in records], msgspec.Raw):
            self.panoptic = True
        if _any([one.caption for one in records], str):
            self.captions += [(str(one.image_id), one.caption) for one in records if one.caption is not None]
            return [one for one in records if one.caption is None]
        return records

    def _columns(self, records: Sequence[Plain], packed: list[Rle | None]) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {"number": _numbers([one.id for one in records])}
        boxes, boxed = _boxes([one.bbox for one in records])
        absent = None if boxed.all() else ~boxed
        columns |= {name: pa.array(boxes[:, axis], mask=absent) for axis, name in enumerate(CORNERS)}
        columns |= _masks(packed)
        columns["polygons"] = _polygons([one.segmentation for one in records])
        columns["area"], odd_areas = _within([one.area for one in records], 0.0, float("inf"))
        columns["crowd"] = _flags([one.iscrowd for one in records])
        self.odd_areas += odd_areas
        if not boxed.all():
            masks = [columns[name].is_valid() for name in ("rle", "polygons") if name in columns]
            masked = np.any([one.to_numpy(zero_copy_only=False) for one in masks], axis=0)
            self.bare += int((~boxed & ~masked).sum())
        return columns

    def _further(self, records: list[Annotation], area: pa.Array) -> dict[str, pa.Array]:
        scores, odd_scores = _within([one.score for one in records], 0.0, 1.0)
        self.odd_scores += odd_scores
        columns = {"confidence": scores, "attributes": _attributes([one.attributes for one in records])}
        keypoints = [one.keypoints for one in records]
        if any(keypoints):
            columns["keypoints"] = pa.array(keypoints, STATED.field("keypoints").type)
        return columns | _ours([one.twinset for one in records], area)


def _said(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The numbers, and columns of which something is said; numbers and boxes stay as narrow as they are."""
    said = {name: one for name, one in columns.items() if name == "number" or one.null_count < len(one)}
    narrow = ("number", *CORNERS)
    types = {name: one.type if name in narrow else STATED.field(name).type for name, one in said.items()}
    return {name: one.cast(types[name]) for name, one in said.items()}


def as_ids(values: Sequence[Id | None]) -> pa.Array:
    """Ids as int32 where that holds them, as int64, or as text where some are text or too large."""
    for kind in (pa.int32(), pa.int64()):
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            continue
    return pa.array([None if value is None else visible(str(value)) for value in values], pa.string())


def ranks(wanted: pa.Array, known: pa.Array) -> pa.Array:
    """Where each wanted id stands among the known ones, int32, null where it does not; a number equals its text."""
    kinds = (wanted.type, known.type)
    widest = next((kind for kind in (pa.string(), pa.int64()) if kind in kinds), pa.int32())
    return pc.index_in(wanted.cast(widest), value_set=known.cast(widest))


def _numbers(values: Sequence[Id | None]) -> pa.Array:
    """Ids that are whole numbers of 64 bits, null for others."""
    numbers = as_ids(values)
    if pa.types.is_integer(numbers.type):
        return numbers
    return pa.array([value if isinstance(value, int) and abs(value) < 2**63 else None for value in values], pa.int64())


def _any(values: Sequence[object], kind: type) -> bool:
    """Whether any of these values is of this very type; much faster than asking each."""
    return kind in set(map(type, values))


def _boxes(stated: list[Box | None]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """xyxy (n, 4), and which rows have one; in float32 unless numbers are too large for it."""
    boxed = np.ones(len(stated), dtype=bool) if all(stated) else np.array([box is not None for box in stated])
    flat = chain.from_iterable(stated if boxed.all() else [box or _ABSENT for box in stated])  # type: ignore[arg-type]
    boxes = np.fromiter(flat, np.float64, 4 * len(stated)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    with np.errstate(over="ignore"):
        narrow = boxes.astype(np.float32)
    return boxes if np.isinf(narrow).any() else narrow, boxed


def _masks(packed: list[Rle | None]) -> dict[str, pa.Array]:
    if not packed:
        return {}
    return {
        "rle": pa.array([None if one is None else one.counts for one in packed], pa.binary()),
        "rle_height": pa.array([None if one is None else one.height for one in packed], pa.int32()),
        "rle_width": pa.array([None if one is None else one.width for one in packed], pa.int32()),
    }


def _flags(values: Sequence[float | None]) -> pa.Array:
    if not any(values):
        return pa.array(np.zeros(len(values), dtype=bool))
    return pa.array([bool(value) for value in values])


def _polygons(stated: list[Segmentation]) -> pa.Array:
    if not any(stated):
        return pa.nulls(len(stated), _RINGS)
    outlines = [one if isinstance(one, list) else [] for one in stated]
    counts = np.fromiter(map(len, outlines), np.int64, len(outlines))
    rings: list[list[float]] = list(chain.from_iterable(outlines))
    lengths = np.fromiter(map(len, rings), np.int64, len(rings))
    with np.errstate(over="ignore"):
        flat = np.fromiter(chain.from_iterable(rings), np.float64, int(lengths.sum())).astype(np.float32)
    inner = pa.ListArray.from_arrays(pa.array(_offsets(lengths)), pa.array(flat))
    return pa.ListArray.from_arrays(pa.array(_offsets(counts)), inner, mask=pa.array(counts == 0))


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _within(values: Sequence[float | None], low: float, high: float) -> tuple[pa.Array, int]:
    """The numbers that lie in the range, float64, others null; and how many others there are."""
    array = pa.array(values, pa.float64())
    if array.null_count == len(array):
        return array, 0
    odd = pc.fill_null(pc.or_(pc.less(array, low), pc.greater(array, high)), False)
    count = int(pc.sum(odd).as_py() or 0)
    return (pc.if_else(odd, None, array), count) if count else (array, 0)


def _attributes(raws: list[msgspec.Raw | msgspec.UnsetType]) -> pa.Array:
    if not _any(raws, msgspec.Raw):
        return pa.nulls(len(raws), pa.string())
    texts = [plain_attributes(bytes(raw)) if isinstance(raw, msgspec.Raw) else None for raw in raws]
    return pa.array(texts, pa.string())


def plain_attributes(text: bytes) -> str | None:
    """A JSON object of plain values as sorted text; lists and objects inside become text. None for anything else."""
    value = msgspec.json.decode(text)
    if not isinstance(value, dict):
        return None
    plain = {
        visible(key): one if isinstance(one, str | int | float) else json.dumps(one, sort_keys=True)
        for key, one in value.items()
        if one is not None
    }
    return json.dumps(plain, sort_keys=True) if plain else None


def _ours(notes: list[Notes | None], area: pa.Array) -> dict[str, pa.Array]:
    """The columns that only :class:`~twinset.formats.coco.records.Notes` can fill; a derived area is forgotten."""
    if not _any(notes, Notes):
        return {}
    full = [Notes() if note is None else note for note in notes]
    whole = [note.amodal_segmentation for note in full]
    corners = [None if note.amodal_bbox is None else _corners(note.amodal_bbox) for note in full]
    return {
        "difficult": pa.array([note.difficult for note in full]),
        "truncated": pa.array([note.truncated for note in full]),
        "amodal_box": pa.array(corners, STATED.field("amodal_box").type),
        "amodal_rle": pa.array([None if text is None else text.encode() for text in whole], pa.binary()),
        "area": pc.if_else(pa.array([note.derived_area for note in full]), None, area),
    }


def _corners(box: Box) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _packed(runs: Runs) -> Rle:
    height, width = runs.size
    if not (height > 0 and width > 0 and height * width <= _MOST_PIXELS):
        raise DatasetFormatError(f"expected a mask of 1 to {_MOST_PIXELS} pixels; got one of {width} x {height}")
    if isinstance(runs.counts, list):
        return Rle.of_runs(height, width, runs.counts)
    return Rle(height, width, runs.counts.encode("ascii", "replace"))


def _run_lengths(stated: list[Segmentation], wrong: dict[int, str]) -> list[Rle | None]:
    """The run lengths of each annotation, empty where no one has any; damaged ones go to ``wrong``."""
    if not any(stated) or not _any(stated, Runs):
        return []
    packed: list[Rle | None] = [None] * len(stated)
    for row, runs in enumerate(stated):
        if isinstance(runs, Runs):
            try:
                packed[row] = _packed(runs)
            except (DatasetFormatError, ValueError, OverflowError) as error:
                wrong[row] = str(error)
    rows = [row for row, one in enumerate(packed) if one is not None]
    masks = [one for one in packed if one is not None]
    for row, one, pixels in zip(rows, masks, covered([mask.counts for mask in masks]).tolist(), strict=True):
        if pixels != one.height * one.width:
            told = "damaged ones" if pixels < 0 else str(pixels)
            wrong[row] = f"expected run lengths that cover {one.width} x {one.height} pixels; got {told}"
    return packed


def _check_rest(records: list[Annotation], wrong: dict[int, str]) -> None:
    if _any([one.keypoints for one in records], list):
        for row, record in enumerate(records):
            if record.keypoints is not None and len(record.keypoints) % 3:
                wrong[row] = f"expected keypoints x, y, visibility; got {len(record.keypoints)} numbers"
            record.keypoints = record.keypoints or None
    if _any([one.twinset for one in records], Notes):
        for row, record in enumerate(records):
            text = None if record.twinset is None else record.twinset.amodal_segmentation
            if text is not None and covered([text.encode("ascii", "replace")])[0] < 0:
                wrong[row] = "expected packed run lengths as amodal mask; got damaged ones"
