"""What the audits of all releases share: one family of tests, the doubts about it, and an answer in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.audit.controls import Independents

Answer = Literal["leak_found", "no_leakage_detected", "inconclusive"]

WORSE: tuple[Answer, ...] = ("no_leakage_detected", "inconclusive", "leak_found")
"""All answers, the worst last."""


HANDED_OUT: Mapping[str, tuple[str, str]] = {
    "dataset": ("these images", "them"),
    "objects": ("these images", "them"),
    "generator": ("these weights", "them"),
    "classifier": ("this classifier", "it"),
}
"""What somebody holds who has a release, and a pronoun for it."""


@dataclass(frozen=True)
class BlindBaseline:
    """How well training and held-out images are told apart without the release; at chance unless the split leaks."""

    auc: float
    low: float
    high: float

    @property
    def at_chance(self) -> bool:
        """Whether ½ is within the interval."""
        return self.low <= 0.5


def joint_p_value(p_values: Mapping[str, float]) -> float:
    """Of all tests together (Bonferroni).

    >>> joint_p_value({"a": 0.2, "b": 0.01})
    0.02
    """
    return min(1.0, len(p_values) * min(p_values.values()))


def rejecting(p_values: Mapping[str, float], alpha: float) -> list[str]:
    """The tests that reject together."""
    return [name for name, p in p_values.items() if p * len(p_values) < alpha]


def doubts(independents: Independents | None, blind: BlindBaseline | None, *, called: str) -> list[str]:
    """Why a difference between training and held-out images may not be the release's.

    ``called``: what the independent ones are.
    """
    found = []
    if independents is not None and not independents.sound:
        found.append(f"{independents.flagged} of {independents.sets} {called} were flagged")
    if blind is not None and not blind.at_chance:
        found.append(
            f"training and held-out images differ without the release (AUC {blind.auc:.2f}, {blind.low:.2f}…"
            f"{blind.high:.2f})"
        )
    return found


def in_a_sentence(answer: Answer, reasons: Sequence[str], attacks: Sequence[AttackFigures], *, least: str) -> str:
    """One sentence that claims no more than was tested; ``least``: what the controls found, where nothing leaks."""
    if answer == "leak_found":
        return "leak found: " + "; ".join(reasons)
    if answer == "inconclusive":
        return "inconclusive: " + "; ".join(reasons)
    highest = max(figures.interval.high for figures in attacks)
    return f"no leakage detected; {least}; no attack's AUC is above {highest:.2f}"


def meaning(release: str, answer: Answer) -> str:
    """What follows from an answer for whoever wants to hand a release out, in two sentences."""
    held, them = HANDED_OUT[release]
    if answer == "leak_found":
        whom = "objects" if release == "objects" else "real images"
        return (
            f"Whoever gets {held} can tell {whom} that were trained on from others, better than by guessing. Do not "
            f"hand {them} out where it must not be known who was in the training set."
        )
    if answer == "inconclusive":
        return (
            f"The audit can neither clear nor accuse {held}: it could not show that it would have seen a leak, or that "
            f"what it saw was one. Take {them} for unaudited."
        )
    return (
        f"Whoever gets {held} and tries these attacks learns nothing that could be measured about who was in the "
        "training set. Another attack might, and a leak smaller than those planted."
    )
