"""The end of a run: exports with provenance, card, Croissant file, report, and the document that sums them up."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twinset import documents
from twinset import report as page
from twinset.dataset import Dataset
from twinset.embedding.protocol import stamped
from twinset.formats import losses, write
from twinset.formats.writing import WritableFormat
from twinset.pipeline.describing import describe, export_generator, generator_withheld
from twinset.pipeline.marking import encoder_of
from twinset.pipeline.measuring import METRICS, Measured, cost_of
from twinset.pipeline.opening import Run
from twinset.pipeline.parts import arms_part, audit_part, cost_part, gate_part, gate_scores, scores_part, verdict_part
from twinset.pipeline.planning import planned
from twinset.pipeline.presenting import Tried, report_data
from twinset.pipeline.withdrawing import end_withdrawal, withdraw
from twinset.recipe import GroupCountPart
from twinset.redactions import redacted_ids
from twinset.report.plain import plain
from twinset.store import disk_refusals, write_bytes, write_json

FEW_MADE = 0.5
"""A class of which less than this share of the planned images was accepted is named."""

EASILY_TOLD = 0.95
"""Above this AUC of a real-or-synthetic classifier, the images are named as unlike real ones."""


def release(run: Run, measured: Measured) -> documents.RunDocument:
    """Writes what the gate lets out and the report in any case; the document that ``run`` answers with."""
    tried = Tried.of(run)
    with run.timings.stage("export"):
        run.listener.stage("export")
        exports, generator = _export(run, measured)
    command = f"twinset run {shlex.quote(str(_shown(run.folder) / 'resolved.yaml'))}"
    limits = _limits(run, measured, marked=bool(exports))
    _write_json(run, measured)
    spent = cost_of(run, measured.accepted)
    data = report_data(run, measured, tried, spent, command=command, limits=limits)
    path = run.folder / "report.html"
    with run.timings.stage("report"):
        run.listener.stage("report")
        write_bytes(path, page.render(data).encode())
        write_json(run.folder / "evaluation" / "report.json", data.to_json())
    document = _document(run, measured, tried, exports, limits)
    if exports:
        describe(run, measured, exports, limits=limits)
    return document.model_copy(
        update={"cost": cost_part(spent), "generator": None if generator is None else str(generator)}
    )


def _shown(folder: Path) -> Path:
    """A folder as it may stand in a report that others read: below the current folder, or by its name alone."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else Path(folder.name)


def _export(run: Run, measured: Measured) -> tuple[dict[str, Path], Path | None]:
    """The accepted images in every format of the recipe, and the generator where it is released; neither if a gate
    blocks or nothing is left.

    An export that an earlier measurement let out is then withdrawn.
    """
    end_withdrawal(run.folder)
    if measured.verdict.decision == "blocked_by_gate" or not len(measured.accepted):
        withdraw(run.folder, because=measured.verdict.sentence, digest=measured.digest)
        return {}, None
    if generator_withheld(run, measured.audit):
        withdraw(run.folder, because="its generator is no longer released", digest=measured.digest)
    found: dict[str, Path] = {}
    for format_ in run.recipe.exports:
        path = run.folder / "export" / format_
        if not path.exists():
            write(measured.accepted, path, format_, encode=encoder_of(run.recipe.release))
        found[format_] = path
    return found, export_generator(run, measured.audit)


def _limits(run: Run, measured: Measured, *, marked: bool) -> list[str]:
    """What keeps the figures from saying more. ``marked``: whether anything was exported that could carry a mark."""
    accepted = measured.accepted.class_counts()
    wanted = run.recipe.count if isinstance(run.recipe.count, dict) else {}
    limits = [*measured.audit.warnings] if measured.audit is not None else []
    limits += [
        f"Class {name!r}: {accepted.get(name, 0)} of {count} images made."
        for name, count in wanted.items()
        if accepted.get(name, 0) < FEW_MADE * count
    ]
    limits += few_of_groups(run.recipe.count, measured.accepted)
    if any(part.use == "copypaste" for part in run.recipe.generators):
        limits.append(
            "Copy–paste: the synthetic images are made of pixels of the training images. Whoever gets them sees those; "
            "where the real images are private, they do not hide them."
        )
    if run.real.task == "instance-segmentation" and measured.utility is not None:
        limits.append("Usefulness was measured by boxes, not by masks: the network that is trained finds boxes.")
    for name in run.recipe.exports:
        if text := lost(measured.accepted, name, known=run.real.training):
            limits.append(f"Export {name}: {text}.")
    told_apart = next((score.value for score in measured.scores if score.name == "detectability_auc"), None)
    if told_apart is not None and told_apart > EASILY_TOLD:
        limits.append(
            f"A classifier tells the synthetic images from real ones almost without fail (AUC {told_apart:.3f}): they "
            "do not look real. More minutes for the generator may help; the other figures of likeness matter less."
        )
    if run.recipe.split.shots is not None and measured.utility is not None:
        limits.append(
            "Few shots: everything was measured on one draw of the training images. Another draw gives another figure, "
            "which the interval does not cover; repeat with other seeds before you rely on the verdict."
        )
    if any(part.use == "folder" for part in run.recipe.generators):
        limits.append("Images from a folder: how they were made, and from which training images, is not known here.")
    if marked and run.recipe.release is not None and run.recipe.release.watermark is not None:
        limits.append("The exported images carry a watermark; all figures here are of the images without it.")
    if run.recipe.edit:
        limits.append("Edited images descend from single training images and show what those show.")
    return limits


