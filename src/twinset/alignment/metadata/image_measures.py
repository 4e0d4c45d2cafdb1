"""Sharpness, blur, entropy, brightness and contrast of a picture and of all crops of its boxes, in one pass.

What the crops share (luma, smoothed luma, its gradients) is computed once for the picture, in 16-bit integers, which
hold every intermediate value exactly; a crop costs a few sums over its own pixels. A crop is measured as if it
were a picture: what lies beyond its border does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.images import Pixels, convert_channels

TEXTURE = ("sharpness", "blur", "entropy", "brightness", "contrast")
"""The columns of :func:`texture`."""

WINDOW = 11
"""Side of the box filter that blur is judged by, as Crété et al. chose it."""

LEAST_SIDE = 4
"""Below it no pixel is left to judge blur on."""

_LEVELS = np.arange(256, dtype=np.float64)


def texture(pixels: Pixels, boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 (1 + K, 5): :data:`TEXTURE` of the whole picture, then of the crops of ``boxes`` (K, 4), xyxy in pixels.

    A crop is every pixel that the box touches. Grey values are ITU-R 601 luma, 0…255, rounded.

    - sharpness: variance of the 4-neighbour Laplacian, squared grey levels, border mirrored (Pech-Pacheco 2000);
    - blur: 0 (none) … 1, the largest over both axes of the share of the gradient that survives another blur of
      :data:`WINDOW` pixels (Crété et al. 2007; the customary implementation's mean over pixels 2…side − 2); an
      axis without gradient does not count; NaN where neither has one, or a side is below :data:`LEAST_SIDE`;
    - entropy: Shannon's, of grey levels, bits (0…8); brightness and contrast: mean and standard deviation, grey levels.
    """
    grey = convert_channels(pixels, 1)[..., 0]
    height, width = grey.shape
    inside = np.column_stack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(np.int64)
    frames = np.concatenate([[[0, 0, width, height]], inside])
    crops = [grey[y1:y2, x1:x2] for x1, y1, x2, y2 in frames.tolist()]
    table = np.empty((len(frames), len(TEXTURE)), dtype=np.float64)
    table[:, 0] = [_sharpness(crop) for crop in crops]
    table[:, 1] = _blur(grey, frames)
    table[:, 2:] = _grey_statistics(np.array([_histogram(crop) for crop in crops], dtype=np.float64))
    return table


def _sharpness(crop: NDArray[np.uint8]) -> float:
    import cv2

    edges = cv2.Laplacian(crop, cv2.CV_16S, ksize=1, borderType=cv2.BORDER_REFLECT)
    return float(np.ravel(cv2.meanStdDev(edges)[1])[0]) ** 2


def _histogram(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.calcHist([crop], [0], None, [256], [0, 256]), dtype=np.float32).reshape(256)


def _grey_statistics(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy, mean and standard deviation (K, 3) of grey levels that occur ``counts`` (K, 256) times."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    mean = shares @ _LEVELS
    variance = (shares * (_LEVELS - mean[:, None]) ** 2).sum(axis=1)
    return np.stack([np.maximum(entropy, 0.0), mean, np.sqrt(variance)], axis=1)


def _blur(grey: NDArray[np.uint8], frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Blur (K,) of the crops ``frames`` (K, 4) of a luma picture: the worse of both axes."""
    import cv2

    if min(grey.shape) < LEAST_SIDE:
        return np.full(len(frames), np.nan)
    along_x = _Gradients.of(grey)
    along_y = _Gradients.of(np.asarray(cv2.transpose(grey), dtype=np.uint8))
    return np.array(
        [
            np.fmax(along_x.surviving(x1, y1, x2, y2), along_y.surviving(y1, x1, y2, x2))
            if min(x2 - x1, y2 - y1) >= LEAST_SIDE
            else np.nan
            for x1, y1, x2, y2 in frames.tolist()
        ]
    )


@dataclass(frozen=True, eq=False)
class _Gradients:
    """``smooth`` int16 (H − 2, W): luma under [1 2 1] down columns; ``steep`` (H − 2, W − 2): 11 times the gradient."""

    smooth: NDArray[np.int16]
    steep: NDArray[np.int16]

    @staticmethod
    def of(grey: NDArray[np.uint8]) -> _Gradients:
        import cv2

        wide = grey.astype(np.int16)
        pairs = cv2.add(wide[1:], wide[:-1])
        smooth = np.asarray(cv2.add(pairs[1:], pairs[:-1]), dtype=np.int16)
        steep = np.asarray(cv2.absdiff(smooth[:, 2:], smooth[:, :-2]), dtype=np.int16)
        steep *= WINDOW
        return _Gradients(smooth, steep)

    def surviving(self, x1: int, y1: int, x2: int, y2: int) -> float:
        """Share of a crop's gradient along x that a box filter along x, mirrored at the crop's border, leaves.

        The gradient of a running sum is the difference of its ends, so that no filter is run: with q the smoothed
        luma, 11 times the filtered gradient at j is q[j + 6] + q[j + 5] − q[j − 5] − q[j − 6].
        """
        import cv2

        steep = self.steep[y1 + 1 : y2 - 2, x1 + 1 : x2 - 2]
        total = cv2.sumElems(steep)[0]
        if total == 0:
            return np.nan
        reach, side = WINDOW // 2, x2 - x1
        mirrored = cv2.copyMakeBorder(self.smooth[y1 + 1 : y2 - 2, x1:x2], 0, 0, reach, reach, cv2.BORDER_REFLECT)
        pairs = cv2.add(mirrored[:, 1:], mirrored[:, :-1])
        filtered = cv2.absdiff(pairs[:, WINDOW + 1 : side + WINDOW - 2], pairs[:, 1 : side - 2])
        return float(cv2.sumElems(cv2.min(steep, filtered))[0] / total)


def windows(boxes: NDArray[np.floating], size: tuple[int, int], margin: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a picture of ``size`` (H, W) that each box (K, 4) touches, and ``margin`` pixels around."""
    height, width = size
    for x1, y1, x2, y2 in boxes.tolist():
        yield (
            slice(max(0, int(np.floor(y1)) - margin), min(height, int(np.ceil(y2)) + margin)),
            slice(max(0, int(np.floor(x1)) - margin), min(width, int(np.ceil(x2)) + margin)),
        )
