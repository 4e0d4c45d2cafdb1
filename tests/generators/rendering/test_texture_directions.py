"""A texture's top is at the top, whichever file it comes from: readers and renderer agree on the direction of v."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.mesh_files import MeshSettings, read_mesh
from twinset.generators.rendering.scene import Placed, Scene
from twinset.images import Pixels, encode_png

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer

CORNERS = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], dtype=np.float64)
"""A plate seen from −y, x to the right and z up, counter-clockwise."""

V_UP = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters() -> Pixels:
    """Top left red, top right green, bottom left blue, bottom right white."""
    return (
        np.kron(np.array([[1, 2], [3, 4]]), np.ones((32, 32), int))[..., None]
        .choose([np.zeros(3, int), RED, GREEN, BLUE, WHITE])
        .astype(np.uint8)
    )


def obj(folder: Path) -> Path:
    """v upwards from the lower edge."""
    (folder / "plate.mtl").write_text("newmtl skin\nKd 1 1 1\nmap_Kd skin.png\n")
    lines = ["mtllib plate.mtl", "usemtl skin"]
    lines += [f"v {x:g} {y:g} {z:g}" for x, y, z in CORNERS] + [f"vt {u:g} {v:g}" for u, v in V_UP]
    path = folder / "plate.obj"
    path.write_text("\n".join([*lines, "f 1/1 2/2 3/3 4/4", ""]))
    return path


def ply(folder: Path) -> Path:
    """v upwards, on the vertices."""
    head = "ply\nformat ascii 1.0\ncomment TextureFile skin.png\nelement vertex 4\n"
    head += "".join(f"property float {name}\n" for name in ("x", "y", "z", "s", "t"))
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    rows = [" ".join(f"{part:g}" for part in (*at, *uv)) for at, uv in zip(CORNERS, V_UP, strict=True)]
    path = folder / "plate.ply"
    path.write_text(head + "\n".join([*rows, "4 0 1 2 3", ""]))
    return path


def gltf(folder: Path) -> Path:
    """v downwards from the upper edge; y up, so that what is z here is y there."""
    points = np.stack([CORNERS[:, 0], CORNERS[:, 2], -CORNERS[:, 1]], axis=1).astype("<f4").tobytes()
    uv = np.stack([V_UP[:, 0], 1 - V_UP[:, 1]], axis=1).astype("<f4").tobytes()
    data = points + uv + np.array([0, 1, 2, 0, 2, 3], "<u2").tobytes()
    views = [(0, len(points)), (len(points), len(uv)), (len(points) + len(uv), 12)]
    kinds = [(5126, 4, "VEC3"), (5126, 4, "VEC2"), (5123, 6, "SCALAR")]
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]},
        ],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0}}],
        "textures": [{"source": 0}],
        "images": [{"uri": "skin.png"}],
        "accessors": [
            {"bufferView": row, "componentType": number, "count": count, "type": kind}
            for row, (number, count, kind) in enumerate(kinds)
        ],
        "bufferViews": [{"buffer": 0, "byteOffset": start, "byteLength": length} for start, length in views],
        "buffers": [
            {
                "byteLength": len(data),
                "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode(),
            }
        ],
    }
    path = folder / "plate.gltf"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("write", [obj, ply, gltf])
def test_the_top_of_a_texture_is_seen_at_the_top(tmp_path: Path, write: object) -> None:
    assert callable(write)
    (tmp_path / "skin.png").write_bytes(encode_png(quarters()))
    mesh, _ = read_mesh(write(tmp_path), MeshSettings(standing=False))
    np.testing.assert_allclose(mesh.bounds, [[-1, 0, -1], [1, 0, 1]], atol=1e-6)
    camera = Camera.looking((0, -4, 0), (0, 0, 0), size=(80, 80), field_of_view_degrees=28)
    scene = Scene(camera, (Placed(mesh, np.eye(4), class_id=0),), lights=(), ambient=0.9)
    rgb = Rasterizer().render(scene).rgb.astype(int)
    found = [tuple((rgb[row, column] > 120).tolist()) for row in (20, 60) for column in (20, 60)]
    assert found == [(True, False, False), (False, True, False), (False, False, True), (True, True, True)]
