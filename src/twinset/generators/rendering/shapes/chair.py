"""Chairs: seven kinds of legs, six of backs, four of seats, with or without arms and stretchers (672 topologies).

Keypoints, whatever the chair: four corners of the seat's top, four feet (how far the base reaches on the floor to
that side), two ends of the back's top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from twinset.generators.rendering.materials import named, names
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes.assembly import assembled, grained
from twinset.generators.rendering.shapes.chair_backs import BACKS
from twinset.generators.rendering.shapes.chair_legs import LEGS, stretcher
from twinset.generators.rendering.shapes.chair_plan import ChairPlan, Floats, rod
from twinset.generators.rendering.shapes.family import Choice, Number, Values, has, number, text
from twinset.generators.rendering.shapes.outlines import ellipse, rectangle
from twinset.generators.rendering.shapes.parts import curve, lens, slab, tube
from twinset.generators.rendering.shapes.surfaces import nearest_on

CORNERS = ((1, 1, "front_left"), (1, -1, "front_right"), (-1, 1, "back_left"), (-1, -1, "back_right"))


@dataclass(frozen=True)
class Chair:
    """Seats with a back."""

    name: ClassVar[str] = "chair"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "legs": Choice(("straight", "splayed", "cantilever", "sled", "pedestal", "tulip", "block")),
            "back": Choice(("slats", "solid", "spindles", "curved", "ring", "ladder")),
            "seat": Choice(("square", "round", "bowl", "cushion")),
            "arms": Choice((False, True), weights=(2, 1)),
            "stretcher": Choice((False, True)),
            "width": Number(0.40, 0.54),
            "depth": Number(0.40, 0.52),
            "seat_height": Number(0.41, 0.50),
            "back_height": Number(0.32, 0.56),
            "lean_degrees": Number(4, 17),
            "bar": Number(0.013, 0.024),
            "frame": Choice(names("wood", "metal", "lacquer"), "look"),
            "cover": Choice(names("wood", "fabric", "leather", "lacquer"), "look"),
            "shade": Number(-1, 1, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """See ``parameters``; lengths in metres."""
        seed = int(number(values, "grain") * 2**31)
        seat = text(values, "seat")
        plan = ChairPlan(
            width=number(values, "width"),
            depth=number(values, "depth"),
            seat=number(values, "seat_height"),
            thick={"square": 0.025, "round": 0.03, "bowl": 0.045, "cushion": 0.07}[seat],
            rise=number(values, "back_height"),
            lean=float(np.radians(number(values, "lean_degrees"))),
            bar=number(values, "bar"),
            frame=named(text(values, "frame"), rng=seed, shade=number(values, "shade")),
            cover=named(text(values, "cover"), rng=seed + 1),
        )
        legs, feet = LEGS[text(values, "legs")](plan)
        place = _seat(plan, seat)
        parts = [*legs, place, *BACKS[text(values, "back")](plan)]
        if has(values, "stretcher"):
            parts += stretcher(plan, text(values, "legs"))
        if has(values, "arms"):
            parts += _arms(plan)
        points: dict[str, tuple[float, float, float] | Floats] = {}
        for x, y, corner in CORNERS:
            points[f"seat_{corner}"] = nearest_on(place, (x * plan.depth / 2, y * plan.width / 2, plan.seat))[0]
            points[f"foot_{corner}"] = (x * feet[0], y * feet[1], 0.0)
        for y, side in ((1, "left"), (-1, "right")):
            points[f"back_top_{side}"] = plan.back(y * plan.width * 0.42, plan.rise)
        return assembled(parts, keypoints=points)


def _seat(plan: ChairPlan, kind: str) -> Mesh:
    width, depth, top = plan.width, plan.depth, plan.seat
    if kind == "square":
        part = slab(rectangle(depth, width, radius=0.04), plan.under, top, bevel=0.006)
    elif kind == "round":
        part = slab(ellipse(depth * 1.04, width * 1.04, points=28), plan.under, top, bevel=0.008)
    elif kind == "bowl":
        outline = rectangle(depth * 1.02, width * 1.02, radius=0.14, points=6)

        def dip(share: float) -> float:
            return top - 0.035 * (1 - share**2)

        part = lens(outline, dip, lambda share: plan.under - 0.03 * (1 - share**2), rings=6)
    else:
        outline = rectangle(depth, width, radius=0.07, points=5)
        half = plan.thick / 2

        def swell(share: float) -> float:
            return half * math.sqrt(1 - share**6)

        part = lens(outline, lambda s: top - half + swell(s), lambda s: top - half - 0.7 * swell(s), rings=7)
    return grained(part, plan.cover, along=1, repeat=0.4)


def _arms(plan: ChairPlan) -> list[Mesh]:
    y, z = plan.width / 2 + plan.bar, plan.seat + 0.21
    flat = rectangle(2.6, 1.3, radius=0.4, points=2)
    parts = []
    for side in (1, -1):
        start = plan.back(side * y * 0.96, 0.21)
        rest = curve([start, (0, side * y, z + 0.005), (plan.depth * 0.38, side * y, z)], steps=4)
        parts.append(grained(tube(rest, plan.bar * 0.8, section=flat, up=(0, 0, 1)), plan.frame, along=0))
        post = [(plan.depth * 0.3, side * y * 0.95, plan.under), (plan.depth * 0.32, side * y, z)]
        parts.append(rod(plan, np.array(post), plan.bar * 0.8))
        rear = [plan.back(side * y * 0.9, -plan.thick), start]
        parts.append(rod(plan, np.stack(rear), plan.bar * 0.8))
    return parts
