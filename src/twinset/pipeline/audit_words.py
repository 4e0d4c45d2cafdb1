"""An audit in words, for the terminal."""

from __future__ import annotations

from twinset import documents
from twinset.errors import printable

SHOWN = 5
"""Pairs; all are in --json."""

HOW = {"verbatim": "as they are", "disguised": "flipped, shifted, lighter or darker, with noise"}
_FOUND = {True: "found", False: "missed"}


def audit(document: documents.AuditDocument) -> str:
    """The finding of every release first, then what stands behind each."""
    parts = document.releases
    released = f"{document.n_synthetic} released images against " if document.dataset is not None else ""
    lines = [
        f"{released}{document.n_training} training and {document.n_holdout} held-out images ({document.seen})",
        "",
        *(f"{name}: {printable(part.finding)}" for name, part in parts.items()),
    ]
    for name, part in parts.items():
        lines += ["", *([f"{name}:"] if len(parts) > 1 else []), *_behind(part)]
    lines += [f"warning: {printable(text)}" for text in document.warnings]
    lines += [] if document.report is None else [f"report: {printable(document.report)}"]
    lines += [] if document.card is None else [f"card: {printable(document.card)}"]
    return "\n".join(lines)


def fitted_classifier(document: documents.FitClassifierDocument) -> str:
    """What was trained, and where it is."""
    place = printable(document.classifier_file)
    return "\n".join(
        [
            f"a classifier of {len(document.classes)} classes, trained for {document.steps} steps on "
            f"{document.n_images} images ({document.image})",
            *(
                f"{name.replace('_', ' ')} {score.value:.3f}{_interval(score)} on the test images"
                for name, score in document.scores.items()
            ),
            f"wrote {place}, and its card {printable(document.card)}",
            f"next: twinset audit --classifier {place} --train REAL --holdout OTHER_REAL",
        ]
    )


def _interval(score: documents.ScorePart) -> str:
    return "" if score.low is None or score.high is None else f" ({score.low:.3f} … {score.high:.3f})"


def _behind(found: documents.ReleasePart | documents.ModelPart) -> list[str]:
    """The attacks, the controls and, of a dataset, the closest pairs."""
    lines = [f"  {'attack':<24} {'AUC':<22} {'p':<10} power at a false positive rate"]
    for attack in found.attacks:
        powers = ", ".join(_power(power, attack.others) for power in attack.powers)
        interval = f"{attack.auc:.3f} ({attack.low:.3f}…{attack.high:.3f})"
        lines.append(f"  {attack.name:<24} {interval:<22} {attack.p_value:<10.2g} {powers}".rstrip())
    lines += ["", *(f"  {result}: {printable(what)}" for what, result in controls_of(found))]
    if isinstance(found, documents.ModelPart):
        return lines
    for pair in found.pairs[:SHOWN]:
        near, to = (printable(str(pair[name])) for name in ("synthetic", "training"))
        lines.append(f"  {near} is near to {to} (d₁/d₂ {pair['ratio']:.2f})")
    return lines


def _power(power: documents.PowerPart, others: int) -> str:
    """The share found and the rate; and the rate that was realised, where it is another (quantile regression)."""
    text = f"{power.share:.1%} at {power.rate:.1%}"
    kept = power.realised_low <= power.rate <= power.realised_high
    return text if kept else f"{text} (realised: {power.passed / others:.1%})"


def controls_of(found: documents.ReleasePart | documents.ModelPart) -> list[tuple[str, str]]:
    """What the audit itself was put to, and what came of it: for terminal, report and cards."""
    if isinstance(found, documents.ModelPart):
        independent = "models that saw no training image"
        done = [(control.what, _seen(control)) for control in found.controls]
    else:
        independent = "sets that no training image shaped (halves of the held-out images)"
        done = [
            (f"{each.count} of {each.total} outputs are training images, {HOW[each.how]}", _FOUND[each.found])
            for each in found.planted
        ]
    if found.independents is not None:
        done.append((independent, f"{found.independents.flagged} of {found.independents.sets} flagged"))
    if found.blind is not None:
        blind = f"AUC {found.blind.share:.3f} ({found.blind.low:.3f} … {found.blind.high:.3f})"
        done.append(("training and held-out images told apart without the release", blind))
    return done


def _seen(control: documents.ControlPart) -> str:
    return f"{_FOUND[control.found]} ({control.attack} {control.auc:.3f}, {control.low:.3f} … {control.high:.3f})"
