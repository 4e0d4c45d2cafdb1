"""Blender beside us: what is said where it is missing, crashes or hangs, and its labels and light where it is there."""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from tests.generators.rendering.scenery import (
    box,
    from_above,
    ground,
    light_of,
    rims,
    spheres_and_boxes,
    stained,
    surrounded,
)

from twinset.errors import MissingExtraError, TwinsetError
from twinset.generators.rendering import Rendering
from twinset.generators.rendering.meshes import Material
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.generators.rendering.tracing.blender import BlenderTracer
from twinset.generators.rendering.tracing.blender_process import VARIABLE, BlenderProcess
from twinset.generators.rendering.tracing.traced import Traced

BLENDER = os.environ.get(VARIABLE)
needs_blender = pytest.mark.skipif(not BLENDER, reason=f"{VARIABLE} names no Blender")


def program(path: Path, body: str) -> str:
    """A Blender of our own making."""
    path.write_text(
        f"#!{sys.executable}\nimport sys, time, os\nif '--version' in sys.argv:\n    print('Blender 9.9')\n"
    )
    with path.open("a") as file:
        file.write(f"    raise SystemExit\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("named", "got"),
    [
        ("", "got none"),
        ("/no/such/blender", "which cannot be run"),
        ("/bin/true", "which says"),
        (sys.executable, "a Python without bpy"),
    ],
)
def test_a_wrong_blender_is_refused_within_the_second(named: str, got: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, named)
    began = time.monotonic()
    with pytest.raises(MissingExtraError, match=rf"{VARIABLE} to name a Blender.*{got}"):
        Rendering(backend="blender").check()
    assert time.monotonic() - began < 1.5


def started(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> BlenderProcess:
    monkeypatch.setenv(VARIABLE, program(folder / "blender", body))
    return BlenderProcess(folder, timeout_seconds=seconds)


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_of_a_crash_the_end_of_the_log_is_told_and_no_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "sys.stdin.readline()\nfor k in range(99):\n    print('line', k)\nsys.stdout.flush()\nos._exit(7)"
    blender = started(tmp_path, body, monkeypatch, seconds=60)
    with pytest.raises(TwinsetError, match=r"(?s)an end with code 7.*line 97\n.*line 98") as caught:
        blender.ask({"do": "draw"})
    assert "line 5\n" not in str(caught.value)
    assert gone(blender.pid)


def test_a_blender_that_hangs_is_ended_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "print('thinking', flush=True)\nchild = os.fork()\nopen(f'{os.path.dirname(sys.argv[0])}/{child}', 'w').close()"
    )
    blender = started(tmp_path, f"{body}\ntime.sleep(600)", monkeypatch, seconds=1.0)
    began = time.monotonic()
    with pytest.raises(TwinsetError, match=r"(?s)no answer in 1 seconds.*thinking"):
        blender.ask({"do": "draw"})
    assert time.monotonic() - began < 10
    assert gone(blender.pid)
    (child,) = (int(path.name) for path in tmp_path.iterdir() if path.name.isdigit() and path.name != "0")
    deadline = time.monotonic() + 5
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
        _reap()
    assert gone(child) or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"


def _reap() -> None:
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_the_script_cannot_do_comes_back_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        'sys.stdin.readline()\nprint(\'twinset:{"problem": "Traceback\\\\nKeyError: 5"}\', flush=True)\ntime.sleep(600)'
    )
    blender = started(tmp_path, body, monkeypatch, seconds=60)
    with pytest.raises(TwinsetError, match=r"(?s)a problem.*KeyError: 5"):
        blender.ask({"do": "draw"})
    assert gone(blender.pid)


def test_a_blender_that_is_left_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blender = started(
        tmp_path, "for line in sys.stdin:\n    print('twinset:{\"done\": 5}', flush=True)", monkeypatch, seconds=60
    )
    assert blender.ask({"do": "anything"}) == 5
    blender.close()
    blender.close()
    assert gone(blender.pid)


