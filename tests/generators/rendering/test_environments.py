"""Photographs of all directions: where they are seen, and what light they bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.generators.rendering.scenery import WHITE, at, box, from_above, ground, light_of, sphere, view

from twinset.annotations import Annotation
from twinset.camera import Camera
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.rendering import Rendering
from twinset.generators.rendering.environments import MATTE, Environment, harmonics, quadric
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.images import Pixels, encode_png
from twinset.instances import Instances

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def renderer() -> Rasterizer:
    return Rasterizer()


def directions(rows: int = 256) -> Floats:
    """(rows, 2 rows, 3) of an equirectangular picture's texels, whose middle looks along x."""
    up = np.pi * (0.5 - (np.arange(rows) + 0.5) / rows)[:, None]
    around = 2 * np.pi * (0.5 - (np.arange(2 * rows) + 0.5) / (2 * rows))[None, :]
    parts = np.broadcast_arrays(np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up))
    return np.stack(parts, axis=-1)


def spot(towards: tuple[float, float, float], degrees: float, *, rows: int = 256) -> Pixels:
    """White within so many degrees of a direction, else dark."""
    unit = np.array(towards) / np.linalg.norm(towards)
    near = directions(rows) @ unit > np.cos(np.radians(degrees))
    return np.where(near[..., None], np.full(3, 255), np.full(3, 30)).astype(np.uint8)


def test_harmonics_are_orthonormal() -> None:
    every = directions(128)
    edges = np.sin(np.pi * (0.5 - np.arange(129) / 128))
    angles = (2 * np.pi / 256 * (edges[:-1] - edges[1:]))[:, None, None]
    basis = harmonics(every)
    found = np.einsum("rcj,rck->jk", basis * angles, basis)
    np.testing.assert_allclose(found, np.eye(9), atol=2e-4)


def test_a_quadric_is_the_sum_of_its_harmonics() -> None:
    rng = np.random.default_rng(0)
    coefficients, unit = rng.normal(size=(9, 3)), rng.normal(size=(50, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    ends = np.concatenate([unit, np.ones((50, 1))], axis=1)
    found = np.einsum("ni,ijc,nj->nc", ends, quadric(coefficients), ends)
    np.testing.assert_allclose(found, harmonics(unit) @ coefficients, atol=1e-12)


def test_a_cosine_lobe_has_the_coefficients_that_its_integral_says() -> None:
    """Radiance max(0, z): L00 = √π / 2, L10 = √(π / 3), L20 = √(5 π) / 8, over a mean of 1 / 4; else 0."""
    height = np.maximum(directions(256)[..., 2], 0)
    values = np.where(height <= 0.0031308, 12.92 * height, 1.055 * np.maximum(height, 1e-9) ** (1 / 2.4) - 0.055)
    found = Environment(np.repeat(np.rint(255 * values)[..., None], 3, axis=2).astype(np.uint8)).radiance
    expected = np.zeros(9)
    expected[[0, 2, 6]] = 4 * np.array([np.sqrt(np.pi) / 2, np.sqrt(np.pi / 3), np.sqrt(5 * np.pi) / 8])
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, axis=1), atol=0.02)
    # Straight up, a matte surface gets ∫ cos² over the upper half / π = 2 / 3, less what order 4 would add.
    up = harmonics([0.0, 0.0, 1.0]) @ (found * MATTE[:, None]) / 4
    np.testing.assert_allclose(up, 1 / 4 + 1 / 3 + 5 / 64, atol=0.01)


