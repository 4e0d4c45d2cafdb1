"""Objects of a dataset as COCO annotations, straight from its Arrow columns and in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.dataset import SCHEMA, Dataset, Sample
from twinset.formats.coco.decimals import DECIMALS, boxes_xywh, decimals
from twinset.formats.coco.point_names import numbered, pointed
from twinset.formats.coco.records import OURS, Image, Notes, Runs, Written
from twinset.formats.coco.records import SCHEMA as OUR_SCHEMA
from twinset.formats.coco.streaming import collection_paused
from twinset.formats.settling import CORNERS
from twinset.formats.shelves import Rows
from twinset.formats.sidecars import provenance
from twinset.formats.writing import Encode, FileNames, Target, picture
from twinset.masks import Polygons

IMAGES = 4096
"""Pictures that are written at a time."""

_ENCODER = msgspec.json.Encoder()


def write(dataset: Dataset, target: Target, *, encode: Encode | None, category_base: int) -> int:
    """All pictures, then one file of annotations for each split; the number of pictures."""
    splits = dataset.splits
    names, images = FileNames(), list[Image]()
    numbers: dict[str | None, int] = {}
    licences = _licences(dataset)
    source = dataset if encode is not None else _without_objects(dataset)
    for sample, split, size in zip(source, splits, _sizes(dataset), strict=True):
        data, suffix = picture(sample, encode)
        parent = f"images/{split}" if split else "images"
        path = names.free(parent, sample.id, suffix)
        target.add(path, data)
        numbers[split] = numbers.get(split, 0) + 1
        silent = size is None
        height, width = size or sample.pixels().shape[:2]
        file_name = path.removeprefix(f"{parent}/")
        images.append(_image(sample, numbers[split], file_name, (height, width), silent, licences, dataset.classes))
    for split in dict.fromkeys(splits) or (None,):
        rows = np.flatnonzero([one == split for one in splits])
        with target.open(f"annotations/instances_{split or 'all'}.json") as handle:
            instances = Rows(dataset.table.column("instances"), rows)
            chosen = [images[row] for row in rows.tolist()]
            write_file(handle, instances, chosen, dataset.classes, licences=licences, category_base=category_base)
    return len(images)


def _without_objects(dataset: Dataset) -> Dataset:
    """The dataset less what the pictures' files do not need and rows would be slow to build from."""
    table = dataset.table
    for name in ("instances", "semantic"):
        at = SCHEMA.get_field_index(name)
        table = table.set_column(at, SCHEMA.field(at), pa.nulls(len(dataset), SCHEMA.field(at).type))
    return replace(dataset, table=table)


def _sizes(dataset: Dataset) -> list[tuple[int, int] | None]:
    """(height, width) of the pictures of which objects are told."""
    column = dataset.table.column("instances")
    heights, widths = (pc.struct_field(column, name).to_pylist() for name in ("height", "width"))
    return [None if height is None else (height, width) for height, width in zip(heights, widths, strict=True)]


def _licences(dataset: Dataset) -> dict[str, int]:
    named = dataset.table.column("licence").unique().to_pylist()
    return {name: number for number, name in enumerate((one for one in named if one is not None), 1)}


def _image(
    sample: Sample,
    number: int,
    file_name: str,
    size: tuple[int, int],
    silent: bool,
    licences: dict[str, int],
    classes: Sequence[str],
) -> Image:
    note = provenance(sample)
    licence = note.pop("licence", None)
    class_id = None if sample.annotation is None else sample.annotation.class_id
    if class_id is not None:
        note["label"] = classes[class_id]
    if silent:
        note["unlabelled"] = True
    return Image(
        number,
        file_name,
        size[1],
        size[0],
        license=licences[str(licence)] if licence is not None else None,
        twinset=msgspec.Raw(json.dumps(note, ensure_ascii=False).encode()),
    )


