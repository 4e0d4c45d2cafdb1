"""Users' meshes: what stands in the file comes through; what is broken is one line; nothing leaves the folder."""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError
from twinset.generators.rendering.mesh_files import (
    MeshReport,
    MeshSettings,
    class_folders,
    read_mesh,
    read_meshes,
)
from twinset.generators.rendering.mesh_files import polygons as cutting
from twinset.generators.rendering.mesh_files.polygons import TooIntricateError, triangles_of
from twinset.generators.rendering.meshes import Mesh
from twinset.images import encode_png

TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=np.float64)
SIDES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
"""Counter-clockwise seen from outside."""

ASIS = MeshSettings(standing=False)
OBJ = "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 3\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"
PICTURE = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], dtype=np.uint8)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def corner_set(mesh: Mesh) -> set[tuple[tuple[float, ...], ...]]:
    """Faces as corner points, each turned so that its least point comes first: equal up to order and start."""
    found = set()
    for face in mesh.corners.astype(np.float64).round(5) + 0.0:
        points = [tuple(point) for point in face.tolist()]
        first = points.index(min(points))
        found.add(tuple(points[first:] + points[:first]))
    return found


def stl(points: NDArray[np.float64], *, count: int | None = None) -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *face.ravel(), 0) for face in points)
    return b"\0" * 80 + struct.pack("<I", len(points) if count is None else count) + body


def gltf(**changes: object) -> dict[str, object]:
    """The tetrahedron as glTF with its buffer in a data address: 48 bytes of positions, 24 of indices."""
    data = TETRAHEDRON.astype("<f4").tobytes() + SIDES.astype("<u2").tobytes()
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
        "bufferViews": [
            {"buffer": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 24},
        ],
        "buffers": [{"byteLength": len(data), "uri": inline(data)}],
    }
    return document | changes


def inline(data: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


def save(folder: Path, document: dict[str, object], name: str = "mesh.gltf") -> Path:
    return put(folder, name, json.dumps(document))


def y_up(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """By hand: what was up (y) becomes z, what came towards the viewer (z) becomes −y."""
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)


def expected(points: NDArray[np.float64]) -> set[tuple[tuple[float, ...], ...]]:
    return corner_set(Mesh(points.astype(np.float32), SIDES.astype(np.int32)))


# ---- the same solid in every format


def ply_text(**_: object) -> str:
    rows = "\n".join(" ".join(f"{x:g}" for x in row) for row in TETRAHEDRON)
    faces = "\n".join("3 " + " ".join(map(str, face)) for face in SIDES)
    return (
        "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 4\nproperty float x\nproperty float y\n"
        f"property float z\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n{rows}\n{faces}\n"
    )


def ply_packed(order: str, faces: list[list[int]] | None = None, count: int | None = None) -> bytes:
    faces = SIDES.tolist() if faces is None else faces
    name = {"<": "little", ">": "big"}[order]
    head = (
        f"ply\nformat binary_{name}_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
        f"property double z\nelement face {len(faces) if count is None else count}\n"
        "property list uchar int vertex_index\nend_header\n"
    )
    body = TETRAHEDRON.astype(order + "f8").tobytes()
    return head.encode() + body + b"".join(struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)


STL_TEXT = (
    "solid a\n"
    + "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join("vertex {:g} {:g} {:g}\n".format(*TETRAHEDRON[corner]) for corner in face)
        + "endloop\nendfacet\n"
        for face in SIDES
    )
    + "endsolid a\n"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.obj", OBJ),
        ("backwards.obj", OBJ.replace("f 1 3 2", "f -4 -2 -3")),
        ("A.PLY", ply_text()),
        ("little.ply", ply_packed("<")),
        ("big.ply", ply_packed(">")),
        ("packed.stl", stl(TETRAHEDRON[SIDES])),
        ("text.stl", STL_TEXT),
    ],
)
def test_a_solid_is_the_same_from_every_format(tmp_path: Path, name: str, content: str | bytes) -> None:
    mesh, report = read_mesh(put(tmp_path, name, content), ASIS)
    assert corner_set(mesh) == expected(TETRAHEDRON)
    assert (report.vertices, report.faces, report.degenerate) == (4, 4, 0)
    assert report.closed
    assert not report.turned
    assert report.lines() == []
    assert report.size_metres == (1.0, 2.0, 3.0)
    assert list(report.files) == [name]
    assert len(report.files[name]) == 64


def test_gltf_comes_from_y_up_to_z_up(tmp_path: Path) -> None:
    mesh, report = read_mesh(save(tmp_path, gltf()), ASIS)
    assert corner_set(mesh) == expected(y_up(TETRAHEDRON))
    assert report.size_metres == (1.0, 3.0, 2.0)
    assert corner_set(read_mesh(tmp_path / "mesh.gltf", MeshSettings(standing=False, up="z"))[0]) == expected(
        TETRAHEDRON
    )


