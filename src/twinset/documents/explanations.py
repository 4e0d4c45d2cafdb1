"""Why the figures are what they are: images to look at, with the chance that each finding is none."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document


class RegionPart(Document):
    """Images of one set, the medoid first, that have none of the other near; ``nearest`` are the other set's."""

    ids: list[str]
    nearest: list[str]
    share: float
    p_value: float = Field(description="Of a region this large, for all regions at once.")
    classes: dict[str, int] = Field({})
    sentence: str


class RegionsPart(Document):
    """Regions of one set that the other leaves empty, the largest first."""

    regions: list[RegionPart]
    examined: int
    others: int
    alone: int = Field(description="Examined images whose k nearest neighbours are all nearer than the other set.")
    chance_share: float = Field(description="Share of such images in sets of one law.")
    k: int
    alpha: float = Field(description="Chance that any region is listed, for sets of one law.")
    undefined_because: str | None = None
    sentence: str


class OddPart(Document):
    """A real image far from all others, and whether the twin has one near."""

    id: str
    kind: Literal["outlier", "corner case"]
    nearest_real: str
    nearest_synthetic: str
    ratio: float = Field(description="Distance of the nearest synthetic image over what counts as near.")
    contained: bool


class GapFigurePart(Document):
    """A figure of one class, its mean under permuted labels, its p-value adjusted for all classes and figures."""

    value: float
    floor: float
    adjusted: float
    beyond_chance: bool


class ClassGapPart(Document):
    """A class that differs beyond chance, and images of it that show how: at most eight a side."""

    figures: dict[str, GapFigurePart]
    n_real: int
    n_synthetic: int
    uncovered: list[str]
    unsupported: list[str]


class NearPairPart(Document):
    """A synthetic image and the training image nearest to it by features."""

    synthetic: str
    training: str
    distance: float
    ratio: float | None = Field(description="Over the median distance of unseen real images.")
    unseen_share: float | None = Field(description="Share of unseen real images that come as close.")
    repeats: int = Field(description="Synthetic images that share this training image.")


class ExplanationPart(Document):
    """Why the figures are what they are: images to look at, each finding with its chance of being none."""

    extractor: str
    sentences: list[str]
    alarms: list[str]
    uncovered: RegionsPart
    unsupported: RegionsPart
    odd: list[OddPart]
    classes: dict[str, ClassGapPart] = Field({}, description="Classes that differ beyond chance, worst first.")
    pairs: list[NearPairPart] = Field([])
    notes: list[str] = Field([])


class ExplanationDocument(ExplanationPart):
    """What ``evaluation/explanation.json`` of a run holds."""

    schema_name: Literal["twinset/explanation/1"] = Field("twinset/explanation/1", alias="schema")
