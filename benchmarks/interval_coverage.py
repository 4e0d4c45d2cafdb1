"""How often do the 95 % intervals beside the scores hold what they are about: the score's expectation at that N?

    uv run python benchmarks/interval_coverage.py [--repetitions 2000] [--scores frechet,kid,accuracy,ap] [--seed 0]
                                         [--workers 4] [--cells FOLDER]

Samples are drawn from laws that are known (``coverage_laws.py``). The expectation of an estimator at this N (which is
biased for the Fréchet distance and for AP) is its mean over as many independent draws. Coverage is the share of
intervals that hold it, with Wilson's 95 % interval for the simulation; below and above are the shares of intervals
that lie wholly on that side of it. Every repetition has its own stream, so the number of workers changes no figure.

With ``--cells`` each finished row is kept as a file, and a later sitting takes it from there; a row of other code
(twinset's or the laws') is measured anew. The last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage_laws
import numpy as np
from coverage_laws import CASES, Case, Found
from hardware import machine

import twinset
from twinset.evaluation.protocol import wilson_interval
from twinset.executors.local import LocalProcesses
from twinset.randomness import Stream
from twinset.threads import blas_threads

Row = dict[str, str | int | float]
CHUNK = 50
"""Repetitions of one task."""


@dataclass(frozen=True)
class Task:
    """Repetitions ``start`` … ``stop`` of a case: of its value alone ("truth"), or with the interval ("draw")."""

    score: str
    number: int
    what: str
    start: int
    stop: int
    seed: int


def repeat(task: Task) -> tuple[float, list[Found]]:
    """Seconds and what was found in each repetition; one thread."""
    case = list(CASES[task.score]())[task.number]
    rng = Stream(task.seed).child("coverage", case.score, case.law, case.n)
    began, found = time.perf_counter(), []
    with blas_threads(1):
        for number in range(task.start, task.stop):
            mine = rng.child(task.what, number)
            sample = case.draw(mine.numpy())
            if task.what == "truth":
                found.append(Found(case.value(sample), float("nan"), float("nan")))
            else:
                found.append(case.interval(sample, mine.child("interval")))
    return time.perf_counter() - began, found


def tasks_of(case: Case[Any], number: int, repetitions: int, seed: int) -> list[Task]:
    """The chunks of a case, the same for any number of workers."""
    kinds = ("draw",) if case.expectation is not None else ("truth", "draw")
    return [
        Task(case.score, number, what, start, min(start + CHUNK, repetitions), seed)
        for what in kinds
        for start in range(0, repetitions, CHUNK)
    ]


def summary(case: Case[Any], truth: Sequence[Found], found: Sequence[Found], seconds: float) -> Row:
    """Expectation, coverage with its interval, and how the mean width compares with the true spread."""
    known = np.array([one.value for one in truth])
    expectation = case.expectation if case.expectation is not None else float(np.nanmean(known))
    value, low, high = (np.array(column) for column in zip(*found, strict=True))
    inside = int(((low <= expectation) & (expectation <= high)).sum())
    least, most = wilson_interval(inside, len(found))
    return {
        "score": case.score,
        "law": case.law,
        "n": case.n,
        "repetitions": len(found),
        "expectation": expectation,
        "coverage": inside / len(found),
        "low": least,
        "high": most,
        "below": float((high < expectation).mean()),
        "above": float((low > expectation).mean()),
        "width_over_spread": float(np.nanmean(high - low) / (2 * 1.96 * np.nanstd(value, ddof=1))),
        "cpu_seconds": seconds,
    }


@dataclass(frozen=True)
class Cells:
    """Finished rows, one file each, under the digest of the code that made them."""

    folder: Path | None
    repetitions: int
    seed: int
    code: str

    def read(self, case: Case[Any]) -> Row | None:
        """The row of this case, if it is there and of this code."""
        file = self._file(case)
        if file is None or not file.exists():
            return None
        kept = json.loads(file.read_text())
        return kept["row"] if kept["code"] == self.code else None

    def write(self, case: Case[Any], row: Row) -> None:
        """Whole or not at all."""
        file = self._file(case)
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"code": self.code, "row": row}))
        part.replace(file)

    def _file(self, case: Case[Any]) -> Path | None:
        law = re.sub(r"[^a-z0-9]+", "-", case.law)
        name = f"{case.score}-{law}-{case.n}-{self.repetitions}-{self.seed}.json"
        return None if self.folder is None else self.folder / name


def code_digest() -> str:
    """Of twinset's sources and the laws."""
    root = Path(twinset.__file__).parent
    digest = hashlib.sha256(Path(coverage_laws.__file__).read_bytes())
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def measured(cases: Sequence[tuple[int, Case[Any]]], options: argparse.Namespace) -> Iterator[tuple[int, Row]]:
    """Places of cases with their rows, as they finish; their chunks go to the workers one case after another."""
    tasks, owner = [], []
    for place, (number, case) in enumerate(cases):
        chunks = tasks_of(case, number, options.repetitions, options.seed)
        tasks += chunks
        owner += [place] * len(chunks)
    done: list[dict[int, tuple[float, list[Found]]]] = [{} for _ in cases]
    for index, result in LocalProcesses(options.workers).map(repeat, tasks):
        place = owner[index]
        done[place][index] = result
        if len(done[place]) == owner.count(place):
            parts = sorted(done[place].items())
            truth = [one for at, (_, some) in parts for one in some if tasks[at].what == "truth"]
            found = [one for at, (_, some) in parts for one in some if tasks[at].what == "draw"]
            done[place] = {}
            case = cases[place][1]
            yield place, summary(case, truth, found, sum(seconds for _, (seconds, _) in parts))


def show(row: Row) -> None:
    print(
        f"{row['score']:<14} {row['law']:<20} N {row['n']:<5} E {row['expectation']:<9.4g} "
        f"coverage {row['coverage']:.3f} ({row['low']:.3f}–{row['high']:.3f}; below {row['below']:.3f}, "
        f"above {row['above']:.3f})  width/spread {row['width_over_spread']:.2f}  {row['cpu_seconds']:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--scores", default=",".join(CASES), help="separated by commas, in this order")
    parser.add_argument("--sizes", default="", help="only these N, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--cells", type=Path, help="folder of finished rows")
    options = parser.parse_args()
    names = options.scores.split(",")
    if unknown := set(names) - set(CASES):
        parser.error(f"expected scores out of {', '.join(CASES)}; got {', '.join(sorted(unknown))}")
    sizes = {int(size) for size in options.sizes.split(",") if size}
    cells = Cells(options.cells, options.repetitions, options.seed, code_digest())
    cases = [(number, case) for name in names for number, case in enumerate(CASES[name]())]
    cases = [(number, case) for number, case in cases if not sizes or case.n in sizes]
    rows = [cells.read(case) for _, case in cases]
    for row in filter(None, rows):
        show(row)
    missing = [place for place, row in enumerate(rows) if row is None]
    for place, row in measured([cases[place] for place in missing], options):
        cells.write(cases[missing[place]][1], row)
        rows[missing[place]] = row
        show(row)
    told = {"benchmark": "coverage", "repetitions": options.repetitions, "seed": options.seed, "code": cells.code}
    print(json.dumps(told | {"rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
