"""Which meshes enclose their inside, and that leaving out what looks away from a light changes no shadow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twinset.camera import Camera
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.scene import Light, Placed, Scene

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.raster.closed import is_closed


def ball(rings: int = 12) -> Mesh:
    """A ball whose seam has its vertices twice, and whose lower pole is a little off."""
    up, around = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1)
    flat = [np.outer(np.sin(up), np.cos(around)), np.outer(np.sin(up), np.sin(around)), np.outer(np.cos(up), around**0)]
    wide = len(around)
    a = (np.arange(rings)[:, None] * wide + np.arange(wide - 1)).ravel()
    faces = np.concatenate([np.stack([a, a + wide, a + 1], 1), np.stack([a + 1, a + wide, a + wide + 1], 1)])
    return Mesh(np.stack(flat, -1).reshape(-1, 3).astype(np.float32), faces.astype(np.int32))


def test_a_ball_is_closed_and_its_parts_and_its_inside_out_are_not() -> None:
    mesh = ball()
    assert is_closed(mesh.vertices, mesh.faces)
    assert is_closed(1e3 * mesh.vertices, mesh.faces)
    assert not is_closed(mesh.vertices, np.delete(mesh.faces, 100, axis=0))
    assert not is_closed(mesh.vertices, mesh.faces[:, ::-1])
    turned = mesh.faces.copy()
    turned[50] = turned[50, ::-1]
    assert not is_closed(mesh.vertices, turned)


def test_two_bodies_that_touch_are_closed_and_a_sheet_is_not() -> None:
    mesh = ball()
    twice = Mesh.joined([mesh, replace(mesh, vertices=mesh.vertices + np.array([0, 0, 2], np.float32))])
    assert is_closed(twice.vertices, twice.faces)
    sheet = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    assert not is_closed(sheet, np.array([(0, 1, 2), (0, 2, 3)], np.int32))


def test_a_closed_object_throws_the_shadow_that_all_its_faces_throw() -> None:
    camera = Camera.looking((1, -5, 4), (0, 0, 0), size=(90, 120), field_of_view_degrees=60)
    corners = np.array([(-9, -9, -2), (9, -9, -2), (9, 9, -2), (-9, 9, -2)], np.float32)
    ground = Placed(Mesh(corners, np.array([(0, 1, 2), (0, 2, 3)], np.int32)), np.eye(4))
    mesh = ball()
    both = replace(mesh, faces=np.concatenate([mesh.faces, mesh.faces[:, ::-1]]), face_materials=None)
    assert not is_closed(both.vertices, both.faces)
    lights = (Light((0.4, 0.5, 1.0), softness_degrees=3),)
    one, other, none = (
        Rasterizer().render(Scene(camera, (Placed(shape, np.eye(4), class_id=0), ground), lights=given))
        for shape, given in ((mesh, lights), (both, lights), (mesh, (replace(lights[0], shadows=False),)))
    )
    floor = one.ids == 1
    assert np.array_equal(one.rgb[floor], other.rgb[floor])
    assert (one.rgb[floor] != none.rgb[floor]).any(-1).sum() > 300
