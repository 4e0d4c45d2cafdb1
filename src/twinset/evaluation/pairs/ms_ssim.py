"""Multi-scale structural similarity of pairs (MS-SSIM), and the structural diversity of a set.

Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment", eq. 7: contrast and
structure are compared at every scale, luminance at the coarsest one,

MS-SSIM = SSIM_M^{w_M} · ∏_{j<M} CS_j^{w_j},  w = .0448, .2856, .3001, .2363, .1333

with a 2 × 2 mean and every second pixel from scale to scale (the last row or column of an odd side repeated), the
11 × 11 Gaussian window, and a product per channel, then the mean over channels. A negative mean, which has no such
power, counts as 0. Five scales need sides of 161 pixels; with fewer ``scales`` the first weights are used, rescaled to
sum 1, and the score says so: figures of different scales do not compare.

Structural diversity is 1 − the mean MS-SSIM over random pairs within a class (Odena, Olah and Shlens 2017, who report
the mean itself): 0 for one picture over and over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from twinset.evaluation.pairs.diversity import (
    Classes,
    MeanDistance,
    Rows,
    diversity_scores,
    mean_over_pairs,
    random_pairs,
)
from twinset.evaluation.pairs.paired import BLOCK_PIXELS, Array, Pictures, check_pairs, mean_score, plane_means
from twinset.evaluation.pairs.ssim import settings_of, similarities, structures
from twinset.evaluation.pairs.windows import SIDES
from twinset.evaluation.protocol import blocks
from twinset.randomness import Stream
from twinset.scores import Score

NAME = "ms_ssim"
DIVERSITY = "structural_diversity"
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim_values(first: Pictures, second: Pictures, *, data_range: float, scales: int = 5) -> Array:
    """MS-SSIM, float64 (B,) in [0, 1], of pairs (B, H, W, C); 1 for equal pictures.

    Raises ``ValueError`` for pictures smaller than :func:`smallest_side`.

    At one scale it is SSIM; two flat pictures of 100 and 150 differ by their luminance only:

    >>> dark, light = np.full((1, 22, 22, 1), 100, dtype=np.uint8), np.full((1, 22, 22, 1), 150, dtype=np.uint8)
    >>> round(float(ms_ssim_values(dark, light, data_range=255, scales=1)[0]), 6)
    0.923092
    >>> weight = 0.2856 / (0.0448 + 0.2856)  # of the second of two scales
    >>> round(0.923092**weight, 5), round(float(ms_ssim_values(dark, light, data_range=255, scales=2)[0]), 5)
    (0.93316, 0.93316)
    """
    check_pairs(first, second, data_range=data_range)
    if reason := _too_small(first, scales):
        raise ValueError(f"expected {reason}; use larger pictures or fewer scales")
    return plane_means(first, second, partial(_of_planes, data_range=data_range, scales=scales))


def ms_ssim(first: Pictures, second: Pictures, *, data_range: float, scales: int = 5) -> Score:
    """The mean MS-SSIM of pairs (B, H, W, C) with its interval; higher is closer. Undefined for too small pictures."""
    check_pairs(first, second, data_range=data_range)
    reason = _too_small(first, scales)
    return mean_score(
        NAME,
        np.empty(0) if reason else ms_ssim_values(first, second, data_range=data_range, scales=scales),
        higher_is_better=True,
        bounds=(0.0, 1.0),
        settings={**_settings(data_range, scales), "channels": first.shape[3]},
        undefined_because=f"needs {reason}" if reason else "",
    )


def structural_diversity(
    real: Pictures,
    synthetic: Pictures,
    *,
    data_range: float,
    rng: Stream,
    classes: Classes | None = None,
    scales: int = 5,
    pairs: int = 1000,
) -> list[Score]:
    """1 − mean MS-SSIM over random pairs within each set, of real (N, H, W, C) and synthetic (M, H, W, C) pictures.

    Scores ``structural_diversity_real``, ``…_synthetic`` and ``…_gap``, synthetic less real: below 0, the twin is more
    uniform than what it stands for. With ``classes`` pairs lie within a class, as many in each, and all classes weigh
    the same; each class has scores of its own too. ``pairs`` are drawn per class, or all there are if they are fewer.
    """
    small = _too_small(real, scales) or _too_small(synthetic, scales)
    settings = {**_settings(data_range, scales), "interval": "t, dyadic, pictures independent"}
    if small:
        counts = {"real": len(real), "synthetic": len(synthetic)}
        names = (f"{DIVERSITY}_{what}" for what in ("real", "synthetic", "gap"))
        return [
            Score(name, None, None, counts, undefined_because=f"needs {small}", settings=settings) for name in names
        ]

    def measure(pictures: Pictures, rows: Rows, stream: Stream) -> MeanDistance:
        partners = random_pairs(len(rows), pairs, rng=stream)
        distances = np.empty(len(partners))
        for part in blocks(len(partners), max(1, BLOCK_PIXELS // int(np.prod(pictures.shape[1:])))):
            left, right = (pictures[rows[partners[part, side]]] for side in (0, 1))
            distances[part] = 1.0 - ms_ssim_values(left, right, data_range=data_range, scales=scales)
        return mean_over_pairs(distances, partners, len(rows))

    return diversity_scores(DIVERSITY, real, synthetic, measure, rng=rng, classes=classes, settings=settings)


def smallest_side(scales: int) -> int:
    """Pixels that height and width must have at least.

    >>> [smallest_side(scales) for scales in (1, 2, 5)]
    [11, 21, 161]
    """
    return ((SIDES["gaussian"] - 1) << (scales - 1)) + 1


def _too_small(pictures: Pictures, scales: int) -> str:
    """What is needed and what there is, or "" for pictures that are large enough."""
    if not 1 <= scales <= len(WEIGHTS):
        raise ValueError(f"expected 1 to {len(WEIGHTS)} scales; got {scales}")
    height, width = pictures.shape[1:3]
    side = smallest_side(scales)
    return (
        ""
        if min(height, width) >= side
        else (f"pictures of at least {side} x {side} pixels for {scales} scales; got {height} x {width}")
    )


def _of_planes(first: Pictures, second: Pictures, data_range: float, scales: int) -> Array:
    """(N,) of planes (N, H, W)."""
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = np.ones(len(first))
    for scale, weight in enumerate(weights):
        compare = similarities if scale == scales - 1 else structures
        found = compare(first, second, data_range=data_range, window="gaussian")
        product *= np.maximum(found, 0.0) ** weight
        if scale < scales - 1:
            first, second = _halved(first), _halved(second)
    return product


def _halved(planes: Pictures) -> Array:
    """Means float64 (N, ⌈H/2⌉, ⌈W/2⌉) of 2 × 2 pixels, the last row or column of an odd side taken twice."""
    below, right = (side % 2 for side in planes.shape[1:])
    even = np.pad(planes, ((0, 0), (0, below), (0, right)), mode="edge") if below or right else planes
    rows = np.add(even[:, ::2], even[:, 1::2], dtype=np.float64)
    halved = rows[:, :, ::2] + rows[:, :, 1::2]
    halved *= 0.25
    return np.asarray(halved)


def _settings(data_range: float, scales: int) -> dict[str, str | int | float]:
    weights = "first of the paper's, rescaled" if scales < len(WEIGHTS) else "the paper's"
    return {**settings_of("gaussian", data_range), "scales": scales, "weights": weights}


@dataclass(frozen=True)
class MultiScaleSimilarity:
    """:func:`ms_ssim` as a metric."""

    scales: int = 5
    data_range: float = 255.0

    def __post_init__(self) -> None:
        if not 1 <= self.scales <= len(WEIGHTS) or not self.data_range > 0:
            raise ValueError(f"expected 1 to {len(WEIGHTS)} scales and data_range > 0; got {self}")

    def score(self, first: Pictures, second: Pictures) -> Score:
        """One score, ``ms_ssim``."""
        return ms_ssim(first, second, data_range=self.data_range, scales=self.scales)
