"""The numbers of a glTF file: buffers, views of them, and accessors, each checked against what is really there."""

from __future__ import annotations

from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.mesh_files.gltf_records import Accessor, Document
from twinset.generators.rendering.mesh_files.sources import Source

KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
LARGEST = {"<i1": 127.0, "<u1": 255.0, "<i2": 32767.0, "<u2": 65535.0}

Table = NDArray[np.generic]


class Numbers:
    """Reads accessors; every count and offset of the file is compared with the bytes before anything is made."""

    def __init__(self, document: Document, source: Source, packed: bytes | None) -> None:
        self.document = document
        self.source = source
        self._packed = packed
        self._buffers: dict[int, bytes] = {}
        self._tables: dict[int, NDArray[np.float64]] = {}

    def view(self, index: int) -> memoryview:
        """The bytes of a buffer view."""
        views = self.document.bufferViews
        if index >= len(views):
            raise self.source.fault(f"expected one of {len(views)} buffer views; got number {index}")
        view = views[index]
        if view.extensions.keys() & {"EXT_meshopt_compression", "KHR_meshopt_compression"}:
            raise self.source.fault(
                "expected plain buffers; got meshopt compression", hint="export the mesh without compression"
            )
        data = self._buffer(view.buffer)
        if view.byteOffset + view.byteLength > len(data):
            raise self.source.fault(
                f"expected buffer view {index} within {len(data)} bytes; got {view.byteOffset + view.byteLength}",
                hint="the file is truncated: export it anew",
            )
        return memoryview(data)[view.byteOffset : view.byteOffset + view.byteLength]

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            if index >= len(self.document.buffers):
                raise self.source.fault(f"expected one of {len(self.document.buffers)} buffers; got number {index}")
            uri = self.document.buffers[index].uri
            if uri is not None:
                self._buffers[index] = self.source.read(uri if uri.startswith("data:") else unquote(uri))
            elif index == 0 and self._packed is not None:
                self._buffers[index] = self._packed
            else:
                raise self.source.fault(f"expected buffer {index} to name its file; got no uri")
        return self._buffers[index]

    def table(self, index: int, width: int) -> NDArray[np.float64]:
        """An accessor (N, width) as float64; normalised integers become −1…1 or 0…1."""
        if index not in self._tables:
            self._tables[index] = self._read(index)
        found = self._tables[index]
        if found.shape[1] != width:
            raise self.source.fault(f"expected accessor {index} of {width} numbers a row; got {found.shape[1]}")
        return found

    def _read(self, index: int) -> NDArray[np.float64]:
        accessors = self.document.accessors
        if index >= len(accessors):
            raise self.source.fault(f"expected one of {len(accessors)} accessors; got number {index}")
        accessor = accessors[index]
        if accessor.componentType not in KINDS or accessor.type not in WIDTHS:
            raise self.source.fault(
                f"expected a known kind of numbers in accessor {index}; got {accessor.componentType} {accessor.type}"
            )
        most = 3 * self.source.settings.most_faces
        if accessor.count > most:
            raise self.source.fault(
                f"expected at most {most} rows in accessor {index}; got {accessor.count}", hint="simplify the mesh"
            )
        values = self._plain(accessor, index)
        if accessor.sparse is not None:
            values = self._patched(accessor, values, index)
        kind = KINDS[accessor.componentType]
        found = values.astype(np.float64)
        if accessor.normalized and kind in LARGEST:
            found = np.maximum(found / LARGEST[kind], -1.0)
        return found

    def _plain(self, accessor: Accessor, index: int) -> Table:
        kind, width = KINDS[accessor.componentType], WIDTHS[accessor.type]
        if accessor.bufferView is None:
            return np.zeros((accessor.count, width), dtype=kind)
        stride = self.document.bufferViews[accessor.bufferView].byteStride if self._has(accessor.bufferView) else None
        return self._rows(accessor.bufferView, accessor.byteOffset, accessor.count, kind, width, stride, index)

    def _has(self, view: int) -> bool:
        return view < len(self.document.bufferViews)

    def _rows(self, view: int, offset: int, count: int, kind: str, width: int, stride: int | None, index: int) -> Table:
        """``count`` rows of ``width`` numbers, ``stride`` bytes apart."""
        data = self.view(view)
        row = np.dtype(kind).itemsize * width
        step = stride or row
        needed = offset + (count - 1) * step + row if count else 0
        if step < row or needed > len(data):
            raise self.source.fault(
                f"expected accessor {index} within the {len(data)} bytes of its view; got {needed}",
                hint="the file is truncated: export it anew",
            )
        if not count:
            return np.zeros((0, width), dtype=kind)
        return np.ndarray((count, width), kind, buffer=data, offset=offset, strides=(step, row // width)).copy()

    def _patched(self, accessor: Accessor, values: Table, index: int) -> Table:
        """Sparse accessors: a few rows replaced."""
        sparse = accessor.sparse
        assert sparse is not None
        if sparse.indices.componentType not in (5121, 5123, 5125) or sparse.count > accessor.count:
            raise self.source.fault(f"expected sound sparse rows in accessor {index}; got {sparse.count} of them")
        kind, width = KINDS[accessor.componentType], WIDTHS[accessor.type]
        of = sparse.indices
        rows = self._rows(of.bufferView, of.byteOffset, sparse.count, KINDS[of.componentType], 1, None, index)[:, 0]
        new = self._rows(sparse.values.bufferView, sparse.values.byteOffset, sparse.count, kind, width, None, index)
        places = rows.astype(np.int64)
        if len(places) and places.max() >= accessor.count:
            raise self.source.fault(f"expected sparse rows under {accessor.count} in accessor {index}; got others")
        values[places] = new
        return values
