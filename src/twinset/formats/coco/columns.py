"""Annotations of a COCO file as Arrow columns, slice by slice; what cannot be used is told by annotation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import NoneType

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError
from twinset.formats.coco.records import Annotation, Bare, Box, Id, Notes, Runs
from twinset.formats.coco.runs import covered
from twinset.formats.folder import visible
from twinset.formats.objects import STATED
from twinset.masks import Rle

CORNERS = ("x1", "y1", "x2", "y2")
_RINGS = STATED.field("polygons").type
_ABSENT = (float("nan"),) * 4
Segmentation = list[list[float]] | Runs | None
_MOST_PIXELS = 2**31 - 1


@dataclass
class Annotations:
    """All annotations of one file. ``images`` and ``categories`` are the ids that each row of ``claims`` names.

    ``claims`` are :data:`~twinset.formats.objects.STATED` less picture and label; ``problems`` are of annotations that
    are in no row. ``bare`` counts those without box and mask, ``captions`` are (image id, text).
    """

    images: list[pa.Array] = field(default_factory=list)
    categories: list[pa.Array] = field(default_factory=list)
    claims: list[pa.RecordBatch] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    captions: list[tuple[str, str]] = field(default_factory=list)
    odd_areas: int = 0
    odd_scores: int = 0
    bare: int = 0
    panoptic: bool = False

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.claims)

    def add(self, found: Slice) -> None:
        """More annotations."""
        self.problems += found.problems
        whole = found.records
        if _any([one.segments_info for one in whole], msgspec.Raw):
            self.panoptic = True
        if _any([one.caption for one in whole], str):
            self.captions += [(str(one.image_id), one.caption) for one in whole if one.caption is not None]
            whole = [one for one in whole if one.caption is None]
        wrong: dict[int, str] = {}
        packed = _run_lengths([one.segmentation for one in whole], wrong)
        _check_rest(whole, wrong)
        if wrong:
            self.problems += [f"{named(whole[row].id)}{problem}; left out" for row, problem in sorted(wrong.items())]
            keep = [row for row in range(len(whole)) if row not in wrong]
            whole, packed = [whole[row] for row in keep], [packed[row] for row in keep] if packed else []
        if whole:
            self.images.append(as_ids([one.image_id for one in whole]))
            self.categories.append(as_ids([one.category_id for one in whole]))
            self.claims.append(self._columns(whole, packed))

    def _columns(self, records: list[Annotation], packed: list[Rle | None]) -> pa.RecordBatch:
        columns: dict[str, pa.Array] = {"number": _numbers([one.id for one in records])}
        boxes, boxed = _boxes([one.bbox for one in records])
        columns |= {name: pa.array(boxes[:, axis], mask=~boxed) for axis, name in enumerate(CORNERS)}
        columns |= _masks(packed, len(records))
        columns["polygons"] = _polygons([one.segmentation for one in records])
        columns["area"], odd_areas = _within([one.area for one in records], 0.0, float("inf"))
        columns["confidence"], odd_scores = _within([one.score for one in records], 0.0, 1.0)
        columns["crowd"] = _flags([one.iscrowd for one in records])
        columns["keypoints"] = pa.array([one.keypoints for one in records], STATED.field("keypoints").type)
        columns["attributes"] = _attributes([one.attributes for one in records])
        self.odd_areas += odd_areas
        self.odd_scores += odd_scores
        if not boxed.all():
            masked = pc.or_(columns["rle"].is_valid(), columns["polygons"].is_valid()).to_numpy(zero_copy_only=False)
            self.bare += int((~boxed & ~masked).sum())
        columns |= _ours([one.twinset for one in records], columns["area"])
        kept = [item for item in STATED if item.name not in ("picture", "label")]
        return pa.record_batch([columns[item.name].cast(item.type) for item in kept], schema=pa.schema(kept))


@dataclass(frozen=True)
class Slice:
    """Some annotations, and what is wrong with those that are none."""

    records: list[Annotation]
    problems: list[str] = field(default_factory=list)


def read_slice(text: bytes) -> Slice:
    """The annotations of a JSON array; where any has a wrong type, they are looked at one by one."""
    try:
        return Slice(_ANNOTATIONS.decode(text))
    except msgspec.ValidationError:
        read = [_read_one(bytes(raw)) for raw in _RAWS.decode(text)]
        return Slice(
            [one for one in read if isinstance(one, Annotation)], [one for one in read if isinstance(one, str)]
        )


_ANNOTATIONS = msgspec.json.Decoder(list[Annotation])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def _read_one(text: bytes) -> Annotation | str:
    try:
        return msgspec.json.decode(text, type=Annotation)
    except msgspec.ValidationError as error:
        first = error
    try:
        bare = msgspec.json.decode(text, type=Bare)
    except msgspec.ValidationError:
        return f"expected an annotation as a JSON object; got {visible(text[:40].decode(errors='replace'))}; left out"
    if (mended := _mended(text, bare)) is not None:
        return mended
    problem = str(first).replace(" - at `$.", " in `").replace("Expected", "expected")
    return f"{named(_id_of(bare))}{visible(problem)}; left out"


def _mended(text: bytes, bare: Bare) -> Annotation | None:
    """Forms that are common though no list of outlines: an empty box, one flat outline."""
    value: dict[str, object] = msgspec.json.decode(text)
    outline = bytes(bare.segmentation).strip()
    if outline.startswith(b"[") and not outline[1:].lstrip().startswith((b"[", b"]")):
        value["segmentation"] = [value["segmentation"]]
    if value.get("bbox") == []:
        value["bbox"] = None
    try:
        return msgspec.convert(value, Annotation)
    except msgspec.ValidationError:
        return None


def _id_of(bare: Bare) -> Id | None:
    value = msgspec.json.decode(bytes(bare.id)) if bytes(bare.id) else None
    return value if isinstance(value, int | str) else None


def named(number: Id | None) -> str:
    """``annotation 7: ``, or nothing where it has no id."""
    return "" if number is None else f"annotation {visible(str(number))[:40]}: "


def as_ids(values: Sequence[Id | None]) -> pa.Array:
    """Ids as int64, or as text where some are text or too large."""
    try:
        return pa.array(values, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else visible(str(value)) for value in values], pa.string())


def alike(*arrays: pa.Array | pa.ChunkedArray) -> list[pa.Array | pa.ChunkedArray]:
    """The same ids, as text in all where they are text in any."""
    if any(pa.types.is_string(one.type) for one in arrays):
        return [one.cast(pa.string()) for one in arrays]
    return list(arrays)


def joined(arrays: Iterable[pa.Array]) -> pa.ChunkedArray:
    """Ids of all slices, one after the other."""
    chunks = alike(*arrays)
    return pa.chunked_array(chunks, chunks[0].type if chunks else pa.int64())


def _numbers(values: Sequence[Id | None]) -> pa.Array:
    numbers = as_ids(values)
    return numbers if pa.types.is_integer(numbers.type) else pa.nulls(len(values), pa.int64())


def _any(values: Sequence[object], kind: type) -> bool:
    """Whether any of these values is of this very type; much faster than asking each."""
    return kind in set(map(type, values))


def _boxes(stated: list[Box | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """xyxy (n, 4) in float64, and which rows have one."""
    boxed = np.ones(len(stated), dtype=bool)
    if _any(stated, NoneType):
        boxed = np.array([box is not None for box in stated])
    flat = chain.from_iterable(stated if boxed.all() else [box or _ABSENT for box in stated])  # type: ignore[arg-type]
    boxes = np.fromiter(flat, np.float64, 4 * len(stated)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes, boxed


def _masks(packed: list[Rle | None], rows: int) -> dict[str, pa.Array]:
    if not packed:
        return {name: pa.nulls(rows, STATED.field(name).type) for name in ("rle", "rle_height", "rle_width")}
    return {
        "rle": pa.array([None if one is None else one.counts for one in packed], pa.binary()),
        "rle_height": pa.array([None if one is None else one.height for one in packed], pa.int32()),
        "rle_width": pa.array([None if one is None else one.width for one in packed], pa.int32()),
    }


def _flags(values: Sequence[float | None]) -> pa.Array:
    if set(map(type, values)) == {int}:
        return pa.array(np.fromiter(values, np.bool_, len(values)))
    return pa.array([bool(value) for value in values])


def _polygons(stated: list[Segmentation]) -> pa.Array:
    kinds = set(map(type, stated))
    outlines = [one if isinstance(one, list) else [] for one in stated] if kinds != {list} else stated
    counts = np.fromiter(map(len, outlines), np.int64, len(outlines))  # type: ignore[arg-type]
    if not counts.any():
        return pa.nulls(len(stated), _RINGS)
    rings: list[list[float]] = list(chain.from_iterable(outlines))  # type: ignore[arg-type]
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
        never = pa.array(np.zeros(len(notes), dtype=bool))
        absent = {name: pa.nulls(len(notes), STATED.field(name).type) for name in ("amodal_box", "amodal_rle")}
        return {"difficult": never, "truncated": never, **absent}
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
    if not _any(stated, Runs):
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
