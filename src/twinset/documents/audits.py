"""What ``audit`` answers: for each release, whether a leak was found, and what the audit could have found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document


class PowerPart(Document):
    """Share of the training images above a threshold that a share ``rate`` of held-out images may pass."""

    rate: float
    found: int
    passed: int
    share: float
    low: float
    high: float
    realised_low: float
    realised_high: float


class AttackPart(Document):
    """One attack: ``auc`` with a 95 % interval, one-sided p-value, and power at low false positive rates."""

    name: str
    auc: float
    low: float
    high: float
    p_value: float
    members: int
    others: int
    powers: list[PowerPart]


class PlantedPart(Document):
    """Whether copies that were hidden in the release for this audit were found."""

    how: Literal["verbatim", "disguised"]
    count: int
    total: int
    found: bool


class RatePart(Document):
    """A share with its exact 95 % interval."""

    share: float
    low: float
    high: float


class IndependentsPart(Document):
    """How many sets that were made without the training images were flagged all the same."""

    flagged: int
    sets: int


class ReleasePart(Document):
    """One release and what was found. ``p_value`` is the joint one (Bonferroni) of ``p_values``."""

    answer: Literal["leak_found", "no_leakage_detected", "inconclusive"]
    finding: str
    alpha: float
    p_value: float
    p_values: dict[str, float]
    attacks: list[AttackPart]
    closest_records: RatePart = Field(description="Released images nearer to training than to held-out images: a look.")
    planted: list[PlantedPart]
    independents: IndependentsPart | None
    blind: RatePart | None = Field(None, description="How well both sides are told apart without the release, AUC.")
    training_hits: int
    holdout_hits: int
    pairs: list[dict[str, str | float]] = Field([], description="Released images and what they come too near to.")


class ControlPart(Document):
    """A model that leaks on purpose, attacked like the released one: what was done to it, how much, what was found."""

    what: str
    dose: int
    found: bool
    attack: str = Field(description="The attack that told best; its AUC with a 95 % interval.")
    auc: float
    low: float
    high: float
    p_value: float = Field(description="Of all attacks together.")


class ModelPart(Document):
    """One released model, attacked. ``p_value`` is the joint one (Bonferroni) of ``p_values``."""

    release: Literal["generator", "classifier"]
    source: str = Field(description="The file or folder that was audited.")
    answer: Literal["leak_found", "no_leakage_detected", "inconclusive"]
    finding: str
    alpha: float
    p_value: float
    p_values: dict[str, float]
    attacks: list[AttackPart]
    controls: list[ControlPart]
    independents: IndependentsPart | None = Field(None, description="Models that saw no training image, flagged.")
    blind: RatePart | None = Field(None, description="How well both sides are told apart without the release, AUC.")
    facts: dict[str, str | int | float] = Field({}, description="What was chosen, and looks that are no test.")


class AuditDocument(Document):
    """``twinset audit``: a part for every release that was audited."""

    schema_name: Literal["twinset/audit/1"] = Field("twinset/audit/1", alias="schema")
    synthetic: str
    n_synthetic: int
    n_training: int
    n_holdout: int
    n_reference: int
    seen: str = Field(description="How images were compared.")
    seed: int
    version: str
    dataset: ReleasePart | None = None
    objects: ReleasePart | None = Field(
        None, description="The marked objects of the dataset, cut out; the alpha of both is half of what was asked for."
    )
    generator: ModelPart | None = None
    classifier: ModelPart | None = None
    report: str | None = Field(None, description="Where the page is, if one was asked for.")
    card: str | None = Field(None, description="The card whose section on the audit was written, if one was named.")
    warnings: list[str] = Field([])
    seconds: float

    @property
    def releases(self) -> dict[str, ReleasePart | ModelPart]:
        """What was audited, by release, in order."""
        parts: dict[str, ReleasePart | ModelPart | None] = {
            "dataset": self.dataset,
            "objects": self.objects,
            "generator": self.generator,
            "classifier": self.classifier,
        }
        return {name: part for name, part in parts.items() if part is not None}
