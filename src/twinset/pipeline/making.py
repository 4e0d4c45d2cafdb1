"""The loop that fills the plan: generate shards, judge them, try rejected slots again, list what was accepted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from twinset import methods
from twinset.dataset import Dataset
from twinset.errors import DataError
from twinset.executors.local import LocalProcesses
from twinset.pipeline.closing.record import closing_filters, filter_kept
from twinset.pipeline.fitting import Source, as_generator, load_source, takes_workspace
from twinset.pipeline.folders import Timings
from twinset.pipeline.planning import Planner
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.pipeline.revising import revises
from twinset.pipeline.thresholds import suffixes, write_thresholds
from twinset.randomness import Stream
from twinset.recipe import Recipe
from twinset.redactions import redacted_ids, without_redacted
from twinset.stages import Aligner, Filter, FiniteGenerator, Generator, Judgement, SetFilter, Slot
from twinset.store import PlanRow, ShardStore, read_json, write_json
from twinset.threads import torch_threads


@dataclass(frozen=True, eq=False)
class MakeShard:
    """A task for a worker: fill these slots and commit them as one shard."""

    folder: Path
    shard: int
    source: int
    slots: tuple[Slot, ...]
    device: str
    generator: Generator | None = None


def make_shard(task: MakeShard) -> float:
    """Commits one shard; the seconds it took."""
    began = time.monotonic()
    generator = task.generator or load_source(task.folder, task.source, device=task.device)
    ShardStore(task.folder).commit(task.shard, list(generator.generate(task.slots)))
    return time.monotonic() - began


@dataclass(frozen=True, eq=False)
class JudgeShard:
    """A task for a worker: judge one committed shard."""

    folder: Path
    shard: int
    classes: tuple[str, ...]
    filters: tuple[Filter, ...]


def judge_shard(task: JudgeShard) -> Judgement:
    """Scores of all filters for one shard, and of every sample the first reason against it."""
    shard = ShardStore(task.folder).shard_dataset(task.shard, task.classes)
    judgements = [filter_.judge(shard) for filter_ in task.filters]
    scores = {
        f"{name}{suffix}": values
        for judgement, suffix in zip(judgements, suffixes(task.filters), strict=True)
        for name, values in judgement.scores.items()
    }
    reasons = tuple(
        next((judgement.reasons[row] for judgement in judgements if judgement.reasons[row]), None)
        for row in range(len(shard))
    )
    return Judgement(scores, reasons)


@dataclass(eq=False)
class Maker:
    """Fills the plan of one run folder. Every step is committed before the next, so any of them can be the last."""

    folder: Path
    recipe: Recipe
    real: RealData
    planner: Planner
    sources: Sequence[Source]
    fitted: Sequence[object]
    executor: LocalProcesses
    device: str
    run: Stream
    listener: Listener
    timings: Timings

    @property
    def store(self) -> ShardStore:
        """The run's shards."""
        return ShardStore(self.folder)

    def make(self) -> None:
        """Plans, generates and judges until every slot is accepted or given up; writes the index."""
        if not self.store.plan_path.exists():
            self._append(self.planner.first_rows(self.recipe, self.real.dataset.classes))
        if not self.store.plan().num_rows:
            count = self.recipe.count
            wanted = ", ".join(name for name, n in count.items() if n) if isinstance(count, dict) else "any class"
            raise DataError(
                f"expected images of {wanted} in the folders under generate; got none",
                hint="check the folders' classes, or count",
            )
        filters: dict[int, tuple[Filter, ...]] | None = None
        set_filters: tuple[SetFilter, ...] = ()
        while True:
            plan = self.store.plan()
            with self.timings.stage("generate"):
                self._generate(plan)
            with self.timings.stage("align"):
                if filters is None:
                    with torch_threads(1):
                        filters, set_filters = self._filters(plan)
                self._judge(plan, filters)
                accepted, rejected = self._settle(plan, set_filters)
            attempts = Counter(plan.column("slot").to_pylist())
            again = [slot for slot in rejected if attempts[slot] < self.recipe.max_attempts]
            if not again or not self._append(self.planner.retry(plan, again)):
                break
        self.store.write_index(without_redacted(self.folder, accepted))

    def _append(self, rows: list[PlanRow]) -> bool:
        """Adds a round; rows that their source has no stock for are left out. Whether any was added."""
        stocks = {number: self._generator(number) for number in {row["source"] for row in rows}}
        kept = []
        for row in rows:
            generator = stocks[row["source"]]
            if isinstance(generator, FiniteGenerator) and row["rank"] >= generator.stock(row["class_id"]):
                continue
            kept.append(row)
        if kept or not self.store.plan_path.exists():
            self.store.append_plan(kept)
        return bool(kept)

    def _generator(self, number: int) -> Generator:
        return as_generator(self.sources[number], self.fitted[number], self.folder)

    def _generate(self, plan: pa.Table) -> None:
        shards = _shards(plan)
        missing = [(shard, source) for shard, source in shards if not self.store.committed(shard)]
        if not missing:
            return
        generators = {
            source: None if takes_workspace(self.sources[source].method) else self._generator(source)
            for source in {source for _, source in missing}
        }
        tasks = [
            MakeShard(
                self.folder,
                shard,
                source,
                tuple(self.planner.slots(plan, shard)),
                self.device,
                generators[source],
            )
            for shard, source in missing
        ]
        progress = self.listener.stage(_in_round("generate", plan))
        total = sum(len(task.slots) for task in tasks)
        done = 0
        for number, _ in self._executor().map(make_shard, tasks):
            done += len(tasks[number].slots)
            progress(done, total, "images")

    def _executor(self) -> LocalProcesses:
        return LocalProcesses(1) if self.device != "cpu" else self.executor

    def _filters(self, plan: pa.Table) -> tuple[dict[int, tuple[Filter, ...]], tuple[SetFilter, ...]]:
        """Filters by source, fitted on the first shard of every source that they are for: the pilot."""
        parts = closing_filters(self.recipe, [source.folder for source in self.sources])
        first: dict[int, int] = {}
        for shard, source in _shards(plan):
            first.setdefault(source, shard)
        by_source: dict[int, tuple[Filter, ...]] = dict.fromkeys(range(len(self.sources)), ())
        if not parts:
            return by_source, ()
        progress = self.listener.stage("fit the filters")
        filters: list[Filter] = []
        set_filters: list[SetFilter] = []
        for number, part in enumerate(parts):
            progress(number, len(parts), part.use)
            aligner = methods.build("aligners", part.use, part.settings, where=f"align.{number}")
            if isinstance(aligner, SetFilter):
                set_filters.append(aligner)
                continue
            if revises(aligner):
                continue
            of_recipe = number < len(self.recipe.filters)
            judged = [n for n, source in enumerate(self.sources) if of_recipe or filter_kept(source.folder)]
            shards = [self.store.shard_dataset(first[n], self.real.dataset.classes) for n in judged if n in first]
            if not shards:
                continue
            filters.append(
                cast(Aligner, aligner).fit(
                    _joined(shards),
                    training=self.real.training,
                    holdout=self.real.part("validation"),
                    spec=self.real.spec,
                    rng=self.run.child("align", number, part.use),
                )
            )
            by_source |= {n: (*by_source[n], filters[-1]) for n in judged}
        write_thresholds(self.folder, filters, self.real.part("validation"))
        return by_source, tuple(set_filters)

    def _judge(self, plan: pa.Table, filters: Mapping[int, tuple[Filter, ...]]) -> None:
        shards = [(shard, source) for shard, source in _shards(plan) if self.store.judgement(shard) is None]
        if not shards:
            return
        progress = self.listener.stage(_in_round("align", plan))
        classes = self.real.dataset.classes
        tasks = [JudgeShard(self.folder, shard, classes, filters[source]) for shard, source in shards]
        for done, (number, judgement) in enumerate(self.executor.map(judge_shard, tasks), start=1):
            shard = shards[number][0]
            rows = plan.filter(pc.equal(plan.column("shard"), shard))
            self.store.save_judgement(
                shard, rows.column("slot").to_pylist(), rows.column("attempt").to_pylist(), judgement
            )
            progress(done, len(tasks), "shards")

    def _settle(self, plan: pa.Table, set_filters: Sequence[SetFilter]) -> tuple[list[dict[str, int]], list[int]]:
        """Accepted index rows and the slots still open, from all rounds so far. A round that was accepted stays."""
        accepted: list[dict[str, int]] = []
        open_slots: set[int] = set()
        set_reasons: dict[str, str] = {}
        kept: Dataset | None = None
        for round_ in sorted(set(plan.column("round").to_pylist())):
            planned = plan.filter(pc.equal(plan.column("round"), round_))
            rows, candidates = self._survivors(planned)
            reasons: list[str | None] = [None] * len(rows)
            for set_filter in set_filters:
                found = set_filter.judge_set(candidates, accepted=kept)
                reasons = [old or new for old, new in zip(reasons, found, strict=True)]
            reasons = _whole_pairs(planned, [row["slot"] for row in rows], reasons)
            good = [reason is None for reason in reasons]
            set_reasons |= {id_: reason for id_, reason in zip(candidates.ids, reasons, strict=True) if reason}
            accepted += [row for row, ok in zip(rows, good, strict=True) if ok]
            survivors = candidates.where(good)
            kept = survivors if kept is None else _joined([kept, survivors])
        taken = {row["slot"] for row in accepted}
        open_slots = set(plan.column("slot").to_pylist()) - taken
        write_json(self.folder / "scores" / "set.json", set_reasons)
        return accepted, sorted(open_slots)

    def _survivors(self, rows: pa.Table) -> tuple[list[dict[str, int]], Dataset]:
        """Index rows and samples of one round that no filter rejected, ordered by slot."""
        found: list[tuple[int, dict[str, int]]] = []
        pieces: list[Dataset] = []
        at = 0
        for shard, _ in _shards(rows):
            members = rows.filter(pc.equal(rows.column("shard"), shard)).to_pylist()
            judgement = self.store.judgement(shard)
            assert judgement is not None
            good = [row for row, reason in enumerate(judgement.reasons) if reason is None]
            pieces.append(self.store.shard_dataset(shard, self.real.dataset.classes).take(good))
            for row in good:
                member = members[row]
                index = {"slot": member["slot"], "attempt": member["attempt"], "shard": shard, "row": row}
                found.append((at, index))
                at += 1
        order = sorted(range(len(found)), key=lambda i: found[i][1]["slot"])
        return [found[i][1] for i in order], _joined(pieces).take([found[i][0] for i in order])


