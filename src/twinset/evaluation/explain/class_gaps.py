"""Which classes the twin misses: Fréchet distance, kernel distance and coverage of each, against chance.

Chance is what these figures are when the labels *real* and *synthetic* are permuted within the class: the same
numbers of images, so the same bias, but no difference. Its mean is the floor of that class, at its own N. (The
pool holds the synthetic images too; where they are far off, so is this floor from a real-vs-real one, and upwards.)

Twenty classes by three figures are sixty looks, of which three are "significant" at 5 % by accident. So each figure is
taken in units of its own mean and spread over the permutations, in the direction of worse, and compared with the
largest of all classes and figures under the same permutation (max-statistic; Westfall and Young 1993): if no
class differs, the chance that any is reported is at most α, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.detectability.permutation import adjusted_p_values, p_value_of
from twinset.evaluation.distances.frechet import frechet_value
from twinset.evaluation.explain.pooled import PooledNeighbours
from twinset.evaluation.explain.regions import SPARE
from twinset.evaluation.protocol import Features, as_features
from twinset.neighbours import nearest
from twinset.randomness import Stream

Figure = Literal["frechet_distance", "kernel_distance", "coverage"]
FIGURES: tuple[Figure, ...] = ("frechet_distance", "kernel_distance", "coverage")
WORSE = np.array([1.0, 1.0, -1.0])
Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ClassGapSettings:
    """``k`` of the balls, the level ``alpha`` over all classes and figures, and at most ``limit`` images a side."""

    k: int = 5
    alpha: float = 0.05
    permutations: int = 199
    limit: int = 200
    shown: int = 8

    def __post_init__(self) -> None:
        if self.k < 1 or self.shown < 1 or self.limit < self.fewest:
            raise ValueError(f"expected k ≥ 1, shown ≥ 1 and limit ≥ {self.fewest}; got {self}")
        if not 0 < self.alpha < 1 or self.permutations < 1 / self.alpha - 1:
            raise ValueError(f"expected 0 < alpha < 1 and at least 1/alpha − 1 permutations; got {self}")

    @property
    def fewest(self) -> int:
        """Images that a class needs on each side."""
        return self.k + SPARE + 2


@dataclass(frozen=True)
class ClassFigure:
    """One figure of one class, its ``floor`` (mean over permuted labels), and the p-values of this figure alone and
    ``adjusted`` for all classes and figures; ``beyond_chance`` says that the latter is at most α."""

    value: float
    floor: float
    p_value: float
    adjusted: float
    beyond_chance: bool


@dataclass(frozen=True, eq=False)
class ClassGap:
    """One class: its ``figures``; the real rows ``uncovered`` and the synthetic rows ``unsupported``, at most ``shown``
    each, the ones farthest from the other set first; and how many images were compared."""

    class_id: int
    figures: dict[Figure, ClassFigure]
    uncovered: Rows
    unsupported: Rows
    real: int
    synthetic: int

    @property
    def beyond_chance(self) -> bool:
        """Whether any figure is."""
        return any(figure.beyond_chance for figure in self.figures.values())


@dataclass(frozen=True, eq=False)
class ClassGaps:
    """Every class that has enough images on both sides; ``too_few`` maps the others to (real, synthetic) counts."""

    gaps: tuple[ClassGap, ...]
    too_few: dict[int, tuple[int, int]]


def class_gaps(
    real: Features,
    synthetic: Features,
    real_classes: NDArray[np.integer],
    synthetic_classes: NDArray[np.integer],
    *,
    rng: Stream,
    settings: ClassGapSettings | None = None,
) -> ClassGaps:
    """Gaps of every class, worst first, between real (N, D) and synthetic (M, D) of classes (N,), (M,); −1 is left out.

    Classes above ``settings.limit`` images a side are thinned at random to it.
    """
    chosen = settings or ClassGapSettings()
    if real_classes.shape != (len(real),) or synthetic_classes.shape != (len(synthetic),):
        raise ValueError(
            f"expected a class for each of {len(real)} + {len(synthetic)} images; got shapes {real_classes.shape} "
            f"and {synthetic_classes.shape}"
        )
    rows, too_few = _rows_by_class(real_classes, synthetic_classes, chosen, rng)
    parts = {c: (as_features(real[a], "real"), as_features(synthetic[b], "synthetic")) for c, (a, b) in rows.items()}
    tables = {c: _table(*part, chosen, rng.child("class-gaps", c).numpy()) for c, part in parts.items()}
    if not tables:
        return ClassGaps((), too_few)
    adjusted = adjusted_p_values(np.concatenate([table.T * WORSE[:, None] for table in tables.values()]))
    gaps = []
    for position, (number, table) in enumerate(tables.items()):
        mine = adjusted[len(FIGURES) * position :][: len(FIGURES)]
        gaps.append(_gap(number, table, mine, rows[number], parts[number], chosen))
    return ClassGaps(tuple(sorted(gaps, key=_severity)), too_few)


def _rows_by_class(
    real: NDArray[np.integer], synthetic: NDArray[np.integer], settings: ClassGapSettings, rng: Stream
) -> tuple[dict[int, tuple[Rows, Rows]], dict[int, tuple[int, int]]]:
    """Rows of both sides of every class with enough images, at most ``limit`` a side; counts of the other classes."""
    rows: dict[int, tuple[Rows, Rows]] = {}
    too_few: dict[int, tuple[int, int]] = {}
    for number in sorted({*real.tolist(), *synthetic.tolist()} - {-1}):
        sides = np.flatnonzero(real == number), np.flatnonzero(synthetic == number)
        if min(len(side) for side in sides) < settings.fewest:
            too_few[number] = len(sides[0]), len(sides[1])
            continue
        draw = rng.child("class-gaps", "thin", number).numpy()
        first, second = (np.sort(draw.permutation(each)[: settings.limit]) for each in sides)
        rows[number] = (first, second)
    return rows, too_few


def _severity(gap: ClassGap) -> tuple[float, float]:
    return min(f.adjusted for f in gap.figures.values()), min(f.p_value for f in gap.figures.values())


def _table(real: Array, synthetic: Array, settings: ClassGapSettings, draw: np.random.Generator) -> Array:
    """The three figures (1 + permutations, 3), under the true labels first."""
    pooled = np.concatenate([real, synthetic])
    truth = np.arange(len(pooled)) < len(real)
    labels = np.stack([truth, *(draw.permutation(truth) for _ in range(settings.permutations))])
    neighbours = PooledNeighbours.of(real, synthetic, k=settings.k + SPARE)
    alone = np.array([neighbours.among_their_own(each, k=settings.k).sum() for each in labels])
    frechet = np.array([frechet_value(pooled[each], pooled[~each]) for each in labels])
    return np.stack([frechet, _kernel_distances(pooled, labels), 1 - alone / len(real)], axis=1)


def _kernel_distances(pooled: Array, labels: NDArray[np.bool_]) -> Array:
    """Unbiased kernel distance (P,) under every labelling (P, n + m); see :mod:`twinset.evaluation.distances.kid`."""
    kernel = (pooled @ pooled.T / pooled.shape[1] + 1.0) ** 3
    np.fill_diagonal(kernel, 0.0)
    ones = labels.astype(np.float64)
    n = float(ones[0].sum())
    m = len(pooled) - n
    sums = ones @ kernel
    within = (sums * ones).sum(axis=1)
    across = (sums * (1 - ones)).sum(axis=1)
    others = kernel.sum() - within - 2 * across
    return np.asarray(within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * across / (n * m))


def _gap(
    number: int,
    table: Array,
    adjusted: Sequence[float],
    rows: tuple[Rows, Rows],
    parts: tuple[Array, Array],
    settings: ClassGapSettings,
) -> ClassGap:
    figures: dict[Figure, ClassFigure] = {}
    for column, name in enumerate(FIGURES):
        worse = table[:, column] * WORSE[column]
        p_value = p_value_of(worse, tie=1e-9 * max(1e-9, float(np.abs(worse).max())))
        floor = float(table[1:, column].mean())
        value = float(table[0, column])
        figures[name] = ClassFigure(value, floor, p_value, adjusted[column], adjusted[column] <= settings.alpha)
    neighbours = PooledNeighbours.of(*parts, k=settings.k + SPARE)
    real = neighbours.labels()
    missed = np.flatnonzero(neighbours.among_their_own(real, k=settings.k))
    invented = np.flatnonzero(neighbours.among_their_own(~real, k=settings.k)) - len(rows[0])
    return ClassGap(
        number,
        figures,
        rows[0][_farthest(missed, parts[0], parts[1], settings.shown)],
        rows[1][_farthest(invented, parts[1], parts[0], settings.shown)],
        len(rows[0]),
        len(rows[1]),
    )


def _farthest(rows: Rows, own: Array, other: Array, shown: int) -> Rows:
    if not rows.size:
        return rows
    distances = nearest(own[rows], other, k=1)[0][:, 0]
    return rows[np.argsort(-distances, kind="stable")[:shown]]
