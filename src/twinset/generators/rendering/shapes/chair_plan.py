"""Sizes that the parts of one chair share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import grained
from twinset.generators.rendering.shapes.parts import tube

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChairPlan:
    """Sizes in metres and the two materials."""

    width: float
    depth: float
    seat: float  # height of the seat's top
    thick: float
    rise: float  # of the back above the seat
    lean: float  # of the back, radians
    bar: float  # half the thickness of a leg
    frame: Material
    cover: Material

    @property
    def under(self) -> float:
        """Height of the seat's underside."""
        return self.seat - self.thick

    def back(self, across: float | Floats, up: float | Floats) -> Floats:
        """Points of the back: ``across`` metres to the left, ``up`` metres along it from the seat's top."""
        y, v = np.broadcast_arrays(np.asarray(across, dtype=np.float64), np.asarray(up, dtype=np.float64))
        x = -self.depth / 2 + self.bar - v * np.sin(self.lean)
        return np.stack([x, y, self.seat + v * np.cos(self.lean)], axis=-1)


def rod(plan: ChairPlan, path: ArrayLike, radius: float | Floats, *, points: int = 10) -> Mesh:
    """A round bar of the frame's material, its grain along its longest side."""
    way = np.asarray(path, dtype=np.float64)
    part = tube(way, radius, points=points)
    return grained(part, plan.frame, along=int(np.ptp(way, axis=0).argmax()))
