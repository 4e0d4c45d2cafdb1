"""Nothing twice: of synthetic images that are copies of each other, the one that came first stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.copying import copy_features
from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch
from twinset.neighbours import nearest


@dataclass(frozen=True)
class Duplicates:
    """``distance``: two images nearer than this in copy features (0…2, unit length) are one image.

    0.02 lets rounding and recompression pass as equal, and hardly anything else.
    """

    distance: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.distance < 2:
            raise ValueError(f"expected 0 ≤ distance < 2; got {self.distance}")

    def judge_set(self, synthetic: Dataset, *, accepted: Dataset | None) -> tuple[str | None, ...]:
        """A reason for every sample that repeats one before it in ``synthetic``, or one in ``accepted``."""
        if not len(synthetic):
            return ()
        spec = ImageSpec(*synthetic[0].pixels().shape)
        ids = [*(accepted.ids if accepted is not None else ()), *synthetic.ids]
        old = accepted.prepared(spec) if accepted is not None and len(accepted) else None
        first = first_alike(synthetic.prepared(spec), before=old, nearer_than=self.distance)
        offset = len(ids) - len(synthetic)
        return tuple(None if row == offset + at else f"duplicate of {ids[row]}" for at, row in enumerate(first))


def first_alike(images: PixelBatch, *, before: PixelBatch | None, nearer_than: float) -> list[int]:
    """(N,) for each of ``images`` the row, in ``before`` followed by ``images``, of the first kept image like it.

    An image that repeats another does not count as kept, so chains do not pull distant images together.
    """
    everything = images if before is None else np.concatenate([before, images])
    features = copy_features(everything)
    offset = len(everything) - len(images)
    k = min(32, len(everything))
    distances, rows = nearest(features[offset:], features, k=k)
    kept = np.ones(len(everything), dtype=bool)
    found = []
    for at in range(len(images)):
        here = offset + at
        alike = [
            int(r) for d, r in zip(distances[at], rows[at], strict=True) if d <= nearer_than and r < here and kept[r]
        ]
        found.append(min(alike, default=here))
        kept[here] = not alike
    return found
