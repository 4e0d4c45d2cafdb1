"""What is seen through translucent surfaces, by the rule that the layers state, and what labels say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.generators.rendering.scenery import at, box, from_above, ground, light_of, sphere

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.scene import Light, Placed, Scene

pytest.importorskip("numba")

from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.raster.colour import to_linear

Floats = NDArray[np.float64]
AMBIENT = 0.8


@pytest.fixture(scope="module")
def renderer() -> Rasterizer:
    return Rasterizer()


def pane(opacity: float, colour: tuple[float, float, float], z: float, *, half: float = 1.0) -> Placed:
    mesh = ground(half, Material(colour, roughness=1.0, opacity=opacity))
    return Placed(mesh, at(z=z), class_id=0)


def shown(renderer: Rasterizer, *objects: Placed, background: int = 200) -> Floats:
    """Linear light in the middle of the picture, seen from above in even light from everywhere."""
    picture = np.full((40, 40, 3), background, np.uint8)
    scene = Scene(from_above(), objects, lights=(), ambient=AMBIENT, sky=0.0, background=picture)
    return light_of(renderer.render(scene).rgb[20, 20])


def alone(renderer: Rasterizer, colour: tuple[float, float, float]) -> Floats:
    """What an opaque pane of this colour shows."""
    return shown(renderer, pane(1.0, colour, 0.0))


RED, GREEN, BLUE = (0.9, 0.5, 0.5), (0.5, 0.9, 0.6), (0.6, 0.5, 0.95)


def test_a_pane_shows_its_share_of_itself_and_filters_the_rest(renderer: Rasterizer) -> None:
    behind = light_of(np.array([200], np.uint8))[0]
    for opacity in (0.05, 0.4, 0.9):
        expected = opacity * alone(renderer, RED) + (1 - opacity) * to_linear(np.array(RED)) * behind
        np.testing.assert_allclose(shown(renderer, pane(opacity, RED, 0.0)), expected, atol=0.012)


def test_three_panes_and_an_opaque_one_lie_behind_each_other_as_they_stand(renderer: Rasterizer) -> None:
    floor = pane(1.0, (0.7, 0.7, 0.2), -0.5)
    layers = [(0.3, BLUE, 0.1), (0.5, GREEN, 0.2), (0.6, RED, 0.3)]
    expected = alone(renderer, (0.7, 0.7, 0.2))
    for opacity, colour, _ in layers:
        expected = opacity * alone(renderer, colour) + (1 - opacity) * to_linear(np.array(colour)) * expected
    panes = [pane(*layer) for layer in layers]
    np.testing.assert_allclose(shown(renderer, floor, *panes), expected, atol=0.015)
    np.testing.assert_allclose(shown(renderer, *panes[::-1], floor), expected, atol=0.015)
    other = [pane(0.6, RED, 0.1), pane(0.5, GREEN, 0.2), pane(0.3, BLUE, 0.3)]
    assert np.abs(shown(renderer, floor, *other) - expected).max() > 0.03


def test_what_is_deepest_counts_as_the_deepest(renderer: Rasterizer) -> None:
    """Pale panes before a dark one: were any two of them taken for each other, a tenth of the light would differ."""
    layers = [(0.9, (0.1, 0.1, 0.6), 0.1), (0.2, (0.85, 0.95, 0.85), 0.2), (0.2, (0.95, 0.85, 0.85), 0.3)]
    expected = light_of(np.array([200], np.uint8))[0]
    for opacity, colour, _ in layers:
        expected = opacity * alone(renderer, colour) + (1 - opacity) * to_linear(np.array(colour)) * expected
    panes = [pane(*layer) for layer in layers]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        np.testing.assert_allclose(shown(renderer, *(panes[k] for k in order)), expected, atol=0.015)


def test_an_opaque_surface_hides_what_is_translucent_behind_it(renderer: Rasterizer) -> None:
    hidden = shown(renderer, pane(0.5, RED, 0.1), pane(1.0, GREEN, 0.2))
    np.testing.assert_array_equal(hidden, shown(renderer, pane(1.0, GREEN, 0.2)))


def test_labels_are_those_of_the_nearest_surface_and_need_no_opacity(renderer: Rasterizer) -> None:
    objects = (
        Placed(replace(sphere(20), materials=(Material(RED, opacity=0.4),)), at(0.3, 0, 0.3), class_id=0),
        Placed(replace(box(1, 1, 1), materials=(Material(GREEN, opacity=0.7),)), at(-0.4, 0.2, turn=0.4), class_id=0),
        Placed(ground(), at(z=-0.5)),
    )
    solid = tuple(
        replace(one, mesh=replace(one.mesh, materials=(replace(one.mesh.materials[0], opacity=1.0),)))
        for one in objects
    )
    light = Light((0.3, -0.4, 1.0), shadows=False)
    clear, opaque = (renderer.render(Scene(from_above(size=(80, 90)), each, (light,))) for each in (objects, solid))
    assert np.array_equal(clear.ids, opaque.ids)
    assert np.array_equal(clear.depth, opaque.depth)
    assert np.array_equal(clear.normals, opaque.normals)
    assert not np.array_equal(clear.rgb, opaque.rgb)
    untouched = opaque.ids == 2
    for down, across in np.ndindex(3, 3):
        untouched &= np.roll(opaque.ids == 2, (down - 1, across - 1), (0, 1))
    assert np.abs(clear.rgb.astype(int) - opaque.rgb)[untouched].max() <= 1


def test_of_one_objects_translucent_surfaces_the_nearest_counts_and_its_opaque_ones_are_seen(
    renderer: Rasterizer,
) -> None:
    glass = replace(box(1, 1, 1), materials=(Material(BLUE, roughness=1.0, opacity=0.3),))
    core = replace(box(0.5, 0.5, 0.5), materials=(Material(RED, roughness=1.0),))
    whole = Placed(Mesh.joined([glass, core]), at(), class_id=0)
    expected = 0.3 * alone(renderer, BLUE) + 0.7 * to_linear(np.array(BLUE)) * alone(renderer, RED)
    np.testing.assert_allclose(shown(renderer, whole), expected, atol=0.012)
    behind = light_of(np.array([200], np.uint8))[0]
    empty = shown(renderer, Placed(glass, at(), class_id=0))
    np.testing.assert_allclose(
        empty, 0.3 * alone(renderer, BLUE) + 0.7 * to_linear(np.array(BLUE)) * behind, atol=0.012
    )


def test_the_texture_filters_what_is_behind(renderer: Rasterizer) -> None:
    halves = np.zeros((8, 8, 3), np.uint8)
    halves[:, :4, 0] = halves[:, 4:, 1] = 255
    mesh = ground(1, Material((1.0, 1.0, 1.0), roughness=1.0, texture=halves, opacity=0.001))
    mesh = replace(mesh, uv=((mesh.vertices[:, :2] + 1) / 2)[mesh.faces])
    background = np.full((40, 40, 3), 200, np.uint8)
    scene = Scene(from_above(), (Placed(mesh, np.eye(4), class_id=0),), background=background)
    rgb = renderer.render(scene).rgb.astype(int)
    np.testing.assert_allclose(rgb[20, 15], (200, 0, 0), atol=3)
    np.testing.assert_allclose(rgb[20, 24], (0, 200, 0), atol=3)


@pytest.mark.parametrize("samples", [1, 2])
def test_behind_a_pane_that_hides_nothing_the_picture_is_the_one_without_it(samples: int) -> None:
    renderer = Rasterizer(samples=samples)
    things = (
        Placed(replace(box(1, 1, 1), materials=(Material(GREEN),)), at(-0.4, 0.2, turn=0.4), class_id=0),
        Placed(replace(sphere(20), materials=(Material(RED),)), at(0.6, 0, 0.3, scale=0.5), class_id=0),
        Placed(ground(), at(z=-0.5), catcher=True),
    )
    background = np.random.default_rng(0).integers(0, 256, (70, 80, 3)).astype(np.uint8)
    light = (Light((0.4, 0.3, 1.0), softness_degrees=1),)
    scene = Scene(from_above(size=(70, 80)), things, lights=light, background=background)
    air = ground(20, Material((1.0, 1.0, 1.0), roughness=1.0, opacity=1e-6))
    through = replace(scene, objects=(*things, Placed(air, at(z=2.5))), lights=(replace(light[0], shadows=False),))
    plain = replace(scene, lights=through.lights)
    found, expected = renderer.render(through).rgb.astype(int), renderer.render(plain).rgb
    assert np.abs(found - expected).max() <= 1


def test_shadows_fall_on_what_is_behind_a_pane(renderer: Rasterizer) -> None:
    """All that is nearest is the pane: the shadow's map must reach to the ground behind all the same."""
    thing = Placed(box(0.5, 0.5, 0.5), at(0, 0, 0.25), class_id=0)
    floor = Placed(ground(8, Material((0.8, 0.8, 0.8), roughness=1.0)), np.eye(4))
    air = Placed(ground(0.95, Material((1.0, 1.0, 1.0), roughness=1.0, opacity=1e-6)), at(z=2.5))
    # So obliquely that the pane's own shadow falls outside of the picture.
    scene = Scene(from_above(), (floor,), lights=(Light((1.6, 0.0, 1.0), strength=2),), ambient=0.1)

    def beside(*objects: Placed) -> int:
        return int(renderer.render(replace(scene, objects=objects)).rgb[20, 13, 0])

    assert beside(floor, thing) < beside(floor) - 50
    assert abs(beside(floor, thing, air) - beside(floor, thing)) <= 2


