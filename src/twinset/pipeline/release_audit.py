"""The privacy audit as a release gate: what a run would release, audited before it does."""

from __future__ import annotations

from dataclasses import dataclass

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.pipeline.auditing import AuditQuestion, audited_run, examine
from twinset.pipeline.opening import Run
from twinset.pipeline.reference_images import reference_beside
from twinset.privacy.audit.answers import WORSE, Answer
from twinset.recipe import PrivacyPart
from twinset.redactions import redactions_of

AFTER_REDACTION = PrivacyPart(on_inconclusive="warn")
"""How a run is audited whose recipe says nothing of it and from which images were taken: by whom a hit was found, a
leak that is left is withheld from."""


@dataclass(frozen=True, eq=False)
class ReleaseAudit:
    """What the audit came to, and whether the export is withheld for it. ``document`` is None where the audit could not
    be made: then it is inconclusive."""

    answer: Answer
    finding: str
    withheld: bool
    document: documents.AuditDocument | None

    @property
    def failure(self) -> str:
        """Why nothing is released; "" where the audit does not stand in the way."""
        return f"the privacy audit says: {self.finding}" if self.withheld else ""

    @property
    def warning(self) -> str:
        """What has to be told of a set that goes out all the same; "" where nothing was found."""
        if self.withheld or self.answer == "no_leakage_detected":
            return ""
        return f"The privacy audit says: {self.finding}. The recipe asks only to warn of that."


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
    try:
        document = examine(audited_run(run, accepted, beside), question, run.listener)
    except DataError as error:
        return _judged(part, "inconclusive", f"inconclusive: the audit could not be made: {error.message}", None)
    return _judged(part, *_told(document), document)


def _told(document: documents.AuditDocument) -> tuple[Answer, str]:
    """The answer for whole pictures and, where there are any, for their objects: the worse of both, with what each
    says that gives it."""
    parts = {"whole pictures": document.dataset, "objects": document.objects}
    found = {name: part for name, part in parts.items() if part is not None}
    answer = max((part.answer for part in found.values()), key=WORSE.index)
    if len(found) == 1:
        return answer, next(iter(found.values())).finding
    return answer, "; ".join(f"{name}: {part.finding}" for name, part in found.items() if part.answer == answer)


def _judged(part: PrivacyPart, answer: Answer, finding: str, document: documents.AuditDocument | None) -> ReleaseAudit:
    doing = {"leak_found": part.on_leak, "inconclusive": part.on_inconclusive}.get(answer)
    return ReleaseAudit(answer, finding, doing == "withhold", document)
