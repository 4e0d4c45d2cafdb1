"""Settled objects, side by side by picture, as a column of instances of which most may lie on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.formats.settling import CORNERS, Settled
from twinset.formats.spool import Spool
from twinset.instances import INSTANCES, OBJECT


@dataclass
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
        # All columns of which nothing is said, of all pictures, share one buffer of zeros.
        silent = pa.nulls(most, pa.struct([item.with_nullable(True) for item in OBJECT]))
        never = pa.array(np.zeros(most, dtype=bool))
        chunks: list[pa.StructArray] = []
        for (heights, widths, offsets, names), said in zip(self._pictures, self._objects.taken(), strict=True):
            unsaid = [silent.field(item.name) if item.nullable else never for item in OBJECT]
            columns = [
                said.column(item.name) if item.name in said.schema.names else one.slice(0, len(said))
                for item, one in zip(OBJECT, unsaid, strict=True)
            ]
            objects = pa.StructArray.from_arrays(columns, fields=list(OBJECT))
            lists = pa.ListArray.from_arrays(offsets, objects, type=INSTANCES.field("objects").type)
            chunks.append(pa.StructArray.from_arrays([heights, widths, lists, names], fields=list(INSTANCES)))
        return pa.chunked_array(chunks, INSTANCES)


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
    size = len(part.class_ids)
    return pa.nulls(size, item.type) if item.nullable else pa.array(np.zeros(size, dtype=bool))
