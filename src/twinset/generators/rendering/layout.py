"""Scenes that follow the boxes of training pictures: which objects, where, how large, how long.

What is wanted comes from a smoothed bootstrap of the training boxes (the one of copy–paste); an object takes the turn
about the vertical that brings its outline nearest to the wanted aspect, and the scale that brings it to the area.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.camera import Camera
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.generators.copypaste.placement import Boxes, Counts, Fitted, fit_boxes
from twinset.generators.rendering.drawing import Drawing
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.placement import Footprint, extent, ground_below, lift, overlap
from twinset.generators.rendering.settings import Follow

Floats = NDArray[np.float64]

TURNS = 24
"""Headings that are tried for an object, evenly around the vertical."""

ASPECT_TOLERANCE = 0.06
"""How freely a heading of another aspect is taken: a standard deviation of the logarithm."""

SCALES = (0.3, 3.0)
"""A shape is drawn at least and at most at so many times its size."""

BEYOND = 0.6
"""Most that lies outside of an object which the border cuts off, in shares of its sides."""

REFINED = 2
"""How often turn and scale are settled at a place: what is seen of an object depends on where it stands."""

DIRECTIONS = 96
LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8


@dataclass(frozen=True, eq=False)
class Layouts:
    """The boxes of training pictures, smoothed, and how many objects of which class these show.

    ``rows`` says which row of ``model`` a training picture is, by its id.
    """

    model: Fitted
    counts: Counts
    rows: dict[str, int]

    @staticmethod
    def of(training: Dataset, sizes: NDArray[np.int64], drawn: Collection[int]) -> Layouts:
        """Learnt from pictures of ``sizes`` (N, 2); of classes ``drawn``. DataError where there are no boxes."""
        if training.task == "classification" or not sum(training.object_counts()):
            raise DataError("expected boxes to follow; got none", hint="leave follow out")
        table = np.zeros((len(training), len(training.classes)), dtype=np.int64)
        rows = np.repeat(np.arange(len(training)), training.object_counts())
        np.add.at(table, (rows, training.object_column("class_id").astype(np.int64)), 1)
        counts = Counts(table, available=np.array(sorted(drawn), dtype=np.int64))
        return Layouts(fit_boxes(training, sizes), counts, {id_: row for row, id_ in enumerate(training.ids)})

    def class_ids(self, draws: np.random.Generator) -> list[int]:
        """Classes of the objects of one picture, as many as training pictures show."""
        found: list[int] = self.counts.classes(self.counts.total(draws), draws).tolist()
        return found

    def boxes(self, class_ids: Sequence[int], shown: str | None, draws: np.random.Generator) -> Boxes:
        """A wanted box for each object, with candidate places; sizes as in training picture ``shown``, or in any."""
        row = -1 if shown is None else self.rows.get(shown, -1)
        return self.model.draw(np.asarray(class_ids, dtype=np.int64), row, draws)


def spanned(boxes: Boxes, meshes: Sequence[Mesh], size: tuple[int, int]) -> float:
    """Share of the longer side that a typical object spans, so that most keep their own size: the median over boxes."""
    wide, high = boxes.sides(size)
    own = np.array([extent(mesh) for mesh in meshes])
    return float(np.exp(np.median(np.log(np.sqrt(wide * high) / own))) * own.mean() / max(size))


def rest_as_wanted(
    meshes: Sequence[Mesh],
    outlines: Sequence[Floats],
    boxes: Boxes,
    camera: Camera,
    drawing: Drawing,
    follow: Collection[Follow],
    draws: np.random.Generator,
) -> list[Floats | None]:
    """Poses (4, 4) of meshes on z = 0 whose boxes are the wanted ones as far as ``follow`` asks; None: no place free.

    ``outlines`` are those of :func:`outline_of`. A box that a border cut off in training is cut off by the same border;
    the wanted sides are then those of the part inside.
    """
    sides = np.stack(boxes.sides(camera.size), axis=1)
    taken: list[Footprint] = []
    poses: list[Floats | None] = []
    for k, (mesh, outline) in enumerate(zip(meshes, outlines, strict=True)):
        wish = _Wish(
            sides[k],
            boxes.places[k] if "position" in follow else draws.random(boxes.places[k].shape),
            boxes.touching[k] if "position" in follow else np.zeros_like(boxes.touching[k]),
            area="area" in follow,
            aspect="aspect" in follow,
            scale=drawing.number("scale", draws),
        )
        poses.append(_rested(mesh, outline, wish, camera, taken, drawing.settings.gap, draws))
    return poses


@dataclass(frozen=True, eq=False)
class _Wish:
    """What is wanted of one object: the sides (2,) of its visible box, candidate places (T, 2), sides touched (T,)."""

    sides: Floats
    places: Floats
    touching: NDArray[np.uint8]
    area: bool
    aspect: bool
    scale: float


def _rested(
    mesh: Mesh,
    outline: Floats,
    wish: _Wish,
    camera: Camera,
    taken: list[Footprint],
    gap: float,
    draws: np.random.Generator,
) -> Floats | None:
    """A pose at the first free candidate place; its footprint joins ``taken``."""
    beyond = draws.uniform(0, BEYOND, 2)
    for place, touching in zip(wish.places, wish.touching.tolist(), strict=True):
        found = _settled(mesh, outline, wish, place, touching, beyond, camera, draws)
        if found is None:
            continue
        scale, angle, at = found
        low, high = scale * mesh.bounds.astype(np.float64)
        turn = _turned(angle)
        middle = at + turn @ ((low + high)[:2] / 2)
        half = np.maximum((high - low)[:2] / 2 + gap / 2 * float((high - low)[:2].max()), 1e-6)
        footprint = Footprint((float(middle[0]), float(middle[1])), (float(half[0]), float(half[1])), angle)
        if any(overlap(footprint, other) for other in taken):
            continue
        taken.append(footprint)
        pose = np.eye(4)
        pose[:2, :2] = scale * turn
        pose[2, 2] = scale
        pose[:2, 3] = at
        pose[2, 3] = lift(mesh, gap, len(taken))
        return pose
    return None


def _settled(
    mesh: Mesh,
    outline: Floats,
    wish: _Wish,
    place: Floats,
    touching: int,
    beyond: Floats,
    camera: Camera,
    draws: np.random.Generator,
) -> tuple[float, float, Floats] | None:
    """(scale, angle, position on the ground) of an object at this place; None where no ground is seen there."""
    frame = np.array([camera.size[1], camera.size[0]], dtype=np.float64)
    cut = np.array([touching & (LEFT | RIGHT), touching & (TOP | BOTTOM)]) > 0
    whole = wish.sides / np.where(cut, 1 - beyond, 1.0)
    angles = np.asarray(draws.uniform(0, 2 * np.pi) + np.arange(TURNS) * (2 * np.pi / TURNS), dtype=np.float64)
    noise = draws.gumbel(size=TURNS)
    scale, sides = wish.scale, whole
    angle, at = float(angles[0]), np.zeros(2)
    height = float(mesh.bounds[1, 2])
    for _ in range(REFINED):
        centre = _centre(sides, place, touching, beyond, frame)
        ground = ground_below(camera, (float(centre[0]), float(centre[1])), height=scale * height / 2)
        if ground is None:
            return None
        seen = _seen(outline * scale, angles, ground, camera)
        if seen is None:
            return None
        likely = noise.copy()
        if wish.aspect:
            apart = np.log(seen[:, 0] / seen[:, 1]) - np.log(whole[0] / whole[1])
            likely -= 0.5 * (apart / ASPECT_TOLERANCE) ** 2
        best = int(np.argmax(likely))
        factor = float(np.sqrt(whole.prod() / seen[best].prod())) if wish.area else 1.0
        factor = float(np.clip(scale * factor, *SCALES)) / scale if wish.area else 1.0
        scale, sides, angle, at = scale * factor, seen[best] * factor, float(angles[best]), ground
    return scale, angle, at


def _centre(sides: Floats, place: Floats, touching: int, beyond: Floats, frame: Floats) -> Floats:
    """(2,) the middle in pixels of a whole box of these sides: free of the borders, or cut off by those it touches."""
    low = place * np.maximum(frame - sides, 0)
    for axis, (first, last) in enumerate(((LEFT, RIGHT), (TOP, BOTTOM))):
        out = sides[axis] * beyond[axis]
        if touching & first:
            low[axis] = -out
        elif touching & last:
            low[axis] = frame[axis] - sides[axis] + out
    return np.asarray(low + sides / 2)


def _seen(outline: Floats, angles: Floats, at: Floats, camera: Camera) -> Floats | None:
    """(A, 2) sides in pixels of the boxes of an outline (P, 3) turned by ``angles`` (A,), standing at ``at`` (2,)."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = outline[:, 0], outline[:, 1]
    points = np.stack(
        [cos * x - sin * y + at[0], sin * x + cos * y + at[1], np.broadcast_to(outline[:, 2], (len(angles), len(x)))],
        -1,
    )
    pixels, depth = camera.project(points.reshape(-1, 3))
    if not (depth > 0).all():
        return None
    pixels = pixels.reshape(len(angles), -1, 2)
    return np.asarray(np.maximum(pixels.max(1) - pixels.min(1), 1e-3))


def outline_of(mesh: Mesh) -> Floats:
    """(P, 3) the outermost vertices of a mesh in evenly spread directions: enough for its box from any side.

    Directions are even for the mesh with equal sides, so that flat and long ones lose no more than others.
    """
    k = np.arange(DIRECTIONS) + 0.5
    z = 1 - 2 * k / DIRECTIONS
    around = np.pi * (1 + np.sqrt(5)) * k  # a Fibonacci lattice
    ring = np.sqrt(1 - z**2)
    directions = np.stack([ring * np.cos(around), ring * np.sin(around), z], axis=1)
    vertices = mesh.vertices.astype(np.float64)
    sides = np.maximum(np.ptp(vertices, axis=0), 1e-9)
    return np.asarray(vertices[np.unique((vertices / sides @ directions.T).argmax(0))])


def _turned(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
