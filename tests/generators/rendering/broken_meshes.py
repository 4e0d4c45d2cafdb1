"""Mesh files that are broken, lying or hostile: each is written into a folder, and says which words refuse it."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=np.float64)
SIDES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])

Broken = Callable[[Path], Path]
TABLE: dict[str, tuple[Broken, str]] = {}
"""By name: what writes the file, and a part of the one line that refuses it."""


def case(words: str) -> Callable[[Broken], Broken]:
    """Puts a writer into the table."""

    def put(writer: Broken) -> Broken:
        TABLE[writer.__name__] = (writer, words)
        return writer

    return put


def gltf(points: NDArray[np.float64] = POINTS, **changes: object) -> dict[str, object]:
    """A tetrahedron as glTF with its buffer in a data address."""
    data = points.astype("<f4").tobytes() + SIDES.astype("<u2").tobytes()
    address = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    document: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 24}],
        "buffers": [{"byteLength": len(data), "uri": address}],
    }
    return document | changes


def accessors(**changes: object) -> dict[str, object]:
    """The tetrahedron, with something else in the accessor of its positions."""
    document = gltf()
    rows = document["accessors"]
    assert isinstance(rows, list)
    return document | {"accessors": [rows[0] | changes, rows[1]]}


def textured(uri: str) -> dict[str, object]:
    """The tetrahedron with a picture by name."""
    return gltf(
        images=[{"uri": uri}],
        textures=[{"source": 0}],
        materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
    )


def glb(document: Mapping[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data if data else b""
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def png(width: int, height: int, *, rows: int) -> bytes:
    """A black picture that announces its size, and holds so many rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return head + chunk(b"IDAT", zlib.compress(b"\0" * (rows * (width + 1)))) + chunk(b"IEND", b"")


def put(folder: Path, name: str, content: str | bytes | Mapping[str, object]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, bytes | str) else json.dumps(content)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# ---- files that end too early, or are something else


