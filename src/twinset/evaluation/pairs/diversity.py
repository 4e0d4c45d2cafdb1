"""How far apart the pictures of one set are: the mean distance of pairs within it, real and synthetic side by side.

The pairs of a set share pictures, so they are not independent. The standard error of a mean over drawn pairs is the
dyadic one (Aronow, Samii and Assenova 2015): products of residuals summed over all pairs that have a picture in common,

Var = n(n − 1)/(n − 2)² · (Σᵢ (Σ_{pairs of i} e)² − f Σ e²) / P²,

where f = 1 − P / (n(n − 1)/2) takes off what the sum has of each pair with itself a second time. If all pairs are
drawn, f = 0 and this is the jackknife's. Intervals are Student's with n − 1 degrees. Between normal vectors of 1, 2, 5
and 20 dimensions they held the mean squared distance of the law in 86–96 % of 1,500 repetitions at n = 10, in 89–95 %
at n = 20 and 40, in 92–95 % at n = 150 and 300 (the lower ends in one dimension, where distances are most skewed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.pairs.paired import Array, Pictures
from twinset.randomness import Stream
from twinset.scores import Interval, Score

Rows = NDArray[np.int64]
FEW = 20


@dataclass(frozen=True)
class MeanDistance:
    """The mean distance over ``pairs`` pairs of ``pictures`` pictures; no standard error for fewer than three.

    ``value`` is None for fewer than two. ``degrees`` of freedom of the standard error are infinite where not told.
    """

    value: float | None
    standard_error: float | None
    pictures: int
    pairs: int
    degrees: float = np.inf


Measure = Callable[[Pictures, Rows, Stream], MeanDistance]
"""The mean distance of the pictures (N, H, W, C) at these rows (n,)."""


@dataclass(frozen=True, eq=False)
class Classes:
    """Names of classes, and of every real (N,) and synthetic (M,) picture its number; −1 is unlabelled."""

    names: Sequence[str]
    real: NDArray[np.integer]
    synthetic: NDArray[np.integer]


def random_pairs(count: int, pairs: int, *, rng: Stream) -> Rows:
    """(P, 2) different pairs i < j of ``count`` pictures, none drawn twice; all, in order, if ``pairs`` suffice.

    >>> random_pairs(3, 10, rng=Stream(0)).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    if count < 0 or pairs < 1:
        raise ValueError(f"expected count ≥ 0 and pairs ≥ 1; got {count} and {pairs}")
    total = count * (count - 1) // 2
    if total <= pairs:
        return np.stack(np.triu_indices(count, 1), axis=1).astype(np.int64)
    chosen = np.sort(rng.child("pairs").numpy().choice(total, size=pairs, replace=False))
    # Number c of the pairs (0, 1), (0, 2), (1, 2), (0, 3), …: j is the largest with j(j − 1)/2 ≤ c.
    later = np.floor((1 + np.sqrt(1 + 8 * chosen.astype(np.float64))) / 2).astype(np.int64)
    later -= later * (later - 1) // 2 > chosen
    later += later * (later + 1) // 2 <= chosen
    return np.stack([chosen - later * (later - 1) // 2, later], axis=1)


def mean_over_pairs(distances: Array, partners: Rows, count: int) -> MeanDistance:
    """The mean of ``distances`` (P,) between ``partners`` (P, 2) of ``count`` pictures, with its dyadic standard error.

    >>> mean_over_pairs(np.array([1.0, 2.0, 3.0]), random_pairs(3, 3, rng=Stream(0)), 3).value
    2.0
    """
    total = len(distances)
    if not total:
        return MeanDistance(None, None, count, 0)
    residuals = distances - distances.mean()
    own = float(residuals @ residuals)
    of_pictures = np.bincount(partners.ravel(), weights=np.repeat(residuals, 2), minlength=count)
    drawn = total / (count * (count - 1) / 2)
    shared = float(of_pictures @ of_pictures) - (1 - drawn) * own
    if count < 3:
        return MeanDistance(float(distances.mean()), None, count, total)
    small = count * (count - 1) / (count - 2) ** 2
    error = float(np.sqrt(small * max(shared, own))) / total
    return MeanDistance(float(distances.mean()), error, count, total, degrees=count - 1)


def diversity_scores(
    name: str,
    real: Pictures,
    synthetic: Pictures,
    measure: Measure,
    *,
    rng: Stream,
    classes: Classes | None,
    settings: Mapping[str, str | int | float],
    extractor: str | None = None,
) -> list[Score]:
    """Scores ``name_real``, ``name_synthetic`` and ``name_gap`` (synthetic less real), and with classes those of each.

    With classes the first three are means over the classes of which both sets have two pictures, all weighing alike.
    None is better by itself: noise is diverse too. A gap below 0 says that the twin is more uniform than the real set.
    """
    if classes is None:
        sides = [_measured(pictures, None, -1, measure, rng) for pictures in (real, synthetic)]
        return _three(name, sides[0], sides[1], settings, extractor)
    scores, usable = [], []
    for number, label in enumerate(classes.names):
        sides = [
            _measured(pictures, labels, number, measure, rng)
            for pictures, labels in ((real, classes.real), (synthetic, classes.synthetic))
        ]
        found = _three(name, sides[0], sides[1], settings, extractor)
        scores += [replace(score, name=f"{score.name}[{label}]") for score in found]
        if sides[0].value is not None and sides[1].value is not None:
            usable.append(sides)
    over = [_over_classes([sides[side] for sides in usable]) for side in (0, 1)]
    more = {**settings, "classes": len(usable), "estimator": "mean over classes"}
    left_out = len(classes.names) - len(usable)
    warnings = (f"{left_out} classes with fewer than two pictures on a side are left out",) if left_out else ()
    whole = _three(name, over[0], over[1], more, extractor)
    return [replace(score, warnings=(*score.warnings, *warnings)) for score in whole] + scores


def _measured(
    pictures: Pictures, labels: NDArray[np.integer] | None, number: int, measure: Measure, rng: Stream
) -> MeanDistance:
    rows = np.arange(len(pictures)) if labels is None else np.flatnonzero(labels == number)
    if labels is not None and len(labels) != len(pictures):
        raise ValueError(f"expected a class for each of {len(pictures)} pictures; got {len(labels)}")
    if len(rows) < 2:
        return MeanDistance(None, None, len(rows), 0)
    return measure(pictures, rows, rng.child("class", number))


def _over_classes(found: Sequence[MeanDistance]) -> MeanDistance:
    values = [each.value for each in found if each.value is not None]
    errors = [each.standard_error for each in found if each.standard_error is not None]
    whole = float(np.sqrt(np.square(errors).sum())) / len(found) if errors and len(errors) == len(found) else None
    pictures, pairs = sum(each.pictures for each in found), sum(each.pairs for each in found)
    degrees = min((each.degrees for each in found), default=np.inf)
    return MeanDistance(float(np.mean(values)) if values else None, whole, pictures, pairs, degrees)


def _three(
    name: str,
    real: MeanDistance,
    synthetic: MeanDistance,
    settings: Mapping[str, str | int | float],
    extractor: str | None,
) -> list[Score]:
    errors = (real.standard_error, synthetic.standard_error)
    gap = MeanDistance(
        None if real.value is None or synthetic.value is None else synthetic.value - real.value,
        None if errors[0] is None or errors[1] is None else float(np.hypot(errors[0], errors[1])),
        real.pictures + synthetic.pictures,
        real.pairs + synthetic.pairs,
        min(real.degrees, synthetic.degrees),
    )
    counts = {"real": real.pictures, "synthetic": synthetic.pictures}
    parts = (
        ("real", real, {**counts, "synthetic": 0}),
        ("synthetic", synthetic, {**counts, "real": 0}),
        ("gap", gap, counts),
    )
    return [_score(f"{name}_{side}", found, held, settings, extractor) for side, found, held in parts]


def _score(
    name: str,
    found: MeanDistance,
    counts: Mapping[str, int],
    settings: Mapping[str, str | int | float],
    extractor: str | None,
) -> Score:
    if found.value is None:
        got = " and ".join(f"{count} {side}" for side, count in counts.items() if not name.endswith(_OTHER[side]))
        reason = f"a pair needs at least two pictures; got {got}"
        return Score(name, None, None, counts, undefined_because=reason, extractor=extractor)
    from scipy.stats import t

    error = found.standard_error
    half = 0.0 if error is None else error * float(t.ppf(0.975, found.degrees))
    fewest = min(count for count in counts.values() if count)
    return Score(
        name,
        found.value,
        None,
        {**counts, "pairs": found.pairs},
        interval=None if error is None else Interval(found.value - half, found.value + half),
        extractor=extractor,
        settings={"dtype": "float64", **settings, **({} if error is None else {"standard_error": error})},
        warnings=(f"diversity of {fewest} pictures (fewer than {FEW}): unsure interval",) if fewest < FEW else (),
    )


_OTHER = {"real": "_synthetic", "synthetic": "_real"}
