"""Steps that were taken to bring synthetic images nearer to real ones, and what each changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StepChange:
    """A distance from real images before and after a step; ``low`` and ``high`` bound the change, 95 %."""

    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True)
class StepFacts:
    """One step: what it is called, what became of it, and its figures where it was tried.

    ``measures`` are distances by metadata measure, before and after. ``remarks`` are whole sentences of the step.
    """

    name: str
    verdict: Literal["helps", "harms", "no measurable help", "helps one and harms the other", "not tried"]
    kept: bool
    seconds: float
    because: str = ""
    metadata: StepChange | None = None
    features: StepChange | None = None
    measures: Mapping[str, tuple[float, float]] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class GapFacts:
    """All steps for one generator, weighed by ``real`` images of a ``part`` and a pilot of ``images`` pictures."""

    source: str
    part: Literal["validation", "exposed"]
    real: int
    images: int
    extractor: str
    steps: tuple[StepFacts, ...]
