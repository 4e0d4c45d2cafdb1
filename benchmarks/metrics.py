"""How much faster and leaner are our metrics than what is usual, and do they come to the same?

    uv run python benchmarks/metrics.py --peers PYTHON [--cells ssim,ap] [--threads 1,4] [--repeats 3]

``PYTHON`` is an interpreter that has the peers, which the product does not need:

    uv venv /tmp/peers
    uv pip install --python /tmp/peers/bin/python prdc piq pycocotools faster-coco-eval scipy threadpoolctl

Every measurement is a process of its own (``metric_cells.py``) that may use so many cores and threads, warmed up on a
small case; the sides of a cell take turns. A ratio is the peer's time over ours, repeat by repeat: their median, least
and largest. Wall time is what counts on an idle machine. Processor time of all threads stands beside it, since a busy
machine distorts it less; with several threads it says less about speed. Memory is what the process grew by. The
bootstrap is timed for 10 of its 200 resamplings, with our own fast distance. ``all`` is our default metrics in per
cent of decoding, resizing and the random extractor, for 5,000 real and 5,000 synthetic files of 128 × 128. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hardware import machine
from metric_cells import RESAMPLINGS, TIMED_RESAMPLINGS

CHILD = Path(__file__).with_name("metric_cells.py")
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Found = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Cell:
    """What is measured, how many times faster and leaner than each of its ``peers`` it is to be."""

    what: str
    peers: dict[str, float]
    memory: float | None = None
    ours_too: bool = False
    """The peer side is code of ours and runs in our interpreter."""
    factor: float = 1.0
    """By what the peer's time is multiplied."""


FOLD = RESAMPLINGS / TIMED_RESAMPLINGS
CELLS = {
    "frechet-few": Cell("Fréchet distance, N 500, D 2,048", {"scipy": 100}),
    "frechet": Cell("Fréchet distance, D 2,048, covariances given", {"scipy": 7}),
    "frechet-error-few": Cell(
        "Fréchet distance with its interval, N 500, D 2,048", {"bootstrap": 50}, ours_too=True, factor=FOLD
    ),
    "frechet-error": Cell(
        "Fréchet distance with its interval, N 10,000, D 2,048", {"bootstrap": 50}, ours_too=True, factor=FOLD
    ),
    "prdc-64": Cell("precision, recall, density, coverage, N 10,000, D 64", {"prdc": 3}, memory=8),
    "prdc-2048": Cell("precision, recall, density, coverage, N 10,000, D 2,048", {"prdc": 3}, memory=8),
    "vendi": Cell("Vendi score, N 10,000, D 2,048", {"N x N": 15}),
    "ssim": Cell("SSIM, 64 pairs of 256 x 256, colour", {"piq": 4, "piq channels last": 4}),
    "ssim-grey": Cell("SSIM, 64 pairs of 256 x 256, grey", {"piq": 4}),
    "ap": Cell("COCO AP, 5,000 images x 20 boxes, 80 classes", {"pycocotools": 30, "faster-coco-eval": 4}),
}


