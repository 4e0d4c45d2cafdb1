"""The privacy audit as a part of the report: its figures, and the pairs behind it as pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twinset import documents, report
from twinset.copying import HIT_RATIO
from twinset.dataset import Dataset
from twinset.pipeline.object_audit import object_named
from twinset.pipeline.page import SHOWN_PAIRS, picture
from twinset.pipeline.release_audit import ReleaseAudit


def privacy_facts(audit: ReleaseAudit, synthetic: Dataset, training: Dataset) -> report.PrivacyFacts:
    """What the page shows of an audit of these released images and of these training images."""
    document = audit.document
    if document is None or document.dataset is None:
        return report.PrivacyFacts(audit.answer, audit.finding, audit.withheld, "nothing", {}, ())
    whole = "the dataset" if document.objects is None else "whole pictures"
    releases = [release_facts(document.dataset, whole, _pictures(document.dataset, synthetic, training, _whole))]
    if document.objects is not None:
        pairs = _pictures(document.objects, synthetic, training, _object)
        releases.append(release_facts(document.objects, "their objects", pairs))
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


def _pictures(
    part: documents.ReleasePart,
    synthetic: Dataset,
    training: Dataset,
    shown: Callable[[Dataset, str], report.Picture],
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
