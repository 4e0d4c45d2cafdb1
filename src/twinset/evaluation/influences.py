"""The influence of every image on a score, by metric name: what :mod:`twinset.evaluation.ranking` compares sets by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from twinset.evaluation.distances.cmmd import SCALE, gaussian_less_one
from twinset.evaluation.distances.frechet import frechet_influences
from twinset.evaluation.distances.kernel_sums import cubic, kernel_sums
from twinset.evaluation.neighbourhoods.prdc import memberships
from twinset.evaluation.protocol import Features
from twinset.evaluation.ranking import Influenced

RANKED: Mapping[str, bool] = {
    "kernel_distance": False,
    "frechet_distance": False,
    "cmmd": False,
    "precision": True,
}
"""Scores that sets can be ranked by, and whether higher is better.

Recall and coverage are not among them: how they move with the synthetic images is not known to first order (a ball
appears or does not), and with those held fixed equal sets would be told apart in a quarter of all cases, simulated."""


def influenced(real: Features, synthetic: Features, names: tuple[str, ...] = tuple(RANKED)) -> dict[str, Influenced]:
    """The scores of ``names`` on real (N, D) and synthetic (M, D) features, each with the influence of every image.

    Of precision the balls are held fixed, as in its interval; all sets share them. Raises ``ValueError`` for an unknown
    name, or fewer than six images on a side.
    """
    if unknown := sorted(set(names) - set(RANKED)):
        raise ValueError(f"expected scores out of {', '.join(RANKED)}; got {', '.join(unknown)}")
    if min(len(real), len(synthetic)) < 6:
        raise ValueError(f"expected at least 6 images on each side; got {len(real)} and {len(synthetic)}")
    return {name: MEASURED[name](real, synthetic) for name in names}


def _kernel(real: Features, synthetic: Features) -> Influenced:
    sums = kernel_sums(real, synthetic, kernel=cubic)
    first, second = sums.influences()
    return Influenced(sums.value, first - first.mean(), second - second.mean())


def _cmmd(real: Features, synthetic: Features) -> Influenced:
    sums = kernel_sums(real, synthetic, kernel=gaussian_less_one)
    first, second = sums.influences()
    return Influenced(SCALE * sums.value, SCALE * (first - first.mean()), SCALE * (second - second.mean()))


def _frechet(real: Features, synthetic: Features) -> Influenced:
    value, (first, second) = frechet_influences(real, synthetic)
    return Influenced(value, first - first.mean(), second - second.mean())


def _precision(real: Features, synthetic: Features) -> Influenced:
    inside = memberships(real, synthetic).inside_real
    assert inside is not None
    return Influenced(float(inside.mean()), np.zeros(len(real)), inside - inside.mean())


MEASURED: Mapping[str, Callable[[Features, Features], Influenced]] = {
    "kernel_distance": _kernel,
    "frechet_distance": _frechet,
    "cmmd": _cmmd,
    "precision": _precision,
}
