"""Claims that sources make of pictures, gathered by shelf of pictures in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.formats.spool import Spool, release

CHUNK = 8192
"""Claims in a batch that is given back, at most."""
RUN = 4 << 20
"""Bytes of claims that are sorted and put aside together, unless one batch alone has more."""
FEW = 2
"""Runs of which a shelf looks at parts in place. Of more than these it copies out small parts, since the system maps
far more of a file than is looked at."""
SMALL = 0.25
"""The share of a run below which a part is small."""


class _Run(NamedTuple):
    """Where claims that were sorted together lie: those of ``shelves[i]`` (S,) from ``begins[i]`` (S + 1,) on."""

    shelves: NDArray[np.int64]
    begins: NDArray[np.int64]

    def span(self, shelf: int) -> tuple[int, int]:
        """First and end of the claims of a shelf, which may be none."""
        first, end = np.searchsorted(self.shelves, [shelf, shelf + 1])
        return int(self.begins[first]), int(self.begins[end])


@dataclass(eq=False)
class Claims:
    """Record batches with a column ``picture``, int32 from 0, and any others; by ``shelf`` pictures once all have come.

    What comes is sorted some MiB at a time and put aside, beyond a bound on the disk, and merged as it is asked for: an
    external sort (Knuth, The Art of Computer Programming 3, 5.4). The claims of a picture stay in their order.
    """

    shelf: int
    _gathered: list[pa.RecordBatch] = field(default_factory=list)
    _size: int = 0
    _schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    _runs: list[_Run] = field(default_factory=list)
    _aside: Spool = field(default_factory=Spool)
    _sorted: list[pa.RecordBatch] = field(default_factory=list)
    _looked_at: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, claims: pa.RecordBatch) -> None:
        """More of them; none once those of a shelf were asked for."""
        size, schema = claims.get_total_buffer_size(), _unified(self._schema, claims.schema)
        if self._gathered and (self._size + size > RUN or schema is None):
            self._put_aside()
            schema = claims.schema
        self._gathered.append(claims)
        self._size, self._schema = self._size + size, schema

    def _put_aside(self) -> None:
        claims = _one(self._gathered)
        self._gathered, self._size, self._schema = [], 0, pa.schema([])
        shelves = claims.column("picture").to_numpy() // self.shelf
        if (shelves[1:] < shelves[:-1]).any():
            order = np.argsort(shelves, kind="stable")
            claims, shelves = claims.take(pa.array(order)), shelves[order]
        distinct, begins = np.unique(shelves, return_index=True)
        self._runs.append(_Run(distinct, np.append(begins, len(claims))))
        self._aside.add(claims)

    def on(self, number: int) -> Iterator[pa.RecordBatch]:
        """Those on a shelf, the first of whose pictures is ``number * shelf``, in their order."""
        if self._gathered:
            self._put_aside()
        self._sorted += self._aside.taken()
        for claims in self._looked_at:
            release(claims.to_struct_array())
        self._looked_at.clear()
        return _together(self._pieces(number))

    def _pieces(self, number: int) -> Iterator[pa.RecordBatch]:
        places = [(claims, *run.span(number)) for run, claims in zip(self._runs, self._sorted, strict=True)]
        touched = [(claims, begin, end) for claims, begin, end in places if begin < end]
        for claims, begin, end in touched:
            self._looked_at.append(claims)
            copied = len(touched) > FEW and end - begin < SMALL * len(claims)
            for start in range(begin, end, CHUNK):
                part = claims.slice(start, min(CHUNK, end - start))
                yield part.take(pa.array(np.arange(len(part)))) if copied else part
            if copied:
                release(claims.to_struct_array())


def _together(parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same claims, small neighbours in one: each takes its time however few it has."""
    waiting, known = list[pa.RecordBatch](), pa.schema([])
    for part in parts:
        schema = _unified(known, part.schema)
        if waiting and (sum(map(len, waiting)) + len(part) > CHUNK or schema is None):
            yield _one(waiting)
            waiting, schema = [], part.schema
        waiting.append(part)
        known = schema
    if waiting:
        yield _one(waiting)


def _unified(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """The columns of both; None where one that both have is of two types."""
    try:
        return pa.unify_schemas([one, other])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _one(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All claims in one batch, null where a part has no such column."""
    if len(parts) == 1:
        return parts[0]
    tables = [pa.Table.from_batches([part]) for part in parts]
    (batch,) = pa.concat_tables(tables, promote_options="default").combine_chunks().to_batches()
    return batch
