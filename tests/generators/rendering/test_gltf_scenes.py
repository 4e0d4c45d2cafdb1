"""A scene as glTF: it keeps the rules of the format, and comes back as it was, by our reader and by trimesh."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.mesh_files import MeshSettings, read_mesh
from twinset.generators.rendering.mesh_files.gltf_parts import parts_of, projected
from twinset.generators.rendering.mesh_files.gltf_scenes import scene_glb
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.generators.rendering.shapes import FAMILIES, built, draw
from twinset.images import decode

Json = dict[str, Any]
Floats = NDArray[np.float64]
CLASSES = ("chair", 'table <b>&"x"\n')
ASIS = MeshSettings(standing=False)
CAMERA = Camera.looking((3.0, -4.0, 3.5), (0, 0, 0.4), size=(90, 120), field_of_view_degrees=50, roll_degrees=7)
PATTERN = (
    np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 20]]], dtype=np.uint8)
    .repeat(16, 0)
    .repeat(16, 1)
)
"""Red above green's left, … : no two corners alike."""


def turned(angle: float, scale: float, shift: tuple[float, float, float]) -> Floats:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, :3] *= scale
    pose[:3, 3] = shift
    return pose


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Two chairs of one mesh, a table, a smooth ball of two materials, a pattern with coordinates; a catcher."""
    chair = built(FAMILIES["chair"], draw(FAMILIES["chair"], rng=3))
    table = built(FAMILIES["table"], draw(FAMILIES["table"], rng=1))
    corners = np.array([[-1, -1, 0.01], [1, -1, 0.01], [1, 1, 0.01], [-1, 1, 0.01]], dtype=np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    uv = (corners[:, :2] + 1) / 2 * (2, 1)
    rug = Mesh(corners, faces, (Material((1, 1, 1), 0.9, texture=PATTERN),), uv=uv[faces].astype(np.float32))
    return Scene(
        camera=CAMERA,
        objects=(
            Placed(chair, turned(0.4, 1.1, (-0.7, 0.3, 0.02)), 0, "chair/a", columns={"close_up": True}),
            Placed(chair, turned(2.0, 0.8, (0.9, 0.8, 0.0)), 0, "chair/a"),
            Placed(table, turned(-1.0, 1.0, (0.2, -1.2, 0.0)), 1, "table/b"),
            Placed(ball(), turned(0.0, 0.5, (1.2, -0.4, 0.5)), None, "ball"),
            Placed(rug, np.eye(4)),
            Placed(rug, np.eye(4), catcher=True),
        ),
        lights=(Light((0.3, -0.5, 1.0), strength=2.0, colour=(1.0, 0.8, 0.6)),),
        background=np.arange(90 * 120 * 3, dtype=np.uint32).reshape(90, 120, 3).astype(np.uint8),
    )


def ball() -> Mesh:
    found = trimesh.creation.icosphere(subdivisions=2)
    normals = found.vertices / np.linalg.norm(found.vertices, axis=1, keepdims=True)
    upper = (found.triangles_center[:, 2] > 0).astype(np.int32)
    paints = (Material((0.9, 0.1, 0.1), 0.2, 1.0), Material((0.1, 0.2, 0.9), 0.8))
    faces = np.asarray(found.faces, dtype=np.int32)
    return Mesh(
        found.vertices.astype(np.float32), faces, paints, upper, normals=normals[found.faces].astype(np.float32)
    )


@pytest.fixture(scope="module")
def file(scene: Scene) -> bytes:
    return scene_glb(scene, CLASSES, extras={"seed": 2**62 + 1})


def chunks(file: bytes) -> tuple[Json, bytes]:
    """Document and bytes, by section 4.4 of the specification, read by hand."""
    magic, version, length = struct.unpack_from("<4sII", file)
    assert (magic, version, length) == (b"glTF", 2, len(file))
    size, kind = struct.unpack_from("<I4s", file, 12)
    assert (kind, size % 4) == (b"JSON", 0)
    rest, name = struct.unpack_from("<I4s", file, 20 + size)
    assert (name, rest % 4, 28 + size + rest) == (b"BIN\0", 0, len(file))
    return cast("Json", json.loads(file[20 : 20 + size])), file[28 + size :]


def rows(document: Json, data: bytes, index: int) -> NDArray[Any]:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    kind = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    found = np.frombuffer(data, kind, accessor["count"] * width, view["byteOffset"])
    assert found.nbytes == view["byteLength"]
    return found.reshape(-1, width)


def placed(document: Json, index: int, above: Floats) -> Iterator[tuple[Json, Floats]]:
    """A node and all below it, with what maps them to the world."""
    node = document["nodes"][index]
    local = np.array(node["matrix"]).reshape(4, 4).T if "matrix" in node else np.eye(4)
    if "rotation" in node:
        x, y, z, w = node["rotation"]
        local = trimesh.transformations.quaternion_matrix((w, x, y, z))
    yield node, above @ local
    for child in node.get("children", ()):
        yield from placed(document, child, above @ local)


def nodes(document: Json) -> dict[str, list[tuple[Json, Floats]]]:
    found: dict[str, list[tuple[Json, Floats]]] = {}
    for root in document["scenes"][document["scene"]]["nodes"]:
        for node, matrix in placed(document, root, np.eye(4)):
            found.setdefault(node["name"], []).append((node, matrix))
    return found


def test_the_document_keeps_the_rules_of_the_format(file: bytes) -> None:
    document, data = chunks(file)
    assert document["asset"]["version"] == "2.0"
    assert document["asset"]["extras"] == {"seed": 2**62 + 1}
    assert document["buffers"] == [{"byteLength": len(data)}]
    ends = [0]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] >= ends[-1]  # none lies in another
        ends.append(view["byteOffset"] + view["byteLength"])
    assert len(data) - 4 < ends[-1] <= len(data)
    used = {view for primitive in primitives(document) for view in check(document, data, primitive)}
    used |= {image["bufferView"] for image in document["images"]}
    assert used == set(range(len(document["bufferViews"])))
    for image in document["images"]:
        view = document["bufferViews"][image["bufferView"]]
        assert "target" not in view
        assert decode(data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]).shape[2] == 3
    children = [child for node in document["nodes"] for child in node.get("children", ())]
    roots = document["scenes"][0]["nodes"]
    assert sorted([*children, *roots]) == list(range(len(document["nodes"])))
    assert all(document.values()) or document["scene"] == 0  # nothing empty is written
    for material in document["materials"]:
        colour = material["pbrMetallicRoughness"].get("baseColorFactor", [1, 1, 1, 1])
        assert len(colour) == 4
        assert all(0 <= part <= 1 for part in colour)


def primitives(document: Json) -> list[Json]:
    return [primitive for mesh in document["meshes"] for primitive in mesh["primitives"]]


def check(document: Json, data: bytes, primitive: Json) -> Iterator[int]:
    """The views of a primitive, whose numbers keep the rules of section 3.7.2."""
    accessors, views = document["accessors"], document["bufferViews"]
    counts = {accessors[index]["count"] for index in primitive["attributes"].values()}
    assert len(counts) == 1
    for name, index in primitive["attributes"].items():
        assert views[accessors[index]["bufferView"]]["target"] == 34962
        table = rows(document, data, index)
        if name == "POSITION":
            assert accessors[index]["min"] == table.min(0).astype(float).tolist()
            assert accessors[index]["max"] == table.max(0).astype(float).tolist()
        if name == "NORMAL":
            assert np.abs(np.linalg.norm(table, axis=1) - 1).max() < 5e-4
        yield accessors[index]["bufferView"]
    indices = rows(document, data, primitive["indices"])
    assert views[accessors[primitive["indices"]]["bufferView"]]["target"] == 34963
    assert len(indices) % 3 == 0
    assert set(np.unique(indices)) == set(range(counts.pop()))  # no vertex is unused, none missing
    assert 0 <= primitive["material"] < len(document["materials"])
    yield accessors[primitive["indices"]]["bufferView"]


def y_up(points: Floats) -> Floats:
    """By hand: z becomes y, y becomes −z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def sorted_corners(corners: Floats) -> Floats:
    """(N, 9) triangles, each from its least corner on, in order."""
    first = np.lexsort(corners.round(4).transpose(2, 0, 1)[::-1])[:, 0]
    started = np.take_along_axis(corners, ((first[:, None] + np.arange(3)) % 3)[..., None], axis=1).reshape(-1, 9)
    return started[np.lexsort(started.round(4).T[::-1])]


