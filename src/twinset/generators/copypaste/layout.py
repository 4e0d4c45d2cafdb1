"""What lies where in one picture: which cut-out, how magnified, turned and mirrored, in which order, on what."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.context import Context
from twinset.generators.copypaste.placement import CANDIDATES, Boxes, Counts, Fitted, Floats, Uniform, overlap
from twinset.generators.copypaste.settings import CopyPaste
from twinset.generators.copypaste.steering import Steering
from twinset.generators.copypaste.stores import Cutouts

SIZE_TOLERANCE = 0.5
"""How freely a cut-out of another size is taken: a standard deviation of log side."""
ASPECT_TOLERANCE = 0.12
MOST_OBJECTS = 1000
LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8
MIRRORED = np.array([(c & 10) | ((c & 1) << 2) | ((c & 4) >> 2) for c in range(16)], dtype=np.uint8)
"""Sides after mirroring left and right."""


@dataclass(frozen=True, eq=False)
class Placed:
    """One cut-out in a picture: ``matrix`` float64 (2, 3) takes its pixels (as areas, x covers x…x + 1) there.

    ``box`` is where its hull comes to lie, xyxy; it may leave the picture. ``class_id`` is −1 for a distractor,
    ``truncated`` whether its source had cut it off.
    """

    cutout: int
    class_id: int
    matrix: Floats
    box: tuple[float, float, float, float]
    truncated: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """Objects from back to front on a background of (height, width); ``left_out`` of them found no room."""

    background: int
    size: tuple[int, int]
    objects: tuple[Placed, ...]
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Placement:
    """All that a layout is drawn from.

    ``crowding`` float64 (M,) sorted: how much each training box overlaps another; empty where that is left to chance.
    """

    model: Uniform | Fitted
    counts: Counts
    steering: Steering
    crowding: Floats
    context: Context | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """What objects are laid on: background ``row``, the training picture it shows (−1: none), (height, width), and
    the boxes float32 (K, 4) of what stands in it."""

    row: int
    shown: int
    size: tuple[int, int]
    standing: NDArray[np.float32]


def draw_layout(
    placement: Placement, cutouts: Cutouts, settings: CopyPaste, scene: Scene, *, draws: np.random.Generator
) -> Layout:
    """A layout for this scene."""
    boxes = _boxes(placement, settings, scene, draws)
    n, standing = len(boxes), len(scene.standing)
    frame = np.array([scene.size[1], scene.size[0]] * 2, dtype=np.float64)
    allowed = _allowed(placement.crowding, n, draws)
    fates = _fates(boxes, scene.size, settings, draws)
    taken = np.empty((standing + n, 4))
    taken[:standing] = scene.standing
    found: list[Placed] = []
    for i, fate in enumerate(fates):
        posed = _pose(cutouts, fate, settings, draws)
        places = _places(posed, boxes.places[i], boxes.touching[i], fate.beyond, frame)
        if isinstance(placement.model, Uniform):
            places = _loosened(places, boxes.places[i], settings.truncation)
        if placement.context is not None and fate.class_id >= 0:
            places = places[placement.context.order(scene.row, fate.class_id, places, frame, draws)]
        inside = np.minimum(np.maximum(places, 0), frame)
        at = _first_free(inside, taken[: standing + len(found)], allowed[i], settings.max_iou)
        if at >= 0:
            taken[standing + len(found)] = inside[at]
            found.append(_placed(cutouts, posed, fate.class_id, places[at]))
    return Layout(scene.row, scene.size, tuple(found), n - len(found))


def _boxes(placement: Placement, settings: CopyPaste, scene: Scene, draws: np.random.Generator) -> Boxes:
    """All boxes that are wanted in a picture, distractors among them at random depths."""
    followed = placement.steering.component(draws)
    total = placement.steering.total(followed, draws)
    total = placement.counts.total(draws) if total is None else total
    class_ids = placement.counts.classes(min(total, MOST_OBJECTS), draws)
    boxes = placement.steering.steer(placement.model.draw(class_ids, scene.shown, draws), scene.size, followed, draws)
    others = int(draws.integers(settings.distractors[0], settings.distractors[1] + 1))
    if not others:
        return boxes
    like = placement.model.draw(placement.counts.classes(others, draws), scene.shown, draws)
    like = replace(like, class_ids=np.full(others, -1), places=draws.random((others, CANDIDATES, 2)))
    like = replace(like, log_aspect=np.full(others, np.nan), touching=np.zeros_like(like.touching))
    order = draws.permutation(len(boxes) + others)
    names = ("class_ids", "log_area", "log_aspect", "places", "touching")
    return Boxes(*(np.concatenate([getattr(boxes, name), getattr(like, name)])[order] for name in names))


def _allowed(crowding: Floats, n: int, draws: np.random.Generator) -> Floats:
    """(n,) how much each object may overlap another, by the smaller's area: as training boxes do."""
    if not len(crowding):
        return np.ones(n)
    return np.asarray(np.interp(draws.random(n) * (len(crowding) - 1), np.arange(len(crowding)), crowding))