@pytest.mark.parametrize("grey", [20, 128, 255])
def test_light_that_is_the_same_from_everywhere_is_ambient_light(renderer: Rasterizer, grey: int) -> None:
    objects = (Placed(sphere(30), at(), class_id=0), Placed(ground(), at(z=-1)))
    plain = Scene(view(), objects, lights=(), ambient=0.6, sky=0.0)
    around = Environment(np.full((64, 128, 3), grey, np.uint8))
    lit = replace(plain, environment=around, sky=0.4)
    difference = renderer.render(lit).rgb.astype(int) - renderer.render(plain).rgb
    assert np.abs(difference).max() <= 1
    assert around.sun()[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("towards", [(1.0, 0.0, 0.3), (0.0, 1.0, 0.3), (-0.5, -1.0, 0.2), (0.0, 0.0, 1.0)])
def test_a_bright_side_lights_what_faces_it(renderer: Rasterizer, towards: tuple[float, float, float]) -> None:
    unit = np.array(towards) / np.linalg.norm(towards)
    around = Environment(spot(towards, 40))
    camera = Camera.looking((3, -3, 3), (0, 0, 0), size=(101, 101), field_of_view_degrees=40, roll_degrees=25)
    ball = replace(sphere(60), materials=(WHITE,))
    scene = Scene(camera, (Placed(ball, np.eye(4), class_id=0),), lights=(), ambient=0.4, environment=around)
    frame = renderer.render(scene)
    world = frame.normals.astype(np.float64) @ camera.pose[:3, :3].T
    expected = 0.4 * harmonics(world) @ (around.radiance * MATTE[:, None])
    inner = (frame.ids == 0) & (frame.normals[..., 2] < -0.5)
    found = light_of(frame.rgb)
    # What dielectrics mirror comes on top: about four parts in a hundred.
    np.testing.assert_allclose(found[inner], np.minimum(1.04 * expected[inner], 1), atol=0.03)
    assert np.corrcoef(found[inner][:, 0], world[inner] @ unit)[0, 1] > 0.9


def test_a_direction_is_seen_where_the_camera_projects_it() -> None:
    for towards in ((1.0, 0.2, 0.1), (-0.3, 1.0, -0.4), (-1.0, 0.01, 0.2), (0.2, -1.0, 0.8)):
        unit = np.array(towards) / np.linalg.norm(towards)
        camera = Camera.looking(
            (5, 2, 1), unit + np.array((5.1, 2.1, 0.85)), size=(120, 160), field_of_view_degrees=70, roll_degrees=20
        )
        seen = Environment(spot(towards, 5)).seen(camera, 0.1)
        rows, columns = np.nonzero(seen[..., 0] > 128)
        (expected,), _ = camera.project((camera.pose[:3, 3] + 1e6 * unit)[None])
        assert np.hypot(columns.mean() + 0.5 - expected[0], rows.mean() + 0.5 - expected[1]) < 1.5


def test_turning_the_picture_turns_what_is_seen_and_the_light() -> None:
    around = Environment(spot((1.0, 0.0, 0.5), 10))
    turned = Environment(around.pixels, turn=np.pi / 2)
    np.testing.assert_allclose(turned.sun()[0], (0, np.sqrt(0.8), np.sqrt(0.2)), atol=0.03)
    north = Camera.looking((0, 0, 0), (0, 1, 0.5), size=(60, 60), field_of_view_degrees=40)
    east = Camera.looking((0, 0, 0), (1, 0, 0.5), size=(60, 60), field_of_view_degrees=40)
    assert np.abs(turned.seen(north, 0.2).astype(int) - around.seen(east, 0.2)).mean() < 2
    np.testing.assert_allclose(
        harmonics([0.0, 1.0, 0.0]) @ turned.radiance, harmonics([1.0, 0.0, 0.0]) @ around.radiance, atol=0.02
    )


def test_the_picture_goes_on_across_its_edge() -> None:
    """Its edges look along −x; a smooth picture must show no seam there."""
    grey = np.rint(120 + 100 * directions(64)[..., 1]).astype(np.uint8)
    camera = Camera.looking((0, 0, 0), (-1, 0, 0), size=(80, 80), field_of_view_degrees=60)
    seen = Environment(np.repeat(grey[..., None], 3, axis=2)).seen(camera, 0.2).astype(int)
    assert np.abs(np.diff(seen, axis=1)).max() <= 8


def test_the_mean_of_what_is_seen_all_around_is_ambient() -> None:
    bright = np.clip(120 + 60 * directions(64) @ (0.3, 0.8, -0.5), 0, 255)[..., None] * (1, 0.9, 0.7)
    around = Environment(bright.astype(np.uint8))
    sides = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    total, weight = np.zeros(3), 0.0
    for side in sides:
        camera = Camera.looking((0, 0, 0), side, size=(64, 64), field_of_view_degrees=90)
        x = (np.arange(64) + 0.5 - 32) / 32
        share = (1 + x[:, None] ** 2 + x[None, :] ** 2) ** -1.5
        total += (light_of(around.seen(camera, 0.15)) * share[..., None]).sum((0, 1))
        weight += share.sum()
    assert total @ (0.2126, 0.7152, 0.0722) / weight == pytest.approx(0.15, rel=0.03)


def test_the_brightest_spot_above_the_horizon_is_the_sun() -> None:
    pixels = np.maximum(spot((0.4, -0.6, 0.7), 3), spot((1.0, 0.0, -0.5), 30))
    towards, share = Environment(pixels).sun()
    expected = np.array((0.4, -0.6, 0.7)) / np.linalg.norm((0.4, -0.6, 0.7))
    assert np.degrees(np.arccos(np.dot(towards, expected))) < 2
    assert share > 0.8
    window, _ = Environment(spot((0.1, 1.0, 0.4), 18)).sun()
    assert np.dot(window, np.array((0.1, 1.0, 0.4)) / np.linalg.norm((0.1, 1.0, 0.4))) > np.cos(np.radians(7))


def test_shadows_on_a_catcher_are_as_dark_as_the_light_says(renderer: Rasterizer) -> None:
    around = Environment(np.full((64, 128, 3), 90, np.uint8))
    objects = (Placed(box(0.5, 0.5, 0.5), at(z=0.25), class_id=0), Placed(ground(), np.eye(4), catcher=True))
    scene = Scene(from_above(), objects, lights=(Light((1.6, 0, 1.0), strength=1.0),), ambient=0.2, environment=around)
    frame = renderer.render(scene)
    share = light_of(frame.rgb)[20, 13, 0] / light_of(around.seen(from_above(), 0.2))[20, 13, 0]
    assert share == pytest.approx(0.2 / (0.2 + 1 / np.pi / np.hypot(1.6, 1)), abs=0.03)


def training() -> Dataset:
    pixels = np.full((48, 64, 3), 128, np.uint8)
    one = Instances(size=(48, 64), class_ids=np.array([0]), boxes=np.array([[3, 3, 20, 20]], np.float32))
    return Dataset.of([Sample(id="a", image=pixels, annotation=Annotation(instances=one))], classes=("primitive",))


def test_a_folder_of_panoramas_lights_and_backs_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "sky.png").write_bytes(encode_png(spot((0.4, -0.6, 0.7), 12, rows=64)))
    settings = Rendering(
        backdrop="environment", backdrop_path=str(tmp_path), shapes_per_class=2, elevation_degrees=(5.0, 9.0)
    )
    generator = settings.fit(training(), rng=0)
    samples = list(generator.sample(3, rng=1))
    assert len(samples) == 3
    assert len({sample.pixels().tobytes() for sample in samples}) == 3


def test_a_picture_that_is_no_panorama_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encode_png(np.full((64, 96, 3), 99, np.uint8)))
    settings = Rendering(backdrop="environment", backdrop_path=str(tmp_path))
    with pytest.raises(DataError, match=r"photo\.png.*twice as wide as high"):
        settings.fit(training(), rng=0)
    (tmp_path / "photo.png").write_bytes(encode_png(np.zeros((64, 128, 3), np.uint8)))
    with pytest.raises(DataError, match="black"):
        settings.fit(training(), rng=0)


def test_environments_need_a_folder() -> None:
    with pytest.raises(ValueError, match="backdrop_path"):
        Rendering(backdrop="environment")