@case("truncated")
def truncated_glb(folder: Path) -> Path:
    whole = glb(gltf())
    return put(folder, "mesh.glb", whole[: len(whole) // 2])


@case("expected a chunk of 1000000 bytes")
def glb_with_a_lying_chunk(folder: Path) -> Path:
    whole = glb(gltf())
    return put(folder, "mesh.glb", whole[:12] + struct.pack("<I", 1_000_000) + whole[16:])


@case("expected a JSON chunk")
def glb_without_a_document(folder: Path) -> Path:
    return put(folder, "mesh.glb", struct.pack("<4sIII4s", b"glTF", 2, 20, 0, b"BIN\0"))


@case("expected glTF 2.0")
def empty_glb(folder: Path) -> Path:
    return put(folder, "mesh.glb", b"")


@case("vertices and faces")
def empty_obj(folder: Path) -> Path:
    return put(folder, "mesh.obj", b"")


@case("PLY header")
def empty_ply(folder: Path) -> Path:
    return put(folder, "mesh.ply", b"")


@case("expected an STL")
def empty_stl(folder: Path) -> Path:
    return put(folder, "mesh.stl", b"")


@case("expected glTF 2.0")
def text_as_glb(folder: Path) -> Path:
    return put(folder, "mesh.glb", "solid this is no glTF\n" * 100)


@case("vertices and faces")
def picture_as_obj(folder: Path) -> Path:
    return put(folder, "mesh.obj", png(64, 64, rows=64))


@case("expected glTF 2.0")
def nested_without_end(folder: Path) -> Path:
    return put(folder, "mesh.gltf", '{"asset":{"version":"2.0"},"extras":' + "[" * 100_000)


@case("expected glTF 2.0")
def version_one(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(asset={"version": "1.0"}))


# ---- counts that lie


@case("within the 48 bytes")
def accessor_past_its_view(folder: Path) -> Path:
    return put(folder, "mesh.glb", glb(accessors(count=5)))


@case("expected at most")
def accessor_of_thirty_million_rows(folder: Path) -> Path:
    return put(folder, "mesh.gltf", accessors(count=30_000_000, bufferView=None))


@case("known kind of numbers")
def accessor_of_an_unknown_kind(folder: Path) -> Path:
    return put(folder, "mesh.gltf", accessors(componentType=5124))


@case("3 numbers a row")
def accessor_of_the_wrong_width(folder: Path) -> Path:
    return put(folder, "mesh.gltf", accessors(type="VEC2"))


@case("expected one of 2 accessors")
def accessor_that_is_not_there(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(meshes=[{"primitives": [{"attributes": {"POSITION": 7}, "indices": 1}]}]))


@case("expected faces of the vertices")
def index_out_of_range(folder: Path) -> Path:
    return put(folder, "mesh.ply", ply("3 0 1 9\n"))


@case("10000000 triangles")
def stl_that_announces_ten_million_faces(folder: Path) -> Path:
    return put(folder, "mesh.stl", b"\0" * 80 + struct.pack("<I", 10_000_000) + b"\0" * 50)


@case("10000000 rows of face")
def ply_that_announces_ten_million_faces(folder: Path) -> Path:
    return put(folder, "mesh.ply", ply("3 0 1 2\n", faces=10_000_000))


@case("in a circle")
def nodes_in_a_circle(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(nodes=[{"mesh": 0, "children": [1]}, {"children": [0]}]))


def ply(faces_text: str, *, faces: int = 1, points: str = "0 0 0\n1 0 0\n0 2 0\n0 0 3\n", count: int = 4) -> str:
    return (
        f"ply\nformat ascii 1.0\nelement vertex {count}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {faces}\nproperty list uchar int vertex_indices\nend_header\n{points}{faces_text}"
    )


# ---- geometry that is none


@case("expected finite vertices")
def not_a_number_among_the_vertices(folder: Path) -> Path:
    points = POINTS.copy()
    points[1, 2] = np.nan
    return put(folder, "mesh.gltf", gltf(points))


@case("expected finite vertices")
def infinite_vertices(folder: Path) -> Path:
    return put(folder, "mesh.ply", ply("3 0 1 2\n", points="0 0 0\ninf 0 0\n0 2 0\n0 0 3\n"))


@case("within 1e9 metres")
def larger_than_the_world(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(POINTS * 1e20))


@case("expected a face of positive area")
def faces_without_area(folder: Path) -> Path:
    return put(folder, "mesh.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\nf 1 1 2\n")


@case("expected a face of positive area")
def a_mesh_of_size_zero(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(POINTS * 0))


@case("expected vertices and faces")
def a_single_point(folder: Path) -> Path:
    return put(folder, "mesh.obj", "v 1 2 3\n")


@case("vertices and faces")
def a_cloud_of_points(folder: Path) -> Path:
    return put(folder, "mesh.ply", ply("", faces=0))


@case("positive area")
def a_matrix_of_nothing(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(nodes=[{"mesh": 0, "matrix": [0.0] * 16}]))


# ---- names that lead elsewhere, and pictures that are none


@case("outside of it")
def a_buffer_outside_the_folder(folder: Path) -> Path:
    put(folder.parent, "secret.bin", POINTS.astype("<f4").tobytes())
    return put(folder, "mesh.gltf", gltf(buffers=[{"byteLength": 72, "uri": "../secret.bin"}]))


@case("the absolute path")
def a_buffer_by_an_absolute_name(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(buffers=[{"byteLength": 72, "uri": "/etc/passwd"}]))


@case("nothing is downloaded")
def a_buffer_by_an_address(folder: Path) -> Path:
    return put(folder, "mesh.gltf", gltf(buffers=[{"byteLength": 72, "uri": "http://example.org/a.bin"}]))


@case("a link that leads outside")
def a_link_out_of_the_folder(folder: Path) -> Path:
    put(folder.parent, "outside.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mesh.obj").symlink_to(folder.parent / "outside.obj")
    return folder / "mesh.obj"


@case("texture none.png: expected a readable file; got no such file")
def a_texture_that_is_missing(folder: Path) -> Path:
    return put(folder, "mesh.gltf", textured("none.png"))


@case("texture text.png: expected one of")
def a_texture_that_is_text(folder: Path) -> Path:
    put(folder, "text.png", "no picture")
    return put(folder, "mesh.gltf", textured("text.png"))


@case("texture half.png: expected a picture")
def a_texture_that_is_truncated(folder: Path) -> Path:
    put(folder, "half.png", png(64, 64, rows=64)[:60])
    return put(folder, "mesh.gltf", textured("half.png"))


@case("texture bomb.png: expected at most")
def a_texture_that_would_fill_the_memory(folder: Path) -> Path:
    put(folder, "bomb.png", png(60_000, 60_000, rows=2))
    return put(folder, "mesh.gltf", textured("bomb.png"))


@case("outside of it")
def a_texture_outside_the_folder(folder: Path) -> Path:
    put(folder.parent, "secret.png", png(4, 4, rows=4))
    return put(folder, "mesh.gltf", textured("../secret.png"))


@case("expected a plain file")
def a_pipe(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "mesh.obj")
    return folder / "mesh.obj"
