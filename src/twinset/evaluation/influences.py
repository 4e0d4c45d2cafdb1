"""The influence of every image on a score, by metric name: what :mod:`twinset.evaluation.ranking` compares sets by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from twinset.evaluation.distances.cmmd import SCALE, gaussian_less_one
from twinset.evaluation.distances.frechet import frechet_influences
from twinset.evaluation.distances.kid import cubic, kernel_sums
from twinset.evaluation.neighbourhoods.prdc import memberships
from twinset.evaluation.protocol import Features
from twinset.evaluation.ranking import Influenced

RANKED: Mapping[str, bool] = {
    "kernel_distance": False,
    "frechet_distance": False,
    "cmmd": False,
    "precision": True,
    "recall": True,
    "coverage": True,
}
"""Scores that sets can be ranked by, and whether higher is better."""


def influenced(real: Features, synthetic: Features, names: tuple[str, ...] = tuple(RANKED)) -> dict[str, Influenced]:
    """The scores of ``names`` on real (N, D) and synthetic (M, D) features, each with the influence of every image.

    Of precision, recall and coverage the balls are held fixed, as in their intervals: precision is a mean over
    synthetic images, the other two over real ones. Raises ``ValueError`` for an unknown name, or fewer than six images
    on a side.
    """
    if unknown := sorted(set(names) - set(RANKED)):
        raise ValueError(f"expected scores out of {', '.join(RANKED)}; got {', '.join(unknown)}")
    if min(len(real), len(synthetic)) < 6:
        raise ValueError(f"expected at least 6 images on each side; got {len(real)} and {len(synthetic)}")
    found: dict[str, Influenced] = {}
    for name, measure in MEASURED.items():
        if name in names:
            found[name] = measure(real, synthetic)
    if {"precision", "recall", "coverage"} & set(names):
        found |= {name: one for name, one in _shares(real, synthetic).items() if name in names}
    return {name: found[name] for name in names}


def _kernel(real: Features, synthetic: Features) -> Influenced:
    sums = kernel_sums(real, synthetic, kernel=cubic)
    return Influenced(sums.value, *sums.influences())


def _cmmd(real: Features, synthetic: Features) -> Influenced:
    sums = kernel_sums(real, synthetic, kernel=gaussian_less_one)
    first, second = sums.influences()
    return Influenced(SCALE * sums.value, SCALE * first, SCALE * second)


def _frechet(real: Features, synthetic: Features) -> Influenced:
    value, (first, second) = frechet_influences(real, synthetic)
    return Influenced(value, first, second)


MEASURED: Mapping[str, Callable[[Features, Features], Influenced]] = {
    "kernel_distance": _kernel,
    "frechet_distance": _frechet,
    "cmmd": _cmmd,
}


def _shares(real: Features, synthetic: Features) -> dict[str, Influenced]:
    inside = memberships(real, synthetic)
    around, covered, held = (part for part in (inside.inside_real, inside.covered, inside.inside_synthetic))
    assert around is not None
    assert covered is not None
    assert held is not None
    still = np.zeros(len(real)), np.zeros(len(synthetic))
    by_real = {"recall": held, "coverage": covered}
    return {
        "precision": Influenced(float(around.mean()), still[0], around - around.mean()),
        **{name: Influenced(float(hit.mean()), hit - hit.mean(), still[1]) for name, hit in by_real.items()},
    }
