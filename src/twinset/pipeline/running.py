"""A run from its recipe to its report, in steps that each leave something committed behind."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from twinset import documents, methods
from twinset.executors.local import LocalProcesses
from twinset.pipeline.fitting import fit, load_resolved, sources_of
from twinset.pipeline.folders import Timings, begin, environment, recipe_of, run_folder
from twinset.pipeline.making import Maker
from twinset.pipeline.measuring import Measured, measure
from twinset.pipeline.planning import Planner, sources
from twinset.pipeline.real import RealData, load_real, prepare_real, read_real, refuse_another_dataset
from twinset.pipeline.releasing import release
from twinset.pipeline.reporting import Listener, RunLog
from twinset.pipeline.resolving import Machine, resolve_once
from twinset.randomness import Stream, seed_for
from twinset.recipe import Recipe, WrittenRecipe
from twinset.store import ShardStore, locked, read_json, remove_temporaries, write_bytes, write_json


@dataclass(frozen=True, eq=False)
class Run:
    """An open run: its folder, its resolved recipe, its real images, and where it may compute."""

    folder: Path
    recipe: Recipe
    real: RealData
    machine: Machine
    listener: Listener
    timings: Timings

    @property
    def key(self) -> str:
        """What decides every sample: resolved recipe, real data, versions of plug-in methods."""
        return run_key(self.recipe, self.real)

    @property
    def stream(self) -> Stream:
        """The stream that all others of this run derive from."""
        return Stream(seed_for(self.key, "run"))

    @property
    def executor(self) -> LocalProcesses:
        """Where its tasks run."""
        return LocalProcesses(self.machine.workers)


def run_key(recipe: Recipe, real: RealData) -> str:
    """H(resolved recipe ‖ real-data digest ‖ plug-in versions); workers and device are not in it."""
    plugged = []
    for number, part in enumerate(sources(recipe)):
        kind: methods.Kind = "generators" if number < len(recipe.generate) else "editors"
        entry = methods.entries(kind)[part.use]
        if entry.distribution != "twinset":
            plugged.append([entry.name, entry.distribution, entry.version])
    text = json.dumps([recipe.digest(), real.facts.digest, plugged])
    return hashlib.sha256(text.encode()).hexdigest()


def run(
    written: WrittenRecipe, *, out: Path | None, workers: int | None, device: str, listener: Listener
) -> documents.RunDocument:
    """Runs a recipe to its report, or continues where an earlier sitting stopped."""
    folder = run_folder(written, out)
    begin(folder, written)
    with locked(folder):
        return _finish(open_run(folder, written, Machine.of(workers=workers, device=device), listener, reread=True))


def resume(folder: Path, *, workers: int | None, device: str, listener: Listener) -> documents.RunDocument:
    """Continues a run from what it has committed."""
    folder = folder.expanduser().resolve()
    written = recipe_of(folder)
    with locked(folder):
        return _finish(open_run(folder, written, Machine.of(workers=workers, device=device), listener, reread=False))


def evaluate(folder: Path, *, workers: int | None, device: str, listener: Listener) -> documents.RunDocument:
    """Measures a finished dataset again and writes a new report."""
    folder = folder.expanduser().resolve()
    written = recipe_of(folder)
    with locked(folder):
        run = open_run(folder, written, Machine.of(workers=workers, device=device), listener, reread=False)
        return _finish(run, again=True)


def open_run(folder: Path, written: WrittenRecipe, machine: Machine, listener: Listener, *, reread: bool) -> Run:
    """Reads and splits the real images and resolves the recipe, unless an earlier sitting did."""
    remove_temporaries(folder)
    timings = Timings(folder)
    RunLog(folder / "log.jsonl").add("begin", workers=machine.workers, device=machine.device)
    if not (folder / "split.json").exists():
        with timings.stage("read"):
            listener.stage("read the real images")
            dataset, report = read_real(written)
            real = prepare_real(written.recipe, dataset, report, folder)
    else:
        if reread:
            dataset, _ = read_real(written)
            refuse_another_dataset(folder, dataset.source_digest())
        real = load_real(folder)
    if not (folder / "resolved.yaml").exists():
        with timings.stage("calibrate"):
            listener.stage("calibrate")
            resolved = resolve_once(written.recipe, real, machine, listener)
            write_bytes(folder / "resolved.yaml", resolved.to_yaml().encode())
    if not (folder / "environment.json").exists():
        write_json(folder / "environment.json", environment(machine.device, machine.workers))
    return Run(folder, load_resolved(folder), real, machine, listener, timings)


def _finish(run: Run, *, again: bool = False) -> documents.RunDocument:
    result = run.folder / "result.json"
    if result.exists() and not again:
        return documents.RunDocument.model_validate(read_json(result))
    store = ShardStore(run.folder)
    if not store.index_path.exists():
        make(run)
    measured: Measured = measure(run, again=again)
    document = release(run, measured)
    write_json(result, json.loads(document.model_dump_json(by_alias=True)))
    RunLog(run.folder / "log.jsonl").add("end", digest=document.digest, decision=document.verdict.decision)
    return document


def make(run: Run) -> None:
    """Fits the sources and fills the plan."""
    all_sources = sources_of(run.recipe, run.folder)
    fitted = []
    for source in all_sources:
        with run.timings.stage(f"fit {source.use}"):
            fitted.append(
                fit(
                    source,
                    run.real,
                    run=run.stream,
                    device=run.machine.device,
                    threads=int(run.recipe.threads),
                    listener=run.listener,
                )
            )
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
    )
    with run.timings.stage("generate and align"):
        maker.make()


def exit_code(document: documents.RunDocument) -> int:
    """6 if the gate blocked, 5 if slots stayed empty, else 0."""
    if document.verdict.decision == "blocked_by_gate":
        return 6
    return 5 if document.counts.failed else 0