def measured(name: str, python: str, threads: int) -> dict[str, Any]:
    """One process."""
    environment = os.environ | dict.fromkeys(POOLS, str(threads))
    command = [python, str(CHILD), name, str(threads)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def row(name: str, cell: Cell, peers: str, threads: int, repeats: int) -> dict[str, Any]:
    """All sides in turn, ``repeats`` times."""
    found: Found = {side: [] for side in ("ours", *cell.peers)}
    for _ in range(repeats):
        for side, runs in found.items():
            python = sys.executable if side == "ours" or cell.ours_too else peers
            runs.append(measured(f"{name}/{side}", python, threads))
    line: dict[str, Any] = {"cell": name, "what": cell.what, "threads": threads, "sides": {}}
    ours = found["ours"]
    print(f"{cell.what}, {threads} thread{'s'[: threads > 1]}: {_seconds(ours, 1.0)}", flush=True)
    for side, target in cell.peers.items():
        compared = {"target": target, **against(ours, found[side], cell.factor)}
        line[side] = compared
        memory = f", memory x{compared['memory_ratio']:.1f}" if cell.memory else ""
        low, high = compared["spread"]
        print(
            f"    {side}: {_seconds(found[side], cell.factor)}  time x{compared['ratio']:.1f} ({low:.1f}…{high:.1f}), "
            f"processor x{compared['cpu_ratio']:.1f}{memory}, target x{target:g}"
            f"{f' and x{cell.memory:g}' if cell.memory else ''}, difference {compared['largest_difference']:.0e}",
            flush=True,
        )
    line["sides"] = {
        side: {key: [one[key] for one in runs] for key in ("wall", "cpu", "mb")} | {"packages": runs[0]["packages"]}
        for side, runs in found.items()
    }
    return line


def against(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], factor: float) -> dict[str, Any]:
    """Ratios of a peer to us, repeat by repeat."""
    wall, cpu = (
        factor * np.array([one[key] for one in theirs]) / np.array([one[key] for one in ours])
        for key in ("wall", "cpu")
    )
    memory = [float(np.median([one["mb"] for one in runs])) for runs in (theirs, ours)]
    figures = [np.array(runs[0]["figures"]) for runs in (theirs, ours)]
    return {
        "ratio": float(np.median(wall)),
        "spread": [float(wall.min()), float(wall.max())],
        "cpu_ratio": float(np.median(cpu)),
        "memory_ratio": memory[0] / max(1.0, memory[1]),
        "largest_difference": float(np.abs(figures[0] - figures[1]).max()),
    }


def everything(threads: int, repeats: int) -> dict[str, Any]:
    """The cost of the default metrics beside what they need."""
    figures = np.array([measured("all/metrics", sys.executable, threads)["figures"] for _ in range(repeats)])
    extraction, extraction_cpu, metrics, metrics_cpu = figures.T
    share, cpu_share = metrics / extraction, metrics_cpu / extraction_cpu
    speed, slower = 10_000 / np.median(extraction), 10_000 / np.median(extraction + metrics)
    print(
        f"all default metrics, 10,000 images of 128 x 128, {threads} thread{'s'[: threads > 1]}: "
        f"{np.median(metrics):.2f} s after {np.median(extraction):.2f} s of decoding, resizing and extraction "
        f"({speed:.0f} images/s; {slower:.0f} with metrics): "
        f"+{100 * np.median(share):.0f} % ({100 * share.min():.0f}…{100 * share.max():.0f}), "
        f"processor +{100 * np.median(cpu_share):.0f} %, target 30 %",
        flush=True,
    )
    return {
        "cell": "all",
        "threads": threads,
        "extraction": extraction.tolist(),
        "metrics": metrics.tolist(),
        "share": float(np.median(share)),
        "cpu_share": float(np.median(cpu_share)),
        "images_per_second": [float(speed), float(slower)],
    }


def _seconds(runs: list[dict[str, Any]], factor: float) -> str:
    wall, cpu = (factor * float(np.median([one[key] for one in runs])) for key in ("wall", "cpu"))
    return f"{wall:.3g} s ({cpu:.3g} s processor, {np.median([one['mb'] for one in runs]):.0f} MB)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="an interpreter that has the peers")
    parser.add_argument("--cells", default=",".join((*CELLS, "all")), help="separated by commas")
    parser.add_argument("--threads", default="1,4")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    wanted = options.cells.split(",")
    if unknown := set(wanted) - {*CELLS, "all"}:
        parser.error(f"expected cells out of {', '.join((*CELLS, 'all'))}; got {', '.join(sorted(unknown))}")
    rows = []
    for threads in map(int, options.threads.split(",")):
        for name in wanted:
            if name == "all":
                rows.append(everything(threads, options.repeats))
            else:
                rows.append(row(name, CELLS[name], options.peers, threads, options.repeats))
    print(json.dumps({"benchmark": "metrics", "repeats": options.repeats, "rows": rows, "machine": machine("scipy")}))


if __name__ == "__main__":
    main()
