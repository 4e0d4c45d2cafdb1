"""Perceptual distance of pairs (LPIPS), and the perceptual diversity of a set over all of its pairs.

Both rest on one vector v per picture, whose squared distances are LPIPS (:mod:`twinset.evaluation.pairs.lpips`). The
mean over *all* n(n − 1)/2 pairs of a set then needs neither the pairs nor a cache of the vectors, but their sums alone:

mean LPIPS = 2/(n − 1) · (Σ‖vᵢ‖² − ‖Σvᵢ‖²/n)

which is exact, in one pass, in memory that does not grow with n. Its standard error is the jackknife's that leaves out
one group of pictures at a time; groups are drawn at random, and there are as many as memory allows.

DreamSim (Fu et al. 2023) is not here: its weights are adapters on top of three other networks in a layout of their own,
and an embedding by another model would not be DreamSim.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.evaluation.pairs.diversity import Classes, MeanDistance, Rows, diversity_scores
from twinset.evaluation.pairs.lpips import BATCH, Lpips, PerceptualNetwork
from twinset.evaluation.pairs.paired import Array, Pictures, check_pairs, mean_score
from twinset.evaluation.protocol import blocks
from twinset.randomness import Stream
from twinset.scores import Score

NAME = "lpips"
DIVERSITY = "perceptual_diversity"
FEWEST_GROUPS = 8


def lpips_values(network: PerceptualNetwork, first: Pictures, second: Pictures, *, data_range: float) -> Array:
    """LPIPS, float64 (B,), ≥ 0, of pairs (B, H, W, 1 or 3) of values in [0, ``data_range``]; 0 for equal pictures.

    ``data_range`` is 255 for uint8. Raises ``ValueError`` for pictures smaller than the network takes.
    """
    check_pairs(first, second, data_range=data_range)
    values = np.empty(len(first))
    for part in blocks(len(first), BATCH):
        vectors = [network.vectors(_to_network(each[part], data_range)) for each in (first, second)]
        difference = np.subtract(*vectors, dtype=np.float64)
        values[part] = np.einsum("ij,ij->i", difference, difference)
    return values


def lpips(network: PerceptualNetwork, first: Pictures, second: Pictures, *, data_range: float) -> Score:
    """The mean LPIPS of pairs (B, H, W, C) with its interval; lower is closer. Undefined for too small pictures."""
    check_pairs(first, second, data_range=data_range)
    small = _too_small(network, first)
    return mean_score(
        NAME,
        np.empty(0) if small else lpips_values(network, first, second, data_range=data_range),
        higher_is_better=False,
        bounds=(0.0, np.inf),
        settings={"data_range": data_range, "spatial": "mean", "network_dtype": "float32", "resize": "none"},
        extractor=network.name,
        undefined_because=small,
    )


def perceptual_vectors(
    network: PerceptualNetwork,
    pictures: Pictures,
    *,
    data_range: float,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Vectors float32 (N, D) of pictures (N, H, W, C), whose squared Euclidean distances are LPIPS.

    ``out`` (N, D), of float32, receives them; a memory-mapped file keeps them for later. Of such vectors
    :func:`twinset.neighbours.nearest` finds the perceptually nearest pictures.
    """
    if not len(pictures):
        raise ValueError("expected at least one picture; got none")
    start = 0
    for vectors in _stream(network, pictures, np.arange(len(pictures)), data_range):
        if out is None:
            out = np.empty((len(pictures), vectors.shape[1]), dtype=np.float32)
        if out.shape != (len(pictures), vectors.shape[1]) or out.dtype != np.float32:
            raise ValueError(
                f"expected out as float32 {(len(pictures), vectors.shape[1])}; got {out.dtype} {out.shape}"
            )
        out[start : start + len(vectors)] = vectors
        start += len(vectors)
    assert out is not None
    return out


def perceptual_diversity(
    network: PerceptualNetwork,
    real: Pictures,
    synthetic: Pictures,
    *,
    data_range: float,
    rng: Stream,
    classes: Classes | None = None,
    groups: int = 32,
    memory_bytes: int = 1 << 30,
) -> list[Score]:
    """Mean LPIPS over all pairs within each set, of real (N, H, W, C) and synthetic (M, H, W, C) pictures.

    Scores ``perceptual_diversity_real``, ``…_synthetic`` and ``…_gap``, synthetic less real. With ``classes`` pairs lie
    within a class, and all classes weigh the same; each class has scores of its own too. Every picture passes through
    the network once. Sums of at most ``groups`` groups are held, fewer (but 8) if they exceed ``memory_bytes``.
    """
    if groups < FEWEST_GROUPS:
        raise ValueError(f"expected at least {FEWEST_GROUPS} groups; got {groups}")
    for each in (real, synthetic):
        check_pairs(each[:0], each[:0], data_range=data_range)
    if small := _too_small(network, real) or _too_small(network, synthetic):
        counts = {"real": len(real), "synthetic": len(synthetic)}
        names = (f"{DIVERSITY}_{what}" for what in ("real", "synthetic", "gap"))
        return [Score(name, None, None, counts, undefined_because=small, extractor=network.name) for name in names]

    def measure(pictures: Pictures, rows: Rows, stream: Stream) -> MeanDistance:
        shuffled = stream.child("groups").numpy().permutation(rows)
        return mean_of_all_pairs(
            _stream(network, pictures, shuffled, data_range), len(rows), groups=groups, memory_bytes=memory_bytes
        )

    settings: dict[str, str | int | float] = {
        "data_range": data_range,
        "pairs_used": "all",
        "groups": groups,
        "network_dtype": "float32",
        "interval": "t, jackknife over groups of pictures",
    }
    return diversity_scores(
        DIVERSITY, real, synthetic, measure, rng=rng, classes=classes, settings=settings, extractor=network.name
    )