def few_of_groups(count: object, accepted: Dataset) -> list[str]:
    """The groups of which far fewer images were accepted than a ``count`` by an attribute asks for."""
    if not isinstance(count, GroupCountPart):
        return []
    made = Counter(zip(accepted.class_ids.tolist(), map(str, accepted.attribute(count.by)), strict=True))
    return [
        f"Class {accepted.classes[class_id]!r} with {count.by} {value!r}: {made[class_id, value]} of {n} images made."
        for class_id, value, n in count.cells(accepted.classes)
        if made[class_id, value] < FEW_MADE * n
    ]


def lost(dataset: Dataset, format: WritableFormat, *, known: Dataset) -> str:
    """What a format has no place for of what these images say and the real ones, ``known``, say too; "" for nothing."""
    asked = losses(known, format)
    gone = [f"{count} {what}" for what, count in losses(dataset, format).items() if what in asked]
    return f"no place there for {', '.join(gone)}" if gone else ""


def _write_json(run: Run, measured: Measured) -> None:
    folder = run.folder / "evaluation"
    write_json(
        folder / "fidelity.json",
        {
            "schema": "twinset/fidelity/1",
            "scores": {score.name: score.to_json() for score in measured.scores},
            "before_alignment": {score.name: score.to_json() for score in measured.before},
        },
    )
    if measured.metadata is not None:
        write_json(folder / "metadata.json", {"schema": "twinset/metadata/1", **measured.metadata.to_json()})
    if measured.samples is not None:
        write_json(folder / "samples.json", {"schema": "twinset/samples/1", **measured.samples.to_json()})
    gate = _gate_part(run, measured).model_dump()
    write_json(folder / "gate.json", {"schema": "twinset/gate/1", **gate})
    _write_audit(folder / "audit.json", measured)
    if measured.fairness is not None:
        told = plain(measured.fairness)
        assert isinstance(told, dict)
        write_json(folder / "fairness.json", {"schema": "twinset/fairness/1", **told})
    utility = measured.utility.to_json() if measured.utility is not None else {}
    blind = measured.utility.blind if measured.utility is not None else None
    verdict = verdict_part(measured.verdict).model_dump()
    write_json(
        folder / "utility.json", {"schema": "twinset/utility/1", "arms": utility, "blind": blind, "verdict": verdict}
    )


def _gate_part(run: Run, measured: Measured) -> documents.GatePart:
    blocks = run.recipe.gate.copies in ("block", "block-unrecorded")
    found = measured.gated
    return gate_part(found.gate, measured.accepted, run.real.training, blocks=blocks, blocking=found.blocking)


def _write_audit(path: Path, measured: Measured) -> None:
    """The audit beside the other figures; one of other images goes."""
    if measured.audit is not None and measured.audit.document is not None:
        write_json(path, measured.audit.document.model_dump(mode="json", by_alias=True))
    else:
        with disk_refusals(path, "to remove an older audit"):
            path.unlink(missing_ok=True)


def _document(
    run: Run, measured: Measured, tried: Tried, exports: dict[str, Path], limits: Sequence[str]
) -> documents.RunDocument:
    wanted, accepted = planned(run.recipe), len(measured.accepted)
    redacted = len(redacted_ids(run.folder))
    return documents.RunDocument(
        run=str(run.folder),
        report=str(run.folder / "report.html"),
        digest=measured.digest,
        verdict=verdict_part(measured.verdict),
        counts=documents.Counts(
            planned=wanted,
            accepted=accepted,
            rejected=tried.rejected - redacted,
            failed=max(0, wanted - accepted - redacted),
            redacted=redacted,
        ),
        scores=scores_part([*measured.scores, *stamped(gate_scores(measured.gated.gate), {}, seed=run.recipe.seed)]),
        utility=arms_part(measured.utility),
        utility_metric=measured.utility.metric if measured.utility is not None else METRICS[run.real.task],
        gate=_gate_part(run, measured),
        audit=audit_part(measured.audit),
        exports={format_: str(path) for format_, path in exports.items()},
        warnings=[*run.real.facts.notes, *limits],
        seconds=round(sum(run.timings.read().values()), 3),
    )