@needs_blender
@pytest.mark.slow
def test_cycles_gives_our_labels_and_light() -> None:
    scene = spheres_and_boxes()
    drawn = Rasterizer().render(scene)
    with BlenderTracer.running(samples_per_pixel=32) as tracer:
        ids, depth = tracer.labels(scene)
        same = ids == drawn.ids
        assert (~same).mean() < 2e-3
        inner = same & (ids >= 0) & ~rims(ids)
        np.testing.assert_allclose(depth[inner], drawn.depth[inner], rtol=1e-3)
        first, again = (Traced(tracer).render(scene).rgb for _ in range(2))
        np.testing.assert_array_equal(first, again)
        other = Traced(tracer).render(replace(scene, seed=5)).rgb
        assert (first != other).any()
        assert np.abs(first.astype(float) - drawn.rgb).mean() < 25

        # Matte white ground: ambient · (1 + ⅔ sky) + strength · cosine / π.
        flat = (Placed(ground(6, Material((1, 1, 1), roughness=1.0)), np.eye(4)),)
        plain = Scene(from_above(), flat, (Light((0, 0.6, 0.8), 1.2),), ambient=0.3, sky=0.5)
        light = light_of(Traced(tracer).render(plain).rgb)[15:25, 15:25].mean()
        assert light == pytest.approx(0.3 * 4 / 3 + 1.2 * 0.8 / np.pi, rel=0.1)

        # A stained slab filters the white behind it.
        through, drawn = (renderer.render(stained()).rgb[14:26, 14:26] for renderer in (Traced(tracer), Rasterizer()))
        np.testing.assert_allclose(through.mean((0, 1)), drawn.mean((0, 1)), atol=8)

        # A picture of all directions lights from where it is bright.
        mine, theirs = (renderer.render(surrounded()) for renderer in (Traced(tracer), Rasterizer()))
        inner = (mine.ids == 0) & ~rims(mine.ids)
        assert np.abs(mine.rgb[..., 0].astype(float) - theirs.rgb[..., 0])[inner].mean() < 8

        # Over a picture nothing but objects and their shadows is drawn.
        picture = np.random.default_rng(2).integers(0, 256, (90, 120, 3)).astype(np.uint8)
        over = replace(scene, objects=(*scene.objects[:3], replace(scene.objects[3], catcher=True)), background=picture)
        found = Traced(tracer).render(over)
        assert (found.rgb == picture).all(-1).mean() > 0.2
        assert (found.rgb != picture).any(-1)[found.ids >= 0].mean() > 0.95


@needs_blender
@pytest.mark.slow
def test_what_died_here_leaves_blender_and_names_are_not_mixed_up() -> None:
    with BlenderTracer.running(samples_per_pixel=1, denoise=False) as tracer:
        for size in (0.3, 0.6, 0.9):
            scene = Scene(from_above(), (Placed(box(size, size, 0.2), np.eye(4), 0),))
            ids, _ = tracer.labels(scene)
            np.testing.assert_array_equal(ids, Rasterizer().render(scene).ids)
            del scene
        assert len(tracer._meshes) == 0


def test_labels_name_objects_by_their_place_in_the_scene_wherever_the_catcher_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    things = spheres_and_boxes()
    scene = replace(things, objects=(Placed(ground(), np.eye(4), catcher=True), *things.objects))
    numbers = np.zeros(scene.camera.size, np.float32)
    numbers[0, :2] = 1, 2
    channels = {"ViewLayer.Object Index.X": numbers, "ViewLayer.Depth.Z": np.ones_like(numbers)}
    monkeypatch.setattr(BlenderTracer, "_drawn", lambda *_, **__: channels)
    ids, depth = BlenderTracer.labels(BlenderTracer.__new__(BlenderTracer), scene)
    assert ids[0, :3].tolist() == [1, 2, -1]
    assert np.isinf(depth[0, 2])
