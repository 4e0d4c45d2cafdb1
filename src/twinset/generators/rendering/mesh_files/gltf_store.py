"""The binary part of a GLB, and the records that say what lies where in it."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.mesh_files.gltf import BINARY_CHUNK, JSON_CHUNK, MAGIC
from twinset.images import Pixels, encode_png

Json = dict[str, object]
VERTICES, INDICES = 34962, 34963
"""What a view is for: vertex attributes, or indices."""

FLOAT32, UINT16, UINT32 = 5126, 5123, 5125
KINDS = {2: "VEC2", 3: "VEC3"}
RESTART = 65535
"""No index of 16 bits may be this."""


class Store:
    """Collects bytes; every view begins at a multiple of four."""

    def __init__(self) -> None:
        self.views: list[Json] = []
        self.accessors: list[Json] = []
        self._parts: list[bytes] = []
        self._length = 0

    def attribute(self, name: str, rows: NDArray[np.float32]) -> int:
        """The number of an accessor for vertex data float32 (V, 2 or 3); positions state their bounds."""
        record: Json = {
            "bufferView": self._view(rows.astype("<f4").tobytes(), VERTICES),
            "componentType": FLOAT32,
            "count": len(rows),
            "type": KINDS[rows.shape[1]],
        }
        if name == "POSITION":
            record |= {"min": rows.min(0).astype(np.float64).tolist(), "max": rows.max(0).astype(np.float64).tolist()}
        self.accessors.append(record)
        return len(self.accessors) - 1

    def indices(self, indices: NDArray[np.int64]) -> int:
        """The number of an accessor for indices, of 16 bits where they fit."""
        small = int(indices.max()) < RESTART
        data = indices.astype("<u2" if small else "<u4").tobytes()
        kind = UINT16 if small else UINT32
        self.accessors.append(
            {"bufferView": self._view(data, INDICES), "componentType": kind, "count": len(indices), "type": "SCALAR"}
        )
        return len(self.accessors) - 1

    def picture(self, pixels: Pixels) -> int:
        """The number of the view that holds a picture as PNG."""
        return self._view(encode_png(pixels), None)

    def _view(self, data: bytes, target: int | None) -> int:
        record: Json = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
        self.views.append(record if target is None else record | {"target": target})
        padding = -len(data) % 4
        self._parts += [data, b"\0" * padding]
        self._length += len(data) + padding
        return len(self.views) - 1

    def glb(self, document: Json) -> bytes:
        """The file: header, the document as JSON with spaces to a multiple of four, the bytes (section 4.4)."""
        whole = document | ({"buffers": [{"byteLength": self._length}]} if self._length else {})
        text = json.dumps(whole, separators=(",", ":"), allow_nan=False).encode("ascii")
        text += b" " * (-len(text) % 4)
        chunks = [len(text).to_bytes(4, "little"), JSON_CHUNK.to_bytes(4, "little"), text]
        if self._length:
            chunks += [self._length.to_bytes(4, "little"), BINARY_CHUNK.to_bytes(4, "little"), *self._parts]
        length = 12 + sum(map(len, chunks))
        return b"".join([MAGIC, (2).to_bytes(4, "little"), length.to_bytes(4, "little"), *chunks])
