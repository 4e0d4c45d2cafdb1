"""What one leans on: six kinds of backs of chairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes.assembly import grained
from twinset.generators.rendering.shapes.chair_plan import ChairPlan, rod
from twinset.generators.rendering.shapes.outlines import rectangle
from twinset.generators.rendering.shapes.parts import ellipsoid, moved, sheet, tube, turned


def _posts(plan: ChairPlan, *, spread: float = 0.44, short: float = 0.0) -> list[Mesh]:
    """The two uprights of a back, from under the seat to its top or ``short`` of it."""
    y = plan.width * spread
    return [
        rod(
            plan,
            np.stack([plan.back(b * y, v) for v in (-plan.thick, plan.rise - short)]),
            plan.bar * np.array([1.0, 0.8]),
        )
        for b in (1, -1)
    ]


def _board(plan: ChairPlan, low: float, high: float, *, bow: float = 0.025, spread: float = 0.47) -> Mesh:
    """A board across the back between two heights, bowed backwards in its middle."""
    y = np.linspace(-spread, spread, 9) * plan.width
    v = np.linspace(low, high, 3)
    grid = plan.back(y[:, None], v[None, :])
    grid[..., 0] -= bow * (1 - (y[:, None] / (spread * plan.width)) ** 2)
    return grained(sheet(grid, 0.018), plan.cover if high - low > 0.2 else plan.frame, along=1)


def _slats(plan: ChairPlan) -> list[Mesh]:
    ys = np.linspace(-0.33, 0.33, 5) * plan.width
    flat = rectangle(0.007, 0.036)
    boards = [
        grained(
            tube(np.stack([plan.back(y, v) for v in (0.0, plan.rise - 0.03)]), 1.0, section=flat, up=(0, 1, 0)),
            plan.frame,
            along=2,
        )
        for y in ys
    ]
    return [*_posts(plan), *boards, _board(plan, plan.rise - 0.07, plan.rise, bow=0.008)]


def _solid(plan: ChairPlan) -> list[Mesh]:
    y, v = np.linspace(-0.48, 0.48, 13) * plan.width, np.linspace(0.03, plan.rise, 9)
    grid = plan.back(y[:, None] * np.ones_like(v), v[None, :] * np.ones_like(y)[:, None])
    grid[..., 0] += plan.bar + 0.03 * (y[:, None] / (0.48 * plan.width)) ** 2
    return [*_posts(plan, spread=0.3, short=0.06), grained(sheet(grid, 0.022), plan.cover, along=1, repeat=0.4)]


def _spindles(plan: ChairPlan) -> list[Mesh]:
    bars = [
        rod(plan, np.stack([plan.back(y * plan.width, 0.0), plan.back(y * plan.width * 1.08, plan.rise - 0.03)]), 0.006)
        for y in np.linspace(-0.36, 0.36, 8)
    ]
    return [*_posts(plan), *bars, _board(plan, plan.rise - 0.045, plan.rise, bow=0.004)]


def _curved(plan: ChairPlan) -> list[Mesh]:
    """A band that wraps around the sitter."""
    angles = np.radians(np.linspace(-78, 78, 21))
    v = np.linspace(plan.rise * 0.42, plan.rise, 7)
    y = np.sin(angles) * plan.width * 0.52
    grid = plan.back(y[:, None] * np.ones_like(v), v[None, :] * np.ones_like(y)[:, None])
    grid[..., 0] += (1 - np.cos(angles[:, None])) * plan.depth * 0.42 + plan.bar
    band = grained(sheet(grid, 0.022), plan.cover, along=1, repeat=0.4)
    return [*_posts(plan, spread=0.28, short=0.06), band]


def _ring(plan: ChairPlan) -> list[Mesh]:
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    half = (plan.rise - 0.06) / 2
    path = plan.back(np.cos(angles) * plan.width * 0.44, 0.06 + half * (1 + np.sin(angles)))
    ring = tube(path, plan.bar * 0.9, loop=True).painted(plan.frame)
    stems = [
        rod(
            plan,
            np.stack([plan.back(b * plan.width * 0.25, v) for v in (-plan.thick, 0.06 + half * 0.22)]),
            plan.bar * 0.9,
        )
        for b in (1, -1)
    ]
    pad = ellipsoid((0.022, plan.width * 0.24, half * 0.55), points=20)
    tilted = moved(turned(pad, -float(np.degrees(plan.lean)), (0, 1, 0)), plan.back(0.0, 0.06 + half))
    bars = [
        rod(plan, np.stack([plan.back(b * plan.width * 0.43, 0.06 + half), plan.back(0.0, 0.06 + half)]), 0.008)
        for b in (1, -1)
    ]
    return [ring, *stems, *bars, grained(tilted, plan.cover, along=1, repeat=0.4)]


def _ladder(plan: ChairPlan) -> list[Mesh]:
    high = 0.055
    rungs = [_board(plan, v - high, v, bow=0.02, spread=0.44) for v in np.linspace(plan.rise * 0.3, plan.rise, 4)]
    return [*_posts(plan), *rungs]


BACKS: Mapping[str, Callable[[ChairPlan], list[Mesh]]] = MappingProxyType(
    {
        "slats": _slats,
        "solid": _solid,
        "spindles": _spindles,
        "curved": _curved,
        "ring": _ring,
        "ladder": _ladder,
    }
)
