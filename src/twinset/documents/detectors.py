"""What ``detect`` and ``fit-detector`` answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document


class DetectorPart(Document):
    """Where a detector comes from and what it scored; it knows the generators that it was fitted on and no others."""

    sha256: str
    real_name: str
    synthetic_name: str
    generators: list[str] = Field(description="Methods that made the synthetic images, where these say so.")
    n_real: int
    n_synthetic: int
    held_out_real: int = Field(description="Images that it was not fitted on; the false-alarm rates come from these.")
    held_out_synthetic: int
    auc: float = Field(description="Of the held-out images of these two sets, and of no others.")
    auc_low: float
    auc_high: float
    thresholds: dict[str, float | None] = Field(
        description="The score above which an image is called generated, by false-alarm rate; null: too few held out."
    )
    seed: int
    warnings: list[str] = Field([])


class DetectedImage(Document):
    """One picture. ``false_alarm_rate``: how often a real image like those held out scores as high."""

    id: str
    score: float = Field(description="About -1 for real and 1 for synthetic images of the fitted sets.")
    false_alarm_rate: float
    outside: float = Field(description="Share of its features far beyond all that the detector was fitted on.")
    flagged: bool | None = Field(description="Called generated at the rate asked for; null where that is undefined.")


class ExpectedFlags(Document):
    """How many images would be flagged if all were real: the mean, and an interval that holds 95 % of cases."""

    value: float
    low: float
    high: float


class DetectDocument(Document):
    """What ``detect`` answers; ``flagged`` is null exactly when ``undefined_because`` says why."""

    schema_name: Literal["twinset/detect/1"] = Field("twinset/detect/1", alias="schema")
    source: str
    detector_file: str
    detector: DetectorPart
    n_images: int
    rate: float = Field(description="The false-alarm rate at which images are called generated.")
    flagged: int | None
    undefined_because: str | None = None
    expected_if_all_real: ExpectedFlags | None
    p_value_if_all_real: float | None = Field(description="Chance of as many flagged images if all were real.")
    sentence: str
    limits: str
    images: list[DetectedImage]
    warnings: list[str] = Field([])
    seconds: float


class FitDetectorDocument(Document):
    """What ``fit-detector`` answers."""

    schema_name: Literal["twinset/fit-detector/1"] = Field("twinset/fit-detector/1", alias="schema")
    detector_file: str
    card: str = Field(description="The model card beside it.")
    detector: DetectorPart
    limits: str
    warnings: list[str] = Field([])
    seconds: float
