"""Is our Fréchet distance faster than the customary route through scipy's matrix square root, and as right?

    uv run python benchmarks/frechet.py [--quick] [--repeats 3]

Both routes get the same features in one run; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from hardware import machine
from scipy import linalg

from twinset.evaluation import frechet_value


def customary(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Means, covariances, scipy.linalg.sqrtm of their product."""
    a, b = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    root = linalg.sqrtm(a @ b)
    difference = real.mean(axis=0) - synthetic.mean(axis=0)
    return float(difference @ difference + np.trace(a) + np.trace(b) - 2 * np.trace(np.real(root)))


def timed(function: Callable[[], float], repeats: int) -> tuple[list[float], float]:
    seconds, value = [], 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        value = function()
        seconds.append(time.perf_counter() - began)
    return seconds, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="D = 256 instead of 2,048")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    width = 256 if options.quick else 2048
    rows = []
    for n in (500, 1000 if options.quick else 10_000):
        draw = np.random.Generator(np.random.PCG64(n))
        mix = draw.normal(size=(width, width)) / np.sqrt(width)
        real, synthetic = (draw.normal(size=(n, width)) @ mix + shift for shift in (0.0, 0.05))
        ours, value = timed(lambda real=real, synthetic=synthetic: frechet_value(real, synthetic), options.repeats)
        theirs, other = timed(
            lambda real=real, synthetic=synthetic: customary(real, synthetic), max(1, options.repeats - 2)
        )
        ratio = float(np.median(theirs) / np.median(ours))
        rows.append(
            {
                "n": n,
                "d": width,
                "ours_s": ours,
                "scipy_s": theirs,
                "ratio": ratio,
                "difference": abs(value - other),
                "value": value,
            }
        )
        print(f"N {n:6d}  D {width}  ours {np.median(ours):.3f} s  scipy {np.median(theirs):.3f} s  ×{ratio:.1f}")
    print(json.dumps({"benchmark": "frechet", "rows": rows, **machine("scipy")}))


if __name__ == "__main__":
    main()
