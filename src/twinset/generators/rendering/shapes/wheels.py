"""Wheels of road vehicles: tyre, rim and spokes."""

from __future__ import annotations

import numpy as np

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.parts import box, frustum, lathe, moved, turned

TYRE = Material((0.05, 0.05, 0.05), roughness=0.9)
RIM = Material((0.66, 0.67, 0.69), roughness=0.3, metallic=0.7)
WELL = Material((0.04, 0.04, 0.045), roughness=0.9)

SPOKES = {"five": 5, "ten": 10, "disc": 0}


def wheel(radius: float, width: float, spokes: int) -> Mesh:
    """Its axle along y through (0, 0, radius), the rim's face towards +y; 0 spokes make a closed disc."""
    half, rim = width / 2, radius * 0.66
    around = [(0.0, -half), (radius * 0.9, -half), (radius, -half * 0.6), (radius, half * 0.6), (radius * 0.92, half)]
    tyre = lathe([*around, (rim, half * 0.95), (rim * 0.96, half * 0.7), (0.0, half * 0.7)], points=24)
    parts = [tyre.painted(TYRE)]
    face = half * 0.72
    if spokes:
        hub = frustum(rim * 0.28, rim * 0.2, face, half, points=12).painted(RIM)
        arm = box((rim * 0.86, rim * (1.5 / spokes + 0.02), half * 0.2), (rim * 0.52, 0, half * 0.88)).painted(RIM)
        parts += [hub, *(turned(arm, 360 * step / spokes) for step in range(spokes))]
    else:
        disc = lathe(
            [(0, face), (rim * 0.96, face), (rim * 0.8, half * 0.95), (rim * 0.3, half * 0.8), (0, half)], points=20
        )
        parts.append(disc.painted(RIM))
    return moved(turned(Mesh.joined(parts), -90, (1, 0, 0)), (0, 0, radius))


def wheels(axles: list[float], track: float, radius: float, width: float, spokes: int) -> list[Mesh]:
    """Two wheels on each axle (its x), their outer faces ``track`` apart."""
    left = wheel(radius, width, spokes)
    right = turned(left, 180)
    parts = []
    for x in axles:
        parts.append(moved(left, (x, track / 2 - width / 2, 0)))
        parts.append(moved(right, (x, width / 2 - track / 2, 0)))
    return parts


def arch(at: np.ndarray, axles: list[float], radius: float, wheel_radius: float, clearance: float) -> np.ndarray:
    """Height of a body's lower edge at each x: ``clearance``, and arches of ``radius`` over the axles."""
    low = np.full(len(at), clearance)
    for x in axles:
        inside = radius**2 - (at - x) ** 2
        low = np.maximum(low, np.where(inside > 0, wheel_radius + np.sqrt(np.maximum(inside, 0)), 0))
    return low
