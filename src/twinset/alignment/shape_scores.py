"""How far objects are from the real ones of their class, beside the shape that each was made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.alignment.curation import Curated, Curation, curate
from twinset.alignment.object_density import ObjectDensity, ObjectDensityFilter
from twinset.dataset import Dataset
from twinset.images import ImageSpec
from twinset.randomness import RandomSource, Stream

LEAST_SEEN = 0.5
"""Objects of which less is seen tell more of what hides them than of their shape."""


@dataclass(frozen=True, eq=False)
class ShapeScores:
    """M objects: ``scores`` (M,), ``shapes`` and ``classes`` (M) by name, ``pictures`` and ``places`` (M,).

    ``pictures`` are rows of the dataset, ``places`` the object's number in its picture.
    """

    scores: NDArray[np.float64]
    shapes: tuple[str, ...]
    classes: tuple[str, ...]
    pictures: NDArray[np.int64]
    places: NDArray[np.int64]

    @staticmethod
    def joined(pieces: Sequence[ShapeScores], first_pictures: Sequence[int]) -> ShapeScores:
        """All of them, the rows of each piece's pictures counted from its first picture."""
        pictures = [piece.pictures + first for piece, first in zip(pieces, first_pictures, strict=True)]
        return ShapeScores(
            np.concatenate([piece.scores for piece in pieces]),
            tuple(shape for piece in pieces for shape in piece.shapes),
            tuple(name for piece in pieces for name in piece.classes),
            np.concatenate(pictures),
            np.concatenate([piece.places for piece in pieces]),
        )

    def curate(self, settings: Curation, *, rng: RandomSource) -> Curated:
        """Which of the shapes go (:func:`twinset.alignment.curation.curate`)."""
        return curate(
            self.scores, self.shapes, settings=settings, rng=rng, classes=self.classes, pictures=self.pictures
        )


def object_judge(training: Dataset, holdout: Dataset, *, spec: ImageSpec, rng: RandomSource) -> ObjectDensityFilter:
    """What scores objects: distances from the real crops of their class; ValueError for too few real objects."""
    settings = ObjectDensity(threshold="quantile")
    return settings.fit(holdout, training=training, holdout=holdout, spec=spec, rng=Stream.of(rng))


def shape_scores(dataset: Dataset, judge: ObjectDensityFilter, *, least_seen: float = LEAST_SEEN) -> ShapeScores:
    """The objects of a dataset that say their shape, are no crowds, and of which at least so much is seen."""
    counts = dataset.object_counts()
    said = [{} if text is None else json.loads(text) for text in dataset.object_column("attributes")]
    shapes = [each.get("shape_id") for each in said]
    seen = np.array([float(each.get("visible_fraction", 1.0)) for each in said])
    wanted = np.array([shape is not None for shape in shapes], dtype=bool)
    wanted &= (seen >= least_seen) & ~dataset.object_column("crowd").astype(bool)
    class_ids = dataset.object_column("class_id").astype(np.int64)
    kept = np.flatnonzero(wanted)
    return ShapeScores(
        judge.object_scores(dataset)[kept] if len(kept) else np.empty(0),
        tuple(str(shapes[at]) for at in kept),
        tuple(dataset.classes[class_ids[at]] for at in kept),
        np.repeat(np.arange(len(dataset), dtype=np.int64), counts)[kept],
        np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(n, dtype=np.int64) for n in counts.tolist())])[kept],
    )


def curate_dataset(
    synthetic: Dataset,
    *,
    training: Dataset,
    holdout: Dataset,
    spec: ImageSpec,
    rng: RandomSource,
    settings: Curation | None = None,
) -> Curated:
    """Which shapes of a synthetic set go, by the distance of its objects from the real ones of their class.

    ``ValueError`` for a set whose objects do not say their ``shape_id``.
    """
    stream = Stream.of(rng)
    found = shape_scores(synthetic, object_judge(training, holdout, spec=spec, rng=stream.child("judge")))
    if not found.shapes:
        raise ValueError("expected objects with a shape_id; got none; render them, or give them one")
    return found.curate(settings or Curation(), rng=stream)
