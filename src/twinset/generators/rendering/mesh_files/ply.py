"""PLY (Stanford): a header that lists elements and their properties, then text or packed numbers of either order."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.mesh_files.sources import Source
from twinset.generators.rendering.mesh_files.surfaces import Floats, Ints, Surface
from twinset.generators.rendering.meshes import PLAIN, Material

MOST_HEADER = 1 << 16
PIECE = 1 << 22
NUMBERS_A_ROW = 16
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8", "int64": "i8", "uint64": "u8",
}  # fmt: skip
UV_NAMES = (("texture_u", "texture_v"), ("s", "t"), ("u", "v"))


@dataclass(frozen=True)
class Property:
    """``count_type`` is that of a list's length; None for a single number."""

    name: str
    type: str
    count_type: str | None = None


@dataclass(frozen=True)
class Element:
    """``count`` rows with these properties each."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def lists(self) -> bool:
        """Whether any property is a list."""
        return any(part.count_type for part in self.properties)


@dataclass(frozen=True, eq=False)
class Columns:
    """Single properties by name (N,); lists by name as their lengths (N,) and all their values."""

    single: dict[str, Floats]
    lists: dict[str, tuple[Ints, Floats]]


def read_ply(data: bytes, source: Source) -> Surface:
    """The surface of a PLY file; one with fewer rows than its header announces is refused."""
    order, elements, textures, start = _header(data, source)
    tables: dict[str, Columns] = {}
    body = memoryview(data)[start:]
    text = _numbers(body, source) if order is None else None
    for element in elements:
        try:
            if text is not None:
                tables[element.name], used = _from_text(element, text)
                text = text[used:]
            else:
                tables[element.name], used = _from_bytes(element, body, str(order))
                body = body[used:]
        except (ValueError, struct.error, IndexError) as error:
            raise source.fault(
                f"expected {element.count} rows of {element.name}; got fewer, or broken ones",
                hint="export the mesh anew",
            ) from error
    return _surface(tables, textures, source)


def _header(data: bytes, source: Source) -> tuple[str | None, list[Element], list[str], int]:
    """Byte order (None for text), elements, texture files, and where the rows begin."""
    end = data.find(b"end_header", 0, MOST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise source.fault("expected a PLY header from ply to end_header; got none", hint="export the mesh anew")
    start = data.find(b"\n", end) + 1 or len(data)
    order: str | None = None
    elements: list[Element] = []
    textures: list[str] = []
    for number, line in enumerate(data[:end].decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        try:
            if words[:1] == ["format"]:
                order = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
            elif words[:1] == ["element"]:
                elements.append(_element(words))
            elif words[:1] == ["property"]:
                last = elements.pop()
                elements.append(Element(last.name, last.count, (*last.properties, _property(words))))
            elif [word.lower() for word in words[:2]] == ["comment", "texturefile"]:
                textures.append(line.split(None, 2)[2].strip())
        except (KeyError, ValueError, IndexError) as error:
            raise source.fault(f"expected a sound header; got {line[:80]!r}", line=number) from error
    return order, elements, textures, start


def _element(words: list[str]) -> Element:
    count = int(words[2])
    if count < 0:
        raise ValueError(words[2])
    return Element(words[1], count, ())


def _property(words: list[str]) -> Property:
    if words[1] == "list":
        count_type = TYPES[words[2]]
        if count_type.startswith("f"):
            raise ValueError(words[2])
        return Property(words[4], TYPES[words[3]], count_type)
    return Property(words[2], TYPES[words[1]])


def _numbers(body: memoryview, source: Source) -> Floats:
    """All numbers of the text, piece by piece, as split text takes many times its own memory."""
    most = NUMBERS_A_ROW * (source.settings.most_vertices + source.settings.most_faces)
    found, total, rest = [np.zeros(0)], 0, b""
    for at in range(0, len(body), PIECE):
        piece = rest + bytes(body[at : at + PIECE])
        end = len(piece) if at + PIECE >= len(body) else max(piece.rfind(b" "), piece.rfind(b"\n"))
        if end < 0:
            raise source.fault("expected numbers after the header; got other text", hint="export it anew")
        tokens, rest = piece[:end].split(), piece[end:]
        try:
            found.append(np.fromiter(map(float, tokens), np.float64, len(tokens)))
        except ValueError as error:
            raise source.fault("expected numbers after the header; got other text", hint="export it anew") from error
        total += len(tokens)
        if total > most:
            raise source.fault(f"expected at most {most} numbers; got more", hint="simplify the mesh")
    return np.concatenate(found)


def _from_text(element: Element, numbers: Floats) -> tuple[Columns, int]:
    """An element's columns out of all numbers that are left, and how many it took."""
    if element.count * len(element.properties) > len(numbers):
        raise ValueError(element.name)
    if not element.lists:
        width = len(element.properties)
        rows = numbers[: element.count * width].reshape(-1, max(width, 1))
        return Columns({part.name: rows[:, n] for n, part in enumerate(element.properties)}, {}), element.count * width
    lengths = _no_lengths(element)
    starts: dict[str, list[int]] = {part.name: [] for part in element.properties}
    at = 0
    for _ in range(element.count):
        for part in element.properties:
            count = 1
            if part.count_type:
                count = _length(float(numbers[at]), len(numbers) - at)
                lengths[part.name].append(count)
                at += 1
            starts[part.name].append(at)
            at += count
        if at > len(numbers):
            raise ValueError(element.name)
    values = {}
    for part in element.properties:
        own = np.array(starts[part.name], dtype=np.int64)
        many = np.array(lengths[part.name] or [1] * len(own), dtype=np.int64)
        within = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        values[part.name] = numbers[np.repeat(own, many) + within]
    return _columns(element, values, lengths), at


