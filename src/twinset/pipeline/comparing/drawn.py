"""Pictures drawn at random for metrics that look at pairs of them, at one size near their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from twinset.dataset import Dataset, Sample
from twinset.embedding.protocol import pictures_protocol
from twinset.evaluation.pairs import Classes
from twinset.evaluation.pairs.ms_ssim import smallest_side
from twinset.formats.threads import ordered_map
from twinset.images import ImageSpec, PixelBatch
from twinset.pipeline.comparing.asking import Asked
from twinset.scores import Score

SHOWN = 400
"""Pictures of a set that metrics on pairs of pictures look at, drawn at random."""

LARGEST_SIDE = 192


def drawn(asked: Asked, largest: int, *, least: int = 1) -> tuple[PixelBatch, PixelBatch, Classes | None]:
    """Up to :data:`SHOWN` pictures of each set at one size near their own, with their classes where both have some."""
    spec = spec_near(asked.held.dataset, largest, least=least)
    draw = asked.rng.child("drawn pictures").numpy()
    rows = [np.sort(draw.permutation(len(seen.dataset))[:SHOWN]) for seen in (asked.held, asked.made)]
    real, synthetic = asked.held.dataset.take(rows[0]), asked.made.dataset.take(rows[1])
    labels = asked.labels
    classes = None
    if labels is not None:
        classes = Classes(asked.held.dataset.classes, labels[0][rows[0]], labels[1][rows[1]])
    return real.prepared(spec), synthetic.prepared(spec), classes


def spec_near(dataset: Dataset, largest: int, *, least: int = 1) -> ImageSpec:
    """The size of most pictures, the longer side no more than ``largest``."""
    (height, width, channels), _ = Counter(ordered_map(Sample.shape, dataset)).most_common(1)[0]
    scale = min(1.0, largest / max(height, width))
    return ImageSpec(max(least, round(height * scale)), max(least, round(width * scale)), channels)


def seen_at(spec: ImageSpec, scores: Sequence[Score]) -> list[Score]:
    """Scores of pictures of this size, which their protocol then names."""
    return [replace(score, protocol=pictures_protocol(spec)) for score in scores]


def scales_for(side: int) -> int:
    """As many scales of MS-SSIM as pictures of this side allow, five at most."""
    return max((count for count in range(1, 6) if smallest_side(count) <= side), default=1)
