"""The privacy audit as a release gate: what a run would release, audited before it does.

The dataset is audited always, the generator behind it where the recipe says that it goes out too. Who has the generator
can make the dataset again, so a dataset that is withheld withholds its generator; not the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.pipeline.auditing import Audited, AuditQuestion, audited_run, examine
from twinset.pipeline.fitting import sources_of
from twinset.pipeline.opening import Run
from twinset.pipeline.reference_images import reference_beside
from twinset.pipeline.released_models import audited_models
from twinset.privacy.audit.answers import WORSE, Answer
from twinset.recipe import PrivacyPart
from twinset.recipe.privacy import WEIGHTED
from twinset.redactions import redactions_of

AFTER_REDACTION = PrivacyPart(on_inconclusive="warn")
"""How a run is audited whose recipe says nothing of it and from which images were taken: by whom a hit was found, a
leak that is left is withheld from."""


@dataclass(frozen=True)
class Judged:
    """What the audit of one release came to, and whether that release is withheld for it."""

    answer: Answer
    finding: str
    withheld: bool


@dataclass(frozen=True, eq=False)
class ReleaseAudit:
    """What the audit came to: of the dataset, and of the ``generator`` where that goes out too. ``document`` is None
    where the dataset's audit could not be made: then it is inconclusive."""

    dataset: Judged
    document: documents.AuditDocument | None
    generator: Judged | None = None

    @property
    def failure(self) -> str:
        """Why no dataset is released; "" where the audit does not stand in the way."""
        return f"the privacy audit says: {self.dataset.finding}" if self.dataset.withheld else ""

    @property
    def warnings(self) -> Iterator[str]:
        """What has to be told of what goes out all the same, and of a generator that stays."""
        if not self.dataset.withheld and self.dataset.answer != "no_leakage_detected":
            yield f"The privacy audit says: {self.dataset.finding}. The recipe asks only to warn of that."
        found = self.generator
        if found is None:
            return
        if found.withheld:
            why = "its dataset is withheld" if self.dataset.withheld else f"the privacy audit says: {found.finding}"
            yield f"The generator is not released: {why}."
        elif found.answer != "no_leakage_detected":
            yield f"The privacy audit says of the generator: {found.finding}. The recipe asks only to warn of that."


def privacy_of(run: Run) -> PrivacyPart | None:
    """How the run is audited; None where it is not."""
    part = run.recipe.privacy
    if part is None and redactions_of(run.folder):
        part = AFTER_REDACTION
    return part if part is not None and part.audit else None


def audit_of_run(run: Run, accepted: Dataset) -> ReleaseAudit | None:
    """The audit of what would be released; None where none is asked for or nothing would be."""
    part = privacy_of(run)
    if part is None or not len(accepted):
        return None
    beside = reference_beside(run.real, part.reference, on_bad_input=run.recipe.on_bad_input)
    question = AuditQuestion(part.alpha, run.recipe.seed)
    audited = audited_run(run, accepted, beside)
    try:
        document = examine(audited, question, run.listener)
    except DataError as error:
        dataset, generator = _not_made(part, error), _not_made(part, error) if part.with_generator else None
        return _together(dataset, generator, None)
    dataset = _judged(part, *_told(document))
    if not part.with_generator:
        return _together(dataset, None, document)
    return _together(dataset, *_of_generator(run, part, audited, document, question))


def generator_place(run: Run) -> Path:
    """The folder of the generator that a run releases."""
    return next(source.folder for source in sources_of(run.recipe, run.folder) if source.use in WEIGHTED)


def _of_generator(
    run: Run, part: PrivacyPart, audited: Audited, document: documents.AuditDocument, question: AuditQuestion
) -> tuple[Judged, documents.AuditDocument]:
    """What the audit of the generator came to, and the document with it."""
    places = {"generator": generator_place(run)}
    try:
        parts, warnings = audited_models(audited, places, document.dataset, question, run.listener)
    except DataError as error:
        return _not_made(part, error), document
    # The document goes into the run's report: no path of this machine is in it.
    found = parts["generator"].model_copy(update={"source": places["generator"].relative_to(run.folder).as_posix()})
    both = document.model_copy(update={"generator": found, "warnings": [*document.warnings, *warnings]})
    return _judged(part, found.answer, found.finding), both


def _told(document: documents.AuditDocument) -> tuple[Answer, str]:
    """The answer for whole pictures and, where there are any, for their objects: the worse of both, with what each
    says that gives it."""
    parts = {"whole pictures": document.dataset, "objects": document.objects}
    found = {name: part for name, part in parts.items() if part is not None}
    answer = max((part.answer for part in found.values()), key=WORSE.index)
    if len(found) == 1:
        return answer, next(iter(found.values())).finding
    return answer, "; ".join(f"{name}: {part.finding}" for name, part in found.items() if part.answer == answer)


def _not_made(part: PrivacyPart, error: DataError) -> Judged:
    return _judged(part, "inconclusive", f"inconclusive: the audit could not be made: {error.message}")


def _judged(part: PrivacyPart, answer: Answer, finding: str) -> Judged:
    doing = {"leak_found": part.on_leak, "inconclusive": part.on_inconclusive}.get(answer)
    return Judged(answer, finding, doing == "withhold")


def _together(dataset: Judged, generator: Judged | None, document: documents.AuditDocument | None) -> ReleaseAudit:
    """A dataset that is withheld withholds its generator."""
    if generator is not None and dataset.withheld:
        generator = replace(generator, withheld=True)
    return ReleaseAudit(dataset, document, generator)
