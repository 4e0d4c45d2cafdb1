"""Whether the twin helps: the verdict, the arms of the study that it rests on, and what was tried for them."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.scores import Decision


@dataclass(frozen=True)
class Difference:
    """A paired difference on the real test images, synthetic arm minus real arm, in units of ``metric`` (0…1)."""

    value: float
    low: float
    high: float
    metric: str = "balanced accuracy"
    level: float = 0.95

    def __post_init__(self) -> None:
        _check_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Verdict:
    """The answer: a decision, one sentence, and the difference it rests on (None when the gate blocked first)."""

    decision: Decision
    sentence: str
    difference: Difference | None = None


@dataclass(frozen=True)
class Arm:
    """One arm of the utility test: mean over seeds on the real test split with its interval, in metric units (0…1).

    ``seeds`` are the single results; ``setting`` what was picked on validation; ``per_class`` recall by class id.
    """

    name: str
    mean: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    n_real: int = 0
    n_synthetic: int = 0
    setting: str = ""
    validation: float | None = None
    picked: bool = False
    per_class: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_interval(self.mean, self.low, self.high)

    @property
    def uses_synthetic(self) -> bool:
        """Whether any synthetic image trained this arm."""
        return self.n_synthetic > 0 or "synthetic" in self.name


@dataclass(frozen=True)
class Trial:
    """One setting that was tried for an arm, and its score on validation."""

    arm: str
    setting: str
    validation: float
    picked: bool = False


@dataclass(frozen=True)
class Utility:
    """Train on each arm, test on real: the arms, the trials they were picked from, and what was held equal."""

    arms: tuple[Arm, ...]
    metric: str = "balanced accuracy"
    trials: tuple[Trial, ...] = ()
    network: str = ""
    steps: int | None = None
    n_test: int | None = None
    note: str = ""


def _check_interval(value: float, low: float, high: float) -> None:
    if not low - 1e-9 <= value <= high + 1e-9:
        raise ValueError(f"expected low ≤ value ≤ high; got {low}, {value}, {high}")
