"""Buses: city and intercity, trolleybuses with poles, articulated ones that bend, and long minibuses (30 topologies).

Keypoints: the wheels of the first and the last axle, and the four corners of the roof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.materials import paint
from twinset.generators.rendering.meshes import Colour, Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.family import Choice, Number, Values, number, text
from twinset.generators.rendering.shapes.parts import box, frustum, loft, moved, rounded_box, shifted, tube, turned
from twinset.generators.rendering.shapes.wheels import WELL, wheels
from twinset.generators.rendering.shapes.windows import TRIM, Glazing, glazed, pane

Floats = NDArray[np.float64]
LIVERIES: Mapping[str, Colour] = MappingProxyType(
    {
        "white": (0.93, 0.93, 0.92),
        "mint": (0.70, 0.84, 0.74),
        "green": (0.42, 0.74, 0.34),
        "yellow": (0.90, 0.76, 0.18),
        "red": (0.66, 0.12, 0.12),
        "blue": (0.16, 0.32, 0.58),
        "silver": (0.72, 0.74, 0.75),
    }
)
LENGTHS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "minibus": (5.4, 7.4),
        "city": (9.5, 12.5),
        "coach": (10.5, 13.5),
        "trolleybus": (11.0, 12.5),
        "articulated": (16.5, 18.5),
    }
)
LAMP, TAIL = Material((0.88, 0.89, 0.86), roughness=0.1), Material((0.52, 0.04, 0.04), roughness=0.2)
LID = Material((0.82, 0.82, 0.81))
FLOOR = 0.30
"""Height of the body's lower edge."""


