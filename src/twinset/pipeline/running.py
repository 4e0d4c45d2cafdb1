"""A run from its recipe to its report, in steps that each leave something committed behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from twinset import documents
from twinset.locks import locked
from twinset.paths import expanded
from twinset.pipeline.closing.loop import close_gap
from twinset.pipeline.curating import commit_curation
from twinset.pipeline.evolving import commit_evolution, touched_by
from twinset.pipeline.fitting import Source, as_generator, fit, sources_of
from twinset.pipeline.folders import (
    began_on,
    begin,
    finished,
    no_empty_folders,
    recipe_of,
    refuse_inside,
    refuse_unfinished,
    result_of,
    run_folder,
    taken_back,
)
from twinset.pipeline.making import Maker
from twinset.pipeline.manifest import MANIFEST, write_manifest
from twinset.pipeline.matching import match_target
from twinset.pipeline.matching_sources import match_source
from twinset.pipeline.measuring import Measured, measure
from twinset.pipeline.metadata import commit_shifts
from twinset.pipeline.opening import Run, open_run
from twinset.pipeline.planning import Planner
from twinset.pipeline.reference_images import check_reference
from twinset.pipeline.releasing import release
from twinset.pipeline.reporting import Listener, RunLog
from twinset.pipeline.resolving import Machine
from twinset.pipeline.revising import commit_revision, revising
from twinset.pipeline.taken_fits import take_fits
from twinset.pipeline.targets import commit_target, committed_target
from twinset.recipe import WrittenRecipe
from twinset.redactions import apply_redactions
from twinset.stages import Curatable
from twinset.store import ShardStore, disk_refusals, sync_folder, write_json


def run(
    written: WrittenRecipe,
    *,
    out: Path | None,
    workers: int | None,
    device: str,
    listener: Listener,
    fits_of: Path | None = None,
) -> documents.RunDocument:
    """Runs a recipe to its report, or continues where an earlier sitting stopped.

    ``fits_of``: a finished run whose fits are taken over, where they would come out the same.
    """
    folder = run_folder(written, out)
    refuse_inside(folder, written.source)
    machine = Machine.of(workers=workers, device=began_on(folder, device))
    with no_empty_folders(folder), locked(folder):
        fresh = begin(folder, written)
        with taken_back(folder) if fresh else nullcontext():
            opened = open_run(folder, written, machine, listener, reread=True)
        return finish(opened, fits_of=fits_of)


def resume(folder: Path, *, workers: int | None, device: str, listener: Listener) -> documents.RunDocument:
    """Continues a run from what it has committed."""
    folder = expanded(folder).resolve()
    written = recipe_of(folder)
    machine = Machine.of(workers=workers, device=began_on(folder, device))
    with locked(folder):
        return finish(open_run(folder, written, machine, listener, reread=False))


def evaluate(folder: Path, *, workers: int | None, device: str, listener: Listener) -> documents.RunDocument:
    """Measures a finished dataset again and writes a new report; if it is interrupted, :func:`resume` ends it."""
    folder = expanded(folder).resolve()
    written = recipe_of(folder)
    machine = Machine.of(workers=workers, device=began_on(folder, device))
    with locked(folder):
        refuse_unfinished(folder)
        run = open_run(folder, written, machine, listener, reread=False)
        check_reference(run.recipe, run.real.dataset)
        take_back_result(folder)
        return finish(run, again=True)


def take_back_result(folder: Path) -> None:
    """Makes a finished run one that is still to be measured.

    The result goes first and for good: a run with a result counts as finished, so its manifest must hold till then.
    """
    with disk_refusals(folder, "to remove the old result"):
        (folder / "result.json").unlink()
        sync_folder(folder)
        (folder / MANIFEST).unlink(missing_ok=True)


def finish(run: Run, *, again: bool = False, fits_of: Path | None = None) -> documents.RunDocument:
    """Carries a run from what it has committed to its result; ``again``: trains anew what measures usefulness;
    ``fits_of``: a run whose fits are taken over."""
    if finished(run.folder):
        return _where_it_is(result_of(run.folder), run.folder)
    store = ShardStore(run.folder)
    if not store.index_path.exists():
        if fits_of is not None:
            take_fits(run, fits_of)
        make(run)
    apply_redactions(run.folder)
    measured: Measured = measure(run, again=again)
    document = release(run, measured)
    write_manifest(run.folder)
    write_json(run.folder / "result.json", json.loads(document.model_dump_json(by_alias=True)))
    RunLog(run.folder / "log.jsonl").add("end", digest=document.digest, decision=document.verdict.decision)
    return document


def _where_it_is(document: documents.RunDocument, folder: Path) -> documents.RunDocument:
    """The document with its paths below ``folder``: a run may have been moved since it was written."""
    exports = {format_: str(folder / "export" / format_) for format_ in document.exports}
    generator = None if document.generator is None else str(folder / "export" / "generator")
    moved = {"run": str(folder), "report": str(folder / "report.html"), "exports": exports, "generator": generator}
    return document.model_copy(update=moved)


def make(run: Run) -> None:
    """Fits the sources and fills the plan; what the real splits have not in common is told first."""
    commit_shifts(run)
    with run.timings.stage("target"):
        commit_target(
            run.recipe, run.real, run.folder, run=run.stream, device=run.machine.device, listener=run.listener
        )
    all_sources = sources_of(run.recipe, run.folder)
    fitted = []
    for source in all_sources:
        with run.timings.stage(f"fit {source.use}"):
            fitted.append(
                fit(
                    source,
                    run.real,
                    run=run.fits,
                    device=run.machine.device,
                    threads=int(run.recipe.threads),
                    listener=run.listener,
                )
            )
    if run.recipe.close_gap is not None:
        close_gap(run, all_sources, fitted)
    else:
        match(run, all_sources, fitted)
        curate(run, all_sources, fitted)
        evolve(run, all_sources, fitted)
    revise(run, all_sources, fitted)
    maker = Maker(
        run.folder,
        run.recipe,
        run.real,
        Planner.of(run.recipe, run_key=run.key),
        all_sources,
        fitted,
        run.executor,
        run.machine.device,
        run.stream,
        run.listener,
        run.timings,
    )
    maker.make()


def match(run: Run, all_sources: Sequence[Source], fitted: Sequence[object]) -> None:
    """Searches the configuration space of every generator, where the recipe asks for that."""
    part = run.recipe.match
    if part is None:
        return
    target = match_target(part, committed_target(run.folder), run.real, run=run.stream)
    for source, generator in zip(all_sources, fitted, strict=True):
        if source.kind != "generators":
            continue
        with run.timings.stage(f"match {source.use}"):
            match_source(run, source, generator, part, target)


def curate(run: Run, all_sources: Sequence[Source], fitted: Sequence[object]) -> None:
    """Leaves out shapes of every generator that has shapes, as it was matched, where the recipe asks for that."""
    part = run.recipe.curate
    if part is None:
        return
    made = [source for source in all_sources if source.kind == "generators"]
    having = [source for source in made if isinstance(fitted[source.number], Curatable)]
    for source in having or made:
        with run.timings.stage(f"curate {source.use}"):
            commit_curation(
                as_generator(source, fitted[source.number], run.folder),
                source.folder,
                part,
                run.real,
                name=source.use,
                rng=run.stream.child("curate", source.number),
                executor=run.executor,
                listener=run.listener,
            )


def revise(run: Run, all_sources: Sequence[Source], fitted: Sequence[object]) -> None:
    """Fits what takes far objects out of the pictures of all sources, where the recipe asks for that."""
    if not revising(run.recipe.filters):
        return
    with run.timings.stage("align"):
        commit_revision(
            run.recipe.filters,
            run.folder,
            [as_generator(source, one, run.folder) for source, one in zip(all_sources, fitted, strict=True)],
            run.real,
            rng=run.stream.child("align"),
            executor=run.executor,
            listener=run.listener,
        )


def evolve(run: Run, all_sources: Sequence[Source], fitted: Sequence[object]) -> None:
    """Evolves the configurations of every generator, as it was matched and curated, where the recipe asks for that."""
    part = run.recipe.evolve
    if part is None:
        return
    for source in all_sources:
        if source.kind != "generators":
            continue
        with run.timings.stage(f"evolve {source.use}"):
            commit_evolution(
                as_generator(source, fitted[source.number], run.folder),
                source.folder,
                part,
                run.real,
                name=source.use,
                seed=run.recipe.seed,
                number=source.number,
                generators=len(run.recipe.generate),
                touched=touched_by(
                    source.method,
                    name=source.use,
                    matched=run.recipe.match is not None,
                    curated=run.recipe.curate is not None,
                ),
                executor=run.executor,
                listener=run.listener,
            )


def exit_code(document: documents.RunDocument) -> int:
    """6 if the gate blocked the dataset or its generator, 5 if slots stayed empty, else 0."""
    stays = document.audit is not None and document.audit.generator is not None and document.audit.generator.withheld
    if document.verdict.decision == "blocked_by_gate" or stays:
        return 6
    return 5 if document.counts.failed else 0
