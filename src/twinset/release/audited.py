"""A privacy audit in a card: the same words in the card of a dataset and of a model."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.release.markdown import plain, sentence, table

GUARANTEE = "It says what was looked for, not that anything is private; only differential privacy is a guarantee."


@dataclass(frozen=True)
class AuditResult:
    """The privacy audit of one release: its answer, in a sentence too, on how many images of each side, and by attack
    the AUC with its 95 % interval. No image is named: who was looked for is not for others to know.

    ``meaning``: what follows from the answer; ``controls``: what the audit was put to, and what came of it;
    ``released``: images, 0 where a model is released.
    """

    answer: str
    finding: str
    released: int
    training: int
    holdout: int
    attacks: tuple[tuple[str, float, float, float], ...]
    controls: tuple[tuple[str, str], ...] = ()
    meaning: str = ""

    def to_markdown(self) -> str:
        """Finding, meaning, numbers of images, attacks with intervals, controls."""
        against = f"{self.training:,} training and {self.holdout:,} held-out real images"
        subject = f"{self.released:,} released against " if self.released else ""
        sides = f"Tested: {subject}{against}." if self.training else ""
        told = " ".join(part for part in (sentence(self.finding), plain(self.meaning), sides, GUARANTEE) if part)
        rows = [(plain(name), f"{auc:.3f}", f"{low:.3f} … {high:.3f}") for name, auc, low, high in self.attacks]
        parts = [told]
        if rows:
            parts.append(table(("attack", "AUC, .5 is chance", "95 % interval"), rows))
        if self.controls:
            done = [(plain(what), plain(result)) for what, result in self.controls]
            parts.append(table(("what the audit was put to", "result"), done))
        return "\n\n".join(parts)
