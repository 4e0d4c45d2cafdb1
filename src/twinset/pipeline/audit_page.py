"""The privacy audit as a page, and as a part of a run's report: its figures, and the pairs behind it as pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from twinset import __version__, documents, report
from twinset.copying import HIT_RATIO
from twinset.dataset import Dataset
from twinset.pipeline.audit_words import controls_of
from twinset.pipeline.comparing.sources import name_of
from twinset.pipeline.object_audit import object_named
from twinset.pipeline.page import SHOWN_PAIRS, picture
from twinset.pipeline.release_audit import ReleaseAudit
from twinset.privacy.audit.answers import WORSE, meaning

NAMES: Mapping[str, str] = {
    "dataset": "the dataset",
    "objects": "the objects in it",
    "generator": "the generator",
    "classifier": "the classifier",
}
"""What a reader calls a release."""

Shown = Callable[[Dataset, str], report.Picture]


def privacy_facts(audit: ReleaseAudit, synthetic: Dataset, training: Dataset) -> report.PrivacyFacts:
    """What the page shows of an audit of these released images and of these training images."""
    withheld = {"dataset": audit.dataset.withheld, "objects": audit.dataset.withheld}
    if audit.generator is not None:
        withheld["generator"] = audit.generator.withheld
    if audit.document is None:
        found = audit.dataset
        return report.PrivacyFacts(found.answer, found.finding, found.withheld, "nothing", {}, ())
    facts = document_facts(audit.document, synthetic, training, withheld)
    if audit.generator is None or audit.document.generator is not None:
        return facts
    return replace(facts, warnings=(*facts.warnings, f"the generator: {audit.generator.finding}"))


def document_facts(
    document: documents.AuditDocument, synthetic: Dataset, training: Dataset, withheld: Mapping[str, bool]
) -> report.PrivacyFacts:
    """What a page shows of an audit; ``withheld`` says which releases do not go out."""
    shown: dict[str, Shown] = {"dataset": _whole, "objects": _object}
    releases = {
        name: release_facts(
            name,
            part,
            _pictures(part, synthetic, training, shown[name]) if isinstance(part, documents.ReleasePart) else (),
            withheld=withheld.get(name, False),
        )
        for name, part in document.releases.items()
    }
    worst = max(document.releases.values(), key=lambda part: WORSE.index(part.answer))
    return report.PrivacyFacts(
        answer=worst.answer,
        finding=worst.finding,
        withheld=withheld.get("dataset", False),
        compared=document.seen,
        counts={
            "synthetic": document.n_synthetic,
            "training": document.n_training,
            "holdout": document.n_holdout,
            "reference": document.n_reference,
        },
        releases=tuple(releases.values()),
        warnings=tuple(document.warnings),
    )


def release_facts(
    name: str,
    part: documents.ReleasePart | documents.ModelPart,
    pairs: tuple[report.ClosePair, ...],
    *,
    withheld: bool = False,
) -> report.ReleaseFacts:
    """The figures of one release."""
    return report.ReleaseFacts(
        what=NAMES[name],
        answer=part.answer,
        finding=part.finding,
        meaning=meaning(name, part.answer),
        alpha=part.alpha,
        p_value=part.p_value,
        attacks=tuple(
            report.AttackFacts(each.name, each.auc, each.low, each.high, each.p_value, _powers(each))
            for each in part.attacks
        ),
        controls=tuple(controls_of(part)),
        hits=(part.training_hits, part.holdout_hits) if isinstance(part, documents.ReleasePart) else None,
        pairs=pairs,
        withheld=withheld,
    )


def audit_page(document: documents.AuditDocument, synthetic: Dataset, training: Dataset, *, command: str) -> str:
    """A page of its own; ``command`` makes it again."""
    return report.render(
        report.ReportData(
            title=f"Privacy audit of {name_of(document.synthetic) if document.synthetic else 'released models'}",
            classes=training.classes,
            command=command,
            version=__version__,
            kind="audit",
            created=time.strftime("%Y-%m-%d %H:%M"),
            privacy=document_facts(document, synthetic, training, {}),
        )
    )


def _powers(attack: documents.AttackPart) -> Mapping[float, tuple[float, float, float]]:
    return {power.rate: (power.share, power.low, power.high) for power in attack.powers}


def _pictures(
    part: documents.ReleasePart, synthetic: Dataset, training: Dataset, shown: Shown
) -> tuple[report.ClosePair, ...]:
    found = []
    for pair in part.pairs[:SHOWN_PAIRS]:
        made, real = shown(synthetic, str(pair["synthetic"])), shown(training, str(pair["training"]))
        ratio = float(pair["ratio"])
        found.append(report.ClosePair(made, real, float(pair["distance"]), ratio, ratio < HIT_RATIO))
    return tuple(found)


def _whole(dataset: Dataset, id_: str) -> report.Picture:
    return picture(dataset, dataset.row_of(id_))


def _object(dataset: Dataset, id_: str) -> report.Picture:
    return report.Picture(id_, object_named(dataset, id_))
