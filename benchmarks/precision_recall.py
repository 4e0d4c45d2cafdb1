"""Are precision, recall, density and coverage faster and leaner than in the `prdc` package?

    uv run python benchmarks/precision_recall.py [--quick] [--n 10000] [--d 64,2048] [--repeats 3]

Every measurement is a process of its own, so that peak memory is its own; sides take turns. Each pair runs on one
BLAS thread and on as many as are installed (`prdc` itself asks joblib for 8). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
from hardware import machine

K = 5
SEED = 0
SIDES = ("ours", "prdc")
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def features(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(SEED))
    return draw.normal(size=(n, d)), 1.1 * draw.normal(size=(n, d))


def child(side: str, n: int, d: int) -> None:
    real, synthetic = features(n, d)
    if side == "ours":
        from twinset.evaluation import prdc

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        found = {score.name: score.value for score in prdc(real, synthetic, k=K)}
    else:
        from prdc import compute_prdc

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        found = compute_prdc(real_features=real, fake_features=synthetic, nearest_k=K)
    seconds = time.perf_counter() - began
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    figures = {name: float(value or 0.0) for name, value in found.items()}
    print(json.dumps({"seconds": seconds, "extra_mb": extra, "figures": figures}))


def measured(side: str, n: int, d: int, threads: str) -> dict[str, object]:
    environment = {key: value for key, value in os.environ.items() if key not in POOLS}
    if threads != "all":
        environment |= dict.fromkeys(POOLS, threads)
    command = [sys.executable, __file__, "--child", side, "--n", str(n), "--d", str(d)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found: dict[str, object] = json.loads(answer.splitlines()[-1])
    return found


def row(n: int, d: int, threads: str, repeats: int) -> dict[str, object]:
    found = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            found[side].append(measured(side, n, d, threads))
    seconds = {side: [one["seconds"] for one in found[side]] for side in SIDES}
    memory = {side: float(np.median([one["extra_mb"] for one in found[side]])) for side in SIDES}
    ours, theirs = (found[side][0]["figures"] for side in SIDES)
    return {
        "n": n,
        "d": d,
        "threads": threads,
        "seconds": seconds,
        "extra_mb": memory,
        "time_ratio": float(np.median(seconds["prdc"]) / np.median(seconds["ours"])),
        "memory_ratio": memory["prdc"] / max(1.0, memory["ours"]),
        "largest_difference": max(abs(ours[name] - theirs[name]) for name in ours),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 images, once")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", default="64,2048", help="dimensions, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", default="1,all")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.n, int(options.d))
        return
    n, repeats = (2000, 1) if options.quick else (options.n, options.repeats)
    rows = []
    for d in map(int, options.d.split(",")):
        for threads in options.threads.split(","):
            found = row(n, d, threads, repeats)
            rows.append(found)
            ours, theirs = (np.median(found["seconds"][side]) for side in SIDES)
            print(
                f"N {n}  D {d:5d}  threads {threads:>3s}  ours {ours:6.2f} s {found['extra_mb']['ours']:6.0f} MB"
                f"  prdc {theirs:6.2f} s {found['extra_mb']['prdc']:6.0f} MB"
                f"  time ×{found['time_ratio']:.1f}  memory ×{found['memory_ratio']:.1f}",
                flush=True,
            )
    line = {"benchmark": "precision_recall", "k": K, "seed": SEED, "repeats": repeats, "rows": rows}
    print(json.dumps({**line, "machine": machine("prdc", "scikit-learn")}))


if __name__ == "__main__":
    main()
