"""Record batches that wait for their turn: in memory up to a bound, beyond it in a nameless file on the disk."""

from __future__ import annotations

import errno
import mmap
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from twinset.errors import DataError

HELD = 4 << 20
"""Bytes of memory that the batches of a spool keep from being freed, at most; what they are slices of counts whole."""

BEHIND = 4 * HELD
"""Bytes of the file before a batch that are let go of with it: some batches may have been looked at together."""

ALIGNED = 64
"""Bytes of which batches in the file begin at a multiple, as Arrow likes them."""

_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}

_views: weakref.WeakValueDictionary[int, mmap.mmap] = weakref.WeakValueDictionary()
"""The files that are mapped, by the address of their first byte, as long as anything looks at them: an array does not
tell which file it lies in."""


class _Piece(NamedTuple):
    """Where a batch lies in the file."""

    start: int
    length: int


@dataclass(eq=False)
class Spool:
    """Batches of any schema, given back once, in the order they came.

    The file lies in the folder for temporary files (``TMPDIR``) without a name, so that nothing is left behind however
    the process ends. What comes back from it is mapped, all at once so that one descriptor serves any number of
    batches: the system reads it as it is looked at, and may drop it again.
    """

    _waiting: deque[pa.RecordBatch | _Piece] = field(default_factory=deque)
    _held: int = 0
    _file: BinaryIO | None = None
    _view: mmap.mmap | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """One more; :class:`~twinset.errors.DataError` where the disk does not take it."""
        size = batch.get_total_buffer_size()
        if self._held + size <= HELD:
            self._held += size
            self._waiting.append(batch)
        else:
            self._waiting.append(self._written(batch))

    def taken(self) -> Iterator[pa.RecordBatch]:
        """All batches. Each is kept here no longer: who makes another of it never holds all twice."""
        while self._waiting:
            kept = self._waiting.popleft()
            if isinstance(kept, _Piece):
                yield self._mapped(kept)
                _drop(self._view, max(0, kept.start - BEHIND), kept.start + kept.length)
            else:
                self._held -= kept.get_total_buffer_size()
                yield kept

    def _written(self, batch: pa.RecordBatch) -> _Piece:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="twinset-")  # noqa: SIM115 – as long as this spool
                weakref.finalize(self, _closed, self._file)
            start = -(-self._file.tell() // ALIGNED) * ALIGNED
            self._file.seek(start)
            with pa.ipc.new_stream(self._file, batch.schema) as stream:
                stream.write_batch(batch)
            self._file.flush()
        except OSError as error:
            wanted = f"room for {batch.nbytes} bytes" if error.errno in _FULL else "to write a file"
            problem = f"expected {wanted} in the folder for temporary files; got {error.strerror}"
            hint = "free some, or set TMPDIR to a folder that has more"
            raise DataError(problem, hint=hint if error.errno in _FULL else "set TMPDIR to another folder") from error
        return _Piece(start, self._file.tell() - start)

    def _mapped(self, piece: _Piece) -> pa.RecordBatch:
        assert self._file is not None
        if self._view is None or len(self._view) < piece.start + piece.length:
            try:
                self._view = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                problem = f"expected to map a file in the folder for temporary files; got {error.strerror}"
                raise DataError(problem, hint="set TMPDIR to another folder, or close other programs") from error
            _views[pa.py_buffer(self._view).address] = self._view
        return pa.ipc.open_stream(pa.py_buffer(self._view).slice(piece.start, piece.length)).read_next_batch()


def _closed(file: BinaryIO) -> None:
    """Closes a file of which nothing is wanted any more, also where the disk refused its last bytes."""
    with suppress(OSError):
        file.close()


def release(array: pa.Array) -> None:
    """Lets go of the pages of an array as far as it came back from a spool's file; any other is left alone.

    Pages that were looked at count as memory of this process until the system needs them. What is looked at again
    comes from the file.
    """
    spans = [(buffer.address, buffer.address + buffer.size) for buffer in array.buffers() if buffer is not None]
    for first, view in list(_views.items()):
        inside = [(start - first, end - first) for start, end in spans if first <= start < first + len(view)]
        if inside:
            _drop(view, min(inside)[0], max(end for _, end in inside))


def _drop(view: mmap.mmap | None, start: int, end: int) -> None:
    """Takes the pages of a part of a mapped file out of memory, where the system can."""
    if view is not None and hasattr(mmap, "MADV_DONTNEED"):
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        view.madvise(mmap.MADV_DONTNEED, first, end - first)
