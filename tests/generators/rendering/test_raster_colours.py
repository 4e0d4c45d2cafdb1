"""Light, shadow, texture and background of the embedded renderer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.generators.rendering.scenery import GREY, at, box, from_above, ground, light_of, sphere, view

from twinset.camera import Camera
from twinset.generators.rendering import Rendering
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.scene import Light, Placed, Scene

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.raster.colour import BYTES, LINEAR, STEPS


@pytest.fixture(scope="module")
def renderer() -> Rasterizer:
    return Rasterizer()


def test_every_byte_survives_linear_light() -> None:
    steps = (LINEAR * np.float32(STEPS - 1) + np.float32(0.5)).astype(int)
    assert np.array_equal(BYTES[steps], np.arange(256))


def test_matte_ground_shows_its_share_of_a_light_by_the_cosine(renderer: Rasterizer) -> None:
    def shown(strength: float, degrees: float) -> float:
        angle = np.radians(degrees)
        lights = (Light((np.sin(angle), 0, np.cos(angle)), strength=strength),)
        scene = Scene(from_above(), (Placed(ground(), np.eye(4)),), lights=lights, ambient=0)
        return float(light_of(renderer.render(scene).rgb)[20, 20, 0])

    assert shown(1.5, 0) == pytest.approx(1.5 / np.pi, rel=0.06)
    assert shown(2.0, 0) == pytest.approx(2 * shown(1.0, 0), rel=0.02)
    assert shown(2.0, 60) == pytest.approx(shown(2.0, 0) / 2, rel=0.06)
    assert shown(2.0, 120) == 0


def test_matte_white_in_the_light_of_the_defaults_is_not_cut_off(renderer: Rasterizer) -> None:
    def shown(strength: float, ambient: float) -> int:
        scene = Scene(from_above(), (Placed(ground(), np.eye(4)),), (Light((0, 0, 1), strength),), ambient)
        return int(renderer.render(scene).rgb[20, 20, 0])

    given = Scene(from_above(), ())
    assert 225 < shown(given.lights[0].strength, given.ambient) < 250
    settings = Rendering()
    suns, ambients = np.linspace(*settings.sun_strength, 9), np.linspace(*settings.ambient, 9)
    overhead = np.array([[shown(sun, ambient) for sun in suns] for ambient in ambients])
    assert overhead[4, 4] < 250
    # Overhead is the brightest a surface can be; the ranges' own suns stand lower.
    assert (overhead < 255).mean() > 0.75
    assert overhead[0, 0] > 150


def test_the_sky_lights_from_above_and_is_seen_where_nothing_is(renderer: Rasterizer) -> None:
    def shown(camera: Camera, objects: tuple[Placed, ...], sky: float) -> float:
        return float(light_of(renderer.render(Scene(camera, objects, lights=(), ambient=0.4, sky=sky)).rgb)[20, 20, 1])

    floor, ceiling = Placed(ground(), np.eye(4)), Placed(ground(), at(z=6))
    up = Camera.looking((0, 0, 5), (0, 0, 6), size=(40, 40), field_of_view_degrees=40)
    assert shown(from_above(), (floor,), 0.6) == pytest.approx(0.4 * 1.4, rel=0.06)
    assert shown(up, (ceiling,), 0.6) == pytest.approx(0.4 * 0.6, rel=0.08)
    assert shown(up, (), 0.6) == pytest.approx(0.4 * 1.6, rel=0.02)
    assert shown(from_above(), (), 0.6) == pytest.approx(0.4 * 0.4, rel=0.02)


def test_a_smooth_surface_shines_where_it_mirrors_the_light_and_metal_in_its_own_colour(renderer: Rasterizer) -> None:
    def brightest(material: Material) -> NDArray[np.float64]:
        mesh = replace(sphere(), materials=(material,))
        camera = Camera.looking((0, -4, 0), (0, 0, 0), size=(121, 121), field_of_view_degrees=40)
        scene = Scene(camera, (Placed(mesh, np.eye(4), class_id=0),), lights=(Light((1, -1, 1), 0.5),), ambient=0)
        rgb = light_of(renderer.render(scene).rgb)
        # Halfway between the light and the camera: (1, −1 − √3, 1) normalised.
        half = np.array([1, -1 - np.sqrt(3), 1]) / np.linalg.norm([1, -1 - np.sqrt(3), 1])
        (spot,), _ = camera.project(half[None])
        row, column = np.unravel_index(rgb.sum(-1).argmax(), (121, 121))
        assert np.hypot(column + 0.5 - spot[0], row + 0.5 - spot[1]) < 5
        return rgb[row, column]

    dull = brightest(Material((0.8, 0.2, 0.2), roughness=0.3))
    assert dull[1] > 0.1
    metal = brightest(Material((0.8, 0.2, 0.2), roughness=0.45, metallic=1.0))
    assert metal[0] > 4 * metal[1]


def test_both_sides_of_a_surface_are_lit(renderer: Rasterizer) -> None:
    plate = ground(1)
    turned = replace(plate, faces=plate.faces[:, ::-1])
    one, other = (renderer.render(Scene(from_above(), (Placed(mesh, np.eye(4)),))) for mesh in (plate, turned))
    assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    assert np.array_equal(one.normals, other.normals)
    assert one.rgb[20, 20, 0] > 150


def test_a_box_throws_the_shadow_that_rays_to_the_light_say(renderer: Rasterizer) -> None:
    camera = Camera.looking((0.5, -3, 4), (0.3, 0, 0), size=(160, 160), field_of_view_degrees=45)
    sizes, towards = np.array([0.6, 0.4, 0.8]), np.array([-0.7, 0.3, 1.0])
    scene = Scene(
        camera,
        (Placed(box(*sizes), at(0, 0, 0.4), class_id=0), Placed(ground(20, GREY), np.eye(4))),
        lights=(Light((-0.7, 0.3, 1.0), strength=2.5, softness_degrees=0),),
        ambient=0.6,
    )
    frame = renderer.render(scene)
    lit = renderer.render(replace(scene, lights=(replace(scene.lights[0], shadows=False),)))
    rows, columns = np.nonzero(frame.ids == 1)
    points = camera.unproject(np.stack([columns, rows], 1) + 0.5, frame.depth[rows, columns])
    start = points - (0, 0, 0.4)
    bounds = np.stack([(-sizes / 2 - start) / towards, (sizes / 2 - start) / towards])
    expected = np.zeros((160, 160), bool)
    expected[rows, columns] = np.maximum(bounds.min(0).max(-1), 0) + 1e-9 < bounds.max(0).min(-1)
    assert expected.sum() > 300
    found = lit.rgb[..., 0].astype(int) - frame.rgb[..., 0]
    floor = frame.ids == 1
    near = np.zeros((160, 160), bool)
    for down in (-2, -1, 0, 1, 2):
        for across in (-2, -1, 0, 1, 2):
            near |= np.roll(expected, (down, across), (0, 1)) != expected
    edge = near & floor
    assert (found[floor & expected & ~edge] > 40).all()
    assert (found[floor & ~expected & ~edge] == 0).all()
    # Where the box touches the ground, too: pixels of shadow right beside the box, smoothed into it.
    beside = floor & expected & np.roll(frame.ids == 0, 1, 1)
    assert beside.sum() > 8
    assert (found[beside] > 15).all()


@pytest.mark.parametrize("degrees", [20.0, 60.0, 85.0])
def test_lit_surfaces_do_not_shadow_themselves(renderer: Rasterizer, degrees: float) -> None:
    angle = np.radians(degrees)
    light = Light((np.sin(angle), 0.2, np.cos(angle)), softness_degrees=3)
    plate = box(3, 3, 0.2)
    scene = Scene(view(size=(120, 160)), (Placed(plate, at(z=-0.1), class_id=0),), lights=(light,))
    plain = replace(scene, lights=(replace(light, shadows=False),))
    differing = renderer.render(scene).rgb.astype(int) - renderer.render(plain).rgb
    assert np.abs(differing).max() <= 1
    ball = Scene(view(size=(120, 160)), (Placed(sphere(40), at(), class_id=0),), lights=(light,))
    plain = replace(ball, lights=(replace(light, shadows=False),))
    differing = renderer.render(ball).rgb.astype(int) - renderer.render(plain).rgb
    assert np.abs(differing).max() <= 12


def test_a_wider_light_has_softer_shadows(renderer: Rasterizer) -> None:
    def halves(softness: float) -> int:
        light = Light((0.3, 0.1, 1.0), softness_degrees=softness)
        objects = (Placed(box(0.8, 0.8, 0.05), at(z=1.5), class_id=0), Placed(ground(20, GREY), np.eye(4)))
        camera = Camera.looking((0, -4, 3), (0, 0, 0), size=(160, 160), field_of_view_degrees=45)
        frame = renderer.render(Scene(camera, objects, lights=(light,)))
        floor = frame.rgb[..., 0].astype(int)[60:][frame.ids[60:] == 1]
        return int(((floor > floor.min() + 10) & (floor < floor.max() - 10)).sum())

    assert halves(6) > 1.5 * halves(0.5)


def test_a_catcher_shows_shadows_on_the_photograph_and_nothing_else(renderer: Rasterizer) -> None:
    rng = np.random.default_rng(0)
    camera = Camera.looking((0.5, -3, 4), (0.3, 0, 0), size=(120, 120), field_of_view_degrees=45)
    background = rng.integers(0, 256, (120, 120, 3)).astype(np.uint8)
    thing = Placed(box(0.6, 0.4, 0.8), at(0, 0, 0.4), class_id=0)
    buried = Placed(box(0.5, 0.5, 0.5), at(1.0, 0.5, -0.5), class_id=0)
    catcher = Placed(ground(), np.eye(4), catcher=True)
    light = Light((-0.7, 0.3, 1.0), strength=2.5)
    scene = Scene(camera, (catcher, thing, buried), lights=(light,), ambient=0.6, background=background, sky=0.0)
    frame = renderer.render(scene)
    alone = renderer.render(replace(scene, objects=(thing, buried)))
    assert np.array_equal(np.where(alone.ids < 0, -1, alone.ids + 1), frame.ids)
    assert np.array_equal(alone.depth, frame.depth)
    assert not renderer.silhouettes(scene)[0].any()
    beside = [np.roll(frame.ids >= 0, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    behind = ~np.any(beside, axis=0)
    share = light_of(frame.rgb)[behind] / np.maximum(light_of(background)[behind], 1e-9)
    bright = light_of(background)[behind] > 0.2
    full = 0.6 + 2.5 / np.pi / np.linalg.norm(light.towards)
    dark = (share < 0.95 * 1.0) & bright
    assert dark.sum() > 100
    assert np.median(share[dark]) == pytest.approx(0.6 / full, abs=0.05)
    assert (share[bright] <= 1.02).all()
    untouched = (frame.rgb == background).all(-1) & behind
    assert untouched.mean() > 0.5


def test_without_geometry_the_photograph_stays_as_it_is(renderer: Rasterizer) -> None:
    background = np.arange(60 * 80 * 3).reshape(60, 80, 3).astype(np.uint8)
    assert np.array_equal(renderer.render(Scene(view(), (), background=background)).rgb, background)


def quarters() -> NDArray[np.uint8]:
    """Top left red, top right green, bottom left blue, bottom right white."""
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32, 0] = texture[:32, 32:, 1] = texture[32:, :32, 2] = 255
    texture[32:, 32:] = 255
    return texture


@pytest.mark.parametrize("own", [True, False])
def test_textures_stand_upright(renderer: Rasterizer, own: bool) -> None:
    corners = np.array([(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    uv = corners[:, [0, 2]][faces] if own else None
    material = Material((1.0, 1.0, 1.0), roughness=1.0, texture=quarters())
    camera = Camera.looking((0.5, -2, 0.5), (0.5, 0, 0.5), size=(80, 80), field_of_view_degrees=28)
    scene = Scene(camera, (Placed(Mesh(corners, faces, (material,), uv=uv), np.eye(4)),), lights=(), ambient=0.9)
    rgb = renderer.render(scene).rgb.astype(int)
    top_left, top_right, low_left, low_right = rgb[20, 20], rgb[20, 60], rgb[60, 20], rgb[60, 60]
    assert top_left.argmax() == 0
    assert top_right.argmax() == 1
    assert low_left.argmax() == 2
    assert low_right.min() > 200
    assert max(top_left[1], top_right[0], low_left[0]) < 80


def test_far_textures_fade_to_their_mean_light(renderer: Rasterizer) -> None:
    checks = np.indices((64, 64)).sum(0)[..., None] % 2 * np.full(3, 255)
    material = Material((1.0, 1.0, 1.0), roughness=1.0, texture=checks.astype(np.uint8))
    camera = Camera.looking((0, -5, 2), (0, 30, 0), size=(120, 160), field_of_view_degrees=50)
    scene = Scene(camera, (Placed(ground(200, material), np.eye(4)),), lights=(), ambient=0.9, sky=0.0)
    frame = renderer.render(scene)
    far = light_of(frame.rgb[..., 0])[frame.depth > 20][np.isfinite(frame.depth[frame.depth > 20])]
    assert far.std() < 0.02
    assert far.mean() == pytest.approx(0.45, abs=0.08)


def test_edges_are_smoothed_by_two_samples_and_stepped_by_one() -> None:
    black = replace(box(1, 1, 1), materials=(Material((0.0, 0.0, 0.0), roughness=1.0),))
    background = np.full((60, 80, 3), 255, np.uint8)
    scene = Scene(view(), (Placed(black, at(turn=0.3), class_id=0),), lights=(), ambient=0, background=background)
    stepped, smooth = (Rasterizer(samples=samples).render(scene) for samples in (1, 2))
    assert set(np.unique(stepped.rgb)) == {0, 255}
    between = (smooth.rgb[..., 0] > 20) & (smooth.rgb[..., 0] < 235)
    assert 40 < between.sum() < 400
    assert light_of(smooth.rgb).mean() == pytest.approx(light_of(stepped.rgb).mean(), abs=0.01)


def test_many_scenes_at_once_come_in_order_and_equal(renderer: Rasterizer) -> None:
    scenes = [
        Scene(view(size=(40 + 10 * (row % 3), 50)), (Placed(sphere(10), at(0.1 * row), class_id=0),))
        for row in range(12)
    ]
    one = list(renderer.render_many(scenes))
    three = list(renderer.render_many(iter(scenes), threads=3))
    assert len(one) == len(three) == 12
    for a, b in zip(one, three, strict=True):
        assert np.array_equal(a.rgb, b.rgb)
        assert np.array_equal(a.depth, b.depth)
    with pytest.raises(ValueError, match="thread"):
        next(renderer.render_many(scenes, threads=0))


def test_only_one_or_two_samples_are_known() -> None:
    with pytest.raises(ValueError, match="samples"):
        Rasterizer(samples=3)
