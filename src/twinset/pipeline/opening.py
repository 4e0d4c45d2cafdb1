"""An open run: its folder, its resolved recipe, its real images; what the later steps share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from twinset import methods
from twinset.executors.local import LocalProcesses
from twinset.pipeline.fitting import load_resolved
from twinset.pipeline.folders import Timings, environment
from twinset.pipeline.planning import sources
from twinset.pipeline.real import RealData, load_real, prepare_real, read_real, refuse_another_dataset
from twinset.pipeline.reporting import Listener, RunLog
from twinset.pipeline.resolving import Machine, resolve_once
from twinset.randomness import Stream, seed_for
from twinset.recipe import Recipe, WrittenRecipe
from twinset.store import remove_temporaries, write_bytes, write_json


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
