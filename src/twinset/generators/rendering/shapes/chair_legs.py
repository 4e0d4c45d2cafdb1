"""What chairs stand on: seven kinds, each with what reaches how far on the floor, and stretchers for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes.assembly import grained
from twinset.generators.rendering.shapes.chair_plan import ChairPlan, Floats, rod
from twinset.generators.rendering.shapes.outlines import ellipse, lifted, rectangle
from twinset.generators.rendering.shapes.parts import box, frustum, lathe, moved, rounded_box, tube, turned

Legs = tuple[list[Mesh], tuple[float, float]]
"""The parts, and how far feet stand from the middle to the front and to the side, metres."""


def _straight(plan: ChairPlan) -> Legs:
    x, y = plan.depth / 2 - plan.bar, plan.width / 2 - plan.bar
    legs = [
        box((2 * plan.bar, 2 * plan.bar, plan.under), (a * x, b * y, plan.under / 2)) for a in (1, -1) for b in (1, -1)
    ]
    high = 0.045
    rails = [box((2 * x, plan.bar, high), (0, b * y, plan.under - high / 2)) for b in (1, -1)]
    rails += [box((plan.bar, 2 * y, high), (a * x, 0, plan.under - high / 2)) for a in (1, -1)]
    return [
        *(grained(leg, plan.frame, along=2) for leg in legs),
        *(grained(rail, plan.frame, along=index // 2) for index, rail in enumerate(rails)),
    ], (x, y)


def _splayed(plan: ChairPlan) -> Legs:
    top, foot = (plan.depth * 0.33, plan.width * 0.33), (plan.depth * 0.54, plan.width * 0.53)
    legs = [
        rod(
            plan,
            [(a * foot[0], b * foot[1], 0.0), (a * top[0], b * top[1], plan.under + 0.005)],
            plan.bar * np.array([0.75, 1.3]),
            points=12,
        )
        for a in (1, -1)
        for b in (1, -1)
    ]
    return legs, foot


def _cantilever(plan: ChairPlan) -> Legs:
    x, y, bar = plan.depth / 2, plan.width / 2 - plan.bar, plan.bar * 0.75
    loop = [
        (-x, y, plan.under - bar),
        (x - 0.05, y, plan.under - bar),
        (x, y, plan.under - 0.06),
        (x, y, 0.06),
        (x - 0.05, y, bar),
        (-x + 0.04, y, bar),
        (-x, y - 0.05, bar),
    ]
    path = _bent(np.array([*loop, *[(px, -py, pz) for px, py, pz in loop[::-1]]]))
    return [rod(plan, path, bar)], (x, y)


def _bent(path: Floats) -> Floats:
    """Corners cut twice, so that a tube goes round them softly."""
    for _ in range(2):
        early, late = 0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]
        path = np.concatenate([path[:1], np.stack([early, late], axis=1).reshape(-1, 3)[1:-1], path[-1:]])
    return path


def _sled(plan: ChairPlan) -> Legs:
    x, y, bar = plan.depth / 2, plan.width / 2 - plan.bar, plan.bar * 0.75
    top = plan.under - bar
    around = [(x * 0.7, top), (-x * 0.7, top), (-x, bar), (x, bar)]
    loops = []
    for side in (y, -y):
        corners = np.array([(a, side, z) for a, z in around])
        path = _bent(np.concatenate([corners, corners[:1]]))[:-1]
        loops.append(tube(path, bar, loop=True).painted(plan.frame))
    rails = [rod(plan, [(a * x * 0.6, y, top), (a * x * 0.6, -y, top)], bar) for a in (1, -1)]
    return [*loops, *rails], (x, y)


def _pedestal(plan: ChairPlan) -> Legs:
    reach = 0.62 * max(plan.depth, plan.width) * 0.95
    column = grained(frustum(0.03, 0.024, 0.06, plan.under, points=14), plan.frame, along=2)
    plate = frustum(0.05, 0.13, plan.under - 0.03, plan.under, points=14).painted(plan.frame)
    flat = rectangle(2.4, 1.4)
    parts = [column, plate]
    for step in range(5):
        angle = 2 * np.pi * step / 5
        way = np.array([np.cos(angle), np.sin(angle), 0.0]) * reach
        path = np.array([0.02 * way + (0, 0, 0.11), 0.5 * way + (0, 0, 0.095), 0.95 * way + (0, 0, 0.07)])
        parts.append(tube(path, 0.013 * np.array([1.4, 1.2, 1.0]), section=flat, up=(0, 0, 1)).painted(plan.frame))
        parts.append(moved(turned(_castor(plan), float(np.degrees(angle)) + 90), way * 0.95))
    return parts, (reach * 0.95, reach * 0.95)


def _castor(plan: ChairPlan) -> Mesh:
    wheel = turned(frustum(0.028, 0.028, -0.02, 0.02, points=12), 90, (0, 1, 0))
    return moved(wheel, (0, 0, 0.028)).painted(plan.frame)


def _tulip(plan: ChairPlan) -> Legs:
    foot, top = 0.56 * min(plan.depth, plan.width), plan.under
    profile = [
        (foot, 0),
        (foot, 0.008),
        (foot * 0.6, 0.025),
        (0.09, 0.06),
        (0.045, 0.13),
        (0.034, 0.24),
        (0.045, top - 0.09),
        (0.09, top - 0.03),
        (0.15, top),
    ]
    return [grained(lathe(profile, points=26), plan.frame, along=2)], (foot, foot)


def _block(plan: ChairPlan) -> Legs:
    x, y = plan.depth * 0.47, plan.width * 0.47
    body = rounded_box((2 * x, 2 * y, plan.under), 0.012, (0, 0, plan.under / 2), points=2)
    return [grained(body, plan.frame, along=2)], (x, y)


LEGS: Mapping[str, Callable[[ChairPlan], Legs]] = MappingProxyType(
    {
        "straight": _straight,
        "splayed": _splayed,
        "cantilever": _cantilever,
        "sled": _sled,
        "pedestal": _pedestal,
        "tulip": _tulip,
        "block": _block,
    }
)


def stretcher(plan: ChairPlan, legs: str) -> list[Mesh]:
    """Bars between legs; a foot ring around a column, a cross bar between runners, a plinth around a block."""
    if legs in ("straight", "splayed"):
        spread = 0.42 if legs == "straight" else 0.455
        x, y, z, bar = plan.depth * spread, plan.width * spread, plan.under * 0.4, plan.bar * 0.65
        sides = [rod(plan, [(x, b * y, z), (-x, b * y, z)], bar) for b in (1, -1)]
        return [*sides, rod(plan, [(0, y, z), (0, -y, z)], bar)]
    if legs in ("pedestal", "tulip"):
        radius, z = plan.width * 0.36, plan.under * 0.5
        ring = tube(lifted(ellipse(2 * radius, 2 * radius), z), plan.bar * 0.6, loop=True).painted(plan.frame)
        spokes = [rod(plan, [(-radius, 0, z), (radius, 0, z)], plan.bar * 0.5)]
        return [ring, *spokes, rod(plan, [(0, -radius, z), (0, radius, z)], plan.bar * 0.5)]
    if legs == "block":
        size = (plan.depth * 1.02, plan.width * 1.02, 0.06)
        return [grained(box(size, (0, 0, 0.03)), plan.frame, along=1)]
    y, z = plan.width / 2 - plan.bar, plan.under * 0.35
    x = plan.depth / 2 * (1.0 if legs == "cantilever" else 0.88)
    return [rod(plan, [(x, y, z), (x, -y, z)], plan.bar * 0.7)]