def _whole_pairs(planned: pa.Table, slots: Sequence[int], reasons: Sequence[str | None]) -> list[str | None]:
    """The reasons against the samples in these slots of one round, with one for all whose pair is not whole."""
    pair_of = dict(zip(planned.column("slot").to_pylist(), planned.column("pair").to_pylist(), strict=True))
    good = {slot for slot, reason in zip(slots, reasons, strict=True) if reason is None}
    broken = {pair for slot, pair in pair_of.items() if pair is not None and slot not in good}
    return [
        "another image of its pair was rejected" if reason is None and pair_of[slot] in broken else reason
        for slot, reason in zip(slots, reasons, strict=True)
    ]


def _in_round(what: str, plan: pa.Table) -> str:
    """What is being done, and in which round if it is not the first."""
    last = max(plan.column("round").to_pylist())
    return f"{what}, round {last + 1}" if last else what


def _shards(plan: pa.Table) -> list[tuple[int, int]]:
    """(shard, source) of a plan, in shard order."""
    pairs = set(zip(plan.column("shard").to_pylist(), plan.column("source").to_pylist(), strict=True))
    return sorted(pairs)


def _joined(pieces: Sequence[Dataset]) -> Dataset:
    """Datasets of the same classes, one after the other."""
    table = pa.concat_tables([piece.table for piece in pieces]).combine_chunks()
    return Dataset(pieces[0].classes, table, name="synthetic")


def reasons_of(folder: Path) -> dict[str, str]:
    """Why each rejected sample was rejected, or taken out of a finished run, by sample id, in plan order."""
    store = ShardStore(folder)
    found: dict[str, str] = {}
    path = folder / "scores" / "set.json"
    set_reasons = read_json(path, hint=store.redo(path)) if path.exists() else {}
    assert isinstance(set_reasons, dict)
    set_reasons |= {id_: f"redacted ({reason})" for id_, reason in redacted_ids(folder).items()}
    for shard, _ in _shards(store.plan()):
        judgement = store.judgement(shard)
        if judgement is None:
            continue
        for id_, reason in zip(store.shard(shard).column("id").to_pylist(), judgement.reasons, strict=True):
            if reason or id_ in set_reasons:
                found[id_] = reason or set_reasons[id_]
    return found


def candidates(folder: Path, classes: Sequence[str]) -> Dataset:
    """Everything that was ever generated in a run, accepted or not, in plan order."""
    store = ShardStore(folder)
    return _joined([store.shard_dataset(shard, classes) for shard, _ in _shards(store.plan())])