@dataclass(frozen=True, eq=False)
class _Fate:
    """What is drawn of an object before a cut-out is: wanted sides in pixels, whether its aspect is wanted too, the
    sides it touches, what of it is beyond them (2,), mirroring and turn in radians."""

    class_id: int
    width: float
    height: float
    shaped: bool
    touching: int
    beyond: Floats
    mirror: bool
    turn: float


def _fates(boxes: Boxes, size: tuple[int, int], settings: CopyPaste, draws: np.random.Generator) -> list[_Fate]:
    n = len(boxes)
    if not n:
        return []
    shaped = ~np.isnan(boxes.log_aspect)
    boxes = replace(boxes, log_aspect=np.where(shaped, boxes.log_aspect, 0.0))
    touching = boxes.touching[:, 0].tolist()
    beyond = draws.random((n, 2)) * np.array([_most_beyond(sides, settings.truncation) for sides in touching])
    width, height = (side / (1 - beyond[:, axis]) for axis, side in enumerate(boxes.sides(size)))
    mirror = (draws.random(n) < 0.5) & settings.flip
    turns = np.radians(draws.uniform(-1, 1, n) * settings.rotation_degrees)
    class_ids, shaped_list = boxes.class_ids.tolist(), shaped.tolist()
    sides = np.stack([width, height], 1).tolist()
    return [
        _Fate(
            class_ids[i],
            sides[i][0],
            sides[i][1],
            shaped_list[i],
            touching[i],
            beyond[i],
            bool(mirror[i]),
            float(turns[i]),
        )
        for i in range(n)
    ]


@dataclass(frozen=True, eq=False)
class _Pose:
    """A cut-out as it will be laid: linear map (2, 2), least corner and size (2,) of its mapped hull."""

    cutout: int
    linear: Floats
    low: Floats
    size: Floats
    cut: int


def _pose(cutouts: Cutouts, fate: _Fate, settings: CopyPaste, draws: np.random.Generator) -> _Pose:
    """A cut-out of the class, mirrored, turned and magnified so that its box is of the wanted size, if allowed."""
    row = _choose(cutouts, fate, settings, draws)
    cut = int(cutouts.cut[row])
    cut = int(MIRRORED[cut]) if fate.mirror else cut
    turn = 0.0 if cut else fate.turn
    cos, sin = math.cos(turn), math.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    if fate.mirror:
        linear[:, 0] *= -1
    hull = cutouts.hull(row) @ linear.T
    low = hull.min(0)
    wide, high = (hull.max(0) - low).tolist()
    area = math.sqrt(fate.width * fate.height / (wide * high))
    area = min(max(area, settings.scale[0]), settings.scale[1])
    bound = math.log(settings.stretch)
    skew = math.log(fate.width / fate.height) - math.log(wide / high) if fate.shaped else 0.0
    skew = math.exp(min(max(skew, -bound), bound) / 2)
    scale = np.array([area * skew, area / skew])
    return _Pose(row, scale[:, None] * linear, low * scale, np.maximum(scale * (wide, high), 1.0), cut)


