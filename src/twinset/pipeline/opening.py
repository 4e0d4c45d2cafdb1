"""An open run: its folder, its resolved recipe, its real images; what the later steps share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinset import methods
from twinset.errors import MissingExtraError, MissingModelError
from twinset.executors.local import LocalProcesses
from twinset.pipeline.audit_forecast import audit_forecast
from twinset.pipeline.closing.weighing import check_weighable
from twinset.pipeline.evolving import check_evolution
from twinset.pipeline.fitting import check_training, load_resolved, sources_of
from twinset.pipeline.folders import Timings, environment, refuse_another_environment
from twinset.pipeline.marking import encoder_of
from twinset.pipeline.metering import check_energy, meter_of
from twinset.pipeline.placed_choice import check_fits, check_part
from twinset.pipeline.real import RealData, load_real, prepare_real, read_real, refuse_another_dataset
from twinset.pipeline.reference_images import check_reference
from twinset.pipeline.reporting import Listener, RunLog
from twinset.pipeline.resolving import Machine, least_time, resolve_once
from twinset.randomness import Stream, seed_for
from twinset.recipe import Recipe, UsePart, WrittenRecipe
from twinset.stages import CheckedMethod
from twinset.store import ShardStore, remove_temporaries, write_bytes, write_json


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
    def fits(self) -> Stream:
        """The stream that fits derive from: that of the run, or of its ``fit_seed``."""
        return self.stream if self.recipe.fit_seed is None else Stream(self.recipe.fit_seed)

    @property
    def executor(self) -> LocalProcesses:
        """Where its tasks run."""
        return LocalProcesses(self.machine.workers)


def run_key(recipe: Recipe, real: RealData) -> str:
    """H(resolved recipe ‖ real-data digest ‖ plug-in versions); workers and device are not in it."""
    entries = [methods.entries(kind)[part.use] for kind, parts in _used(recipe)[:-1] for part in parts]
    plugged = [[entry.name, entry.distribution, entry.version] for entry in entries if entry.distribution != "twinset"]
    text = json.dumps([recipe.digest(), real.facts.digest, plugged])
    return hashlib.sha256(text.encode()).hexdigest()


def _used(recipe: Recipe) -> list[tuple[methods.Kind, Sequence[UsePart]]]:
    """All methods of a recipe; the last, the embedder, measures only."""
    return [
        ("generators", recipe.generators),
        ("editors", recipe.edit),
        ("aligners", recipe.filters),
        ("embedders", (recipe.evolve.embedder,) if recipe.evolve is not None else ()),
        ("embedders", (recipe.evaluate.embedder,) if recipe.evaluate.fidelity else ()),
    ]


def check_models(recipe: Recipe) -> None:
    """An error at once, not after an hour, if an extra or a model file that the recipe needs is missing."""
    for kind, parts in _used(recipe):
        for number, part in enumerate(parts):
            method = methods.build(kind, part.use, part.settings, where=f"{kind}.{number}")
            if isinstance(method, CheckedMethod):
                method.check()
    if meter_of(recipe.evaluate.cost) is not None:
        check_energy()
    encoder_of(recipe.release)
    utility = recipe.evaluate.utility
    if utility != "off":
        check_part(utility)
        if recipe.task != "auto":
            check_fits(utility, recipe.task)


def missing_models(recipe: Recipe) -> list[str]:
    """What :func:`check_models` would complain about."""
    try:
        check_models(recipe)
    except (MissingExtraError, MissingModelError) as error:
        return [str(error)]
    return []


def open_run(folder: Path, written: WrittenRecipe, machine: Machine, listener: Listener, *, reread: bool) -> Run:
    """Reads and splits the real images and resolves the recipe, unless an earlier sitting did."""
    check_models(written.recipe)
    begun = (folder / "environment.json").exists()
    if begun and not ShardStore(folder).index_path.exists():
        refuse_another_environment(folder, machine.device)
    remove_temporaries(folder)
    timings = Timings(folder, meter_of(written.recipe.evaluate.cost))
    RunLog(folder / "log.jsonl").add("begin", workers=machine.workers, device=machine.device)
    if not (folder / "split.json").exists():
        with timings.stage("read"):
            listener.stage("read the real images")
            dataset, report = read_real(written)
            check_reference(written.recipe, dataset)
            real = prepare_real(written.recipe, dataset, report, folder)
    else:
        if reread:
            dataset, _ = read_real(written)
            refuse_another_dataset(folder, dataset.source_digest())
        real = load_real(folder)
    listener.note(f"run {folder}")
    if written.recipe.evaluate.utility != "off":
        check_fits(written.recipe.evaluate.utility, real.task)
    if not (folder / "resolved.yaml").exists():
        made_by = sources_of(written.recipe.for_task(real.task), folder)
        check_training(made_by, real.dataset.classes, real.task)
        check_evolution(written.recipe, made_by, real)
        check_weighable(written.recipe, real)
        with timings.stage("calibrate"):
            listener.stage("calibrate")
            resolved = resolve_once(written.recipe.for_task(real.task), real, machine, listener)
            if text := least_time(written.recipe, resolved, real, machine):
                listener.note(text)
            for text in audit_forecast(resolved, real):
                listener.note(text)
            write_bytes(folder / "resolved.yaml", resolved.to_yaml().encode())
    if not begun:
        write_json(folder / "environment.json", environment(machine.device, machine.workers))
    return Run(folder, load_resolved(folder), real, machine, listener, timings)


def reopen(folder: Path, machine: Machine, listener: Listener) -> Run:
    """A finished run, to look at: nothing is written."""
    return Run(folder, load_resolved(folder), load_real(folder), machine, listener, Timings(folder))
