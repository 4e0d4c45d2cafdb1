"""Everything that a comparison can be asked by name: metrics on one extractor's features, and those that need more.

What cannot be measured here (weights that are not on the machine, pictures without captions) becomes an undefined
score that says what is missing; the rest is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.embedding.clip_text import ClipText
from twinset.embedding.embedder import EmbedderMethod
from twinset.embedding.inception import MAP_CHANNELS, MAP_SIDE, InceptionMaps, InceptionProbabilities
from twinset.embedding.pretrained import Pretrained
from twinset.errors import MissingExtraError, MissingModelError, TwinsetError, UnknownNameError
from twinset.evaluation import FEATURE_METRICS, inception_score
from twinset.evaluation.crops import CropDistances
from twinset.evaluation.detectability.joint import picture_detectability
from twinset.evaluation.detectability.two_sample import Detectability
from twinset.evaluation.distances.spatial_frechet import SpatialFrechetDistance
from twinset.evaluation.pairs import (
    Classes,
    Lpips,
    MultiScaleSimilarity,
    PeakSignalToNoise,
    StructuralSimilarity,
    perceptual_diversity,
    structural_diversity,
)
from twinset.evaluation.pairs.ms_ssim import smallest_side
from twinset.evaluation.text_image import cler, clip_cosine, clip_score, r_precision
from twinset.formats.threads import ordered_map
from twinset.images import ImageSpec, PixelBatch
from twinset.pipeline.comparing.looking import Seen
from twinset.privacy.lineage import parent_rows
from twinset.randomness import Stream
from twinset.scores import Score
from twinset.stages import Embedder

DEFAULT = ("frechet", "kid", "prdc", "vendi", "authenticity", "detectability", "nearest")
SHOWN = 400
"""Pictures of a set that metrics on pairs of pictures look at, drawn at random."""

SMALLEST_PICTURE = 8
LARGEST_SIDE = 192
SMALLEST_SIDE = 64


@dataclass(frozen=True, eq=False)
class Asked:
    """What a metric is asked about: real, synthetic and exposed pictures, one extractor, families of the real ones."""

    held: Seen
    made: Seen
    shown: Seen | None
    embedder: Embedder
    families: NDArray[np.int64]
    rng: Stream

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of pictures."""
        return {"real": len(self.held.dataset), "synthetic": len(self.made.dataset)}

    @property
    def labels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Classes (N,), (M,) by the real set's names, −1 for others; None where either set has no labels at all."""
        real, synthetic = self.held.dataset, self.made.dataset
        numbers = matched_classes(synthetic, real.classes)
        if not (real.class_ids >= 0).any() or not (numbers >= 0).any():
            return None
        return real.class_ids.astype(np.int64), numbers

    def rows_of(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Real (N, D) and synthetic (M, D) rows of another extractor that was asked for."""
        return self.held.features[name], self.made.features[name]


class Measure(Protocol):
    """A named part of ``--metrics`` that needs more than features: the scores it gives, and what it needs."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores that stand as undefined where something is missing."""
        ...

    def extractor(self) -> EmbedderMethod | None:
        """What the one pass must extract for it; raises where that is not on this machine."""
        ...

    def measure(self, asked: Asked, *, extractor: str | None) -> Sequence[Score]:
        """The scores; ``extractor`` names what :meth:`extractor` gave."""
        ...


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
            return _undefined(self.scores, asked, "the synthetic images have no captions")
        words = [str(captions[row]) for row in rows]
        _, family = np.unique(words, return_inverse=True)
        image = np.asarray(asked.made.features[extractor][rows])
        text = ClipText(self.path).load().text_features(words)
        return [
            clip_score(image, text, families=family, extractor=extractor),
            clip_cosine(image, text, families=family, extractor=extractor),
            r_precision(image, text, words, rng=asked.rng.child("r-precision"), extractor=extractor),
        ]


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
        order = draw.permutation(len(asked.families))
        alone = order[np.sort(np.unique(asked.families[order], return_index=True)[1])]
        size = min(len(alone), len(asked.made.dataset), Detectability().limit)
        rows = np.sort(alone[:size]), np.sort(draw.permutation(len(asked.made.dataset))[:size])
        pictures = asked.held.dataset.take(rows[0]), asked.made.dataset.take(rows[1])
        smallest = min(min(sample.shape()[:2]) for each in pictures for sample in each)
        if smallest < SMALLEST_PICTURE:
            return _undefined(self.scores, asked, f"it needs sides of {SMALLEST_PICTURE} pixels; got {smallest}")
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
        real, synthetic, classes = _drawn(asked, LARGEST_SIDE)
        scales = _scales(min(real.shape[1:3]))
        rng = asked.rng.child("structure")
        return structural_diversity(real, synthetic, data_range=255, rng=rng, classes=classes, scales=scales)


@dataclass(frozen=True)
class Perceptual:
    """LPIPS diversity: the mean perceptual distance of pairs within each set."""

    scores: tuple[str, ...] = ("perceptual_diversity_gap",)

    def extractor(self) -> None:
        """Nothing that the pass gives; the weights must be there."""
        Lpips().check()

    def measure(self, asked: Asked, *, extractor: str | None) -> list[Score]:  # noqa: ARG002
        """``perceptual_diversity_real``, ``…_synthetic``, ``…_gap``."""
        real, synthetic, classes = _drawn(asked, LARGEST_SIDE, least=SMALLEST_SIDE)
        rng = asked.rng.child("perceptual")
        return perceptual_diversity(Lpips().load(), real, synthetic, data_range=255, rng=rng, classes=classes)


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
            return _undefined(self.scores, asked, "one of the sets has no objects")
        if real.classes != synthetic.classes:
            return _undefined(self.scores, asked, "the two sets have different classes")
        return CropDistances().measure(real, synthetic, embedder=asked.embedder)


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
            return _undefined(self.scores, asked, "it needs labelled images on both sides, of classes with equal names")
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
            return _undefined(self.scores, asked, "it needs the training images that synthetic ones were made from")
        parents = parent_rows(asked.made.dataset, asked.shown.dataset)
        rows = np.array([row for row, own in enumerate(parents) if len(own) == 1], dtype=np.int64)
        if not len(rows):
            return _undefined(self.scores, asked, "no synthetic image names one training image as its parent")
        rows = np.sort(asked.rng.child("edits").numpy().permutation(rows)[:SHOWN])
        spec = _spec_near(asked.made.dataset, LARGEST_SIDE)
        edited = asked.made.dataset.take(rows).prepared(spec)
        origin = asked.shown.dataset.take([parents[row][0] for row in rows]).prepared(spec)
        scales = _scales(min(spec.height, spec.width))
        return [
            PeakSignalToNoise(data_range=255).score(edited, origin),
            StructuralSimilarity(data_range=255).score(edited, origin),
            MultiScaleSimilarity(data_range=255, scales=scales).score(edited, origin),
        ]


MEASURES: Mapping[str, Measure] = {
    "pictures": Pictures(),
    "structure": Structure(),
    "edits": Edits(),
    "perceptual": Perceptual(),
    "inception": Inception(),
    "spatial": Spatial(),
    "objects": Objects(),
    "cler": ClassCentres(),
    "text": Text(),
}
"""Every name of ``--metrics`` beyond those of :data:`~twinset.evaluation.FEATURE_METRICS`."""


def chosen(text: str) -> tuple[str, ...]:
    """The metrics of ``all``, or of names between commas, ``default`` among them.

    :class:`UnknownNameError` lists the known ones.
    """
    known = [*FEATURE_METRICS, *MEASURES]
    if text == "all":
        return tuple(known)
    named = [part.strip() for part in text.split(",") if part.strip()] or ["default"]
    for name in named:
        if name not in ("default", *known):
            raise UnknownNameError("metric", name, ["default", "all", *known])
    return tuple(dict.fromkeys(each for name in named for each in (DEFAULT if name == "default" else (name,))))


def available(
    names: Sequence[str], *, clip: str | None = None, inception: str | None = None
) -> tuple[dict[str, EmbedderMethod | None], dict[str, str]]:
    """Of the named measures, what each needs extracted; and why the others cannot be measured on this machine.

    ``clip`` and ``inception`` are paths of weights that the user gave.
    """
    given: dict[str, Measure] = {
        "text": Text(clip),
        "inception": Inception(inception),
        "spatial": Spatial(inception),
    }
    ready: dict[str, EmbedderMethod | None] = {}
    missing: dict[str, str] = {}
    for name in names:
        if name not in MEASURES:
            continue
        try:
            ready[name] = given.get(name, MEASURES[name]).extractor()
        except (MissingModelError, MissingExtraError) as error:
            missing[name] = reason(error)
    return ready, missing


def reason(error: TwinsetError) -> str:
    """Why something cannot be measured, in one line."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def measured(name: str, asked: Asked, *, extractor: str | None, clip: str | None = None) -> list[Score]:
    """The scores of a measure; weights that turn out damaged leave it undefined."""
    try:
        return list((Text(clip) if name == "text" else MEASURES[name]).measure(asked, extractor=extractor))
    except (MissingModelError, MissingExtraError) as error:
        return undefined(name, asked.counts, reason(error))


def undefined(name: str, counts: Mapping[str, int], reason: str) -> list[Score]:
    """The scores of a measure that cannot be asked here."""
    return [Score(each, None, None, dict(counts), undefined_because=reason) for each in MEASURES[name].scores]


def matched_classes(dataset: Dataset, classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) class of every image by the numbers of ``classes``, −1 where it has none of those names."""
    number = {name: place for place, name in enumerate(classes)}
    table = np.array([*(number.get(name, -1) for name in dataset.classes), -1], dtype=np.int64)
    return table[dataset.class_ids]


def _undefined(names: Sequence[str], asked: Asked, reason: str) -> list[Score]:
    return [Score(name, None, None, asked.counts, undefined_because=reason) for name in names]


def _drawn(asked: Asked, largest: int, *, least: int = 1) -> tuple[PixelBatch, PixelBatch, Classes | None]:
    """Up to :data:`SHOWN` pictures of each set at one size near their own, with their classes where both have some."""
    spec = _spec_near(asked.held.dataset, largest, least=least)
    draw = asked.rng.child("drawn pictures").numpy()
    rows = [np.sort(draw.permutation(len(seen.dataset))[:SHOWN]) for seen in (asked.held, asked.made)]
    real, synthetic = asked.held.dataset.take(rows[0]), asked.made.dataset.take(rows[1])
    labels = asked.labels
    classes = None
    if labels is not None:
        classes = Classes(asked.held.dataset.classes, labels[0][rows[0]], labels[1][rows[1]])
    return real.prepared(spec), synthetic.prepared(spec), classes


def _spec_near(dataset: Dataset, largest: int, *, least: int = 1) -> ImageSpec:
    """The size of most pictures, the longer side no more than ``largest``."""
    (height, width, channels), _ = Counter(ordered_map(Sample.shape, dataset)).most_common(1)[0]
    scale = min(1.0, largest / max(height, width))
    return ImageSpec(max(least, round(height * scale)), max(least, round(width * scale)), channels)


def _scales(side: int) -> int:
    """As many scales of MS-SSIM as pictures of this side allow, five at most."""
    return max((count for count in range(1, 6) if smallest_side(count) <= side), default=1)
