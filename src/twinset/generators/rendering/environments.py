"""Photographs of all directions: what is seen behind the objects, and the light that they bring.

A picture is equirectangular: columns go round the vertical, once from edge to edge and to the right as one turns to the
right, rows from straight up to straight down. Its middle looks along world x, turned by ``turn`` to the left. Its light
is kept as real spherical harmonics up to order 2, which hold the light on matte surfaces to about a hundredth
(Ramamoorthi and Hanrahan, *An Efficient Representation for Irradiance Environment Maps*, 2001).

A photograph's bytes end where its white does, so how bright it was is unknown, the sun above all. Hence the mean over
all directions is set from outside (a scene's ``ambient``), and a sun of chosen strength is put where it is brightest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from twinset.camera import Camera
from twinset.generators.rendering.srgb import to_linear, to_srgb
from twinset.images import Pixels

Floats = NDArray[np.float64]
ROWS = 64
"""Rows, and half the columns, of the small picture that light is measured in."""

WIDEST = 4096
"""Columns that a picture has at most."""

MATTE = np.array([1] + 3 * [2 / 3] + 5 * [1 / 4])
"""What is left of each harmonic of the radiance on matte surfaces: their equation 8, over π."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
SUN_DEGREES, SUN_STEPS = 12.0, 12
"""The brightest spot is the middle of what is nearly as bright within so many degrees; steps on the way to it."""

LOWEST_SUN = 0.035
"""Height (sine) above which the brightest spot is looked for."""


def harmonics(directions: ArrayLike) -> Floats:
    """(…, 9) real spherical harmonics of unit vectors (…, 3): 1; y, z, x; xy, yz, 3z² − 1, xz, x² − y²."""
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    first, second = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    found = [
        np.full_like(x, 0.5 / np.sqrt(np.pi)),
        *(first * part for part in (y, z, x)),
        *(second * part for part in (x * y, y * z, (3 * z**2 - 1) / np.sqrt(12), x * z, (x**2 - y**2) / 2)),
    ]
    return np.stack(found, axis=-1)


def quadric(coefficients: ArrayLike) -> Floats:
    """Symmetric (4, 4, C) so that nᵀ M n with n = (x, y, z, 1) is the sum of harmonics with coefficients (9, C)."""
    given = np.asarray(coefficients, dtype=np.float64)
    first, second = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    l00, l1m, l10, l11, l2mm, l2m, l20, l21, l22 = given
    found = np.zeros((4, 4, given.shape[1]))
    third = second / np.sqrt(12) * l20
    found[3, 3] = 0.5 / np.sqrt(np.pi) * l00 - third
    found[2, 2] = 3 * third
    found[0, 0], found[1, 1] = second / 2 * l22, -second / 2 * l22
    for (row, column), value in (
        ((0, 1), second * l2mm),
        ((1, 2), second * l2m),
        ((0, 2), second * l21),
        ((0, 3), first * l11),
        ((1, 3), first * l1m),
        ((2, 3), first * l10),
    ):
        found[row, column] = found[column, row] = value / 2
    return found


