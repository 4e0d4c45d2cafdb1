"""Where a point of a picture goes when the picture is resized, cropped, mirrored or turned.

Coordinates are those of boxes: pixel (i, j) covers [j, j + 1) × [i, i + 1), so a mirrored x is W − x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels

Size = tuple[int, int]
"""Height and width in pixels."""

Points = NDArray[np.float64]
"""(N, 2): x, y in pixels."""

BLUR_BELOW = 0.8
"""A picture that shrinks to less than this is smoothed first, or fine texture would alias."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A projective map of points of a picture of ``source`` size into one of ``size``.

    ``matrix`` float64 (3, 3) or (2, 3) takes (x, y, 1); it must be invertible and must not fold the picture over its
    own horizon.
    """

    matrix: NDArray[np.float64]
    source: Size
    size: Size

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape == (2, 3):
            matrix = np.vstack([matrix, [0.0, 0.0, 1.0]])
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise ValueError(f"expected an invertible matrix (2, 3) or (3, 3); got {self.matrix}")
        if min(*self.source, *self.size) < 1:
            raise ValueError(f"expected sizes of at least one pixel; got {self.source} and {self.size}")
        object.__setattr__(self, "matrix", matrix)
        if (_homogeneous(_corners(self.source)) @ matrix[2] <= 0).any():
            raise ValueError("expected a perspective that keeps all of the picture before the horizon; got a stronger")

    @staticmethod
    def resize(source: Size, size: Size) -> Motion:
        """All of the picture, stretched to another size."""
        return Motion(np.diag([size[1] / source[1], size[0] / source[0], 1.0]), source, size)

    @staticmethod
    def crop(source: Size, box: tuple[int, int, int, int]) -> Motion:
        """What lies in a box xyxy of whole pixels, half-open; it may stick out, and what is outside is empty."""
        left, top, right, bottom = box
        return Motion(np.array([[1.0, 0, -left], [0, 1.0, -top]]), source, (bottom - top, right - left))

    @staticmethod
    def flip(source: Size) -> Motion:
        """Left and right exchanged."""
        return Motion(np.array([[-1.0, 0, source[1]], [0, 1.0, 0]]), source, source)

    def then(self, other: Motion) -> Motion:
        """This motion, then another that starts from its size."""
        if other.source != self.size:
            raise ValueError(f"expected a motion from {self.size}; got one from {other.source}")
        return Motion(other.matrix @ self.matrix, self.source, other.size)

    def inverse(self) -> Motion:
        """The way back."""
        return Motion(np.linalg.inv(self.matrix).astype(np.float64), self.size, self.source)

    @property
    def identical(self) -> bool:
        """Whether nothing moves."""
        return self.source == self.size and bool((self.matrix == np.eye(3)).all())

    @property
    def upright(self) -> bool:
        """Whether rows stay rows and columns stay columns, in whatever order and scale."""
        shape = self.matrix / self.matrix[2, 2]
        return bool((shape[[0, 1, 2, 2], [1, 0, 0, 1]] == 0).all())

    def points(self, points: NDArray[np.floating]) -> Points:
        """(N, 2) x, y to (N, 2) x, y."""
        moved = _homogeneous(np.asarray(points, dtype=np.float64)) @ self.matrix.T
        return np.asarray(moved[:, :2] / moved[:, 2:])

    def raster(self, values: NDArray[np.uint8], *, fill: int) -> NDArray[np.uint8]:
        """uint8 (H, W) of ``source`` to (H', W') of ``size``: the value under every new pixel's centre.

        Values are never mixed. Pixels that nothing moves to get ``fill``. Mirroring, cropping and whole factors are
        exact.
        """
        self._check(values)
        if self.upright:
            rows, below = self._index(1)
            columns, beside = self._index(0)
            out = np.full(self.size, fill, dtype=np.uint8)
            out[below, beside] = values.take(rows, axis=0).take(columns, axis=1)
            return out
        import cv2

        return np.asarray(self._warped(values, cv2.INTER_NEAREST, fill), dtype=np.uint8)

    def picture(self, pixels: Pixels, *, fill: NDArray[np.uint8] | None) -> Pixels:
        """A picture, interpolated linearly; beyond it lies the colour ``fill`` (C,), or its repeated border if None."""
        import cv2

        self._check(pixels)
        whole = self.upright and (np.abs(self.matrix[[0, 1], [0, 1]] / self.matrix[2, 2]) == 1).all()
        if whole and fill is not None and (self.matrix == np.rint(self.matrix)).all():
            planes = [self.raster(pixels[..., c], fill=int(fill[c])) for c in range(pixels.shape[2])]
            return np.stack(planes, axis=2)
        shrink = float(np.sqrt(abs(np.linalg.det(self.matrix[:2, :2] / self.matrix[2, 2]))))
        if shrink < BLUR_BELOW:
            smooth = cv2.GaussianBlur(pixels, (0, 0), 0.5 * float(np.sqrt(shrink**-2 - 1)))
            pixels = np.asarray(smooth, dtype=np.uint8).reshape(pixels.shape)
        colour = None if fill is None else [int(value) for value in fill]
        warped = self._warped(pixels, cv2.INTER_LINEAR, colour)
        return np.asarray(warped, dtype=np.uint8).reshape(*self.size, pixels.shape[2])

    def _check(self, values: NDArray[np.uint8]) -> None:
        if values.shape[:2] != self.source or values.dtype != np.uint8:
            raise ValueError(f"expected uint8 of {self.source}; got {values.dtype} {values.shape}")

    def _index(self, axis: int) -> tuple[NDArray[np.int64], slice]:
        """The old rows (axis 1) or columns (axis 0) under the new ones, and which new ones have one at all."""
        scale, shift = self.matrix[axis, axis], self.matrix[axis, 2]
        centres = (np.arange(self.size[1 - axis]) + 0.5) * self.matrix[2, 2]
        index = np.floor((centres - shift) / scale).astype(np.int64)
        there = np.flatnonzero((index >= 0) & (index < self.source[1 - axis]))
        span = slice(there[0], there[-1] + 1) if len(there) else slice(0, 0)
        return index[span], span

    def _warped(self, values: NDArray[np.uint8], interpolation: int, fill: int | list[int] | None) -> object:
        """OpenCV's warp; it counts from pixel centres, half a pixel from where we do."""
        import cv2

        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        matrix = np.linalg.inv(half) @ self.matrix @ half
        size, border = self.size[::-1], cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
        if (matrix[2, :2] == 0).all():
            plain = matrix[:2] / matrix[2, 2]
            return cv2.warpAffine(values, plain, size, flags=interpolation, borderMode=border, borderValue=fill or 0)
        return cv2.warpPerspective(values, matrix, size, flags=interpolation, borderMode=border, borderValue=fill or 0)


