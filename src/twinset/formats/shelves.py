"""Settled objects, side by side by picture, as a column of instances of which most may lie on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.formats.settling import CORNERS, Settled
from twinset.formats.spool import Spool, release
from twinset.instances import INSTANCES, OBJECT


@dataclass(eq=False)
class Shelves:
    """Pictures with their objects, many at a time, in the order of the pictures."""

    _objects: Spool = field(default_factory=Spool)
    _pictures: list[tuple[pa.Array, ...]] = field(default_factory=list)

    def add(
        self,
        heights: NDArray[np.int32],
        widths: NDArray[np.int32],
        names: pa.Array,
        settled: Sequence[tuple[NDArray[np.int64], Settled]],
    ) -> None:
        """N pictures, with the names of their keypoints; each part of ``settled`` with the picture of each, from 0."""
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(row for row, _ in settled)])
        ends = np.cumsum(np.bincount(rows, minlength=len(heights)))
        offsets = np.concatenate([[0], ends]).astype(np.int32)
        self._pictures.append((pa.array(heights), pa.array(widths), pa.array(offsets), names))
        order = np.argsort(rows, kind="stable") if (rows[1:] < rows[:-1]).any() else None
        self._objects.add(_joined([part for _, part in settled], order))

    def column(self) -> pa.ChunkedArray:
        """All of them, of type :data:`~twinset.instances.INSTANCES`; this uses them up."""
        most = max((offsets[-1].as_py() for _, _, offsets, _ in self._pictures), default=0)
        # A column of which nothing is said is one for all pictures.
        unsaid = {item.name: _unsaid(most, item) for item in OBJECT}
        chunks: list[pa.StructArray] = []
        for (heights, widths, offsets, names), said in zip(self._pictures, self._objects.taken(), strict=True):
            columns = [
                said.column(name) if name in said.schema.names else one.slice(0, len(said))
                for name, one in unsaid.items()
            ]
            objects = pa.StructArray.from_arrays(columns, fields=list(OBJECT))
            lists = pa.ListArray.from_arrays(offsets, objects, type=INSTANCES.field("objects").type)
            chunks.append(pa.StructArray.from_arrays([heights, widths, lists, names], fields=list(INSTANCES)))
        return pa.chunked_array(chunks, INSTANCES)


def placed(column: pa.ChunkedArray, places: NDArray[np.int64]) -> pa.ChunkedArray:
    """What stands at ``places`` (N,) of a column of INSTANCES, null where that is −1.

    Where all of it comes in its order the objects stay where they are; otherwise they are copied to memory.
    """
    there = np.flatnonzero(places >= 0)
    if len(there) == len(places) == len(column) and (places == np.arange(len(places))).all():
        return column
    if not len(column) or not np.array_equal(places[there], np.arange(len(column))):
        return column.take(pa.array(places, mask=places < 0))
    chunks, ends = list[pa.StructArray](), np.cumsum([len(chunk) for chunk in column.chunks]).tolist()
    starts = [0, *(int(there[end - 1]) + 1 for end in ends[:-1]), len(places)]
    for chunk, end, start, after in zip(column.chunks, ends, starts, starts[1:], strict=False):
        chunks.append(_spread(chunk, there[end - len(chunk) : end] - start, after - start))
    return pa.chunked_array(chunks, INSTANCES)


def _spread(pictures: pa.StructArray, at: NDArray[np.int64], size: int) -> pa.StructArray:
    """The same pictures, at these rows of an array of ``size`` that is null elsewhere."""
    lists = pictures.field("objects")
    lengths, rows = np.zeros(size, dtype=np.int32), np.full(size, -1)
    lengths[at], rows[at] = np.diff(lists.offsets.to_numpy()), np.arange(len(at))
    offsets = np.concatenate([[0], np.cumsum(lengths)]) + lists.offsets[0].as_py()
    objects = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), lists.values, type=lists.type)
    taken = pa.array(rows, mask=rows < 0)
    height, width, names = (pictures.field(name).take(taken) for name in ("height", "width", "keypoint_names"))
    columns = [pc.fill_null(height, 0), pc.fill_null(width, 0), objects, names]
    return pa.StructArray.from_arrays(columns, fields=list(INSTANCES), mask=pa.array(rows < 0))


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a column of INSTANCES, in their order, as arrays of about so many ``objects``.

    May be walked any number of times. What lies on the disk is let go of chunk by chunk of the column.
    """

    column: pa.ChunkedArray
    rows: NDArray[np.int64]
    objects: int = 4096

    @staticmethod
    def all_of(column: pa.ChunkedArray) -> Rows:
        """Every row."""
        return Rows(column, np.arange(len(column)))

    def __iter__(self) -> Iterator[pa.StructArray]:
        ends = np.cumsum([len(chunk) for chunk in self.column.chunks]).tolist()
        borders = np.searchsorted(self.rows, [0, *ends]).tolist()
        for chunk, end, first, after in zip(self.column.chunks, ends, borders, borders[1:], strict=False):
            inside = self.rows[first:after] - (end - len(chunk))
            lengths = pc.fill_null(pc.list_value_length(pc.struct_field(chunk, "objects")), 0).to_numpy()[inside]
            begins = np.flatnonzero(np.diff((np.cumsum(lengths) - lengths) // self.objects, prepend=-1)).tolist()
            for begin, stop in pairwise([*begins, len(inside)]):
                rows = inside[begin:stop]
                whole = rows[-1] - rows[0] + 1 == len(rows)
                yield chunk.slice(int(rows[0]), len(rows)) if whole else chunk.take(pa.array(rows))
            release(chunk)


def _joined(parts: Sequence[Settled], order: NDArray[np.int64] | None) -> pa.RecordBatch:
    """The objects of all parts, in ``order`` where that is another than theirs, less columns that say nothing."""
    boxes = np.concatenate([np.empty((0, 4), dtype=np.float32), *(part.boxes for part in parts)])
    columns = {name: pa.array(np.ascontiguousarray(boxes[:, axis])) for axis, name in enumerate(CORNERS)}
    columns["class_id"] = pa.array(np.concatenate([np.empty(0, dtype=np.int32), *(part.class_ids for part in parts)]))
    for item in OBJECT:
        if any(item.name in part.columns for part in parts):
            columns[item.name] = pa.concat_arrays([_said(part, item) for part in parts])
    batch = pa.record_batch(columns)
    return batch if order is None else batch.take(pa.array(order))


def _said(part: Settled, item: pa.Field) -> pa.Array:
    """A column of a part; nulls, or no flag, where it says nothing."""
    if item.name in part.columns:
        return part.columns[item.name]
    return _unsaid(len(part.class_ids), item)


def _unsaid(size: int, item: pa.Field) -> pa.Array:
    """Nulls, or no flag; of lists without room for any inside, which would be written with each slice of them."""
    if not item.nullable:
        return pa.array(np.zeros(size, dtype=item.type.to_pandas_dtype()))
    if not pa.types.is_list(item.type):
        return pa.nulls(size, item.type)
    nothing = pa.array(np.zeros(size + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(nothing, pa.array([], item.type.value_type), mask=pa.array(np.ones(size, bool)))
