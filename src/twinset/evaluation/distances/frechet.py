"""Fréchet distance between two sets of features, each summarised by mean and covariance.

FD = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½   (Dowson and Landau 1982; Heusel et al. 2017, eq. 6)

The last trace is computed on one of two exact routes, in float64, whichever costs less:

* primal, for N ≫ D: Σ₁ = LLᵀ, then the sum of root eigenvalues of the symmetric LᵀΣ₂L;
* dual, for small N: with centred features X (n, D) and Y (m, D) it is the nuclear norm of
  XYᵀ / √((n−1)(m−1)), an n × m matrix whatever D is.

At small N the distance of two equal distributions is far above 0: read it beside its real-vs-real floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.evaluation.mapped import passing
from twinset.evaluation.protocol import FEATURES, Evidence, Families, Features, Need, as_features, blocks, families_of
from twinset.randomness import Stream
from twinset.scores import Interval, Score
from twinset.threads import torch_threads

NAME = "frechet_distance"
COVERAGE = ".88–.99 simulated (four laws, equal and apart, N = 100 and 1,000, D = 32)"
"""How often the nominal 95 % interval held the expectation: ``benchmarks/interval_coverage.py``, 2,000 repetitions. The
low end are skewed mixtures and a lost mode at N = 100."""

ONE_THREAD = 1000
"""Matrices of up to so many rows or columns are factorised on one thread; 200 times faster on a busy machine."""
Route = Literal["primal", "dual"]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (D,) and scatter Σᵢ(xᵢ−x̄)(xᵢ−x̄)ᵀ (D, D) of ``count`` feature vectors, float64; merged in any order."""

    count: int
    mean: Array
    scatter: Array

    @staticmethod
    def of(features: Features, *, what: str = "given", block: int = 4096) -> Moments:
        """Moments of (N, D) features, read ``block`` rows at a time; ``what`` names them in errors."""
        return Moments.stream(passing(features, block), what=what)

    @staticmethod
    def stream(parts: Iterable[Features], *, what: str = "given") -> Moments:
        """Moments of all rows of all parts; memory holds one part."""
        total: Moments | None = None
        for each in parts:
            rows = as_features(each, what)
            mean = rows.mean(axis=0)
            centred = rows - mean
            part = Moments(len(rows), mean, centred.T @ centred)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError(f"expected {what} features; got none")
        return total

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += np.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, self.mean + shift * (other.count / count), scatter)

    @property
    def covariance(self) -> Array:
        """(D, D) unbiased covariance; needs at least two vectors."""
        if self.count < 2:
            raise ValueError(f"expected at least 2 images for a covariance; got {self.count}")
        return self.scatter / (self.count - 1)


def frechet_from_moments(real: Moments, synthetic: Moments) -> float:
    """The Fréchet distance of two summaries, by the primal route. Symmetric, ≥ 0."""
    if real.mean.shape != synthetic.mean.shape:
        raise ValueError(f"expected features of one D; got {real.mean.shape[0]} and {synthetic.mean.shape[0]}")
    first, second = real.covariance, synthetic.covariance
    factor = _factor(first)
    roots = np.sqrt(_cut_noise(_eigenvalues(_sandwich(factor, second))))
    return _assemble(real.mean - synthetic.mean, np.trace(first) + np.trace(second), roots)


def frechet_value(real: Features, synthetic: Features, *, route: Route | None = None) -> float:
    """The bare Fréchet distance of (N, D) and (M, D) features; ``route`` None picks the cheaper one."""
    chosen = route or cheaper_route(len(real), len(synthetic), real.shape[1])
    if chosen == "primal":
        return frechet_from_moments(Moments.of(real, what="real"), Moments.of(synthetic, what="synthetic"))
    first, second, shift = _centred(real, synthetic)
    kernel = torch.from_numpy(_cross_kernel(first, second))
    with torch_threads(_threads_for(kernel)):
        roots = torch.linalg.svdvals(kernel).numpy()
    return _assemble(shift, _total_variance(first) + _total_variance(second), roots)


def cheaper_route(n: int, m: int, dimension: int) -> Route:
    """The route with fewer floating-point operations for n and m images of ``dimension`` features.

    >>> cheaper_route(500, 500, 2048), cheaper_route(10_000, 10_000, 2048)
    ('dual', 'primal')
    """
    dual = 2 * n * m * dimension + 4 * max(n, m) * min(n, m) ** 2
    primal = (n + m) * dimension**2 + 6 * dimension**3
    return "dual" if dual < primal else "primal"


