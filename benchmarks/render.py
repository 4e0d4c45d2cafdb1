"""How many labelled pictures a second does the embedded renderer draw, beside its peers?

    uv run python benchmarks/render.py [--peers PYTHON] [--cycles PYTHON] [--threads 1,2,4] [--processes 1,2,4]
        [--pictures 200] [--images 10000]

The scene: 320 × 320, five objects of about 5,000 triangles on a plane, RGB with shadows at two samples a pixel and
axis, depth, ids and normals. pyrender (OpenGL; without a GPU, Mesa's software renderer) is the peer of equal technique:
RGB with shadows, depth, and a second pass for ids; no normals, four samples a pixel. Cycles (16 samples and denoising)
is a path tracer: what it draws is more real, and the ratio says nothing about that.

    cd /tmp && uv venv peers-render --python 3.11 && uv venv peers-bpy --python 3.11
    uv pip install --python peers-render/bin/python pyrender "numpy<2"
    uv pip install --python peers-bpy/bin/python bpy

Every side draws the same scene again and again and is warmed up first. Processor time stands beside wall time: a busy
machine distorts it less. Threads share one renderer; processes have one each. A peer runs as one process (pyrender of
one thread, Cycles of one for every core), and then as one process of one thread for every core; the fastest way of each
side is set beside the other's in pictures a second. ``--images`` draws so many different pictures, one of five meshes
new in each, and says how much memory the process held on the way (0: left out; Linux only). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hardware import machine

from twinset.camera import Camera
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.scene import Light, Placed, Scene

PEERS = Path(__file__).with_name("render_peers.py")
COLOURS = ((0.8, 0.2, 0.2), (0.2, 0.7, 0.3), (0.25, 0.35, 0.85), (0.85, 0.7, 0.2), (0.7, 0.3, 0.7))


def bumpy(seed: int, rings: int = 36) -> Mesh:
    """A ball with bumps, of about 5,000 triangles, with smooth normals."""
    rng = np.random.default_rng(seed)
    up, around = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    radius = 0.55 + 0.05 * np.outer(np.sin(up) ** 2, np.sin(rng.integers(3, 7) * around)) * np.sin(3 * up)[:, None]
    flat = np.stack([np.outer(np.sin(up), np.cos(around)), np.outer(np.sin(up), np.sin(around))])
    points = np.concatenate([flat * radius, np.outer(np.cos(up), np.ones(2 * rings))[None] * radius])
    vertices = points.reshape(3, -1).T.astype(np.float32)
    wide = 2 * rings
    a = (np.arange(rings)[:, None] * wide + np.arange(wide)).ravel()
    b = (np.arange(rings)[:, None] * wide + (np.arange(wide) + 1) % wide).ravel()
    faces = np.concatenate([np.stack([a, a + wide, b], 1), np.stack([b, a + wide, b + wide], 1)]).astype(np.int32)
    u, v = (vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2))
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces.ravel(), np.repeat(np.cross(u, v), 3, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    keep = np.linalg.norm(np.cross(u, v), axis=1) > 0
    return Mesh(vertices, faces[keep], (Material(COLOURS[seed]),), normals=normals[faces[keep]])


def benchmark_scene() -> Scene:
    ground = np.array([(-20, -20, 0), (20, -20, 0), (20, 20, 0), (-20, 20, 0)], np.float32)
    plane = Mesh(ground, np.array([(0, 1, 2), (0, 2, 3)], np.int32), (Material((0.6, 0.6, 0.55)),))
    objects = []
    for row in range(5):
        pose = np.eye(4)
        pose[:3, 3] = (row - 2) * 0.9, row % 2, 0.6
        objects.append(Placed(bumpy(row), pose, class_id=0))
    camera = Camera.looking((0, -5, 2), (0, 0, 0.5), size=(320, 320), field_of_view_degrees=50)
    return Scene(camera, (*objects, Placed(plane, np.eye(4))), lights=(Light((0.3, -0.4, 1.0)),))


def write(scene: Scene, path: Path) -> None:
    """The scene for the peers."""
    towards = np.array(scene.lights[0].towards) / np.linalg.norm(scene.lights[0].towards)
    side = np.cross((0, 1, 0), towards)
    side /= np.linalg.norm(side)
    light = np.eye(4)
    light[:3, :3] = np.stack([side, np.cross(towards, side), towards], 1)
    numbers: dict[str, object] = {
        "size": scene.camera.size,
        "focal": scene.camera.focal,
        "centre": scene.camera.centre,
        "pose": scene.camera.pose,
        "light": light,
        "count": len(scene.objects),
    }
    for row, placed in enumerate(scene.objects):
        mesh = placed.mesh
        normals = np.zeros_like(mesh.vertices)
        normals[:] = (0, 0, 1)
        if mesh.normals is not None:
            normals[mesh.faces] = mesh.normals
        numbers |= {
            f"vertices{row}": mesh.vertices,
            f"faces{row}": mesh.faces,
            f"normals{row}": normals,
            f"pose{row}": placed.pose,
            f"colour{row}": mesh.materials[0].colour,
        }
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in numbers.items()}
    np.savez(path, **arrays)


def by_threads(threads: int, pictures: int) -> dict[str, float]:
    scene, renderer = benchmark_scene(), Rasterizer()
    list(renderer.render_many([scene] * 4 * threads, threads=threads))
    wall, processor = time.perf_counter(), time.process_time()
    for _ in renderer.render_many((scene for _ in range(pictures)), threads=threads):
        pass
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"wall_s": wall / pictures, "processor_s": processor / pictures, "images_per_s": pictures / wall}


def drawn_here(pictures: int) -> float:
    """Draws so many pictures on one thread of this process; its processor time."""
    scene, renderer = benchmark_scene(), Rasterizer()
    list(renderer.render_many([scene] * 4))
    start = time.process_time()
    for _ in range(pictures):
        renderer.render(scene)
    return time.process_time() - start


def by_processes(processes: int, pictures: int) -> dict[str, float]:
    """The same by processes of one thread each; what starting them takes is not counted."""
    share = pictures // processes
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(drawn_here, [share] * processes))
        # Warm-up is part of either run, and falls out of the difference.
        walls, busy = [], []
        for count in (share, 2 * share):
            start = time.perf_counter()
            busy.append(sum(pool.map(drawn_here, [count] * processes)))
            walls.append(time.perf_counter() - start)
    wall, drawn = walls[1] - walls[0], share * processes
    return {"wall_s": wall / drawn, "processor_s": (busy[1] - busy[0]) / drawn, "images_per_s": drawn / wall}


def different(count: int) -> Iterator[Scene]:
    """Scenes seen from different places, one mesh new in each."""
    scene, draws = benchmark_scene(), np.random.default_rng(0)
    for picture in range(count):
        objects = list(scene.objects)
        row = picture % 5
        pose = objects[row].pose.copy()
        pose[:2, 3] += draws.normal(0, 0.1, 2)
        objects[row] = replace(objects[row], mesh=replace(objects[row].mesh), pose=pose)
        eye = (draws.uniform(-3, 3), -5, draws.uniform(1, 4))
        camera = Camera.looking(eye, (0, 0, 0.5), size=(320, 320), field_of_view_degrees=50)
        yield replace(scene, camera=camera, objects=tuple(objects))


def memory_of(pictures: int, threads: int = 2, stops: int = 20) -> dict[str, object]:
    """MiB held after every so manieth part of the pictures, and by how much the last half of them grew."""
    renderer, held = Rasterizer(), []
    for number, frame in enumerate(renderer.render_many(different(pictures), threads=threads), 1):
        assert (frame.ids >= 0).any()
        if number % max(1, pictures // stops) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            held.append(round(pages * os.sysconf("SC_PAGESIZE") / 2**20, 1))
    half = held[len(held) // 2 :]
    return {"pictures": pictures, "threads": threads, "held_mib": held, "growth_mib": round(max(half) - half[0], 1)}


def peer(python: str, name: str, scene: Path, repeats: int, processes: int, threads: int) -> dict[str, float] | str:
    """What so many processes of a peer measured, each of so many threads, or why they did not.

    They begin together when all are warm; ``images_per_s`` is of all together, the rest of one.
    """
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "LP_NUM_THREADS"), str(threads))
    command = [python, str(PEERS), name, str(scene), str(repeats)]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes)]
        running = [
            stack.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=environment)
            )
            for log in logs
        ]
        ready = [any(line == "ready\n" for line in one.stdout or ()) for one in running]
        if all(ready):
            start = time.perf_counter()
            for one in running:
                assert one.stdin is not None
                one.stdin.write("go\n")
                one.stdin.flush()
            rows = [[line for line in one.stdout or () if line.startswith("{")] for one in running]
            wall = time.perf_counter() - start
            if all(rows):
                found: list[dict[str, float]] = [json.loads(lines[-1]) for lines in rows]
                means = {part: sum(row[part] for row in found) / processes for part in ("wall_s", "processor_s")}
                return means | {"repeats": repeats, "images_per_s": processes * repeats / wall}
        for one in running:
            one.kill()
        logs[0].seek(0)
        return (logs[0].read().strip().splitlines() or ["no word"])[-1]


def beside(name: str, ways: dict[str, dict[str, float]], own: dict[str, dict[str, float]]) -> dict[str, float]:
    """The fastest of a peer's ways beside the fastest of ours, in pictures a second of the whole machine."""
    fastest, best = (max(rows, key=lambda way: rows[way]["images_per_s"]) for rows in (ways, own))
    theirs, ours = ways[fastest]["images_per_s"], own[best]["images_per_s"]
    print(
        f"fastest of each: {name} {theirs:.2f} images/s ({fastest}), twinset {ours:.0f} ({best}): {ours / theirs:.1f}×"
    )
    return {"theirs_per_s": theirs, "ours_per_s": ours, "ratio": ours / theirs}


