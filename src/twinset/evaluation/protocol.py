"""What metrics get and give: the evidence of one extraction in, scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.mapped import passing
from twinset.randomness import Stream
from twinset.scores import Score

Features = NDArray[np.floating]
"""Feature vectors of N images, float (N, D). A memory-mapped file does: it is read in blocks."""

Families = NDArray[np.integer]
"""Which family each of N images belongs to, int (N,): equal numbers belong together."""

Need = Literal["features", "images", "annotations", "predictions", "models"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Features of one extractor over the sets that are compared.

    ``real`` (N, D) and ``synthetic`` (M, D) are compared with each other. ``real_families`` (N,) says which
    real images belong together (a patient, a burst); without it every image stands for itself. ``train``
    (what the generator saw) and ``holdout`` (real images that it did not see) are there when copies are looked for.
    ``extractor_saw_real`` says that the extractor was trained on images of ``train`` or ``holdout``, which
    rules it out for that.
    """

    real: Features
    synthetic: Features
    extractor: str
    train: Features | None = None
    holdout: Features | None = None
    extractor_saw_real: bool = False
    real_families: Families | None = None

    def __post_init__(self) -> None:
        widths = {
            array.shape[1:] for array in (self.real, self.synthetic, self.train, self.holdout) if array is not None
        }
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            raise ValueError(f"expected feature arrays (N, D) of one D; got rows of shape {sorted(widths)}")
        if self.real_families is not None:
            families_of(self.real, self.real_families)


class Metric(Protocol):
    """One question asked of the evidence. ``needs`` says what must be supplied; today all need features."""

    @property
    def needs(self) -> frozenset[Need]:
        """Kinds of input that this metric reads."""
        ...

    def measure(self, evidence: Evidence, *, rng: Stream) -> Sequence[Score]:
        """One or more scores; an undefined one says why instead of raising."""
        ...


@runtime_checkable
class TwoSampleMetric(Protocol):
    """A :class:`Metric` of two sets and nothing else, so that a real-vs-real floor exists for it."""

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The bare figures by score name (None where undefined), without intervals."""
        ...


@dataclass(frozen=True, eq=False)
class Halving:
    """One draw of the floor: rows ``mine`` (n,) of the real images, and m ≤ n others, of the real and the synthetic."""

    mine: NDArray[np.intp]
    other: NDArray[np.intp]
    synthetic: NDArray[np.intp]


@runtime_checkable
class OnePassMetric(TwoSampleMetric, Protocol):
    """A :class:`TwoSampleMetric` whose scores and floors come out of one pass over all images."""

    def measure_with_floor(
        self, evidence: Evidence, halvings: Sequence[Halving]
    ) -> tuple[Sequence[Score], Sequence[tuple[Mapping[str, float | None], Mapping[str, float | None]]]]:
        """The scores, and per halving the :meth:`values` of mine against the other real and the synthetic images."""
        ...


FEATURES: frozenset[Need] = frozenset({"features"})


def families_of(features: Features, families: Families | None) -> NDArray[np.int64]:
    """The family (N,) of every image, numbered from 0; without ``families`` every image is one of its own.

    Raises ``ValueError`` unless there is one for each image.
    """
    if families is None:
        return np.arange(len(features))
    if families.shape != (len(features),):
        raise ValueError(
            f"expected a family for each of {len(features)} real images; got shape {families.shape}; "
            "pass families (N,) in the order of the features"
        )
    return np.asarray(np.unique(families, return_inverse=True)[1], dtype=np.int64)


def as_features(features: Features, what: str, *, at_least: int = 1) -> NDArray[np.float64]:
    """These features as float64 (N, D).

    Raises ``ValueError`` unless they are finite, two-dimensional and at least ``at_least`` rows.
    """
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"expected {what} features as (N, D); got shape {array.shape}; flatten each image's features")
    if len(array) < at_least:
        raise ValueError(f"expected at least {at_least} {what} images; got {len(array)}; supply more")
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise ValueError(f"expected finite {what} features; got NaN or infinity in {rows.size} rows, first {rows[0]}")
    return array


def blocks(total: int, block: int) -> Iterator[slice]:
    """Slices of at most ``block`` rows that cover ``total`` rows."""
    return (slice(start, min(start + block, total)) for start in range(0, total, block))


def mean_of(features: Features, what: str, *, block: int = 4096) -> NDArray[np.float64]:
    """Mean (D,) of (N, D) features, read in blocks."""
    if not len(features):
        raise ValueError(f"expected at least one {what} image; got none")
    return np.asarray(sum(as_features(part, what).sum(axis=0) for part in passing(features, block))) / len(features)


def wilson_interval(successes: float, trials: float, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (Wilson 1927), which stays inside [0, 1].

    >>> [round(x, 3) for x in wilson_interval(5, 10)]
    [0.237, 0.763]
    """
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return float(min(max(centre - half, 0.0), share)), float(max(min(centre + half, 1.0), share))
