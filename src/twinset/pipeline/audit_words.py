"""An audit in words, for the terminal."""

from __future__ import annotations

from twinset import documents
from twinset.errors import printable

SHOWN = 5
"""Pairs; all are in --json."""


def audit(document: documents.AuditDocument) -> str:
    """The finding first, then what stands behind it."""
    found = document.dataset
    lines = [
        f"{document.n_synthetic} released images against {document.n_training} training and {document.n_holdout} "
        f"held-out ones ({document.seen})",
        "",
        f"dataset: {found.finding}",
        "",
        f"  {'attack':<24} {'AUC':<22} {'p':<10} power at a false positive rate",
    ]
    for attack in found.attacks:
        powers = ", ".join(f"{power.share:.1%} at {power.rate:.1%}" for power in attack.powers)
        interval = f"{attack.auc:.3f} ({attack.low:.3f}…{attack.high:.3f})"
        lines.append(f"  {attack.name:<24} {interval:<22} {attack.p_value:<10.2g} {powers}".rstrip())
    lines += ["", *_controls(found)]
    for pair in found.pairs[:SHOWN]:
        near, to = (printable(str(pair[name])) for name in ("synthetic", "training"))
        lines.append(f"  {near} is near to {to} (d₁/d₂ {pair['ratio']:.2f})")
    lines += [f"warning: {printable(text)}" for text in document.warnings]
    return "\n".join(lines)


def _controls(found: documents.ReleasePart) -> list[str]:
    lines = []
    for how in ("verbatim", "disguised"):
        planted = [each for each in found.planted if each.how == how]
        if planted:
            told = ", ".join(f"{each.count} {'found' if each.found else 'missed'}" for each in planted)
            lines.append(f"  planted {how} copies: {told}")
    if found.independents is not None:
        lines.append(f"  independent sets flagged: {found.independents.flagged} of {found.independents.sets}")
    if found.blind is not None:
        blind = found.blind
        lines.append(f"  without the release: AUC {blind.share:.3f} ({blind.low:.3f}…{blind.high:.3f})")
    return lines
