"""Vendi score: how many unlike images a set is worth, by the spectrum of its similarities.

Friedman and Dieng 2023, "The Vendi Score", eq. 3; orders q of Pasarkar and Dieng 2024, "Cousins of the Vendi Score".
With cosine similarities K (N, N) of unit vectors and λ the eigenvalues of K/N, which sum to 1, the score is the
exponential of their Rényi entropy of order q:

V_q = (Σ λ^q)^(1/(1−q)),   V₁ = exp(−Σ λ log λ),   V_∞ = 1/max λ

from 1 (all images alike) to min(N, D) (as many orthogonal ones). Small q counts rare kinds of images, large q is
about the most frequent ones.

K/N has the same nonzero eigenvalues as the second moment Σ xᵢxᵢᵀ/N (D, D) of the unit vectors. The smaller of the two
is used; the second one is summed in blocks, so that memory and the D³ of the eigenvalues do not grow with N.

The score needs no real images, and rises with N until N ≫ its own value. So it stands beside the score of as many real
images, and their ratio: below 1, the synthetic set is less diverse. Image noise also is diversity to it.

Cosines are about the origin, as in the paper: features are not centred. What all images share (those of a network that
ends in a ReLU have no negative number) is then similarity, and the share ``mean_cosine`` = 1ᵀK1/N² of the trace lies
in that one direction. Near 1, all scores are near 1 whatever the set shows: a warning says so. A ratio of two such
scores still compares the sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.evaluation.distances.cmmd import directionless, unit
from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, as_features, blocks
from twinset.randomness import Stream
from twinset.scores import Interval, Score

SHARED = 0.5
"""Mean cosine from which on what all images have in common, rather than their variety, makes the score."""

ORDERS = (0.1, 0.5, 1.0, 2.0, float("inf"))
FIRST_WITH_INTERVAL = 1.0
HOW = "delta method, about the estimator's expectation at this N; simulated coverage .94-1 (N >= 3D or order >= 2)"
FEWER = (
    "delta method, about the estimator's expectation at this N; simulated coverage only .86-.94 at N < 3D, order < 2"
)
WITHOUT = "none: below order 1 eigenvalues near 0 decide, where the delta method is off"
Route = Literal["primal", "dual"]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues (r,) > 0 of K/N of ``count`` images, which sum to 1.

    ``influences`` (N, Q) hold, for the orders that were asked for, what every image adds to the entropy, up to a
    constant: ∂entropy/∂λⱼ summed over its squared coordinates on the eigenvectors of the second moment.
    """

    count: int
    eigenvalues: Array
    influences: Array | None = None

    @staticmethod
    def of(
        features: Features,
        *,
        what: str = "given",
        route: Route | None = None,
        influence_of: Sequence[float] = (),
        block: int = 4096,
    ) -> Spectrum:
        """The spectrum of (N, D) features, which are normalised here; ``route`` None takes the smaller matrix.

        Raises ``ValueError`` for no image or an image of zeros.
        """
        chosen = route or ("primal" if len(features) < features.shape[1] else "dual")
        solve = _from_similarities if chosen == "primal" else _from_second_moment
        return solve(features, what, influence_of, block)

    def score(self, order: float) -> float:
        """V_q for ``order`` q ≥ 0, between 1 and the number of eigenvalues.

        >>> spectrum = Spectrum(4, np.array([0.5, 0.25, 0.25]))
        >>> [round(spectrum.score(q), 4) for q in (0, 1, 2, float("inf"))]
        [3.0, 2.8284, 2.6667, 2.0]
        """
        if not order >= 0:
            raise ValueError(f"expected an order q ≥ 0; got {order}; use 1 for the Vendi score")
        values = self.eigenvalues
        if order == 1:
            return float(np.exp(-(values * np.log(values)).sum()))
        if np.isinf(order):
            return float(1 / values.max())
        return float(np.exp(np.log((values**order).sum()) / (1 - order)))

    def relative_errors(self) -> Array:
        """Delta-method standard errors (Q,) of V_q over V_q, which are those of the entropies."""
        if self.influences is None:
            raise ValueError("expected a spectrum with influences; got none; pass influence_of to Spectrum.of")
        return np.asarray(self.influences.std(axis=0, ddof=1) / self.count**0.5)