def write_file(
    handle: BinaryIO,
    instances: Rows,
    images: Sequence[Image],
    classes: Sequence[str],
    *,
    licences: dict[str, int] | None = None,
    category_base: int = 1,
) -> None:
    """One COCO file: ``instances`` (of type INSTANCES, or null) are those of ``images``, in their order.

    They are walked an array at a time, twice where any has keypoints.
    """
    info = {"description": "written by twinset", OURS: OUR_SCHEMA}
    named = [{"id": number, "name": name, "url": ""} for name, number in (licences or {}).items()]
    points, names = pointed(instances)
    categories: list[dict[str, object]] = []
    for number, name in enumerate(classes):
        categories.append({"id": number + category_base, "name": name, "supercategory": ""})
        if number in points:
            categories[-1] |= {"keypoints": names or numbered(points[number]), "skeleton": []}
    handle.write(b'{"info":%b,\n"licenses":%b,\n' % (_ENCODER.encode(info), _ENCODER.encode(named)))
    handle.write(b'"categories":[\n')
    _write_records(handle, [categories])
    handle.write(b'],\n"images":[\n')
    _write_records(handle, (images[start : start + IMAGES] for start in range(0, len(images), IMAGES)))
    handle.write(b'],\n"annotations":[\n')
    with collection_paused():
        _write_records(handle, _annotations(instances, images, category_base))
    handle.write(b"]}\n")


def _write_records(handle: BinaryIO, batches: Iterable[Sequence[Written | Image | dict[str, object]]]) -> None:
    """The elements of an array, each batch on a line of its own."""
    first = True
    for batch in batches:
        if batch:
            handle.write(b"" if first else b",\n")
            handle.write(memoryview(_ENCODER.encode(batch))[1:-1])
            first = False
    handle.write(b"" if first else b"\n")


def _annotations(instances: Rows, images: Sequence[Image], category_base: int) -> Iterator[list[Written]]:
    numbers = np.array([image.id for image in images], dtype=np.int64)
    done = row = 0
    for pictures in instances:
        lists = pc.struct_field(pictures, "objects")
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        owner = np.repeat(np.arange(len(pictures)), lengths)
        objects = _Objects.of(pc.list_flatten(lists), pictures, owner)
        ids = range(done + 1, done + len(owner) + 1)
        yield objects.written(ids, numbers[row + owner], category_base)
        done, row = done + len(owner), row + len(pictures)


@dataclass(frozen=True)
class _Objects:
    """The objects of some pictures as columns; ``height`` and ``width`` are those of each one's picture."""

    columns: pa.StructArray
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    masks: list[Runs | list[list[float]] | list[float]] = field(default_factory=list)

    @staticmethod
    def of(columns: pa.StructArray, pictures: pa.StructArray, owner: NDArray[np.int64]) -> _Objects:
        height, width = (
            np.asarray(pc.struct_field(pictures, name).fill_null(0).to_numpy(), dtype=np.int32)[owner]
            for name in ("height", "width")
        )
        return _Objects(columns, height, width, _masks(columns, height, width))

    def written(self, ids: range, images: NDArray[np.int64], category_base: int) -> list[Written]:
        columns = self.columns
        corners = np.stack([columns.field(name).to_numpy() for name in CORNERS], axis=1)
        areas, derived = self._areas(corners)
        keypoints = _short_lists(columns.field("keypoints"))
        return list(
            map(
                Written,
                ids,
                images.tolist(),
                (columns.field("class_id").to_numpy() + category_base).tolist(),
                boxes_xywh(corners).tolist(),
                areas,
                columns.field("crowd").cast(pa.int8()).to_numpy().tolist(),
                self.masks,
                _short_or_none(columns.field("confidence")),
                keypoints or repeat(None),
                [None if one is None else sum(v > 0 for v in one[2::3]) for one in keypoints] or repeat(None),
                _raws(columns.field("attributes")),
                self._notes(derived),
            )
        )

    def _areas(self, corners: NDArray[np.float32]) -> tuple[list[float], NDArray[np.bool_]]:
        """Areas as stated, else of the mask, else of the box; and which are not stated."""
        column = self.columns.field("area")
        missing = column.is_null().to_numpy(zero_copy_only=False)
        areas = decimals(column.fill_null(0).to_numpy())
        sides = corners[missing, 2:].astype(np.float64) - corners[missing, :2]
        areas[missing] = np.round(sides.prod(1), DECIMALS)
        values: list[float] = areas.tolist()
        for row in np.flatnonzero(missing).tolist():
            mask = self.masks[row]
            size = int(self.height[row]), int(self.width[row])
            if isinstance(mask, Runs):
                values[row] = float(_area_of_runs(mask))
            elif mask:
                rings = self.columns.field("polygons")[row].as_py()
                values[row] = float(Polygons(*size, tuple(tuple(ring) for ring in rings)).area)
        return values, missing

    def _notes(self, derived: NDArray[np.bool_]) -> Iterable[Notes | None]:
        columns = self.columns
        flags = [columns.field(name) for name in ("difficult", "truncated")]
        boxes, whole = columns.field("amodal_box"), columns.field("amodal_rle")
        if not (derived.any() or any(one.true_count for one in flags)) and _silent(boxes) and _silent(whole):
            return repeat(None)
        rows = zip(
            *(one.to_pylist() for one in flags), derived.tolist(), boxes.to_pylist(), whole.to_pylist(), strict=True
        )
        notes = (
            Notes(hard, cut, area, None if box is None else _xywh(box), None if rle is None else rle.decode("ascii"))
            for hard, cut, area, box, rle in rows
        )
        return [None if note == Notes() else note for note in notes]