def _length(number: float, most: int) -> int:
    if not (0 <= number <= most and number == int(number)):
        raise ValueError(number)
    return int(number)


def _columns(element: Element, values: dict[str, Floats], lengths: dict[str, list[int]]) -> Columns:
    return Columns(
        {part.name: values[part.name] for part in element.properties if not part.count_type},
        {
            part.name: (np.array(lengths[part.name], dtype=np.int64), values[part.name])
            for part in element.properties
            if part.count_type
        },
    )


def _from_bytes(element: Element, body: memoryview, order: str) -> tuple[Columns, int]:
    """An element's columns out of all bytes that are left, and how many it took.

    Lists of one length throughout, as nearly all files have, are read at once; others row by row.
    """
    if not element.count or not element.properties:
        return _columns(element, {part.name: np.zeros(0) for part in element.properties}, _no_lengths(element)), 0
    layout = _regular_layout(element, body, order)
    if layout is not None and layout.itemsize * element.count <= len(body):
        rows = np.frombuffer(body, layout, count=element.count)
        counts = {part.name: rows["#" + part.name] for part in element.properties if part.count_type}
        if all((count == count[0]).all() for count in counts.values()):
            values = {part.name: rows[part.name].reshape(-1).astype(np.float64) for part in element.properties}
            lengths = {name: count.astype(np.int64).tolist() for name, count in counts.items()}
            return _columns(element, values, lengths), layout.itemsize * element.count
    if not element.lists:
        raise ValueError(element.name)
    return _row_by_row(element, body, order)


def _no_lengths(element: Element) -> dict[str, list[int]]:
    return {part.name: [] for part in element.properties}