def test_glb_is_the_same_as_its_text(tmp_path: Path) -> None:
    document = gltf()
    data = base64.b64decode(str(document["buffers"][0]["uri"]).partition(",")[2])  # type: ignore[index]
    document["buffers"] = [{"byteLength": len(data)}]
    packed, _ = read_mesh(put(tmp_path, "a.glb", glb(document, data)), ASIS)
    assert corner_set(packed) == expected(y_up(TETRAHEDRON))


def glb(document: dict[str, object], data: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def test_scale_height_and_standing(tmp_path: Path) -> None:
    path = put(tmp_path, "a.obj", OBJ)
    assert read_mesh(path, MeshSettings(scale=0.001))[1].size_metres == pytest.approx((0.001, 0.002, 0.003))
    tall, report = read_mesh(path, MeshSettings(height_metres=1.5))
    assert report.size_metres == pytest.approx((0.5, 1.0, 1.5))
    assert tall.bounds.tolist() == [[-0.25, -0.5, 0.0], [0.25, 0.5, 1.5]]
    assert read_mesh(path, MeshSettings(up="y"))[1].size_metres == (1.0, 3.0, 2.0)


# ---- nodes, materials, textures


def test_node_transforms_are_shift_turn_scale_from_the_root_down(tmp_path: Path) -> None:
    half = 0.5**0.5  # a quarter turn about x: y → z, z → −y
    nodes = [
        {"children": [1], "translation": [10, 0, 0], "rotation": [half, 0, 0, half], "scale": [2, 1, 1]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 5, 0, 1]},
    ]
    mesh, _ = read_mesh(save(tmp_path, gltf(nodes=nodes)), ASIS)
    moved = TETRAHEDRON + np.array([0, 5, 0])
    turned = np.stack([10 + 2 * moved[:, 0], -moved[:, 2], moved[:, 1]], axis=1)
    assert corner_set(mesh) == expected(y_up(turned))


def test_a_mirrored_node_keeps_its_outside_outside(tmp_path: Path) -> None:
    mesh, report = read_mesh(save(tmp_path, gltf(nodes=[{"mesh": 0, "scale": [-1, 1, 1]}])), ASIS)
    assert volume(mesh) == pytest.approx(1.0)
    assert not report.turned


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.corners.astype(np.float64).transpose(1, 0, 2)
    return float(np.einsum("fk,fk->", a, np.cross(b, c)) / 6)


def test_a_closed_surface_that_is_inside_out_is_turned(tmp_path: Path) -> None:
    mesh, report = read_mesh(put(tmp_path, "a.stl", stl(TETRAHEDRON[SIDES[:, ::-1]])))
    assert report.turned
    assert volume(mesh) == pytest.approx(1.0)


TEXTURED = (
    "mtllib its own.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
    "usemtl skin\nf 1/1/1 2/2/1 3/3/1\nusemtl bare\nf 1/1/1 3/3/1 4/4/1\n"
)
LIBRARY = (
    "newmtl skin\nKd 1 1 1\nNs 98\nmap_Kd -s 1 1 1 -clamp on images/red brick.png\n"
    "newmtl bare\nKd 0.25 0.5 0.75\nPr 0.3\nPm 1\n"
)


def test_obj_keeps_materials_textures_and_coordinates(tmp_path: Path) -> None:
    put(tmp_path, "its own.mtl", LIBRARY)
    put(tmp_path, "images/red brick.png", encode_png(PICTURE))
    mesh, report = read_mesh(put(tmp_path, "a.obj", TEXTURED), ASIS)
    skin, bare = (mesh.materials[kind] for kind in mesh.face_materials)  # type: ignore[union-attr]
    assert skin.texture is not None
    assert skin.texture.tolist() == PICTURE.tolist()
    assert skin.roughness == pytest.approx((2 / 100) ** 0.25)
    assert bare.colour == (0.25, 0.5, 0.75)
    assert (bare.roughness, bare.metallic) == (0.3, 1.0)
    assert mesh.uv is not None
    assert mesh.uv.tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]
    assert mesh.normals is not None
    assert (mesh.normals == [0, 0, 1]).all()
    assert sorted(report.files) == ["a.obj", "images/red brick.png", "its own.mtl"]
    assert report.textures == 1
    assert report.boundary_edges == 4


