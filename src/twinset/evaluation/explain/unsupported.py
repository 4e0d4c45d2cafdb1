"""Which clusters of synthetic images no real image supports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.explain.regions import OneSided, RegionSettings, one_sided
from twinset.evaluation.protocol import Features
from twinset.randomness import Stream


def unsupported(
    real: Features,
    synthetic: Features,
    *,
    rng: Stream,
    settings: RegionSettings | None = None,
    class_ids: NDArray[np.integer] | None = None,
) -> OneSided:
    """Regions of synthetic rows (M, D) whose balls of k synthetic neighbours hold no real image (N, D).

    :func:`uncovered` with the sets in each other's place; ``class_ids`` (M,) are of the synthetic images. It finds what
    the generator makes more than once and the real set does not have: invented modes, collapsed ones, artefacts. A
    single strange image has real neighbours at best far away and is no cluster; precision counts those.

    >>> draw = np.random.Generator(np.random.PCG64(0))
    >>> fake = np.concatenate([draw.normal(size=(200, 2)), draw.normal(size=(30, 2)) + 20])
    >>> [len(region.rows) for region in unsupported(draw.normal(size=(200, 2)), fake, rng=Stream(0)).regions]
    [30]
    """
    return one_sided(
        synthetic, real, settings=settings or RegionSettings(), rng=rng.child("swapped"), class_ids=class_ids
    )
