"""Intervals of many figures that hold all at once, and intervals under families of images.

Most figures on labelled images are ratios of sums over images: accuracy, the recall of a class, F1, IoU. With
θ = Σaᵢ/Σbᵢ, image i moves it by (aᵢ − θbᵢ)/Σb (linearisation, Särndal et al. 1992, sec. 5.5); images of one family move
it together, so that the standard error is the root of the sum over *families* of squared sums. These influences also
say how figures go together: the largest of their |deviation / error| has the distribution of the maximum of normal
variables of the same correlations (max-T; Gaussian multiplier bootstrap, Chernozhukov et al. 2013), whose 95 %
quantile takes the place of 1.96. It lies between 1.96 and Šidák's value for independent figures.

The interval of a figure in [0, 1] is Wilson's, at that quantile and at the number of trials at which a proportion
would have this error (as for a design effect, Korn and Graubard 1998): a class that is right in all of its 7 images
gets an honest interval, where "value ± error" is a point. For a plain proportion without families it is Wilson's
exactly. With families, Student's t takes the place of the normal. Wilson's interval loses coverage far out in the tails
of very few trials (five classes of 6 images, 88 % share: 88 % of 95), so several figures with fewer than
``FEW`` trials get Clopper and Pearson's (98.7 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import Families, wilson_interval
from twinset.randomness import Stream
from twinset.scores import Interval

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
Joint = Literal["max_t", "bonferroni"]
LEVEL = 0.95
FEW = 10
DRAWS = 20_000
"""Draws of the maximum: its quantile moves by less than .01 between seeds at up to a hundred figures."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """J figures of one set of images, and what each of F families moves them by.

    ``values`` float64 (J,), NaN where there is nothing to count; ``influence`` sparse (F, J), whose columns' root sum
    of squares are the standard errors; ``behind`` int64 (J,) how many families each figure rests on; ``grouped`` says
    that families hold several images, or that the errors were resampled, so that errors themselves are uncertain.
    ``slack`` (J,) is a further error of each figure, independent of all else; none by default.
    """

    values: Array
    influence: csr_array
    behind: NDArray[np.int64]
    grouped: bool = False
    slack: Array | None = None

    @staticmethod
    def ratios(above: Array | csr_array, below: Array | csr_array, *, families: Families | None = None) -> Estimates:
        """Σ above / Σ below of every column: ``above``, ``below`` (N, J) ≥ 0 and ``families`` (N,) (each its own)."""
        from scipy.sparse import csr_array

        summed = [_by_family(csr_array(part, dtype=np.float64), families) for part in (above, below)]
        whole = np.asarray(summed[1].sum(axis=0)).ravel()
        values = np.divide(
            np.asarray(summed[0].sum(axis=0)).ravel(), whole, out=np.full(len(whole), np.nan), where=whole > 0
        )
        scale, centre = 1.0 / np.where(whole > 0, whole, 1.0), np.nan_to_num(values)
        moved = summed[0].multiply(scale[None]) - summed[1].multiply((centre * scale)[None])
        behind = np.asarray((summed[1] > 0).sum(axis=0)).ravel().astype(np.int64)
        return Estimates(values, csr_array(moved), behind, _grouped(families))

    @staticmethod
    def resampled(values: Array, draws: Array, behind: NDArray[np.integer]) -> Estimates:
        """Figures (J,) with ``draws`` (B, J) of them on resampled families; NaN draws (nothing to count) are left out.

        ``behind`` (J,) says on how many families each rests.
        """
        from scipy.sparse import csr_array

        known = np.isfinite(draws)
        count = np.maximum(known.sum(axis=0), 2)
        off = np.where(known, draws - np.where(known, draws, 0.0).sum(axis=0) / count, 0.0)
        return Estimates(values, csr_array(off / np.sqrt(count - 1)), np.asarray(behind, dtype=np.int64), grouped=True)

    @staticmethod
    def influenced(
        values: Array, influence: Array, *, behind: NDArray[np.integer], families: Families | None = None
    ) -> Estimates:
        """Figures (J,) of which image i moves figure j by ``influence`` (N, J); ``behind`` (J,) as in the class."""
        from scipy.sparse import csr_array

        summed = _by_family(csr_array(influence), families)
        return Estimates(values, summed, np.asarray(behind, dtype=np.int64), _grouped(families))

    @staticmethod
    def side_by_side(parts: Sequence[Estimates]) -> Estimates:
        """Figures of the same families next to each other."""
        from scipy.sparse import csr_array, hstack

        return Estimates(
            np.concatenate([part.values for part in parts]),
            csr_array(hstack([part.influence for part in parts])),
            np.concatenate([part.behind for part in parts]),
            any(part.grouped for part in parts),
            np.concatenate([part._slack for part in parts]),
        )

    def take(self, figures: Sequence[int] | NDArray[np.integer]) -> Estimates:
        """These figures alone."""
        rows = np.asarray(figures, dtype=np.int64)
        return Estimates(self.values[rows], self.influence[:, rows], self.behind[rows], self.grouped, self._slack[rows])

    @property
    def errors(self) -> Array:
        """Standard errors (J,)."""
        return np.asarray(np.sqrt(_squares(self.influence) + self._slack**2))

    @property
    def _slack(self) -> Array:
        return np.zeros(len(self.values)) if self.slack is None else self.slack

    def mean(self) -> Estimates:
        """The mean of the defined figures as a single one, with their dependence counted in.

        A figure of 0 or 1 has no error by its influences, however few images it rests on. So half an image more or
        less of each (Agresti and Min 2005) is added to the error of the mean. It rests on as many families as Welch
        and Satterthwaite's degrees of freedom say: a rare class of a large error is what makes it uncertain.
        """
        from scipy.sparse import csr_array

        known = np.flatnonzero(np.isfinite(self.values))
        if not len(known):
            return Estimates(np.full(1, np.nan), csr_array((1, 1)), np.zeros(1, dtype=np.int64), self.grouped)
        moved = self.influence[:, known].sum(axis=1) / len(known)
        together = csr_array(np.asarray(moved).reshape(-1, 1))
        behind = np.array([resting(self.errors[known], self.behind[known])])
        half = np.hypot(self._slack[known], 0.5 / np.maximum(self.behind[known], 1))
        slack = np.array([np.linalg.norm(half) / len(known)])
        return Estimates(self.values[known].mean(keepdims=True), together, behind, self.grouped, slack)

    def critical(self, *, joint: Joint = "max_t", rng: Stream | None = None) -> float:
        """How many standard errors all defined figures at once stay within, with 95 % confidence.

        ``max_t`` with several figures draws, and needs ``rng``; ``bonferroni`` takes no account of their dependence.
        """
        from scipy.special import ndtri

        known = np.flatnonzero(np.isfinite(self.values))
        count = max(1, len(known))
        if count == 1 or joint == "bonferroni":
            return float(ndtri(1 - (1 - LEVEL) / (2 * count)))
        if rng is None:
            raise ValueError(f"expected rng to draw the maximum of {count} figures; got None; pass a Stream")
        bound = float(ndtri((1 + LEVEL ** (1 / count)) / 2))
        part = self.take(known)
        return min(bound, float(np.quantile(_maxima(part.influence, part.errors, rng), LEVEL)))

    def share_intervals(self, *, joint: Joint = "max_t", rng: Stream | None = None) -> list[Interval | None]:
        """Simultaneous 95 % intervals of figures in [0, 1]; None where a figure is undefined."""
        critical, errors = self.critical(joint=joint, rng=rng), self.errors
        several = int(np.isfinite(self.values).sum()) > 1
        found: list[Interval | None] = []
        for value, error, behind in zip(self.values, errors, self.behind, strict=True):
            if not np.isfinite(value):
                found.append(None)
                continue
            spread = value * (1 - value)
            trials = spread / error**2 if error > 0 and spread > 1e-12 else float(behind)
            low, high = _share_interval(float(value), trials, self._quantile(critical, int(behind)), several=several)
            found.append(Interval(min(low, float(value)), max(high, float(value))))
        return found

    def mean_intervals(self, *, joint: Joint = "max_t", rng: Stream | None = None) -> list[Interval | None]:
        """Simultaneous 95 % intervals of unbounded figures, value ± t · error; None where fewer than two families."""
        from scipy.special import ndtr, stdtrit

        critical, errors = self.critical(joint=joint, rng=rng), self.errors
        found: list[Interval | None] = []
        for value, error, behind in zip(self.values, errors, self.behind, strict=True):
            if not np.isfinite(value) or behind < 2:
                found.append(None)
                continue
            half = float(stdtrit(behind - 1, ndtr(critical)) * error * np.sqrt(behind / (behind - 1)))
            found.append(Interval(float(value) - half, float(value) + half))
        return found

    def largest_difference(self, *, joint: Joint = "max_t", rng: Stream) -> tuple[float, Interval, float]:
        """The largest minus the smallest figure, its 95 % interval, and the standard error of that difference.

        Intervals of all pairwise differences that hold at once say how far apart two figures are at least, and at
        most; so the picking of the two is accounted for. All figures must be defined, two or more.
        """
        from scipy.sparse import csr_array

        first, second = np.triu_indices(len(self.values), k=1)
        doubt = (0.5 / self.behind) ** 2 + self._slack**2
        pairs = Estimates(
            self.values[first] - self.values[second],
            csr_array(self.influence[:, first] - self.influence[:, second]),
            np.minimum(self.behind[first], self.behind[second]),
            self.grouped,
            # Half an image more or less on either side, lest 7 of 7 and 9 of 9 differ by exactly 0.
            np.sqrt(doubt[first] + doubt[second]),
        )
        critical = pairs.critical(joint=joint, rng=rng)
        half = np.array([pairs._quantile(critical, int(n)) for n in pairs.behind]) * pairs.errors
        size = np.abs(pairs.values)
        widest = int(size.argmax())
        low, high = max(0.0, float((size - half).max())), min(1.0, float((size + half).max()))
        return float(size[widest]), Interval(min(low, float(size[widest])), high), float(pairs.errors[widest])

    def _quantile(self, critical: float, behind: int) -> float:
        if not self.grouped:
            return critical
        from scipy.special import ndtr, stdtrit

        if behind < 2:
            return float("inf")
        return float(stdtrit(behind - 1, ndtr(critical)) * np.sqrt(behind / (behind - 1)))


def resting(errors: Array, behind: NDArray[np.integer]) -> int:
    """On how many families a sum of figures rests, of these ``errors`` (J,) and families (J,): Satterthwaite 1946.

    >>> resting(np.array([1.0, 1.0]), np.array([11, 11])), resting(np.array([1.0, 0.01]), np.array([3, 500]))
    (21, 3)
    """
    parts = np.sum(errors**4 / np.maximum(behind - 1, 1e-9))
    return 1 + int(np.sum(errors**2) ** 2 / parts + 1e-9) if parts > 0 else int(behind.max(initial=1))


def checked_families(families: Families | None, count: int) -> Families | None:
    """``families`` if there is one for each of ``count`` images; ``ValueError`` otherwise."""
    if families is not None and families.shape != (count,):
        raise ValueError(f"expected a family for each of {count} images; got shape {families.shape}")
    return families


def one_hot(columns: NDArray[np.integer], count: int, *, where: NDArray[np.bool_] | None = None) -> csr_array:
    """Sparse (N, ``count``): a one in column ``columns[i]`` of row i, for those rows ``where`` it holds."""
    from scipy.sparse import csr_array

    rows = np.arange(len(columns)) if where is None else np.flatnonzero(where)
    return csr_array((np.ones(len(rows)), (rows, columns[rows])), shape=(len(columns), count))


def _grouped(families: Families | None) -> bool:
    return families is not None and len(np.unique(families)) < len(families)


def _by_family(terms: csr_array, families: Families | None) -> csr_array:
    if families is None:
        return terms
    checked_families(families, terms.shape[0])
    _, family = np.unique(families, return_inverse=True)
    return one_hot(family, int(family.max()) + 1 if len(family) else 0).T @ terms


def _squares(influence: csr_array) -> Array:
    return np.asarray(influence.multiply(influence).sum(axis=0)).ravel()


def _share_interval(value: float, trials: float, z: float, *, several: bool) -> tuple[float, float]:
    from scipy.special import betaincinv, ndtr

    if not np.isfinite(z) or trials < 1:
        return 0.0, 1.0
    if not several or trials >= FEW:
        return wilson_interval(value * trials, trials, z=z)
    # Two families push z so far out that betaincinv gives NaN; it bounds nothing there.
    tail, right = max(float(ndtr(-z)), 1e-60), value * trials
    low = float(betaincinv(right, trials - right + 1, tail)) if right > 0 else 0.0
    return low, float(betaincinv(right + 1, trials - right, 1 - tail)) if right < trials else 1.0


def _maxima(influence: csr_array, errors: Array, rng: Stream) -> Array:
    """(DRAWS,) of max |normal| with the correlations of the columns (F, J).

    The part of ``errors`` (J,) that is not in the columns is independent; so are figures without any error.
    """
    from scipy.special import ndtri

    generator = rng.numpy()
    moving = np.flatnonzero(errors > 0)
    still = len(errors) - len(moving)
    largest = np.zeros(DRAWS)
    if len(moving):
        root = _root(influence[:, moving].multiply(1 / errors[moving][None]).tocsr())
        alone = np.sqrt(np.maximum(0.0, 1 - (root**2).sum(axis=0)))
        step = max(1, (1 << 22) // max(root.shape))
        for start in range(0, DRAWS, step):
            size = min(step, DRAWS - start)
            normal = generator.standard_normal((size, root.shape[0])) @ root
            normal += generator.standard_normal((size, len(moving))) * alone
            largest[start : start + step] = np.abs(normal).max(axis=1)
    if still:
        uniform = generator.random(DRAWS) ** (1 / still)
        largest = np.maximum(largest, ndtri((1 + uniform) / 2))
    return largest


def _root(scaled: csr_array) -> Array:
    """(K, J) with the same KᵀK as the columns of ``scaled`` (F, J), K the smaller of F and J."""
    if scaled.shape[0] <= scaled.shape[1]:
        return np.asarray(scaled.toarray())
    values, vectors = np.linalg.eigh((scaled.T @ scaled).toarray())
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)
