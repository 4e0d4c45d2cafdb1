"""Ways to lay an object's pixels on a picture, each within the object's own window.

Poisson blending solves on the window's rectangle: inside the mask the gradients of the object, outside those of the
picture, its border kept (Pérez et al., 2003, as OpenCV's ``seamlessClone`` does). The rectangle lets two sine
transforms give the solution exactly.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.settings import Blend
from twinset.generators.copypaste.stores import Array, as_bytes

Floats = NDArray[np.float32]
GAUSSIAN_SIDE, GAUSSIAN_SIGMA = 5, 2.0
BOX_SIDE = 3
MOTION_SIDE = 7


def blend(window: Array, colours: Array, alpha: Array, mask: Array, how: Blend, *, angle: float = 0.0) -> None:
    """Lays colours uint8 (h, w, 3) on ``window`` (h, w, 3) of a picture, in place.

    ``alpha`` uint8 (h, w) is the object's coverage, ``mask`` (h, w) 0 or 255 its pixels as they are labelled. ``angle``
    in radians is the direction of motion.
    """
    if how == "none":
        cv2.copyTo(colours, mask, window)
    elif how == "alpha":
        _mix(window, colours, alpha)
    elif how == "gaussian":
        size = (GAUSSIAN_SIDE, GAUSSIAN_SIDE)
        _mix(window, colours, as_bytes(cv2.GaussianBlur(mask, size, GAUSSIAN_SIGMA, borderType=cv2.BORDER_REPLICATE)))
    elif how == "box":
        _mix(window, colours, as_bytes(cv2.blur(mask, (BOX_SIDE, BOX_SIDE), borderType=cv2.BORDER_REPLICATE)))
    elif how == "motion":
        kernel = _line(angle)
        smeared, cover = (cv2.filter2D(p, -1, kernel, borderType=cv2.BORDER_REPLICATE) for p in (colours, mask))
        _mix(window, as_bytes(smeared), as_bytes(cover))
    else:
        window[...] = poisson(window, colours, mask)


def _mix(window: Array, colours: Array, alpha: Array) -> None:
    """Colours by coverage alpha 0…255, the window by the rest."""
    weight = alpha.astype(np.float32)
    weight *= np.float32(1 / 255)
    cv2.blendLinear(colours, window, weight, 1 - weight, dst=window)


def _line(angle: float) -> Floats:
    """A line of length :data:`MOTION_SIDE` through the middle of a square kernel that sums to 1."""
    kernel = np.zeros((MOTION_SIDE, MOTION_SIDE), dtype=np.uint8)
    centre = MOTION_SIDE // 2
    right, down = round(centre * math.cos(angle)), round(centre * math.sin(angle))
    cv2.line(kernel, (centre - right, centre - down), (centre + right, centre + down), 1)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def poisson(window: Array, colours: Array, mask: Array) -> Array:
    """``window`` (h, w, 3) with the gradients of ``colours`` where ``mask`` is set, joined to the window's rim."""
    from scipy.fft import next_fast_len

    height, width = mask.shape
    # A rim of the window's own pixels, as wide as makes the transforms' lengths products of small primes.
    below, right = (next_fast_len(n + 1, real=True) - n for n in (height, width))
    rims = (1, below, 1, right)
    solved = solve(
        as_bytes(cv2.copyMakeBorder(window, *rims, cv2.BORDER_REPLICATE)),
        as_bytes(cv2.copyMakeBorder(colours, *rims, cv2.BORDER_REPLICATE)),
        as_bytes(cv2.copyMakeBorder(mask, *rims, cv2.BORDER_CONSTANT, value=0)),
    )
    return solved[1 : height + 1, 1 : width + 1]


def solve(window: Array, colours: Array, mask: Array) -> Array:
    """The Poisson equation on a rectangle (h, w, 3) of at least 3 × 3 pixels, whose outermost pixels are kept."""
    from scipy.fft import dstn

    height, width = mask.shape
    difference = np.stack(cv2.split(cv2.subtract(colours, window, dtype=cv2.CV_32F)))
    inside = mask > 0
    # The correction u solves Δu = div(m ∇(colours − window)), u = 0 on the border; m is 1 where both pixels are inside.
    across = difference[:, 1:-1, 1:] - difference[:, 1:-1, :-1]
    across *= (inside[1:-1, 1:] & inside[1:-1, :-1]).astype(np.float32)
    down = difference[:, 1:, 1:-1] - difference[:, :-1, 1:-1]
    down *= (inside[1:, 1:-1] & inside[:-1, 1:-1]).astype(np.float32)
    source = across[:, :, 1:] - across[:, :, :-1]
    source += down[:, 1:]
    source -= down[:, :-1]
    waves = dstn(source, type=1, axes=(1, 2), overwrite_x=True)
    waves /= _eigenvalues(height - 2, width - 2)
    correction = cv2.merge(list(dstn(waves, type=1, axes=(1, 2), overwrite_x=True)))
    solved = window.copy()
    solved[1:-1, 1:-1] = cv2.add(window[1:-1, 1:-1], correction, dtype=cv2.CV_8U)
    return solved


def _eigenvalues(height: int, width: int) -> Floats:
    """(h, w) of the five-point Laplacian, times what two unnormalised sine transforms multiply by."""
    rows = 2 * np.cos(np.pi * np.arange(1, height + 1) / (height + 1)) - 2
    columns = 2 * np.cos(np.pi * np.arange(1, width + 1) / (width + 1)) - 2
    scale = 4 * (height + 1) * (width + 1)
    return np.asarray((rows[:, None] + columns[None]) * scale, dtype=np.float32)


def relit(colours: Array, mask: Array, window: Array, surround: NDArray[np.float64]) -> Array:
    """The object's colours (h, w, 3) changed as its surroundings have: bounded shift and gain of L, a, b.

    ``surround`` (6,) is mean and standard deviation around the object in its source; what is around it now is read
    from ``window`` outside the mask. A shift is at most 25 of 255, a gain between 0.8 and 1.25, both half-hearted.
    """
    around = cv2.bitwise_not(mask)
    if not cv2.countNonZero(around):
        return colours
    here = np.concatenate(
        [part.ravel() for part in cv2.meanStdDev(cv2.cvtColor(window, cv2.COLOR_RGB2LAB), mask=around)]
    )
    lab = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2LAB).astype(np.float32)
    own = np.array(cv2.mean(lab, mask=mask)[:3], dtype=np.float32)
    shift = np.clip(0.5 * (here[:3] - surround[:3]), -25, 25).astype(np.float32)
    gain = np.clip(np.sqrt((here[3:] + 4) / (surround[3:] + 4)), 0.8, 1.25).astype(np.float32)
    changed = np.clip(np.rint((lab - own) * gain + own + shift), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_LAB2RGB), dtype=np.uint8)
