"""Are precision, recall, density and coverage faster and leaner than in the `prdc` package?

    uv run python benchmarks/precision_recall.py [--n 10000] [--d 64]

Each side runs in a process of its own, so that peak memory is its own; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from hardware import machine

K = 5


def features(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(0))
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps({"seconds": seconds, "extra_mb": (peak - before) / 1024, **{k: float(v) for k, v in found.items()}})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=64)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.n, options.d)
        return
    found = {}
    for side in ("ours", "prdc"):
        command = [sys.executable, __file__, "--child", side, "--n", str(options.n), "--d", str(options.d)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[side] = json.loads(answer.splitlines()[-1])
        print(side, found[side])
    ratio = found["prdc"]["seconds"] / found["ours"]["seconds"]
    memory = found["prdc"]["extra_mb"] / max(1.0, found["ours"]["extra_mb"])
    print(f"time ×{ratio:.1f}, memory ×{memory:.1f}")
    print(
        json.dumps(
            {
                "benchmark": "prdc",
                "n": options.n,
                "d": options.d,
                "k": K,
                **found,
                "time_ratio": ratio,
                "memory_ratio": memory,
                **machine("prdc", "scikit-learn"),
            }
        )
    )


if __name__ == "__main__":
    main()
