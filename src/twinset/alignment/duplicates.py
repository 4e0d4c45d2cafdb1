"""Nothing twice: of synthetic images that are copies of each other, the one that came first stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import copy_features
from twinset.dataset import Dataset
from twinset.images import ImageSpec, PixelBatch
from twinset.neighbours import BLOCK, Features


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


_ROUNDING = 1e-12  # of squared distances in float64: equal pictures count as 0 apart


def first_alike(images: PixelBatch, *, before: PixelBatch | None, nearer_than: float) -> list[int]:
    """(N,) for each of ``images`` the row, in ``before`` followed by ``images``, of the first kept image like it.

    Kept are all of ``before``, and of ``images``, in their order, those like none kept so far: no two of them are
    as near as ``nearer_than`` (0…2), however many are alike. What was not kept makes nothing else a duplicate, so
    chains do not pull distant images together. Working memory beside the features is O(block²), whatever N.
    """
    everything = images if before is None else np.concatenate([before, images])
    features = copy_features(everything)
    offset = len(everything) - len(images)
    first = np.arange(len(everything))
    for start in range(offset, len(everything), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(everything)))
        for earlier in range(0, start, BLOCK):
            kept = _kept(first, np.arange(earlier, min(earlier + BLOCK, start)))
            if not len(kept):
                continue
            waiting = _kept(first, rows)
            alike = _alike(features[waiting], features[kept], nearer_than)
            repeats = alike.any(axis=1)
            first[waiting[repeats]] = kept[alike[repeats].argmax(axis=1)]
        waiting = _kept(first, rows)
        alike = _alike(features[waiting], features[waiting], nearer_than)
        for at, row in enumerate(waiting):
            if first[row] == row:
                first[_kept(first, waiting[at + 1 :][alike[at, at + 1 :]])] = row
    return [int(row) for row in first[offset:]]


def _kept(first: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(rows[first[rows] == rows])


def _alike(queries: Features, references: Features, nearer_than: float) -> NDArray[np.bool_]:
    """(M, N) whether two feature vectors, of at most unit length, are as near as ``nearer_than``."""
    a, b = queries.astype(np.float64), references.astype(np.float64)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * (a @ b.T)
    return np.asarray(squares <= nearer_than**2 + _ROUNDING)
