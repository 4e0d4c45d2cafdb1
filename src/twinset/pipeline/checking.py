"""Looks at runs: how far one is, whether its files hold, what one would do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from twinset import documents
from twinset.dataset import SPLITS, UNITS, Sample, sample_digest
from twinset.downstream import UtilityPlan
from twinset.errors import RunFolderError
from twinset.locks import in_use, locked
from twinset.paths import expanded
from twinset.pipeline.audit_forecast import audit_forecast
from twinset.pipeline.audit_seconds import audit_seconds
from twinset.pipeline.closing.seconds import closing_notes
from twinset.pipeline.closing.weighing import check_weighable
from twinset.pipeline.evolving import check_evolution
from twinset.pipeline.fitting import Source, as_generator, check_training, fit, load_source, sources_of, takes_workspace
from twinset.pipeline.folders import (
    Timings,
    began_on,
    environment_of,
    finished,
    identity,
    kind_of,
    recipe_of,
    refuse_unfinished,
    result_of,
)
from twinset.pipeline.held_out import refuse_held_out
from twinset.pipeline.manifest import added_since, changed_since
from twinset.pipeline.opening import Run, missing_models, reopen
from twinset.pipeline.placed import plan_notes
from twinset.pipeline.planning import Planner, counts_of
from twinset.pipeline.real import RealData, changed_files, load_real, prepare_real, read_real
from twinset.pipeline.reference_images import check_reference
from twinset.pipeline.releasing import lost
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine, estimate, overruns, resolve_once
from twinset.randomness import Stream
from twinset.recipe import GroupCountPart, Recipe, WrittenRecipe
from twinset.stages import Generator
from twinset.store import ShardStore
from twinset.threads import torch_threads

BYTES_PER_PIXEL = 1.2
RESTING = ("export/", "withdrawn/", "evaluation/", "report")
"""Files on which no other figure rests."""

NAMED = 8
"""Classes named in one note."""


def status(folder: Path) -> documents.StatusDocument:
    """How far a run is, from what it has committed; works while the run is going."""
    folder = expanded(folder).resolve()
    identity(folder)
    store, timings = ShardStore(folder), Timings(folder).read()
    ended, planned, generated, accepted = finished(folder), 0, 0, None
    stage = "reading the real images"
    if (folder / "resolved.yaml").exists():
        stage = "fitting"
    if store.plan_path.exists():
        plan = store.plan()
        planned, stage = len(set(plan.column("slot").to_pylist())), "generating"
        shards = np.asarray(plan.column("shard").to_numpy())
        done = {int(path.stem) for path in (folder / "_done").glob("*.json")}
        generated = int(np.isin(shards, list(done)).sum()) if done else 0
    if store.index_path.exists():
        accepted, stage = store.index().num_rows, "measuring"
    running = in_use(folder)
    if not ended and not running:
        stage = f"stopped while {stage}"
    return documents.StatusDocument(
        run=str(folder),
        stage="finished" if ended else stage,
        running=running,
        finished=ended,
        planned=planned,
        generated=generated,
        accepted=accepted,
        seconds=round(sum(timings.values()), 3),
        stages=timings,
    )


def verify(folder: Path, *, samples: int, device: str, listener: Listener) -> documents.VerifyDocument:
    """Re-hashes every file of a finished run and the user's own images, and makes ``samples`` samples again.

    What other figures rest on is not used once it has changed: then nothing is made again. Files that the run did
    not write are named too; nothing rests on them.
    """
    folder = expanded(folder).resolve()
    recipe_of(folder)
    with locked(folder):
        refuse_unfinished(folder)
        recorded = result_of(folder).digest
        problems = list(changed_since(folder))
        foundations = [part.path for part in problems if not part.path.startswith(RESTING)]
        problems += added_since(folder)
        made, shards, digest = 0, 0, ""
        if not foundations:
            problems += [documents.MismatchPart(path=path, problem=text) for path, text in changed_files(folder)]
            run = reopen(folder, Machine.of(workers=1, device=_device_of(folder, device, samples)), listener)
            store = ShardStore(folder)
            shards = len(set(store.plan().column("shard").to_pylist()))
            digest = store.accepted(run.real.dataset.classes).digest()
            if digest != recorded:
                text = f"expected dataset digest {recorded[:12]}…; got {digest[:12]}…"
                problems.append(documents.MismatchPart(path=store.index_path.name, problem=text))
            made, different = _make_again(run, samples)
            problems += different
    return documents.VerifyDocument(
        run=str(folder), ok=not problems, digest=digest, shards=shards, regenerated=made, mismatches=problems
    )


def _device_of(folder: Path, device: str, samples: int) -> str:
    """Where samples can be made again: on the kind of device that made them."""
    made_on = environment_of(folder).get("device", "cpu")
    here = Machine.of(workers=1, device=began_on(folder, device)).device
    if samples and kind_of(here) != kind_of(made_on):
        raise RunFolderError(
            f"{folder}: expected the device that made these images ({made_on}); got {here}",
            hint="`--samples 0` checks the files alone",
        )
    return here


def _make_again(run: Run, samples: int) -> tuple[int, list[documents.MismatchPart]]:
    """Regenerates a random choice of stored samples and compares every pixel and all that is recorded with them."""
    store, plan = ShardStore(run.folder), ShardStore(run.folder).plan()
    planner = Planner.of(run.recipe, run_key=run.key)
    source_of = dict(zip(plan.column("shard").to_pylist(), plan.column("source").to_pylist(), strict=True))
    rows = [(shard, row) for shard in sorted(source_of) for row in range(len(planner.slots(plan, shard)))]
    chosen = [rows[int(at)] for at in Stream(len(rows)).child("verify").numpy().permutation(len(rows))[:samples]]
    found = []
    for source in sources_of(run.recipe, run.folder):
        mine = sorted((shard, row) for shard, row in chosen if source_of[shard] == source.number)
        if not mine:
            continue
        generator = _generator(run, source)
        for shard, row in mine:
            with torch_threads(1):
                again = next(iter(generator.generate([planner.slots(plan, shard)[row]])))
            stored = store.shard_dataset(shard, run.real.dataset.classes)[row]
            if problem := _difference(again, stored):
                path = f"{store.shard_path(shard).relative_to(run.folder)}#{stored.id}"
                found.append(documents.MismatchPart(path=path, problem=f"made again, it {problem}"))
    return len(chosen), found


def _difference(again: Sample, stored: Sample) -> str:
    """What a stored sample has not in common with the one made again; "" if they are equal."""
    if not np.array_equal(again.pixels(), stored.pixels()):
        return "is another image"
    return "has other labels, parents or origin" if sample_digest(again) != sample_digest(stored) else ""


def _generator(run: Run, source: Source) -> Generator:
    """What a source fitted, loaded if it was saved."""
    if takes_workspace(source.method):
        return load_source(run.folder, source.number, device=run.machine.device)
    threads = int(run.recipe.threads)
    fitted = fit(source, run.real, run=run.fits, device=run.machine.device, threads=threads, listener=run.listener)
    return as_generator(source, fitted, run.folder)


def dry_run(written: WrittenRecipe, *, workers: int | None, device: str, listener: Listener) -> documents.PlanDocument:
    """What a run of this recipe would do; nothing that stays is written but the calibration, which the run takes over.

    Raises what the run would raise before it makes anything, held-out images among what it is given included.
    """
    machine = Machine.of(workers=workers, device=device)
    missing = missing_models(written.recipe)
    with tempfile.TemporaryDirectory(prefix="twinset-plan-") as temporary:
        folder = Path(temporary)
        listener.stage("read the real images")
        dataset, report = read_real(written)
        check_reference(written.recipe, dataset)
        real = prepare_real(written.recipe, dataset, report, folder)
        recipe = written.recipe.for_task(real.task)
        check_training(sources_of(recipe, folder), real.dataset.classes, real.task)
        check_evolution(recipe, sources_of(recipe, folder), real)
        check_weighable(recipe, real)
        told = [text for source in sources_of(recipe, folder) for text in refuse_held_out(source.method, real)]
        listener.stage("calibrate: a few steps of what takes long are timed")
        resolved = resolve_once(recipe, real, machine, listener)
        real = load_real(folder)
        seconds = estimate(resolved, real, machine)
        stream, made_by = Stream(resolved.seed).child("dry-run"), sources_of(resolved, folder)
        closing, closing_seconds = closing_notes(resolved, made_by, real, run=stream, workers=machine.workers)
        if resolved.close_gap is not None:
            seconds = _and(seconds, "close the gap", closing_seconds)
        if resolved.privacy is not None and resolved.privacy.audit:
            listener.stage("time the privacy audit")
            seconds = _and(seconds, "privacy audit", audit_seconds(resolved, real))
    counts = counts_of(resolved, real.dataset.classes)
    rows = Planner.of(resolved, run_key="plan").first_rows(resolved, real.dataset.classes)
    pixels = real.training[0].pixels().size
    return documents.PlanDocument(
        recipe=resolved.to_values(),
        unit=UNITS[real.task],
        images={"training": len(real.training), **{name: len(real.part(name)) for name in ("validation", "test")}},
        training=real.training.label_counts(),
        validation=real.part("validation").label_counts(),
        test=real.part("test").label_counts(),
        slots=_slots(resolved, counts[0]),
        shards=len({row["shard"] for row in rows}),
        seconds={name: round(value, 1) for name, value in seconds.items()},
        bytes=int(len(rows) * (pixels * BYTES_PER_PIXEL + 200) * (1 + len(resolved.exports))),
        missing=missing,
        notes=[*real.facts.notes, *told, *closing, *_notes(real, resolved, seconds["whole run"])],
    )


def _and(seconds: dict[str, float], name: str, more: float) -> dict[str, float]:
    """The seconds with those of one more part; the whole run stays last."""
    whole = seconds["whole run"] + more
    return {**{part: value for part, value in seconds.items() if part != "whole run"}, name: more, "whole run": whole}


def _slots(resolved: Recipe, images: int) -> dict[str, int]:
    """Images to make by class, or by class and value of an attribute."""
    count = resolved.count
    if isinstance(count, GroupCountPart):
        classes = list(count.of or {})
        return {f"{classes[c]}, {count.by} {value}": n for c, value, n in count.cells(classes)}
    return count if isinstance(count, dict) else {"images": images}


def _notes(real: RealData, resolved: Recipe, seconds: float) -> list[str]:
    """What the plan should make people think about."""
    notes = [text for part in SPLITS if (text := _nothing_of(real.part(part).label_counts(), part))]
    for name in resolved.exports:
        if text := lost(real.training, name, known=real.training):
            notes.append(f"export {name}: {text} (counted in the training images)")
    utility = resolved.evaluate.utility
    if utility != "off":
        seeds, extra = utility.seeds, UtilityPlan.extra_seeds
        notes.append(
            f"usefulness: every way to train is run with {seeds} seed{'' if seeds == 1 else 's'}; the best one with "
            f"synthetic images and the best one without, which the verdict compares, with {seeds + extra} seeds"
        )
        notes += plan_notes(utility)
    notes += audit_forecast(resolved, real)
    if overruns(resolved, seconds):
        notes.append(
            f"the whole run takes longer than minutes: {resolved.minutes:g}, the least there is: below a floor of "
            "training steps the figures would mislead; fewer seeds or smaller images make it quicker"
        )
    return notes


def _nothing_of(counts: dict[str, int], part: str) -> str:
    """Names the classes that a part does not show; "" if it shows all."""
    gone = [name for name, count in counts.items() if not count]
    if not gone:
        return ""
    more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
    listed = ", ".join(repr(name) for name in gone[:NAMED])
    return f"class{'' if len(gone) == 1 else 'es'} {listed}{more}: nothing in the {part} part"
