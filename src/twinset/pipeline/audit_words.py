"""An audit in words, for the terminal."""

from __future__ import annotations

from twinset import documents
from twinset.errors import printable

SHOWN = 5
"""Pairs; all are in --json."""


def audit(document: documents.AuditDocument) -> str:
    """The finding of every release first, then what stands behind each."""
    named = {
        "dataset": document.dataset,
        "objects": document.objects,
        "generator": document.generator,
        "classifier": document.classifier,
    }
    parts = {name: part for name, part in named.items() if part is not None}
    released = f"{document.n_synthetic} released images against " if document.dataset is not None else ""
    lines = [
        f"{released}{document.n_training} training and {document.n_holdout} held-out images ({document.seen})",
        "",
        *(f"{name}: {printable(part.finding)}" for name, part in parts.items()),
    ]
    for name, part in parts.items():
        lines += ["", *([f"{name}:"] if len(parts) > 1 else []), *_behind(part)]
    lines += [f"warning: {printable(text)}" for text in document.warnings]
    return "\n".join(lines)


def fitted_classifier(document: documents.FitClassifierDocument) -> str:
    """What was trained, and where it is."""
    place = printable(document.classifier_file)
    return "\n".join(
        [
            f"a classifier of {len(document.classes)} classes, trained for {document.steps} steps on "
            f"{document.n_images} images ({document.image})",
            f"wrote {place}",
            f"next: twinset audit --classifier {place} --train REAL --holdout OTHER_REAL",
        ]
    )


def _behind(found: documents.ReleasePart | documents.ModelPart) -> list[str]:
    """The attacks, the controls and, of a dataset, the closest pairs."""
    lines = [f"  {'attack':<24} {'AUC':<22} {'p':<10} power at a false positive rate"]
    for attack in found.attacks:
        powers = ", ".join(_power(power, attack.others) for power in attack.powers)
        interval = f"{attack.auc:.3f} ({attack.low:.3f}…{attack.high:.3f})"
        lines.append(f"  {attack.name:<24} {interval:<22} {attack.p_value:<10.2g} {powers}".rstrip())
    if isinstance(found, documents.ModelPart):
        return [*lines, "", *_of_model(found)]
    lines += ["", *_controls(found)]
    for pair in found.pairs[:SHOWN]:
        near, to = (printable(str(pair[name])) for name in ("synthetic", "training"))
        lines.append(f"  {near} is near to {to} (d₁/d₂ {pair['ratio']:.2f})")
    return lines


def _power(power: documents.PowerPart, others: int) -> str:
    """The share found and the rate; and the rate that was realised, where it is another (quantile regression)."""
    text = f"{power.share:.1%} at {power.rate:.1%}"
    kept = power.realised_low <= power.rate <= power.realised_high
    return text if kept else f"{text} (realised: {power.passed / others:.1%})"


def _of_model(found: documents.ModelPart) -> list[str]:
    lines = [
        f"  {'found' if control.found else 'missed'}: {printable(control.what)} "
        f"({control.attack} {control.auc:.3f}, {control.low:.3f}…{control.high:.3f})"
        for control in found.controls
    ]
    if found.independents is not None:
        lines.append(
            f"  models that saw no training image, flagged: {found.independents.flagged} of {found.independents.sets}"
        )
    return lines + _blind(found.blind)


def _controls(found: documents.ReleasePart) -> list[str]:
    lines = []
    for how in ("verbatim", "disguised"):
        planted = [each for each in found.planted if each.how == how]
        if planted:
            told = ", ".join(f"{each.count} {'found' if each.found else 'missed'}" for each in planted)
            lines.append(f"  planted {how} copies: {told}")
    if found.independents is not None:
        lines.append(f"  independent sets flagged: {found.independents.flagged} of {found.independents.sets}")
    return lines + _blind(found.blind)


def _blind(blind: documents.RatePart | None) -> list[str]:
    if blind is None:
        return []
    return [f"  without the release: AUC {blind.share:.3f} ({blind.low:.3f}…{blind.high:.3f})"]
