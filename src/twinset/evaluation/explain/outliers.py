"""Outliers and corner cases of the real set, and whether the twin has anything near them.

The rule: dᵢ is the distance of real image i to its k-th nearest other real image. With the quartiles Q₁, Q₃ of
log d, an image beyond Q₃ + 1.5 (Q₃ − Q₁) is a corner case and one beyond Q₃ + 3 (Q₃ − Q₁) an outlier
(Tukey's inner and outer fence, on a log scale). Quartiles are not moved by up to a quarter of odd images. For
normal log distances the fences are passed by 3.5 in 1,000 and 1 in 1,000,000; distances of images have
a longer tail, so a few corner cases are usual. Up to k odd images that lie together are still found.

Near means: within the distance of the inner fence, the farthest that a usual real image is from its k-th
neighbour. The image's own ball would not do: an outlier's reaches back to the crowd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Features
from twinset.neighbours import nearest, nearest_others

Rows = NDArray[np.int64]
Array = NDArray[np.float64]
INNER, OUTER = 1.5, 3.0


@dataclass(frozen=True, eq=False)
class OddImages:
    """Real images far from all others, farthest first: their ``rows`` (O,), the ``distances`` (O,) to their k-th
    neighbour, the rows of their ``nearest_real`` image (O,), and those of the ``nearest_synthetic`` ones (O, S) with
    ``synthetic_distances`` (O, S). ``contained`` (O,) says whether the twin has an image near."""

    rows: Rows
    distances: Array
    nearest_real: Rows
    nearest_synthetic: Rows
    synthetic_distances: Array
    contained: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outliers:
    """What :func:`outliers` found. ``near`` is the distance up to which a synthetic image is near (the inner fence),
    ``far`` the outer one; ``undefined_because`` says why nothing was looked at."""

    outliers: OddImages
    corner_cases: OddImages
    near: float
    far: float
    k: int
    undefined_because: str = ""


def outliers(real: Features, synthetic: Features, *, k: int = 5, shown: int = 4) -> Outliers:
    """Outliers and corner cases among real (N, D) images, each with the ``shown`` nearest of (M, D) synthetic ones.

    Undefined with fewer than 4k + 1 real images, without synthetic ones, or where more than a quarter of the real
    images have k exact copies (then the lower quartile of distances is 0).

    >>> draw = np.random.Generator(np.random.PCG64(0))
    >>> real = np.concatenate([draw.normal(size=(200, 8)), np.full((1, 8), 9.0)])
    >>> found = outliers(real, draw.normal(size=(200, 8))).outliers
    >>> found.rows.tolist(), found.contained.tolist()
    ([200], [False])
    """
    if k < 1 or shown < 1:
        raise ValueError(f"expected k ≥ 1 and shown ≥ 1; got {k} and {shown}")
    n, m = len(real), len(synthetic)
    if n < 4 * k + 1 or not m:
        return _none(k, f"needs at least {4 * k + 1} real images and a synthetic one; got {n} and {m}")
    distances, neighbours = nearest_others(real, k=k)
    spacing = distances[:, -1]
    low, high = np.quantile(spacing, [0.25, 0.75])
    if low <= 0:
        return _none(
            k, f"more than a quarter of the real images have {k} exact copies: no usual spacing to compare with"
        )
    near, far = (float(high * (high / low) ** fence) for fence in (INNER, OUTER))
    order = np.argsort(-spacing, kind="stable")
    odd = order[spacing[order] > near]
    to_synthetic = nearest(np.asarray(real[odd]), synthetic, k=min(shown, m)) if odd.size else _empty(min(shown, m))
    every = OddImages(
        odd, spacing[odd], neighbours[odd, 0], to_synthetic[1], to_synthetic[0], to_synthetic[0][:, 0] <= near
    )
    beyond = spacing[odd] > far
    return Outliers(_some(every, beyond), _some(every, ~beyond), near, far, k)


def _some(images: OddImages, keep: NDArray[np.bool_]) -> OddImages:
    return OddImages(
        images.rows[keep],
        images.distances[keep],
        images.nearest_real[keep],
        images.nearest_synthetic[keep],
        images.synthetic_distances[keep],
        images.contained[keep],
    )


def _empty(shown: int) -> tuple[Array, Rows]:
    return np.empty((0, shown)), np.empty((0, shown), dtype=np.int64)


def _none(k: int, reason: str) -> Outliers:
    distances, rows = _empty(1)
    nothing = OddImages(rows[:, 0], distances[:, 0], rows[:, 0], rows, distances, np.empty(0, dtype=bool))
    return Outliers(nothing, nothing, 0.0, 0.0, k, reason)
