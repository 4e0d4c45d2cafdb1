"""Depth, ids, normals and silhouettes of the embedded renderer against exact geometry."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.generators.rendering.scenery import at, box, sphere, view

from twinset.camera import Camera
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.scene import Placed, Scene

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def renderer() -> Rasterizer:
    return Rasterizer()


def soup(corners: Floats) -> Mesh:
    count = len(corners)
    return Mesh(corners.reshape(-1, 3).astype(np.float32), np.arange(3 * count, dtype=np.int32).reshape(-1, 3))


def intersected(camera: Camera, corners: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Möller and Trumbore: depth (H, W) of the nearest triangle (inf) and which (−1), in float64."""
    origin, rays = camera.rays()
    a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ray = rays.reshape(-1, 1, 3)
    p = np.cross(ray, v)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / (p * u).sum(-1)
        s = origin - a
        first = (p * s).sum(-1) * inverse
        q = np.cross(s, u)
        second = (ray * q).sum(-1) * inverse
        depth = (v * q).sum(-1) * inverse
        hit = (first >= 0) & (second >= 0) & (first + second <= 1) & (depth >= 1e-3)
    depth = np.where(hit, depth, np.inf)
    which = depth.argmin(1)
    nearest = depth.min(1)
    return nearest.reshape(camera.size), np.where(np.isfinite(nearest), which, -1).reshape(camera.size)


def test_depth_and_ids_are_those_of_rays_even_across_the_cameras_plane(renderer: Rasterizer) -> None:
    rng = np.random.default_rng(4)
    camera = view()
    small = rng.normal(0, 1.2, (150, 1, 3)) + rng.normal(0, 0.3, (150, 3, 3))
    around = camera.pose[:3, 3] + rng.normal(0, 3, (12, 3, 3))
    corners = np.concatenate([small, around]).astype(np.float32).astype(np.float64)
    depth, which = intersected(camera, corners)
    crossing = (camera.seen_from_here(corners.reshape(-1, 3))[:, 2].reshape(-1, 3) < 0).any(1)
    assert (crossing[which] & (which >= 0)).sum() > 100
    frame = renderer.render(Scene(camera, tuple(Placed(soup(each[None]), np.eye(4), class_id=0) for each in corners)))
    assert (frame.ids != which).mean() < 1e-3
    same = (frame.ids == which) & (which >= 0)
    np.testing.assert_allclose(frame.depth[same], depth[same], rtol=1e-5)
    assert np.isinf(frame.depth[frame.ids < 0]).all()


@pytest.mark.slow
def test_depth_of_a_dense_mesh_is_that_of_rays(renderer: Rasterizer) -> None:
    camera, ball = view(), sphere(24)
    pose = at(0.2, -0.3, 0.4, turn=1.0, scale=1.2)
    depth, _ = intersected(camera, Placed(ball, pose).corners)
    frame = renderer.render(Scene(camera, (Placed(ball, pose, class_id=0),)))
    assert np.array_equal(np.isfinite(depth), frame.ids == 0)
    seen = frame.ids == 0
    assert (np.abs(frame.depth[seen] / depth[seen] - 1) < 1e-4).all()


def test_normals_of_a_sphere_point_from_its_middle_to_the_surface_in_camera_coordinates(renderer: Rasterizer) -> None:
    camera = view(size=(120, 160))
    pose = at(0.2, -0.3, 0.4)
    frame = renderer.render(Scene(camera, (Placed(sphere(), pose, class_id=0),)))
    rows, columns = np.nonzero(frame.ids == 0)
    points = camera.unproject(np.stack([columns, rows], 1) + 0.5, frame.depth[rows, columns])
    expected = (points - pose[:3, 3]) @ camera.pose[:3, :3]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = frame.normals[rows, columns]
    inner = expected[:, 2] < -0.2
    assert (np.sum(found * expected, 1)[inner] > np.cos(np.radians(1))).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    towards = camera.seen_from_here(points)
    assert (np.sum(found * towards, 1) < 0).all()
    assert not frame.normals[frame.ids < 0].any()


def test_a_sphere_covers_what_its_outline_says(renderer: Rasterizer) -> None:
    camera = view(size=(200, 240))
    centre, radius = np.array([0.3, 0.2, 0.1]), 0.9
    origin, rays = camera.rays()
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    along = unit @ (centre - origin)
    distance = np.sqrt(np.sum((centre - origin) ** 2) - along**2)
    pixel = along / camera.focal[0]
    (mask,) = renderer.silhouettes(Scene(camera, (Placed(sphere(200), at(*centre, scale=radius), class_id=0),)))
    assert (mask != (distance < radius)).sum() > 0 or np.array_equal(mask, distance < radius)
    assert not (mask & (distance > radius + pixel)).any()
    assert mask[distance < radius - pixel].all()


def test_a_box_covers_what_rays_hit(renderer: Rasterizer) -> None:
    camera = view(size=(200, 240))
    sizes, pose = np.array([1.0, 0.5, 0.75]), at(0.2, 0.1, 0.4, turn=0.7)
    origin, rays = camera.rays()
    start, directions = (origin - pose[:3, 3]) @ pose[:3, :3], rays @ pose[:3, :3]
    bounds = np.stack([(-sizes / 2 - start) / directions, (sizes / 2 - start) / directions])
    enter, leave = bounds.min(0).max(-1), bounds.max(0).min(-1)
    scene = Scene(camera, (Placed(box(*sizes), pose, class_id=0),))
    (mask,) = renderer.silhouettes(scene)
    assert np.array_equal(mask, enter < leave)
    frame = renderer.render(scene)
    np.testing.assert_allclose(frame.depth[mask], enter[mask], rtol=1e-6)


