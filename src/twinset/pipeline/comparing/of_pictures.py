"""Metrics on pictures, objects, classes and parents: what needs more than features, but no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.crops import CropDistances
from twinset.evaluation.detectability.joint import picture_detectability
from twinset.evaluation.detectability.two_sample import Detectability
from twinset.evaluation.pairs import (
    MultiScaleSimilarity,
    PeakSignalToNoise,
    StructuralSimilarity,
    structural_diversity,
)
from twinset.evaluation.text_image import cler
from twinset.families import one_of_each
from twinset.images import ImageSpec
from twinset.pipeline.comparing.asking import Asked, matched_classes
from twinset.pipeline.comparing.drawn import LARGEST_SIDE, SHOWN, drawn, scales_for, seen_at, spec_near
from twinset.privacy.lineage import parent_rows
from twinset.scores import Score

SMALLEST_PICTURE = 8


@dataclass(frozen=True)
class Pictures:
    """Detectability on pixels, spectra and features together, and what else tells the files apart."""

    scores: tuple[str, ...] = ("detectability_auc_all",)

    def extractor(self) -> None:
        """Nothing beyond the features."""
        return

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:  # noqa: ARG002
        """``detectability_auc_NAME`` of every view and of all.

        The test takes as many images of each set, one of a family: only those are decoded.
        """
        draw = asked.rng.child("pictures", "rows").numpy()
        alone = one_of_each(asked.families, draw.permutation(len(asked.families)))
        size = min(len(alone), len(asked.made.dataset), Detectability().limit)
        rows = np.sort(alone[:size]), np.sort(draw.permutation(len(asked.made.dataset))[:size])
        pictures = asked.held.dataset.take(rows[0]), asked.made.dataset.take(rows[1])
        smallest = min(min(sample.shape()[:2]) for each in pictures for sample in each)
        if smallest < SMALLEST_PICTURE:
            return asked.undefined(self.scores, f"it needs sides of {SMALLEST_PICTURE} pixels; got {smallest}")
        real, synthetic = asked.rows_of(asked.embedder.name)
        found = picture_detectability(
            *pictures,
            settings=Detectability(),
            rng=asked.rng.child("pictures"),
            features=(np.asarray(real[rows[0]]), np.asarray(synthetic[rows[1]])),
            extractor=asked.embedder.name,
        )
        return list(found.scores)


@dataclass(frozen=True)
class Structure:
    """Structural diversity: 1 − MS-SSIM of random pairs within each set."""

    scores: tuple[str, ...] = ("structural_diversity_gap",)

    def extractor(self) -> None:
        """Nothing."""
        return

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:  # noqa: ARG002
        """``structural_diversity_real``, ``…_synthetic``, ``…_gap``."""
        real, synthetic, classes = drawn(asked, LARGEST_SIDE)
        scales = scales_for(min(real.shape[1:3]))
        rng = asked.rng.child("structure")
        scores = structural_diversity(real, synthetic, data_range=255, rng=rng, classes=classes, scales=scales)
        return seen_at(ImageSpec(*real.shape[1:]), scores)


@dataclass(frozen=True)
class Objects:
    """Kernel and Fréchet distance of crops around objects, all together and by class."""

    scores: tuple[str, ...] = ("crop_kernel_distance", "crop_frechet_distance")

    def extractor(self) -> None:
        """Nothing: crops are embedded by the comparison's own extractor."""
        return

    def measure(self, asked: Asked, *, extractor: str | None) -> Sequence[Score]:  # noqa: ARG002
        """``crop_kernel_distance`` and ``crop_frechet_distance``."""
        real, synthetic = asked.held.dataset, asked.made.dataset
        if not real.object_counts().sum() or not synthetic.object_counts().sum():
            return asked.undefined(self.scores, "one of the sets has no objects")
        if real.classes != synthetic.classes:
            return asked.undefined(self.scores, "the two sets have different classes")
        return CropDistances().measure(
            real,
            synthetic,
            embedder=asked.embedder,
            rng=asked.rng.child("objects"),
            real_families=asked.families,
        )


@dataclass(frozen=True)
class ClassCentres:
    """Class-centred recognition: real images, recognised by the nearest centre of synthetic ones."""

    scores: tuple[str, ...] = ("cler",)

    def extractor(self) -> None:
        """Nothing beyond the features."""
        return

    def measure(self, asked: Asked, *, extractor: str | None) -> Sequence[Score]:  # noqa: ARG002
        """``cler``, and beside training images ``cler_real`` and ``cler_difference``."""
        labels, name = asked.labels, asked.embedder.name
        if labels is None:
            return asked.undefined(self.scores, "it needs labelled images on both sides, of classes with equal names")
        known, made = labels[0] >= 0, labels[1] >= 0
        real, synthetic = asked.rows_of(name)
        training: tuple[NDArray[np.float32], NDArray[np.int64]] | tuple[None, None] = (None, None)
        if asked.shown is not None:
            numbers = matched_classes(asked.shown.dataset, asked.held.dataset.classes)
            training = (asked.shown.features[name][numbers >= 0], numbers[numbers >= 0])
        return cler(
            np.asarray(synthetic[made]),
            labels[1][made],
            np.asarray(real[known]),
            labels[0][known],
            real=training[0],
            real_labels=training[1],
            families=asked.families[known],
            extractor=name,
        )


@dataclass(frozen=True)
class Edits:
    """How much an edited image still shows of the training image that it was made from, where provenance names one."""

    scores: tuple[str, ...] = ("psnr", "ssim", "ms_ssim")

    def extractor(self) -> None:
        """Nothing."""
        return

    def measure(self, asked: Asked, *, extractor: str | None) -> Sequence[Score]:  # noqa: ARG002
        """``psnr``, ``ssim`` and ``ms_ssim`` of up to :data:`SHOWN` edited images and their parents."""
        if asked.shown is None:
            return asked.undefined(self.scores, "it needs the training images that synthetic ones were made from")
        parents = parent_rows(asked.made.dataset, asked.shown.dataset)
        rows = np.array([row for row, own in enumerate(parents) if len(own) == 1], dtype=np.int64)
        if not len(rows):
            return asked.undefined(self.scores, "no synthetic image names one training image as its parent")
        rows = np.sort(asked.rng.child("edits").numpy().permutation(rows)[:SHOWN])
        spec = spec_near(asked.made.dataset, LARGEST_SIDE)
        edited = asked.made.dataset.take(rows).prepared(spec)
        origin = asked.shown.dataset.take([parents[row][0] for row in rows]).prepared(spec)
        scales = scales_for(min(spec.height, spec.width))
        scores = [
            PeakSignalToNoise(data_range=255).score(edited, origin),
            StructuralSimilarity(data_range=255).score(edited, origin),
            MultiScaleSimilarity(data_range=255, scales=scales).score(edited, origin),
        ]
        return seen_at(spec, scores)