def mean_of_all_pairs(
    parts: Iterator[NDArray[np.floating]], count: int, *, groups: int = 32, memory_bytes: int = 1 << 30
) -> MeanDistance:
    """The mean squared distance over all pairs of ``count`` vectors, which come in ``parts`` (b, D) in random order.

    The pairs of the three points 0, 1 and 3 are 1, 4 and 9 apart:

    >>> round(mean_of_all_pairs(iter([np.array([[0.0], [1.0], [3.0]])]), 3).value, 6)  # (1 + 4 + 9) / 3
    4.666667
    """
    first = next(parts)
    dimension = first.shape[1]
    number = max(FEWEST_GROUPS, min(groups, memory_bytes // (8 * dimension)))
    number = min(number, count)
    sums, squares = np.zeros((number, dimension)), np.zeros(number)
    sizes = np.bincount(np.arange(count) % number, minlength=number)
    done = 0
    for part in _chained(first, parts):
        vectors = part.astype(np.float64)
        groups_of = np.arange(done, done + len(vectors)) % number
        np.add.at(squares, groups_of, np.einsum("ij,ij->i", vectors, vectors))
        for row, group in enumerate(groups_of):
            sums[group] += vectors[row]
        done += len(vectors)
    assert done == count
    return _from_groups(sums, squares, sizes)


def _from_groups(sums: Array, squares: Array, sizes: Rows) -> MeanDistance:
    """From sums (G, D), sums of squared norms (G,) and sizes (G,) of the groups."""
    count, total = int(sizes.sum()), sums.sum(axis=0)
    value = _mean_distance(count, squares.sum(), float(total @ total))
    pairs = count * (count - 1) // 2
    if count < 3:
        return MeanDistance(float(value), None, count, pairs)
    left = total @ total - 2 * (sums @ total) + np.einsum("ij,ij->i", sums, sums)
    without = _mean_distance(count - sizes, squares.sum() - squares, left)
    number = len(sizes)
    error = np.sqrt((number - 1) / number * np.square(without - without.mean()).sum())
    return MeanDistance(float(value), float(error), count, pairs, degrees=number - 1)


def _mean_distance(count: Rows | int, squares: Array | float, of_sum: Array | float) -> Array:
    # Rounding can leave a little below zero when all pictures are equal.
    return np.maximum(2.0 / (np.asarray(count) - 1.0) * (squares - of_sum / np.asarray(count)), 0.0)


def _chained(first: NDArray[np.floating], rest: Iterator[NDArray[np.floating]]) -> Iterator[NDArray[np.floating]]:
    yield first
    yield from rest


def _stream(
    network: PerceptualNetwork, pictures: Pictures, rows: Rows, data_range: float
) -> Iterator[NDArray[np.floating]]:
    for part in blocks(len(rows), BATCH):
        yield network.vectors(_to_network(pictures[rows[part]], data_range))


def _to_network(pictures: Pictures, data_range: float) -> torch.Tensor:
    """(N, H, W, C) in [0, R] to float32 (N, C, H, W) in [−1, 1]."""
    if pictures.shape[3] not in (1, 3):
        raise ValueError(f"expected pictures of 1 or 3 channels; got {pictures.shape[3]}; leave the others out")
    planes = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(torch.float32)
    if not bool(planes.isfinite().all()) or float(planes.min()) < 0 or float(planes.max()) > data_range:
        raise ValueError(f"expected finite values in [0, {data_range}]; got others; name their data_range")
    return planes * (2.0 / data_range) - 1.0


def _too_small(network: PerceptualNetwork, pictures: Pictures) -> str:
    height, width = pictures.shape[1:3]
    if min(height, width) >= network.smallest:
        return ""
    side = network.smallest
    return f"{network.name} needs pictures of at least {side} x {side} pixels; got {height} x {width}"


@dataclass(frozen=True)
class PerceptualDistance:
    """:func:`lpips` as a metric; loads the network of ``weights`` when it is asked."""

    weights: Lpips = field(default_factory=Lpips)
    data_range: float = 255.0

    def __post_init__(self) -> None:
        if not self.data_range > 0:
            raise ValueError(f"expected data_range > 0; got {self.data_range}; 255 for uint8, 1 for floats in [0, 1]")

    def score(self, first: Pictures, second: Pictures) -> Score:
        """One score, ``lpips``; :class:`~twinset.errors.MissingModelError` without the weights."""
        return lpips(self.weights.load(), first, second, data_range=self.data_range)
