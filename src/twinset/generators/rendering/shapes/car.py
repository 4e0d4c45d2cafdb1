"""Cars: nine bodies, three extras, three kinds of wheels, with or without a spoiler (162 topologies).

``extra`` is what stands on the body: ``rails`` on the roof (a roll bar on pickups and convertibles), or a ``cover``
(a glass roof; on a pickup over its bed, on a convertible over its rear seats). Keypoints: the four wheels, head and
tail lights, mirrors, and the four corners of the roof (of the windscreen's frame and the cockpit's rear end without).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.materials import PAINT_SHARES, PAINTS, named
from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.car_bodies import BODIES, CarBody, CarPlan
from twinset.generators.rendering.shapes.car_extras import bed, cockpit, extra, spoiler
from twinset.generators.rendering.shapes.family import Choice, Number, Values, has, number, text
from twinset.generators.rendering.shapes.parts import (
    box,
    ellipsoid,
    loft,
    moved,
    rounded_box,
    turned,
)
from twinset.generators.rendering.shapes.wheels import SPOKES, WELL, arch, wheels
from twinset.generators.rendering.shapes.windows import TRIM, Glazing, glazed, pane

Floats = NDArray[np.float64]
LAMP = Material((0.88, 0.89, 0.86), roughness=0.1)
TAIL = Material((0.52, 0.04, 0.04), roughness=0.2)
PLATE = Material((0.86, 0.86, 0.80), roughness=0.5)


@dataclass(frozen=True)
class Car:
    """Passenger cars and light vans."""

    name: ClassVar[str] = "car"
    parameters: ClassVar[Mapping[str, Number | Choice]] = MappingProxyType(
        {
            "body": Choice(tuple(BODIES), weights=(22, 22, 12, 20, 4, 6, 6, 6, 2)),
            "extra": Choice(("plain", "rails", "cover"), weights=(6, 2, 2)),
            "wheels": Choice(tuple(SPOKES)),
            "spoiler": Choice((False, True), weights=(3, 1)),
            "size": Number(0, 1),
            "broad": Number(0, 1),
            "tall": Number(0.96, 1.05),
            "paint": Choice(tuple(PAINTS), "look", weights=PAINT_SHARES),
            "shade": Number(-1, 1, "look"),
            "sky": Number(0, 0.7, "look"),
            "grain": Number(0, 1, "look"),
        }
    )

    def build(self, values: Values) -> Mesh:
        """``size`` and ``broad`` are shares of the way from the body's smallest to its largest length and width.

        ``sky`` is how pale the glass mirrors it.
        """
        kind = text(values, "body")
        body = BODIES[kind]
        colour = f"{text(values, 'paint')} paint"
        plan = CarPlan(
            body,
            length=float(np.interp(number(values, "size"), (0, 1), body.length)) - 0.06,
            width=float(np.interp(number(values, "broad"), (0, 1), body.width)),
            height=body.height * number(values, "tall"),
            paint=named(colour, rng=int(number(values, "grain") * 2**31), shade=0.6 * number(values, "shade")),
            glass=pane(number(values, "sky")),
        )
        parts = [*_hull(plan), *_lights(plan), *_mirrors(plan)]
        parts += wheels(plan.axles, plan.width * 0.985, body.wheel, 0.21, SPOKES[text(values, "wheels")])
        parts += cockpit(plan) if kind == "convertible" else [_cabin(plan)]
        if kind == "pickup":
            parts += bed(plan)
        parts += extra(plan, kind, text(values, "extra"))
        if has(values, "spoiler"):
            parts += spoiler(plan, kind)
        return assembled(parts, keypoints=_keypoints(plan))


def _keypoints(plan: CarPlan) -> dict[str, tuple[float, float, float]]:
    body, half, points = plan.body, plan.width / 2, {}
    for y, side in ((1.0, "left"), (-1.0, "right")):
        for x, end in zip(plan.axles, ("front", "rear"), strict=True):
            points[f"wheel_{end}_{side}"] = (x, y * half * 0.985, body.wheel)
        points[f"headlight_{side}"] = (plan.at(0.02), y * half * 0.72, body.belt * 0.74)
        points[f"taillight_{side}"] = (plan.at(0.995), y * half * 0.72, body.belt * 0.84)
        points[f"mirror_{side}"] = (plan.at(body.screen[0] + 0.05), y * (half + 0.08), body.belt + 0.06)
        points[f"roof_front_{side}"] = (plan.at(body.screen[1]), y * half * 0.74, plan.height - 0.04)
        points[f"roof_rear_{side}"] = (plan.at(body.rear[1]), y * half * 0.74, plan.height - 0.04)
    return points


HALF_SECTION = np.array(
    [
        (0.0, 0.0),
        (0.55, 0.0),
        (0.84, 0.0),
        (0.95, 0.05),
        (0.985, 0.2),
        (1.0, 0.42),
        (1.0, 0.62),
        (0.985, 0.8),
        (0.95, 0.93),
        (0.86, 1.0),
        (0.62, 1.02),
        (0.32, 1.035),
        (0.0, 1.04),
    ]
)
"""Share of the half width and of the height between the body's lower edge and its top."""


