"""A frontier study from its recipe to its page, in steps that each leave something committed behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydantic

from twinset import documents
from twinset.downstream.blind import blind_accuracy
from twinset.errors import RunFolderError
from twinset.locks import locked
from twinset.pipeline.fitting import load_resolved
from twinset.pipeline.folders import Timings, no_empty_folders, refuse_inside
from twinset.pipeline.frontier import words
from twinset.pipeline.frontier.asking import asked_of, begin, study_folder, with_minutes
from twinset.pipeline.frontier.carding import write_classifier_card
from twinset.pipeline.frontier.choosing import chosen
from twinset.pipeline.frontier.making import Made, Study
from twinset.pipeline.frontier.page import page_of
from twinset.pipeline.frontier.planning import expected, plan_document
from twinset.pipeline.frontier.recommending import recommended_recipe
from twinset.pipeline.frontier.telling import PAGE, RECIPE, RESULT, document_of
from twinset.pipeline.frontier.trainings import right_answers
from twinset.pipeline.frontier.weighing import Weighed, labels_of, weighed
from twinset.pipeline.real import load_real
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine
from twinset.recipe import WrittenRecipe
from twinset.store import disk_refusals, read_json, write_bytes, write_json


def frontier_study(
    written: WrittenRecipe,
    *,
    out: Path | None,
    minutes: float | None,
    workers: int | None,
    device: str,
    listener: Listener,
) -> documents.FrontierDocument:
    """Runs, audits and weighs every setting of a recipe, or continues where an earlier sitting stopped."""
    written = with_minutes(written, minutes)
    folder = study_folder(written, out)
    refuse_inside(folder, written.source)
    machine = Machine.of(workers=workers, device=device)
    with asked_of(written, listener) as (asked, prepared):
        plan = {} if (folder / RESULT).exists() else expected(asked, machine, listener)
        with no_empty_folders(folder), locked(folder):
            begin(folder, asked, prepared)
            if (folder / RESULT).exists():
                return kept_result(folder)
            for line in words.plan(plan_document(folder, asked, plan)).splitlines():
                listener.note(line)
            return finish(Study(folder, asked, load_real(folder), machine, listener, Timings(folder), plan))


def frontier_plan(
    written: WrittenRecipe,
    *,
    out: Path | None,
    minutes: float | None,
    workers: int | None,
    device: str,
    listener: Listener,
) -> documents.FrontierPlanDocument:
    """What the study would do; raises what it would raise before anything is trained, and writes nothing that stays
    but the calibrations, which the study takes over."""
    written = with_minutes(written, minutes)
    machine = Machine.of(workers=workers, device=device)
    with asked_of(written, listener) as (asked, _):
        return plan_document(study_folder(written, out), asked, expected(asked, machine, listener))


def exit_code(document: documents.FrontierDocument) -> int:
    """6 where nothing is to be released, else 0."""
    return 0 if document.decision == "release" else 6


def kept_result(folder: Path) -> documents.FrontierDocument:
    """The result of a finished study, its paths below ``folder``; a damaged one is a :class:`RunFolderError`."""
    path = folder / RESULT
    hint = f"delete {path}: the same command writes it anew"
    try:
        found = documents.FrontierDocument.model_validate(read_json(path, hint=hint))
    except pydantic.ValidationError as error:
        text = error.errors()[0]["msg"]
        raise RunFolderError(f"{path}: expected the result of a study; got another: {text}", hint=hint) from error
    recipe = None if found.recipe is None else str(folder / RECIPE)
    return found.model_copy(update={"folder": str(folder), "report": str(folder / PAGE), "recipe": recipe})


def finish(study: Study) -> documents.FrontierDocument:
    """Every setting, the choice between their releases, and what is told of it."""
    made = study.make_all()
    with study.timings.stage("classifiers real"):
        of_real = study.trained(study.folder, "real", "the real images", kept="real")
    with study.timings.stage("weigh all"):
        study.listener.stage("weigh")
        found = [one for each in made for one in weigh(study, each)]
        labels = labels_of(study.real, "validation")
        rng, blind = study.stream.child("intervals"), blind_accuracy(labels.class_ids)
        choice = chosen([one.candidate for one in found], labels, blind=blind, rng=rng)
        document = document_of(study, made, found, choice, of_real)
    _commit(study, document, made)
    return document


def weigh(study: Study, made: Made) -> list[Weighed]:
    """The releases of a setting on validation images."""
    real, labels = study.real.part("validation"), labels_of(study.real, "validation")
    pictures, recipe = real.prepared(study.real.spec), load_resolved(made.folder)
    found = []
    for name in study.asked.weighed(made.setting):
        tasks = made.classifiers.get(name)
        right = right_answers(tasks, real, pictures) if tasks else None
        one = weighed(
            made.setting.name,
            name,
            made.audits[name],
            right,
            labels=labels,
            trained=made.trained,
            recipe=recipe,
            blocked=made.blocked if name == "dataset" else "",
            rng=study.stream.child("intervals"),
        )
        found.append(one)
    return found


def _commit(study: Study, document: documents.FrontierDocument, made: Sequence[Made]) -> None:
    """The card of a classifier, the recipe, the page, and last the result."""
    path, found = study.folder / RECIPE, document.recommended
    if found is not None:
        taken = next(one for one in made if one.setting.name == found.setting)
        if found.release == "classifier":
            write_classifier_card(study, taken, document)
        text = recommended_recipe(study.asked.written.recipe, load_resolved(taken.folder), document)
        write_bytes(path, text.encode())
    else:
        with disk_refusals(path, "to remove an older recommendation"):
            path.unlink(missing_ok=True)
    write_bytes(study.folder / PAGE, page_of(document).encode())
    write_json(study.folder / RESULT, document.model_dump(mode="json", by_alias=True))