def test_gltf_colours_become_srgb_and_coordinates_point_up(tmp_path: Path) -> None:
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype="<f4")
    document = gltf()
    document["buffers"] = [*document["buffers"], {"byteLength": 32, "uri": inline(uv.tobytes())}]  # type: ignore[misc]
    document["bufferViews"] = [*document["bufferViews"], {"buffer": 1, "byteLength": 32}]  # type: ignore[misc]
    accessor = {"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"}
    document["accessors"] = [*document["accessors"], accessor]  # type: ignore[misc]
    document["meshes"] = [
        {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}]}
    ]
    document["images"] = [{"uri": "sk%69n.png"}]
    document["textures"] = [{"source": 0}]
    document["materials"] = [
        {
            "pbrMetallicRoughness": {
                "baseColorFactor": [0.21404114, 1, 0, 1],
                "metallicFactor": 0.5,
                "baseColorTexture": {
                    "index": 0,
                    "extensions": {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [2, 1]}},
                },
            }
        }
    ]
    put(tmp_path, "skin.png", encode_png(PICTURE))
    mesh, _ = read_mesh(save(tmp_path, document), ASIS)
    (material,) = mesh.materials
    assert material.colour == pytest.approx((0.5, 1, 0), abs=1e-4)
    assert (material.metallic, material.roughness) == (0.5, 1.0)
    assert material.texture is not None
    assert material.texture.tolist() == PICTURE.tolist()
    assert mesh.uv is not None
    assert mesh.uv[0].tolist() == [[0.5, 1.0], [0.5, 0.0], [2.5, 1.0]]  # face 0 2 1 of the file


def test_colours_on_vertices_become_materials_of_faces(tmp_path: Path) -> None:
    lines = OBJ.replace("v 0 0 0", "v 0 0 0 1 0 0").replace("v 1 0 0", "v 1 0 0 1 0 0")
    lines = lines.replace("v 0 2 0", "v 0 2 0 1 0 0").replace("v 0 0 3", "v 0 0 3 1 1 0")
    mesh, _ = read_mesh(put(tmp_path, "a.obj", lines), ASIS)
    colours = [mesh.materials[kind].colour for kind in mesh.face_materials]  # type: ignore[union-attr]
    grey = 0.7
    assert colours[0] == pytest.approx((grey, 0, 0))
    assert all(colour == pytest.approx((grey, grey / 3, 0)) for colour in colours[1:])


# ---- polygons


def areas(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b, c = points[triangles].transpose(1, 0, 2)
    return np.asarray(np.cross(b - a, c - a) / 2)


@pytest.mark.parametrize("start", range(8))
def test_a_concave_polygon_is_cut_without_leaving_it(start: int) -> None:
    letter = np.array([[0, 0], [3, 0], [3, 3], [2, 3], [2, 1], [1, 1], [1, 3], [0, 3]], dtype=np.float64)  # a U
    turned = np.roll(letter, start, axis=0)
    across, upwards = np.array([0.6, 0.8, 0]), np.array([0, 0, 1.0])
    points = turned @ np.stack([across, upwards])
    triangles, owners = triangles_of(points, np.array([8]), np.arange(8))
    parts = areas(points, triangles) @ np.cross(across, upwards)
    assert (owners == 0).all()
    assert len(triangles) == 6
    assert (parts > 0).all()
    assert parts.sum() == pytest.approx(7.0)


def test_polygons_are_counted_and_keep_their_corners(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt .5 0\nvt .5 .5\nvt 0 .5\nf 1/1 2/2 3/3 4/4\n"
    mesh, report = read_mesh(put(tmp_path, "a.obj", text), ASIS)
    assert report.triangulated == 1
    assert report.faces == 2
    assert mesh.uv is not None
    assert np.allclose(mesh.uv, mesh.corners[..., :2] / 2)
    mixed, report = read_mesh(put(tmp_path, "a.ply", ply_packed("<", [[0, 2, 1], [0, 1, 2, 3], [0, 1]])), ASIS)
    assert (report.triangulated, report.degenerate, len(mixed.faces)) == (1, 1, 3)


def test_intricate_polygons_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "MOST_LOOKS", 1000)
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    star = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1) * np.where(np.arange(400) % 2, 1, 0.5)[:, None]
    with pytest.raises(TooIntricateError):
        triangles_of(star, np.array([400]), np.arange(400))


def test_faces_without_area_and_loose_vertices_are_dropped_and_counted(tmp_path: Path) -> None:
    text = OBJ + "v 9 9 9\nv 2 0 0\nf 1 1 2\nf 1 2 6\nl 1 2\np 1\n"
    mesh, report = read_mesh(put(tmp_path, "a.obj", text), ASIS)
    assert corner_set(mesh) == expected(TETRAHEDRON)
    assert (report.degenerate, report.unused_vertices, dict(report.ignored)) == (2, 2, {"lines": 1, "points": 1})
    assert len(report.lines()) == 4


