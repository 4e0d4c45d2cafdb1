"""What all metrics on pairs share: the check of two arrays of pictures, blocks of them, and the mean as a score.

A pair is a picture and its counterpart: a real one and its reconstruction, its edit, or its nearest neighbour. So
pictures stand in two arrays (B, H, W, C) of one shape, uint8 or float; they may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import blocks
from twinset.scores import Interval, Score
from twinset.threads import blas_threads, numpy_threads

Pictures = NDArray[np.uint8] | NDArray[np.floating]
"""Pictures of one size: uint8 or float (B, H, W, C)."""

Array = NDArray[np.float64]
BLOCK_PIXELS = 1 << 19
"""Pixels, all channels counted, that are read at once."""


class PairMetric(Protocol):
    """One question asked of pairs."""

    def score(self, first: Pictures, second: Pictures) -> Score:
        """The mean over the pairs (B, H, W, C) with its interval; undefined, with the reason, instead of raising."""
        ...


def check_pairs(first: Pictures, second: Pictures, *, data_range: float) -> None:
    """Raises ``ValueError`` unless both are uint8 or float (B, H, W, C) of one shape and ``data_range`` is positive."""
    for pictures in (first, second):
        if pictures.ndim != 4 or 0 in pictures.shape[1:]:
            raise ValueError(f"expected pictures as (B, H, W, C); got shape {pictures.shape}; add the missing axes")
        if pictures.dtype != np.uint8 and not np.issubdtype(pictures.dtype, np.floating):
            raise ValueError(f"expected pictures as uint8 or float; got {pictures.dtype}; convert them")
    if first.shape != second.shape:
        raise ValueError(f"expected pairs of one shape; got {first.shape} and {second.shape}; resize one side")
    if not data_range > 0 or not np.isfinite(data_range):
        raise ValueError(f"expected data_range > 0; got {data_range}; 255 for uint8, 1 for floats in [0, 1]")


def plane_means(first: Pictures, second: Pictures, compare: Callable[[Pictures, Pictures], Array]) -> Array:
    """What ``compare`` says of the planes of every pair, averaged over its channels: float64 (B,).

    ``compare`` takes planes (N, H, W) of both sides, uint8 or float64, and gives (N,). Blocks of about
    :data:`BLOCK_PIXELS` are compared at once, side by side in as many threads as NumPy's products may take here. Raises
    ``ValueError`` for values that are not finite.
    """
    count, height, width, channels = first.shape
    parts = list(blocks(count, max(1, BLOCK_PIXELS // (height * width * channels))))
    values = np.empty(count)

    def fill(part: slice) -> None:
        left, right = _finite_planes(first, part), _finite_planes(second, part)
        values[part] = compare(left, right).reshape(-1, channels).mean(axis=1)

    workers = min(numpy_threads(), len(parts)) if len(parts) > 1 else 1
    if workers == 1:
        for part in parts:
            fill(part)
        return values
    with blas_threads(1), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(fill, parts):
            pass
    return values


def _finite_planes(pictures: Pictures, part: slice) -> Pictures:
    """The planes (n · C, H, W) of the pictures in ``part``, those of a picture side by side, uint8 or float64."""
    planes = _planes(pictures[part])
    if planes.dtype != np.uint8 and not np.isfinite(planes).all():
        bad = np.flatnonzero(~np.isfinite(planes).reshape(part.stop - part.start, -1).all(axis=1))[0]
        raise ValueError(f"expected finite pictures; got NaN or infinity in pair {part.start + bad}; leave it out")
    return planes


def _planes(pictures: Pictures) -> Pictures:
    _, height, width, _ = pictures.shape
    if pictures.dtype == np.uint8:
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.uint8).reshape(-1, height, width)
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float64).reshape(-1, height, width)


def mean_score(
    name: str,
    values: Array,
    *,
    higher_is_better: bool,
    settings: Mapping[str, str | int | float],
    bounds: tuple[float, float] = (-np.inf, np.inf),
    extractor: str | None = None,
    undefined_because: str = "",
    warnings: tuple[str, ...] = (),
) -> Score:
    """The mean of ``values`` (B,), one a pair, with the normal 95 % interval, cut to the ``bounds`` of the measure.

    The interval takes pairs as independent; one pair has none, no pair no value.
    """
    count = len(values)
    counts = {"real": count, "synthetic": count, "pairs": count}
    if not count:
        undefined_because = undefined_because or "there are no pairs"
    if undefined_because:
        return Score(name, None, higher_is_better, counts, undefined_because=undefined_because, extractor=extractor)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / count**0.5 if count > 1 else 0.0
    low, high = max(bounds[0], mean - 1.96 * error), min(bounds[1], mean + 1.96 * error)
    more: dict[str, str | int | float] = {"dtype": "float64", "estimator": "mean over pairs"}
    if count > 1:
        more |= {"standard_error": error, "interval": "normal, pairs independent"}
    return Score(
        name,
        mean,
        higher_is_better,
        counts,
        interval=Interval(min(low, mean), max(high, mean)) if count > 1 else None,
        extractor=extractor,
        settings={**settings, **more},
        warnings=warnings,
    )