def world(scene: Scene) -> Floats:
    return np.concatenate([one.corners for one in scene.objects if not one.catcher])


def test_trimesh_finds_every_object_where_it_stands(scene: Scene, file: bytes) -> None:
    loaded = cast("trimesh.Scene", trimesh.load(io.BytesIO(file), file_type="glb"))
    corners = []
    for name in loaded.graph.nodes_geometry:
        matrix, geometry = loaded.graph[name]
        if not str(name).startswith("background"):
            mesh = cast("trimesh.Trimesh", loaded.geometry[geometry])
            corners.append(trimesh.transform_points(mesh.triangles.reshape(-1, 3), matrix).reshape(-1, 3, 3))
    np.testing.assert_allclose(
        sorted_corners(np.concatenate(corners)), sorted_corners(y_up(world(scene))), rtol=0, atol=1e-5
    )


def test_our_reader_finds_the_same_triangles_and_colours(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "scene.glb"
    bare = Scene(scene.camera, scene.objects, scene.lights)
    path.write_bytes(scene_glb(bare, CLASSES))
    mesh, _ = read_mesh(path, ASIS)
    np.testing.assert_allclose(
        sorted_corners(mesh.corners.astype(float)), sorted_corners(world(bare)), rtol=0, atol=1e-5
    )
    given = {m.colour: (m.roughness, m.metallic) for one in scene.objects for m in one.mesh.materials}
    for material in mesh.materials:
        near = min(given, key=lambda colour: np.abs(np.subtract(colour, material.colour)).max())
        np.testing.assert_allclose(near, material.colour, atol=1e-6)
        assert any(
            (m.roughness, m.metallic) == (material.roughness, material.metallic)
            for one in scene.objects
            for m in one.mesh.materials
        )


def test_what_was_read_back_looks_as_the_scene_does(scene: Scene, tmp_path: Path) -> None:
    plain = Scene(scene.camera, tuple(one for one in scene.objects if not one.catcher), scene.lights)
    (tmp_path / "scene.glb").write_bytes(scene_glb(plain, CLASSES))
    mesh, _ = read_mesh(tmp_path / "scene.glb", ASIS)
    renderer = Rasterizer()
    before = renderer.render(plain)
    after = renderer.render(Scene(scene.camera, (Placed(mesh, np.eye(4), 0),), scene.lights))
    both = np.isfinite(before.depth) & np.isfinite(after.depth)
    assert both.mean() > 0.1
    assert (np.isfinite(before.depth) != np.isfinite(after.depth)).mean() < 0.002
    np.testing.assert_allclose(after.depth[both], before.depth[both], rtol=1e-4)
    apart = np.abs(after.rgb.astype(int) - before.rgb.astype(int))
    # Textures laid upside down, or colours in the wrong light, move this above 5.
    assert apart.mean() < 0.5


def test_what_is_seen_through_comes_back_so(tmp_path: Path) -> None:
    mesh = ball().painted(Material((0.8, 0.2, 0.3), 0.3, opacity=0.4))
    (tmp_path / "scene.glb").write_bytes(scene_glb(Scene(CAMERA, (Placed(mesh, np.eye(4)),)), ()))
    (material,) = read_mesh(tmp_path / "scene.glb", ASIS)[0].materials
    assert material.opacity == 0.4
    document, _ = chunks((tmp_path / "scene.glb").read_bytes())
    assert document["materials"][0]["alphaMode"] == "BLEND"


def test_nodes_are_named_by_class_and_shape_and_share_meshes(scene: Scene, file: bytes) -> None:
    document, _ = chunks(file)
    found = nodes(document)
    assert set(found) == {
        "scene, z up", "chair: chair/a", f"{CLASSES[1]}: table/b", "unlabelled: ball", "surroundings", "camera",
        "background", "sun",
    }  # fmt: skip
    (first, matrix), (second, _) = found["chair: chair/a"]
    assert first["mesh"] == second["mesh"]
    assert first["extras"] == {"class": "chair", "class_id": 0, "shape_id": "chair/a", "close_up": True}
    np.testing.assert_allclose(matrix[:3, 3], y_up(np.array([-0.7, 0.3, 0.02])), atol=1e-12)
    assert len(document["meshes"]) == len(scene.objects) - 2 + 1  # a chair and the catcher less, the background more


def test_the_camera_sees_what_ours_sees(scene: Scene, file: bytes) -> None:
    document, _ = chunks(file)
    (_, pose), *_ = nodes(document)["camera"]
    lens = document["cameras"][0]["perspective"]
    points = world(scene).reshape(-1, 3)[::50]
    here = y_up(points) @ np.linalg.inv(pose)[:3, :3].T + np.linalg.inv(pose)[:3, 3]
    up = np.tan(lens["yfov"] / 2)
    x = (here[:, 0] / -here[:, 2] / (up * lens["aspectRatio"]) + 1) / 2 * 120
    y = (1 - here[:, 1] / -here[:, 2] / up) / 2 * 90
    pixels, depth = CAMERA.project(points)
    assert (depth > 0).all()
    np.testing.assert_allclose(np.stack([x, y], axis=1), pixels, atol=1e-6)
    assert 0 < lens["znear"] < depth.min()


def test_the_background_fills_the_view_behind_everything(scene: Scene, file: bytes) -> None:
    document, data = chunks(file)
    ((node, pose),) = nodes(document)["background"]
    (primitive,) = document["meshes"][node["mesh"]]["primitives"]
    corners = rows(document, data, primitive["attributes"]["POSITION"]).astype(float)
    corners = (corners @ pose[:3, :3].T + pose[:3, 3])[:, [0, 2, 1]] * (1, -1, 1)
    pixels, depth = CAMERA.project(corners)
    assert depth.min() > CAMERA.project(world(scene).reshape(-1, 3))[1].max()
    uv = rows(document, data, primitive["attributes"]["TEXCOORD_0"])
    np.testing.assert_allclose(pixels, uv * (120, 90), atol=1e-4)  # glTF's v points down, as rows do
    a, b, c = corners[rows(document, data, primitive["indices"])[:3, 0]]
    assert np.cross(b - a, c - a) @ (CAMERA.pose[:3, 3] - a) > 0  # its front faces the camera
    material = document["materials"][primitive["material"]]
    assert material["extensions"] == {"KHR_materials_unlit": {}}
    assert "KHR_materials_unlit" in document["extensionsUsed"]


def test_the_sun_shines_as_in_the_scene(scene: Scene, file: bytes) -> None:
    document, _ = chunks(file)
    ((node, pose),) = nodes(document)["sun"]
    light = document["extensions"]["KHR_lights_punctual"]["lights"][node["extensions"]["KHR_lights_punctual"]["light"]]
    assert (light["type"], light["intensity"]) == ("directional", 2.0)
    np.testing.assert_allclose(light["color"], [1.0, 0.6038, 0.3185], atol=1e-4)  # linear light of sRGB .8 and .6
    towards = np.array(scene.lights[0].towards)
    np.testing.assert_allclose(pose[:3, 2], y_up(towards / np.linalg.norm(towards)), atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) > 0


def test_equal_scenes_give_equal_bytes(scene: Scene, file: bytes) -> None:
    assert scene_glb(scene, CLASSES, extras={"seed": 2**62 + 1}) == file


def test_an_empty_scene_is_a_camera(tmp_path: Path) -> None:
    document, _ = chunks(scene_glb(Scene(CAMERA, (), background=np.zeros((90, 120, 3), np.uint8)), ()))
    assert [node["name"] for node in document["nodes"]] == ["camera", "background", "sun", "scene, z up"]
    bare = scene_glb(Scene(CAMERA, (), lights=()), ())
    assert struct.unpack_from("<I", bare, 12)[0] + 20 == len(bare)  # a document alone, without bytes
    assert json.loads(bare[20:])["nodes"][0]["camera"] == 0
    cast("trimesh.Scene", trimesh.load(io.BytesIO(bare), file_type="glb"))


def test_large_meshes_have_long_indices_and_equal_corners_are_one_vertex() -> None:
    side = np.arange(300, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(90_000, np.float32)], axis=1)
    at = (np.arange(299)[:, None] * 300 + np.arange(299)).ravel()
    faces = np.concatenate([np.stack([at, at + 1, at + 301], 1), np.stack([at, at + 301, at + 300], 1)]).astype(
        np.int32
    )
    mesh = Mesh(vertices, faces)
    ((number, part),) = parts_of(mesh)
    assert (number, len(part.attributes["POSITION"]), len(part.indices)) == (0, 90_000, 3 * len(faces))
    document, data = chunks(scene_glb(Scene(CAMERA, (Placed(mesh, np.eye(4)),), lights=()), ()))
    assert document["accessors"][1]["componentType"] == 5125
    assert rows(document, data, 1).max() == 89_999


def test_a_mesh_without_coordinates_is_projected_along_its_faces() -> None:
    """A face that looks along x takes y and z, and so on: metres on the two axes left."""
    points = np.array([[0, 0, 0], [0, 2, 0], [0, 0, 3], [4, 0, 0]], dtype=np.float32)
    mesh = Mesh(points, np.array([[0, 1, 2], [0, 3, 2], [0, 1, 3]], dtype=np.int32))
    assert projected(mesh).tolist() == [
        [[0, 0], [2, 0], [0, 3]],
        [[0, 0], [4, 0], [0, 3]],
        [[0, 0], [0, 2], [4, 0]],
    ]