def vendi_score(features: Features, *, order: float = 1.0, route: Route | None = None, block: int = 4096) -> float:
    """The bare Vendi score of order q of one set of (N, D) features, in [1, min(N, D)].

    >>> round(vendi_score(np.array([[2.0, 0.0], [0.0, 5.0], [0.0, 1.0], [3.0, 0.0]])), 6)
    2.0
    """
    return Spectrum.of(features, route=route, block=block).score(order)


def vendi(
    real: Features,
    synthetic: Features,
    *,
    rng: Stream,
    orders: Sequence[float] = ORDERS,
    extractor: str | None = None,
    block: int = 4096,
) -> list[Score]:
    """For every order q: ``vendi_q…`` of all synthetic (M, D), and ``vendi_ratio_q…`` to real (N, D); higher is better.

    The score of all real images stands in the settings. The ratio is at equal N: of the larger set as many images are
    drawn as the smaller one has. Its interval (95 %) is the delta method's, about the expectation at this N. On
    Gaussian, decaying and clustered laws, N = 50–1,000, D = 32–128, it held that in 94–100 % of draws (order 1 and
    N < 3D: 86–94 %, the settings say so). Orders below 1 weigh eigenvalues near 0, where coverage fell to .11: they
    have none. Undefined for fewer than two images on either side and where an image has features of zeros.
    """
    reason = _missing(real, synthetic)
    if reason:
        counts = {"real": len(real), "synthetic": len(synthetic)}
        return [
            Score(name, None, True, counts, undefined_because=reason, extractor=extractor)
            for order in orders
            for name in _names(order)
        ]
    equal = [Spectrum.of(part, influence_of=orders, block=block) for part in _equal(real, synthetic, rng)]
    full = [
        drawn if drawn.count == len(each) else Spectrum.of(each, what=what, block=block)
        for drawn, each, what in zip(equal, (real, synthetic), ("real", "synthetic"), strict=True)
    ]
    errors = np.hypot(*(each.relative_errors() for each in equal))
    alike = mean_cosine(synthetic, what="synthetic", block=block)
    shared: dict[str, str | int | float] = {
        "kernel": "cosine, features not centred",
        "mean_cosine": alike,
        "dimension": real.shape[1],
        "dtype": "float64",
    }
    return [
        score
        for order, error in zip(orders, errors, strict=True)
        for score in _scores(order, full, equal, float(error), shared, extractor)
    ]


