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

from twinset.formats.claims import Claims
from twinset.formats.settling import CORNERS, Settled, settled
from twinset.formats.shelves import Shelves
from twinset.formats.stated_keypoints import even
from twinset.instances import INSTANCES
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

SHELF = 1024
"""Pictures whose claims lie together, whatever the order they come in, and are settled together."""
PENDING = 8192
"""Objects that wait as such before they become columns, at most."""
PENDING_BYTES = 2 << 20
"""Bytes of their outlines, run lengths, keypoints and attributes, about."""

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

    @property
    def bytes(self) -> int:
        """About how long what can be long of it is as columns."""
        numbers = sum(map(len, self.rings or ())) + len(self.keypoints or ())
        packed = sum(len(one.counts) for one in (self.rle, self.amodal_rle) if one is not None)
        return 8 * numbers + packed + len(self.attributes or "")


@dataclass(frozen=True)
class Mishap:
    """An object that was clipped or dropped: the picture's number, the object's, and what is wrong."""

    picture: int
    number: int | None
    problem: str


@dataclass(eq=False)
class Objects:
    """What all pictures of a source claim to show; grows while the source is read.

    ``relative`` says that coordinates are fractions of the picture; ``counted`` what an object's number means.
    """

    relative: bool = False
    counted: Counted = "object"
    _pictures: int = 0
    _pending: list[tuple[int, Stated]] = field(default_factory=list)
    _pending_bytes: int = 0
    _claims: Claims = field(default_factory=lambda: Claims(SHELF))
    _labels: dict[str, int] = field(default_factory=dict)
    _pointed: bool = False
    _settled: bool = False
    _keypoint_names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _named: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)

    def picture(self, stated: Iterable[Stated] = (), *, keypoint_names: tuple[str, ...] | None = None) -> int:
        """A new picture with these objects; its number, for :attr:`Candidate.objects`."""
        number = self._pictures
        if keypoint_names is not None:
            self._keypoint_names[number] = keypoint_names
        self._pictures += 1
        for one in stated:
            self._pending.append((number, one))
            self._pending_bytes += one.bytes
            if len(self._pending) >= PENDING or self._pending_bytes >= PENDING_BYTES:
                self._flush()
        return number

    def extend(
        self, pictures: int, claims: Iterable[pa.RecordBatch], *, keypoint_names: tuple[str, ...] | None = None
    ) -> int:
        """So many new pictures, with claims whose ``picture`` counts from 0 among them; the first one's number.

        Columns of which nothing is said may be left out, labels may be a dictionary, and numbers narrower than stated.
        ``keypoint_names`` are those of every picture whose objects have as many keypoints.
        """
        first = self._pictures
        if keypoint_names is not None:
            self._named.append((first, first + pictures, keypoint_names))
        self._pictures += pictures
        self._flush()
        for part in claims:
            self._keep(part, first)
        return first

    def _flush(self) -> None:
        if self._pending:
            self._keep(_batch(self._pending), 0)
            self._pending.clear()
            self._pending_bytes = 0

    def _keep(self, claims: pa.RecordBatch, first: int) -> None:
        said = {name: claims.column(name) for name in claims.schema.names}
        said = {name: one for name, one in said.items() if one.null_count < len(one)}
        if not said:
            return
        if "label" in said:
            said["label"] = self._numbered(said["label"])
        self._pointed |= "keypoints" in said
        said["picture"] = pc.add(said["picture"].cast(pa.int32()), pa.scalar(first, pa.int32()))
        self._claims.add(pa.record_batch(said))

    def _numbered(self, labels: pa.Array) -> pa.Array:
        """Labels as their numbers among all that were met, int32: a batch that is put aside carries no names."""
        if not pa.types.is_dictionary(labels.type):
            labels = labels.dictionary_encode()
        met = pc.unique(labels.indices).drop_null()
        numbers = np.full(len(labels.dictionary), -1, dtype=np.int32)
        for index, label in zip(met.to_pylist(), labels.dictionary.take(met).to_pylist(), strict=True):
            if label is not None:
                numbers[index] = self._labels.setdefault(label, len(self._labels))
        return pa.array(numbers, mask=numbers < 0).take(labels.indices)

    def labels(self) -> list[str]:
        """All class names that are claimed, in order of appearance."""
        self._flush()
        return list(self._labels)

    def settle(
        self, sizes: Mapping[int, tuple[int, int]], classes: Sequence[str]
    ) -> tuple[dict[int, int], pa.ChunkedArray, list[Mishap]]:
        """Where each picture of ``sizes`` (number → height, width) lies in a column of INSTANCES; and all mishaps.

        Claims and objects beyond a few MiB wait in a file, so that memory does not grow with them. The claims are used
        up; a second call is a ``ValueError``.
        """
        if self._settled:
            raise ValueError("expected claims; got none, as they were settled before; read the source again")
        self._settled = True
        self._flush()
        numbers = np.array(sorted(sizes), dtype=np.int64)
        heights, widths = (np.array([sizes[n][axis] for n in numbers.tolist()], dtype=np.int32) for axis in (0, 1))
        shelves, mishaps, known = Shelves(), list[Mishap](), pa.array(classes, pa.string())
        for shelf in np.unique(numbers // SHELF).tolist():
            here = slice(*np.searchsorted(numbers, [shelf * SHELF, (shelf + 1) * SHELF]).tolist())
            parts, told = self._settled_on(shelf, numbers[here], heights[here], widths[here], known)
            names = self._names_of(numbers[here], parts)
            shelves.add(heights[here], widths[here], names, parts)
            mishaps += told
            pa.default_memory_pool().release_unused()
        return {n: row for row, n in enumerate(numbers.tolist())}, shelves.column(), mishaps

    def _settled_on(
        self,
        shelf: int,
        numbers: NDArray[np.int64],
        heights: NDArray[np.int32],
        widths: NDArray[np.int32],
        classes: pa.StringArray,
    ) -> tuple[list[tuple[NDArray[np.int64], Settled]], list[Mishap]]:
        """What is left of the claims of a shelf, with the row of each one's picture among ``numbers``; and mishaps."""
        rows = np.full(SHELF, -1, dtype=np.int64)
        rows[numbers - shelf * SHELF] = np.arange(len(numbers))
        parts, mishaps = list[tuple[NDArray[np.int64], Settled]](), list[tuple[int, Mishap]]()
        names = pa.array(self._labels, pa.string())
        taken = self._claims.on(shelf)
        for claims in even(list(taken)) if self._pointed else taken:
            if "label" in claims.schema.names:
                at = claims.schema.get_field_index("label")
                claims = claims.set_column(at, "label", pa.DictionaryArray.from_arrays(claims.column(at), names))
            row = rows[claims.column("picture").to_numpy() - shelf * SHELF]
            if (row < 0).any():
                claims, row = claims.filter(pa.array(row >= 0)), row[row >= 0]
            part = settled(claims, heights[row], widths[row], relative=self.relative, classes=classes)
            mishaps += [(int(row[at]), _mishap(claims, at, part.problems[at])) for at in sorted(part.problems)]
            parts.append((row[part.keep], part))
        mishaps.sort(key=lambda told: told[0])
        return parts, [mishap for _, mishap in mishaps]

    def _names_of(self, numbers: NDArray[np.int64], parts: Sequence[tuple[NDArray[np.int64], Settled]]) -> pa.Array:
        """The names of keypoints of each picture that still has objects, as many as these have keypoints."""
        kind = INSTANCES.field("keypoint_names").type
        if not self._keypoint_names and not self._named:
            return pa.nulls(len(numbers), kind)
        points = np.zeros(len(numbers), dtype=np.int64)
        for rows, part in parts:
            if "keypoints" in part.columns:
                lengths = pc.fill_null(pc.list_value_length(part.columns["keypoints"]), 0).to_numpy()
                points[rows] = lengths // 3
        known = [self._keypoint_names.get(number) for number in numbers.tolist()]
        for first, end, names in self._named:
            for row in np.flatnonzero((numbers >= first) & (numbers < end)).tolist():
                known[row] = names
        return pa.array([one if one and len(one) == at else None for one, at in zip(known, points, strict=True)], kind)


def _mishap(chunk: pa.RecordBatch, row: int, problem: str) -> Mishap:
    number = chunk.column("number")[row].as_py() if "number" in chunk.schema.names else None
    return Mishap(chunk.column("picture")[row].as_py(), number, problem)


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
