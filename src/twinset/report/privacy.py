"""The privacy audit in words and tables."""

from __future__ import annotations

from collections.abc import Mapping

from twinset.report.charts import Table
from twinset.report.model import PrivacyFacts, ReleaseFacts
from twinset.report.words import count, number, percent

BADGES: Mapping[str, tuple[str, str]] = {
    "leak_found": ("bad", "leak found"),
    "no_leakage_detected": ("good", "no leakage detected"),
    "inconclusive": ("", "inconclusive"),
}
"""Colour and text of an answer."""

MEANINGS: Mapping[str, str] = {
    "gan_leaks": "if a released one lies near it",
    "gan_leaks_calibrated": "if a released one lies nearer to it than a reference image",
    "monte_carlo": "if many released ones lie within a small distance",
    "domias": "if the release is denser there than the reference, by kernel densities",
    "domias_ratio": "the same, by a classifier of release against reference",
}
"""When an attack takes an image for a training image."""

HOW: Mapping[str, str] = {"verbatim": "as they are", "disguised": "flipped, shifted, lighter or darker, with noise"}


def badge(facts: PrivacyFacts | ReleaseFacts) -> tuple[str, str]:
    """Colour and text of the answer."""
    return BADGES[facts.answer]


def attack_table(release: ReleaseFacts) -> Table:
    """All attacks: AUC and power with their intervals."""
    rates = sorted({rate for attack in release.attacks for rate in attack.powers})
    rows = []
    for attack in release.attacks:
        powers = [_between(*attack.powers[rate], as_share=True) if rate in attack.powers else "–" for rate in rates]
        auc = _between(attack.auc, attack.low, attack.high)
        rows.append((attack.name, auc, f"{attack.p_value:.2g}", *powers))
    columns = ("Attack", "AUC (.5 is chance)", "p", *(f"found at {100 * rate:g} % false alarms" for rate in rates))
    return Table(f"Attacks on {release.what}: who tells training from held-out images", columns, tuple(rows))


def meanings(release: ReleaseFacts) -> str:
    """What the attacks go by, in a sentence; "" for attacks that are not known here."""
    told = [f"{attack.name} {MEANINGS[attack.name]}" for attack in release.attacks if attack.name in MEANINGS]
    return f"An image is taken for a training image: by {'; by '.join(told)}." if told else ""


def control_table(release: ReleaseFacts) -> Table | None:
    """What was done to the audit itself, and whether it saw it; None where nothing was."""
    rows = [
        (
            f"{count(each.count)} of {count(each.total)} outputs are training images, {HOW[each.how]}",
            "found" if each.found else "missed",
        )
        for each in release.planted
    ]
    if release.independents is not None:
        flagged, sets = release.independents
        rows.append(
            ("Sets that no training image shaped (halves of the held-out images)", f"{flagged} of {sets} flagged")
        )
    if release.blind is not None:
        rows.append(("Training and held-out images told apart without the release, AUC", _between(*release.blind)))
    return Table("What the audit was put to", ("Control", "Result"), tuple(rows)) if rows else None


def _between(value: float, low: float, high: float, *, as_share: bool = False) -> str:
    if as_share:
        return f"{percent(value)} ({percent(low)} … {percent(high)})"
    return f"{number(value)} ({number(low)} … {number(high)})"
