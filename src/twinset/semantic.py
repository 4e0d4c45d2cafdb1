"""The class of every pixel of a picture, kept as a small PNG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.errors import DatasetFormatError, ImageError

IGNORE = -1
MOST_CLASSES = 255


@dataclass(frozen=True)
class SemanticMap:
    """Class ids by pixel as a grey PNG: its value is the class id, 255 means "ignore"."""

    png: bytes

    @staticmethod
    def of(class_ids: NDArray[np.integer]) -> SemanticMap:
        """From int (H, W), −1 where a pixel is to be ignored; class ids below 255."""
        from twinset.images import encode_png

        if class_ids.ndim != 2 or 0 in class_ids.shape:
            raise ValueError(f"expected class ids (H, W); got shape {class_ids.shape}")
        if class_ids.min() < IGNORE or class_ids.max() >= MOST_CLASSES:
            raise ValueError(f"expected class ids −1…{MOST_CLASSES - 1}; got {class_ids.min()}…{class_ids.max()}")
        return SemanticMap(encode_png(class_ids.astype(np.uint8)[..., None]))

    def dense(self) -> NDArray[np.int32]:
        """int32 (H, W), −1 = ignore; :class:`DatasetFormatError` if the PNG is damaged."""
        from twinset.images import decode

        try:
            pixels = decode(self.png, name="semantic map")
        except ImageError as error:
            raise DatasetFormatError(error.message) from error
        if pixels.shape[2] != 1:
            raise DatasetFormatError("expected a grey PNG as semantic map; got colours")
        values = pixels[..., 0].astype(np.int32)
        values[values == MOST_CLASSES] = IGNORE
        return values
