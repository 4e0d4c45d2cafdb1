"""What stands on some cars: an open cockpit, a bed, rails, covers and spoilers."""

from __future__ import annotations

import numpy as np

from twinset.generators.rendering.meshes import Material, Mesh
from twinset.generators.rendering.shapes.car_bodies import CarPlan
from twinset.generators.rendering.shapes.outlines import rectangle
from twinset.generators.rendering.shapes.parts import box, moved, rounded_box, sheet, slab, tube, turned
from twinset.generators.rendering.shapes.wheels import WELL
from twinset.generators.rendering.shapes.windows import TRIM

SEAT = Material((0.22, 0.18, 0.15), roughness=0.8)


def cockpit(plan: CarPlan) -> list[Mesh]:
    """A windscreen in its frame, a dark tub, four seats and the folded hood."""
    body, half = plan.body, plan.width / 2
    y = np.linspace(-0.86, 0.86, 9) * half
    bow = 0.12 * (y / half) ** 2
    low = np.stack([plan.at(body.screen[0]) - bow, y, np.full(9, body.belt - 0.03)], axis=1)
    high = np.stack([plan.at(body.screen[1]) - bow, y * 0.86, np.full(9, plan.height)], axis=1)
    share = np.linspace(0, 1, 4)[None, :, None]
    glass = sheet(low[:, None] * (1 - share) + high[:, None] * share, 0.012).painted(plan.glass)
    frame = tube(np.concatenate([low[:1], high, low[-1:]]), 0.022, points=8).painted(plan.paint)
    start, end = plan.at(body.screen[0] + 0.08), plan.at(body.rear[0])
    size = (start - end, half * 1.64)
    tub = moved(slab(rectangle(*size, radius=0.12), body.belt, body.belt + 0.05, bevel=0.01), ((start + end) / 2, 0, 0))
    parts = [glass, frame, tub.painted(WELL)]
    for share_x, scale in ((0.56, 1.0), (0.70, 0.85)):
        for side in (1, -1):
            x = plan.at(share_x)
            cushion = rounded_box(
                (0.5 * scale, 0.5, 0.14), 0.05, (x + 0.2, side * half * 0.43, body.belt + 0.02), points=2
            )
            rest = turned(rounded_box((0.13, 0.48, 0.5 * scale), 0.05, points=2), -12, (0, 1, 0))
            parts.append(cushion.painted(SEAT))
            parts.append(moved(rest, (x - 0.08, side * half * 0.43, body.belt + 0.12)).painted(SEAT))
    dash = rounded_box((0.22, half * 1.5, 0.12), 0.04, (start - 0.05, 0, body.belt + 0.03), points=2)
    hood = rounded_box((0.34, half * 1.5, 0.16), 0.06, (end - 0.08, 0, body.belt + 0.05), points=2)
    return [*parts, dash.painted(TRIM), hood.painted(TRIM)]


def bed(plan: CarPlan) -> list[Mesh]:
    """A pickup's open bed: walls, tailgate and liner."""
    body, half = plan.body, plan.width / 2
    start, end = plan.at(body.rear[0] + 0.01), plan.at(0.985)
    long, high = start - end, body.belt - body.deck + 0.16
    middle, z = (start + end) / 2, body.belt + 0.02 - high / 2
    walls = [rounded_box((long, 0.09, high), 0.02, (middle, y * half * 0.93, z), points=1) for y in (1, -1)]
    gates = [rounded_box((0.07, half * 1.9, high), 0.02, (x, 0, z), points=1) for x in (start - 0.03, end + 0.03)]
    liner = box((long - 0.1, half * 1.78, 0.05), (middle, 0, body.deck + 0.045)).painted(TRIM)
    return [*(part.painted(plan.paint) for part in (*walls, *gates)), liner]


def extra(plan: CarPlan, kind: str, chosen: str) -> list[Mesh]:
    """Rails or a cover; what that is depends on the body."""
    body, half = plan.body, plan.width / 2
    if chosen == "plain":
        return []
    open_end = kind in ("pickup", "convertible")
    if chosen == "rails" and open_end:
        x = plan.at(body.rear[0] + 0.03) if kind == "pickup" else plan.at(0.62)
        top = plan.height - 0.05 if kind == "pickup" else body.belt + 0.36
        foot = half * (0.9 if kind == "pickup" else 0.72)
        path = [(x, -foot, body.belt - 0.1), (x, -foot * 0.86, top - 0.08), (x, -foot * 0.74, top)]
        return [tube(np.array([*path, *[(a, -b, c) for a, b, c in path[::-1]]]), 0.035).painted(TRIM)]
    front, rear = plan.at(body.screen[1] + 0.03), plan.at(body.rear[1] - 0.03)
    if chosen == "rails":
        side = half * 0.67
        ends = [(front, -0.05), (front - 0.1, 0.035), (rear + 0.1, 0.035), (rear, -0.05)]
        paths = [np.array([(x, y * side, plan.height - 0.01 + z) for x, z in ends]) for y in (1, -1)]
        return [tube(path, 0.02, points=8).painted(TRIM) for path in paths]
    if kind == "pickup":
        start, end = plan.at(body.rear[0] + 0.015), plan.at(0.98)
        cover = rounded_box((start - end, half * 1.86, 0.06), 0.02, ((start + end) / 2, 0, body.belt + 0.04), points=1)
        return [cover.painted(TRIM)]
    if kind == "convertible":
        start, end = plan.at(0.58), plan.at(body.rear[0])
        size = (start - end, half * 1.6, 0.14)
        return [rounded_box(size, 0.06, ((start + end) / 2, 0, body.belt + 0.15), points=2).painted(plan.paint)]
    long = (front - rear) * 0.62
    panel = slab(rectangle(long, half * 0.9, radius=0.08), plan.height - 0.05, plan.height + 0.003)
    return [moved(panel, (front - long / 2 - 0.03, 0, 0)).painted(plan.glass)]


def spoiler(plan: CarPlan, kind: str) -> list[Mesh]:
    """On the roof's end, or on the boot where there is one."""
    body, half = plan.body, plan.width / 2
    if body.rear[0] > 0.95:
        x, z = plan.at(body.rear[1]) - 0.1, plan.height - 0.045
        return [rounded_box((0.3, half * 1.36, 0.035), 0.012, (x, 0, z), points=1).painted(plan.paint)]
    x, z = plan.at(0.955), (body.belt if kind == "pickup" else body.deck) + 0.11
    wing = rounded_box((0.2, half * 1.5, 0.035), 0.012, (x, 0, z), points=1)
    stems = [box((0.08, 0.03, 0.16), (x, y * half * 0.55, z - 0.07)) for y in (1, -1)]
    return [part.painted(plan.paint) for part in (wing, *stems)]