def compared(
    python: str, name: str, scene: Path, repeats: int, own: dict[str, dict[str, float]]
) -> dict[str, dict[str, float] | str]:
    """A peer on one thread or all cores, and as one process of one thread for each core."""
    cores = os.cpu_count() or 1
    found: dict[str, dict[str, float] | str] = {}
    ways: dict[str, dict[str, float]] = {}
    for processes, threads in dict.fromkeys([(1, 1 if name == "pyrender" else cores), (cores, 1)]):
        way = f"{processes} processes of {threads} threads"
        found[f"{name}, {way}"] = row = peer(python, name, scene, repeats, processes, threads)
        if isinstance(row, str):
            print(f"{name}, {way}: {row}")
            continue
        ways[way] = row
        speed, times = (
            row["images_per_s"],
            f"{1e3 * row['wall_s']:.0f} ms, {1e3 * row['processor_s']:.0f} ms of processor",
        )
        print(f"{name}, {way}: {speed:.2f} images/s; a picture {times}", flush=True)
        alike = own.get(f"{threads} threads")
        if processes == 1 and alike:
            ratios = {part: row[part] / alike[part] for part in ("wall_s", "processor_s")}
            found[f"{name} / twinset {threads}"] = ratios
            faster = f"{ratios['wall_s']:.1f}× as fast, {ratios['processor_s']:.1f}× by processor time"
            print(f"  we, {threads} threads: {faster}")
    if ways:
        found[f"fastest, beside {name}"] = beside(name, ways, own)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peers", help="an interpreter with pyrender")
    arguments.add_argument("--cycles", help="an interpreter with bpy")
    arguments.add_argument("--threads", default="1,2,4")
    arguments.add_argument("--processes", default="1,2,4")
    arguments.add_argument("--pictures", type=int, default=200)
    arguments.add_argument("--images", type=int, default=0)
    given = arguments.parse_args()
    scene = benchmark_scene()
    found: dict[str, object] = {"machine": machine("numba"), "triangles": sum(len(o.mesh.faces) for o in scene.objects)}
    own: dict[str, dict[str, float]] = {}
    for kind, counts, measured in (
        ("threads", given.threads, by_threads),
        ("processes", given.processes, by_processes),
    ):
        for count in (int(text) for text in counts.split(",") if text):
            own[f"{count} {kind}"] = row = measured(count, given.pictures)
            speed, each = row["images_per_s"], 1e3 * row["processor_s"]
            first = own.get("1 threads")
            times = f", {speed / first['images_per_s']:.2f}× one thread" if first else ""
            print(f"twinset, {count} {kind}: {speed:.0f} images/s, {each:.1f} ms of processor each{times}", flush=True)
    found |= {f"twinset {way}": row for way, row in own.items()}
    if given.images:
        found["memory"] = memory = memory_of(given.images)
        print(f"memory over {given.images} images: {memory['held_mib']} MiB; {memory['growth_mib']} in the last half")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene.npz")
        write(scene, path)
        for python, name, repeats in ((given.peers, "pyrender", 20), (given.cycles, "cycles", 3)):
            if python:
                found |= compared(python, name, path, repeats, own)
    print("Realism is not equal: a path tracer draws soft light between surfaces, a rasteriser does not.")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