def _hull(plan: CarPlan) -> list[Mesh]:
    """The body up to the belt, with wheel arches, and the dark parts under it."""
    body = plan.body
    reach = body.wheel + 0.055
    near = np.array([-0.999, -0.96, -0.8, -0.5, 0.0, 0.5, 0.8, 0.96, 0.999]) * reach
    ends = np.array([0, 0.004, 0.012, 0.03, 0.06, 0.1, 0.94, 0.97, 0.988, 0.996, 1])
    middle = [*np.linspace(0.3, 0.7, 7), *body.screen[:1], *body.rear[:1], min(body.rear[0] + 0.02, 0.98)]
    shares = [*ends, *middle, *(0.5 - (x + near) / plan.length for x in plan.axles)]
    s = np.unique(np.round(np.concatenate([np.atleast_1d(share) for share in shares]), 4))
    x = plan.length * (0.5 - s)
    top, low = _top(body, s), arch(x, plan.axles, reach, body.wheel, body.clearance)
    tuck = np.interp(s, (0, 0.012, 0.04, 0.96, 0.988, 1), (0.22, 0.06, 0, 0, 0.08, 0.24))
    low = np.minimum(low + tuck, top - 0.07)
    half = plan.width / 2 * np.interp(s, (0, 0.012, 0.05, 0.15, 0.3, 0.8, 0.93, 0.985, 1), FLANK)
    section = np.concatenate([HALF_SECTION, HALF_SECTION[-2:0:-1] * (-1, 1)])
    y = half[:, None] * section[:, 0]
    z = low[:, None] + (top - low)[:, None] * section[:, 1]
    bow = np.interp(s, (0, 0.18, 0.85, 1), (-0.17, 0, 0, 0.1))[:, None] * (y / (plan.width / 2)) ** 2
    rings = np.stack([x[:, None] + bow, y, z], axis=-1)
    inner = plan.width - 0.5
    under = box((plan.length * 0.9, inner, 0.42), (0, 0, body.clearance + 0.21)).painted(WELL)
    sill = box((plan.at(0.30) - plan.at(0.69), plan.width * 0.9, 0.08), (plan.at(0.495), 0, body.clearance)).painted(
        TRIM
    )
    return [loft(rings).painted(plan.paint), under, sill]


FLANK = (0.74, 0.84, 0.92, 0.985, 1.0, 1.0, 0.965, 0.88, 0.80)


def _top(body: CarBody, s: Floats) -> Floats:
    """Height of the hull's upper edge at these shares of the length."""
    nose, screen, rear = body.belt * 0.76, body.screen[0], body.rear[0]
    at = [0, 0.004, 0.02, 0.06, screen, screen + 0.08, rear - 0.01]
    height = [nose * 0.86, nose * 0.93, nose, nose * 1.07, body.belt - 0.02, body.belt, body.belt]
    if rear < 0.95:
        at += [rear + 0.005, 0.97]
        height += [body.deck, body.deck - 0.03]
    at += [0.985, 0.996, 1.0]
    height += [(body.deck if rear < 0.95 else body.belt) - 0.05, body.belt * 0.86, body.belt * 0.78]
    return np.asarray(np.interp(s, at, height))


def _cabin(plan: CarPlan) -> Mesh:
    """Windows, pillars and roof."""
    body, half = plan.body, plan.width / 2
    upright = body.screen[1] - body.screen[0] < 0.16 and body.height > 1.9
    shares = np.array([0.0, 0.5, 0.9, 0.97, 1.0])
    lift = np.array([0.0, 0.55, 0.9, 0.965, 1.0])
    roof = plan.height - 0.045
    heights = body.belt - 0.05 + lift * (roof - body.belt + 0.05)
    widths = half * (0.935 - (0.1 if upright else 0.17) * shares**1.3) * np.array([1, 1, 1, 0.985, 0.95])
    front = plan.at(body.screen[0]) + shares * (plan.at(body.screen[1]) - plan.at(body.screen[0]))
    rear = plan.at(body.rear[0]) + shares * (plan.at(body.rear[1]) - plan.at(body.rear[0]))
    levels = np.stack([front, rear, widths, heights], axis=1)
    return glazed(levels, Glazing(body.windows), plan.paint, plan.glass, panes=(0, 2))


def _lights(plan: CarPlan) -> list[Mesh]:
    body, half = plan.body, plan.width / 2
    nose, front = body.belt * 0.76, plan.length / 2
    parts = [
        rounded_box((0.06, half * 0.8, 0.13), 0.02, (front - 0.012, 0, nose * 0.80), points=1).painted(TRIM),
        rounded_box((0.06, half * 1.0, 0.09), 0.02, (front - 0.014, 0, nose * 0.5), points=1).painted(TRIM),
        box((0.02, 0.5, 0.11), (front + 0.02, 0, nose * 0.62)).painted(PLATE),
        box((0.02, 0.5, 0.11), (-front - 0.008, 0, body.belt * 0.66)).painted(PLATE),
    ]
    for y in (1, -1):
        lamp = turned(ellipsoid((0.13, 0.17, 0.06), points=12), -y * 24)
        parts.append(moved(lamp, (front - 0.105, y * half * 0.68, nose * 0.93)).painted(LAMP))
        size = (0.07, half * 0.26, 0.12)
        tail = turned(rounded_box(size, 0.025, points=1), y * 14)
        parts.append(moved(tail, (-front + 0.035, y * half * 0.66, body.belt * 0.83)).painted(TAIL))
    return parts


def _mirrors(plan: CarPlan) -> list[Mesh]:
    x, half = plan.at(plan.body.screen[0] + 0.055), plan.width / 2
    return [
        ellipsoid((0.06, 0.10, 0.065), (x, y * (half + 0.055), plan.body.belt + 0.05), points=12).painted(plan.paint)
        for y in (1, -1)
    ]
