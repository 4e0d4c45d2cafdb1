"""What stands at the top of the page: the question, the answer, its interval, and a few figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from twinset.report import words
from twinset.report.glossary import entry_for
from twinset.report.model import Gate, PrivacyFacts, ReportData
from twinset.report.privacy import BADGES
from twinset.report.words import count, percent, points, spaced
from twinset.scores import ANSWERS, Score

AUDIT_TONES = {"leak_found": "blocked_by_gate", "no_leakage_detected": "use", "inconclusive": "none"}
"""The colours of an audit's answers, by the name of a decision."""


@dataclass(frozen=True)
class IntervalBar:
    """The verdict's difference laid out on a track from −reach to +reach; positions in per cent of its width."""

    value: str
    low: str
    high: str
    level: str
    metric: str
    left: float
    width: float
    at: float
    alt: str


def answer(data: ReportData) -> str:
    """The verdict in a few words, or what was done in place of one."""
    if data.verdict is not None:
        return ANSWERS[data.verdict.decision]
    if data.kind == "audit" and data.privacy is not None:
        return BADGES[data.privacy.answer][1].capitalize()
    copied = _deciding_copies(data)
    if copied is not None:
        return "It copies real images" if copied.blocks else "Copies found, not blocked"
    return "Two datasets compared" if data.kind == "compare" else f"Not measured: no {data.trains} was trained"


def tone(data: ReportData) -> str:
    """The colour of the answer, by the name of a decision: that of a blocked release also where copies alone speak."""
    if data.verdict is not None:
        return data.verdict.decision
    if data.kind == "audit" and data.privacy is not None:
        return AUDIT_TONES[data.privacy.answer]
    copied = _deciding_copies(data)
    return "blocked_by_gate" if copied is not None and copied.blocks else "none"


def _deciding_copies(data: ReportData) -> Gate | None:
    """The gate that found copies where no usefulness was measured that could be the answer."""
    return data.gate if data.verdict is None and data.gate is not None and not data.gate.passed else None


def question(data: ReportData) -> str:
    """What the page answers."""
    if data.kind == "audit":
        return "Could somebody who has the release tell which real images it was made from?"
    if data.verdict is None and data.kind == "compare":
        return "How like the real images are the synthetic ones?"
    return "Do the synthetic images help to recognise real ones?"


def interval(data: ReportData) -> IntervalBar | None:
    """The difference that the verdict rests on; None where there is none."""
    difference = data.verdict.difference if data.verdict else None
    if difference is None:
        return None
    reach = 1.25 * max(abs(difference.low), abs(difference.high), 1e-6)
    place = partial(_place, reach)
    level = f"{100 * difference.level:g} %"
    value, low, high = points(difference.value), points(difference.low), points(difference.high)
    return IntervalBar(
        value=value,
        low=low,
        high=high,
        level=level,
        metric=difference.metric,
        left=place(difference.low),
        width=round(place(difference.high) - place(difference.low), 3),
        at=place(difference.value),
        alt=f"Difference in {difference.metric}: {value} percentage points, {level} interval from {low} to {high}.",
    )


def _place(reach: float, value: float) -> float:
    return round(50 + 50 * value / reach, 3)


def glance(data: ReportData) -> list[tuple[str, str, str]]:
    """A few figures under the verdict: (name, value, note)."""
    if data.kind == "audit" and data.privacy is not None:
        return _glance_at_audit(data.privacy)
    found = [*(_glance_at_utility(data) or _glance_at_likeness(data))]
    if data.alignment is not None:
        found.append(("Synthetic images kept", count(data.alignment.kept), f"of {count(data.alignment.judged)} made"))
    for facts in data.datasets:
        training = facts.images_of("train")
        note = f"{count(training)} to learn from" if training and training != facts.images else ""
        if facts.kind == "real" or data.alignment is None:
            found.append((f"{facts.kind.capitalize()} images", count(facts.images), note))
    if data.gate is not None:
        found.append(
            (
                "Copy test",
                "Passed" if data.gate.passed else "Blocked" if data.gate.blocks else "Copies found",
                _close_pairs(data.gate),
            )
        )
    if data.privacy is not None:
        note = "export withheld" if data.privacy.withheld else ""
        found.append(("Privacy audit", data.privacy.answer.replace("_", " ").capitalize(), note))
    if data.cost is not None:
        found.append(("Time", words.duration(data.cost.seconds), ""))
    return found


def _glance_at_audit(facts: PrivacyFacts) -> list[tuple[str, str, str]]:
    """The answer for each release, and how many images testify."""
    found = [(one.what.capitalize(), BADGES[one.answer][1].capitalize(), "") for one in facts.releases]
    images = {"training": "Training images", "holdout": "Held-out images"}
    return [*found, *((name, count(facts.counts[key]), "") for key, name in images.items() if key in facts.counts)]


def _close_pairs(gate: Gate) -> str:
    """How many of the shown pairs are very close. A passed test says that unseen images come as close as often."""
    close = sum(pair.flagged for pair in gate.pairs)
    if not close:
        return "no copies found" if gate.passed else ""
    if gate.passed:
        return f"{count(close)} close pair{'' if close == 1 else 's'} shown, no more than chance gives"
    return f"{count(close)} {'copy' if close == 1 else 'copies'} shown"


def _glance_at_utility(data: ReportData) -> list[tuple[str, str, str]]:
    if data.utility is None:
        return []
    picked = sorted((arm for arm in data.utility.arms if arm.picked), key=lambda arm: arm.uses_synthetic)
    titles = {False: "Without synthetic", True: "With synthetic"}
    return [(titles[arm.uses_synthetic], percent(arm.mean), spaced(arm.name)) for arm in picked]


def _glance_at_likeness(data: ReportData) -> list[tuple[str, str, str]]:
    scores = [score for score in (data.metrics[0].scores if data.metrics else ()) if score.value is not None]
    return [
        (entry_for(score.name).label, words.number(score.value), _floor(score))
        for score in [s for s in scores if s.floor is not None][:3]
    ]


def _floor(score: Score) -> str:
    return f"real vs real {words.number(score.floor)}"
