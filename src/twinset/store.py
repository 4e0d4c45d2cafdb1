"""The files of a run: written whole or not at all, believed only when committed.

A shard is one Parquet file under ``shards/``; its marker under ``_done/`` carries count and sha256 and is
written last. Readers trust marked shards only, so a killed process leaves nothing that could be mistaken
for data. Scores and reasons are side tables, one per shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twinset.dataset import SCHEMA, Dataset, Sample, sample_row
from twinset.errors import RunFolderError
from twinset.sample import in_schema

if TYPE_CHECKING:
    from twinset.stages import Judgement

TEMPORARY = ".tmp-"
PUT_BACK = "put back the file as it was, or start a new run with another --out"
"""What helps where no step of a run would make the file again as it was."""

_LEFTOVER = re.compile(rf"{re.escape(TEMPORARY)}.+-\d+-[0-9a-f]{{8}}", re.DOTALL)

PLAN_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int32(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("source", pa.int32(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("round", pa.int32(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("pair", pa.int32()),
    ]
)
"""Plan rows: which source makes which class in which slot, in which shard; rounds append.

``value`` is that of the attribute that ``count`` is by, ``pair`` the first slot of a pair; plans of earlier versions
lack both.
"""


class PlanRow(TypedDict):
    """One row of :data:`PLAN_SCHEMA`."""

    slot: int
    attempt: int
    class_id: int
    source: int
    shard: int
    round: int
    rank: int
    seed: int
    value: str | None
    pair: int | None


INDEX_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int32(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)


@contextmanager
def disk_refusals(path: Path, expected: str) -> Iterator[None]:
    """What the operating system refuses in this block comes out as a :class:`RunFolderError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path}: expected {expected}; got {error.strerror or error}",
            hint="free some space or permissions and run the same command again, or choose another place: "
            "nothing committed is lost",
        ) from error


def temporary_beside(path: Path) -> Path:
    """A free name in the folder of ``path`` for what is to become it; :func:`remove_temporaries` knows such names."""
    return path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}-{secrets.token_hex(4)}")


def write_bytes(path: Path, data: bytes) -> None:
    """The file with this content, or the file as it was: temporary name, fsync, rename, fsync of the folder."""
    temporary = temporary_beside(path)
    with disk_refusals(path, f"to write {len(data)} bytes"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Indented JSON in the order given, written atomically; NaN is refused."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, *, hint: str = PUT_BACK) -> object:
    """What a JSON file of a run holds; a damaged one is a :class:`RunFolderError` with this hint."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: expected JSON; got {error}", hint=hint) from error


def write_table(path: Path, table: pa.Table) -> str:
    """A Parquet file, written atomically; its sha256."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read_table(path: Path, *, hint: str = PUT_BACK) -> pa.Table:
    """A Parquet table of a run; a damaged one is a :class:`RunFolderError` with this hint."""
    try:
        return pq.read_table(path, memory_map=False)
    except (OSError, pa.ArrowException) as error:
        first = str(error).splitlines()[0]
        raise RunFolderError(f"{path}: expected a Parquet table; got {first}", hint=hint) from error


def remove_temporaries(folder: Path) -> int:
    """Deletes the files and folders that killed writers left behind; only names of :func:`temporary_beside`."""
    with disk_refusals(folder, "to remove what an interrupted run left"):
        found = [path for path in folder.rglob(f"{TEMPORARY}*") if _LEFTOVER.fullmatch(path.name)]
        leftovers = [path for path in found if not path.is_symlink() and (path.is_file() or path.is_dir())]
        for path in leftovers:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return len(leftovers)


@dataclass(frozen=True)
class ShardStore:
    """The shards, markers, scores, plan and index of one run folder."""

    folder: Path

    @property
    def plan_path(self) -> Path:
        """Where the plan stands."""
        return self.folder / "plan.parquet"

    @property
    def index_path(self) -> Path:
        """Where the accepted samples are listed."""
        return self.folder / "index.parquet"

    def shard_path(self, shard: int) -> Path:
        """The Parquet file of one shard."""
        return self.folder / "shards" / f"{shard:06d}.parquet"

    def marker_path(self, shard: int) -> Path:
        """The marker that makes a shard count."""
        return self.folder / "_done" / f"{shard:06d}.json"

    def scores_path(self, shard: int) -> Path:
        """The side table with scores and reasons of one shard."""
        return self.folder / "scores" / f"{shard:06d}.parquet"

    def redo(self, *damaged: Path) -> str:
        """The way out of a damaged file that a resumed run makes again: what to delete before."""
        finished = (self.index_path, self.folder / "result.json")
        named = dict.fromkeys(path for path in (*damaged, *finished) if path.exists())
        names = ", ".join(path.relative_to(self.folder).as_posix() for path in named)
        return f"delete {names} in {self.folder}, then `twinset resume` it" if names else "`twinset resume` the run"

    def _table(self, path: Path, *also: Path) -> pa.Table:
        """A table of this folder; the hint names the files that go with a damaged one."""
        return read_table(path, hint=self.redo(path, *also))

    def commit(self, shard: int, samples: Sequence[Sample]) -> None:
        """Writes a shard and then its marker."""
        table = pa.Table.from_pylist([sample_row(sample) for sample in samples], schema=SCHEMA)
        digest = write_table(self.shard_path(shard), table)
        write_json(self.marker_path(shard), {"count": len(samples), "sha256": digest})

    def committed(self, shard: int) -> bool:
        """Whether a shard's marker stands."""
        return self.marker_path(shard).exists()

    def shard(self, shard: int) -> pa.Table:
        """The rows of a committed shard."""
        if not self.committed(shard):
            raise RunFolderError(
                f"{self.marker_path(shard)}: expected the marker of a committed shard; got none",
                hint=self.redo(),
            )
        return in_schema(self._table(self.shard_path(shard), self.marker_path(shard)))

    def shard_dataset(self, shard: int, classes: Sequence[str]) -> Dataset:
        """A committed shard as a dataset."""
        return Dataset(tuple(classes), self.shard(shard), name=f"shard-{shard:06d}")

    def save_judgement(self, shard: int, slots: Sequence[int], attempts: Sequence[int], verdict: Judgement) -> None:
        """Scores and reasons of one shard, keyed by slot and attempt."""
        columns: dict[str, object] = {
            "slot": pa.array(slots, pa.int32()),
            "attempt": pa.array(attempts, pa.int32()),
            "reason": pa.array(verdict.reasons, pa.string()),
        }
        columns |= {f"score.{name}": pa.array(values, pa.float64()) for name, values in verdict.scores.items()}
        write_table(self.scores_path(shard), pa.table(columns))

    def judgement(self, shard: int) -> Judgement | None:
        """What was saved of one shard; None if it has not been judged."""
        from twinset.stages import Judgement

        if not self.scores_path(shard).exists():
            return None
        table = self._table(self.scores_path(shard))
        scores = {
            name.removeprefix("score."): np.asarray(table.column(name).to_numpy(), dtype=np.float64)
            for name in table.column_names
            if name.startswith("score.")
        }
        return Judgement(scores, tuple(table.column("reason").to_pylist()))

    def append_plan(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Adds a round to the plan; nothing that stands in it changes."""
        added = pa.Table.from_pylist([dict(row) for row in rows], schema=PLAN_SCHEMA)
        table = pa.concat_tables([self.plan(), added]) if self.plan_path.exists() else added
        write_table(self.plan_path, table.combine_chunks())

    def plan(self) -> pa.Table:
        """All rows planned so far."""
        table = self._table(self.plan_path)
        for item in PLAN_SCHEMA:
            if item.nullable and item.name not in table.column_names:
                table = table.append_column(item, pa.nulls(table.num_rows, item.type))
        return table.cast(PLAN_SCHEMA)

    def index(self) -> pa.Table:
        """Which row of which shard fills which slot."""
        return self._table(self.index_path)

    def write_index(self, rows: Sequence[dict[str, int]]) -> None:
        """Lists the accepted samples, ordered by slot."""
        ordered = sorted(rows, key=lambda row: row["slot"])
        write_table(self.index_path, pa.Table.from_pylist(ordered, schema=INDEX_SCHEMA))

    def accepted(self, classes: Sequence[str]) -> Dataset:
        """The dataset of accepted samples, ordered by slot."""
        index = self.index().to_pydict()
        pieces: list[pa.Table] = []
        order: list[int] = []
        by_shard: dict[int, list[tuple[int, int]]] = {}
        for slot, shard, row in zip(index["slot"], index["shard"], index["row"], strict=True):
            by_shard.setdefault(shard, []).append((row, slot))
        for shard, members in sorted(by_shard.items()):
            pieces.append(self.shard(shard).take([row for row, _ in members]))
            order.extend(slot for _, slot in members)
        table = pa.concat_tables(pieces) if pieces else SCHEMA.empty_table()
        if pieces:
            table = table.take(np.argsort(np.asarray(order), kind="stable")).combine_chunks()
        return Dataset(tuple(classes), table, name="synthetic")
