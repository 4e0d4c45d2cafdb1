"""Features of images and of their captions, row by row: what the metrics of alignment start from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Features, as_features


def unit_rows(features: Features, what: str) -> NDArray[np.float64]:
    """These features (N, D) at length 1, float64; ``ValueError`` for a row of zeros, which has no direction."""
    array = as_features(features, what, at_least=0)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError(f"expected {what} features with a direction; got zeros in row {int(length.argmin())}")
    return np.asarray(array / length)


def check_pairs(image: Features, text: Features) -> None:
    """``ValueError`` unless there is a caption's row for each image's, of one width."""
    if image.ndim != 2 or image.shape != text.shape:
        raise ValueError(
            f"expected image and text features (N, D), row i of each of one pair; got {image.shape} and {text.shape}"
        )
