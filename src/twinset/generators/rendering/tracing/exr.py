"""Reads uncompressed OpenEXR files of scan lines, one or several parts, as Blender writes them for us.

After the file layout of openexr.com (*OpenEXR File Layout*): a header of attributes for each part, tables of offsets,
then chunks of one scan line each, in which the channels follow each other in alphabetical order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAGIC = 20000630
SEVERAL_PARTS = 1 << 12
KINDS: dict[int, np.dtype[np.generic]] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}


@dataclass
class _Reader:
    """Bytes, and where to go on reading."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError("expected a whole EXR file; got one that ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def whole(self) -> int:
        number: int = struct.unpack("<i", self.take(4))[0]
        return number

    def word(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError("expected a whole EXR file; got one that ends early")
        found = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found


@dataclass(frozen=True)
class _Part:
    """One part: the prefix of its channels' names, channels with their types, rows and columns."""

    name: str
    channels: tuple[tuple[str, np.dtype[np.generic]], ...]
    top: int
    height: int
    width: int

    @property
    def row_bytes(self) -> int:
        """Of all channels of a row."""
        return self.width * sum(kind.itemsize for _, kind in self.channels)


def channels_of(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Every channel, float32 (H, W), by its name, with the part's before it where there are several.

    Raises :class:`ValueError` for what is no such file.
    """
    reader = _Reader(data)
    if reader.whole() != MAGIC:
        raise ValueError("expected an EXR file; got something else")
    several = bool(reader.whole() & SEVERAL_PARTS)
    parts: list[_Part] = []
    while not parts or (several and reader.data[reader.at : reader.at + 1] != b"\0"):
        parts.append(_header(reader))
    if several:
        reader.take(1)
    reader.take(8 * sum(part.height for part in parts))
    if sum(part.height * part.row_bytes for part in parts) > len(data):
        raise ValueError("expected a whole EXR file; got one that is shorter than its window says")
    planes = [np.zeros((part.height, len(part.channels), part.width), np.float32) for part in parts]
    for _ in range(sum(part.height for part in parts)):
        number = reader.whole() if several else 0
        row, size = reader.whole(), reader.whole()
        if not (0 <= number < len(parts) and 0 <= row - parts[number].top < parts[number].height):
            raise ValueError(f"expected rows of the EXR file's {len(parts)} parts; got row {row} of part {number}")
        _fill(planes[number], parts[number], row, reader.take(size))
    found = {}
    for part, plane in zip(parts, planes, strict=True):
        for number, (name, _) in enumerate(part.channels):
            found[f"{part.name}.{name}" if several and part.name not in name else name] = plane[:, number]
    return found


def _header(reader: _Reader) -> _Part:
    attributes: dict[str, bytes] = {}
    while name := reader.word():
        reader.word()
        attributes[name] = reader.take(reader.whole())
    if attributes.get("compression") != b"\0" or b"tile" in attributes.get("type", b""):
        raise ValueError("expected an uncompressed EXR file of scan lines; got another kind")
    if len(attributes.get("dataWindow", b"")) != 16 or "channels" not in attributes:
        raise ValueError("expected an EXR file that names its window and channels; got one that does not")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    if right < left or bottom < top:
        raise ValueError(f"expected an EXR window with pixels; got {(left, top, right, bottom)}")
    name = attributes.get("name", b"").decode("utf-8", "replace")
    return _Part(name, tuple(_channels(_Reader(attributes["channels"]))), top, bottom - top + 1, right - left + 1)


def _channels(reader: _Reader) -> list[tuple[str, np.dtype[np.generic]]]:
    found: list[tuple[str, np.dtype[np.generic]]] = []
    while name := reader.word():
        kind = reader.whole()
        reader.take(4)
        if struct.unpack("<2i", reader.take(8)) != (1, 1) or kind not in KINDS:
            raise ValueError(f"expected whole channels of a known type; got {name}")
        found.append((name, KINDS[kind]))
    return found


def _fill(plane: NDArray[np.float32], part: _Part, row: int, line: bytes) -> None:
    start = 0
    for number, (_, kind) in enumerate(part.channels):
        plane[row - part.top, number] = np.frombuffer(line, kind, part.width, start).astype(np.float32)
        start += part.width * kind.itemsize