def clipped(ring: Points, size: Size) -> Points:
    """The part of a closed outline inside a picture (Sutherland and Hodgman 1974); (0, 2) if there is none.

    Parts that fall asunder stay joined by edges along the border, which enclose nothing.
    """
    height, width = size
    for axis, sign, bound in ((0, 1, 0.0), (0, -1, float(width)), (1, 1, 0.0), (1, -1, float(height))):
        ring = _half(ring, axis, sign, bound)
    return ring


def _half(ring: Points, axis: int, sign: int, bound: float) -> Points:
    """The part of an outline on one side of a line: where sign · (coordinate − bound) ≥ 0."""
    depth = sign * (ring[:, axis] - bound)
    inside = depth >= 0
    if inside.all():
        return ring
    after, depth_after = np.roll(ring, -1, axis=0), np.roll(depth, -1)
    crossing = inside != (depth_after >= 0)
    share = depth[crossing] / (depth[crossing] - depth_after[crossing])
    cuts = ring[crossing] + share[:, None] * (after[crossing] - ring[crossing])
    cuts[:, axis] = bound
    order = np.concatenate([2 * np.flatnonzero(inside), 2 * np.flatnonzero(crossing) + 1])
    return np.asarray(np.concatenate([ring[inside], cuts])[np.argsort(order)])


def lies_inside(ring: Points, size: Size) -> bool:
    """Whether all points lie in a picture of this size, its border included."""
    return bool((ring >= 0).all() and (ring <= size[::-1]).all())


def extents_inside(ring: Points, size: Size) -> NDArray[np.float64] | None:
    """The tight box xyxy (4,) of what a closed outline encloses inside a picture; None if that is nothing.

    The clipped outline will not do: its joining edges reach where the object does not. Extreme are the ends of those
    pieces of edges that run inside the picture (Liang and Barsky 1984), and corners of the picture that lie inside.
    """
    border = np.array(size[::-1], dtype=np.float64)
    if lies_inside(ring, size):
        low, high = ring.min(0), ring.max(0)
        return np.concatenate([low, high]) if (low < high).all() else None
    along = np.roll(ring, -1, axis=0) - ring
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([-ring / along, (border - ring) / along])
    still = along == 0
    outside = (still & ((ring <= 0) | (ring >= border))).any(1)
    enter = np.where(still, 0.0, ends.min(0)).max(1).clip(min=0.0)
    leave = np.where(still, 1.0, ends.max(0)).min(1).clip(max=1.0)
    seen = (enter < leave) & ~outside
    pieces = [ring[seen] + share[seen, None] * along[seen] for share in (enter, leave)]
    corners = _corners(size)
    nudged = corners + 1e-6 * np.sign(border / 2 - corners)
    points = np.concatenate([*pieces, corners[[_is_inside(corner, ring) for corner in nudged]]])
    return np.concatenate([points.min(0), points.max(0)]).clip(0, np.tile(border, 2)) if len(points) else None


def _is_inside(point: NDArray[np.float64], ring: Points) -> bool:
    """Whether a ray to the right crosses the outline an odd number of times."""
    after = np.roll(ring, -1, axis=0)
    crossing = (ring[:, 1] > point[1]) != (after[:, 1] > point[1])
    start, end = ring[crossing], after[crossing]
    x = start[:, 0] + (point[1] - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return bool((x > point[0]).sum() % 2)


def enclosed(ring: Points) -> float:
    """The area inside a closed outline, in pixels (shoelace formula).

    >>> enclosed(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]]))
    12.0
    """
    x, y = ring[:, 0], ring[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _homogeneous(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([points, np.ones(len(points))])


def _corners(size: Size) -> Points:
    height, width = size
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
