"""Flip, turn, scale, shear, shift and tilt of a picture, with its boxes, masks, keypoints and semantic map.

All draws become one matrix, so that the picture is interpolated once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.annotations import Annotation
from twinset.choices import check_choices
from twinset.dataset import Sample
from twinset.editing.origin import edited
from twinset.images import Pixels
from twinset.motion import Motion, Size
from twinset.randomness import Stream
from twinset.transforms import exchanged, moved

Fill = Literal["mean", "edge"]
Matrix = NDArray[np.float64]


def mean_colour(pixels: Pixels) -> NDArray[np.uint8]:
    """uint8 (C,)."""
    return np.asarray(np.rint(pixels.mean(axis=(0, 1))), dtype=np.uint8)


@dataclass(frozen=True)
class Geometric:
    """A random projective map about the picture's centre; the size stays.

    ``flip`` and ``flip_vertical`` mirror half of the pictures; off, for a mirrored sign is another sign or none.
    ``scale_low`` … ``scale_high``: factor, evenly drawn in its logarithm. ``translate``: largest shift as a share of
    the side. ``perspective``: how far each corner may move, as a share of the side. ``min_visible``: objects of which
    a smaller share stays inside go. ``fill``: what lies beyond the picture; a repeated border ("edge") also smears
    objects that touch it. ``keypoint_pairs``: keypoints that change places when mirrored.
    """

    flip: bool = False
    flip_vertical: bool = False
    rotate_degrees: float = 5.0
    scale_low: float = 0.8
    scale_high: float = 1.25
    shear_degrees: float = 3.0
    translate: float = 0.1
    perspective: float = 0.0
    min_visible: float = 0.25
    fill: Fill = "mean"
    keypoint_pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 < self.scale_low <= self.scale_high < math.inf:
            raise ValueError(f"expected 0 < scale_low ≤ scale_high; got {self.scale_low} and {self.scale_high}")
        if not (0 <= self.rotate_degrees <= 180 and 0 <= self.shear_degrees < 60 and 0 <= self.translate < 1):
            raise ValueError(
                f"expected rotation ≤ 180°, shear < 60° and translate in [0, 1), none negative; got {self}"
            )
        if not (0 <= self.perspective <= 0.25 and 0 <= self.min_visible <= 1):
            raise ValueError(f"expected perspective in [0, 0.25] and min_visible in [0, 1]; got {self}")

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A moved copy of this sample, of the same size."""
        pixels = sample.pixels()
        motion, mirrored = self.draw((pixels.shape[0], pixels.shape[1]), rng)
        annotation = sample.annotation
        if annotation is not None:
            annotation = self._with_pairs(moved(annotation, motion, min_visible=self.min_visible), mirrored=mirrored)
        picture = motion.picture(pixels, fill=mean_colour(pixels) if self.fill == "mean" else None)
        return edited(sample, picture, method="geometric", rng=rng, annotation=annotation)

    def draw(self, size: Size, rng: Stream) -> tuple[Motion, bool]:
        """A random motion of a picture of this size, and whether it turns left into right."""
        draws = rng.numpy()
        flips = draws.random(2) < (0.5 * self.flip, 0.5 * self.flip_vertical)
        angle, shear_x, shear_y, right, down = draws.uniform(-1, 1, size=5)
        scale = math.exp(draws.uniform(math.log(self.scale_low), math.log(self.scale_high)))
        corners = draws.uniform(-self.perspective, self.perspective, size=(4, 2))
        height, width = size
        shear = np.tan(np.radians(self.shear_degrees) * np.array([shear_x, shear_y]))
        linear = np.diag([-1.0 if flips[0] else 1.0, -1.0 if flips[1] else 1.0])
        linear = scale * _turn(math.radians(angle * self.rotate_degrees)) @ [[1, shear[0]], [shear[1], 1]] @ linear
        centre = np.array([width / 2, height / 2])
        shift = self.translate * np.array([right * width, down * height])
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = linear, centre + shift - linear @ centre
        return Motion(_tilt(size, corners) @ matrix, size, size), bool(flips[0] != flips[1])

    def _with_pairs(self, annotation: Annotation, *, mirrored: bool) -> Annotation:
        pairs = self.keypoint_pairs if mirrored else ()
        return replace(annotation, instances=exchanged(annotation.instances, pairs))


def _turn(angle: float) -> Matrix:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _tilt(size: Size, shifts: NDArray[np.float64]) -> Matrix:
    """The projective map that moves each corner of the picture by a share (4, 2) of its sides."""
    if not shifts.any():
        return np.eye(3)
    import cv2

    height, width = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    there = (corners + shifts * [width, height]).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners, there), dtype=np.float64)
