"""What the commands about a run answer: before it, during it, after it, and whether it is still what it was."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document
from twinset.documents.judgement import ArmPart, AuditedPart, GatePart, ScorePart, VerdictPart


class Counts(Document):
    """Images planned (slots), accepted, rejected (tries that a filter refused), failed (slots that stayed empty),
    redacted (taken out of the finished run)."""

    planned: int
    accepted: int
    rejected: int
    failed: int
    redacted: int = 0


class CostRow(Document):
    """Hours of this run, and hours, price and energy for 1,000 accepted images; null where it is not known."""

    hours: float
    hours_per_1000: float | None
    price_per_1000: float | None
    kwh_per_1000: float | None


class CostPart(Document):
    """What the run took, over all its sittings; prices are in the currency of the recipe."""

    accepted: int
    rows: dict[str, CostRow] = Field(
        description="`making`: from reading the real images to the export; `the next 1,000`: generating and aligning "
        "alone; `making and measuring`: all."
    )
    labelling_price_per_1000: float | None = Field(description="What people would take for labelling 1,000 images.")
    undefined_because: str | None = None


class RunDocument(Document):
    """What ``run``, ``resume`` and ``evaluate`` answer."""

    schema_name: Literal["twinset/run/1"] = Field("twinset/run/1", alias="schema")
    run: str
    report: str
    digest: str
    verdict: VerdictPart
    counts: Counts
    scores: dict[str, ScorePart]
    utility: dict[str, ArmPart]
    utility_metric: str
    gate: GatePart
    audit: AuditedPart | None = Field(None, description="The privacy audit, where the recipe asks for one.")
    exports: dict[str, str]
    generator: str | None = Field(None, description="The folder of the generator, where that is released.")
    cost: CostPart | None = None
    warnings: list[str] = Field([])
    seconds: float


class RedactDocument(Document):
    """What ``redact`` answers: what went, and the run without it."""

    schema_name: Literal["twinset/redact/1"] = Field("twinset/redact/1", alias="schema")
    run: str
    removed: list[str] = Field(description="Ids of the images that went.")
    parents: list[str] = Field([], description="Real images whose children went.")
    reason: str
    before: str = Field(description="Digest of the dataset before.")
    withdrawn: str | None = Field(None, description="Where the export of before is now.")
    taken_over: int = Field(
        0, description="Trainings on real images alone that were not made again: nothing of theirs had changed."
    )
    after: RunDocument


class PlanDocument(Document):
    """What ``run --dry-run`` answers; seconds and bytes are estimates."""

    schema_name: Literal["twinset/plan/1"] = Field("twinset/plan/1", alias="schema")
    recipe: dict[str, object]
    unit: str = Field("images", description="What the numbers by class count.")
    images: dict[str, int] = Field({}, description="Real images in each part.")
    training: dict[str, int] = Field(description="Training images, or what `unit` names, by class.")
    validation: dict[str, int]
    test: dict[str, int]
    slots: dict[str, int]
    shards: int
    seconds: dict[str, float]
    bytes: int
    missing: list[str]
    notes: list[str]


class StatusDocument(Document):
    """How far a run is."""

    schema_name: Literal["twinset/status/1"] = Field("twinset/status/1", alias="schema")
    run: str
    stage: str
    finished: bool
    running: bool = Field(False, description="Whether a process works on it now.")
    planned: int
    generated: int
    accepted: int | None
    seconds: float
    stages: dict[str, float]


class MismatchPart(Document):
    """Something that is not what was recorded."""

    path: str
    problem: str


class VerifyDocument(Document):
    """Whether the files of a run are what its markers say, and regenerated samples equal the stored ones."""

    schema_name: Literal["twinset/verify/1"] = Field("twinset/verify/1", alias="schema")
    run: str
    ok: bool
    digest: str
    shards: int
    regenerated: int
    mismatches: list[MismatchPart]


class InitDocument(Document):
    """Where the recipe went."""

    schema_name: Literal["twinset/init/1"] = Field("twinset/init/1", alias="schema")
    recipe: str
    text: str


class PreviewDocument(Document):
    """Where the contact sheet went, and what it shows."""

    schema_name: Literal["twinset/preview/1"] = Field("twinset/preview/1", alias="schema")
    sheet: str
    images: int
    sources: list[str] = Field(description="What made the pictures, and in what time.")
    notes: list[str] = Field([], description="What is left out of the sheet, or odd about it.")
    seconds: float


class SceneDocument(Document):
    """Where the scene went, and what is in it."""

    schema_name: Literal["twinset/scene/1"] = Field("twinset/scene/1", alias="schema")
    scene: str
    objects: int = Field(description="Labelled objects.")
    triangles: int
    bytes: int
    seconds: float