def test_a_surface_that_is_no_manifold_is_told(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nv 0 -1 0\nf 1 2 3\nf 1 2 4\nf 1 2 5\n"
    report = read_mesh(put(tmp_path, "a.obj", text))[1]
    assert (report.crowded_edges, report.boundary_edges, report.closed) == (1, 6, False)


# ---- what is broken


def refused(path: Path, settings: MeshSettings = ASIS) -> str:
    with pytest.raises(DatasetFormatError) as caught:
        read_mesh(path, settings)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert "expected" in text
    assert "got" in text
    return text


BROKEN: dict[str, tuple[str, str | bytes, str]] = {
    "nan": ("a.obj", OBJ.replace("v 1 0 0", "v nan 0 0"), "finite vertices"),
    "infinite": ("a.ply", ply_text().replace("0 2 0", "0 inf 0"), "finite vertices"),
    "word": ("a.obj", OBJ.replace("v 1 0 0", "v 1 x 0"), ":2: "),
    "zero index": ("a.obj", OBJ.replace("f 1 3 2", "f 0 3 2"), ":5: "),
    "index past the end": ("a.obj", OBJ.replace("f 1 3 2", "f 1 3 9"), "vertices 0…3; got vertex 8"),
    "texture index": ("a.obj", OBJ.replace("f 1 3 2", "f 1/7 3/7 2/7"), "vt lines"),
    "empty obj": ("a.obj", "", "0 vertices"),
    "points only": ("a.obj", "v 0 0 0\nv 1 1 1\n", "0 faces"),
    "flat": ("a.obj", "v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "positive area"),
    "binary obj": ("a.obj", bytes(range(256)) * 9, "0 vertices"),
    "long line": ("a.obj", "f" + " 1" * 600_000, "lines under"),
    "empty stl": ("a.stl", b"", "got 0 bytes"),
    "stl without triangles": ("a.stl", stl(np.zeros((0, 3, 3))), "0 vertices"),
    "truncated stl": ("a.stl", stl(TETRAHEDRON[SIDES])[:-20], "announce 4 triangles"),
    "stl of 4 billion": ("a.stl", stl(TETRAHEDRON[SIDES], count=2**32 - 1), "announce 4294967295"),
    "truncated text stl": ("a.stl", STL_TEXT[:-60], "endsolid"),
    "stl words": ("a.stl", STL_TEXT.replace("vertex 1 0 0", "vertex one 0 0"), "numbers"),
    "stl lost vertex": ("a.stl", STL_TEXT.replace("vertex 1 0 0\n", "", 1), "3 vertices in each"),
    "no ply": ("a.ply", b"\x89PNG", "PLY header"),
    "endless ply header": ("a.ply", b"ply\n" + b"comment a\n" * 9000, "PLY header"),
    "truncated ply": ("a.ply", ply_packed("<")[:-3], "4 rows of face"),
    "ply of 10**12": ("a.ply", ply_packed("<", count=10**12), "1000000000000 rows"),
    "text ply of 10**12": ("a.ply", ply_text().replace("element face 4", "element face 1000000000000"), "rows of face"),
    "ply list past the end": ("a.ply", ply_packed("<")[:-13] + b"\xff" + b"\0" * 12, "rows of face"),
    "ply index": ("a.ply", ply_packed("<", [[0, 1, 77]]), "got vertex 77"),
    "ply type": ("a.ply", ply_text().replace("float y", "quad y"), ":6: "),
    "ply property first": ("a.ply", "ply\nproperty float x\nend_header\n", ":2: "),
    "ply words": ("a.ply", ply_text().replace("0 2 0", "0 two 0"), "numbers"),
    "not json": ("a.gltf", "{", "glTF 2.0"),
    "deep json": ("a.gltf", '{"asset":{"version":"2.0"},"extras":' + "[" * 100_000, "glTF 2.0"),
    "no glb": ("a.glb", b"glTF", "GLB"),
    "truncated glb": ("a.glb", glb(gltf(), b"1234")[:-2], "truncated"),
    "glb 1": ("a.glb", b"glTF" + struct.pack("<II", 1, 20) + b"\0" * 8, "version 1"),
    "glb chunk": ("a.glb", b"glTF" + struct.pack("<IIII", 2, 24, 2**32 - 1, 0x4E4F534A) + b"{}  ", "chunk of"),
    "suffix": ("a.fbx", b"Kaydara", "mesh file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line(tmp_path: Path, name: str) -> None:
    file, content, words = BROKEN[name]
    assert words in refused(put(tmp_path, file, content))


def change(*path: str | int, to: object) -> Callable[[], dict[str, object]]:
    def made() -> dict[str, object]:
        document = gltf()
        place: object = document
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] = to  # type: ignore[index]
        return document

    return made


HOSTILE_GLTF: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "version": (change("asset", "version", to="1.0"), "version '1.0'"),
    "huge count": (change("accessors", 0, "count", to=10**15), "at most"),
    "count past view": (change("accessors", 0, "count", to=5), "48 bytes of its view"),
    "negative count": (change("accessors", 0, "count", to=-1), "glTF 2.0"),
    "view past buffer": (change("bufferViews", 0, "byteLength", to=10**9), "within 72 bytes"),
    "zero stride": (change("bufferViews", 0, "byteStride", to=1), "of its view"),
    "huge stride": (change("bufferViews", 0, "byteStride", to=10**12), "of its view"),
    "offset": (change("accessors", 0, "byteOffset", to=10), "of its view"),
    "kind": (change("accessors", 0, "componentType", to=7), "known kind"),
    "no view": (change("accessors", 0, "bufferView", to=9), "buffer views"),
    "no buffer": (change("bufferViews", 0, "buffer", to=3), "buffers"),
    "no accessor": (change("meshes", 0, "primitives", 0, "indices", to=9), "accessors"),
    "no mesh": (change("nodes", 0, "mesh", to=4), "1 meshes"),
    "no node": (change("scenes", 0, "nodes", to=[7]), "1 nodes"),
    "no scene": (change("scene", to=3), "scenes"),
    "no material": (change("meshes", 0, "primitives", 0, "material", to=0), "materials"),
    "circle": (change("nodes", to=[{"children": [0], "mesh": 0}]), "twice, or in a circle"),
    "two parents": (change("nodes", to=[{"children": [1, 1]}, {"mesh": 0}]), "twice"),
    "matrix": (change("nodes", 0, "matrix", to=[1, 2]), "16 numbers"),
    "rotation": (change("nodes", 0, "rotation", to=[0, 0, 0, 0]), "rotation"),
    "huge scale": (change("nodes", 0, "scale", to=[1e300, 1e300, 1e300]), "1e9 metres"),
    "nothing drawn": (change("meshes", 0, "primitives", 0, "mode", to=0), "0 vertices"),
    "draco": (change("extensionsRequired", to=["KHR_draco_mesh_compression"]), "KHR_draco"),
    "bad base64": (change("buffers", 0, "uri", to="data:a;base64,!!"), "base64"),
    "percent data": (change("buffers", 0, "uri", to="data:,aaaa"), "base64"),
}


@pytest.mark.parametrize("name", HOSTILE_GLTF)
def test_a_hostile_gltf_is_one_line(tmp_path: Path, name: str) -> None:
    document, words = HOSTILE_GLTF[name]
    assert words in refused(save(tmp_path, document()))


def test_many_nodes_of_one_mesh_count_before_they_are_made(tmp_path: Path) -> None:
    document = gltf(nodes=[{"mesh": 0}] * 1000, scenes=[{"nodes": list(range(1000))}])
    assert "at most 100 triangles" in refused(save(tmp_path, document), MeshSettings(most_faces=100))
    assert read_mesh(save(tmp_path, document))[1].faces == 4000


def test_a_chain_of_nodes_as_deep_as_the_file_is_long(tmp_path: Path) -> None:
    deep: list[dict[str, object]] = [{"children": [n + 1], "translation": [0.001, 0, 0]} for n in range(20_000)]
    mesh, _ = read_mesh(save(tmp_path, gltf(nodes=[*deep, {"mesh": 0}])), ASIS)
    assert mesh.bounds[0, 0] == pytest.approx(20.0, rel=1e-5)


ESCAPES = [
    "../../etc/passwd",
    "/etc/passwd",
    "http://a.example/b.png",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "..\\secret.png",
    "a/../../secret.png",
    "C:\\secret.png",
    "//host/secret.png",
    "%2e%2e/secret.png",
]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("missing", ["refuse", "plain"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, missing: str) -> None:
    put(tmp_path, "secret.png", encode_png(PICTURE))
    own = tmp_path / "own"
    settings = MeshSettings(missing_textures=missing)  # type: ignore[arg-type]
    put(own, "a.mtl", f"newmtl m\nmap_Kd {name}\n")
    text = refused(put(own, "a.gltf", json.dumps(change("buffers", 0, "uri", to=name)())), settings)
    assert "folder" in text
    if not name.startswith("%"):  # blanks are written so in glTF alone
        assert "folder" in refused(put(own, "a.obj", "mtllib a.mtl\nusemtl m\n" + OBJ), settings)
        assert "folder" in refused(put(own, "b.obj", f"mtllib {name}\n" + OBJ), settings)
        ply = ply_text().replace("made by hand", f"x\ncomment TextureFile {name}")
        assert "folder" in refused(put(own, "a.ply", ply), settings)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes")
def test_links_out_and_pipes_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "secret.mtl", "newmtl m\n")
    path = put(tmp_path / "own", "a.obj", "mtllib a.mtl\n" + OBJ)
    (tmp_path / "own" / "a.mtl").symlink_to(tmp_path / "secret.mtl")
    assert "leads outside" in refused(path)
    (tmp_path / "own" / "a.mtl").unlink()
    os.mkfifo(tmp_path / "own" / "a.mtl")
    assert "pipe" in refused(path)


def test_a_name_may_climb_within_the_given_folder(tmp_path: Path) -> None:
    put(tmp_path, "images/skin.png", encode_png(PICTURE))
    put(tmp_path, "models/a.mtl", "newmtl m\nmap_Kd ../images/skin.png\n")
    path = put(tmp_path, "models/a.obj", "mtllib a.mtl\nusemtl m\n" + OBJ)
    assert "folder" in refused(path)
    mesh, report = read_mesh(path, within=tmp_path)
    assert mesh.materials[0].texture is not None
    assert "images/skin.png" in report.files


@pytest.mark.parametrize("content", [None, b"not a picture", b"", encode_png(PICTURE)[:40]])
@pytest.mark.parametrize("name", ["skin.png", "images/skin.png"])
def test_a_missing_texture_is_refused_or_counted(tmp_path: Path, content: bytes | None, name: str) -> None:
    put(tmp_path, "a.mtl", f"newmtl m\nKd 1 0 0\nmap_Kd {name}\n")
    if content is not None:
        put(tmp_path, name, content)
    path = put(tmp_path, "a.obj", "mtllib a.mtl\nusemtl m\n" + OBJ)
    assert name in refused(path)
    assert "missing_textures: plain" in refused(path)
    mesh, report = read_mesh(path, MeshSettings(missing_textures="plain"))
    assert report.missing_textures == (name,)
    assert mesh.materials[0].colour == (1, 0, 0)
    assert name in report.lines()[0]


def test_a_missing_material_library_is_refused_or_counted(tmp_path: Path) -> None:
    path = put(tmp_path, "a.obj", "mtllib gone.mtl\nusemtl m\n" + OBJ)
    assert "missing_textures: plain" in refused(path)
    _, report = read_mesh(path, MeshSettings(missing_textures="plain"))
    assert report.missing_textures == ("gone.mtl",)
    out = put(tmp_path, "b.obj", "mtllib ../gone.mtl\nusemtl m\n" + OBJ)
    assert "outside" in refused(out, MeshSettings(missing_textures="plain"))


@pytest.mark.parametrize("first", ["mtllib a.mtl\nusemtl m\n" + OBJ, OBJ])
def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path, first: str) -> None:
    put(tmp_path, "a.mtl", "newmtl m\nKd 1 0 0\n")
    mesh, _ = read_mesh(put(tmp_path, "a.obj", "\ufeff" + first))
    assert len(mesh.faces) == 4
    assert mesh.materials[0].colour == ((1, 0, 0) if "usemtl" in first else (0.7, 0.7, 0.7))


@pytest.mark.parametrize("settings", [MeshSettings(), MeshSettings(scale=0.25), MeshSettings(height_metres=3.0)])
@pytest.mark.parametrize("up", ["y", "z"])
def test_the_frame_takes_the_files_coordinates_to_the_meshs(
    tmp_path: Path, settings: MeshSettings, up: Literal["y", "z"]
) -> None:
    mesh, report = read_mesh(put(tmp_path, "a.obj", OBJ), replace(settings, up=up))
    moved = TETRAHEDRON @ report.frame[:3, :3].T + report.frame[:3, 3]
    assert corner_set(mesh) == expected(moved)


def test_limits_of_bytes_vertices_faces_and_texels(tmp_path: Path) -> None:
    put(tmp_path, "a.mtl", "newmtl m\nmap_Kd skin.png\n")
    put(tmp_path, "skin.png", encode_png(np.zeros((100, 100, 3), dtype=np.uint8)))
    path = put(tmp_path, "a.obj", "mtllib a.mtl\nusemtl m\n" + OBJ)
    assert read_mesh(path, MeshSettings(most_vertices=4, most_faces=4, most_texels=10_000))[1].faces == 4
    assert "9999 texels" in refused(path, MeshSettings(most_texels=9999))
    assert "3 vertices" in refused(path, MeshSettings(most_vertices=3))
    assert "3 triangles" in refused(path, MeshSettings(most_faces=3))
    assert "bytes" in refused(path, MeshSettings(most_bytes=50))
    assert "bytes" in refused(path, MeshSettings(most_bytes=path.stat().st_size + 5))


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = bytearray(encode_png(PICTURE))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    put(tmp_path, "a.mtl", "newmtl m\nmap_Kd skin.png\n")
    put(tmp_path, "skin.png", bytes(bomb))
    refused(put(tmp_path, "a.obj", "mtllib a.mtl\nusemtl m\n" + OBJ))


def test_any_cut_of_a_file_reads_or_is_one_line(tmp_path: Path) -> None:
    files = {
        "a.obj": OBJ.encode(),
        "a.ply": ply_packed("<"),
        "b.ply": ply_text().encode(),
        "a.stl": stl(TETRAHEDRON[SIDES]),
        "b.stl": STL_TEXT.encode(),
        "a.gltf": json.dumps(gltf()).encode(),
        "a.glb": glb(gltf(), b"1234"),
    }
    rng = np.random.default_rng(0)
    for name, content in files.items():
        for _ in range(60):
            data = bytearray(content[: int(rng.integers(len(content) + 1))])
            for place in rng.integers(max(len(data), 1), size=int(rng.integers(4))):
                if data:
                    data[place] = int(rng.integers(256))
            problem = ""
            try:
                read_mesh(put(tmp_path, name, bytes(data)))
            except DatasetFormatError as error:
                problem = str(error)
            assert "\n" not in problem


# ---- against an independent reader


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply", "stl"])
def test_what_trimesh_writes_is_what_we_read(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    solid = trimesh.creation.torus(1.0, 0.25, major_sections=20, minor_sections=12)
    solid.apply_translation([3.0, 2.0, 1.0])
    path = tmp_path / f"torus.{suffix}"
    solid.export(path)
    mesh, report = read_mesh(path, MeshSettings(up="z", standing=False))
    assert corner_set(mesh) == corner_set(Mesh(solid.vertices.astype(np.float32), solid.faces.astype(np.int32)))
    assert report.closed
    assert not report.turned
    assert volume(mesh) == pytest.approx(solid.volume, rel=1e-4)


def test_a_textured_scene_of_trimesh_keeps_its_places(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    from PIL import Image

    box = trimesh.creation.box((1, 2, 3))
    uv = np.random.default_rng(0).random((len(box.vertices), 2))
    box.visual = trimesh.visual.TextureVisuals(uv=uv, image=Image.fromarray(PICTURE))
    scene = trimesh.Scene()
    turn = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3), (4, 5, 6))
    scene.add_geometry(box, transform=turn)
    scene.add_geometry(trimesh.creation.icosphere(subdivisions=1))
    scene.export(tmp_path / "a.glb")
    mesh, report = read_mesh(tmp_path / "a.glb", MeshSettings(up="z", standing=False))
    assert np.allclose(mesh.bounds, scene.bounds, atol=1e-5)
    assert report.textures == 1
    assert report.faces == 12 + 80
    textured = [n for n, material in enumerate(mesh.materials) if material.texture is not None]
    rows = np.isin(mesh.face_materials, textured)
    assert rows.sum() == 12
    assert mesh.uv is not None
    picture = mesh.materials[textured[0]].texture
    assert picture is not None
    assert picture.tolist() == PICTURE.tolist()
    assert {tuple(x) for x in mesh.uv[rows].reshape(-1, 2).round(4).tolist()} == {
        tuple(x) for x in uv.astype(np.float32).round(4).tolist()
    }


# ---- folders


def test_classes_are_folders_in_natural_order(tmp_path: Path) -> None:
    for name in ("chair/10.obj", "chair/2.obj", "Bag/deep/er/a.OBJ", "chair/.hidden.obj"):
        put(tmp_path, name, OBJ)
    put(tmp_path, "chair/notes.txt", "x")
    put(tmp_path, "empty/notes.txt", "x")
    found = class_folders(tmp_path)
    assert dict(found.files) == {"Bag": ("Bag/deep/er/a.OBJ",), "chair": ("chair/2.obj", "chair/10.obj")}
    assert found.classes == ("Bag", "chair")
    assert [name for name, _ in read_meshes(tmp_path)] == ["Bag/deep/er/a.OBJ", "chair/2.obj", "chair/10.obj"]
    put(tmp_path, "chair/notes.txt", "y")
    assert class_folders(tmp_path).digest != found.digest
    put(tmp_path, "chair/notes.txt", "x")
    assert class_folders(tmp_path) == found


def test_folders_without_classes_are_told(tmp_path: Path) -> None:
    for call in (class_folders, read_meshes):
        with pytest.raises(DatasetFormatError, match="got none"):
            call(tmp_path)
    put(tmp_path, "chair/a.obj", OBJ)
    put(tmp_path, "b.obj", OBJ)
    with pytest.raises(DatasetFormatError, match=r"b\.obj beside them"):
        class_folders(tmp_path)
    with pytest.raises(DatasetFormatError):
        class_folders(tmp_path / "absent")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0.0},
        {"scale": float("nan")},
        {"height_metres": -1.0},
        {"scale": 2.0, "height_metres": 1.0},
        {"up": "x"},
        {"most_faces": 0},
        {"most_faces": 10**9},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        MeshSettings(**wrong)  # type: ignore[arg-type]


