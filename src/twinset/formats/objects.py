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

from twinset.formats.folder import visible
from twinset.instances import INSTANCES, OBJECT
from twinset.masks import Polygons, Ring, Rle

STATED = pa.schema(
    [
        pa.field("picture", pa.int64(), nullable=False),
        pa.field("number", pa.int64()),
        pa.field("label", pa.string()),
        *(pa.field(name, pa.float64()) for name in ("x1", "y1", "x2", "y2")),
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
    ]
)
"""One claim a row. ``picture`` is what :meth:`Objects.picture` gave, ``number`` the line, index or id in its file."""

CHUNK = 8192
SLACK = 0.5
"""Pixels by which a box may stick out without being told: relative coordinates are written with few digits."""

Counted = Literal["line", "object", "annotation"]


@dataclass(frozen=True)
class Stated:
    """One object as a source states it. Coordinates are pixels, or fractions of the picture where all of it are.

    ``box`` is xyxy; None takes it from the mask. ``mask`` is outlines, or run lengths. ``attributes`` is JSON.
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
    _chunks: list[pa.Table] = field(default_factory=list)

    def picture(self, stated: Iterable[Stated] = ()) -> int:
        """A new picture with these objects; its number, for :attr:`Candidate.objects`."""
        number = self._pictures
        self._pictures += 1
        self._pending.extend((number, one) for one in stated)
        if len(self._pending) >= CHUNK:
            self._flush()
        return number

    def extend(self, pictures: int, claims: pa.Table) -> int:
        """So many new pictures, with claims whose ``picture`` counts from 0 among them; the first one's number."""
        first = self._pictures
        self._pictures += pictures
        self._flush()
        moved = pc.add(claims.column("picture"), first).cast(pa.int64())
        self._chunks.append(claims.set_column(0, STATED.field("picture"), moved).select(STATED.names).cast(STATED))
        return first

    def _flush(self) -> None:
        if self._pending:
            self._chunks.append(_table(self._pending))
            self._pending.clear()

    def labels(self) -> list[str]:
        """All class names that are claimed, in order of appearance."""
        self._flush()
        seen = [pc.unique(chunk.column("label")).to_pylist() for chunk in self._chunks]
        return list(dict.fromkeys(name for names in seen for name in names if name is not None))

    def settle(
        self, sizes: Mapping[int, tuple[int, int]], classes: Sequence[str]
    ) -> tuple[dict[int, int], pa.Array, list[Mishap]]:
        """Where each picture of ``sizes`` (number → height, width) lies in an array of INSTANCES; and all mishaps."""
        self._flush()
        table = pa.concat_tables(self._chunks).combine_chunks() if self._chunks else STATED.empty_table()
        numbers = np.array(sorted(sizes), dtype=np.int64)
        heights, widths = (np.array([sizes[n][axis] for n in numbers.tolist()], dtype=np.int32) for axis in (0, 1))
        picture = table.column("picture").to_numpy()
        known = np.isin(picture, numbers)
        if not known.all():
            table, picture = table.filter(pa.array(known)), picture[known]
        order = np.argsort(picture, kind="stable")
        if (np.diff(order) < 0).any():
            table, picture = table.take(pa.array(order)), picture[order]
        at = np.searchsorted(numbers, picture)
        settled = _Settled.of(table, at, heights, widths, relative=self.relative, classes=classes)
        counts = np.bincount(at[settled.keep], minlength=len(numbers))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), settled.objects, type=INSTANCES.field("objects").type)
        array = pa.StructArray.from_arrays(
            [pa.array(heights, pa.int32()), pa.array(widths, pa.int32()), lists], fields=list(INSTANCES)
        )
        return {int(n): row for row, n in enumerate(numbers)}, array, settled.mishaps


def _table(pending: Sequence[tuple[int, Stated]]) -> pa.Table:
    """Claims as columns of :data:`STATED`."""
    stated = [one for _, one in pending]
    boxes = [one.box or (None,) * 4 for one in stated]
    columns: dict[str, Sequence[object]] = {
        "picture": [picture for picture, _ in pending],
        **dict(zip(("x1", "y1", "x2", "y2"), zip(*boxes, strict=True), strict=True)),
        "rle": [one.rle and one.rle.counts for one in stated],
        "rle_height": [one.rle and one.rle.height for one in stated],
        "rle_width": [one.rle and one.rle.width for one in stated],
        "polygons": [one.rings for one in stated],
        "amodal_rle": [one.amodal_rle and one.amodal_rle.counts for one in stated],
    }
    for item in STATED:
        if item.name not in columns:
            columns[item.name] = [getattr(one, item.name) for one in stated]
    return pa.Table.from_arrays([pa.array(columns[item.name], item.type) for item in STATED], schema=STATED)


