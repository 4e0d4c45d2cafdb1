"""What ``frontier`` answers: what it would do, and which release of which setting it recommends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.audits import RatePart
from twinset.documents.document import Document
from twinset.documents.judgement import Difference

Release = Literal["dataset", "generator", "classifier"]


class FigurePart(Document):
    """A mean over ``runs`` trainings on one set of real images, with its 95 % interval."""

    value: float
    low: float
    high: float
    runs: int


class GuaranteePart(Document):
    """Differential privacy for one image more or less, by the accounts of the trainings."""

    epsilon: float
    delta: float


class PlannedSettingPart(Document):
    """One setting before its run: what it makes, what it promises, what it may take."""

    name: str
    what: str
    private: bool = Field(description="Whether everything that it trains on private images is asked for an ε.")
    releases: dict[str, str] = Field(description="By release: empty where it is weighed, else why it is not.")
    seconds: float


class FrontierPlanDocument(Document):
    """``frontier --dry-run``; seconds are estimates."""

    schema_name: Literal["twinset/frontier-plan/1"] = Field("twinset/frontier-plan/1", alias="schema")
    folder: str
    image: str
    images: dict[str, int] = Field(description="Real images in each part of the shared split.")
    settings: list[PlannedSettingPart]
    seeds: int
    minutes: float = Field(description="Of every setting's run, in its recipe.")
    seconds: float
    notes: list[str] = Field([])


class FrontierSettingPart(Document):
    """One setting and its run."""

    name: str
    what: str
    run: str
    accepted: int
    trained: GuaranteePart | None = Field(description="What its trainings on private images spent; null: no bound.")
    remarks: list[str] = Field([])
    seconds: float


class WeighedPart(Document):
    """One release of one setting: what it is worth on validation images, and what it gives away."""

    setting: str
    release: Release
    answer: Literal["leak_found", "no_leakage_detected", "inconclusive"] | None = Field(
        description="Of its audit; null where none could be made."
    )
    finding: str
    guarantee: GuaranteePart | None = Field(description="What holds for this release by itself; null: no bound.")
    guarantee_because: str
    utility: FigurePart | None
    behind: Difference | None = Field(None, description="The most useful that qualifies minus this, paired.")
    attack: str | None = Field(None, description="That with the highest upper bound of its AUC.")
    auc: RatePart | None = None
    found_at_one_percent: RatePart | None = Field(
        None, description="The largest share of training images found at 1 % false alarms, by any attack."
    )
    qualifies: bool
    disqualified_because: str = ""


class RecommendedPart(Document):
    """The release that is recommended, and its figures on the test images, which nothing was picked by."""

    setting: str
    release: Release
    because: str
    tied: list[str] = Field(description="What validation images cannot tell from the most useful: setting/release.")
    test: FigurePart
    real_test: FigurePart = Field(description="Classifiers trained on the real training images themselves.")
    cost: Difference = Field(description="Real minus recommended on the test images, paired.")
    files: list[str] = Field(description="What was audited, and may go out.")
    card: str | None = Field(None, description="The model card, where a classifier is recommended.")


class FrontierDocument(Document):
    """``twinset frontier``: every setting and release, and the one that is recommended."""

    schema_name: Literal["twinset/frontier/1"] = Field("twinset/frontier/1", alias="schema")
    folder: str
    data: str
    data_digest: str
    metric: Literal["balanced accuracy"] = "balanced accuracy"
    blind: float = Field(description="The metric of one answer for all images.")
    images: dict[str, int]
    alpha: float
    seed: int
    settings: list[FrontierSettingPart]
    weighed: list[WeighedPart]
    real: FigurePart = Field(description="Trained on the real training images, judged on validation images.")
    decision: Literal["release", "release_nothing"]
    sentence: str
    recommended: RecommendedPart | None
    not_covered: str = Field(description="What no ε covers here.")
    recipe: str | None = Field(None, description="A recipe that makes the recommended setting anew.")
    report: str
    warnings: list[str] = Field([])
    version: str
    seconds: float
