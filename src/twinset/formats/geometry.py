"""Depth, normals and camera as files hold them, checked against the picture before they are believed."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.errors import DatasetFormatError
from twinset.formats.folder import Unusable, first_line
from twinset.formats.listing import Geometry
from twinset.geometry import UNIT, DepthMap, NormalMap
from twinset.sample import GEOMETRY, camera_from

Size = tuple[int, int]


@dataclass(frozen=True)
class Packed:
    """Depth and normals as :mod:`twinset.geometry` packs them, a camera as a value of ``CAMERA``."""

    depth: object = None
    normals: object = None
    camera: object = None

    def __call__(self, size: Size) -> Geometry:
        """For a picture of this (height, width); :class:`Unusable` if they do not fit or are damaged."""
        try:
            depth = None if self.depth is None else DepthMap(_bytes(self.depth, "depth"))
            normals = None if self.normals is None else NormalMap(_bytes(self.normals, "normals"))
            for what, found in (("depth", depth), ("normals", normals)):
                if found is not None:
                    check_size(what, found.size, size)
                    found.dense()
        except DatasetFormatError as error:
            raise Unusable(error.message) from error
        return Geometry(depth, normals, camera_of(self.camera, size))


@dataclass(frozen=True)
class Arrays:
    """Depth and normals as NumPy's own files, a camera as a value of ``CAMERA``."""

    depth: bytes | None = None
    normals: bytes | None = None
    camera: object = None

    def __call__(self, size: Size) -> Geometry:
        """For a picture of this (height, width); :class:`Unusable` if they do not fit or are damaged."""
        depth = None if self.depth is None else depth_of(_array(self.depth, "depth", np.dtype("<f4"), size))
        normals = None
        if self.normals is not None:
            normals = normals_of(_array(self.normals, "normals", np.dtype("<i2"), (*size, 3)) / np.float64(UNIT))
        return Geometry(depth, normals, camera_of(self.camera, size))


def geometry_of(row: Mapping[str, object], columns: Collection[str]) -> Packed | None:
    """What the columns of our tables say; None where they say nothing."""
    depth, normals, camera = (row.get(name) if name in columns else None for name in GEOMETRY)
    return None if depth is None and normals is None and camera is None else Packed(depth, normals, camera)


def depth_of(metres: NDArray[np.floating]) -> DepthMap:
    """Packed; :class:`Unusable` for values that are no depth."""
    try:
        return DepthMap.of(metres)
    except ValueError as error:
        raise Unusable(str(error)) from error


def normals_of(normals: NDArray[np.floating]) -> NormalMap:
    """Packed; :class:`Unusable` for values that are no normals."""
    try:
        return NormalMap.of(normals)
    except ValueError as error:
        raise Unusable(str(error)) from error


def camera_of(value: object, size: Size) -> Camera | None:
    """The camera of a picture of this size, from a value of ``CAMERA``; :class:`Unusable` if it is none."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Unusable(f"expected a camera; got {type(value).__name__}")
    try:
        camera = camera_from(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Unusable(f"expected a camera; got {first_line(error)}") from error
    check_size("a camera", camera.size, size)
    return camera


def check_size(what: str, found: Size, size: Size) -> None:
    """:class:`Unusable` unless these (height, width) are those of the picture."""
    if found != size:
        raise Unusable(f"expected {what} of {size[1]} x {size[0]}; got {found[1]} x {found[0]}")


def npy(values: NDArray[np.generic]) -> bytes:
    """NumPy's own file of an array."""
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.ascontiguousarray(values), allow_pickle=False)
    return sink.getvalue()


def _array(data: bytes, what: str, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[np.floating]:
    """An array of this kind and shape, nothing else: the header is compared before any memory is taken."""
    source = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(source)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        found, fortran, kind = reader(source)
    except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError) as error:
        raise Unusable(f"expected {what} as an .npy file; got {first_line(error)}") from error
    rest = data[source.tell() :]
    if found != shape or kind != dtype or fortran or len(rest) != int(np.prod(shape)) * dtype.itemsize:
        raise Unusable(f"expected {what} as {dtype} {shape}; got {kind} {found} in {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape)


def _bytes(value: object, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise Unusable(f"expected {what} as packed bytes; got {type(value).__name__}")
    return value