@dataclass(frozen=True)
class _Settled:
    keep: NDArray[np.bool_]
    objects: pa.Array
    mishaps: list[Mishap]

    @staticmethod
    def of(
        table: pa.Table,
        at: NDArray[np.int64],
        heights: NDArray[np.int32],
        widths: NDArray[np.int32],
        *,
        relative: bool,
        classes: Sequence[str],
    ) -> _Settled:
        height, width = heights[at], widths[at]
        if relative:
            table = _in_pixels(table, height, width)
        boxes = np.stack([table.column(name).to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
        problems: dict[int, str] = {}
        dropped = _bad_masks(table, height, width, problems)
        _boxes_of_masks(table, boxes, height, width, problems, dropped)
        clipped = np.stack(
            [np.clip(boxes[:, axis], 0, width if axis % 2 == 0 else height) for axis in range(4)], axis=1
        ).astype(np.float32)
        _check_boxes(boxes, clipped, height, width, problems, dropped)
        ranks = pc.index_in(table.column("label"), pa.array(classes, pa.string()))
        class_ids = ranks.fill_null(-1).to_numpy().astype(np.int32)
        for row in np.flatnonzero(class_ids < 0).tolist():
            label = table.column("label")[row].as_py()
            problems[row] = f"expected a known class; got {'none' if label is None else repr(visible(label))}; left out"
            dropped[row] = True
        pictures, own = table.column("picture"), table.column("number")
        mishaps = [
            Mishap(pictures[row].as_py(), own[row].as_py(), problem) for row, problem in sorted(problems.items())
        ]
        return _Settled(~dropped, _objects(table, clipped, class_ids, ~dropped), mishaps)


def _in_pixels(table: pa.Table, height: NDArray[np.int32], width: NDArray[np.int32]) -> pa.Table:
    """Fractions of the picture to pixels: boxes and outlines."""
    for name in ("x1", "y1", "x2", "y2"):
        column = pc.multiply(table.column(name), pa.array((width if name[0] == "x" else height).astype(np.float64)))
        table = table.set_column(table.column_names.index(name), STATED.field(name), column)
    polygons = table.column("polygons")
    if polygons.null_count < len(polygons):
        scaled = []
        for row, rings in enumerate(polygons.to_pylist()):
            scale = np.array([width[row], height[row]], dtype=np.float64)
            scaled.append(None if rings is None else [(np.reshape(r, (-1, 2)) * scale).ravel() for r in rings])
        at = table.column_names.index("polygons")
        table = table.set_column(at, STATED.field("polygons"), pa.array(scaled, STATED.field("polygons").type))
    return table


def _bad_masks(
    table: pa.Table, height: NDArray[np.int32], width: NDArray[np.int32], problems: dict[int, str]
) -> NDArray[np.bool_]:
    """Which objects go because of their mask: run lengths of another picture, outlines without an area."""
    dropped = np.zeros(table.num_rows, dtype=bool)
    there = table.column("rle").is_valid().to_numpy()
    of_height = table.column("rle_height").fill_null(0).to_numpy()
    of_width = table.column("rle_width").fill_null(0).to_numpy()
    for row in np.flatnonzero(there & ((of_height != height) | (of_width != width))).tolist():
        problems[row] = (
            f"expected a mask of {width[row]} x {height[row]}; got one of {of_width[row]} x {of_height[row]}; left out"
        )
        dropped[row] = True
    outlines = table.column("polygons")
    if outlines.null_count < len(outlines):
        for row in np.flatnonzero(outlines.is_valid().to_numpy()).tolist():
            try:
                Polygons(int(height[row]), int(width[row]), tuple(tuple(ring) for ring in outlines[row].as_py()))
            except (ValueError, TypeError) as error:
                problems[row] = f"{error}; left out"
                dropped[row] = True
    return dropped


def _boxes_of_masks(
    table: pa.Table,
    boxes: NDArray[np.float64],
    height: NDArray[np.int32],
    width: NDArray[np.int32],
    problems: dict[int, str],
    dropped: NDArray[np.bool_],
) -> None:
    """Fills in boxes that a source leaves to its masks."""
    missing = ~dropped & table.column("x1").is_null().to_numpy()
    for row in np.flatnonzero(missing).tolist():
        counts, rings = table.column("rle")[row].as_py(), table.column("polygons")[row].as_py()
        size = int(height[row]), int(width[row])
        if counts is not None:
            boxes[row] = Rle(*size, counts).box()
        elif rings is not None:
            boxes[row] = Polygons(*size, tuple(tuple(ring) for ring in rings)).box()
        else:
            problems[row] = "expected a box or a mask; got neither; left out"
            dropped[row] = True


def _check_boxes(
    boxes: NDArray[np.float64],
    clipped: NDArray[np.float32],
    height: NDArray[np.int32],
    width: NDArray[np.int32],
    problems: dict[int, str],
    dropped: NDArray[np.bool_],
) -> None:
    finite = np.isfinite(boxes).all(1)
    empty = ~finite | (boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])
    gone = ~empty & ((clipped[:, 0] >= clipped[:, 2]) | (clipped[:, 1] >= clipped[:, 3]))
    with np.errstate(invalid="ignore"):
        out = np.abs(boxes - clipped).max(1, initial=0.0) > SLACK
    for row in np.flatnonzero(~dropped & (empty | gone | out)).tolist():
        shown = ", ".join(f"{value:g}" for value in boxes[row])
        if empty[row]:
            problems[row] = f"expected a box with an area; got [{shown}]; left out"
        elif gone[row]:
            problems[row] = f"expected a box inside {width[row]} x {height[row]}; got [{shown}]; left out"
        else:
            problems[row] = f"expected a box inside {width[row]} x {height[row]}; got [{shown}]; clipped"
    dropped |= empty | gone


def _objects(
    table: pa.Table, boxes: NDArray[np.float32], class_ids: NDArray[np.int32], keep: NDArray[np.bool_]
) -> pa.Array:
    chosen = pa.array(keep)
    columns: dict[str, pa.Array] = {"class_id": pa.array(class_ids[keep])}
    columns |= {name: pa.array(boxes[keep, axis]) for axis, name in enumerate(("x1", "y1", "x2", "y2"))}
    for item in OBJECT:
        if item.name not in columns:
            column = table.column(item.name).combine_chunks().filter(chosen)
            columns[item.name] = column.fill_null(False) if pa.types.is_boolean(item.type) else column
    return pa.StructArray.from_arrays([columns[item.name] for item in OBJECT], fields=list(OBJECT))
