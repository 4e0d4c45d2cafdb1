"""Shape curation: which shapes of a generator give objects unlike the real ones.

Every object has a score, its distance from the real objects of its class
(:class:`~twinset.alignment.object_density.ObjectDensity`), and the id of the shape it was made from. Shapes whose mean
score lies apart from that of the other shapes of the class are dropped (the 2023 thesis *Minimizing Gaps Between
Synthetic and Real Datasets* dropped the two worst of a class).

Of 60 equal shapes the worst looks bad by chance. So a shape goes only if both hold:

- its mean lies, by a standard error, above the *line*: some robust deviations of true shape means above what is
  *usual*, the median of the shapes; or somewhat above the elbow of the sorted means;
- its *simultaneous* lower bound lies above the usual, and so do more than half of its objects. The bounds of all shapes
  of a class hold together with probability 1 − ``error_rate``: their width comes from permuting the scores among the
  shapes and taking the largest statistic (Westfall and Young 1993). Where all shapes are equal, any is dropped in at
  most so many runs.

The median is a good judge of the usual as long as most shapes are. The elbow is for a family of which most may be bad:
what comes before the curve of sorted means turns up is usual, however few; where no interval excludes the median,
though, no shape differs from the others, and all stay.

The objects of one shape in one picture share its light and noise, and count as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.density import elbow
from twinset.choices import check_choices
from twinset.randomness import RandomSource, Stream

Floats = NDArray[np.float64]

PERMUTATIONS = 999
PRIOR_OBJECTS = 10
"""A shape's own variance counts as much as the pooled one when it has so many objects more than one."""

MEDIAN_CHI_SQUARE = 0.454936
"""The median of a squared standard normal variable."""


@dataclass(frozen=True)
class Curation:
    """When a shape is dropped.

    ``rule``: the line is ``deviations`` robust deviations above the median shape, or lies at the elbow of the sorted
    means; in both cases at least the share ``least_excess`` above what is usual. ``fewest``: objects (pictures that
    show it) below which a shape stays. Of a class at most the share ``most_dropped`` of its shapes go, the worst ones.
    """

    rule: Literal["deviations", "elbow"] = "deviations"
    deviations: float = 2.5
    least_excess: float = 0.1
    error_rate: float = 0.05
    fewest: int = 5
    most_dropped: float = 0.25

    def __post_init__(self) -> None:
        check_choices(self)
        if not (0 < self.deviations < np.inf and 0 <= self.least_excess < np.inf):
            raise ValueError(f"expected deviations > 0 and least_excess ≥ 0; got {self}")
        if not 0.002 <= self.error_rate < 0.5 or self.fewest < 2 or not 0 < self.most_dropped <= 0.9:
            raise ValueError(
                f"expected error_rate in 0.002…0.5, fewest ≥ 2 and most_dropped above 0 and at most 0.9; got {self}"
            )


@dataclass(frozen=True)
class ShapeScore:
    """One shape: how many ``objects`` it was judged by, their mean score with its simultaneous interval.

    ``apart`` says that it meets the rule, ``dropped`` that it goes: of those apart not all may.
    """

    class_name: str
    shape_id: str
    objects: int
    mean: float
    low: float
    high: float
    apart: bool
    dropped: bool


@dataclass(frozen=True)
class Line:
    """What the shapes of a class were judged by.

    ``usual`` is the weighted median of the means, or their elbow; ``spread`` the robust deviation of the true means,
    ``line`` what a mean must exceed, ``critical`` the half width of the intervals in standard errors.
    """

    usual: float
    spread: float
    line: float
    critical: float


@dataclass(frozen=True)
class Curated:
    """All shapes that were seen, class by class, the worst first; the lines by class; whole sentences."""

    shapes: tuple[ShapeScore, ...]
    lines: Mapping[str, Line]
    remarks: tuple[str, ...]

    @property
    def dropped(self) -> dict[str, tuple[str, ...]]:
        """Ids of the shapes that go, by class; what :meth:`twinset.stages.Curatable.without` takes."""
        return self._ids(dropped=True)

    @property
    def kept(self) -> dict[str, tuple[str, ...]]:
        """Ids of the shapes that were seen and stay, by class."""
        return self._ids(dropped=False)

    def _ids(self, *, dropped: bool) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for shape in self.shapes:
            if shape.dropped == dropped:
                found[shape.class_name] = (*found.get(shape.class_name, ()), shape.shape_id)
        return found


