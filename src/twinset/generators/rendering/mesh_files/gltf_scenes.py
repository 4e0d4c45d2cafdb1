"""A scene as binary glTF 2.0: what every viewer, Blender and game engine opens.

Nodes stand in our own axes (z up) under one that turns them to glTF's; each names the class and the shape of its
object. Meshes and textures that several objects share are written once. The sun is a directional light
(KHR_lights_punctual), its strength in lux; the picture behind everything hangs far behind the objects, unlit
(KHR_materials_unlit). Shadow catchers are left out, as glTF has none, and so is the ambient light, which stands among
the extras. Sources: Khronos, glTF 2.0 specification, sections 3.5, 3.6, 3.7, 3.9, 3.10 and 4.4; the two extensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.generators.rendering.mesh_files.gltf_parts import parts_of
from twinset.generators.rendering.mesh_files.gltf_store import Store
from twinset.generators.rendering.meshes import Colour, Material, Mesh
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.images import Pixels

Json = dict[str, object]
Floats = NDArray[np.float64]

TURN_Y_UP = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
"""The rotation (x, y, z, w) that takes x right, y away, z up to glTF's x right, y up, z to the viewer."""

LOOKING = np.diag([1.0, -1.0, -1.0, 1.0])
"""From glTF's camera (y up, looking to −z) to OpenCV's (y down, looking to z)."""

BEHIND = 1.05
"""The background hangs so many times as far away as the farthest corner of what is before it."""

REPEATED, CLAMPED = 0, 1
"""Numbers of the two samplers: for surfaces, and for the background."""


def scene_glb(scene: Scene, classes: Sequence[str], *, extras: Mapping[str, object] | None = None) -> bytes:
    """The bytes of a GLB: meshes, materials, textures, camera, lights and background of a scene.

    ``classes`` name the class ids of its objects; ``extras`` (plain values) are kept in the file's ``asset``. Equal
    scenes give equal bytes. Two faces side by side share a corner only where all that lies on it is equal.
    """
    written = _Written(Store())
    children = [
        written.node(_named(placed, classes) | _matrix(placed.pose) | {"mesh": written.mesh(placed.mesh)})
        for placed in scene.objects
        if not placed.catcher
    ]
    children += written.view(scene)
    children += [written.light(light) for light in scene.lights]
    root = written.node({"name": "scene, z up", "rotation": TURN_Y_UP, "children": children})
    return written.store.glb(written.document(root, _asset(extras), _light_of(scene)))


