"""The privacy audit of what would be released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from twinset.report.model.copies import ClosePair

Audited = Literal["leak_found", "no_leakage_detected", "inconclusive"]


@dataclass(frozen=True)
class AttackFacts:
    """One attack: AUC with a 95 % interval, one-sided p-value, and by false positive rate the share found and its 95 %
    interval."""

    name: str
    auc: float
    low: float
    high: float
    p_value: float
    powers: Mapping[float, tuple[float, float, float]]


@dataclass(frozen=True)
class ReleaseFacts:
    """One release and what was found in it. ``meaning``: what follows from that. ``controls`` are what the audit itself
    was put to, each with what came of it; ``hits`` distinct training and held-out images that are hit, None of models;
    ``withheld``: it does not go out."""

    what: str
    answer: Audited
    finding: str
    meaning: str
    alpha: float
    p_value: float
    attacks: tuple[AttackFacts, ...]
    controls: tuple[tuple[str, str], ...] = ()
    hits: tuple[int, int] | None = None
    pairs: tuple[ClosePair, ...] = ()
    withheld: bool = False


@dataclass(frozen=True)
class PrivacyFacts:
    """The audit of a run; ``releases`` is empty where it could not be made, which ``finding`` then says."""

    answer: Audited
    finding: str
    withheld: bool
    compared: str
    counts: Mapping[str, int]
    releases: tuple[ReleaseFacts, ...]
    warnings: tuple[str, ...] = ()
