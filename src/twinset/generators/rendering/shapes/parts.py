"""Closed solids that objects are put together from. Faces point outwards; normals come with the assembly.

Everything is a loft: rings of points, joined one to the next and closed at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes.outlines import ellipse, lifted, rectangle, shrunk

Floats = NDArray[np.float64]
Surface = Callable[[float], float]
"""Height at a share 0 (middle) … 1 (rim) of the way to an outline."""


def signed_volume(mesh: Mesh) -> float:
    """Cubic metres inside a closed mesh; negative where its faces look inwards."""
    a, b, c = mesh.corners.astype(np.float64).transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def doubled_areas(points: Floats, triangles: NDArray[np.int64] | NDArray[np.int32]) -> Floats:
    """(F, 3) of each triangle its outward normal, as long as twice its area. Four times as fast as ``np.cross``."""
    a = points[triangles[:, 0]]
    (ux, uy, uz), (vx, vy, vz) = (points[triangles[:, 1]] - a).T, (points[triangles[:, 2]] - a).T
    return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1)


def solid(vertices: ArrayLike, faces: ArrayLike) -> Mesh:
    """A closed mesh with its faces turned outwards, without faces that have no area."""
    points = np.asarray(vertices, dtype=np.float64)
    triangles = np.asarray(faces, dtype=np.int64)
    twice = doubled_areas(points, triangles)
    corners = points[triangles]
    longest = ((corners - np.roll(corners, 1, axis=1)) ** 2).sum(axis=2).max(axis=1)
    flat = np.sqrt((twice**2).sum(axis=1)) <= 1e-9 * longest
    if flat.any():
        points, triangles = _welded(points, triangles[~flat])
        twice = doubled_areas(points, triangles)
    if np.einsum("ij,ij->i", points[triangles[:, 0]] - points.mean(0), twice).sum() < 0:
        triangles = triangles[:, ::-1]
    return Mesh(points.astype(np.float32), triangles.astype(np.int32))


def _welded(points: Floats, triangles: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Points at one place become one, so that the surface stays smooth where a ring has shrunk to a point."""
    keys = np.round(points * 1e6).astype(np.int64)
    _, first, own = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    merged = np.asarray(own).reshape(-1)[triangles]
    distinct = (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])
    used, renamed = np.unique(merged[distinct], return_inverse=True)
    return points[first[used]], renamed.reshape(-1, 3)