@dataclass(frozen=True)
class Bus:
    """Vehicles with many seats."""

    name: ClassVar[str] = "bus"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "body": Choice(tuple(LENGTHS)),
            "roof": Choice(("hatches", "cooler", "bare"), weights=(3, 2, 1)),
            "doors": Choice(("right", "left"), weights=(3, 1)),
            "size": Number(0, 1),
            "width": Number(2.35, 2.55),
            "height": Number(2.85, 3.35),
            "bend_degrees": Number(-35, 35),
            "livery": Choice(tuple(LIVERIES), "look"),
            "top": Choice(("same", "white"), "look", weights=(2, 1)),
            "shade": Number(-1, 1, "look"),
            "sky": Number(0, 0.7, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """``size`` is a share of the way from the body's least to its greatest length; only articulated ones bend."""
        kind, seed = text(values, "body"), int(number(values, "grain") * 2**31)
        length = float(np.interp(number(values, "size"), (0, 1), LENGTHS[kind]))
        small = kind == "minibus"
        width = number(values, "width") - (0.4 if small else 0.0)
        height = number(values, "height") - (0.45 if small else 0.0)
        tone = np.asarray(LIVERIES[text(values, "livery")]) * (1 + 0.12 * number(values, "shade"))
        red, green, blue = (float(part) for part in np.clip(tone, 0, 1))
        skin = Material((1.0, 1.0, 1.0), 0.25, 0.1, paint((red, green, blue), rng=seed, flakes=0.02))
        white = text(values, "top") == "white"
        plan = _Plan(
            width,
            height,
            0.36 if small else 0.48,
            skin,
            Material((0.92, 0.92, 0.90), 0.4) if white else skin,
            pane(number(values, "sky")),
            text(values, "roof"),
            1.0 if text(values, "doors") == "left" else -1.0,
        )
        if kind == "articulated":
            parts, points = _articulated(plan, length, number(values, "bend_degrees"))
        else:
            parts, points = _rigid(plan, length)
        if kind == "trolleybus":
            parts += _poles(length, height)
        return assembled(parts, keypoints=points)


@dataclass(frozen=True)
class _Plan:
    """What all bodies of one bus share; metres. ``doors`` is 1 on the left, −1 on the right."""

    width: float
    height: float
    wheel: float
    skin: Material
    top: Material
    glass: Material
    roof: str
    doors: float


Built = tuple[list[Mesh], dict[str, Floats]]


def _rigid(
    plan: _Plan, length: float, *, axles: tuple[float, ...] = (0.24, 0.76), ends: tuple[bool, bool] = (True, True)
) -> Built:
    """One body around the origin; ``ends`` tell whether its front and its rear are outer ends (glass, lights)."""
    half, front = plan.width / 2, length / 2
    places = [length * (0.5 - share) for share in axles]
    parts = [_shell(plan, length, ends[1]), *wheels(places, plan.width + 0.08, plan.wheel, 0.28, 0)]
    parts += [_well(plan, x, y * half) for x in places for y in (1, -1)]
    cover = rounded_box((length * 0.93, plan.width * 0.8, 0.05), 0.02, (0, 0, plan.height - 0.012), points=1)
    parts.append(cover.painted(plan.top))
    parts += [*_roof_units(plan, length), *_doors(plan, length), *_ends(plan, length, ends)]
    points: dict[str, Floats] = {}
    for y, side in ((1, "left"), (-1, "right")):
        for x, end in ((places[0], "front"), (places[-1], "rear")):
            points[f"wheel_{end}_{side}"] = np.array([x, y * (half + 0.04), plan.wheel])
        for x, end in ((front, "front"), (-front, "rear")):
            points[f"roof_{end}_{side}"] = np.array([x * 0.99, y * half * 0.95, plan.height - 0.06])
    return parts, points


def _shell(plan: _Plan, length: float, rear_glass: bool) -> Mesh:
    """Sides, windows and roof."""
    half, front, height = plan.width / 2, length / 2, plan.height
    count = max(round(length / 1.6), 3)
    stops = np.linspace(0.02, 0.98, count + 1)
    windows = tuple((float(a) + 0.006, float(b) - 0.006) for a, b in pairwise(stops))
    heights = np.array([FLOOR, FLOOR + 0.06, height * 0.36, height * 0.79, height - 0.18, height - 0.06])
    inset = np.array([0.05, 0.0, 0.0, 0.05, 0.09, 0.16])
    levels = np.stack([front - inset, -front + 0.6 * inset, half - 0.6 * inset, heights], axis=1)
    glazing = Glazing(windows, corners=(0.16, 0.12), bow=(0.10, 0.06), rear=rear_glass)
    crown = ((0.98, 0.03), (0.85, 0.05), (0.4, 0.06))
    return glazed(levels, glazing, plan.skin, plan.glass, panes=(2, 3), crown=crown)


def _doors(plan: _Plan, length: float) -> list[Mesh]:
    top = plan.height * 0.79
    size, z = (1.15, 0.03, top - FLOOR - 0.1), (top + FLOOR) / 2
    places = [length * (0.5 - share) for share in ((0.10, 0.52) if length > 8 else (0.38,))]
    return [box(size, (x, plan.doors * plan.width / 2, z)).painted(TRIM) for x in places]


def _ends(plan: _Plan, length: float, ends: tuple[bool, bool]) -> list[Mesh]:
    """Lights and mirrors where this body is the bus's end."""
    half, front, belt = plan.width / 2, length / 2, plan.height * 0.36
    parts = []
    for y in (1, -1):
        if ends[0]:
            parts.append(box((0.06, 0.3, 0.16), (front - 0.06, y * half * 0.72, 0.62)).painted(LAMP))
            arm = np.array([(front - 0.2, y * half * 0.9, belt + 0.75), (front - 0.06, y * (half + 0.14), belt + 0.7)])
            parts.append(tube(arm, 0.02, points=6).painted(TRIM))
            parts.append(box((0.08, 0.12, 0.34), (front - 0.06, y * (half + 0.14), belt + 0.5)).painted(TRIM))
        if ends[1]:
            parts.append(box((0.06, 0.16, 0.3), (-front + 0.03, y * half * 0.82, 0.8)).painted(TAIL))
    return parts


def _well(plan: _Plan, x: float, y: float) -> Mesh:
    """The dark arch around a wheel, a finger's breadth proud of the side."""
    radius = plan.wheel + 0.07
    disc = turned(frustum(radius, radius, -0.006, 0.006, points=20), 90, (1, 0, 0))
    return moved(disc, (x, y, plan.wheel + 0.03)).painted(WELL)


def _roof_units(plan: _Plan, length: float) -> list[Mesh]:
    if plan.roof == "hatches":
        places = np.linspace(-0.32, 0.32, 3) * length
        size, z = (0.75, 0.75, 0.09), plan.height + 0.03
        lids = [rounded_box(size, 0.03, (x, 0, z), points=1) for x in places]
        return [lid.painted(TRIM if row == 1 else LID) for row, lid in enumerate(lids)]
    if plan.roof == "cooler":
        size = (min(2.6, 0.28 * length), plan.width * 0.66, 0.26)
        return [rounded_box(size, 0.07, (0.08 * length, 0, plan.height + 0.1), points=2).painted(LID)]
    return []


def _articulated(plan: _Plan, length: float, bend: float) -> Built:
    """Two bodies on a hinge in a dark bellows; the rear one swings by ``bend`` degrees."""
    ahead, behind, gap = 0.56 * length, 0.38 * length, 0.06 * length
    first, points = _rigid(plan, ahead, axles=(0.26, 0.80), ends=(True, False))
    last, others = _rigid(plan, behind, axles=(0.55,), ends=(False, True))
    first = [moved(part, (ahead / 2 + gap / 2, 0, 0)) for part in first]
    turn = np.radians(bend)
    swing = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    shift = np.array([-behind / 2 - gap / 2, 0.0, 0.0])
    last = [turned(moved(part, shift), bend) for part in last]
    at = {name: shifted(point, ahead / 2 + gap / 2, 0, 0) for name, point in points.items() if "front" in name}
    at |= {name: swing @ (point + shift) for name, point in others.items() if "rear" in name}
    return [*first, *last, _bellows(plan.width, plan.height, gap, turn)], at


def _bellows(width: float, height: float, gap: float, turn: float) -> Mesh:
    """Folds around the hinge, from one body into the other."""
    rings = []
    for step, share in enumerate(np.linspace(0, 1, 13)):
        angle = turn * share
        size = 0.94 if step % 2 else 0.86
        half, low, high = width / 2 * size, 0.4, 0.4 + (height - 0.5) * (size + 0.04)
        corners = np.array([(half, low), (half, high), (-half, high), (-half, low)])
        along = np.array([np.cos(angle), np.sin(angle)]) * gap * 0.6 * (1 - 2 * share)
        across = np.array([-np.sin(angle), np.cos(angle)])
        rings.append([(*(along + y * across), z) for y, z in corners])
    return loft(np.array(rings)).painted(TRIM)


def _poles(length: float, height: float) -> list[Mesh]:
    """Two current collectors, laid down over the rear."""
    base = rounded_box((1.5, 1.1, 0.2), 0.05, (0.05 * length, 0, height + 0.08), points=1).painted(TRIM)
    rods = [
        tube(
            np.array([(0.05 * length, y * 0.3, height + 0.2), (-0.52 * length, y * 0.34, height + 0.45)]),
            0.035,
            points=8,
        )
        for y in (1, -1)
    ]
    return [base, *(rod.painted(TRIM) for rod in rods)]
