"""The privacy audit in words and tables."""

from __future__ import annotations

from collections.abc import Mapping

from twinset.report.charts import Table
from twinset.report.model import PrivacyFacts, ReleaseFacts
from twinset.report.words import number, percent

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
    "hole": "if released ones keep their distance from it",
    "loss": "if the model explains it well (a small loss)",
    "quantile_regression": "if its loss is smaller than that of others that look like it",
    "secmi": "if a small step into noise and back leaves it where it was",
    "pia": "if the model sees the same noise in it before and after some is added",
    "extraction": "if a sample all but repeats it",
    "lira_online": "if it is answered as by networks that saw it, not as by those that did not",
    "lira_offline": "if it is answered more surely than by networks that did not see it",
    "rmia": "if its probability is lifted more than that of reference images",
    "modified_entropy": "if it is answered rightly and surely",
    "label_only": "if it is answered rightly in more views of it",
}
"""When an attack takes an image for a training image."""


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
    if not release.controls:
        return None
    rows = tuple((f"{what[:1].upper()}{what[1:]}", result) for what, result in release.controls)
    return Table("What the audit was put to", ("Control", "Result"), rows)


def _between(value: float, low: float, high: float, *, as_share: bool = False) -> str:
    if as_share:
        return f"{percent(value)} ({percent(low)} … {percent(high)})"
    return f"{number(value)} ({number(low)} … {number(high)})"