def test_a_flat_mesh_has_no_height_to_scale(tmp_path: Path) -> None:
    flat = put(tmp_path, "a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert "flat" in refused(flat, MeshSettings(height_metres=2.0))


def test_a_report_is_frozen_inside() -> None:
    report = MeshReport(1, 1, (1.0, 1.0, 1.0), ignored={"lines": 1})
    with pytest.raises(TypeError):
        report.ignored["lines"] = 2  # type: ignore[index]


# ---- glTF's ways of storing numbers


SQUARE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype="<f4")


def drawn(folder: Path, mode: int, indices: list[int] | None) -> set[tuple[tuple[float, ...], ...]]:
    """The faces of the square's corners in a mode of drawing, by their numbers."""
    extra = np.array(indices or [], dtype="<u2").tobytes()
    primitive: dict[str, object] = {"attributes": {"POSITION": 0}, "mode": mode}
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"}]
    views = [{"buffer": 0, "byteLength": 48}]
    if indices is not None:
        primitive["indices"] = 1
        accessors.append({"bufferView": 1, "componentType": 5123, "count": len(indices), "type": "SCALAR"})
        views.append({"buffer": 0, "byteOffset": 48, "byteLength": len(extra)})
    document = gltf(
        meshes=[{"primitives": [primitive]}],
        accessors=accessors,
        bufferViews=views,
        buffers=[{"byteLength": 48 + len(extra), "uri": inline(SQUARE.tobytes() + extra)}],
    )
    return corner_set(read_mesh(save(folder, document), MeshSettings(up="z", standing=False))[0])


