"""Bags: eight bodies, four ways to carry them, three kinds of pockets, with or without a flap (192 topologies).

Keypoints: the four corners of the bottom, the two ends of the top, the middle of the front, and the highest point of
the handle (of the body, where there is none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.materials import METALS, named, names
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.family import Choice, Number, Values, has, number, text
from twinset.generators.rendering.shapes.outlines import lifted, rectangle, superellipse
from twinset.generators.rendering.shapes.parts import (
    curve,
    ellipsoid,
    frustum,
    loft,
    moved,
    rounded_box,
    sheet,
    shifted,
    tube,
    turned,
)

Floats = NDArray[np.float64]
LINING = Material((0.10, 0.09, 0.09), roughness=0.95)
BRASS = Material(METALS["brass"], roughness=0.3, metallic=0.8)
CORNERS = ((1, 1, "front_left"), (1, -1, "front_right"), (-1, 1, "back_left"), (-1, -1, "back_right"))


@dataclass(frozen=True)
class _Form:
    """Width over height, depth over height, and how both change on the way up (at equal steps from bottom to top)."""

    width: float
    depth: float
    widths: tuple[float, ...]
    depths: tuple[float, ...]
    power: float  # of the horizontal section: 2 an ellipse, 8 nearly a rectangle
    opened: bool = False


FORMS: Mapping[str, _Form] = MappingProxyType(
    {
        "tote": _Form(1.05, 0.36, (0.88, 0.94, 0.97, 1.0, 1.03), (1, 1.02, 0.9, 0.7, 0.5), 5, opened=True),
        "shopper": _Form(0.80, 0.38, (1, 1, 1, 1, 1), (1, 1, 0.98, 0.96, 0.94), 12, opened=True),
        "handbag": _Form(1.40, 0.55, (0.98, 1.02, 1.0, 0.9, 0.74), (1, 1.06, 0.92, 0.62, 0.22), 4),
        "backpack": _Form(0.70, 0.42, (0.96, 1.02, 1.02, 0.99, 0.80), (1, 1.05, 1.0, 0.86, 0.42), 3.6),
        "duffel": _Form(2.0, 0.98, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1), 2.4),
        "messenger": _Form(1.35, 0.34, (0.97, 1, 1, 1, 0.97), (1, 1.08, 1.0, 0.85, 0.5), 6),
        "bucket": _Form(0.85, 0.78, (0.86, 0.94, 0.97, 0.9, 0.72), (0.86, 0.94, 0.97, 0.9, 0.72), 2.2, opened=True),
        "pouch": _Form(1.55, 0.30, (0.90, 1.03, 1.05, 1.02, 0.94), (0.8, 1.15, 1.1, 0.7, 0.12), 3),
    }
)
HEIGHTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "tote": (0.30, 0.42),
        "shopper": (0.30, 0.46),
        "handbag": (0.18, 0.28),
        "backpack": (0.40, 0.55),
        "duffel": (0.25, 0.33),
        "messenger": (0.24, 0.33),
        "bucket": (0.25, 0.36),
        "pouch": (0.15, 0.24),
    }
)


@dataclass(frozen=True)
class _Plan:
    """One bag in metres: sizes at the bottom's scale, and its materials."""

    kind: str
    height: float
    width: float
    depth: float
    bulge: float
    skin: Material
    strap: Material

    @property
    def form(self) -> _Form:
        """The table's row."""
        return FORMS[self.kind]

    def half(self, share: float) -> tuple[float, float]:
        """Half the depth and half the width at a share of the height."""
        steps = np.linspace(0, 1, len(self.form.widths))
        swell = 1 + self.bulge * np.sin(np.pi * share)
        depth = self.depth / 2 * float(np.interp(share, steps, self.form.depths)) * swell
        return depth, self.width / 2 * float(np.interp(share, steps, self.form.widths))

    def front(self, across: float | Floats, share: float) -> Floats:
        """Points on the front: ``across`` −1…1 of the half width, at a share of the height."""
        depth, width = self.half(share)
        y = np.asarray(across, dtype=np.float64)
        x = depth * np.maximum(1 - np.abs(y) ** self.form.power, 0.0) ** (1 / self.form.power)
        return np.stack([x, y * width, np.full_like(y, share * self.height)], axis=-1)