def test_shared_edges_through_pixel_centres_belong_to_one_triangle(renderer: Rasterizer) -> None:
    camera = Camera((16, 16), (8.0, 8.0), (8.0, 8.0), np.eye(4))
    grid = np.arange(-4, 5) * 1.0
    lattice = np.array([[x + 0.5, y + 0.5, 8.0] for y in grid for x in grid])
    faces = []
    for row in range(8):
        for column in range(8):
            a = 9 * row + column
            faces += [(a, a + 1, a + 9), (a + 1, a + 10, a + 9)]
    triangles = [Placed(soup(lattice[list(face)][None]), np.eye(4), class_id=0) for face in faces]
    count = np.sum(renderer.silhouettes(Scene(camera, tuple(triangles))), axis=0)
    expected = np.zeros((16, 16), int)
    expected[4:12, 4:12] = 1
    assert np.array_equal(count, expected)


def test_a_silhouette_is_the_object_rendered_alone(renderer: Rasterizer) -> None:
    rng = np.random.default_rng(1)
    objects = [
        Placed(mesh, at(*rng.uniform(-1, 1, 3), turn=float(rng.uniform(0, 6))), class_id=0)
        for mesh in (box(1, 0.3, 0.5), sphere(12), box(0.4, 2, 0.4), soup(rng.normal(0, 1, (30, 3, 3))))
    ]
    scene = Scene(view(), (*objects, Placed(box(9, 9, 0.1), at(z=-1))))
    masks = renderer.silhouettes(scene)
    for mask, one in zip(masks, objects, strict=False):
        assert np.array_equal(mask, renderer.render(Scene(scene.camera, (one,))).ids == 0)
    assert not masks[-1].any()
    ids = renderer.render(scene).ids
    assert all((mask | (ids != row)).all() for row, mask in enumerate(masks[:-1]))


def test_labels_do_not_depend_on_the_number_of_samples() -> None:
    scene = Scene(view(), (Placed(sphere(20), at(0.1), class_id=0), Placed(box(4, 4, 0.5), at(z=-0.5), class_id=1)))
    one, two = (Rasterizer(samples=samples).render(scene) for samples in (1, 2))
    assert np.array_equal(one.ids, two.ids)
    assert np.array_equal(one.depth, two.depth)
    assert np.array_equal(one.normals, two.normals)


def test_what_is_nearer_than_a_tenth_of_a_millimetre_is_cut_away(renderer: Rasterizer) -> None:
    camera = Camera((20, 20), (20.0, 20.0), (10.0, 10.0), np.eye(4))
    wall = np.array([[[-9.0, -9, 1], [9, -9, 1], [0, 18, 1]]])
    for depth, seen in ((2e-4, True), (0.5e-4, False), (-1.0, False)):
        scene = Scene(camera, (Placed(soup(wall * (9, 9, depth)), np.eye(4), class_id=0),))
        assert (renderer.render(scene).ids == (0 if seen else -1)).all()


def test_the_camera_may_stand_inside_an_object(renderer: Rasterizer) -> None:
    camera = Camera.looking((0.1, 0, 0), (1, 1, 0.3), size=(40, 40), field_of_view_degrees=120)
    frame = renderer.render(Scene(camera, (Placed(box(2, 2, 2), np.eye(4), class_id=0),)))
    assert (frame.ids == 0).all()
    depth, _ = intersected(camera, Placed(box(2, 2, 2), np.eye(4)).corners)
    np.testing.assert_allclose(frame.depth, depth, rtol=1e-5)


def test_broken_scenes_are_drawn_without_nan(renderer: Rasterizer) -> None:
    flat = np.array(
        [[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 0, 0], [0, 0, 1]]]
    )
    huge = soup(np.array([[[-1e6, -1e6, -1], [1e6, -1e6, -1], [0, 1e6, -1.0]]]))
    for scene in (
        Scene(view(), (), lights=()),
        Scene(view(), (Placed(soup(flat), np.eye(4), class_id=0), Placed(huge, np.eye(4))), lights=(), ambient=0),
        Scene(view(), (Placed(box(1, 1, 1), at(0, -50, 0), class_id=0),)),
        Scene(view(), (Placed(box(1, 1, 1), at(0, 0, 0, scale=1e-6), class_id=0),)),
    ):
        frame = renderer.render(scene)
        assert np.isfinite(frame.normals).all()
        assert not np.isnan(frame.depth).any()
        assert set(np.unique(frame.ids)) <= set(range(-1, len(scene.objects)))


def test_ids_and_depth_are_the_same_on_every_processor(renderer: Rasterizer) -> None:
    pose = np.array([[-0.8, 0, -0.6, 1.2], [0.6, 0, -0.8, 1.5], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])
    camera = Camera((96, 128), (100.0, 100.0), (64.0, 48.0), pose)
    rng = np.random.default_rng(9)
    corners = (rng.integers(-512, 512, (400, 1, 3)) + rng.integers(-128, 128, (400, 3, 3))) / 512
    objects = [Placed(soup(corners[first : first + 40]), np.eye(4), class_id=0) for first in range(0, 400, 40)]
    frame = renderer.render(Scene(camera, (*objects, Placed(box(1, 0.5, 0.25), np.eye(4), class_id=1))))
    assert len(np.unique(frame.ids)) > 8
    assert hashlib.sha256(frame.ids.tobytes()).hexdigest()[:16] == "cae26d49286cd5f5"
    assert hashlib.sha256(frame.depth.tobytes()).hexdigest()[:16] == "54fc3d55d7feede0"