def curate(
    scores: Floats,
    shapes: Sequence[str],
    *,
    settings: Curation,
    rng: RandomSource,
    classes: Sequence[str] | None = None,
    pictures: Sequence[int] | NDArray[np.integer] | None = None,
) -> Curated:
    """Which shapes go, by the ``scores`` (M,) of their objects (larger is worse, all finite).

    ``shapes``, ``classes`` and ``pictures`` (M) name the shape, the class and the picture of each object; without
    classes all are of one, called ``""``, and without pictures every object has its own. ``ValueError`` for lengths
    that differ, or scores that are not finite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    names = [""] * len(scores) if classes is None else list(classes)
    at = np.arange(len(scores)) if pictures is None else np.asarray(pictures)
    if not len(scores) == len(shapes) == len(names) == len(at) or scores.ndim != 1:
        raise ValueError(
            f"expected one shape, class and picture for each of {scores.shape} scores; got {len(shapes)}, "
            f"{len(names)} and {len(at)}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores; got {int((~np.isfinite(scores)).sum())} others; leave these out")
    stream = Stream.of(rng)
    found: list[ShapeScore] = []
    lines: dict[str, Line] = {}
    remarks: list[str] = []
    labels, ids = np.array(names, dtype=object), np.array(shapes, dtype=object)
    for name in sorted(set(names)):
        mine = labels == name
        one, line = _of_class(name, scores[mine], ids[mine], at[mine], settings, stream.child("curate", name).numpy())
        found += one
        lines[name] = line
        remarks += _remarks(name, one, line, settings)
    return Curated(tuple(found), MappingProxyType(lines), tuple(remarks))


@dataclass(frozen=True, eq=False)
class _Units:
    """Scores (U,) of shapes in pictures, and the shape (U,) of each, as a number below ``shapes``."""

    scores: Floats
    groups: NDArray[np.int64]
    shapes: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """(G,) units of each shape, at least 1."""
        return np.bincount(self.groups, minlength=self.shapes).astype(np.int64)

    def moments(self, scores: Floats) -> tuple[Floats, Floats]:
        """(G,) means of shapes and their standard errors, variances moderated by the pooled one.

        A shape's variance is its own with n − 1 degrees of freedom and the pooled one with ``PRIOR_OBJECTS``
        (as Smyth 2004 does for genes, with a fixed prior).
        """
        counts = self.counts.astype(np.float64)
        means = np.bincount(self.groups, scores, self.shapes) / counts
        squares = np.bincount(self.groups, (scores - means[self.groups]) ** 2, self.shapes)
        pooled = squares.sum() / max(len(scores) - self.shapes, 1)
        own = (PRIOR_OBJECTS * pooled + squares) / (PRIOR_OBJECTS + counts - 1)
        return means, np.sqrt(np.maximum(own, 1e-18) / counts)


def _of_class(
    name: str,
    scores: Floats,
    ids: NDArray[np.object_],
    pictures: NDArray[np.integer],
    settings: Curation,
    draws: np.random.Generator,
) -> tuple[list[ShapeScore], Line]:
    """The shapes of one class, the worst first."""
    known, groups = np.unique(ids.astype(str), return_inverse=True)
    units = _units(scores, groups, pictures, len(known))
    means, errors = units.moments(units.scores)
    testable = units.counts >= settings.fewest
    centre = weighted_median(means, units.counts)
    spread = true_spread(means - centre, errors)
    critical = _critical(units, testable, settings, draws)
    usual, line = centre, centre + settings.deviations * spread
    if settings.rule == "elbow" and (np.abs(means - centre)[testable] > critical * errors[testable]).any():
        usual = line = elbow(np.sort(means[testable]))
    line = max(line, usual * (1 + settings.least_excess))
    most = np.bincount(units.groups, units.scores > usual, units.shapes) > units.counts / 2
    out = testable & most & (means - errors > line) & (means - critical * errors > usual)
    order = np.argsort(-means, kind="stable")
    allowed = min(int(settings.most_dropped * len(known)), len(known) - 1)
    gone = set([g for g in order.tolist() if out[g]][:allowed])
    found = [
        ShapeScore(
            name,
            str(known[g]),
            int(units.counts[g]),
            float(means[g]),
            float(means[g] - critical * errors[g]),
            float(means[g] + critical * errors[g]),
            bool(out[g]),
            g in gone,
        )
        for g in order.tolist()
    ]
    return found, Line(usual, spread, line, critical)


def _units(scores: Floats, groups: NDArray[np.integer], pictures: NDArray[np.integer], shapes: int) -> _Units:
    """One mean score for every shape in every picture."""
    _, of = np.unique(pictures, return_inverse=True)
    pairs, where = np.unique(groups.astype(np.int64) * (int(of.max()) + 1) + of, return_inverse=True)
    means = np.bincount(where, scores) / np.bincount(where)
    return _Units(means, pairs // (int(of.max()) + 1), shapes)


def _critical(units: _Units, testable: NDArray[np.bool_], settings: Curation, draws: np.random.Generator) -> float:
    """Half width of simultaneous intervals in standard errors: a quantile of the largest statistic if all are equal."""
    if not testable.any() or len(units.scores) <= units.shapes:
        return float("inf")
    largest = np.empty(PERMUTATIONS)
    for number in range(PERMUTATIONS):
        means, errors = units.moments(draws.permutation(units.scores))
        centre = weighted_median(means, units.counts)
        statistics = ((means - centre) / errors)[testable]
        largest[number] = (np.abs(statistics) if settings.rule == "elbow" else statistics).max()
    rank = int(np.ceil((1 - settings.error_rate) * (PERMUTATIONS + 1))) - 1
    return max(float(np.sort(largest)[min(rank, PERMUTATIONS - 1)]), 0.0)


def weighted_median(values: Floats, weights: NDArray[np.integer]) -> float:
    """The least value at or below which at least half of the weight lies.

    >>> weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1, 1, 5]))
    2.0
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(below, below[-1] / 2))]])


