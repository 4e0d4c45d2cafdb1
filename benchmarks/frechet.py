"""Is our Fréchet distance faster than the customary route through scipy's matrix square root, and as right?

    uv run python benchmarks/frechet.py [--quick] [--repeats 3]

Both routes get the same features in one run, covariances included; ours is also timed with its interval. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from hardware import machine
from scipy import linalg

from twinset.evaluation import frechet_distance, frechet_value


def customary(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Means, covariances, scipy.linalg.sqrtm of their product."""
    a, b = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    root = linalg.sqrtm(a @ b)
    difference = real.mean(axis=0) - synthetic.mean(axis=0)
    return float(difference @ difference + np.trace(a) + np.trace(b) - 2 * np.trace(np.real(root)))


def with_interval(real: np.ndarray, synthetic: np.ndarray) -> float:
    return float(frechet_distance(real, synthetic).value or 0.0)


def timed(
    function: Callable[[np.ndarray, np.ndarray], float], real: np.ndarray, synthetic: np.ndarray, repeats: int
) -> tuple[list[float], float]:
    seconds, value = [], 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        value = function(real, synthetic)
        seconds.append(time.perf_counter() - began)
    return seconds, value


def row(n: int, width: int, repeats: int) -> dict[str, object]:
    draw = np.random.Generator(np.random.PCG64(n))
    mix = draw.normal(size=(width, width)) / np.sqrt(width)
    real, synthetic = (draw.normal(size=(n, width)) @ mix + shift for shift in (0.0, 0.05))
    ours, value = timed(frechet_value, real, synthetic, repeats)
    interval, _ = timed(with_interval, real, synthetic, repeats)
    theirs, other = timed(customary, real, synthetic, max(1, repeats - 2))
    return {
        "n": n,
        "d": width,
        "seed": n,
        "ours_s": ours,
        "ours_with_interval_s": interval,
        "scipy_s": theirs,
        "ratio": float(np.median(theirs) / np.median(ours)),
        "value": value,
        "difference": abs(value - other),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="D = 256 instead of 2,048")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for n in (500, 1000 if options.quick else 10_000):
        found = row(n, 256 if options.quick else 2048, options.repeats)
        rows.append(found)
        print(
            f"N {n:6d}  D {found['d']}  ours {np.median(found['ours_s']):.3f} s"
            f"  with interval {np.median(found['ours_with_interval_s']):.3f} s"
            f"  scipy {np.median(found['scipy_s']):.3f} s  ×{found['ratio']:.1f}"
            f"  difference {found['difference']:.1e} of {found['value']:.4g}",
            flush=True,
        )
    print(json.dumps({"benchmark": "frechet", "repeats": options.repeats, "rows": rows, "machine": machine("scipy")}))


if __name__ == "__main__":
    main()
