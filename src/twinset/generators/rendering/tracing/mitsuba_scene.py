"""A scene in Mitsuba's terms: shapes with materials and textures, lights, and exactly our camera."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.meshes import Material
from twinset.generators.rendering.raster.colour import LINEAR, to_linear
from twinset.generators.rendering.scene import Light, Placed, Scene
from twinset.generators.rendering.tracing.layers import surrounding_light
from twinset.generators.rendering.tracing.pieces import Piece, pieces_of
from twinset.generators.rendering.tracing.translucent import opacity_of_a_side
from twinset.generators.rendering.tracing.view import View

Floats = NDArray[np.float64]
NEAR, FAR = 1e-4, 1e6
SKY_ROWS = 64
SUN_DISTANCE = 50.0
"""Of the sun's disc, in extents of the scene."""


def sensor(view: View, paths: int) -> dict[str, object]:
    """Exactly this view, for so many paths a pixel; Mitsuba's own camera looks along +z with x to the left and y up."""
    import mitsuba

    height, width = view.size
    return {
        "type": "perspective",
        "fov_axis": "x",
        "fov": float(np.degrees(2 * np.arctan(width / (2 * view.focal)))),
        "principal_point_offset_x": 0.5 - view.centre[0] / width,
        "principal_point_offset_y": 0.5 - view.centre[1] / height,
        "near_clip": NEAR,
        "far_clip": FAR,
        "to_world": mitsuba.ScalarTransform4f(view.pose @ np.diag([-1.0, -1, 1, 1])),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgba",
            "component_format": "float32",
        },
        # A third of the noise of independent numbers at 16 paths; the number of paths is rounded up to rows × columns.
        "sampler": {"type": "multijitter", "sample_count": paths},
    }


class Translator:
    """Turns scenes into what Mitsuba loads. Surfaces, with their textures, are kept while their materials live."""

    def __init__(self) -> None:
        self._surfaces: WeakKeyDictionary[Material, object] = WeakKeyDictionary()
        self._black: WeakKeyDictionary[Material, object] = WeakKeyDictionary()

    def surroundings(self, scene: Scene) -> dict[str, object]:
        """Emitters by name, sky and lights; a light that casts no shadow by itself casts one here."""
        emitters: dict[str, object] = {}
        if scene.ambient > 0:
            emitters["sky"] = _sky(scene)
        lights = [light for light in scene.lights if light.strength > 0]
        if lights:
            middle, reach = _extent(scene)
            for number, light in enumerate(lights):
                emitters[f"light{number}"] = _light(light, middle, reach)
        return emitters

    def objects(self, scene: Scene, *, black: bool = False) -> dict[str, object]:
        """All that is seen itself; ``black`` reflects nothing, but lets pass what it does."""
        seen = {f"object{row}": placed for row, placed in enumerate(scene.objects) if not placed.catcher}
        return self._shapes(seen, None, black=black)

    def catchers(self, scene: Scene, colour: tuple[float, float, float]) -> dict[str, object]:
        """The shadow catchers, matte and of this colour (linear)."""
        import mitsuba

        surface = mitsuba.load_dict(_diffuse(colour))
        seen = {f"catcher{row}": placed for row, placed in enumerate(scene.objects) if placed.catcher}
        return self._shapes(seen, surface, black=False)

    def _shapes(self, placed: Mapping[str, Placed], surface: object | None, *, black: bool) -> dict[str, object]:
        found = {}
        for name, one in placed.items():
            for number, piece in enumerate(pieces_of(one.mesh)):
                own = surface if surface is not None else self._surface(piece.material, black=black)
                found[f"{name}_{number}"] = _shape(piece, one.pose, own)
        return found

    def _surface(self, material: Material, *, black: bool) -> object:
        import mitsuba

        kept = self._black if black else self._surfaces
        found = kept.get(material)
        if found is None:
            front = _diffuse((0.0, 0.0, 0.0)) if black else _principled(material)
            found = kept[material] = mitsuba.load_dict(_passing(material, front))
        return found


def _colour(material: Material, *, root: bool = False) -> dict[str, object]:
    """The linear colour as a texture; ``root``: its square root."""
    import mitsuba

    colour = to_linear(np.array(material.colour, dtype=np.float64))
    light = colour if material.texture is None else LINEAR[material.texture] * colour
    light = np.sqrt(light) if root else light
    if material.texture is None:
        return {"type": "rgb", "value": light.tolist()}
    texels = mitsuba.TensorXf(light.astype(np.float32))
    return {"type": "bitmap", "data": texels, "raw": True, "wrap_mode": "repeat"}


def _principled(material: Material) -> dict[str, object]:
    """Both sides reflect; ``specular`` 0.5 is the 4 % of glass and lacquer that our own shading has."""
    principled = {
        "type": "principled",
        "base_color": _colour(material),
        "roughness": max(material.roughness, 0.04),
        "metallic": material.metallic,
        "specular": 0.5,
    }
    return {"type": "twosided", "surface": principled}


