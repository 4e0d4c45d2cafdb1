"""Shadow networks that are trained once for all classifiers that are audited on one split.

Shadows are trained on real images alone. Audits of several classifiers on one split, with one seed, train the same ones
over and over: those of the images in question, and those that know the canaries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch
from twinset.privacy.audit.classifier_release import ShadowAttack
from twinset.randomness import Stream


class ShadowShelf:
    """Keeps what :meth:`ShadowAttack.prepare` made, by all that decides it; in memory, for one study."""

    def __init__(self) -> None:
        self._kept: dict[str, ShadowAttack] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def prepare(
        self,
        pictures: PixelBatch,
        class_ids: NDArray[np.integer],
        units: NDArray[np.int64],
        *,
        n_classes: int,
        population: tuple[PixelBatch, NDArray[np.integer]] | None,
        rng: Stream,
    ) -> ShadowAttack:
        """As :meth:`ShadowAttack.prepare`; what was made of equal images with an equal stream before is given again."""
        key = _digest([pictures, class_ids, units, *(population or ())], f"{n_classes} {rng.seed}")
        if key not in self._kept:
            self._kept[key] = ShadowAttack.prepare(
                pictures, class_ids, units, n_classes=n_classes, population=population, rng=rng
            )
        return self._kept[key]


def _digest(arrays: Sequence[NDArray[np.generic]], text: str) -> str:
    total = hashlib.sha256(text.encode())
    for array in arrays:
        total.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
