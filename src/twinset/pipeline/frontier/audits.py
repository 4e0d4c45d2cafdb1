"""The audits of a setting's releases: that of its dataset, which its run made, and those of the models beside it."""

from __future__ import annotations

from pathlib import Path

from twinset import documents
from twinset.errors import DataError
from twinset.models.diffusion import MODEL_FILE
from twinset.pipeline.auditing import AuditQuestion, audited_run
from twinset.pipeline.folders import result_of
from twinset.pipeline.manifest import sha256_of
from twinset.pipeline.opening import reopen
from twinset.pipeline.reference_images import reference_beside
from twinset.pipeline.released_models import audited_models
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine
from twinset.privacy.audit.model_release import Release
from twinset.privacy.audit.shadow_shelf import ShadowShelf
from twinset.store import ShardStore, read_json, write_json

AuditPart = documents.ReleasePart | documents.ModelPart
AUDIT_FILE = "generator.json"


def audits_of(folder: Path) -> dict[Release, AuditPart | str]:
    """What is known of the releases of a finished run; a text where an audit could not be made."""
    path = folder / "evaluation" / "audit.json"
    if path.exists():
        document = documents.AuditDocument.model_validate(read_json(path))
        if document.dataset is not None:
            return {"dataset": document.dataset}
    found = result_of(folder).audit
    return {"dataset": found.finding if found is not None else "no image was made that could be audited"}


def audit_models(
    folder: Path, places: dict[Release, Path], *, kept: Path, listener: Listener, shelf: ShadowShelf
) -> dict[Release, AuditPart | str]:
    """The audits of the models of a finished run, as ``twinset audit RUN --classifier …`` makes them; each kept.

    ``shelf`` keeps the shadows that settings share: they are of real images alone.
    """
    found: dict[Release, AuditPart | str] = {}
    for name, place in places.items():
        path = kept / f"{name}.json"
        if not path.exists():
            part, warnings = _audit_model(folder, name, place, listener, shelf)
            told = part if isinstance(part, str) else part.model_dump(mode="json", by_alias=True)
            write_json(path, {"audit": told, "warnings": warnings})
        values = read_json(path)
        assert isinstance(values, dict)
        told = values["audit"]
        found[name] = told if isinstance(told, str) else documents.ModelPart.model_validate(told)
    return found


def take_audit(of: Path, kept: Path, *, first: Path, generator: Path) -> None:
    """Keeps the audit in the folder ``of``, of the generator ``first``, as that of ``generator`` if its weights are the
    very same: it is one release, and another look at it would only be another chance of a false alarm.
    """
    found, place = of / AUDIT_FILE, kept / AUDIT_FILE
    if place.exists() or not found.exists() or sha256_of(first / MODEL_FILE) != sha256_of(generator / MODEL_FILE):
        return
    values = read_json(found)
    assert isinstance(values, dict)
    if not isinstance(values["audit"], str):
        audit = {**values["audit"], "source": str(generator)}
        write_json(place, {**values, "audit": audit, "taken_from": of.name})


def _audit_model(
    folder: Path, name: Release, place: Path, listener: Listener, shelf: ShadowShelf
) -> tuple[documents.ModelPart | str, list[str]]:
    run = reopen(folder, Machine.of(workers=1, device="cpu"), listener)
    part = run.recipe.privacy
    assert part is not None
    question = AuditQuestion(part.alpha, run.recipe.seed)
    beside = reference_beside(run.real, part.reference, on_bad_input=run.recipe.on_bad_input)
    audited = audited_run(run, ShardStore(folder).accepted(run.real.dataset.classes), beside)
    of_dataset = audits_of(folder)["dataset"]
    dataset = of_dataset if isinstance(of_dataset, documents.ReleasePart) else None
    try:
        parts, warnings = audited_models(audited, {name: place}, dataset, question, listener, shelf)
    except DataError as error:
        return f"the audit could not be made: {error.message}", []
    return parts[name], warnings