def _passing(material: Material, front: dict[str, object]) -> dict[str, object]:
    """The surface, blended with one that only filters what comes from behind."""
    if material.opacity == 1:
        return front
    glass = {
        "type": "thindielectric",
        "int_ior": 1.0,
        "ext_ior": 1.0,
        "specular_reflectance": {"type": "rgb", "value": 0.0},
        "specular_transmittance": _colour(material, root=True),
    }
    return {"type": "blendbsdf", "weight": opacity_of_a_side(material), "behind": glass, "front": front}


def _diffuse(colour: tuple[float, float, float]) -> dict[str, object]:
    return {"type": "twosided", "surface": {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(colour)}}}


def _shape(piece: Piece, pose: Floats, surface: object) -> object:
    import mitsuba

    settings = mitsuba.Properties()
    settings["face_normals"] = piece.normals is None
    settings["surface"] = surface
    faces = len(piece.corners)
    shape = mitsuba.Mesh(
        "shape",
        vertex_count=3 * faces,
        face_count=faces,
        has_vertex_normals=piece.normals is not None,
        has_vertex_texcoords=piece.uv is not None,
        props=settings,
    )
    values = mitsuba.traverse(shape)
    linear, shift = pose[:3, :3], pose[:3, 3]
    values["vertex_positions"] = _flat(piece.corners.astype(np.float64) @ linear.T + shift)
    values["faces"] = np.arange(3 * faces, dtype=np.uint32)
    if piece.normals is not None:
        values["vertex_normals"] = _flat(piece.normals @ (linear / np.cbrt(np.linalg.det(linear))).T)
    if piece.uv is not None:
        # The first row of a texture is at v = 0 there, and at v = 1 here.
        values["vertex_texcoords"] = _flat(piece.uv * np.array([1, -1]) + np.array([0, 1]))
    values.update()
    return shape


def _flat(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32).ravel()


def _sky(scene: Scene) -> dict[str, object]:
    """Radiance ambient · (1 + sky · height) as rows from straight up to straight down, or that of the environment."""
    import mitsuba

    # Mitsuba's own has y up.
    turned = mitsuba.ScalarTransform4f(np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]))
    around = surrounding_light(scene)
    if around is not None:
        assert scene.environment is not None
        # Its first column lies along y, ours along −x.
        spin = mitsuba.ScalarTransform4f().rotate([0, 0, 1], float(np.degrees(scene.environment.turn)) + 90)
        return {"type": "envmap", "bitmap": mitsuba.Bitmap(around), "to_world": spin @ turned}
    colour = scene.ambient * to_linear(np.array(scene.ambient_colour, dtype=np.float64))
    if scene.sky == 0:
        return {"type": "constant", "radiance": {"type": "rgb", "value": colour.tolist()}}
    height = np.cos((np.arange(SKY_ROWS) + 0.5) * np.pi / SKY_ROWS)
    rows = (1 + scene.sky * height)[:, None, None] * colour
    picture = np.repeat(rows, 4, axis=1).astype(np.float32)
    return {"type": "envmap", "bitmap": mitsuba.Bitmap(picture), "to_world": turned}


def _light(light: Light, middle: Floats, reach: float) -> dict[str, object]:
    """A far disc of the light's angle, or a direction where it has none; its irradiance is the light's strength."""
    import mitsuba

    towards = np.array(light.towards, dtype=np.float64) / np.linalg.norm(light.towards)
    colour = light.strength * to_linear(np.array(light.colour, dtype=np.float64))
    half = np.radians(light.softness_degrees) / 2
    if half < 1e-4:
        irradiance = {"type": "rgb", "value": colour.tolist()}
        return {"type": "directional", "direction": (-towards).tolist(), "irradiance": irradiance}
    far = SUN_DISTANCE * reach
    at = middle + far * towards
    up = np.eye(3)[int(np.argmin(np.abs(towards)))]
    turned = mitsuba.ScalarTransform4f().look_at(origin=at.tolist(), target=middle.tolist(), up=up.tolist())
    radiance = colour / (np.pi * np.sin(half) ** 2)
    return {
        "type": "disk",
        "to_world": turned @ mitsuba.ScalarTransform4f().scale(float(far * np.tan(half))),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}},
    }


def _extent(scene: Scene) -> tuple[Floats, float]:
    """Middle of what casts shadows, and its extent with the camera: the disc is far for both."""
    points = [scene.camera.pose[:3, 3][None]]
    for placed in scene.objects:
        if not placed.catcher:
            low, high = placed.mesh.bounds.astype(np.float64)
            corners = np.array([low, high, [low[0], high[1], low[2]], [high[0], low[1], high[2]]])
            points.append(corners @ placed.pose[:3, :3].T + placed.pose[:3, 3])
    every = np.concatenate(points)
    low, high = every.min(0), every.max(0)
    return np.asarray((low + high) / 2), max(float(np.linalg.norm(high - low)), 1e-3)
