"""Mitsuba's labels are ours, its light agrees with the rasteriser's where no light goes from surface to surface."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("mitsuba", reason="Mitsuba is not installed (extra mitsuba)")
pytest.importorskip("pyoidn", reason="pyoidn is not installed (extra mitsuba)")

from tests.generators.rendering.scenery import (
    at,
    box,
    from_above,
    ground,
    light_of,
    rims,
    sphere,
    spheres_and_boxes,
    stained,
    surrounded,
)

from twinset.camera import Camera
from twinset.generators.rendering.meshes import Material
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.generators.rendering.tracing import mitsuba as backend
from twinset.generators.rendering.tracing.mitsuba import MitsubaTracer, variant
from twinset.generators.rendering.tracing.traced import Traced

VARIANTS = ("scalar_rgb", "llvm_ad_rgb")


@pytest.fixture(scope="module", params=VARIANTS)
def tracer(request: pytest.FixtureRequest) -> MitsubaTracer:
    fast, why = variant()
    if request.param != "scalar_rgb" and fast != request.param:
        pytest.skip(why)
    return MitsubaTracer(samples_per_pixel=16, variant_name=request.param)


def test_ids_and_depth_are_those_of_the_rasteriser(tracer: MitsubaTracer) -> None:
    scene = spheres_and_boxes()
    drawn = Rasterizer().render(scene)
    ids, depth = tracer.labels(scene)
    assert set(np.unique(drawn.ids)) == {-1, 0, 1, 2, 3}
    assert ((ids != drawn.ids) & ~rims(drawn.ids)).sum() == 0
    assert (ids != drawn.ids).mean() < 2e-3
    same = (ids == drawn.ids) & (ids >= 0)
    np.testing.assert_allclose(depth[same], drawn.depth[same], rtol=1e-4)


def test_equal_scenes_give_equal_pictures_and_other_seeds_others(tracer: MitsubaTracer) -> None:
    scene = spheres_and_boxes()
    first, again = (Traced(tracer).render(scene).rgb for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (Traced(tracer).render(replace(scene, seed=5)).rgb != first).any()


def test_pixels_show_what_the_labels_say(tracer: MitsubaTracer) -> None:
    """A red ball on blue ground, with two focal lengths and an off-centre principal point."""
    camera = replace(spheres_and_boxes().camera, focal=(70.0, 110.0), centre=(40.0, 62.0))
    red, blue = Material((1, 0, 0), roughness=1.0), Material((0, 0, 1), roughness=1.0)
    objects = (Placed(sphere(30).painted(red), at(0, 0, 0.6, scale=0.6), 0), Placed(ground(6, blue), np.eye(4)))
    frame = Traced(tracer).render(Scene(camera, objects, lights=(), ambient=1.0))
    inner = ~rims(frame.ids)
    is_red = frame.rgb[..., 0].astype(int) > frame.rgb[..., 2]
    np.testing.assert_array_equal(is_red[inner & (frame.ids >= 0)], (frame.ids == 0)[inner & (frame.ids >= 0)])


def test_matte_ground_shows_the_light_that_falls_on_it(tracer: MitsubaTracer) -> None:
    flat = (Placed(ground(6, Material((1, 1, 1), roughness=1.0)), np.eye(4)),)
    for softness in (0.0, 4.0):
        light = Light((0, 0.6, 0.8), 1.2, softness_degrees=softness)
        plain = Scene(from_above(), flat, (light,), ambient=0.3, sky=0.5)
        found = light_of(Traced(tracer).render(plain).rgb)[15:25, 15:25].mean()
        # ambient · (1 + ⅔ sky) + strength · cosine / π
        assert found == pytest.approx(0.3 * 4 / 3 + 1.2 * 0.8 / np.pi, rel=0.1)


def test_a_texture_lies_as_the_rasteriser_lays_it(tracer: MitsubaTracer) -> None:
    quarters = np.zeros((2, 2, 3), np.uint8)
    quarters[0, 0], quarters[0, 1], quarters[1, 0], quarters[1, 1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3
    picture = np.repeat(np.repeat(quarters, 32, 0), 32, 1)
    cube = box(1, 1, 1).painted(Material((1, 1, 1), roughness=1.0, texture=picture))
    camera = from_above(size=(120, 120))
    scene = Scene(camera, (Placed(cube, at(turn=0.3), 0),), lights=(), ambient=0.8, sky=0.0)
    mine, theirs = Traced(tracer).render(scene), Rasterizer().render(scene)
    inner = (mine.ids == 0) & ~rims(mine.ids)
    apart = np.abs(mine.rgb[inner].astype(int) - theirs.rgb[inner]).max(1)
    assert (apart < 40).mean() > 0.97


def test_over_a_picture_nothing_but_objects_and_shadows_is_drawn(tracer: MitsubaTracer) -> None:
    camera = Camera.looking((0, -6, 3), (0, 0, 0), size=(80, 100), field_of_view_degrees=60)
    picture = np.random.default_rng(2).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    objects = (Placed(box(1, 1, 1), at(z=0.5), 0), Placed(ground(30), np.eye(4), catcher=True))
    scene = Scene(camera, objects, (Light((1.0, 0.2, 0.8), 2.0),), ambient=0.2, background=picture)
    frame = Traced(tracer).render(scene)
    assert (frame.rgb == picture).all(-1).mean() > 0.3
    body, wanted = (each.rgb[frame.ids == 0].astype(float).mean() for each in (frame, Rasterizer().render(scene)))
    assert body == pytest.approx(wanted, abs=15)
    ratio = (light_of(frame.rgb) / np.maximum(light_of(picture), 1e-2)).mean(-1)
    expected = (light_of(Rasterizer().render(scene).rgb) / np.maximum(light_of(picture), 1e-2)).mean(-1)
    shaded = (frame.ids < 0) & (expected < 0.6)
    assert shaded.sum() > 100
    assert np.median(ratio[shaded]) < 0.7
    unshaded = (frame.ids < 0) & (expected > 0.99)
    assert np.median(ratio[unshaded]) == pytest.approx(1, abs=0.1)


def test_what_llvm_lacks_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import drjit

    monkeypatch.setattr(drjit.detail, "llvm_version", lambda: (15, 0, 6))
    name, why = variant()
    assert name == "scalar_rgb"
    assert why.startswith("expected LLVM 19 or later; got 15.0.6; ")
    assert "\n" not in backend.Mitsuba().remark()
    monkeypatch.setattr(drjit.detail, "llvm_version", lambda: (19, 1, 7))
    assert variant() == ("llvm_ad_rgb", "")
    assert backend.Mitsuba().remark() == ""


def test_at_least_one_path_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one path"):
        MitsubaTracer(samples_per_pixel=0)


def test_translucent_bodies_let_the_background_pass_as_with_the_rasteriser(tracer: MitsubaTracer) -> None:
    scene = stained()
    mine, theirs = (renderer.render(scene).rgb.astype(int) for renderer in (Traced(tracer), Rasterizer()))
    for rows, columns in ((slice(14, 26), slice(14, 26)), (slice(0, 5), slice(0, 40))):
        np.testing.assert_allclose(mine[rows, columns].mean((0, 1)), theirs[rows, columns].mean((0, 1)), atol=8)
    assert theirs[14:26, 14:26, 1].mean() < theirs[14:26, 14:26, 0].mean() - 40


def test_any_number_of_paths_is_drawn() -> None:
    for paths in (1, 2, 7):
        light = MitsubaTracer(samples_per_pixel=paths, denoise=False, variant_name="scalar_rgb")
        assert np.isfinite(light.trace(spheres_and_boxes()).light).all()


def test_an_environment_lights_as_with_the_rasteriser(tracer: MitsubaTracer) -> None:
    scene = surrounded()
    mine, theirs = (renderer.render(scene) for renderer in (Traced(tracer), Rasterizer()))
    inner = (mine.ids == 0) & ~rims(mine.ids)
    red = [frame.rgb[..., 0].astype(float) for frame in (mine, theirs)]
    assert np.ptp(red[1][inner]) > 60
    assert np.abs(red[0] - red[1])[inner].mean() < 8
    assert np.abs(mine.rgb[mine.ids < 0].astype(float) - theirs.rgb[mine.ids < 0]).mean() < 0.5
