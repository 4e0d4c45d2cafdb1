"""The privacy audit as a part of the report: its figures, and the pairs behind it as pictures."""

from __future__ import annotations

from collections.abc import Mapping

from twinset import documents, report
from twinset.copying import HIT_RATIO
from twinset.dataset import Dataset
from twinset.pipeline.page import SHOWN_PAIRS, picture
from twinset.pipeline.release_audit import ReleaseAudit


def privacy_facts(audit: ReleaseAudit, synthetic: Dataset, training: Dataset) -> report.PrivacyFacts:
    """What the page shows of an audit of these released images and of these training images."""
    document = audit.document
    if document is None or document.dataset is None:
        return report.PrivacyFacts(audit.answer, audit.finding, audit.withheld, "nothing", {}, ())
    releases = [release_facts(document.dataset, "the dataset", _pictures(document.dataset, synthetic, training))]
    return report.PrivacyFacts(
        answer=audit.answer,
        finding=audit.finding,
        withheld=audit.withheld,
        compared=document.seen,
        counts={
            "synthetic": document.n_synthetic,
            "training": document.n_training,
            "holdout": document.n_holdout,
            "reference": document.n_reference,
        },
        releases=tuple(releases),
        warnings=tuple(document.warnings),
    )


def release_facts(part: documents.ReleasePart, what: str, pairs: tuple[report.ClosePair, ...]) -> report.ReleaseFacts:
    """The figures of one release."""
    return report.ReleaseFacts(
        what=what,
        answer=part.answer,
        finding=part.finding,
        alpha=part.alpha,
        p_value=part.p_value,
        attacks=tuple(
            report.AttackFacts(each.name, each.auc, each.low, each.high, each.p_value, _powers(each))
            for each in part.attacks
        ),
        planted=tuple(report.PlantedFacts(each.how, each.count, each.total, each.found) for each in part.planted),
        independents=None if part.independents is None else (part.independents.flagged, part.independents.sets),
        blind=None if part.blind is None else (part.blind.share, part.blind.low, part.blind.high),
        hits=(part.training_hits, part.holdout_hits),
        pairs=pairs,
    )


def _powers(attack: documents.AttackPart) -> Mapping[float, tuple[float, float, float]]:
    return {power.rate: (power.share, power.low, power.high) for power in attack.powers}


def _pictures(part: documents.ReleasePart, synthetic: Dataset, training: Dataset) -> tuple[report.ClosePair, ...]:
    found = []
    for pair in part.pairs[:SHOWN_PAIRS]:
        made, shown = synthetic.row_of(str(pair["synthetic"])), training.row_of(str(pair["training"]))
        ratio = float(pair["ratio"])
        found.append(
            report.ClosePair(
                picture(synthetic, made), picture(training, shown), float(pair["distance"]), ratio, ratio < HIT_RATIO
            )
        )
    return tuple(found)
