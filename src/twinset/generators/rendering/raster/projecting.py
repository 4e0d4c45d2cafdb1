"""Where vertices fall in the picture.

Pictures are sampled on a lattice of two positions a pixel and axis: position X lies at X / 2 pixels, so that the centre
of pixel j is position 2 j + 1. A vertex is kept as homogeneous lattice coordinates (x z, y z, z), z being its depth:
linear in camera coordinates, hence exact for what crosses the camera's plane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.raster.compiled import brief, inner

NEAR = 1e-4
"""Metres: what is nearer is cut away, exactly at every sample."""

Point = tuple[float, float, float]

Lattice = tuple[int, int, int, int]
"""Lattice position of the first sample, step between samples (1 or 2), rows and columns of samples."""

Box = tuple[int, int, int, int]
"""First and last row, first and last column of samples; last < first where there are none."""


@brief
def in_camera(camera: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 4) object to camera coordinates, of two poses (4, 4) into the world.

    Written out, since BLAS rounds otherwise on other processors.
    """
    found = np.empty((3, 4), np.float64)
    for row in range(3):
        for column in range(3):
            found[row, column] = (
                camera[0, row] * pose[0, column] + camera[1, row] * pose[1, column] + camera[2, row] * pose[2, column]
            )
        found[row, 3] = (
            camera[0, row] * (pose[0, 3] - camera[0, 3])
            + camera[1, row] * (pose[1, 3] - camera[1, 3])
            + camera[2, row] * (pose[2, 3] - camera[2, 3])
        )
    return found


@brief
def turning_in(placing: NDArray[np.float64]) -> NDArray[np.float32]:
    """(3, 3) by which directions turn that are placed by such a map, which scales evenly: each column is the scale."""
    found = np.empty((3, 3), np.float32)
    length = np.sqrt(placing[0, 0] * placing[0, 0] + placing[1, 0] * placing[1, 0] + placing[2, 0] * placing[2, 0])
    for row in range(3):
        for column in range(3):
            found[row, column] = placing[row, column] / length
    return found


@brief
def project(
    vertices: NDArray[np.float32],
    placing: NDArray[np.float64],
    lens: NDArray[np.float64],
    lattice: Lattice,
    points: NDArray[np.float64],
    nearness: NDArray[np.float64],
    spots: NDArray[np.int32],
) -> tuple[int, int, int, int, bool]:
    """The samples it may cover (first and last row, first and last column), and whether all lies beyond NEAR.

    ``lens`` (4,) is fx, fy, cx, cy on the lattice. Fills ``points`` (V, 3), homogeneous lattice coordinates, and, where
    the depth is at least NEAR, ``nearness`` (V,), 1 / depth, and ``spots`` (V, 4): first row at or after the vertex,
    last row at or before it, and so for columns.
    """
    offset, step, rows, columns = lattice
    scale = 1.0 if step == 1 else 0.5
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    top, bottom, left, right = rows, -1, columns, -1
    beyond, nearer = False, False
    for v in range(len(vertices)):
        a, b, c = np.float64(vertices[v, 0]), np.float64(vertices[v, 1]), np.float64(vertices[v, 2])
        x = placing[0, 0] * a + placing[0, 1] * b + placing[0, 2] * c + placing[0, 3]
        y = placing[1, 0] * a + placing[1, 1] * b + placing[1, 2] * c + placing[1, 3]
        z = placing[2, 0] * a + placing[2, 1] * b + placing[2, 2] * c + placing[2, 3]
        qx, qy = fx * x + cx * z, fy * y + cy * z
        points[v, 0], points[v, 1], points[v, 2] = qx, qy, z
        if z < NEAR:
            nearer = True
            continue
        beyond = True
        inverse = 1.0 / z
        nearness[v] = inverse
        sx, sy = (qx * inverse - offset) * scale, (qy * inverse - offset) * scale
        spots[v, 0], spots[v, 1] = sample_after(sy, rows), sample_before(sy, rows)
        spots[v, 2], spots[v, 3] = sample_after(sx, columns), sample_before(sx, columns)
        top, bottom = min(top, spots[v, 0]), max(bottom, spots[v, 1])
        left, right = min(left, spots[v, 2]), max(right, spots[v, 3])
    if nearer and beyond:
        return 0, rows - 1, 0, columns - 1, False
    return top, bottom, left, right, not nearer


@inner
def sample_after(place: float, count: int) -> int:
    """The first of ``count`` samples at or after a place: 0 … count."""
    return int(min(max(np.ceil(place - 1e-6), 0.0), float(count)))


@inner
def sample_before(place: float, count: int) -> int:
    """The last of ``count`` samples at or before a place: −1 … count − 1."""
    return int(min(max(np.floor(place + 1e-6), -1.0), float(count - 1)))


@inner
def crossing_box(a: Point, b: Point, c: Point, lattice: Lattice) -> Box:
    """The samples within the bounds of what a triangle that may cross the depth NEAR has beyond it."""
    offset, step, rows, columns = lattice
    low_x = low_y = np.inf
    high_x = high_y = -np.inf
    for side in range(3):
        p, q = (a, b) if side == 0 else ((b, c) if side == 1 else (c, a))
        if p[2] >= NEAR:
            x, y = p[0] / p[2], p[1] / p[2]
            low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
        if (p[2] >= NEAR) != (q[2] >= NEAR):
            share = (NEAR - p[2]) / (q[2] - p[2])
            x, y = (p[0] + share * (q[0] - p[0])) / NEAR, (p[1] + share * (q[1] - p[1])) / NEAR
            # Some to spare, since rounding is coarse near the camera's plane; the edge tests decide.
            low_x, high_x, low_y, high_y = min(low_x, x - 2), max(high_x, x + 2), min(low_y, y - 2), max(high_y, y + 2)
    if not (low_x <= high_x and low_y <= high_y):
        return 0, -1, 0, -1
    scale = 1.0 if step == 1 else 0.5
    return (
        sample_after((low_y - offset) * scale, rows),
        sample_before((high_y - offset) * scale, rows),
        sample_after((low_x - offset) * scale, columns),
        sample_before((high_x - offset) * scale, columns),
    )
