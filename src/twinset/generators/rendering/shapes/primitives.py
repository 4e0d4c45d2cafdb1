"""Plain solids: boxes, cylinders, cones, spheres and ten others, 0.2–0.8 m.

Keypoints, where the surface is nearest to the middles of the bounds' sides: ``front`` (+x), ``rear``, ``left`` (+y),
``right``, ``top``, ``bottom``; the latter two of a ring over and under its front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.generators.rendering.materials import checker, named, names
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.family import Choice, Number, Values, number, text
from twinset.generators.rendering.shapes.outlines import ellipse, lifted, rectangle, regular
from twinset.generators.rendering.shapes.parts import box, ellipsoid, lathe, loft, rounded_box, solid, tube

SOLIDS = (
    "box",
    "rounded-box",
    "cylinder",
    "cone",
    "frustum",
    "sphere",
    "dome",
    "capsule",
    "torus",
    "pipe",
    "pyramid",
    "wedge",
    "prism",
    "tetrahedron",
)

TUBE = 0.38
"""Radius of a torus's tube, where that of its ring is 1."""

RINGS = {"torus": 1 / (1 + TUBE), "pipe": 0.86}
"""Where solids with a hole in the middle are highest, in shares of half their depth."""


@dataclass(frozen=True)
class Primitive:
    """One solid within a box of ``width`` (y), ``depth`` (x) and ``height`` metres."""

    name: ClassVar[str] = "primitive"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "solid": Choice(SOLIDS),
            "width": Number(0.3, 0.6),
            "depth": Number(0.3, 0.6),
            "height": Number(0.3, 0.7),
            "material": Choice(("checker", *names("wood", "lacquer", "metal", "fabric", "leather")), "look"),
            "shade": Number(-1, 1, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """A sphere takes the mean of the three sizes, a capsule is round, a torus as high as its ring is thick.

        A tetrahedron is regular and as wide as ``width``.
        """
        size = np.array([number(values, name) for name in ("depth", "width", "height")])
        kind = text(values, "solid")
        if kind == "sphere":
            size = np.full(3, size.mean())
        if kind == "capsule":
            size = np.array([size[:2].min(), size[:2].min(), max(size[2], 1.05 * size[:2].min())])
        part = _unit(kind, float(size[2] / size[:2].min()))
        low, high = part.bounds.astype(np.float64)
        scale = size / (high - low)
        if kind == "tetrahedron":
            scale = np.full(3, scale[1])
        if kind == "torus":
            scale[2] = scale[:2].mean()
        shape = solid((part.vertices - (low + high) / 2) * scale, part.faces)
        half = (high - low) / 2 * scale
        over = RINGS.get(kind, 0.0) * half[0]
        points = {
            "front": (half[0], 0.0, 0.0),
            "rear": (-half[0], 0.0, 0.0),
            "left": (0.0, half[1], 0.0),
            "right": (0.0, -half[1], 0.0),
            "top": (over, 0.0, half[2]),
            "bottom": (over, 0.0, -half[2]),
        }
        return assembled([shape.painted(_material(values))], keypoints=points, repeat=0.5)


def _material(values: Values) -> Material:
    name, seed = text(values, "material"), int(number(values, "grain") * 2**31)
    if name == "checker":
        light = 0.7 + 0.25 * number(values, "shade")
        return Material((1.0, 1.0, 1.0), texture=checker((light, light, light), (0.12, 0.12, 0.12)))
    return named(name, rng=seed, shade=number(values, "shade"))


def _unit(kind: str, tall: float) -> Mesh:
    """The solid in some size of its own; ``tall`` is the height it will get over its width."""
    quarter = np.linspace(0, np.pi / 2, 9)
    profiles: dict[str, ArrayLike] = {
        "cylinder": [(1, 0), (1, 1)],
        "cone": [(1, 0), (0.0, 1)],
        "frustum": [(1, 0), (0.55, 1)],
        "dome": [(1, 0), *np.stack([np.cos(quarter), np.sin(quarter)], axis=1)[1:]],
        "capsule": _capsule(tall),
    }
    if kind in profiles:
        return lathe(profiles[kind], points=40)
    if kind == "box":
        return box((1, 1, 1))
    if kind == "rounded-box":
        return rounded_box((1, 1, 1), 0.14, points=5)
    if kind == "sphere":
        return ellipsoid((1, 1, 1), points=36)
    if kind == "torus":
        return tube(lifted(ellipse(2, 2, points=40), 0), TUBE, points=20, loop=True)
    if kind == "pipe":
        rings = [lifted(ellipse(2 * r, 2 * r, points=40), z) for r, z in ((1, 0), (1, 1), (0.72, 1), (0.72, 0))]
        return loft(np.stack(rings), loop=True)
    if kind == "pyramid":
        return loft(np.stack([lifted(rectangle(1, 1), 0), lifted(rectangle(0, 0), 1)]))
    if kind == "wedge":
        slope = rectangle(1, 1)
        return loft(np.stack([lifted(slope, 0), lifted(np.where(slope > 0, slope * (-1, 1), slope), 1)]))
    if kind == "prism":
        return loft(np.stack([lifted(regular(6, 1, 1), 0), lifted(regular(6, 1, 1), 1)]))
    return loft(np.stack([lifted(regular(3, 1, 1), 0), lifted(np.zeros((3, 2)), 0.5**0.5)]))


def _capsule(tall: float) -> NDArray[np.float64]:
    """Two half balls of radius 1 and what lies between, ``tall`` times as high as wide."""
    angles = np.linspace(0, np.pi / 2, 9)
    ball = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([ball[::-1] * (1, -1), ball + np.array([0, 2 * tall - 2])])
