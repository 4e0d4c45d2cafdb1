"""Record batches that wait for their turn: in memory up to a bound, beyond it in a nameless file on the disk."""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from twinset.errors import DataError

HELD = 4 << 20
"""Bytes of batches that a spool holds in memory, at most."""

_views: weakref.WeakValueDictionary[int, mmap.mmap] = weakref.WeakValueDictionary()
"""The pieces of files that are mapped, by the address of their first byte."""


class _Piece(NamedTuple):
    """Where a batch lies in the file."""

    start: int
    length: int


@dataclass
class Spool:
    """Batches under keys, each of any schema, given back once, in the order they came.

    The file lies in the folder for temporary files (``TMPDIR``) without a name, so that nothing is left behind however
    the process ends. What comes back from it is mapped: the system reads it as it is looked at, and may drop it again.
    """

    _waiting: dict[int, deque[pa.RecordBatch | _Piece]] = field(default_factory=dict)
    _held: int = 0
    _file: BinaryIO | None = None

    def add(self, batch: pa.RecordBatch, key: int = 0) -> None:
        """One more; :class:`~twinset.errors.DataError` where the disk has no room for it."""
        size = batch.nbytes
        if self._held + size <= HELD:
            self._held += size
            self._waiting.setdefault(key, deque()).append(batch)
        else:
            self._waiting.setdefault(key, deque()).append(self._written(batch))

    def taken(self, key: int = 0) -> Iterator[pa.RecordBatch]:
        """All batches under a key. Each is kept here no longer: who makes another of it never holds all twice."""
        waiting = self._waiting.pop(key, deque())
        while waiting:
            kept = waiting.popleft()
            if isinstance(kept, _Piece):
                yield self._mapped(kept)
            else:
                self._held -= kept.nbytes
                yield kept

    def _written(self, batch: pa.RecordBatch) -> _Piece:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="twinset-")  # noqa: SIM115 – as long as this spool
                weakref.finalize(self, self._file.close)
            start = -(-self._file.tell() // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
            self._file.seek(start)
            with pa.ipc.new_stream(self._file, batch.schema) as stream:
                stream.write_batch(batch)
            self._file.flush()
        except OSError as error:
            problem = f"expected room for {batch.nbytes} bytes in the folder for temporary files; got {error.strerror}"
            raise DataError(problem, hint="free some, or set TMPDIR to a folder that has more") from error
        return _Piece(start, self._file.tell() - start)

    def _mapped(self, piece: _Piece) -> pa.RecordBatch:
        assert self._file is not None
        view = mmap.mmap(self._file.fileno(), piece.length, access=mmap.ACCESS_READ, offset=piece.start)
        buffer = pa.py_buffer(view)
        _views[buffer.address] = view
        return pa.ipc.open_stream(buffer).read_next_batch()


def release(array: pa.Array) -> None:
    """Lets go of the pages of an array as far as it came back from a spool's file; any other is left alone.

    Pages that were looked at count as memory of this process until the system needs them. What is looked at again
    comes from the file.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    addresses = [buffer.address for buffer in array.buffers() if buffer is not None]
    for start, view in _views.items():
        if any(start <= address < start + len(view) for address in addresses):
            view.madvise(mmap.MADV_DONTNEED)