def light_of(pixels: Pixels) -> Floats:
    """A picture's linear light in a small one (r, c, 3), averaged as light and not as bytes."""
    rows, columns = min(ROWS, pixels.shape[0]), min(2 * ROWS, pixels.shape[1])
    light = to_linear(np.arange(256) / 255).astype(np.float32)[pixels]
    return np.asarray(cv2.resize(light, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Environment:
    """An equirectangular picture uint8 (h, w, 3), sRGB, ``turn`` radians to the left about the vertical.

    ``light`` is what :func:`light_of` says of it (None: to be measured). Raises :class:`ValueError` for other arrays,
    and for a picture that is black.
    """

    pixels: Pixels
    turn: float = 0.0
    light: Floats | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < 2:
            raise ValueError(f"expected an environment uint8 (h, w, 3); got {self.pixels.dtype} {shape}")
        if self.light is None:
            object.__setattr__(self, "light", light_of(self.pixels))
        if not self.mean > 0:
            raise ValueError("expected an environment with light; got one that is black")

    @cached_property
    def _small(self) -> tuple[Floats, Floats, Floats]:
        """Linear light (r, c, 3), directions (r, c, 3) and solid angles (r, c) of a small picture, of sum 4π."""
        light = self.light
        assert light is not None
        rows, columns = light.shape[:2]
        around = self.turn + 2 * np.pi * (0.5 - (np.arange(columns) + 0.5) / columns)
        up = np.pi * (0.5 - (np.arange(rows) + 0.5) / rows)
        flat, height = np.cos(up)[:, None], np.broadcast_to(np.sin(up)[:, None], (rows, columns))
        edges = np.sin(np.pi * (0.5 - np.arange(rows + 1) / rows))
        angles = np.broadcast_to((2 * np.pi / columns * (edges[:-1] - edges[1:]))[:, None], (rows, columns))
        return light, np.stack([flat * np.cos(around), flat * np.sin(around), height], axis=-1), angles

    @cached_property
    def mean(self) -> float:
        """The picture's own luminance, 0…1, averaged over all directions."""
        light, _, angles = self._small
        return float((light @ LUMINANCE * angles).sum() / (4 * np.pi))

    @cached_property
    def radiance(self) -> Floats:
        """(9, 3) coefficients of :func:`harmonics` of the radiance, linear, scaled to a mean luminance of 1."""
        light, directions, angles = self._small
        basis = harmonics(directions) * angles[..., None]
        return np.asarray(np.einsum("rck,rcj->kj", basis, light) / self.mean)

    def sun(self) -> tuple[tuple[float, float, float], float]:
        """Towards the brightest spot above the horizon, and how far it stands out: 0 (not at all) … 1."""
        light, directions, angles = self._small
        above = directions[..., 2] > LOWEST_SUN
        seen = np.where(above, cv2.blur(light @ LUMINANCE, (3, 3), borderType=cv2.BORDER_REPLICATE), 0.0)
        peak = float(seen.max())
        if not peak > 0:
            return (0.0, 0.0, 1.0), 0.0
        towards = directions[np.unravel_index(int(seen.argmax()), seen.shape)]
        bright = angles * (seen >= 0.95 * peak)
        # From the first such place to the middle of those around it, step by step, as a window is wider than a sun.
        for _ in range(SUN_STEPS):
            near = bright * (directions @ towards > np.cos(np.radians(SUN_DEGREES)))
            towards = (directions * near[..., None]).sum((0, 1))
            towards = towards / np.linalg.norm(towards)
        x, y, z = towards
        mean = float((seen * angles)[above].sum() / angles[above].sum())
        return (float(x), float(y), float(z)), max(1 - mean / peak, 0.0)

    def seen(self, camera: Camera, ambient: float) -> Pixels:
        """What the camera sees of it, uint8 (H, W, 3), of the mean radiance ``ambient``; what is brighter is white."""
        _, rays = camera.rays()
        x, y, z = np.moveaxis(rays, -1, 0)
        height, width = self.pixels.shape[:2]
        # A smaller picture where several of its texels fall into one pixel.
        shrink = max(1.0, width / (2 * np.pi) / max(camera.focal))
        size = max(2, round(width / shrink)), max(2, round(height / shrink))
        picture = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA) if shrink > 1.2 else self.pixels
        height, width = picture.shape[:2]
        across = ((0.5 - (np.arctan2(y, x) - self.turn) / (2 * np.pi)) % 1.0) * width
        down = (0.5 - np.arctan2(z, np.hypot(x, y)) / np.pi) * height
        # One column more at either side, as the left edge goes on where the right one ends.
        wrapped = np.concatenate([picture[:, -1:], picture, picture[:, :1]], axis=1)
        found = cv2.remap(
            wrapped,
            (across + 0.5).astype(np.float32),
            (down - 0.5).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        light = np.clip(to_linear(np.arange(256) / 255) * (ambient / self.mean), 0, 1)
        return np.asarray(np.rint(255 * to_srgb(light)).astype(np.uint8)[found])


def prepared(pixels: Pixels) -> Pixels:
    """A picture uint8 (h, w, 3) no wider than is of use; ValueError where it is not twice as wide as high."""
    height, width = pixels.shape[:2]
    if not 1.9 <= width / height <= 2.1:
        raise ValueError(f"expected an equirectangular picture, twice as wide as high; got {height} × {width}")
    if width <= WIDEST:
        return pixels
    small = cv2.resize(pixels, (WIDEST, WIDEST // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
