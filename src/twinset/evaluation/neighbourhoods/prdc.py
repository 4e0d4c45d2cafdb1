"""Precision, recall, density and coverage from k-nearest-neighbour balls.

With rₖ(a) the distance of a to its k-th nearest neighbour in its own set, itself not counted:

* precision: share of synthetic images inside the ball of any real image   (Kynkäänniemi et al. 2019, eq. 2)
* recall: share of real images inside the ball of any synthetic image      (ibid.)
* density: mean number of real balls around a synthetic image, over k      (Naeem et al. 2020, eq. 4)
* coverage: share of real images whose ball holds any synthetic image      (ibid., eq. 5)

We differ from the authors' code in two places. Balls are closed (≤, as in the first paper), so duplicates
count; there, a set of identical images scores 0 against itself. And where ties put more than k real images
into a ball, density divides by that number, so that it stays about 1 between equal sets.

Distances are float64 Gram products of features centred on the real mean, in blocks; of the symmetric ones
only half is computed, and memory does not grow with N². With many images float32 products decide what they surely can,
and with very many synthetic ones recall computes few of their balls: the figures stay exactly the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.neighbourhoods.balls import balls_of
from twinset.evaluation.neighbourhoods.duplicates import with_copies
from twinset.evaluation.neighbourhoods.lazy_memberships import lazy_memberships
from twinset.evaluation.neighbourhoods.memberships import Memberships, full_memberships
from twinset.evaluation.neighbourhoods.points import WIDEST, Points, centre_of
from twinset.evaluation.neighbourhoods.screened_balls import screened_balls
from twinset.evaluation.neighbourhoods.screened_memberships import screened_memberships
from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, wilson_interval
from twinset.randomness import Stream
from twinset.scores import Interval, Score

NAMES = ("precision", "recall", "density", "coverage")
FEW = 1000
SCREENED = 1_200_000
"""From so large an (N + M)(D + 200) on, what float32 products save is more than what they need beside them."""
LAZY, LAZY_RATIO = 50_000, 30
"""From so many synthetic images in all and for each real one on, the radii of most synthetic balls are not computed."""
Route = Literal["full", "screened", "lazy"]
Array = NDArray[np.float64]


def memberships(
    real: Features, synthetic: Features, *, k: int = 5, block: int = 1024, route: Route | None = None
) -> Memberships:
    """The ball memberships behind all four figures, for real (N, D) and synthetic (M, D) features.

    All routes give the same: ``full`` computes all (N² + M²)/2 + NM distances in float64, ``screened`` in float32 and
    few of them again, ``lazy`` N²/2 + NM in float32 and, of the M², what it takes. ``route`` None takes the cheapest.
    """
    if k < 1 or block < 1:
        raise ValueError(f"expected k ≥ 1 and block ≥ 1; got {k} and {block}")
    centre = centre_of(real, "real", block)
    first, second = Points.of(real, "real", centre, block), Points.of(synthetic, "synthetic", centre, block)
    small = min(len(real), len(synthetic)) <= k or len(centre) > WIDEST
    chosen = "full" if small else route or cheapest_route(len(real), len(synthetic), len(centre))
    if chosen == "full":
        real_balls, synthetic_balls = (balls_of(each, k, block) if len(each) > k else None for each in (first, second))
        found = full_memberships(first, second, real_balls, synthetic_balls, block)
    elif chosen == "screened":
        radii = [screened_balls(each, k, block) for each in (first, second)]
        found = screened_memberships(first, second, radii[0], radii[1], block)
    else:
        found = lazy_memberships(first, second, screened_balls(first, k, block), k=k, block=block)
    return replace(
        found,
        empty_real=with_copies(real, first.norms, k),
        empty_synthetic=with_copies(synthetic, second.norms, k),
    )


def cheapest_route(n: int, m: int, dimension: int) -> Route:
    """The route that takes least time for n real and m synthetic images of ``dimension`` features, as measured.

    >>> cheapest_route(200, 200, 512), cheapest_route(10_000, 10_000, 64), cheapest_route(10_000, 1_000_000, 64)
    ('full', 'screened', 'lazy')
    """
    if (n + m) * (dimension + 200) < SCREENED:
        return "full"
    return "lazy" if m >= max(LAZY, LAZY_RATIO * n) else "screened"


def prdc(
    real: Features, synthetic: Features, *, k: int = 5, extractor: str | None = None, block: int = 1024
) -> list[Score]:
    """Precision, recall, density and coverage of synthetic (M, D) against real (N, D) features; higher is better.

    The 95 % intervals are about the images that are counted, with the balls held fixed: Wilson's for the
    shares, the normal one for density. A figure whose balls need more than k images than there are is
    undefined and says so.

    >>> line = np.array([[0.0], [1.0], [3.0], [7.0]])
    >>> [round(score.value, 3) for score in prdc(line, np.array([[0.5], [2.2], [-9.0]]), k=1)]
    [0.667, 0.75, 1.0, 0.75]
    """
    n, m = len(real), len(synthetic)
    found = memberships(real, synthetic, k=k, block=block) if min(n, m) else Memberships(None, None, None, None)
    members = (found.inside_real, found.inside_synthetic, found.density, found.covered)
    scores = []
    for name, values in zip(NAMES, members, strict=True):
        scores.append(
            Score(
                name,
                None if values is None else float(values.mean()),
                True,
                {"real": n, "synthetic": m},
                interval=None if values is None else _interval(values),
                undefined_because="" if values is not None else _too_few(k, n, m, name),
                extractor=extractor,
                settings={"k": k, "dimension": real.shape[1], "dtype": "float64", "interval": "given the balls"},
                warnings=_warnings(found, n, m, k),
            )
        )
    return scores


def _too_few(k: int, n: int, m: int, name: str) -> str:
    if not min(n, m):
        return f"both sets need images; got {n} real and {m} synthetic"
    what, got = ("synthetic", m) if name == "recall" else ("real", n)
    return f"balls of k = {k} neighbours need at least {k + 1} {what} images; got {got}"


def _warnings(found: Memberships, n: int, m: int, k: int) -> tuple[str, ...]:
    warnings = []
    if min(n, m) < FEW:
        warnings.append(f"precision, recall, density, coverage of {min(n, m)} images (fewer than {FEW})")
    for what, empty in (("real", found.empty_real), ("synthetic", found.empty_synthetic)):
        if empty:
            warnings.append(f"{empty} {what} images have at least {k} exact copies in their set: balls of radius 0")
    return tuple(warnings)


@dataclass(frozen=True)
class PRDC:
    """:func:`prdc` as a metric."""

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"expected k ≥ 1; got {self.k}")

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:  # noqa: ARG002
        """Four scores: ``precision``, ``recall``, ``density``, ``coverage``."""
        return prdc(evidence.real, evidence.synthetic, k=self.k, extractor=evidence.extractor)

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        """The four figures without intervals."""
        return {score.name: score.value for score in prdc(real, synthetic, k=self.k)}


def _interval(values: NDArray[np.bool_] | Array) -> Interval:
    if values.dtype == np.bool_:
        return Interval(*wilson_interval(float(values.sum()), values.size))
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / values.size**0.5 if values.size > 1 else 0.0
    return Interval(max(0.0, mean - half), mean + half)
