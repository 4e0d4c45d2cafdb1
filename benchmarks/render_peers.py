"""A peer's side of ``render.py``: runs in the peer's own interpreter, without twinset.

    PYTHON render_peers.py {pyrender|cycles} SCENE.npz REPEATS

``SCENE.npz`` holds the meshes, poses, camera and light that ``render.py`` wrote. Prints a line "ready" when it is warm,
waits for a line of input, so that several may begin together, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Scene = Mapping[str, Any]


def pyrender_side(scene: Scene, repeats: int) -> dict[str, float]:
    """RGB with shadows and depth, ids by a second pass in flat colours: what pyrender offers for the same labels."""
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    import pyrender

    height, width = (int(value) for value in scene["size"])
    made = pyrender.Scene(bg_color=(0, 0, 0, 0), ambient_light=(0.3, 0.3, 0.3))
    nodes = {}
    for row in range(int(scene["count"])):
        material = pyrender.MetallicRoughnessMaterial(
            baseColorFactor=(*scene[f"colour{row}"], 1.0), metallicFactor=0.0, roughnessFactor=0.5
        )
        primitive = pyrender.Primitive(
            positions=scene[f"vertices{row}"],
            normals=scene[f"normals{row}"],
            indices=scene[f"faces{row}"].astype(np.uint32),
            material=material,
            mode=4,
        )
        node = made.add(pyrender.Mesh([primitive]), pose=scene[f"pose{row}"])
        nodes[node] = (row + 1, 0, 0)
    (fx, fy), (cx, cy) = scene["focal"], scene["centre"]
    turn = np.diag([1.0, -1, -1, 1])
    made.add(pyrender.IntrinsicsCamera(fx, fy, cx, cy, znear=0.05, zfar=200.0), pose=scene["pose"] @ turn)
    made.add(pyrender.DirectionalLight(intensity=5.0), pose=scene["light"])
    drawer = pyrender.OffscreenRenderer(width, height)
    flags = pyrender.RenderFlags.SHADOWS_DIRECTIONAL

    def picture() -> object:
        colour, depth = drawer.render(made, flags=flags)
        ids, _ = drawer.render(made, flags=pyrender.RenderFlags.SEG, seg_node_map=nodes)
        return colour, depth, ids

    return timed(picture, repeats)


def cycles_side(scene: Scene, repeats: int) -> dict[str, float]:
    """Blender's path tracer, 16 samples and denoising, with depth, normal and index passes."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="cycles")
    made = bpy.context.scene
    made.render.engine = "CYCLES"
    made.cycles.device = "CPU"
    made.cycles.samples, made.cycles.use_denoising = 16, True
    made.cycles.denoiser = "OPENIMAGEDENOISE"
    made.render.use_persistent_data = True
    made.render.threads_mode, made.render.threads = "FIXED", int(os.environ.get("OMP_NUM_THREADS", "4"))
    height, width = (int(value) for value in scene["size"])
    made.render.resolution_x, made.render.resolution_y, made.render.resolution_percentage = width, height, 100
    layer = made.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_object_index = True
    for row in range(int(scene["count"])):
        mesh = bpy.data.meshes.new(f"mesh{row}")
        mesh.from_pydata(scene[f"vertices{row}"].tolist(), [], scene[f"faces{row}"].tolist())
        thing = bpy.data.objects.new(f"object{row}", mesh)
        thing.matrix_world = scene[f"pose{row}"].T
        thing.pass_index = row + 1
        made.collection.objects.link(thing)
    camera = bpy.data.cameras.new("camera")
    camera.sensor_width, camera.lens = 36.0, 36.0 * float(scene["focal"][0]) / width
    seeing = bpy.data.objects.new("camera", camera)
    seeing.matrix_world = (scene["pose"] @ np.diag([1.0, -1, -1, 1])).T
    made.collection.objects.link(seeing)
    made.camera = seeing
    sun = bpy.data.lights.new("sun", type="SUN")
    sun.energy = 2.5
    shining = bpy.data.objects.new("sun", sun)
    shining.matrix_world = scene["light"].T
    made.collection.objects.link(shining)
    made.world = bpy.data.worlds.new("world")
    return timed(lambda: bpy.ops.render.render(), repeats)


def timed(picture: Callable[[], object], repeats: int) -> dict[str, float]:
    """Warms up, says so, waits for a line, and draws; medians, and what all took together."""
    picture()
    print("ready", flush=True)
    sys.stdin.readline()
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        picture()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return {"wall_s": float(np.median(walls)), "processor_s": float(np.median(processors)), "repeats": repeats}


if __name__ == "__main__":
    sides = {"pyrender": pyrender_side, "cycles": cycles_side}
    print(json.dumps(sides[sys.argv[1]](np.load(sys.argv[2]), int(sys.argv[3]))))
