"""Generators that tell an attacker nothing but pictures: a GAN of ours, and DP-MERF.

Neither says how well it explains a picture. A GAN's discriminator would (Hayes et al. 2019, "LOGAN": training images
score higher), but it is not kept and not released. What is left are attacks on fresh samples, as many as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.images import PixelBatch
from twinset.models.gan.model import GanModel
from twinset.models.private.mean_embedding import MeanEmbeddingModel
from twinset.randomness import Stream


@dataclass(frozen=True, eq=False)
class OnlySampled:
    """A generator whose weights the attacker has, and can only sample with."""

    model: GanModel | MeanEmbeddingModel

    def sample(self, class_ids: NDArray[np.integer], *, rng: Stream) -> PixelBatch:
        """Pictures as its owner would sample them."""
        streams = [rng.child(row) for row in range(len(class_ids))]
        if isinstance(self.model, GanModel):
            return self.model.sample(class_ids.tolist(), list(range(len(class_ids))), streams)
        return self.model.sample(class_ids.tolist(), streams)