def _regular_layout(element: Element, body: memoryview, order: str) -> np.dtype[np.void] | None:
    """The layout of every row, if all are as the first one; None where that runs past the end."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    at = 0
    for part in element.properties:
        count = 1
        if part.count_type:
            kind = np.dtype(order + part.count_type)
            if at + kind.itemsize > len(body):
                return None
            count = int(np.frombuffer(body, kind, count=1, offset=at)[0])
            fields.append(("#" + part.name, order + part.count_type))
            at += kind.itemsize
            if not 0 <= count <= len(body):
                return None
        fields.append((part.name, order + part.type, (count,)))
        at += count * np.dtype(part.type).itemsize
    return np.dtype(fields) if at <= len(body) else None


def _row_by_row(element: Element, body: memoryview, order: str) -> tuple[Columns, int]:
    codes = {
        "i1": "b",
        "u1": "B",
        "i2": "h",
        "u2": "H",
        "i4": "i",
        "u4": "I",
        "i8": "q",
        "u8": "Q",
        "f4": "f",
        "f8": "d",
    }
    values: dict[str, list[float]] = {part.name: [] for part in element.properties}
    lengths = _no_lengths(element)
    at = 0
    for _ in range(element.count):
        for part in element.properties:
            count = 1
            if part.count_type:
                (count,) = struct.unpack_from(order + codes[part.count_type], body, at)
                at += struct.calcsize(order + codes[part.count_type])
                size = np.dtype(part.type).itemsize
                if not 0 <= count <= (len(body) - at) // size:
                    raise ValueError(element.name)
                lengths[part.name].append(count)
            form = f"{order}{count}{codes[part.type]}"
            values[part.name].extend(struct.unpack_from(form, body, at))
            at += struct.calcsize(form)
    return _columns(element, {name: np.array(own, dtype=np.float64) for name, own in values.items()}, lengths), at


def _surface(tables: dict[str, Columns], textures: list[str], source: Source) -> Surface:
    points, faces = tables.get("vertex"), tables.get("face")
    if points is None or not {"x", "y", "z"} <= points.single.keys():
        raise source.fault("expected an element vertex with x, y and z; got none", hint="export the mesh anew")
    positions = np.stack([points.single[axis] for axis in "xyz"], axis=1)
    lists = {} if faces is None else faces.lists
    sizes, values = lists.get("vertex_indices", lists.get("vertex_index", (np.zeros(0, np.int64), np.zeros(0))))
    corners = values.astype(np.int64)
    ignored = Counter({name: len(next(iter(table.single.values()), ())) for name, table in tables.items()})
    ignored = Counter({n: c for n, c in ignored.items() if c and n not in ("vertex", "face")})
    if len(corners) and (corners.min() < 0 or corners.max() >= len(positions)):
        return Surface(positions, sizes, corners)  # refused with its number where all surfaces are
    material = PLAIN[0]
    if len(textures) > 1:
        ignored["further textures"] += len(textures) - 1
    if textures:
        material = Material(colour=(1.0, 1.0, 1.0), texture=source.texture(textures[0]))
    colours = None if textures and material.texture is not None else _colours(points, faces, sizes, corners)
    if colours is not None:
        material = Material(colour=(1.0, 1.0, 1.0))
    normals = [points.single.get(name) for name in ("nx", "ny", "nz")]
    return Surface(
        positions=positions,
        sizes=sizes,
        corners=corners,
        materials=(material,),
        uv=_uv(points, lists, sizes, corners),
        normals=np.stack([own[corners] for own in normals if own is not None], axis=1)
        if None not in _given(normals)
        else None,
        colours=colours,
        ignored=ignored,
    )


def _given(columns: list[Floats | None]) -> list[bool | None]:
    return [None if column is None else True for column in columns]


def _uv(points: Columns, lists: dict[str, tuple[Ints, Floats]], sizes: Ints, corners: Ints) -> Floats | None:
    """Texture coordinates (C, 2) of corners: on faces (``texcoord``) or on vertices, under one of three names."""
    if "texcoord" in lists and np.array_equal(lists["texcoord"][0], 2 * sizes):
        return lists["texcoord"][1].reshape(-1, 2)
    for across, upwards in UV_NAMES:
        if {across, upwards} <= points.single.keys():
            return np.stack([points.single[across][corners], points.single[upwards][corners]], axis=1)
    return None


def _colours(points: Columns, faces: Columns | None, sizes: Ints, corners: Ints) -> Floats | None:
    """Colours (C, 3) 0…1, of faces where they have some, else of vertices."""
    for table, own in ((faces, np.repeat(np.arange(len(sizes)), sizes)), (points, corners)):
        if table is not None and {"red", "green", "blue"} <= table.single.keys():
            values: NDArray[np.float64] = np.stack([table.single[name] for name in ("red", "green", "blue")], axis=1)
            most = values.max(initial=0.0)
            return np.asarray(values[own] / (1.0 if most <= 1.0 else 255.0 if most <= 255 else 65535.0))
    return None
