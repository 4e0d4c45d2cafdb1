"""Closed curves in the plane, (N, 2), counter-clockwise: what parts are extruded, lofted and swept from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def ellipse(width: float, depth: float, *, points: int = 24) -> Floats:
    """Around the origin, ``width`` along the first axis."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(angles) * width / 2, np.sin(angles) * depth / 2], axis=1)


def superellipse(width: float, depth: float, power: float, *, points: int = 32) -> Floats:
    """|2x/width|^power + |2y/depth|^power = 1: 2 is an ellipse, 4 and more a rounded rectangle.

    >>> superellipse(2, 2, 4, points=8).round(3).tolist()[:2]
    [[1.0, 0.0], [0.841, 0.841]]
    """
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = np.cos(angles), np.sin(angles)
    reach = (np.abs(x) ** power + np.abs(y) ** power) ** (-1 / power)
    return np.stack([x * reach * width / 2, y * reach * depth / 2], axis=1)


def rectangle(width: float, depth: float, *, radius: float = 0.0, points: int = 4) -> Floats:
    """Around the origin, with corners rounded by arcs of ``points`` + 1 points."""
    if radius <= 0:
        return np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]]) * (width / 2, depth / 2)
    radius = min(radius, 0.499 * width, 0.499 * depth)
    arc = np.linspace(0, np.pi / 2, points + 1)
    corners = []
    for quarter, (x, y) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angles = arc + quarter * np.pi / 2
        middle = np.array([x * (width / 2 - radius), y * (depth / 2 - radius)])
        corners.append(middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    return np.concatenate(corners)


def regular(sides: int, width: float, depth: float) -> Floats:
    """A regular polygon, stretched to these axes, a corner on the first axis."""
    return ellipse(width, depth, points=sides)


def wavy(outline: ArrayLike, waves: ArrayLike, phases: ArrayLike) -> Floats:
    """The outline with its reach from the origin times 1 + Σ waves[k] cos((k + 2) θ + phases[k])."""
    points = np.asarray(outline, dtype=np.float64)
    angles = np.arctan2(points[:, 1], points[:, 0])
    heights, shifts = np.asarray(waves, dtype=np.float64), np.asarray(phases, dtype=np.float64)
    turns = np.arange(len(heights)) + 2
    factor = 1 + (heights * np.cos(angles[:, None] * turns + shifts)).sum(axis=1)
    return np.asarray(points * factor[:, None])


def lifted(outline: ArrayLike, height: float) -> Floats:
    """(N, 3): the outline at one height."""
    points = np.asarray(outline, dtype=np.float64)
    return np.concatenate([points, np.full((len(points), 1), height)], axis=1)


def shrunk(outline: ArrayLike, by: float) -> Floats:
    """The outline drawn in by ``by`` along both axes (scaled about the middle of its bounds)."""
    points = np.asarray(outline, dtype=np.float64)
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-9)
    return np.asarray((points - middle) * np.maximum(1 - by / half, 0.0) + middle)
