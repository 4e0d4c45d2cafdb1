"""The upper part of a vehicle: a ring of windows and pillars between a belt and a roof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.parts import loft

Floats = NDArray[np.float64]
ACROSS = np.array([-0.9, -0.5, 0.0, 0.5, 0.9])
"""Where points lie on a windscreen, shares of the half width."""

TRIM = Material((0.06, 0.06, 0.065), roughness=0.7)


def pane(sky: float) -> Material:
    """Glass over a dark inside: 0 black, 1 as pale as a sky that it mirrors."""
    red, green, blue = (dark + sky * (pale - dark) for dark, pale in ((0.045, 0.46), (0.055, 0.51), (0.065, 0.56)))
    return Material((red, green, blue), roughness=0.08)


@dataclass(frozen=True)
class Glazing:
    """``windows`` are shares of a side from front to rear; what lies between is trim, what lies outside is paint.

    ``corners`` and ``bow`` are metres, front and rear: how far a side's end lies behind the middle of the screen, and
    how far the screen's edges lie behind its middle.
    """

    windows: tuple[tuple[float, float], ...]
    corners: tuple[float, float] = (0.12, 0.07)
    bow: tuple[float, float] = (0.10, 0.05)
    rear: bool = True

    def ring(self, front: float, rear: float, half: float, height: float) -> Floats:
        """Counter-clockwise from above: windscreen from right to left, left side, rear window, right side."""
        screen = np.stack([front - self.bow[0] * ACROSS**2, ACROSS * half], axis=1)
        tail = np.stack([rear + self.bow[1] * ACROSS**2, ACROSS * half], axis=1)[::-1]
        start, end = front - self.corners[0], rear + self.corners[1]
        shares = np.array([0.0, *(stop for window in self.windows for stop in window), 1.0])
        left = np.stack([start + shares * (end - start), np.full(len(shares), half)], axis=1)
        ring = np.concatenate([screen, left, tail, left[::-1] * (1, -1)])
        return np.concatenate([ring, np.full((len(ring), 1), height)], axis=1)

    def tags(self) -> NDArray[np.int32]:
        """For each point of the ring what lies between it and the next: 0 paint, 1 glass, 2 trim."""
        panes = [1 if step % 2 == 0 else 2 for step in range(2 * len(self.windows) - 1)]
        side, tail = [0, *panes, 0, 0], [int(self.rear)] * 4
        return np.array([1, 1, 1, 1, 0, *side, *tail, 0, *side[:-1][::-1], 0], dtype=np.int32)


def glazed(
    levels: ArrayLike,
    glazing: Glazing,
    paint: Material,
    glass: Material,
    *,
    panes: tuple[int, int],
    crown: Sequence[tuple[float, float]] = ((0.9, 0.018), (0.7, 0.033), (0.35, 0.043)),
) -> Mesh:
    """The solid through ``levels`` (L, 4), rows of front x, rear x, half width and height, closed by a crowned roof.

    Between the levels ``panes`` (first, last) windows are glass. ``crown`` are pairs of a share of the roof's size and
    a rise in metres.
    """
    rows = np.asarray(levels, dtype=np.float64)
    rings = [glazing.ring(*(float(part) for part in row)) for row in rows]
    roof, middle = rings[-1], np.array([rows[-1, :2].mean(), 0.0, 0.0])
    rings += [(roof - middle) * (inset, inset, 1) + middle + (0, 0, rise) for inset, rise in crown]
    mesh = loft(np.stack(rings))
    tags = np.zeros((len(rings) - 1, len(roof)), dtype=np.int32)
    tags[panes[0] : panes[1]] = glazing.tags()
    ids = np.concatenate([tags.reshape(-1), tags.reshape(-1), np.zeros(2 * len(roof), np.int32)])
    assert len(ids) == len(mesh.faces), "a level without extent"
    return replace(mesh, materials=(paint, glass, TRIM), face_materials=ids)
