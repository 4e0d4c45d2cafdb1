"""A measured number, with what is needed to believe it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Decision = Literal["use", "do_not_use", "no_measurable_difference", "not_measured", "nothing_learnt", "blocked_by_gate"]
"""What the scores of a synthetic set come to."""

ANSWERS: Mapping[Decision, str] = {
    "use": "Use it",
    "do_not_use": "Do not use it",
    "no_measurable_difference": "No measurable difference",
    "not_measured": "Not measured",
    "nothing_learnt": "No verdict",
    "blocked_by_gate": "Blocked by the release gate",
}
"""The headings under which report and card give a decision."""


NO_WIDTH = (
    "the interval has no width, which is no certainty: every image counts the same here (repeated images, or all at "
    "the end of the scale), so these images cannot show how far the figure would move with others"
)


@dataclass(frozen=True)
class Interval:
    """A confidence interval; ``level`` is its coverage."""

    low: float
    high: float
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"expected low ≤ high; got {self.low} and {self.high}")


@dataclass(frozen=True)
class Score:
    """One figure of an evaluation. ``value`` is None exactly when ``undefined_because`` says why.

    ``floor`` is what two disjoint sets of real images score against each other at half the N; ``counts``
    hold the numbers of images behind the figure (``real``, ``synthetic``); ``settings`` what else fixes it
    (estimator, dtype of the statistics, k); ``protocol`` how what it was computed from came about (extractor with the
    sha256 of its weights, size, resize kernel, dtype) and estimator, seed, version: figures compare where that agrees;
    ``warnings`` what a reader must know.
    """

    name: str
    value: float | None
    higher_is_better: bool | None
    counts: Mapping[str, int]
    interval: Interval | None = None
    undefined_because: str = ""
    extractor: str | None = None
    floor: float | None = None
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    protocol: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.undefined_because):
            raise ValueError(f"expected a value, or the reason why there is none; got {self}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.name}: expected a finite value; got {self.value}")
        if self.interval is not None and self.value is not None:
            slack = 1e-9 * max(1.0, abs(self.value))
            if not self.interval.low - slack <= self.value <= self.interval.high + slack:
                raise ValueError(f"{self.name}: expected {self.value} inside {self.interval}")

    def to_json(self) -> dict[str, object]:
        """The figure as plain JSON types."""
        return {
            "value": self.value,
            "low": self.interval.low if self.interval else None,
            "high": self.interval.high if self.interval else None,
            "undefined_because": self.undefined_because or None,
            "higher_is_better": self.higher_is_better,
            "n_real": self.counts.get("real", 0),
            "n_synthetic": self.counts.get("synthetic", 0),
            "extractor": self.extractor,
            "floor": self.floor,
            "settings": dict(self.settings),
            "protocol": dict(self.protocol),
            "warnings": list(self.warnings),
        }


def width_told(score: Score) -> Score:
    """The score, with a warning where its interval has no width, which is no certainty."""
    around, value = score.interval, score.value
    if around is None or value is None or around.high - around.low > 1e-9 * max(1.0, abs(value)):
        return score
    return replace(score, warnings=(*score.warnings, NO_WIDTH))
