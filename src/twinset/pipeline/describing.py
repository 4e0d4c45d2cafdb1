"""What a run writes beside what it lets out: the dataset's card and Croissant file, the generator with its model card.

No path of this machine is in them, and no real image is named.
"""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twinset import __version__, documents
from twinset import release as out
from twinset.dataset import UNITS, Dataset
from twinset.models.diffusion import MODEL_FILE
from twinset.pipeline.card_sections import Parts, audit_result
from twinset.pipeline.generator_card import access_of, generator_card, parent_of
from twinset.pipeline.marking import told as marks_told
from twinset.pipeline.measuring import METRICS, Measured
from twinset.pipeline.opening import Run
from twinset.pipeline.page import told
from twinset.pipeline.release_audit import Judged, ReleaseAudit, generator_place
from twinset.redactions import redactions_of
from twinset.store import write_bytes

GENERATOR = "generator"
"""The folder below ``export`` that a released generator lies in."""

CARD = "MODEL_CARD.md"


def describe(run: Run, measured: Measured, exports: dict[str, Path], *, limits: Sequence[str]) -> None:
    """Card, resolved recipe and Croissant file beside the exports; the model card beside a generator among them."""
    folder = run.folder / "export"
    facts = _release(run, measured, exports, limits=limits)
    write_bytes(folder / "recipe.yaml", facts.recipe.encode())
    write_bytes(folder / "README.md", out.dataset_card(facts).encode())
    croissant = out.croissant(facts)
    json.loads(croissant)
    write_bytes(folder / "croissant.json", croissant.encode())
    if (folder / GENERATOR).is_dir():
        weights = folder / GENERATOR / MODEL_FILE
        card = out.model_card(generator_card(run, measured, weights, audit_results(measured)[1]))
        write_bytes(folder / GENERATOR / CARD, card.encode())


def export_generator(run: Run, audit: ReleaseAudit | None) -> Path | None:
    """The generator's weights among the exports, where the audit lets them out; where it is, None where it stays."""
    if audit is None or audit.generator is None or audit.generator.withheld:
        return None
    place = run.folder / "export" / GENERATOR
    if not (place / MODEL_FILE).exists():
        write_bytes(place / MODEL_FILE, (generator_place(run) / MODEL_FILE).read_bytes())
    return place


def generator_withheld(run: Run, audit: ReleaseAudit | None) -> bool:
    """Whether a generator lies among the exports that this audit, or the recipe, does not let out."""
    released = audit is not None and audit.generator is not None and not audit.generator.withheld
    return not released and (run.folder / "export" / GENERATOR).exists()


def audit_results(measured: Measured) -> tuple[out.AuditResult | None, out.AuditResult | None]:
    """What cards say of the audit of the dataset, and of its generator."""
    audit = measured.audit
    if audit is None:
        return None, None
    document = audit.document
    parts = {} if document is None else {"": document.dataset, "objects: ": document.objects}
    dataset = _result("dataset", audit.dataset, document, parts, released=len(measured.accepted))
    if audit.generator is None:
        return dataset, None
    model = {} if document is None else {"": document.generator}
    return dataset, _result("generator", audit.generator, document, model, released=0)


def _result(
    release: str, judged: Judged, document: documents.AuditDocument | None, parts: Parts, *, released: int
) -> out.AuditResult:
    return audit_result(release, judged.answer, judged.finding, parts, document, released=released)


def _release(run: Run, measured: Measured, exports: dict[str, Path], *, limits: Sequence[str]) -> out.Release:
    """All that the dataset's card and Croissant file tell."""
    folder, real = run.folder / "export", run.real
    shape = measured.accepted[0].pixels().shape
    shared = run.recipe.without_paths(real.facts.name)
    verdict = told(measured.verdict)
    found = verdict.difference if verdict else None
    dataset_audit, generator_audit = audit_results(measured)
    return out.Release(
        name=f"{real.facts.name}-twin",
        version=__version__,
        counts=measured.accepted.label_counts(),
        groups={} if measured.fairness is None else measured.fairness.images,
        unit=UNITS[real.task],
        task=real.task,
        marked=out.Marked.of(measured.accepted),
        sizes=_sizes(measured.accepted),
        images=len(measured.accepted),
        height=shape[0],
        width=shape[1],
        channels=real.spec.channels,
        digest=measured.digest,
        recipe=shared.to_yaml(),
        recipe_digest=run.recipe.digest(),
        seed=run.recipe.seed,
        command=_command(shared.data.path, real.facts.name),
        methods=dict(Counter(measured.accepted.table.column("method").to_pylist())),
        parents=(parent_of(run),),
        created=time.strftime("%Y-%m-%d"),
        decision=verdict.decision if verdict else None,
        sentence=verdict.sentence if verdict else "",
        difference=(found.value, found.low, found.high) if found else None,
        metric=measured.utility.metric if measured.utility is not None else METRICS[real.task],
        scores=measured.scores,
        arms=tuple(
            out.ArmResult(name, arm.mean, arm.low, arm.high, arm.seeds)
            for name, arm in (measured.utility.arms.items() if measured.utility else ())
        ),
        gate_passed=measured.gated.gate.passed if measured.gated.gate.released is not None else None,
        gate_sentence=measured.gated.gate.finding,
        audit=dataset_audit,
        generator_audit=generator_audit,
        redactions=tuple(
            out.RedactionNote(one.when, len(one.removed), one.reason, one.before) for one in redactions_of(run.folder)
        ),
        limits=tuple(limits),
        marks=tuple(marks_told(run.recipe.release)),
        access=access_of(run),
        generator=GENERATOR if (folder / GENERATOR).is_dir() else "",
        exports=tuple(out.Export.scan(path, format_, below=folder) for format_, path in exports.items()),  # type: ignore[arg-type]
    )


def _command(path: str, name: str) -> str:
    """What makes the dataset again, from the recipe beside the card."""
    command = "twinset run recipe.yaml"
    return f"{command} --set data.path={shlex.quote(f'PATH/TO/{name}')}" if path == name else command


def _sizes(dataset: Dataset) -> tuple[tuple[int, int], ...]:
    """The distinct (height, width) of the images."""
    return tuple(sorted({sample.shape()[:2] for sample in dataset}))