def _choose(cutouts: Cutouts, fate: _Fate, settings: CopyPaste, draws: np.random.Generator) -> int:
    """A cut-out whose size and shape are near the wanted, and that is whole or cut off at the very sides that touch."""
    low, high = cutouts.rows(fate.class_id)
    noise = draws.gumbel(size=high - low)
    if fate.shaped:
        area, aspect = cutouts.shapes[low:high].T
        size = (0.5 / SIZE_TOLERANCE) * (math.log(fate.width * fate.height) - area)
        apart = np.abs(math.log(fate.width / fate.height) - aspect) - math.log(settings.stretch)
        noise -= 0.5 * size**2 + (0.5 / ASPECT_TOLERANCE**2) * np.maximum(apart, 0) ** 2
    cut = cutouts.cut[low:high]
    cut = MIRRORED[cut] if fate.mirror else cut
    fits = (cut == 0) | (cut == fate.touching)
    return low + int(np.argmax(np.where(fits, noise, -np.inf) if fits.any() else noise))


def _most_beyond(touching: int, truncation: float) -> Floats:
    """(2,) the largest shares of width and height that may be outside, so that at most ``truncation`` of a box does."""
    across, down = bool(touching & (LEFT | RIGHT)), bool(touching & (TOP | BOTTOM))
    most = 1 - math.sqrt(1 - truncation) if across and down else truncation
    return np.array([most * across, most * down])


def _places(pose: _Pose, shares: Floats, touching: NDArray[np.uint8], beyond: Floats, frame: Floats) -> Floats:
    """(T, 4) candidate boxes xyxy; where a border is touched, the object sticks out by its share ``beyond`` (2,).

    A cut-out that its source had cut off is laid along the same sides and does not stick out there.
    """
    if pose.cut and (touching == pose.cut).any():
        shares, touching = shares[touching == pose.cut], touching[touching == pose.cut]
    sides = pose.size
    low = shares * np.maximum(frame[:2] - sides, 0)
    for axis, (first, last) in enumerate(((LEFT, RIGHT), (TOP, BOTTOM))):
        out = 0.0 if pose.cut & (first | last) else sides[axis] * beyond[axis]
        at_first, at_last = (touching & first) > 0, (touching & last) > 0
        low[:, axis] = np.where(at_first, -out, np.where(at_last, frame[axis] - sides[axis] + out, low[:, axis]))
    return np.concatenate([low, low + sides], axis=1)


def _loosened(places: Floats, shares: Floats, truncation: float) -> Floats:
    """Uniform places (T, 4) over all of the picture and beyond its borders, as far as ``truncation`` allows."""
    out = (places[:, 2:] - places[:, :2]) * (1 - math.sqrt(1 - truncation))
    return np.asarray(places + np.tile((2 * shares - 1) * out, 2))


def _first_free(boxes: Floats, taken: Floats, allowed: float, max_iou: float) -> int:
    """The first box that covers, or is covered by, none more than ``allowed``; else that with the least overlap.

    −1 where all have a larger intersection over union with another than ``max_iou``.
    """
    if not len(taken):
        return 0
    union, smaller = overlap(boxes, taken)
    covered = np.where(union.max(1) <= max_iou, smaller.max(1), np.inf)
    free = np.flatnonzero(covered <= allowed)
    at = int(free[0]) if len(free) else int(np.argmin(covered))
    return at if covered[at] < np.inf else -1


def _placed(cutouts: Cutouts, pose: _Pose, class_id: int, box: Floats) -> Placed:
    """The pose moved to its box; by whole pixels where nothing is magnified or turned, so that pixels stay the same."""
    shift = box[:2] - pose.low
    if np.array_equal(np.abs(pose.linear), np.eye(2)):
        shift = np.rint(shift)
    matrix = np.concatenate([pose.linear, shift[:, None]], axis=1)
    low = pose.low + shift
    high = low + pose.size
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    return Placed(pose.cutout, class_id, matrix, (x0, y0, x1, y1), bool(cutouts.cut[pose.cutout]))
