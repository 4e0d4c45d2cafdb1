"""Metrics that bring a network of their own: Inception, CLIP and LPIPS, from weights on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twinset.embedding.clip_text import ClipText
from twinset.embedding.embedder import EmbedderMethod
from twinset.embedding.inception import MAP_CHANNELS, MAP_SIDE, InceptionMaps, InceptionProbabilities
from twinset.embedding.pretrained import Pretrained
from twinset.evaluation import inception_score
from twinset.evaluation.distances.spatial_frechet import SpatialFrechetDistance
from twinset.evaluation.pairs import Lpips, perceptual_diversity
from twinset.evaluation.text_image import clip_cosine, clip_score, r_precision
from twinset.images import ImageSpec
from twinset.pipeline.comparing.asking import Asked
from twinset.pipeline.comparing.drawn import LARGEST_SIDE, drawn, seen_at
from twinset.scores import Score

SMALLEST_SIDE = 64


@dataclass(frozen=True)
class Inception:
    """Inception score of the synthetic images, and of the real ones beside it."""

    path: str | None = None
    scores: tuple[str, ...] = ("inception_score",)

    def extractor(self) -> EmbedderMethod:
        """Class probabilities."""
        method = InceptionProbabilities(self.path)
        method.check()
        return method

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:
        """``inception_score`` and ``inception_score_real``."""
        assert extractor is not None
        real, synthetic = asked.rows_of(extractor)
        own = inception_score(real, classifier=extractor)
        beside = replace(own, name="inception_score_real", counts={"real": len(real), "synthetic": 0})
        return [inception_score(synthetic, classifier=extractor), beside]


@dataclass(frozen=True)
class Spatial:
    """Fréchet distance of feature maps that keep the place."""

    path: str | None = None
    scores: tuple[str, ...] = ("spatial_frechet_distance",)

    def extractor(self) -> EmbedderMethod:
        """Maps of Inception."""
        method = InceptionMaps(self.path)
        method.check()
        return method

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:
        """``spatial_frechet_distance``."""
        assert extractor is not None
        shape = (-1, MAP_CHANNELS, MAP_SIDE, MAP_SIDE)
        real, synthetic = (rows.reshape(shape) for rows in asked.rows_of(extractor))
        return [SpatialFrechetDistance().score(real, synthetic, extractor=extractor)]


@dataclass(frozen=True)
class Text:
    """What CLIP makes of the synthetic images' captions."""

    path: str | None = None
    scores: tuple[str, ...] = ("clip_score", "clip_cosine", "r_precision")

    def extractor(self) -> EmbedderMethod:
        """CLIP's image side."""
        ClipText(self.path).check()
        return Pretrained("clip", self.path)

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:
        """``clip_score``, ``clip_cosine`` and ``r_precision``."""
        assert extractor is not None
        captions = asked.made.dataset.table.column("caption").to_pylist()
        rows = np.array([row for row, caption in enumerate(captions) if caption], dtype=np.int64)
        if not len(rows):
            return asked.undefined(self.scores, "the synthetic images have no captions")
        words = [str(captions[row]) for row in rows]
        _, family = np.unique(words, return_inverse=True)
        image = np.asarray(asked.made.features[extractor][rows])
        text = ClipText(self.path).load().on(asked.device).text_features(words)
        return [
            clip_score(image, text, families=family, extractor=extractor),
            clip_cosine(image, text, families=family, extractor=extractor),
            r_precision(image, text, words, rng=asked.rng.child("r-precision"), extractor=extractor),
        ]


@dataclass(frozen=True)
class Perceptual:
    """LPIPS diversity: the mean perceptual distance of pairs within each set."""

    scores: tuple[str, ...] = ("perceptual_diversity_gap",)

    def extractor(self) -> None:
        """Nothing that the pass gives; the weights must be there."""
        Lpips().check()

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:  # noqa: ARG002
        """``perceptual_diversity_real``, ``…_synthetic``, ``…_gap``."""
        real, synthetic, classes = drawn(asked, LARGEST_SIDE, least=SMALLEST_SIDE)
        rng = asked.rng.child("perceptual")
        scores = perceptual_diversity(Lpips().load(), real, synthetic, data_range=255, rng=rng, classes=classes)
        return seen_at(ImageSpec(*real.shape[1:]), scores)
