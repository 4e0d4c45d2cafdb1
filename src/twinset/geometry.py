"""Depth and surface normals of every pixel, kept small: packed exactly, or to a stated tolerance.

Both are packed the same way: whole numbers of a row become differences to their left neighbour, bytes of equal rank
are laid side by side (smooth maps then have long runs of equal bytes), and zstandard compresses them. Packing costs no
bit; only normals are rounded before, to 1/32767 of each component.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError

HEADER = struct.Struct("<4sHII")
DEPTH, NORMALS = b"DEP1", b"NRM1"
MOST_PIXELS = 64_000_000
LEVEL = 3
UNIT = 32767
NEAR_UNIT = 1e-3
"""By how much the length of a given normal may differ from 1."""


@dataclass(frozen=True)
class DepthMap:
    """Metres along the camera's axis by pixel, float32 and exact; inf where there is nothing, or nothing is known.

    >>> DepthMap.of(np.array([[1.5, np.inf]], dtype=np.float32)).dense().tolist()
    [[1.5, inf]]
    """

    packed: bytes

    @staticmethod
    def of(metres: NDArray[np.floating]) -> DepthMap:
        """From (H, W), above 0; inf or NaN where there is none."""
        values = np.array(metres, dtype=np.float32)
        if values.ndim != 2 or 0 in values.shape:
            raise ValueError(f"expected depth (H, W); got shape {values.shape}")
        values[np.isnan(values)] = np.inf
        if not (values > 0).all():
            raise ValueError(f"expected depth above 0 metres; got {values.min():g}; inf says that there is none")
        return DepthMap(_packed(DEPTH, values.view(np.int32)[..., None]))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), from the header alone; :class:`DatasetFormatError` if there is none."""
        return _size(DEPTH, self.packed)

    def dense(self) -> NDArray[np.float32]:
        """float32 (H, W); :class:`DatasetFormatError` if the bytes are damaged."""
        values = _unpacked(DEPTH, self.packed, np.dtype(np.int32), 1)[..., 0].view(np.float32)
        if not (values > 0).all():
            raise DatasetFormatError("expected a packed depth map above 0 metres; got other values")
        return values


@dataclass(frozen=True)
class NormalMap:
    """The surface's unit normal by pixel in camera coordinates (x right, y down, z forward); 0 where there is none.

    Each component is kept to 1/32767, so a direction to 3e-5 radians; lengths differ from 1 by as much at most.
    """

    packed: bytes

    @staticmethod
    def of(normals: NDArray[np.floating]) -> NormalMap:
        """From (H, W, 3) of length 1, or 0 where there is no surface."""
        values = np.asarray(normals, dtype=np.float64)
        if values.ndim != 3 or values.shape[2] != 3 or 0 in values.shape:
            raise ValueError(f"expected normals (H, W, 3); got shape {values.shape}")
        lengths = np.sqrt(np.einsum("hwc,hwc->hw", values, values))
        if not ((np.abs(lengths - 1) <= NEAR_UNIT) | (lengths == 0)).all():
            raise ValueError("expected normals of length 1, or 0 where there is no surface; got others")
        whole = np.rint(np.clip(values, -1, 1) * UNIT).astype(np.int16)
        return NormalMap(_packed(NORMALS, whole))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), from the header alone; :class:`DatasetFormatError` if there is none."""
        return _size(NORMALS, self.packed)

    def whole(self) -> NDArray[np.int16]:
        """int16 (H, W, 3), 32767 times the normals; :class:`DatasetFormatError` if the bytes are damaged."""
        values = _unpacked(NORMALS, self.packed, np.dtype(np.int16), 3).view(np.int16)
        lengths = np.linalg.norm(values.astype(np.float64) / UNIT, axis=2)
        if not ((np.abs(lengths - 1) <= 2 * NEAR_UNIT) | (lengths == 0)).all():
            raise DatasetFormatError("expected packed normals of length 1 or 0; got others")
        return values

    def dense(self) -> NDArray[np.float32]:
        """float32 (H, W, 3); :class:`DatasetFormatError` if the bytes are damaged."""
        return (self.whole() / np.float64(UNIT)).astype(np.float32)


def _packed(kind: bytes, values: NDArray[np.signedinteger]) -> bytes:
    height, width, channels = values.shape
    unsigned = values.view(np.dtype(f"u{values.itemsize}"))
    steps = unsigned.copy()
    steps[:, 1:] -= unsigned[:, :-1]  # wraps around, and back again
    planes = steps.transpose(2, 0, 1).reshape(channels, -1, 1).view(np.uint8).transpose(0, 2, 1)
    squeezed = pa.Codec("zstd", LEVEL).compress(np.ascontiguousarray(planes).tobytes(), asbytes=True)
    return HEADER.pack(kind, channels * values.itemsize, height, width) + bytes(squeezed)


def _size(kind: bytes, packed: bytes) -> tuple[int, int]:
    if len(packed) >= HEADER.size:
        found, _, height, width = HEADER.unpack_from(packed)
        if found == kind and 0 < height * width <= MOST_PIXELS:
            return int(height), int(width)
    raise DatasetFormatError(f"expected a packed map {kind.decode()}; got {packed[:4]!r} of {len(packed)} bytes")


def _unpacked(kind: bytes, packed: bytes, dtype: np.dtype[np.signedinteger], channels: int) -> NDArray[np.generic]:
    height, width = _size(kind, packed)
    count = height * width * channels * dtype.itemsize
    try:
        data = pa.Codec("zstd").decompress(packed[HEADER.size :], decompressed_size=count, asbytes=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DatasetFormatError(f"expected a whole packed map {kind.decode()}; got damaged bytes") from error
    if len(data) != count:
        raise DatasetFormatError(f"expected {count} bytes in a packed map {kind.decode()}; got {len(data)}")
    planes = np.frombuffer(data, np.uint8).reshape(channels, dtype.itemsize, height * width).transpose(0, 2, 1)
    steps = np.ascontiguousarray(planes).view(f"u{dtype.itemsize}").reshape(channels, height, width)
    whole = np.add.accumulate(steps, axis=2, dtype=steps.dtype)
    return np.ascontiguousarray(whole.transpose(1, 2, 0)).view(dtype)