def faces_of(*faces: tuple[int, int, int]) -> set[tuple[tuple[float, ...], ...]]:
    return corner_set(Mesh(SQUARE, np.array(faces, dtype=np.int32)))


def test_strips_and_fans_are_triangles_that_face_one_way(tmp_path: Path) -> None:
    assert drawn(tmp_path, 5, None) == faces_of((0, 1, 2), (2, 1, 3))
    assert drawn(tmp_path, 5, [1, 0, 3, 2]) == faces_of((1, 0, 3), (3, 0, 2))
    assert drawn(tmp_path, 6, [0, 1, 3, 2]) == faces_of((0, 1, 3), (0, 3, 2))
    assert drawn(tmp_path, 4, [0, 1, 2]) == faces_of((0, 1, 2))


def test_normals_stay_upright_on_surfaces_that_nodes_stretch(tmp_path: Path) -> None:
    half = 0.5**0.5
    normals = np.tile(np.array([0, half, half], dtype="<f4"), (4, 1))
    document = gltf(
        nodes=[{"mesh": 0, "scale": [1, 1, 3]}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1}, "mode": 5}]}],
        accessors=[{"bufferView": n, "componentType": 5126, "count": 4, "type": "VEC3"} for n in (0, 1)],
        bufferViews=[{"buffer": 0, "byteOffset": 48 * n, "byteLength": 48} for n in (0, 1)],
        buffers=[{"byteLength": 96, "uri": inline(SQUARE.tobytes() + normals.tobytes())}],
    )
    mesh, _ = read_mesh(save(tmp_path, document), MeshSettings(up="z", standing=False))
    assert mesh.normals is not None
    assert np.allclose(mesh.normals, np.array([0, 3, 1]) / 10**0.5, atol=1e-6)
    document["nodes"] = [{"mesh": 0, "scale": [1, -1, 1]}]
    mirrored, _ = read_mesh(save(tmp_path, document), MeshSettings(up="z", standing=False))
    assert mirrored.normals is not None
    assert np.allclose(mirrored.normals, [0, -half, half], atol=1e-6)


