"""Objects as sources state them, and what is left of them once the pictures are known.

A reader says what its files claim (:class:`Stated`, or whole columns of :data:`STATED`). When all pictures were opened,
:meth:`Objects.settle` turns the claims into :data:`~twinset.instances.INSTANCES` in one pass over columns: boxes that
stick out are clipped, those without an area and those of no known class are dropped, and each is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.formats.settling import CORNERS, Settled, settled
from twinset.instances import INSTANCES, OBJECT
from twinset.masks import Ring, Rle

STATED = pa.schema(
    [
        pa.field("picture", pa.int32(), nullable=False),
        pa.field("number", pa.int64()),
        pa.field("label", pa.string()),
        *(pa.field(name, pa.float64()) for name in CORNERS),
        pa.field("rle", pa.binary()),
        pa.field("rle_height", pa.int32()),
        pa.field("rle_width", pa.int32()),
        pa.field("polygons", pa.list_(pa.list_(pa.float32()))),
        pa.field("area", pa.float32()),
        *(pa.field(name, pa.bool_()) for name in ("crowd", "difficult", "truncated")),
        pa.field("confidence", pa.float32()),
        pa.field("amodal_box", pa.list_(pa.float32())),
        pa.field("amodal_rle", pa.binary()),
        pa.field("keypoints", pa.list_(pa.float32())),
        pa.field("attributes", pa.string()),
        pa.field("pose", pa.list_(pa.float64())),
    ]
)
"""One claim a row. ``picture`` is what :meth:`Objects.picture` gave, ``number`` the line, index or id in its file."""

CHUNK = 8192
"""Claims that are kept and settled at a time, at most."""
TOGETHER = 4
"""Chunks after which memory that was freed goes back to the system."""

Counted = Literal["line", "object", "annotation"]


@dataclass(frozen=True)
class Stated:
    """One object as a source states it. Coordinates are pixels, or fractions of the picture where all of it are.

    ``box`` is xyxy; None takes it from the mask. ``mask`` is outlines, or run lengths. ``attributes`` is JSON.
    ``pose`` is the upper three rows of object → camera.
    """

    label: str | None
    box: tuple[float, float, float, float] | None = None
    number: int | None = None
    rings: tuple[Ring, ...] | None = None
    rle: Rle | None = None
    area: float | None = None
    crowd: bool = False
    difficult: bool = False
    truncated: bool = False
    confidence: float | None = None
    amodal_box: tuple[float, float, float, float] | None = None
    amodal_rle: Rle | None = None
    keypoints: tuple[float, ...] | None = None
    attributes: str | None = None
    pose: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Mishap:
    """An object that was clipped or dropped: the picture's number, the object's, and what is wrong."""

    picture: int
    number: int | None
    problem: str


@dataclass
class Objects:
    """What all pictures of a source claim to show; grows while the source is read.

    ``relative`` says that coordinates are fractions of the picture; ``counted`` what an object's number means.
    """

    relative: bool = False
    counted: Counted = "object"
    _pictures: int = 0
    _pending: list[tuple[int, Stated]] = field(default_factory=list)
    _chunks: list[pa.RecordBatch] = field(default_factory=list)
    _settled: bool = False
    _keypoint_names: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def picture(self, stated: Iterable[Stated] = (), *, keypoint_names: tuple[str, ...] | None = None) -> int:
        """A new picture with these objects; its number, for :attr:`Candidate.objects`."""
        number = self._pictures
        if keypoint_names is not None:
            self._keypoint_names[number] = keypoint_names
        self._pictures += 1
        self._pending.extend((number, one) for one in stated)
        if len(self._pending) >= CHUNK:
            self._flush()
        return number

    def extend(self, pictures: int, claims: Iterable[pa.RecordBatch]) -> int:
        """So many new pictures, with claims whose ``picture`` counts from 0 among them; the first one's number.

        Columns of which nothing is said may be left out, labels may be a dictionary, and numbers narrower than stated.
        """
        first = self._pictures
        self._pictures += pictures
        self._flush()
        for part in claims:
            self._keep(part, first)
        return first

    def _flush(self) -> None:
        if self._pending:
            self._keep(_batch(self._pending), 0)
            self._pending.clear()

    def _keep(self, claims: pa.RecordBatch, first: int) -> None:
        for start in range(0, len(claims), CHUNK):
            batch = claims.slice(start, CHUNK)
            said = {name: batch.column(name) for name in batch.schema.names}
            said = {name: one for name, one in said.items() if one.null_count < len(one)}
            moved = pc.add(said["picture"].cast(pa.int32()), pa.scalar(first, pa.int32()))
            self._chunks.append(pa.record_batch(said | {"picture": moved}))

    def labels(self) -> list[str]:
        """All class names that are claimed, in order of appearance."""
        self._flush()
        chunks = [chunk for chunk in self._chunks if "label" in chunk.schema.names]
        seen = [pc.unique(chunk.column("label")).to_pylist() for chunk in chunks]
        return list(dict.fromkeys(name for names in seen for name in names if name is not None))

    def settle(
        self, sizes: Mapping[int, tuple[int, int]], classes: Sequence[str]
    ) -> tuple[dict[int, int], pa.Array, list[Mishap]]:
        """Where each picture of ``sizes`` (number → height, width) lies in an array of INSTANCES; and all mishaps.

        This uses the claims up, chunk by chunk, so that there is never a second copy of them all; a second call is a
        ``ValueError``.
        """
        if self._settled:
            raise ValueError("expected claims; got none, as they were settled before; read the source again")
        self._settled = True
        self._flush()
        numbers = np.array(sorted(sizes), dtype=np.int64)
        heights, widths = (np.array([sizes[n][axis] for n in numbers.tolist()], dtype=np.int32) for axis in (0, 1))
        rows = np.full(self._pictures, -1, dtype=np.int32)
        rows[numbers] = np.arange(len(numbers), dtype=np.int32)
        known = pa.array(classes, pa.string())
        gathered, mishaps = _Gathered.of(sum(map(len, self._chunks))), list[tuple[int, Mishap]]()
        self._chunks.reverse()
        while self._chunks:
            chunk = self._chunks.pop()
            row = rows[chunk.column("picture").to_numpy()]
            if (row < 0).any():
                chunk, row = chunk.filter(pa.array(row >= 0)), row[row >= 0]
            part = settled(chunk, heights[row], widths[row], relative=self.relative, classes=known)
            mishaps += [(int(row[at]), _mishap(chunk, at, part.problems[at])) for at in sorted(part.problems)]
            gathered.add(row[part.keep], part)
            del chunk, part
            if len(self._chunks) % TOGETHER == 0:
                pa.default_memory_pool().release_unused()
        mishaps.sort(key=lambda told: told[0])
        counts = np.bincount(gathered.rows[: gathered.size], minlength=len(numbers))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), gathered.objects(), type=INSTANCES.field("objects").type)
        names = self._names_of(numbers, counts)
        array = pa.StructArray.from_arrays([pa.array(heights), pa.array(widths), lists, names], fields=list(INSTANCES))
        return {n: row for row, n in enumerate(numbers.tolist())}, array, [mishap for _, mishap in mishaps]

    def _names_of(self, numbers: NDArray[np.int64], counts: NDArray[np.int64]) -> pa.Array:
        """The names of keypoints of each picture that still has objects."""
        kind = INSTANCES.field("keypoint_names").type
        if not self._keypoint_names:
            return pa.nulls(len(numbers), kind)
        known = [
            self._keypoint_names.get(n) if count else None
            for n, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
        return pa.array(known, kind)


def _mishap(chunk: pa.RecordBatch, row: int, problem: str) -> Mishap:
    number = chunk.column("number")[row].as_py() if "number" in chunk.schema.names else None
    return Mishap(chunk.column("picture")[row].as_py(), number, problem)


@dataclass
class _Gathered:
    """Objects as they come, ``size`` of them so far: the row of each one's picture, class, box xyxy (4, n) and more.

    ``plain`` are columns of numbers and flags, with where something is said; the others, ``columns``, are a dictionary
    for each part, of ``lengths``. A part's arrays are views of claims, and a small one that is kept would hold the
    memory of large ones beside it.
    """

    rows: NDArray[np.int32]
    class_ids: NDArray[np.int32]
    boxes: NDArray[np.float32]
    size: int = 0
    plain: dict[str, tuple[NDArray[np.generic], NDArray[np.bool_]]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    columns: list[dict[str, pa.Array]] = field(default_factory=list)

    @staticmethod
    def of(most: int) -> _Gathered:
        """Room for so many; what is not used is never touched and takes no memory."""
        rows, class_ids = (np.empty(most, dtype=np.int32) for _ in range(2))
        return _Gathered(rows, class_ids, np.empty((4, most), dtype=np.float32))

    def add(self, rows: NDArray[np.int32], part: Settled) -> None:
        new = slice(self.size, self.size + len(rows))
        self.rows[new], self.class_ids[new], self.boxes[:, new] = rows, part.class_ids, part.boxes.T
        self.size = new.stop
        others = dict(part.columns)
        for name in [name for name in others if pa.types.is_primitive(others[name].type)]:
            self._add_plain(name, others.pop(name), new)
        self.lengths.append(len(rows))
        self.columns.append(others)

    def _add_plain(self, name: str, column: pa.Array, new: slice) -> None:
        if name not in self.plain:
            dtype = OBJECT.field(name).type.to_pandas_dtype()
            self.plain[name] = np.zeros(len(self.rows), dtype), np.zeros(len(self.rows), dtype=bool)
        values, there = self.plain[name]
        values[new] = column.to_numpy(zero_copy_only=False)
        there[new] = column.is_valid().to_numpy(zero_copy_only=False)

    def objects(self) -> pa.StructArray:
        """All objects, those of a picture side by side in the order they came; ``columns`` are used up one by one."""
        rows = self.rows[: self.size]
        order = np.argsort(rows, kind="stable") if (rows[1:] < rows[:-1]).any() else slice(self.size)
        whole = {name: pa.array(self.boxes[axis][order]) for axis, name in enumerate(CORNERS)}
        whole["class_id"] = pa.array(self.class_ids[order])
        for name, (values, there) in self.plain.items():
            unsaid = ~there[order] if OBJECT.field(name).nullable else None
            whole[name] = pa.array(values[order], mask=unsaid)
        others = [item for item in OBJECT if item.name not in whole]
        absent = [item for item in others if item.nullable and not any(item.name in part for part in self.columns)]
        # One array, since its columns then share a single buffer of zeros.
        nulls = pa.nulls(self.size, pa.struct([pa.field(item.name, item.type) for item in absent]))
        for item in others:
            if item in absent:
                whole[item.name] = nulls.field(item.name)
            else:
                column = self._joined(item)
                whole[item.name] = column if isinstance(order, slice) else column.take(pa.array(order))
        return pa.StructArray.from_arrays([whole[item.name] for item in OBJECT], fields=list(OBJECT))

    def _joined(self, item: pa.Field) -> pa.Array:
        parts = [part.pop(item.name, None) for part in self.columns]
        known = [_silent(item, size) if part is None else part for part, size in zip(parts, self.lengths, strict=True)]
        return pa.concat_arrays(known) if known else _silent(item, 0)


def _silent(item: pa.Field, size: int) -> pa.Array:
    """A column of an object's flag or value where nothing is said."""
    return pa.nulls(size, item.type) if item.nullable else pa.array(np.zeros(size, dtype=bool)).cast(item.type)


def _batch(pending: Sequence[tuple[int, Stated]]) -> pa.RecordBatch:
    """Claims as columns of :data:`STATED`."""
    stated = [one for _, one in pending]
    boxes = [one.box or (None,) * 4 for one in stated]
    columns: dict[str, Sequence[object]] = {
        "picture": [picture for picture, _ in pending],
        **dict(zip(CORNERS, zip(*boxes, strict=True), strict=True)),
        "rle": [one.rle and one.rle.counts for one in stated],
        "rle_height": [one.rle and one.rle.height for one in stated],
        "rle_width": [one.rle and one.rle.width for one in stated],
        "polygons": [one.rings for one in stated],
        "amodal_rle": [one.amodal_rle and one.amodal_rle.counts for one in stated],
    }
    for item in STATED:
        if item.name not in columns:
            columns[item.name] = [getattr(one, item.name) for one in stated]
    return pa.record_batch([pa.array(columns[item.name], item.type) for item in STATED], schema=STATED)
