from __future__ import annotations

import numpy as np
import pytest

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled, box_coordinates, creased_normals, grained
from twinset.generators.rendering.shapes.outlines import ellipse, lifted, rectangle, regular, shrunk, superellipse, wavy
from twinset.generators.rendering.shapes.parts import (
    box,
    curve,
    ellipsoid,
    frustum,
    lathe,
    lens,
    loft,
    mirrored,
    moved,
    rounded_box,
    sheet,
    signed_volume,
    slab,
    tube,
    turned,
)


def dome(share: float) -> float:
    return float(np.sqrt(max(1 - share**2, 0)))


FLAT = np.stack([*np.meshgrid(np.linspace(0, 4, 5), np.linspace(0, 3, 4), indexing="ij"), np.zeros((5, 4))], axis=-1)
SOLIDS = {
    "box": (box((1, 2, 3)), 6.0),
    "rounded box": (
        rounded_box((1, 2, 3), 0.2, points=12),
        0.6 * 1.6 * 2.6 + 0.4 * (0.6 * 1.6 + 1.6 * 2.6 + 0.6 * 2.6) + np.pi * 0.04 * 4.8 + 4 / 3 * np.pi * 0.008,
    ),
    "cylinder": (frustum(1, 1, 0, 2, points=200), 2 * np.pi),
    "cone": (frustum(1, 0, 0, 3, points=200), np.pi),
    "upside-down cone": (frustum(0, 1, 0, 3, points=200), np.pi),
    "ellipsoid": (ellipsoid((1, 2, 3), points=80), 8 * np.pi),
    "lathe": (lathe([(0, 0), (2, 0), (2, 1), (1, 1), (1, 3), (0, 3)], points=200), 6 * np.pi),
    "reversed lathe": (lathe([(0, 3), (1, 3), (1, 0), (0, 0)], points=200), 3 * np.pi),
    "tube": (tube(np.array([(0, 0, 0), (0, 0, 1), (0, 0, 5)]), 0.5, points=200), 1.25 * np.pi),
    "torus": (tube(lifted(ellipse(4, 4, points=120), 0), 0.5, points=60, loop=True), np.pi**2),
    "lens": (lens(ellipse(2, 2, points=120), dome, lambda share: -dome(share), rings=30), 4 / 3 * np.pi),
    "sheet": (sheet(FLAT, 0.1), 1.2),
    "flipped sheet": (sheet(FLAT[::-1], 0.1), 1.2),
    "slab": (slab(rectangle(2, 1), -1, 1), 4.0),
    "clockwise slab": (slab(rectangle(2, 1)[::-1], -1, 1), 4.0),
    "prism": (slab(regular(6, 2, 2), 0, 1), 1.5 * np.sqrt(3)),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_volumes_are_those_of_the_formula(name: str) -> None:
    mesh, volume = SOLIDS[name]
    assert signed_volume(mesh) == pytest.approx(volume, rel=6e-3)


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed(name: str) -> None:
    faces = SOLIDS[name][0].faces
    edges = {tuple(edge) for corners in ((0, 1), (1, 2), (2, 0)) for edge in faces[:, corners].tolist()}
    assert len(edges) == 3 * len(faces)
    assert all((b, a) in edges for a, b in edges)


def test_a_shape_keeps_its_volume_and_outside_when_moved_turned_and_mirrored() -> None:
    shape = lathe([(0, 0), (1, 0), (0.5, 2), (0, 2)], points=12)
    for other in (moved(shape, (5, -4, 3)), turned(shape, 37, (1, 2, 3)), mirrored(moved(shape, (0, 4, 0)))):
        assert signed_volume(other) == pytest.approx(signed_volume(shape), rel=1e-5)
    assert mirrored(moved(shape, (0, 4, 0))).vertices[:, 1].max() == pytest.approx(-3, abs=1e-5)


def test_turning_is_counter_clockwise_seen_from_the_tip() -> None:
    mark = moved(box((0.1, 0.1, 0.1)), (1, 0, 0))
    assert turned(mark, 90).vertices.mean(0) == pytest.approx([0, 1, 0], abs=1e-6)
    assert turned(mark, 90, (0, 1, 0)).vertices.mean(0) == pytest.approx([0, 0, -1], abs=1e-6)


def test_a_flat_section_keeps_its_side_up_along_a_bent_path() -> None:
    path = np.array([(0, 0, 0), (1, 0, 0), (2, 1, 0), (2, 2, 0)])
    strap = tube(path, 1.0, section=rectangle(0.4, 0.02), up=(0, 0, 1))
    assert np.ptp(strap.vertices[:, 2]) == pytest.approx(0.02, abs=1e-6)


def test_a_smooth_curve_passes_its_points() -> None:
    points = [(0, 0, 0), (1, 2, 0), (3, 1, 1), (4, 0, 0)]
    path = curve(points, steps=5)
    assert path[::5] == pytest.approx(np.array(points))
    assert len(path) == 16


def test_round_sides_are_smooth_and_rims_are_sharp() -> None:
    mesh = frustum(1, 1, 0, 1, points=24)
    normals = creased_normals(mesh)
    flat = np.abs(mesh.corners[:, :, 2] - mesh.corners[:, :1, 2]).max(axis=1) < 1e-6
    assert np.abs(normals[flat][..., 2]) == pytest.approx(1, abs=1e-5)
    side = mesh.corners[~flat].astype(np.float64)
    outward = side * (1, 1, 0) / np.linalg.norm(side[..., :2], axis=-1, keepdims=True)
    assert np.einsum("fcj,fcj->fc", normals[~flat], outward).min() > 0.996


def test_a_boxs_normals_are_its_faces() -> None:
    normals = creased_normals(box((1, 2, 3)))
    assert np.sort(np.abs(normals), axis=-1) == pytest.approx(np.broadcast_to([0, 0, 1], normals.shape), abs=1e-6)


def test_smooth_normals_of_a_sphere_point_from_its_middle() -> None:
    ball = ellipsoid((1, 1, 1), points=32)
    normals = creased_normals(ball)
    assert np.einsum("fcj,fcj->fc", normals, ball.corners).min() > 0.995


def test_assembled_parts_stand_and_share_materials() -> None:
    wood, steel = Material((0.5, 0.3, 0.1)), Material((0.7, 0.7, 0.7))
    parts = [box((1, 1, 1), (4, 0, z)).painted(wood if z else steel) for z in (0, 2, 4)]
    mesh = assembled(parts, keypoints={"top": (4, 0, 4.5)})
    assert mesh.bounds == pytest.approx(np.array([(-0.5, -0.5, 0), (0.5, 0.5, 5)]))
    assert mesh.materials == (steel, wood)
    assert mesh.face_materials is not None
    assert mesh.face_materials.tolist() == [0] * 12 + [1] * 24
    assert mesh.keypoints["top"] == pytest.approx((0, 0, 5))


def test_grain_runs_along_the_axis_asked_for() -> None:
    beam = grained(box((0.1, 0.2, 2.0)), Material(), along=2, repeat=0.5)
    assert beam.uv is not None
    spans = np.ptp(beam.uv, axis=1)
    upright = np.ptp(beam.corners[..., 2], axis=1) > 0
    assert spans[upright, 0] == pytest.approx(4.0, abs=1e-5)
    mixed = assembled([beam, box((1, 1, 1))])
    assert mixed.uv is not None
    assert np.array_equal(mixed.uv[12:], box_coordinates(box((1, 1, 1))))


def test_outlines_run_counter_clockwise_and_have_their_size() -> None:
    for outline in (
        ellipse(2, 4),
        superellipse(2, 4, 5),
        rectangle(2, 4),
        rectangle(2, 4, radius=0.3),
        wavy(ellipse(2, 4), [0, 0], [0, 0]),
    ):
        x, y = outline.T
        assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
        assert np.ptp(outline, axis=0) == pytest.approx([2, 4], rel=1e-6)
    assert np.ptp(shrunk(rectangle(2, 4), 0.25), axis=0) == pytest.approx([1.5, 3.5])
    assert np.ptp(shrunk(rectangle(2, 4), 9), axis=0) == pytest.approx([0, 0])


def test_faces_without_area_are_dropped() -> None:
    cone = loft(np.stack([lifted(ellipse(2, 2, points=16), 0), lifted(np.zeros((16, 2)), 1)]))
    assert isinstance(cone, Mesh)
    assert (cone.face_areas() > 0).all()
    assert len(cone.faces) == 32
    assert len(cone.vertices) == 18
