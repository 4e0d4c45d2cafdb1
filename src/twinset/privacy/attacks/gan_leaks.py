"""GAN-Leaks: a real image near to a synthetic one was seen in training (Chen et al. 2020, "GAN-Leaks").

The score is −log of the distance to the nearest synthetic image; calibrated, the log of the distance to the nearest
reference image is added, so that images in crowded places do not count as seen. In logarithms, because the paper's
exp(−d²) is 0 for every distance above 27 and scores nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.copying import Pictures
from twinset.distances import Distances
from twinset.membership import Scores
from twinset.privacy.attacks.dataset import SeenDataset
from twinset.randomness import Stream

LEAST = 1e-12
"""Distances count as at least this share of the usual one: a copy scores high, not infinitely high."""


@dataclass(frozen=True)
class GanLeaks:
    """``calibrated``: by the distance to reference images."""

    calibrated: bool = False

    @property
    def name(self) -> str:
        """gan_leaks or gan_leaks_calibrated."""
        return "gan_leaks_calibrated" if self.calibrated else "gan_leaks"

    @property
    def needs_reference(self) -> bool:
        """Where calibrated."""
        return self.calibrated

    def scores(self, targets: Pictures, seen: SeenDataset, *, rng: Stream) -> Scores:  # noqa: ARG002
        """−log d(x, synthetic), plus log d(x, reference) where calibrated; float64 (N,)."""
        nearness = -_log_distances(targets, seen.synthetic, seen.distances)
        if not self.calibrated:
            return nearness
        return nearness + _log_distances(targets, seen.known(self.name), seen.distances)


def _log_distances(targets: Pictures, others: Pictures, known: Distances) -> Scores:
    distances = known.nearest(targets, others, k=1)[0][:, 0]
    usual = float(np.median(distances)) or 1.0
    return np.asarray(np.log(np.maximum(distances, LEAST * usual)))
