"""The extraction test: which training images does the generator give back (Carlini et al. 2023)?

"Extracting Training Data from Diffusion Models", section 4.2: a generated picture is an extraction of a training image
if it lies much nearer to it than to the 50 images around: ℓ(x̂, x) < α · mean ℓ(x̂, y), α = .5. Two things differ. The
neighbours are those among training *and* held-out images together, so that held-out images can be hit as well and say
how many hits are chance; and pictures are compared as everywhere in an audit, contrast normalised, under flips and
small shifts, where the paper compares pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.copying import Pictures, nearest_pictures
from twinset.membership import Scores

NEIGHBOURS = 50
SHARE = 0.5
CLOSEST = 8
"""Generated pictures around a real one, among which its nearest in relative distance is looked for."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """``scores`` (W,) of all real images: minus the least relative distance of a generated picture. ``hit``: rows of
    the distinct real images that were given back."""

    scores: Scores
    hit: NDArray[np.int64]


def extraction(
    generated: Pictures, real: Pictures, *, neighbours: int = NEIGHBOURS, share: float = SHARE
) -> Extraction:
    """Of generated pictures against all real ones in question, members and others alike; fewer neighbours where there
    are fewer images."""
    around = min(neighbours, len(real) - 1)
    if around < 2:
        raise ValueError(f"expected at least 3 real images; got {len(real)}")
    distances, rows = nearest_pictures(generated, real, k=around + 1)
    usual = np.maximum(distances[:, 1:].mean(axis=1), np.finfo(float).tiny)
    hit = np.unique(rows[distances[:, 0] < share * usual, 0])
    to, of = nearest_pictures(real, generated, k=min(CLOSEST, len(generated)))
    return Extraction(-(to / usual[of]).min(axis=1), hit)