@dataclass(frozen=True)
class Bag:
    """Things to carry things in."""

    name: ClassVar[str] = "bag"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "body": Choice(tuple(FORMS)),
            "carry": Choice(("loops", "arch", "strap", "grip"), weights=(4, 3, 2, 1)),
            "pocket": Choice(("none", "flat", "puffy")),
            "flap": Choice((False, True)),
            "size": Number(0, 1),
            "broad": Number(0.88, 1.12),
            "deep": Number(0.85, 1.15),
            "bulge": Number(0.0, 0.14),
            "drop": Number(0.8, 1.25),
            "skin": Choice(names("fabric", "leather"), "look"),
            "trim": Choice(names("leather"), "look"),
            "shade": Number(-1, 1, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """``size`` is a share of the way from the body's smallest to its largest height; ``drop`` scales the handle."""
        kind, seed = text(values, "body"), int(number(values, "grain") * 2**31)
        height = float(np.interp(number(values, "size"), (0, 1), HEIGHTS[kind]))
        plan = _Plan(
            kind,
            height,
            height * FORMS[kind].width * number(values, "broad"),
            height * FORMS[kind].depth * number(values, "deep"),
            number(values, "bulge"),
            named(text(values, "skin"), rng=seed, shade=number(values, "shade")),
            named(text(values, "trim"), rng=seed + 1),
        )
        handles = CARRIES[text(values, "carry")](plan, number(values, "drop"))
        parts = [*(_roll(plan) if kind == "duffel" else _sack(plan)), *handles, *_pocket(plan, text(values, "pocket"))]
        if has(values, "flap"):
            parts += _flap(plan)
        (depth, width), (_, top) = plan.half(0.0), plan.half(1.0)
        points: dict[str, tuple[float, float, float]] = {
            f"bottom_{name}": (x * depth * 0.9, y * width * 0.9, 0.0) for x, y, name in CORNERS
        }
        points |= {"top_left": (0.0, top, height), "top_right": (0.0, -top, height)}
        x, y, z = plan.front(0.0, 0.5)
        points["front"] = (float(x), float(y), float(z))
        points["handle"] = (0.0, 0.0, max(float(part.bounds[1, 2]) for part in parts))
        return assembled(parts, keypoints=points, repeat=0.2)


def _sack(plan: _Plan) -> list[Mesh]:
    """The body standing up: open ones are lined, closed ones have a seam or a drawn top."""
    shares = np.array([0, 0.008, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 1.0])
    inset = np.array([0.9, 0.96, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    rings = []
    for share, scale in zip(shares, inset, strict=True):
        depth, width = plan.half(float(share))
        rings.append(
            lifted(superellipse(2 * depth, 2 * width, plan.form.power, points=48) * scale, share * plan.height)
        )
    if not plan.form.opened:
        depth, width = plan.half(1.0)
        for scale, rise in ((0.9, 0.012), (0.6, 0.022), (0.2, 0.025)):
            outline = superellipse(2 * depth, 2 * width, plan.form.power, points=48) * (scale, scale**0.3)
            rings.append(lifted(outline, plan.height * (1 + rise)))
        return [loft(np.stack(rings)).painted(plan.skin)]
    body = loft(np.stack(rings)).painted(plan.skin)
    depth, width = plan.half(1.0)
    mouth = [
        lifted(superellipse(2 * depth - 0.012, 2 * width - 0.012, plan.form.power, points=48), z * plan.height)
        for z in (0.99, 1.003)
    ]
    rim = [lifted(superellipse(2 * depth, 2 * width, plan.form.power, points=48), plan.height)]
    band = tube(rim[0], 0.004, points=6, loop=True, up=(0, 0, 1)).painted(plan.strap)
    return [body, loft(np.stack(mouth)).painted(LINING), band]


def _roll(plan: _Plan) -> list[Mesh]:
    """A duffel: a roll that lies along y, sagging a little onto its flattened underside."""
    shares = np.array([-1, -0.985, -0.95, -0.88, -0.5, 0, 0.5, 0.88, 0.95, 0.985, 1])
    scale = np.array([0.72, 0.86, 0.95, 1, 1.02, 1.03, 1.02, 1, 0.95, 0.86, 0.72])
    section = superellipse(plan.depth, plan.height, 2.6, points=36)
    section = np.stack([section[:, 0], np.maximum(section[:, 1], -0.44 * plan.height)], axis=1)
    rings = [
        np.stack([section[:, 0] * s, np.full(36, y * plan.width / 2), section[:, 1] * s + 0.46 * plan.height], axis=1)
        for y, s in zip(shares, scale, strict=True)
    ]
    zip_line = np.array([(0, y * plan.width * 0.46, plan.height * 0.965) for y in (-1, -0.5, 0, 0.5, 1)])
    return [
        loft(np.stack(rings)).painted(plan.skin),
        tube(zip_line, 0.008, section=rectangle(2, 1), up=(0, 0, 1)).painted(LINING),
    ]


def _band(plan: _Plan, path: Floats, *, broad: float = 0.013, up: tuple[float, float, float] = (1, 0, 0)) -> Mesh:
    """A strap: four times as broad as thick, its flat side towards ``up``."""
    return tube(path, broad, section=rectangle(2, 0.5, radius=0.2, points=2), up=up).painted(plan.strap)


def _loops(plan: _Plan, drop: float) -> list[Mesh]:
    """Two loops, on the front and on the back."""
    parts, rise = [], 0.42 * drop * max(plan.height, 0.24)
    spread = 0.45 if plan.kind in ("tote", "shopper", "handbag", "pouch") else 0.34
    for side in (1, -1):
        low, high = (plan.front(spread, share) for share in (0.72, 1.0))
        lean = np.array([0.45, 1, 1])
        lift = np.array([0.0, 0.0, rise])
        left = [
            shifted(low, 0.004, 0, 0),
            shifted(high, 0.004, 0, 0),
            high * lean * (1, 0.85, 1) + 0.75 * lift,
            high * lean * (1, 0.4, 1) + lift,
        ]
        path = curve([*left, *[point * (1, -1, 1) for point in left[::-1]]], steps=4)
        parts.append(_band(plan, path * (side, 1, 1)))
    return parts


def _arch(plan: _Plan, drop: float) -> list[Mesh]:
    """One stiff round handle with rings."""
    _, width = plan.half(1.0)
    rise, foot = 0.5 * drop * max(plan.height, 0.22), width * 0.6
    z = plan.height * (1.0 if plan.kind != "duffel" else 0.97)
    path = curve(
        [
            (0, foot, z - 0.01),
            (0, foot * 0.9, z + 0.6 * rise),
            (0, 0, z + rise),
            (0, -foot * 0.9, z + 0.6 * rise),
            (0, -foot, z - 0.01),
        ]
    )
    handle = tube(path, 0.011, points=12).painted(plan.strap)
    knobs = [ellipsoid((0.014, 0.014, 0.018), (0, y * foot, z), points=10).painted(BRASS) for y in (1, -1)]
    return [handle, *knobs]


def _strap(plan: _Plan, drop: float) -> list[Mesh]:
    """A long shoulder strap from side to side; on a backpack two, down its back."""
    if plan.kind == "backpack":
        parts = []
        for y in (0.42, -0.42):
            top, bottom = plan.front(y, 0.97) * (-0.6, 1, 1), plan.front(y * 1.1, 0.08) * (-1, 1, 1)
            out = np.array([-0.24 * drop * plan.height, 0, 0])
            middle = [0.7 * top + 0.3 * bottom + out, 0.35 * top + 0.65 * bottom + 0.85 * out]
            parts.append(
                _band(plan, curve([top, top + 0.45 * out + (0, 0, 0.03), *middle, bottom]), broad=0.026, up=(0, 0.2, 1))
            )
        return [*parts, *_grip(plan, 0.8)]
    _, width = plan.half(0.85)
    rise = 0.95 * drop * max(plan.height, 0.26)
    z = plan.height * 0.85
    path = curve(
        [(0, width, z), (0, width * 0.98, z + 0.45 * rise), (0, width * 0.5, z + 0.92 * rise), (0, 0, z + rise)],
        steps=8,
    )
    whole = np.concatenate([path, path[-2::-1] * (1, -1, 1)])
    rings = [ellipsoid((0.012, 0.008, 0.018), (0, y * width, z), points=10).painted(BRASS) for y in (1, -1)]
    return [_band(plan, whole, broad=0.016, up=(1, 0, 0)), *rings]


def _grip(plan: _Plan, drop: float) -> list[Mesh]:
    """A short padded grip on the top."""
    z, rise, foot = plan.height * 0.985, 0.11 * drop * max(plan.height, 0.3), 0.07
    path = curve([(0, foot, z), (0, foot * 0.9, z + rise), (0, -foot * 0.9, z + rise), (0, -foot, z)])
    return [tube(path, 0.011, section=rectangle(2, 1.4, radius=0.6, points=2), up=(1, 0, 0)).painted(plan.strap)]


CARRIES = MappingProxyType({"loops": _loops, "arch": _arch, "strap": _strap, "grip": _grip})


def _pocket(plan: _Plan, pocket: str) -> list[Mesh]:
    """On the front: a patch, or a padded pouch with a zip."""
    if pocket == "none":
        return []
    if pocket == "flat":
        across = np.linspace(-0.55, 0.55, 9)
        grid = np.stack([plan.front(across, share) for share in np.linspace(0.16, 0.58, 6)], axis=1)
        return [sheet(shifted(grid, 0.002, 0, 0), 0.010).painted(plan.strap)]
    depth, width = plan.half(0.32)
    size = (max(0.32 * plan.depth, 0.05), width * 1.25, plan.height * 0.42)
    pad = rounded_box(size, 0.4 * size[0], points=4)
    line = tube(
        np.array([(size[0] / 2, -width * 0.45, size[2] * 0.25), (size[0] / 2, width * 0.45, size[2] * 0.25)]), 0.005
    )
    return [
        moved(part, (depth * 0.98, 0, 0.32 * plan.height)) for part in (pad.painted(plan.skin), line.painted(LINING))
    ]


def _flap(plan: _Plan) -> list[Mesh]:
    """Over the top and down the front, with a buckle; a messenger's reaches far down."""
    low = 0.25 if plan.kind == "messenger" else 0.55
    across = np.linspace(-0.93, 0.93, 15)
    back = plan.front(across, 0.86) * (-1, 1, 1) + (-0.004, 0, 0)
    lip = plan.front(across, 1.0) * (-1, 1, 1) + (-0.002, 0, 0.012)
    over = shifted(plan.front(across, 1.0), 0.004, 0, 0.012)
    rows = [back, lip, over, *(shifted(plan.front(across, share), 0.012, 0, 0) for share in np.linspace(0.94, low, 6))]
    grid = np.stack(rows, axis=1)
    grid[:, -1, 2] += 0.035 * plan.height * np.abs(across) ** 4
    buckle = turned(frustum(0.016, 0.016, -0.006, 0.006, points=14), 90, (0, 1, 0))
    at = shifted(plan.front(0.0, low + 0.06), 0.02, 0, 0)
    return [sheet(grid, 0.008).painted(plan.skin), moved(buckle, at).painted(BRASS)]
