"""Tables: five tops on eight bases, with or without a shelf and an apron (160 topologies).

Keypoints: four corners of the top (the ends of its axes' bounding rectangle drawn in to the top's edge), four feet,
and the top's middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.materials import named, names
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled, grained
from twinset.generators.rendering.shapes.family import Choice, Number, Values, has, number, text
from twinset.generators.rendering.shapes.outlines import ellipse, rectangle, regular
from twinset.generators.rendering.shapes.parts import box, frustum, lathe, rounded_box, shifted, slab, tube

Floats = NDArray[np.float64]
CORNERS = ((1, 1, "front_left"), (1, -1, "front_right"), (-1, 1, "back_left"), (-1, -1, "back_right"))


@dataclass(frozen=True)
class _Plan:
    """Sizes in metres: ``depth`` along x, ``width`` along y; ``x`` and ``y`` are where legs stand."""

    width: float
    depth: float
    height: float
    thick: float
    bar: float
    frame: Material
    top: Material
    x: float
    y: float

    @property
    def under(self) -> float:
        """Height of the top's underside."""
        return self.height - self.thick

    def leg(self, path: Floats, radius: float | Floats, *, section: Floats | None = None) -> Mesh:
        """A bar of the frame, its grain along its longest side."""
        part = tube(path, radius, section=section, up=None if section is None else (0, 1, 0), points=12)
        return grained(part, self.frame, along=int(np.ptp(path, axis=0).argmax()))


