"""What is left of pictures when their content is taken away: luminance and the residual of a 3 × 3 median.

The fine structure that a camera, a file format or a generator leaves shows there, not in the content (Corvi
et al. 2023 look at denoising residuals for this reason).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch

Array = NDArray[np.float64]
LUMA = (0.299, 0.587, 0.114)
SMALLEST = 8


def check_batch(pictures: PixelBatch) -> None:
    """Raises ``ValueError`` unless these are uint8 (B, H, W, 1 or 3), at least one and of at least 8 × 8 pixels."""
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or not len(pictures):
        raise ValueError(
            f"expected pictures as non-empty uint8 (B, H, W, 1 or 3); got {pictures.dtype} {pictures.shape}; "
            "stack pictures of one size"
        )
    if min(pictures.shape[1:3]) < SMALLEST:
        raise ValueError(
            f"expected pictures of at least {SMALLEST} × {SMALLEST} pixels; got {pictures.shape[1]} × "
            f"{pictures.shape[2]}; leave these out or enlarge both sets"
        )


def luminance(pictures: PixelBatch) -> NDArray[np.uint8]:
    """uint8 (B, H, W): ITU-R 601 luma of RGB, the value itself of grey, of uint8 (B, H, W, C)."""
    if pictures.shape[3] == 1:
        return pictures[..., 0]
    return np.asarray(np.rint(pictures @ np.array(LUMA)), dtype=np.uint8)


def median_residual(planes: NDArray[np.uint8]) -> Array:
    """float64 (B, H, W) in −255…255: each plane (B, H, W) less its 3 × 3 median (borders repeated)."""
    import cv2

    return np.stack([plane.astype(np.float64) - cv2.medianBlur(np.ascontiguousarray(plane), 3) for plane in planes])
