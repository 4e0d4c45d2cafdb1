"""Distance to the closest record: are synthetic images nearer to training than to held-out images?

The usual privacy figure of synthetic data: the share of synthetic images whose nearest real image is a training image,
against what the sizes of both sides explain. It is not a test of privacy (Yao et al. 2025, "The DCR Delusion"; Meeus et
al. 2023): six copied images in two of a hundred outputs leave it unmoved. It is told because users ask for it, beside
the tests that do find them (:func:`twinset.copytest.copy_test`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.copying import Pictures, Search, nearest_pictures
from twinset.privacy.attacks.figures import clopper_pearson
from twinset.scores import Interval


@dataclass(frozen=True)
class ClosestRecords:
    """``share`` of the synthetic images that are nearer to training images, ``expected`` from equal numbers of both.

    ``p_value`` counts synthetic images as independent, which those of one training image are not: a look only.
    """

    share: float
    interval: Interval
    expected: float
    p_value: float


def closest_records(
    synthetic: Pictures, training: Pictures, holdout: Pictures, *, search: Search = nearest_pictures
) -> ClosestRecords:
    """Of pictures or features, held-out ones as many as there are; ties go to held-out images.

    >>> x = np.arange(6.0)[:, None]
    >>> closest_records(x[:2] + 0.1, x[:3], x[3:]).share
    1.0
    """
    from scipy.stats import binom

    count = min(len(training), len(holdout))
    # Spread over all of a side: folders are sorted by class.
    sides = [
        side if len(side) == count else side[np.arange(count) * len(side) // count] for side in (training, holdout)
    ]
    near, far = (search(synthetic, side, k=1)[0][:, 0] for side in sides)
    nearer = int((near < far).sum())
    return ClosestRecords(
        share=nearer / len(synthetic),
        interval=clopper_pearson(nearer, len(synthetic)),
        expected=0.5,
        p_value=float(binom.sf(nearer - 1, len(synthetic), 0.5)),
    )