@dataclass(frozen=True)
class Table:
    """Flat tops on a base."""

    name: ClassVar[str] = "table"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "top": Choice(("rectangular", "round", "oval", "hexagonal", "planks")),
            "base": Choice(("legs", "tapered", "pedestal", "trestle", "panels", "cross", "hairpin", "cube")),
            "shelf": Choice((False, True), weights=(3, 1)),
            "apron": Choice((False, True)),
            "width": Number(0.9, 2.0),
            "depth": Number(0.65, 1.0),
            "height": Number(0.42, 0.78),
            "thickness": Number(0.02, 0.05),
            "bar": Number(0.02, 0.04),
            "frame": Choice(names("wood", "metal", "lacquer"), "look"),
            "surface": Choice(names("wood", "lacquer"), "look"),
            "shade": Number(-1, 1, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """See ``parameters``; lengths in metres. A round or hexagonal top is as wide as it is deep."""
        kind = text(values, "top")
        depth, width = number(values, "depth"), number(values, "width")
        if kind in ("round", "hexagonal"):
            depth = width = 0.5 * depth + 0.3 * width
        inset = 0.62 if kind in ("round", "oval", "hexagonal") else 0.9
        seed, bar = int(number(values, "grain") * 2**31), number(values, "bar")
        plan = _Plan(
            width,
            depth,
            number(values, "height"),
            number(values, "thickness"),
            bar,
            named(text(values, "frame"), rng=seed, shade=number(values, "shade")),
            named(text(values, "surface"), rng=seed + 1),
            x=inset * depth / 2 - bar,
            y=inset * width / 2 - bar,
        )
        base, feet = BASES[text(values, "base")](plan)
        parts = [*_top(plan, kind), *base]
        if has(values, "apron"):
            parts += _apron(plan)
        if has(values, "shelf"):
            parts += _shelf(plan, kind)
        share = {"round": 0.5**0.5, "oval": 0.5**0.5, "hexagonal": 0.6}.get(kind, 1.0)
        points: dict[str, tuple[float, float, float]] = {"top_middle": (0.0, 0.0, plan.height)}
        for x, y, corner in CORNERS:
            points[f"top_{corner}"] = (x * share * depth / 2, y * share * width / 2, plan.height)
            points[f"foot_{corner}"] = (x * feet[0], y * feet[1], 0.0)
        return assembled(parts, keypoints=points)


def _outline(kind: str, depth: float, width: float) -> Floats:
    if kind == "hexagonal":
        return regular(6, depth, width)
    if kind in ("round", "oval"):
        return ellipse(depth, width, points=40)
    return rectangle(depth, width, radius=0.03, points=6)


def _top(plan: _Plan, kind: str) -> list[Mesh]:
    if kind != "planks":
        part = slab(_outline(kind, plan.depth, plan.width), plan.under, plan.height, bevel=0.005)
        return [grained(part, plan.top, along=1)]
    count, gap = 6, 0.012
    broad = (plan.depth + gap) / count - gap
    boards = []
    for row in range(count):
        x = -plan.depth / 2 + broad / 2 + row * (broad + gap)
        centre = (x, 0, plan.height - plan.thick / 2)
        boards.append(grained(rounded_box((broad, plan.width, plan.thick), 0.005, centre, points=1), plan.top, along=1))
    battens = [
        grained(box((plan.depth * 0.94, 0.07, 0.022), (0, b * plan.width * 0.36, plan.under - 0.01)), plan.frame)
        for b in (1, -1)
    ]
    return [*boards, *battens]


def _upright(x: float, y: float, top: float) -> Floats:
    return np.array([(x, y, 0.0), (x, y, top)])


def _legs(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    square = rectangle(2, 2, radius=0.25, points=3)
    parts = [
        plan.leg(_upright(a * plan.x, b * plan.y, plan.under), plan.bar, section=square)
        for a in (1, -1)
        for b in (1, -1)
    ]
    return parts, (plan.x, plan.y)


def _tapered(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    parts = [
        plan.leg(
            np.array([(a * plan.x * 1.06, b * plan.y * 1.03, 0.0), (a * plan.x * 0.84, b * plan.y * 0.9, plan.under)]),
            plan.bar * np.array([0.5, 1.1]),
        )
        for a in (1, -1)
        for b in (1, -1)
    ]
    return parts, (plan.x * 1.06, plan.y * 1.03)


def _pedestal(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    foot, bar, top = min(0.4 * (plan.x + plan.y), plan.x), plan.bar * 1.5, plan.under
    profile = [
        (foot, 0),
        (foot, 0.015),
        (foot * 0.55, 0.045),
        (bar * 1.2, 0.10),
        (bar, top * 0.5),
        (bar * 1.2, top - 0.06),
        (foot * 0.7, top - 0.01),
        (foot * 0.7, top),
    ]
    return [grained(lathe(profile, points=28), plan.frame, along=2)], (foot, foot)


def _trestle(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    """An A at both ends and a beam between them."""
    flat, parts = rectangle(2, 1.2, radius=0.2, points=2), []
    y = plan.y * 0.86
    for b in (1, -1):
        for a in (1, -1):
            path = np.array([(a * plan.x, b * y, 0.0), (a * plan.x * 0.25, b * y, plan.under)])
            parts.append(plan.leg(path, plan.bar, section=flat))
        z = plan.under * 0.35
        parts.append(grained(box((plan.x * 1.5, plan.bar, plan.bar * 1.6), (0, b * y, z)), plan.frame))
        parts.append(grained(box((plan.x * 1.3, plan.bar * 2.2, 0.04), (0, b * y, plan.under - 0.02)), plan.frame))
    parts.append(grained(box((plan.bar, 2 * y, plan.bar * 1.8), (0, 0, plan.under * 0.35)), plan.frame, along=1))
    return parts, (plan.x, y)


def _panels(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    y, thick = plan.y * 0.92, plan.bar
    sides = [
        grained(box((2 * plan.x, thick, plan.under), (0, b * y, plan.under / 2)), plan.frame, along=2) for b in (1, -1)
    ]
    rear = box((thick, 2 * y, plan.under * 0.45), (0, 0, plan.under * 0.72))
    return [*sides, grained(rear, plan.frame, along=1)], (plan.x, y)


def _cross(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    """An X at both ends and a beam through both crossings."""
    flat, y = rectangle(1.8, 1.2, radius=0.2, points=2), plan.y * 0.85
    parts = [
        plan.leg(
            np.array([(a * plan.x, b * y, 0.0), (-a * plan.x, b * y + 0.02 * a, plan.under)]), plan.bar, section=flat
        )
        for b in (1, -1)
        for a in (1, -1)
    ]
    parts.append(plan.leg(np.array([(0, -y, plan.under / 2), (0, y, plan.under / 2)]), plan.bar * 0.8))
    return parts, (plan.x, y)


def _hairpin(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    """Bent rods: two bars that meet at each foot."""
    parts, rod = [], 0.007
    for a in (1, -1):
        for b in (1, -1):
            foot = np.array([a * plan.x, b * plan.y, rod])
            ends = [shifted(foot, -a * 0.11, 0, plan.under - rod), shifted(foot, 0, -b * 0.11, plan.under - rod)]
            turn = [shifted(foot, -a * 0.012, 0, 0.03), foot, shifted(foot, 0, -b * 0.012, 0.03)]
            parts.append(plan.leg(np.stack([ends[0], *turn, ends[1]]), rod))
            plate = box((0.14, 0.14, 0.006), shifted(foot, -a * 0.05, -b * 0.05, plan.under - rod - 0.003))
            parts.append(plate.painted(plan.frame))
    return parts, (plan.x, plan.y)


def _cube(plan: _Plan) -> tuple[list[Mesh], tuple[float, float]]:
    """A closed body with a recessed foot."""
    x, y = plan.x * 0.86, plan.y * 0.8
    body = rounded_box((2 * x, 2 * y, plan.under - 0.06), 0.008, (0, 0, plan.under / 2 + 0.03), points=1)
    foot = box((1.8 * x, 1.9 * y, 0.08), (0, 0, 0.04))
    return [grained(body, plan.frame, along=1), grained(foot, plan.frame, along=1)], (0.9 * x, 0.95 * y)


Base = Callable[[_Plan], tuple[list[Mesh], tuple[float, float]]]
BASES: Mapping[str, Base] = MappingProxyType(
    {
        "legs": _legs,
        "tapered": _tapered,
        "pedestal": _pedestal,
        "trestle": _trestle,
        "panels": _panels,
        "cross": _cross,
        "hairpin": _hairpin,
        "cube": _cube,
    }
)


def _apron(plan: _Plan) -> list[Mesh]:
    """A frame under the top's edge."""
    x, y, high, thick = plan.x + plan.bar * 0.5, plan.y + plan.bar * 0.5, 0.085, 0.02
    z = plan.under - high / 2
    along = [grained(box((thick, 2 * y, high), (a * x, 0, z)), plan.frame, along=1) for a in (1, -1)]
    return along + [grained(box((2 * x, thick, high), (0, b * y, z)), plan.frame) for b in (1, -1)]


def _shelf(plan: _Plan, kind: str) -> list[Mesh]:
    """A second, smaller board halfway down, on four pegs where the base gives no hold."""
    z, size = plan.under * 0.3, 0.95 if kind in ("rectangular", "planks") else 0.8
    outline = _outline("rectangular" if kind == "planks" else kind, 2 * plan.x * size + 0.04, 2 * plan.y * size + 0.04)
    board = grained(slab(outline, z, z + 0.02, bevel=0.004), plan.top, along=1)
    pegs = [
        frustum(0.01, 0.01, z, plan.under, points=10, centre=(a * plan.x * 0.5, b * plan.y * 0.5)).painted(plan.frame)
        for a in (1, -1)
        for b in (1, -1)
    ]
    return [board, *pegs]
