"""Looks at runs without changing them: how far one is, whether its files hold, what one would do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from twinset import documents
from twinset.errors import MissingExtraError, MissingModelError, RunFolderError
from twinset.pipeline.fitting import as_generator, load_source, sources_of, takes_workspace
from twinset.pipeline.folders import Timings, identity, recipe_of
from twinset.pipeline.opening import Run, open_run
from twinset.pipeline.planning import Planner
from twinset.pipeline.real import changed_files, load_real, prepare_real, read_real
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import FIT_SHARE, UTILITY_SHARE, Machine, resolve
from twinset.randomness import Stream
from twinset.recipe import WrittenRecipe
from twinset.store import ShardStore, locked, read_json, read_table
from twinset.threads import torch_threads

BYTES_PER_PIXEL = 1.2


def status(folder: Path) -> documents.StatusDocument:
    """How far a run is, from what it has committed; works while the run is going."""
    folder = folder.expanduser().resolve()
    identity(folder)
    store, timings = ShardStore(folder), Timings(folder).read()
    finished, planned, generated, accepted = (folder / "result.json").exists(), 0, 0, None
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
        accepted, stage = read_table(store.index_path).num_rows, "measuring"
    return documents.StatusDocument(
        run=str(folder),
        stage="finished" if finished else stage,
        finished=finished,
        planned=planned,
        generated=generated,
        accepted=accepted,
        seconds=round(sum(timings.values()), 3),
        stages=timings,
    )


def verify(folder: Path, *, samples: int, device: str, listener: Listener) -> documents.VerifyDocument:
    """Re-hashes real files, shards and exports, and makes ``samples`` samples again."""
    folder = folder.expanduser().resolve()
    written = recipe_of(folder)
    if not (folder / "result.json").exists():
        raise RunFolderError(
            f"{folder}: expected a finished run; got an unfinished one", hint="`twinset resume` it first"
        )
    with locked(folder):
        run = open_run(folder, written, Machine.of(workers=1, device=device), listener, reread=False)
        store = ShardStore(folder)
        plan = store.plan()
        shards = sorted(set(plan.column("shard").to_pylist()))
        problems = [documents.MismatchPart(path=path, problem=problem) for path, problem in changed_files(folder)]
        damaged = set()
        for shard in shards:
            mismatch = store.check(shard)
            if mismatch is not None:
                damaged.add(shard)
                problems.append(documents.MismatchPart(path=mismatch.path, problem=mismatch.problem))
        recorded = documents.RunDocument.model_validate(read_json(folder / "result.json")).digest
        digest = recorded
        if not damaged:
            digest = store.accepted(run.real.dataset.classes).digest()
            if digest != recorded:
                problem = f"expected dataset digest {recorded[:12]}…; got {digest[:12]}…"
                problems.append(documents.MismatchPart(path=str(store.index_path), problem=problem))
        made, different = _make_again(run, [shard for shard in shards if shard not in damaged], samples)
        problems += different
    return documents.VerifyDocument(
        run=str(folder),
        ok=not problems,
        digest=digest,
        shards=len(shards),
        regenerated=made,
        mismatches=problems,
    )


def _make_again(run: Run, shards: list[int], samples: int) -> tuple[int, list[documents.MismatchPart]]:
    """Regenerates a random choice of stored samples and compares every pixel."""
    store, plan = ShardStore(run.folder), ShardStore(run.folder).plan()
    planner = Planner.of(run.recipe, run_key=run.key)
    rows = [(shard, row) for shard in shards for row in range(len(planner.slots(plan, shard)))]
    chosen = Stream(len(rows)).child("verify").numpy().permutation(len(rows))[:samples]
    source_of = dict(zip(plan.column("shard").to_pylist(), plan.column("source").to_pylist(), strict=True))
    found = []
    for at in sorted(int(i) for i in chosen):
        shard, row = rows[at]
        source = sources_of(run.recipe, run.folder)[source_of[shard]]
        with torch_threads(1):
            if takes_workspace(source.method):
                generator = load_source(run.folder, source.number, device=run.machine.device)
            else:
                fitted = source.method.fit(run.real.training, rng=run.stream.child("fit", source.number))  # type: ignore[attr-defined]
                generator = as_generator(source, fitted, run.folder)
            slot = planner.slots(plan, shard)[row]
            again = next(iter(generator.generate([slot])))
        stored = store.shard_dataset(shard, run.real.dataset.classes)[row]
        if again.id != stored.id or not np.array_equal(again.pixels(), stored.pixels()):
            found.append(
                documents.MismatchPart(
                    path=f"{store.shard_path(shard)}#{stored.id}", problem="made again, it is another image"
                )
            )
    return len(chosen), found


def dry_run(written: WrittenRecipe, *, workers: int | None, device: str) -> documents.PlanDocument:
    """What a run of this recipe would do; writes nothing that stays."""
    machine = Machine.of(workers=workers, device=device)
    with tempfile.TemporaryDirectory(prefix="twinset-plan-") as temporary:
        folder = Path(temporary)
        dataset, report = read_real(written)
        real = prepare_real(written.recipe, dataset, report, folder)
        resolved = resolve(written.recipe, real, machine)
        real = load_real(folder)
    assert isinstance(resolved.count, dict)
    rows = Planner.of(resolved, run_key="plan").first_round(list(resolved.count.values()))
    pixels = real.spec.height * real.spec.width * real.spec.channels
    budget = written.recipe.minutes * 60
    return documents.PlanDocument(
        recipe=resolved.to_values(),
        training=real.training.class_counts(),
        validation=real.part("validation").class_counts(),
        test=real.part("test").class_counts(),
        slots=resolved.count,
        shards=len({row["shard"] for row in rows}),
        seconds={
            "fit": round(budget * FIT_SHARE, 1),
            "utility": round(budget * UTILITY_SHARE, 1),
            "whole run": round(budget, 1),
        },
        bytes=int(len(rows) * (pixels * BYTES_PER_PIXEL + 200) * (1 + len(resolved.export))),
        missing=_missing(written),
        notes=list(real.facts.notes),
    )


def _missing(written: WrittenRecipe) -> list[str]:
    """Extras and checkpoints that the recipe needs and this machine lacks."""
    from twinset import methods

    part = written.recipe.evaluate.embedder
    method = methods.build("embedders", part.use, part.settings, where="evaluate.embedder")
    check = getattr(method, "check", None)
    if check is None:
        return []
    try:
        check()
    except (MissingExtraError, MissingModelError) as error:
        return [str(error)]
    return []
