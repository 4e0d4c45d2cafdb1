"""The model card of a classifier that a study recommends, as ``twinset fit-classifier`` writes one beside its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twinset import documents
from twinset import release as out
from twinset.models.classifier import Classifier
from twinset.pipeline.card_sections import audit_result
from twinset.pipeline.frontier.making import Made, Study
from twinset.pipeline.generator_card import access_of, parent_of
from twinset.pipeline.model_cards import SUFFIX, classifier_card, named_parent, write_card
from twinset.pipeline.opening import Run, reopen
from twinset.store import ShardStore


def card_of(weights: Path) -> Path:
    """Where the card of a classifier of a study lies: beside it."""
    return weights.with_suffix(SUFFIX)


def write_classifier_card(study: Study, made: Made, document: documents.FrontierDocument) -> None:
    """Writes the card of the classifier of the setting ``made``, which the study recommends."""
    assert document.recommended is not None
    task = made.classifiers["classifier"][0]
    run = reopen(made.folder, study.machine, study.listener)
    card = classifier_card(
        Classifier.load(task.out),
        task.settings,
        task.out,
        source=str(made.folder),
        parent=_twin(run, made),
        seed=run.recipe.seed,
        scores=(),
        test="",
    )
    weighed = next(one for one in document.weighed if (one.setting, one.release) == (made.setting.name, "classifier"))
    card = replace(
        card,
        training=f"{card.training}; setting {made.setting.name} ({made.setting.what}), resolved recipe "
        f"{run.recipe.digest()}",
        behind=(parent_of(run),),
        figures=_figures(document, document.recommended, weighed),
        audit=_audit(made, document),
        audit_command="",
        account=_account(weighed),
        limits=(_chosen(document), document.not_covered),
        access=access_of(run),
    )
    write_card(card_of(task.out), card)


def _twin(run: Run, made: Made) -> out.Parent:
    """The synthetic images that it was trained on."""
    accepted = ShardStore(run.folder).accepted(run.real.dataset.classes)
    name = f"{run.real.facts.name}-twin, setting {made.setting.name}"
    return replace(named_parent(accepted), name=name, digest=made.result.digest)


def _figures(
    document: documents.FrontierDocument, recommended: documents.RecommendedPart, weighed: documents.WeighedPart
) -> tuple[out.ModelFigure, ...]:
    """What it is worth on test images, beside what it was chosen by."""
    found = [_figure(document, recommended.test, "test", "which nothing was chosen by")]
    if weighed.utility is not None:
        found.append(_figure(document, weighed.utility, "validation", "by which it was chosen"))
    return tuple(found)


def _figure(
    document: documents.FrontierDocument, figure: documents.FigurePart, part: str, what: str
) -> out.ModelFigure:
    on = f"{document.images[part]} real {part} images of {document.data}, {what}"
    return out.ModelFigure(document.metric.replace(" ", "_"), figure.value, (figure.low, figure.high), on)


def _audit(made: Made, document: documents.FrontierDocument) -> out.AuditResult:
    part = made.audits["classifier"]
    assert isinstance(part, documents.ModelPart)  # what could not be audited is not recommended
    result = audit_result("classifier", part.answer, part.finding, {"": part}, None, released=0)
    images = document.images
    return replace(result, training=images["training"], holdout=images["validation"] + images["test"])


def _account(weighed: documents.WeighedPart) -> str:
    found = weighed.guarantee
    if found is None:
        return ""
    return f"ε = {found.epsilon:.4g} at δ = {found.delta:.3g} for this file: {weighed.guarantee_because}."


def _chosen(document: documents.FrontierDocument) -> str:
    return (
        f"It was chosen among {len(document.weighed)} releases of {len(document.settings)} settings, each audited at a "
        f"false alarm rate of {document.alpha:.3g}: what comes out best of many was, in part, lucky"
    )
