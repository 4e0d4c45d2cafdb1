"""Which regions of the real set no synthetic image covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.explain.regions import OneSided, RegionSettings, one_sided
from twinset.evaluation.protocol import Features
from twinset.randomness import Stream


def uncovered(
    real: Features,
    synthetic: Features,
    *,
    rng: Stream,
    settings: RegionSettings | None = None,
    class_ids: NDArray[np.integer] | None = None,
) -> OneSided:
    """Regions of real rows (N, D) whose balls of k real neighbours hold no synthetic image (M, D).

    The alone rows are those outside coverage (Naeem et al. 2020), here gathered into regions with a p-value each;
    ``class_ids`` (N,) are of the real images. How regions are found and what their p-value says is in
    :mod:`twinset.evaluation.explain.regions`.

    >>> draw = np.random.Generator(np.random.PCG64(0))
    >>> real = np.concatenate([draw.normal(size=(200, 2)), draw.normal(size=(40, 2)) + 20])
    >>> [len(region.rows) for region in uncovered(real, draw.normal(size=(200, 2)), rng=Stream(0)).regions]
    [40]
    """
    return one_sided(real, synthetic, settings=settings or RegionSettings(), rng=rng, class_ids=class_ids)
