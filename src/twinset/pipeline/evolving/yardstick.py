"""How far the pictures of candidates are from real ones: for the report alone, and without noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Sample
from twinset.embedding.embedder import embed_dataset, embed_images
from twinset.embedding.protocol import spec_for
from twinset.evaluation.distances.frechet import NAME as FRECHET
from twinset.evaluation.distances.frechet import FrechetDistance
from twinset.evaluation.floor import real_floor
from twinset.images import ImageSpec
from twinset.pipeline.real import RealData
from twinset.randomness import Stream
from twinset.stages import Embedder

FEWEST_HELD_OUT = 40
"""Validation images below which the distances are told against the exposed images, which voted."""


@dataclass(frozen=True, eq=False)
class Yardstick:
    """How far pictures are from real images that did not vote, where there are enough of them."""

    real: NDArray[np.float32]
    who: str
    embedder: Embedder
    spec: ImageSpec
    rng: Stream

    def features(self, pictures: Sequence[Sample]) -> NDArray[np.float32]:
        """(n, D) of these pictures."""
        spec = spec_for(self.embedder, self.spec)
        return embed_images(self.embedder, np.stack([spec.prepare(one.pixels()) for one in pictures]))

    def excess(self, pictures: Sequence[Sample]) -> float | None:
        """Fréchet distance less the real-vs-real floor at the same numbers; None for too few real images."""
        found = real_floor(FrechetDistance(), self.real, self.features(pictures), rng=self.rng)
        if found is None or FRECHET not in found.floors or FRECHET not in found.at_floor:
            return None
        return found.at_floor[FRECHET] - found.floors[FRECHET]


def yardstick_of(real: RealData, embedder: Embedder, rng: Stream) -> Yardstick:
    """The yardstick of a run."""
    held = real.part("validation")
    enough = len(held) >= FEWEST_HELD_OUT
    used, who = (held, "validation images") if enough else (real.training, "exposed images, which voted")
    features = embed_dataset(embedder, used, spec=spec_for(embedder, real.spec))
    return Yardstick(features, who, embedder, real.spec, rng)
