"""What ``compare`` and ``leaderboard`` answer: two datasets, or several, against each other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twinset.documents.document import Document
from twinset.documents.explanations import ExplanationPart
from twinset.documents.judgement import ArmPart, GatePart, ScorePart, VerdictPart


class CompareDocument(Document):
    """Two datasets against each other."""

    schema_name: Literal["twinset/compare/1"] = Field("twinset/compare/1", alias="schema")
    real: str
    synthetic: str
    train: str | None
    n_real: int
    n_synthetic: int
    protocol: dict[str, str | int] = Field(
        {},
        description="Extractor with the sha256 of its weights, size, resize, dtype, seed, version and digests: what "
        "numbers must share to be compared. Every score has its own.",
    )
    scores: dict[str, ScorePart]
    explanation: ExplanationPart | None = Field(None, description="With --report or --metrics all.")
    gate: GatePart | None = None
    verdict: VerdictPart | None = None
    utility: dict[str, ArmPart] = Field({})
    report: str | None = None
    warnings: list[str] = Field([])
    seconds: float


class RankedPart(Document):
    """One set's place by one score: a range of ranks; sets whose ranges meet cannot be told apart.

    ``standard_error`` None: all images of the set, or all real ones, are of one family, and nothing can be told.
    """

    name: str
    value: float
    standard_error: float | None
    best: int
    worst: int


class LeaderboardDocument(Document):
    """``twinset leaderboard``: sets by every score, best first, compared at equal numbers of images."""

    schema_name: Literal["twinset/leaderboard/1"] = Field("twinset/leaderboard/1", alias="schema")
    by: str
    n_real: int
    n_synthetic: int
    extractor: str
    seed: int
    scores: dict[str, list[RankedPart]]
    verdicts: dict[str, VerdictPart] = Field({}, description="Of the sets that are runs.")
    report: str | None = None
    warnings: list[str] = Field([])