def true_spread(deviations: Floats, errors: Floats) -> float:
    """The deviation τ of true means behind measured ``deviations`` (G,) with standard ``errors`` (G,).

    It solves median(d² / (τ² + e²)) = median of χ²₁; 0 where chance alone explains as much. Up to half of the shapes
    may be anything without moving it far.
    """

    def excess(tau: float) -> float:
        return float(np.median(deviations**2 / (tau**2 + errors**2))) - MEDIAN_CHI_SQUARE

    if len(deviations) < 3 or excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, 2 * float(np.abs(deviations).max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _remarks(name: str, shapes: Sequence[ShapeScore], line: Line, settings: Curation) -> list[str]:
    """What became of the shapes of one class, in whole sentences."""
    of = f" of {name}" if name else ""
    gone = [shape for shape in shapes if shape.dropped]
    few = sum(shape.objects < settings.fewest for shape in shapes)
    left = sum(shape.apart for shape in shapes) - len(gone)
    told = []
    if gone:
        mean = float(np.mean([shape.mean for shape in gone]))
        told.append(
            f"{len(gone)} of {len(shapes)} shapes{of} were dropped: the mean distance of their objects from real ones "
            f"is {mean:.2f}, that of a usual shape {line.usual:.2f}."
        )
    elif not left:
        told.append(f"None of {len(shapes)} shapes{of} is farther from real objects than the others, beyond chance.")
    if left:
        told.append(
            f"{left} {'more ' if gone else ''}of {len(shapes)} shapes{of} {'is' if left == 1 else 'are'} farther from "
            f"real objects than the others, beyond chance, and {'stays' if left == 1 else 'stay'}: no more than "
            f"{settings.most_dropped:.0%} go. When so many are apart, the family suits the class badly."
        )
    if few:
        told.append(f"{few} shapes{of} were seen fewer than {settings.fewest} times, too few to judge them.")
    return told