@dataclass(frozen=True)
class Vendi:
    """:func:`vendi` as a metric."""

    orders: tuple[float, ...] = ORDERS

    def __post_init__(self) -> None:
        if not self.orders or not all(order > 0 for order in self.orders):
            raise ValueError(f"expected orders q > 0; got {self.orders}; use (1.0,) for the Vendi score alone")

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:
        """Two scores for every order."""
        return vendi(evidence.real, evidence.synthetic, rng=rng, orders=self.orders, extractor=evidence.extractor)

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The ratios at equal N, of which alone there is a floor: the scores themselves need no real images."""
        names = {order: _names(order)[1] for order in self.orders}
        if _missing(real, synthetic):
            return dict.fromkeys(names.values())
        first, second = (Spectrum.of(part) for part in _equal(real, synthetic, Stream(0)))
        return {name: second.score(order) / first.score(order) for order, name in names.items()}


def mean_cosine(features: Features, *, what: str = "given", block: int = 4096) -> float:
    """Mean cosine of all pairs of (N, D) features, of an image with itself too: 1 where all point the same way.

    >>> mean_cosine(np.array([[2.0, 0.0], [0.0, 5.0]]))
    0.5
    """
    total = sum(unit(as_features(features[part], what)).sum(axis=0) for part in blocks(len(features), block))
    mean = np.asarray(total) / len(features)
    return float(mean @ mean)


def _names(order: float) -> tuple[str, str]:
    return f"vendi_q{order:g}", f"vendi_ratio_q{order:g}"


def _missing(real: Features, synthetic: Features) -> str:
    if min(len(real), len(synthetic)) < 2:
        return f"needs at least 2 images on each side; got {len(real)} real and {len(synthetic)} synthetic"
    zeros = directionless(real, "real"), directionless(synthetic, "synthetic")
    if any(zeros):
        return f"{zeros[0]} real and {zeros[1]} synthetic images have features of zeros, which have no direction"
    return ""


def _equal(real: Features, synthetic: Features, rng: Stream) -> list[Features]:
    """Both sets with as many rows as the smaller has."""
    size = min(len(real), len(synthetic))
    draw = rng.child("vendi").numpy()
    return [
        each if len(each) == size else each[np.sort(draw.permutation(len(each))[:size])] for each in (real, synthetic)
    ]


def _scores(
    order: float,
    full: Sequence[Spectrum],
    equal: Sequence[Spectrum],
    relative_error: float,
    shared: Mapping[str, str | int | float],
    extractor: str | None,
) -> list[Score]:
    counts = {"real": full[0].count, "synthetic": full[1].count}
    size = equal[0].count
    first, second = (spectrum.score(order) for spectrum in equal)
    value = second / first
    error = value * relative_error
    settings: dict[str, str | int | float] = {**shared, "order": order if np.isfinite(order) else "infinity"}
    interval = Interval(max(0.0, value - 1.96 * error), value + 1.96 * error) if order >= FIRST_WITH_INTERVAL else None
    how: dict[str, str | float] = {"interval": WITHOUT}
    if interval is not None:
        poor = order < 2 and size < 3 * int(shared["dimension"])
        how = {"standard_error": error, "interval": FEWER if poor else HOW}
    warnings: tuple[str, ...] = ()
    if max(first, second) > size / 10:
        warnings = (f"Vendi score of order {order:g} is limited by the {size} images: it would rise with more of them",)
    if (alike := float(shared["mean_cosine"])) > SHARED:
        warnings += (
            f"the synthetic images' features have a mean cosine of {alike:.2f}: what all share counts as likeness, so "
            "the score is low whatever they show; read the ratio to real images, not the number",
        )
    own, ratio = _names(order)
    scores = {
        own: (full[1].score(order), None, {**settings, "real": full[0].score(order)}),
        ratio: (value, interval, {**settings, **how, "n_each": size, "real": first, "synthetic": second}),
    }
    return [
        Score(name, figure, True, counts, interval=around, extractor=extractor, settings=details, warnings=warnings)
        for name, (figure, around, details) in scores.items()
    ]


def _from_second_moment(features: Features, what: str, orders: Sequence[float], block: int) -> Spectrum:
    moment = np.zeros((features.shape[1], features.shape[1]))
    for part in blocks(len(features), block):
        rows = unit(as_features(features[part], what))
        moment += rows.T @ rows
    moment /= len(features)
    if not orders:
        return Spectrum(len(features), _kept(torch.linalg.eigvalsh(torch.from_numpy(moment)).numpy())[0])
    values, vectors = (each.numpy() for each in torch.linalg.eigh(torch.from_numpy(moment)))
    values, keep = _kept(values)
    basis, slopes = vectors[:, keep], _slopes(values, orders)
    influences = [
        (unit(as_features(features[part], what)) @ basis) ** 2 @ slopes for part in blocks(len(features), block)
    ]
    return Spectrum(len(features), values, np.concatenate(influences))


def _from_similarities(features: Features, what: str, orders: Sequence[float], block: int) -> Spectrum:
    rows = np.concatenate([unit(as_features(features[part], what)) for part in blocks(len(features), block)])
    similarities = torch.from_numpy(rows @ rows.T / len(rows))
    if not orders:
        return Spectrum(len(rows), _kept(torch.linalg.eigvalsh(similarities).numpy())[0])
    values, vectors = (each.numpy() for each in torch.linalg.eigh(similarities))
    values, keep = _kept(values)
    # With K/N = UΛUᵀ the coordinate of xᵢ on the j-th eigenvector of the second moment is √(Nλⱼ) Uᵢⱼ.
    return Spectrum(len(rows), values, vectors[:, keep] ** 2 @ (len(rows) * values[:, None] * _slopes(values, orders)))


def _slopes(values: Array, orders: Sequence[float]) -> Array:
    """∂ entropy of order q / ∂λ (r, Q)."""
    columns = []
    for order in orders:
        if order == 1:
            columns.append(-np.log(values))
        elif np.isinf(order):
            columns.append(np.where(values == values.max(), -1.0 / values.max(), 0.0))
        else:
            columns.append(order / (1 - order) * values ** (order - 1) / (values**order).sum())
    return np.stack(columns, axis=1)


def _kept(values: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Eigenvalues above rounding, scaled to the sum 1, and which they are: λ^.1 of 1e-17 would count as .02 images."""
    keep = values > values.size * np.finfo(np.float64).eps * float(values.max(initial=0.0))
    return values[keep] / values[keep].sum(), keep
