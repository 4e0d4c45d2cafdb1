"""How long do the path tracers take for a picture, and how noisy is it, at equal numbers of paths?

    TWINSET_BLENDER=PYTHON_OR_BLENDER uv run --extra mitsuba python benchmarks/tracers.py [--paths 16] [--repeats 3]

The scene of ``render.py`` as users of ``backend: mitsuba`` and ``backend: blender`` get it: 320 × 320, five objects of
about 5,000 triangles on a plane, sun and sky; light only, as labels come from the rasteriser for all. Noise is the root
of the mean square of what differs from the same tracer's picture at --reference paths without denoising, in linear
light cut off at 1, in shares of the picture's mean. Both tracers are warmed up first; OMP_NUM_THREADS says how many
threads they take. Processor time stands beside wall time: a busy machine distorts it less. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Protocol

import numpy as np
from hardware import machine
from numpy.typing import NDArray
from render import benchmark_scene

from twinset.errors import TwinsetError
from twinset.generators.rendering.backends import Quality, backend_of
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Scene
from twinset.generators.rendering.tracing.blender import BlenderTracer
from twinset.generators.rendering.tracing.layers import Layers, sky_light
from twinset.generators.rendering.tracing.threads import threads

NAMES = ("mitsuba", "mitsuba scalar", "blender")


class Tracer(Protocol):
    def trace(self, scene: Scene) -> Layers: ...


@contextmanager
def opened(name: str, paths: int, *, denoise: bool) -> Iterator[tuple[Tracer, int]]:
    """A tracer, and the process that works for it."""
    if name == "blender":
        with BlenderTracer.running(samples_per_pixel=paths, denoise=denoise) as tracer:
            yield tracer, tracer.process.pid
        return
    from twinset.generators.rendering.tracing.mitsuba import MitsubaTracer, variant

    fast, why = variant()
    if name == "mitsuba" and why:
        raise TwinsetError(why)
    variant_name = fast if name == "mitsuba" else "scalar_rgb"
    yield MitsubaTracer(samples_per_pixel=paths, denoise=denoise, variant_name=variant_name), os.getpid()


def processor_seconds(process: int) -> float:
    """Of all its threads so far (Linux)."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def picture(tracer: Tracer, scene: Scene) -> NDArray[np.float64]:
    layers = tracer.trace(scene)
    return np.minimum(layers.light + layers.behind * sky_light(scene), 1.0)


def timed(name: str, scene: Scene, paths: int, repeats: int, *, denoise: bool) -> dict[str, object]:
    """Seconds a picture, and the last one."""
    walls, processors = [], []
    with opened(name, paths, denoise=denoise) as (tracer, process):
        for repeat in range(repeats + 1):
            wall, processor = time.perf_counter(), processor_seconds(process)
            drawn = picture(tracer, replace(scene, seed=repeat))
            if repeat:
                walls.append(time.perf_counter() - wall)
                processors.append(processor_seconds(process) - processor)
    return {"wall_s": median(walls), "processor_s": median(processors), "picture": drawn}


def measured(name: str, scene: Scene, paths: int, reference: int, repeats: int) -> dict[str, float]:
    backend_of(name.split()[0]).check(Quality(samples_per_pixel=paths))
    wanted = "mitsuba" if name == "mitsuba scalar" else name
    with opened(wanted, reference, denoise=False) as (tracer, _):
        truth = picture(tracer, replace(scene, seed=12345))
    row: dict[str, float] = {"mean": float(truth.mean())}
    for kind, denoise in (("noisy", False), ("denoised", True)):
        found = timed(name, scene, paths, repeats, denoise=denoise)
        drawn = found.pop("picture")
        assert isinstance(drawn, np.ndarray)
        row[f"{kind}_noise"] = float(np.sqrt(((drawn - truth) ** 2).mean()) / truth.mean())
        row |= {f"{kind}_{key}": float(value) for key, value in found.items() if isinstance(value, float)}
    return row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracers", default=",".join(NAMES))
    arguments.add_argument("--paths", type=int, default=16)
    arguments.add_argument("--reference", type=int, default=1024)
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    scene = benchmark_scene()
    found: dict[str, object] = {"machine": machine("numba"), "threads": threads(), "paths": given.paths}
    rows: dict[str, dict[str, float]] = {}
    for name in given.tracers.split(","):
        try:
            found[name] = rows[name] = row = measured(name, scene, given.paths, given.reference, given.repeats)
        except TwinsetError as error:
            found[name] = str(error)
            print(f"{name}: {error}")
            continue
        for kind in ("noisy", "denoised"):
            times = f"{row[f'{kind}_wall_s']:.2f} s, {row[f'{kind}_processor_s']:.2f} s of processor"
            print(f"{name}, {given.paths} paths, {kind}: {times}, noise {100 * row[f'{kind}_noise']:.2f} %", flush=True)
    if {"mitsuba", "blender"} <= rows.keys():
        for kind in ("noisy", "denoised"):
            wall, processor = (
                rows["blender"][f"{kind}_{part}"] / rows["mitsuba"][f"{kind}_{part}"]
                for part in ("wall_s", "processor_s")
            )
            found[f"blender / mitsuba, {kind}"] = {"wall": wall, "processor": processor}
            print(f"{kind}: Mitsuba is {wall:.1f}× as fast as Cycles, {processor:.1f}× by processor time")
    renderer = Rasterizer()
    renderer.render(scene)
    began = time.perf_counter()
    for _ in range(10):
        renderer.render(scene)
    found["embedded"] = {"wall_s": (time.perf_counter() - began) / 10}
    print(f"embedded: {1e3 * (time.perf_counter() - began) / 10:.0f} ms, all labels included")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
