"""Blender's Cycles, a path tracer in a process of its own (``TWINSET_BLENDER``): GPL stays outside of ours.

Scenes go there as JSON and arrays without pickle, pictures come back as EXR, all in a temporary folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary, finalize

import numpy as np
from numpy.typing import NDArray

from twinset.errors import TwinsetError
from twinset.generators.rendering.backends import Quality
from twinset.generators.rendering.extra import check_extra
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.raster import Rasterizer
from twinset.generators.rendering.raster.colour import to_linear
from twinset.generators.rendering.scene import NOTHING, Light, Placed, Renderer, Scene
from twinset.generators.rendering.tracing.blender_process import BlenderProcess, command_of
from twinset.generators.rendering.tracing.exr import channels_of
from twinset.generators.rendering.tracing.layers import Layers, background_colour, surrounding_light
from twinset.generators.rendering.tracing.pieces import pieces_of
from twinset.generators.rendering.tracing.threads import threads
from twinset.generators.rendering.tracing.traced import Traced
from twinset.generators.rendering.tracing.translucent import opacity_of_a_side, passing
from twinset.generators.rendering.tracing.view import View
from twinset.randomness import seed_for

SAMPLES = 16
"""Paths a pixel where nothing else is wanted; with denoising they do."""

TIMEOUT_SECONDS = 900.0
"""For one picture."""

MEMORY_FOLDER = Path("/dev/shm")
"""Where a picture need not go to a disk, on Linux."""

ENOUGH_BYTES = 256 << 20


class Blender:
    """Opens renderers on the Blender that ``TWINSET_BLENDER`` names."""

    def check(self, quality: Quality) -> None:  # noqa: ARG002  (Blender brings its own denoiser)
        """Raises :class:`~twinset.errors.MissingExtraError` where there is no Blender."""
        check_extra()
        command_of(Path("script.py"))

    def remark(self) -> str:
        """Nothing: what it is, its process tells."""
        return ""

    @contextmanager
    def open(self, quality: Quality) -> Iterator[Renderer]:
        """A renderer with a process of its own, which ends with the context."""
        check_extra()
        samples = quality.samples_per_pixel or SAMPLES
        with BlenderTracer.running(samples_per_pixel=samples, denoise=quality.denoise is not False) as tracer:
            yield Traced(tracer)


class BlenderTracer:
    """Traces scenes with Cycles; of a mesh or material nothing is sent twice while it lives."""

    def __init__(self, process: BlenderProcess, folder: Path) -> None:
        self.process = process
        self._folder = folder
        self._meshes: WeakKeyDictionary[Mesh, str] = WeakKeyDictionary()
        self._materials: WeakKeyDictionary[Material, str] = WeakKeyDictionary()
        self._gone: dict[str, list[str]] = {"meshes": [], "materials": []}
        self._sent = 0
        self._rasterizer = Rasterizer(samples=2)

    @staticmethod
    @contextmanager
    def running(
        *, samples_per_pixel: int = SAMPLES, denoise: bool = True, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Iterator[BlenderTracer]:
        """A tracer whose Blender ends, with its files, when the context is left."""
        if samples_per_pixel < 1:
            raise ValueError(f"expected at least one path a pixel; got {samples_per_pixel}")
        roomy = MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > ENOUGH_BYTES
        with tempfile.TemporaryDirectory(prefix="twinset-blender-", dir=MEMORY_FOLDER if roomy else None) as name:
            process = BlenderProcess(Path(name), timeout_seconds=timeout_seconds)
            try:
                quality = {"threads": threads(), "samples": samples_per_pixel, "denoise": denoise}
                process.ask({"do": "prepare", "folder": name, **quality})
                yield BlenderTracer(process, Path(name))
            finally:
                process.close()

    def trace(self, scene: Scene) -> Layers:
        """What is seen of a scene, but for its background."""
        view = View.of(scene.camera)
        channels = self._drawn(scene, view, labels=False)
        light = np.stack([channels[f"ViewLayer.Combined.{part}"] for part in "RGB"], axis=-1)
        empty = 1 - channels["ViewLayer.Combined.A"][..., None]
        share = np.ones_like(light)
        if "ViewLayer.Shadow Catcher.R" in channels:
            share = np.stack([channels[f"ViewLayer.Shadow Catcher.{part}"] for part in "RGB"], axis=-1)
            noisy = [channels.get(f"ViewLayer.Noisy Shadow Catcher.{part}") for part in "RGB"]
            for number, plane in enumerate(noisy):
                if plane is not None:
                    # The denoiser stirs what no path found shaded.
                    share[..., number][plane == 1] = 1
        behind = view.resampled(empty * share)
        through = passing(scene, self._rasterizer)
        return Layers(view.resampled(light), behind if through is None else behind * through.hue)

    def labels(self, scene: Scene) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Cycles' own ids and depth (H, W) at pixel centres, as in a frame; of a camera of square pixels only."""
        view = View.of(scene.camera)
        if view.size != scene.camera.size:
            raise ValueError(f"expected equal focal lengths; got {scene.camera.focal}")
        channels = self._drawn(scene, view, labels=True)
        # Blender numbers, from 1, what it was sent: all but the catchers.
        sent = [row for row, one in enumerate(scene.objects) if not one.catcher]
        ids = np.array([NOTHING, *sent], dtype=np.int32)[np.rint(channels["ViewLayer.Object Index.X"]).astype(np.int32)]
        depth = np.where(ids < 0, np.float32(np.inf), channels["ViewLayer.Depth.Z"])
        return ids, depth

    def _drawn(self, scene: Scene, view: View, *, labels: bool) -> dict[str, NDArray[np.float32]]:
        self._forget()
        out = self._folder / "picture.exr"
        ground = Material(roughness=1.0)
        shown = [one for one in scene.objects if not (labels and one.catcher)]
        objects = [self._object(one) for one in shown]
        if any(one.catcher for one in shown):
            name = self._add_material(ground, background_colour(scene), specular=0.0)
            for one in objects:
                one["material"] = name
        self.process.ask(
            {
                "do": "draw",
                "out": str(out),
                "seed": seed_for(scene.seed, "blender") & 0x7FFFFFFF,
                "labels": labels,
                "sky": self._sky(scene),
                "camera": {
                    "size": view.size,
                    "focal": view.focal,
                    "centre": view.centre,
                    "pose": (view.pose @ np.diag([1.0, -1, -1, 1])).tolist(),
                },
                "lights": [_light(light) for light in scene.lights if light.strength > 0],
                "objects": objects,
            }
        )
        try:
            return channels_of(out.read_bytes())
        except (OSError, ValueError, KeyError) as error:
            raise TwinsetError(f"expected a picture from Blender; got {error}") from error
        finally:
            out.unlink(missing_ok=True)

    def _sky(self, scene: Scene) -> dict[str, object]:
        around = surrounding_light(scene)
        file = self._folder / "around.npy"
        if around is not None:
            np.save(file, around, allow_pickle=False)
        return {
            "colour": (scene.ambient * _linear(scene.ambient_colour)).tolist(),
            "share": scene.sky,
            "around": str(file) if around is not None else None,
            "turn": scene.environment.turn if scene.environment is not None else 0.0,
        }

    def _object(self, placed: Placed) -> dict[str, object]:
        mesh = self._meshes.get(placed.mesh) or self._add_mesh(placed.mesh)
        return {"mesh": mesh, "pose": placed.pose.tolist(), "catcher": placed.catcher}

    def _add_mesh(self, mesh: Mesh) -> str:
        pieces = pieces_of(mesh)
        name, file = self._named("mesh"), self._folder / "mesh.npz"
        normals = [piece.normals for piece in pieces if piece.normals is not None]
        textured = any(piece.uv is not None for piece in pieces)
        uv = [piece.uv if piece.uv is not None else np.zeros_like(piece.corners[..., :2]) for piece in pieces]
        np.savez(
            file,
            corners=np.concatenate([piece.corners for piece in pieces]),
            normals=np.concatenate(normals) if normals else np.zeros((0, 3, 3), np.float32),
            uv=np.concatenate(uv) if textured else np.zeros((0, 3, 2), np.float32),
            numbers=np.repeat(np.arange(len(pieces)), [len(piece.corners) for piece in pieces]).astype(np.int32),
        )
        materials = [self._materials.get(p.material) or self._add_material(p.material) for p in pieces]
        self.process.ask({"do": "mesh", "name": name, "file": str(file), "materials": materials})
        file.unlink()
        self._meshes[mesh] = name
        finalize(mesh, self._gone["meshes"].append, name)
        return name

    def _add_material(
        self, material: Material, colour: tuple[float, float, float] | None = None, *, specular: float = 0.5
    ) -> str:
        """Sends a material; ``colour`` is linear, and that of the material where it is None."""
        name, file = self._named("material"), self._folder / "texture.npy"
        if material.texture is not None:
            np.save(file, material.texture, allow_pickle=False)
        self.process.ask(
            {
                "do": "material",
                "name": name,
                "colour": list(colour) if colour is not None else _linear(material.colour).tolist(),
                "roughness": material.roughness,
                "metallic": material.metallic,
                "opacity": opacity_of_a_side(material) if material.opacity < 1 else 1.0,
                "specular": specular,
                "texture": str(file) if material.texture is not None else None,
            }
        )
        file.unlink(missing_ok=True)
        self._materials[material] = name
        finalize(material, self._gone["materials"].append, name)
        return name

    def _named(self, kind: str) -> str:
        self._sent += 1
        return f"{kind}{self._sent}"

    def _forget(self) -> None:
        """Takes what died here out of Blender, too: meshes first, which name materials."""
        if any(self._gone.values()):
            going = {kind: list(names) for kind, names in self._gone.items()}
            self.process.ask({"do": "forget", **going})
            for kind, names in going.items():
                del self._gone[kind][: len(names)]


def _linear(colour: tuple[float, float, float]) -> NDArray[np.float64]:
    return to_linear(np.array(colour, dtype=np.float64))


def _light(light: Light) -> dict[str, object]:
    """A sun of Blender's, which shines along its −z; its strength is irradiance, as ours is."""
    towards = np.array(light.towards, dtype=np.float64) / np.linalg.norm(light.towards)
    other = np.eye(3)[int(np.argmin(np.abs(towards)))]
    across = np.cross(other, towards)
    across /= np.linalg.norm(across)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([across, np.cross(towards, across), towards], axis=1)
    return {
        "strength": light.strength,
        "colour": _linear(light.colour).tolist(),
        "angle": float(np.radians(light.softness_degrees)),
        "shadows": light.shadows,
        "pose": pose.tolist(),
    }
