"""A chunk of stated objects against the sizes of their pictures: what fits becomes columns, what does not is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinset.formats.folder import visible
from twinset.instances import OBJECT
from twinset.masks import Polygons, Rle

CORNERS = ("x1", "y1", "x2", "y2")
SLACK = 0.5
"""Pixels by which a box may stick out without being told: relative coordinates are written with few digits."""

LOOSE = 2.0
"""Pixels by which an outline may: hands draw them."""


@dataclass(frozen=True)
class Settled:
    """The k rows of a chunk to ``keep``, bool (n,): ``class_ids`` int32 (k,), ``boxes`` float32 (k, 4) and ``columns``.

    These are the others of :data:`~twinset.instances.OBJECT`, less those of which nothing is said. ``problems`` are by
    row of the chunk.
    """

    keep: NDArray[np.bool_]
    class_ids: NDArray[np.int32]
    boxes: NDArray[np.float32]
    columns: dict[str, pa.Array]
    problems: dict[int, str]


def settled(
    claims: pa.RecordBatch,
    height: NDArray[np.int32],
    width: NDArray[np.int32],
    *,
    relative: bool,
    classes: pa.StringArray,
) -> Settled:
    """What is left of n claims in pictures of ``height`` and ``width`` (n,), with class ids that index ``classes``.

    ``claims`` are columns of :data:`~twinset.formats.objects.STATED`; one that is absent says nothing.
    """
    chunk = _Chunk({name: claims.column(name) for name in claims.schema.names}, height, width)
    if relative:
        chunk.scale()
    chunk.check_masks()
    boxes = chunk.boxes()
    clipped = np.empty(boxes.shape, dtype=np.float32)
    for axis, limit in enumerate((width, height) * 2):
        clipped[:, axis] = np.clip(boxes[:, axis], 0, limit)
    chunk.check_boxes(boxes, clipped)
    class_ids = chunk.class_ids(classes)
    keep = ~chunk.dropped
    chosen = None if keep.all() else pa.array(keep)
    columns: dict[str, pa.Array] = {}
    for item in OBJECT:
        if item.name in chunk.columns and item.name not in CORNERS:
            column = chunk.columns[item.name] if chosen is None else chunk.columns[item.name].filter(chosen)
            columns[item.name] = column.fill_null(False) if pa.types.is_boolean(item.type) else column.cast(item.type)
    return Settled(keep, class_ids[keep], clipped[keep], columns, chunk.problems)


@dataclass
class _Chunk:
    columns: dict[str, pa.Array]
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    problems: dict[int, str] = field(default_factory=dict)
    dropped: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.dropped = np.zeros(len(self.height), dtype=bool)

    def drop(self, row: int, problem: str) -> None:
        self.problems[row] = f"{problem}; left out"
        self.dropped[row] = True

    def scale(self) -> None:
        """Fractions of the picture to pixels: boxes and outlines."""
        for name in CORNERS:
            if name in self.columns:
                side = (self.width if name[0] == "x" else self.height).astype(np.float64)
                self.columns[name] = pc.multiply(self.columns[name], pa.array(side))
        if "polygons" in self.columns:
            column = self.columns["polygons"]
            outlines = _Outlines.of(column)
            sides = np.stack([self.width, self.height])[outlines.axis(), outlines.owner()]
            inner = _lists(pa.array((outlines.values * sides).astype(np.float32)), outlines.lengths)
            self.columns["polygons"] = _lists(inner, outlines.counts, mask=column.is_null())

    def check_masks(self) -> None:
        """Drops objects because of their mask: run lengths of another picture, outlines without an area."""
        if "rle" in self.columns:
            there = self.columns["rle"].is_valid().to_numpy(zero_copy_only=False)
            height, width = (self.columns[name].fill_null(0).to_numpy() for name in ("rle_height", "rle_width"))
            for row in np.flatnonzero(there & ((height != self.height) | (width != self.width))).tolist():
                got = f"one of {width[row]} x {height[row]}"
                self.drop(row, f"expected a mask of {self.width[row]} x {self.height[row]}; got {got}")
        if "polygons" in self.columns:
            outlines = self.columns["polygons"]
            suspect = _Outlines.of(outlines).unsound() & outlines.is_valid().to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(suspect).tolist():
                try:
                    self._polygons(row)
                except (ValueError, TypeError) as error:
                    self.drop(row, str(error))

    def _polygons(self, row: int) -> Polygons:
        rings = tuple(tuple(ring) for ring in self.columns["polygons"][row].as_py())
        return Polygons(int(self.height[row]), int(self.width[row]), rings)

    def boxes(self) -> NDArray[np.float64]:
        """xyxy (n, 4) as stated, else of the mask; NaN where there is neither, which drops the object."""
        boxes = np.full((len(self.height), 4), np.nan, order="F")
        missing = np.ones(len(self.height), dtype=bool)
        if "x1" in self.columns:
            for axis, name in enumerate(CORNERS):
                boxes[:, axis] = self.columns[name].to_numpy(zero_copy_only=False)
            missing = self.columns["x1"].is_null().to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(missing & ~self.dropped).tolist():
            if self._says("rle", row):
                boxes[row] = Rle(int(self.height[row]), int(self.width[row]), self.columns["rle"][row].as_py()).box()
            elif self._says("polygons", row):
                boxes[row] = self._around(row)
            else:
                self.drop(row, "expected a box or a mask; got neither")
        return boxes

    def _around(self, row: int) -> NDArray[np.float64]:
        """The box xyxy of an outline, cut off at the picture where it hardly sticks out."""
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in self.columns["polygons"][row].as_py()])
        box = np.concatenate([points.min(0), points.max(0)])
        inside = np.clip(box, 0, np.tile([self.width[row], self.height[row]], 2))
        return np.asarray(inside if np.abs(box - inside).max() <= LOOSE else box)

    def _says(self, name: str, row: int) -> bool:
        return name in self.columns and bool(self.columns[name][row].is_valid)

    def check_boxes(self, boxes: NDArray[np.float64], clipped: NDArray[np.float32]) -> None:
        """Drops boxes (n, 4) without an area, before or after they were clipped; tells those that were cut."""
        empty = ~np.isfinite(boxes).all(1) | (boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])
        gone = ~empty & ((clipped[:, 0] >= clipped[:, 2]) | (clipped[:, 1] >= clipped[:, 3]))
        with np.errstate(invalid="ignore"):
            out = (np.abs(boxes - clipped) > SLACK).any(1)
        for row in np.flatnonzero(~self.dropped & (empty | gone | out)).tolist():
            got = f"got [{', '.join(f'{value:g}' for value in boxes[row])}]"
            inside = f"expected a box inside {self.width[row]} x {self.height[row]}; {got}"
            if empty[row]:
                self.drop(row, f"expected a box with an area; {got}")
            elif gone[row]:
                self.drop(row, inside)
            else:
                self.problems[row] = f"{inside}; clipped"

    def class_ids(self, classes: pa.StringArray) -> NDArray[np.int32]:
        """(n,), −1 where the class is not known, which drops the object."""
        labels = self.columns.get("label")
        if labels is None:
            class_ids = np.full(len(self.height), -1, dtype=np.int32)
        elif pa.types.is_dictionary(labels.type):
            ranks = pc.index_in(labels.dictionary, value_set=classes).fill_null(-1).to_numpy()
            class_ids = np.append(ranks, np.int32(-1))[labels.indices.fill_null(-1).to_numpy()]
        else:
            class_ids = pc.index_in(labels, value_set=classes).fill_null(-1).to_numpy()
        for row in np.flatnonzero(class_ids < 0).tolist():
            label = None if labels is None else labels[row].as_py()
            self.drop(row, f"expected a known class; got {'none' if label is None else repr(visible(label))}")
        return class_ids


@dataclass(frozen=True)
class _Outlines:
    """Outlines laid end to end: ``values`` (V,), ``lengths`` (R,) of rings, ``counts`` (n,) of them."""

    values: NDArray[np.float64]
    lengths: NDArray[np.int64]
    counts: NDArray[np.int64]

    @staticmethod
    def of(column: pa.ListArray) -> _Outlines:
        rings = pc.list_flatten(column)
        values = pc.list_flatten(rings).to_numpy(zero_copy_only=False).astype(np.float64)
        return _Outlines(values, _lengths(rings), _lengths(column))

    def owner(self) -> NDArray[np.int64]:
        """The object of each value, (V,)."""
        return np.repeat(np.repeat(np.arange(len(self.counts)), self.counts), self.lengths)

    def axis(self) -> NDArray[np.int64]:
        """0 for each x, 1 for each y, (V,)."""
        begins = np.cumsum(self.lengths) - self.lengths
        return np.asarray((np.arange(len(self.values)) - np.repeat(begins, self.lengths)) % 2)

    def unsound(self) -> NDArray[np.bool_]:
        """Which objects (n,) have outlines of less than three points, an odd number of coordinates or NaN; or none."""
        objects = np.arange(len(self.counts))
        unsound: NDArray[np.bool_] = self.counts == 0
        unsound[np.repeat(objects, self.counts)[(self.lengths < 6) | (self.lengths % 2 == 1)]] = True
        if not np.isfinite(self.values).all():
            unsound[self.owner()[~np.isfinite(self.values)]] = True
        return unsound


def _lengths(lists: pa.ListArray) -> NDArray[np.int64]:
    return np.asarray(pc.list_value_length(lists).fill_null(0).to_numpy(), dtype=np.int64)


def _lists(values: pa.Array, lengths: NDArray[np.int64], mask: pa.BooleanArray | None = None) -> pa.ListArray:
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values, mask=mask)