def frechet_distance(
    real: Features,
    synthetic: Features,
    *,
    extractor: str | None = None,
    route: Route | None = None,
    families: tuple[Families | None, Families | None] = (None, None),
) -> Score:
    """The Fréchet distance of real (N, D) and synthetic (M, D) features with a 95 % interval; lower is better.

    The interval is the delta method's: the influence of every image on the distance, whose variance over N
    is the squared standard error. It is about the expectation of this estimator at this N (which is biased
    upwards), not about N = ∞. A percentile bootstrap would be wrong here: resampling adds its own bias.
    ``families`` (N,), (M,) say which images belong together, such as objects of one picture: their influences are
    added up before. Undefined for fewer than two images or families on either side.

    >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> round(float(frechet_distance(x, x + [3.0, 4.0]).value), 6)
    25.0
    """
    n, m, dimension = len(real), len(synthetic), real.shape[1]
    counts = {"real": n, "synthetic": m}
    if min(n, m) < 2:
        reason = f"a covariance needs at least 2 images on each side; got {n} real and {m} synthetic"
        return Score(NAME, None, False, counts, undefined_because=reason, extractor=extractor)
    kin = families_of(real, families[0]), families_of(synthetic, families[1])
    if min(int(each.max()) for each in kin) < 1:
        reason = "an interval needs images of at least 2 families on each side; got those of one"
        return Score(NAME, None, False, counts, undefined_because=reason, extractor=extractor)
    chosen = route or cheaper_route(n, m, dimension)
    value, influences = frechet_influences(real, synthetic, route=chosen)
    error = _standard_error(influences, kin)
    warnings: tuple[str, ...] = ()
    if min(n, m) < 5 * dimension:
        warnings = (
            f"Fréchet distance of {min(n, m)} images in {dimension} dimensions (fewer than 5 per dimension): "
            "mostly bias, read it against the floor only",
        )
    return Score(
        NAME,
        value,
        False,
        counts,
        interval=Interval(max(0.0, value - 1.96 * error), value + 1.96 * error),
        extractor=extractor,
        settings={
            "dimension": dimension,
            "dtype": "float64",
            "route": chosen,
            "estimator": "plug-in",
            "standard_error": error,
            "interval": "delta method, about the estimator's expectation at this N",
            "interval_coverage": COVERAGE,
        },
        warnings=warnings,
    )


def frechet_influences(
    real: Features, synthetic: Features, *, route: Route | None = None
) -> tuple[float, tuple[Array, Array]]:
    """The distance of (N, D) and (M, D) features, and the first-order influence of every image on it: (N,) and (M,).

    Influences are up to a constant on each side; their variances over N and M sum to the squared standard error.
    """
    chosen = route or cheaper_route(len(real), len(synthetic), real.shape[1])
    return (_primal if chosen == "primal" else _dual)(real, synthetic)


@dataclass(frozen=True)
class FrechetDistance:
    """:func:`frechet_distance` as a metric."""

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """One score, ``frechet_distance``."""
        return [frechet_distance(evidence.real, evidence.synthetic, extractor=evidence.extractor)]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The distance without its interval."""
        return {NAME: frechet_value(real, synthetic) if min(len(real), len(synthetic)) >= 2 else None}


def _assemble(shift: Array, total_variance: float, roots: Array) -> float:
    # Rounding can leave a few 1e-13 of the trace below zero when both sets are equal.
    return float(max(0.0, shift @ shift + total_variance - 2.0 * roots.sum()))


def _centred(real: Features, synthetic: Features) -> tuple[Array, Array, Array]:
    first, second = as_features(real, "real", at_least=2), as_features(synthetic, "synthetic", at_least=2)
    means = first.mean(axis=0), second.mean(axis=0)
    return first - means[0], second - means[1], means[0] - means[1]


def _total_variance(centred: Array) -> float:
    return float(np.einsum("ij,ij->", centred, centred)) / (len(centred) - 1)


def _cross_kernel(first: Array, second: Array) -> Array:
    kernel: Array = first @ second.T
    kernel /= np.sqrt((len(first) - 1.0) * (len(second) - 1.0))
    return kernel


def _threads_for(kernel: torch.Tensor) -> int:
    """One for a small matrix: threads meet thousands of times in its factorisation, for little work each time."""
    return 1 if min(kernel.shape) <= ONE_THREAD else torch.get_num_threads()


def _factor(covariance: Array) -> Array:
    """L (D, r) with LLᵀ = Σ: Cholesky's, or root eigenvectors where Σ is singular (dead features, N ≤ D)."""
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = _eigenvectors(covariance)
        values = _cut_noise(values)
        return np.asarray(vectors[:, values > 0] * np.sqrt(values[values > 0]))