def _silent(column: pa.Array) -> bool:
    return bool(column.null_count == len(column))


def _xywh(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = boxes_xywh(np.array([box], dtype=np.float32))[0].tolist()
    return x, y, width, height


def _masks(
    columns: pa.StructArray, height: NDArray[np.int32], width: NDArray[np.int32]
) -> list[Runs | list[list[float]] | list[float]]:
    masks: list[Runs | list[list[float]] | list[float]] = [[]] * len(columns)
    outlines, packed = columns.field("polygons"), columns.field("rle")
    if not _silent(outlines):
        rings = _short_lists(pc.list_flatten(outlines))
        ends = np.cumsum(pc.fill_null(pc.list_value_length(outlines), 0).to_numpy()).tolist()
        begin = 0
        for row, end in enumerate(ends):
            if end > begin:
                masks[row] = [ring for ring in rings[begin:end] if ring is not None]
            begin = end
    if not _silent(packed):
        for row in np.flatnonzero(packed.is_valid().to_numpy(zero_copy_only=False)).tolist():
            masks[row] = Runs(packed[row].as_py().decode("ascii"), (int(height[row]), int(width[row])))
    return masks


def _short_lists(lists: pa.ListArray) -> list[list[float] | None]:
    """Lists of float32 as such of few digits, None where null; empty where all are."""
    if _silent(lists):
        return []
    flat = decimals(pc.list_flatten(lists).to_numpy()).tolist()
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy()).tolist()
    there = lists.is_valid().to_pylist() if lists.null_count else repeat(True, len(lists))
    return [flat[a:b] if valid else None for a, b, valid in zip([0, *ends], ends, there, strict=False)]


def _short_or_none(column: pa.Array) -> Iterable[float | None]:
    if _silent(column):
        return repeat(None)
    short: list[float] = decimals(column.fill_null(0).to_numpy()).tolist()
    return [value if valid else None for value, valid in zip(short, column.is_valid().to_pylist(), strict=True)]


def _raws(texts: pa.StringArray) -> Iterable[msgspec.Raw | msgspec.UnsetType]:
    return repeat(msgspec.UNSET) if _silent(texts) else map(_raw, texts.to_pylist())


def _raw(text: str | None) -> msgspec.Raw | msgspec.UnsetType:
    """Attributes as JSON; numbers that JSON has not (NaN) are left out."""
    if text is None:
        return msgspec.UNSET
    if "NaN" in text or "Infinity" in text:
        text = json.dumps({k: v for k, v in json.loads(text, parse_constant=lambda _: None).items() if v is not None})
    return msgspec.Raw(text.encode())


def _area_of_runs(mask: Runs) -> int:
    from pycocotools import mask as coco

    return int(coco.area({"size": list(mask.size), "counts": mask.counts}))
