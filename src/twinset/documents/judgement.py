"""What is said of images, by a run and by a comparison alike: figures, arms of the study, verdict, gate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document
from twinset.scores import Decision


class Difference(Document):
    """Paired difference on the real test images: with synthetic data minus without."""

    value: float
    low: float
    high: float


class VerdictPart(Document):
    """The answer to "should I use it?"."""

    decision: Decision
    sentence: str
    difference: Difference | None


class ScorePart(Document):
    """One figure with what is needed to believe it; ``value`` is null exactly when ``undefined_because`` says why."""

    value: float | None
    low: float | None
    high: float | None
    undefined_because: str | None = None
    higher_is_better: bool | None = None
    n_real: int
    n_synthetic: int
    extractor: str | None
    floor: float | None = Field(None, description="Two disjoint halves of the real images.")
    settings: dict[str, str | int | float] = Field({})
    protocol: dict[str, str | int] = Field(
        {},
        description="Extractor, sha256 of its weights, size, resize kernel, dtype, estimator, seed and version: "
        "figures compare where all of that agrees.",
    )
    warnings: list[str] = Field([])


class ArmPart(Document):
    """One arm of the utility study on the real test images."""

    mean: float
    low: float
    high: float
    seeds: list[float]
    setting: str = ""
    picked: bool = False


class GatePart(Document):
    """The release gate. ``passed`` is true too where nothing was tested; ``tested`` tells the two apart."""

    passed: bool
    tested: bool = True
    blocks: bool = Field(True, description="Whether it may withhold the export; else it only reports.")
    reasons: list[str]
    blocking: list[str] = Field(
        default_factory=lambda known: list(known["reasons"]) if known["blocks"] else [],
        description="Those of the reasons for which the export is withheld.",
    )
    pairs: list[dict[str, str | float | None]] = Field([])


class JudgedPart(Document):
    """The privacy audit of one release; ``withheld``: it does not go out, for its sake or for the dataset's."""

    answer: Literal["leak_found", "no_leakage_detected", "inconclusive"]
    finding: str
    withheld: bool


class AuditedPart(JudgedPart):
    """The privacy audit of the dataset that a run would release, and of its generator where that is to go out too."""

    generator: JudgedPart | None = None