# PyTorch's factorisations: at D = 2,048 twice as fast as NumPy's, and they keep to PyTorch's thread limit.
def _eigenvalues(symmetric: Array) -> Array:
    return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(symmetric)).numpy())


def _eigenvectors(symmetric: Array) -> tuple[Array, Array]:
    values, vectors = torch.linalg.eigh(torch.from_numpy(symmetric))
    return values.numpy(), vectors.numpy()


def _sandwich(factor: Array, covariance: Array) -> Array:
    product: Array = factor.T @ covariance @ factor
    return (product + product.T) / 2


def _cut_noise(eigenvalues: Array) -> Array:
    """Eigenvalues below rounding become 0: their roots (1e-16 → 1e-8) would otherwise add up."""
    floor = eigenvalues.size * np.finfo(np.float64).eps * max(float(eigenvalues.max(initial=0.0)), 0.0)
    return np.where(eigenvalues > floor, eigenvalues, 0.0)


def _standard_error(influences: tuple[Array, Array], families: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    """Of the sum of two means of N influences (N,), whose families (N,), numbered from 0, are drawn as a whole."""
    total = 0.0
    for values, family in zip(influences, families, strict=True):
        sums = np.bincount(family, weights=values - values.mean())
        total += float(sums @ sums) / len(values) ** 2 * len(sums) / (len(sums) - 1)
    return float(np.sqrt(total))


def _dual(real: Features, synthetic: Features) -> tuple[float, tuple[Array, Array]]:
    """Distance and influences from K = USVᵀ, K = XYᵀ/√((n−1)(m−1)).

    The gradient of FD in Σ₁ is I − A, A the transport map that takes N(0, Σ₁) to N(0, Σ₂), and
    xᵢᵀAxᵢ = (n−1)(USUᵀ)ᵢᵢ because XAXᵀ/(n−1) is the root of KKᵀ. So the influence of xᵢ is
    2(μ₁−μ₂)ᵀxᵢ + ‖xᵢ‖² − (n−1)(USUᵀ)ᵢᵢ, up to a constant.
    """
    first, second, shift = _centred(real, synthetic)
    kernel = torch.from_numpy(_cross_kernel(first, second))
    with torch_threads(_threads_for(kernel)):
        left, roots, right = (part.numpy() for part in torch.linalg.svd(kernel, full_matrices=False))
    influences = (
        2 * first @ shift + _squared_norms(first) - (len(first) - 1) * (left**2 @ roots),
        -2 * second @ shift + _squared_norms(second) - (len(second) - 1) * (roots @ right**2),
    )
    value = _assemble(shift, _total_variance(first) + _total_variance(second), roots)
    return value, influences


def _primal(real: Features, synthetic: Features) -> tuple[float, tuple[Array, Array]]:
    """Distance and influences from Σ₁ = LLᵀ and LᵀΣ₂L = WΛWᵀ.

    A = L⁻ᵀ(LᵀΣ₂L)^½L⁻¹ and its counterpart for Σ₂ is L(LᵀΣ₂L)^−½Lᵀ, so the two quadratic forms are squared
    norms of Λ^¼WᵀL⁻¹x and Λ^−¼WᵀLᵀy.
    """
    moments = Moments.of(real, what="real"), Moments.of(synthetic, what="synthetic")
    covariances = moments[0].covariance, moments[1].covariance
    factor = _factor(covariances[0])
    values, vectors = _eigenvectors(_sandwich(factor, covariances[1]))
    values = _cut_noise(values)
    keep = values > 0
    quarter, basis = values[keep] ** 0.25, vectors[:, keep]
    to_root = (np.linalg.pinv(factor) if factor.shape[1] < factor.shape[0] else _inverse_lower(factor)).T @ basis
    to_root *= quarter
    from_root = factor @ basis / quarter
    shift = moments[0].mean - moments[1].mean
    influences = (
        _influences(real, moments[0].mean, 2 * shift, to_root),
        _influences(synthetic, moments[1].mean, -2 * shift, from_root),
    )
    total = float(np.trace(covariances[0]) + np.trace(covariances[1]))
    return _assemble(shift, total, np.sqrt(values)), influences


def _inverse_lower(factor: Array) -> Array:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(factor, np.eye(len(factor)), lower=True))


def _influences(features: Features, mean: Array, slope: Array, transport: Array, *, block: int = 4096) -> Array:
    parts = []
    for part in blocks(len(features), block):
        rows = np.asarray(features[part], dtype=np.float64) - mean
        parts.append(rows @ slope + _squared_norms(rows) - _squared_norms(rows @ transport))
    return np.concatenate(parts)


def _squared_norms(rows: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))