def test_interleaved_sparse_and_normalised_numbers(tmp_path: Path) -> None:
    rows = np.zeros(4, dtype=[("at", "<f4", 3), ("uv", "<u2", 2), ("pad", "<u4")])
    rows["at"], rows["uv"] = SQUARE, [[0, 0], [65535, 0], [0, 65535], [13107, 65535]]
    patch = np.array([3], dtype="<u1").tobytes() + b"\0\0\0" + np.array([7, 8, 9], dtype="<f4").tobytes()
    document = gltf(
        meshes=[{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "mode": 5}]}],
        accessors=[
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 4,
                "type": "VEC3",
                "sparse": {
                    "count": 1,
                    "indices": {"bufferView": 1, "componentType": 5121},
                    "values": {"bufferView": 1, "byteOffset": 4},
                },
            },
            {"bufferView": 0, "byteOffset": 12, "componentType": 5123, "count": 4, "type": "VEC2", "normalized": True},
        ],
        bufferViews=[
            {"buffer": 0, "byteLength": rows.nbytes, "byteStride": 20},
            {"buffer": 0, "byteOffset": rows.nbytes, "byteLength": 16},
        ],
        buffers=[{"byteLength": rows.nbytes + 16, "uri": inline(rows.tobytes() + patch)}],
    )
    mesh, _ = read_mesh(save(tmp_path, document), MeshSettings(up="z", standing=False))
    patched = SQUARE.copy()
    patched[3] = (7, 8, 9)
    assert corner_set(mesh) == corner_set(Mesh(patched, np.array([(0, 1, 2), (2, 1, 3)], dtype=np.int32)))
    assert mesh.uv is not None
    assert np.allclose(mesh.uv[1], [[0, 0], [1, 1], [0.2, 0]], atol=1e-6)
    document["accessors"][0]["sparse"]["count"] = 5  # type: ignore[index]
    assert "sparse" in refused(save(tmp_path, document))
