"""Two marked pictures laid over each other, objects of both kept.

Source: Zhang et al. 2019, "Bag of Freebies for Training Object Detection Neural Networks", section 3.1. Where we
differ: the partner is stretched to the sample's size, and never so faint that its objects cannot be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.editing.origin import edited
from twinset.editing.partners import Partners
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.joining import joined, with_column
from twinset.randomness import Stream
from twinset.transforms import prepared

WEIGHT = "mixup_weight"
"""The column that tells how much of an object's own picture is in the mixture, 0…1."""


@dataclass(frozen=True)
class SceneMixup:
    """λ·a + (1 − λ)·b with λ ~ Beta(α, α), folded to [½, 1] and cut so that b keeps ``least`` (at most ½) of it."""

    alpha: float = 1.5
    least: float = 0.25

    def __post_init__(self) -> None:
        if not (0 < self.alpha < float("inf") and 0 <= self.least <= 0.5):
            raise ValueError(f"expected a finite alpha > 0 and least in [0, 0.5]; got {self}")

    def fit(self, training: Dataset, *, rng: Stream) -> SceneMixupEditor:  # noqa: ARG002 (nothing is random in this fit)
        """An editor that draws partners from the labelled training images."""
        return SceneMixupEditor(self, Partners.of(training))


@dataclass(frozen=True, eq=False)
class SceneMixupEditor:
    """Mixes a sample with a training image that says the same kinds of things; it becomes the second parent."""

    method: SceneMixup
    partners: Partners

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """The mixture, of the sample's size. Objects get their weight in the column :data:`WEIGHT`.

        A pixel has one class only, so the semantic map is that of the sample, which is at least half of the mixture; so
        are depth, normals and camera, by which the partner's objects have no pose.
        """
        draws = rng.numpy()
        pixels = sample.pixels()
        partner = prepared(self.partners.draw(sample, 1, draws)[0], ImageSpec(*pixels.shape))
        drawn = float(draws.beta(self.method.alpha, self.method.alpha))
        share = min(max(drawn, 1 - drawn), 1 - self.method.least)
        mixed = share * pixels.astype(np.float32) + (1 - share) * partner.pixels()
        own, other = sample.annotation, partner.annotation
        assert own is not None
        assert other is not None
        return edited(
            sample,
            np.rint(mixed).astype(np.uint8),
            method="scene_mixup",
            rng=rng,
            annotation=_with_both(own, other, share),
            extra_parents=partner.origin.parents or (partner.id,),
        )


def _with_both(own: Annotation, other: Annotation, share: float) -> Annotation:
    if own.instances is None or other.instances is None:
        return own
    partner = replace(_weighted(other.instances, 1 - share), poses=None)
    return replace(own, instances=joined([_weighted(own.instances, share), partner]))


def _weighted(instances: Instances, share: float) -> Instances:
    """The same objects, fainter by this factor than they were."""
    before = instances.columns.get(WEIGHT, (None,) * len(instances))
    return with_column(instances, WEIGHT, tuple(share * (1.0 if w is None else float(w)) for w in before))