def test_what_is_translucent_throws_no_shadow_and_what_is_opaque_in_it_does(renderer: Rasterizer) -> None:
    floor = Placed(ground(8, Material((0.8, 0.8, 0.8), roughness=1.0)), np.eye(4))
    glass = replace(box(0.5, 0.5, 0.5), materials=(Material(BLUE, opacity=0.5),))
    core = replace(box(0.4, 0.4, 0.4), materials=(Material(RED),))
    scene = Scene(from_above(), (floor,), lights=(Light((1.6, 0.0, 1.0), strength=2),), ambient=0.1)

    def beside(mesh: Mesh) -> int:
        objects = (floor, Placed(mesh, at(z=0.25), class_id=0))
        return int(renderer.render(replace(scene, objects=objects)).rgb[20, 14, 0])

    bare = int(renderer.render(scene).rgb[20, 14, 0])
    assert beside(glass) == bare
    assert beside(Mesh.joined([glass, core])) == beside(core) < bare - 50


def test_more_layers_than_are_told_apart_end_in_what_is_opaque(renderer: Rasterizer) -> None:
    panes = [pane(0.3, BLUE, 0.1 * step) for step in range(12)]
    deep = shown(renderer, pane(1.0, RED, -1.0), *panes)
    assert np.isfinite(deep).all()
    assert np.abs(deep - shown(renderer, *panes)).max() < 0.15


def test_opacity_is_above_nothing_and_at_most_whole() -> None:
    for opacity in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="opacity"):
            Material(opacity=opacity)
