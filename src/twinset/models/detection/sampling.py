"""Which pictures make up every batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinset.randomness import Stream

MOSAIC_PARTS = 4


def batch_rows(
    class_ids: Sequence[NDArray[np.int64]],
    source: NDArray[np.integer] | None,
    *,
    steps: int,
    batch: int,
    synthetic_share: float,
    class_balanced: bool,
    rng: Stream,
) -> tuple[NDArray[np.int64], int]:
    """int64 (steps, batch, 4), and how many places of a batch, the first ones, are real.

    Each place has its picture and three more for a mosaic, all of one source. ``source`` (N,) is 0 for real and 1 for
    synthetic. The order of one source's pictures depends on that source alone, so that arms are paired.
    Raises ``ValueError`` for no pictures or a source other than 0 and 1.
    """
    sources = np.zeros(len(class_ids), dtype=np.int64) if source is None else np.asarray(source)
    if not len(class_ids) or sources.shape != (len(class_ids),) or not np.isin(sources, (0, 1)).all():
        raise ValueError(f"expected pictures and a source ({len(class_ids)},) of zeros and ones; got {sources.shape}")
    real, synthetic = np.flatnonzero(sources == 0), np.flatnonzero(sources == 1)
    n_synthetic = round(batch * synthetic_share)
    if not len(real) or not len(synthetic):
        n_synthetic = batch if len(synthetic) else 0
    parts = []
    for name, rows, size in (("real", real, batch - n_synthetic), ("synthetic", synthetic, n_synthetic)):
        if size:
            repeats = (
                repeat_factors([class_ids[row] for row in rows.tolist()]) if class_balanced else np.ones(len(rows))
            )
            first, others = (
                passes(repeats, steps * size * count, rng=rng.child(name, purpose)).reshape(steps, size, count)
                for purpose, count in (("order", 1), ("mosaic", MOSAIC_PARTS - 1))
            )
            parts.append(rows[np.concatenate([first, others], axis=2)])
    return np.concatenate(parts, axis=1), batch - n_synthetic


def repeat_factors(class_ids: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """How often each picture is shown in a pass, ≥ 1: repeat-factor sampling (Gupta et al. 2019, section 4).

    r = max over the picture's classes of √(f₀ / f_c), with f_c the share of pictures that hold class c. Their fixed
    threshold f₀ is here the commonest class's share, so that the rule works for sets of any size.

    >>> repeat_factors([np.array([0]), np.array([0]), np.array([0, 1]), np.array([0]), np.array([], int)]).tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    """
    present = [np.unique(ids) for ids in class_ids]
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *present]))
    most = counts.max(initial=0)
    return np.array([math.sqrt(most / counts[ids].min()) if len(ids) else 1.0 for ids in present])


def passes(repeats: NDArray[np.float64], count: int, *, rng: Stream) -> NDArray[np.int64]:
    """``count`` rows in shuffled passes; a pass shows row i ⌊r⌋ or ⌈r⌉ times, r = ``repeats[i]`` on average."""
    generator = rng.numpy()
    pieces: list[NDArray[np.int64]] = []
    held = 0
    while held < count:
        times = np.floor(repeats + generator.random(len(repeats))).astype(np.int64)
        pieces.append(generator.permutation(np.repeat(np.arange(len(repeats)), times)))
        held += len(pieces[-1])
    return np.concatenate([np.zeros(0, np.int64), *pieces])[:count]


def class_weights(class_ids: Sequence[NDArray[np.int64]], n_classes: int) -> NDArray[np.float64]:
    """float64 (n_classes,): 1 / objects of the class, so that every class is drawn equally often."""
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *class_ids]), minlength=n_classes)
    return 1 / np.maximum(counts, 1)