def loft(rings: ArrayLike, *, loop: bool = False) -> Mesh:
    """The solid through ``rings`` (R, N, 3); both ends are closed by a fan, or joined to each other in a ``loop``."""
    points = np.asarray(rings, dtype=np.float64)
    count, around = points.shape[:2]
    grid = np.arange(count * around).reshape(count, around)
    start = grid if loop else grid[:-1]
    end = np.roll(grid, -1, axis=0) if loop else grid[1:]
    a, b, c, d = start, np.roll(start, -1, axis=1), np.roll(end, -1, axis=1), end
    faces = [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    vertices = points.reshape(-1, 3)
    if not loop:
        total = len(vertices)
        vertices = np.concatenate([vertices, points[:1].mean(axis=1), points[-1:].mean(axis=1)])
        low, high = grid[0], grid[-1]
        faces.append(np.stack([np.roll(low, -1), low, np.full(around, total)], axis=1))
        faces.append(np.stack([high, np.roll(high, -1), np.full(around, total + 1)], axis=1))
    return solid(vertices, np.concatenate(faces))


def box(size: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0)) -> Mesh:
    """Sides parallel to the axes; 12 faces."""
    width, depth, height = (float(part) for part in np.asarray(size))
    corners = rectangle(width, depth)
    vertices = np.concatenate([lifted(corners, -height / 2), lifted(corners, height / 2)]) + np.asarray(centre)
    sides = [(a, (a + 1) % 4, (a + 1) % 4 + 4, a + 4) for a in range(4)]
    quads = np.array([*sides, (3, 2, 1, 0), (4, 5, 6, 7)])
    return solid(vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def rounded_box(size: ArrayLike, radius: float, centre: ArrayLike = (0.0, 0.0, 0.0), *, points: int = 3) -> Mesh:
    """A box whose edges and corners are rounded by ``radius``."""
    width, depth, height = (float(part) for part in np.asarray(size))
    radius = min(radius, 0.499 * width, 0.499 * depth, 0.499 * height)
    quarter = np.linspace(0, np.pi / 2, points + 1)
    rings: list[Floats] = []
    for angle in [*(-quarter[::-1]), *quarter]:
        inset = radius * (1 - np.cos(angle))
        lift = np.sign(angle + (0 if angle else 1e-9 * (1 if len(rings) > points else -1)))
        z = lift * (height / 2 - radius) + radius * np.sin(angle)
        outline = rectangle(width - 2 * inset, depth - 2 * inset, radius=max(radius - inset, 1e-4), points=points)
        rings.append(lifted(outline, z))
    return loft(np.stack(rings) + np.asarray(centre))


def slab(outline: ArrayLike, low: float, high: float, *, bevel: float = 0.0) -> Mesh:
    """An outline that is star-shaped around its middle, from one height to another, its edges bevelled."""
    if bevel <= 0:
        return loft(np.stack([lifted(outline, low), lifted(outline, high)]))
    bevel = min(bevel, (high - low) / 2.01)
    inner = shrunk(outline, bevel)
    rings = [lifted(inner, low), lifted(outline, low + bevel), lifted(outline, high - bevel), lifted(inner, high)]
    return loft(np.stack(rings))


def frustum(
    bottom: float, top: float, low: float, high: float, *, points: int = 16, centre: tuple[float, float] = (0.0, 0.0)
) -> Mesh:
    """A cylinder or cone around a vertical axis, by its two radii (either may be 0) and heights."""
    rings = [lifted(ellipse(2 * radius, 2 * radius, points=points), z) for radius, z in ((bottom, low), (top, high))]
    return loft(shifted(np.stack(rings), *centre, 0.0))


def lathe(profile: ArrayLike, *, points: int = 24) -> Mesh:
    """The turned solid of ``profile`` (P, 2), (radius, height) from one end to the other."""
    radii, heights = np.asarray(profile, dtype=np.float64).T
    circle = ellipse(2, 2, points=points)
    return loft(np.stack([lifted(circle * radius, z) for radius, z in zip(radii, heights, strict=True)]))


def ellipsoid(radii: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0), *, points: int = 16) -> Mesh:
    """With half axes ``radii`` (3,); ``points`` around, half as many from pole to pole."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, points // 2 + 1)
    ball = lathe(np.stack([np.cos(angles), np.sin(angles)], axis=1), points=points)
    return solid(ball.vertices.astype(np.float64) * np.asarray(radii) + np.asarray(centre), ball.faces)


def tube(
    path: ArrayLike,
    radius: float | ArrayLike,
    *,
    section: ArrayLike | None = None,
    up: ArrayLike | None = None,
    points: int = 10,
    loop: bool = False,
) -> Mesh:
    """A section swept along ``path`` (P, 3), scaled by ``radius`` (one, or one a point).

    ``section`` (N, 2) lies across the path: its second axis points as near to ``up`` as it can; without ``up`` it is
    carried along without twist. Without a section it is a circle.
    """
    way = np.asarray(path, dtype=np.float64)
    outline = ellipse(2, 2, points=points) if section is None else np.asarray(section, dtype=np.float64)
    scale = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(way))
    sideways, upwards = _frames(way, None if up is None else np.asarray(up, dtype=np.float64), loop)
    across = outline[None, :, :1] * sideways[:, None] + outline[None, :, 1:] * upwards[:, None]
    return loft(way[:, None] + scale[:, None, None] * across, loop=loop)


def _frames(way: Floats, up: Floats | None, loop: bool) -> tuple[Floats, Floats]:
    """Two unit vectors across a path at each of its points, (P, 3) each; path, first and second are right-handed."""
    if loop:
        along = np.roll(way, -1, axis=0) - np.roll(way, 1, axis=0)
    else:
        steps = np.diff(way, axis=0)
        steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
        along = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    held = np.eye(3)[int(np.argmin(np.abs(along[0])))] if up is None else up
    second = np.empty_like(way)
    for row, ahead in enumerate(along):
        wanted = held - (held @ ahead) * ahead
        size = float(np.linalg.norm(wanted))
        if size < 1e-6:  # the path runs along the wanted direction: keep what was
            wanted = second[row - 1] - (second[row - 1] @ ahead) * ahead if row else np.cross(ahead, np.eye(3)[0])
            size = max(float(np.linalg.norm(wanted)), 1e-6)
        second[row] = wanted / size
        if up is None:
            held = second[row]
    return np.cross(second, along), second


def lens(outline: ArrayLike, upper: Surface, lower: Surface, *, rings: int = 8) -> Mesh:
    """The solid between two surfaces over an outline that is star-shaped around the origin: cushions, bowls, cells.

    Rings lie closer towards the rim, where surfaces are steep. Where both surfaces meet at the rim it is closed there.
    """
    points = np.asarray(outline, dtype=np.float64)
    shares = np.sin(np.linspace(0, np.pi / 2, rings + 1))
    layers = []
    for surface, order in ((lower, shares), (upper, shares[::-1])):
        for share in order:
            layers.append(lifted(points * share, surface(float(share))))
    return loft(np.stack(layers))


def sheet(grid: ArrayLike, thickness: float) -> Mesh:
    """A bent plate: ``grid`` (n, m, 3) is its middle surface, ``thickness`` metres are laid around it."""
    middle = np.asarray(grid, dtype=np.float64)
    down, across = np.gradient(middle, axis=0), np.gradient(middle, axis=1)
    normal = np.cross(down, across)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    rows, columns = middle.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    front = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
    after, total = np.roll(rim, -1), rows * columns
    edge = np.concatenate([np.stack([rim, rim + total, after + total], 1), np.stack([rim, after + total, after], 1)])
    vertices = np.concatenate([(middle + normal * thickness / 2), (middle - normal * thickness / 2)]).reshape(-1, 3)
    return solid(vertices, np.concatenate([front, front[:, ::-1] + total, edge]))


def shifted(points: ArrayLike, x: float, y: float, z: float) -> Floats:
    """Points (…, 3) moved by metres."""
    return np.asarray(np.asarray(points, dtype=np.float64) + np.array([x, y, z]))


def moved(mesh: Mesh, by: ArrayLike) -> Mesh:
    """Shifted by (3,) metres."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(by)
    return mesh.transformed(matrix)


def turned(mesh: Mesh, degrees: float, axis: ArrayLike = (0.0, 0.0, 1.0)) -> Mesh:
    """Turned about an axis through the origin, counter-clockwise seen from its tip."""
    unit = np.asarray(axis, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    x, y, z = unit
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    return mesh.transformed(matrix)


def mirrored(mesh: Mesh) -> Mesh:
    """The other side: y becomes −y, outside stays outside."""
    return mesh.transformed(np.diag([1.0, -1.0, 1.0, 1.0]))


def curve(points: Sequence[ArrayLike], *, steps: int = 6) -> Floats:
    """A smooth path (P, 3) through all points, ``steps`` segments between two: Catmull and Rom's spline."""
    given = np.stack([np.asarray(point, dtype=np.float64) for point in points])
    padded = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*pieces, given[-1:]])