@dataclass(eq=False)
class _Written:
    """The records of the file so far; what is shared is found by identity, as the scene holds it all alive."""

    store: Store
    nodes: list[Json] = field(default_factory=list)
    meshes: list[Json] = field(default_factory=list)
    materials: list[Json] = field(default_factory=list)
    textures: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    cameras: list[Json] = field(default_factory=list)
    lights: list[Json] = field(default_factory=list)
    known: dict[tuple[str, int], int] = field(default_factory=dict)
    unlit: bool = False

    def node(self, record: Json) -> int:
        self.nodes.append(record)
        return len(self.nodes) - 1

    def mesh(self, mesh: Mesh) -> int:
        if ("mesh", id(mesh)) not in self.known:
            primitives = []
            for number, part in parts_of(mesh):
                attributes = {name: self.store.attribute(name, rows) for name, rows in part.attributes.items()}
                indices = self.store.indices(part.indices)
                material = self.material(mesh.materials[number])
                primitives.append({"attributes": attributes, "indices": indices, "material": material})
            self.meshes.append({"primitives": primitives})
            self.known["mesh", id(mesh)] = len(self.meshes) - 1
        return self.known["mesh", id(mesh)]

    def material(self, material: Material) -> int:
        if ("material", id(material)) not in self.known:
            surface: Json = {
                "baseColorFactor": [*_linear(material.colour), float(material.opacity)],
                "metallicFactor": float(material.metallic),
                "roughnessFactor": float(material.roughness),
            }
            if material.texture is not None:
                surface["baseColorTexture"] = {"index": self.texture(material.texture, REPEATED)}
            # Both sides of our surfaces reflect.
            blended: Json = {"alphaMode": "BLEND"} if material.opacity < 1 else {}
            self.materials.append({"pbrMetallicRoughness": surface, "doubleSided": True} | blended)
            self.known["material", id(material)] = len(self.materials) - 1
        return self.known["material", id(material)]

    def texture(self, pixels: Pixels, sampler: int) -> int:
        if ("texture", id(pixels)) not in self.known:
            self.images.append({"bufferView": self.store.picture(pixels), "mimeType": "image/png"})
            self.textures.append({"source": len(self.images) - 1, "sampler": sampler})
            self.known["texture", id(pixels)] = len(self.textures) - 1
        return self.known["texture", id(pixels)]

    def view(self, scene: Scene) -> list[int]:
        """The nodes of the camera and, beside it as readers lose what hangs on cameras, of the background."""
        camera = scene.camera
        depth = BEHIND * _farthest(scene)
        height, width = camera.size
        (fx, fy), (cx, cy) = camera.focal, camera.centre
        across, up = width / (2 * fx), height / (2 * fy)
        perspective = {"aspectRatio": across / up, "yfov": 2 * float(np.arctan(up)), "znear": 1e-4 * depth}
        kept = {"size": [height, width], "focal_pixels": [fx, fy], "centre_pixels": [cx, cy]}
        self.cameras.append({"type": "perspective", "perspective": perspective, "extras": kept})
        pose = _matrix(camera.pose @ LOOKING)
        found = [self.node({"name": "camera", "camera": len(self.cameras) - 1} | pose)]
        if scene.background is not None:
            plate = self.plate(scene.background, camera, depth)
            found.append(self.node({"name": "background", "mesh": plate} | pose))
        return found

    def plate(self, picture: Pixels, camera: Camera, depth: float) -> int:
        """A rectangle across the camera's view that shows the picture as it is."""
        height, width = camera.size
        (fx, fy), (cx, cy) = camera.focal, camera.centre
        # From the lower left corner counter-clockwise, as seen from the camera; glTF's v points down.
        at = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=np.float64)
        x, y = (at[:, 0] * width - cx) / fx * depth, -(at[:, 1] * height - cy) / fy * depth
        points = np.stack([x, y, np.full(4, -depth)], axis=1)
        attributes = {
            "POSITION": self.store.attribute("POSITION", points.astype(np.float32)),
            "TEXCOORD_0": self.store.attribute("TEXCOORD_0", at.astype(np.float32)),
        }
        surface = {"baseColorTexture": {"index": self.texture(picture, CLAMPED)}, "metallicFactor": 0.0}
        self.unlit = True
        self.materials.append(
            {"name": "background", "pbrMetallicRoughness": surface, "extensions": {"KHR_materials_unlit": {}}}
        )
        primitive = {
            "attributes": attributes,
            "indices": self.store.indices(np.array([0, 1, 2, 0, 2, 3])),
            "material": len(self.materials) - 1,
        }
        self.meshes.append({"name": "background", "primitives": [primitive]})
        return len(self.meshes) - 1

    def light(self, light: Light) -> int:
        record = {"type": "directional", "intensity": float(light.strength), "color": _linear(light.colour)}
        self.lights.append({"name": "sun", **record})
        pose = np.eye(4)
        pose[:3, :3] = _towards(np.asarray(light.towards, dtype=np.float64))
        use = {"KHR_lights_punctual": {"light": len(self.lights) - 1}}
        return self.node({"name": "sun", "extensions": use} | _matrix(pose))

    def document(self, root: int, asset: Json, extras: Json) -> Json:
        """All records; lists that hold nothing are left out, as glTF wants it."""
        used = [("KHR_lights_punctual", bool(self.lights)), ("KHR_materials_unlit", self.unlit)]
        found: Json = {
            "asset": asset,
            "extensionsUsed": [name for name, there in used if there],
            "extensions": {"KHR_lights_punctual": {"lights": self.lights}} if self.lights else {},
            "scene": 0,
            "scenes": [{"nodes": [root], "extras": extras}],
            "nodes": self.nodes,
            "cameras": self.cameras,
            "meshes": self.meshes,
            "materials": self.materials,
            "textures": self.textures,
            "images": self.images,
            "samplers": [{"wrapS": wrap, "wrapT": wrap} for wrap in (10497, 33071)] if self.textures else [],
            "accessors": self.store.accessors,
            "bufferViews": self.store.views,
        }
        return {key: value for key, value in found.items() if value or key == "scene"}


def _asset(extras: Mapping[str, object] | None) -> Json:
    from twinset import __version__

    found: Json = {"version": "2.0", "generator": f"twinset {__version__}"}
    return found | ({"extras": dict(extras)} if extras else {})


def _light_of(scene: Scene) -> Json:
    """What glTF has no place for."""
    return {"ambient": scene.ambient, "ambient_colour": _linear(scene.ambient_colour), "sky": scene.sky}


def _named(placed: Placed, classes: Sequence[str]) -> Json:
    """The name of an object's node: its class and shape; and both apart, with what else is told of it."""
    if placed.class_id is None:
        return {"name": f"unlabelled: {placed.shape_id}" if placed.shape_id else "surroundings"}
    name = classes[placed.class_id]
    kept = {"class": name, "class_id": placed.class_id, "shape_id": placed.shape_id, **placed.columns}
    return {"name": f"{name}: {placed.shape_id}" if placed.shape_id else name, "extras": kept}


def _matrix(pose: Floats) -> Json:
    """Column by column; nothing for a node that stays where it is."""
    return {} if np.array_equal(pose, np.eye(4)) else {"matrix": pose.T.ravel().tolist()}


def _towards(direction: Floats) -> Floats:
    """(3, 3) a turn whose third column, from which glTF's light shines along −z, is this direction."""
    third = direction / np.linalg.norm(direction)
    first = np.cross(np.eye(3)[int(np.argmin(np.abs(third)))], third)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third], axis=1)


def _farthest(scene: Scene) -> float:
    """Depth in metres of the farthest corner of what is drawn; 1 where nothing lies before the camera."""
    depths = [1e-3]
    for placed in scene.objects:
        if not placed.catcher:
            corners = np.array(list(product(*placed.mesh.bounds.astype(np.float64).T)))
            world = corners @ placed.pose[:3, :3].T + placed.pose[:3, 3]
            depths.append(float(scene.camera.seen_from_here(world)[:, 2].max()))
    return max(depths) if len(depths) > 1 else 1.0


def _linear(colour: Colour) -> list[float]:
    """Linear light of sRGB (IEC 61966-2-1)."""
    return [float(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for part in colour]
