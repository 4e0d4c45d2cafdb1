"""How long do the figures of very many synthetic images take, streamed from disk, and how much memory?

    uv run python benchmarks/scale.py [--real 10000] [--synthetic 1000000] [--dimension 2048] [--law network|gaussian]
                                      [--subsample 10000] [--folder /tmp] [--skip kid,frechet,prdc]

Features are written to temporary memory-mapped float32 files. "network": 24 latent dimensions in 200 clusters through
a random two-layer ReLU network and a little noise; the synthetic law lacks 20 of the clusters and is narrower.
"gaussian": independent normal entries, the hardest case, where all distances are about the same.

Fréchet distance by streamed moments, KID on a stated random subsample, precision/recall/density/coverage exactly, on
all images. Peak memory is the highest resident set of the process, mapped file pages included (`peak_mb`), and without
them (`peak_own_mb`, sampled ten times a second). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hardware import machine
from numpy.typing import NDArray

from twinset.evaluation.distances.frechet import Moments, frechet_from_moments
from twinset.evaluation.distances.kid import kernel_distance
from twinset.evaluation.mapped import gathered
from twinset.evaluation.neighbourhoods.prdc import prdc

SEED = 0
BLOCK = 4096
LATENT, CLUSTERS, LOST = 24, 200, 20


class Law:
    """Where features come from; one object for both sets, so that they share clusters and network."""

    def __init__(self, name: str, dimension: int) -> None:
        draw = np.random.Generator(np.random.PCG64(SEED))
        self.name, self.dimension = name, dimension
        self.centres = 2.0 * draw.normal(size=(CLUSTERS, LATENT)).astype(np.float32)
        self.first = draw.normal(size=(LATENT, 256)).astype(np.float32) / LATENT**0.5
        self.second = draw.normal(size=(256, dimension)).astype(np.float32) / 256**0.5

    def rows(self, count: int, draw: np.random.Generator, *, synthetic: bool) -> NDArray[np.float32]:
        """Features float32 (count, D)."""
        noise = draw.standard_normal(size=(count, self.dimension), dtype=np.float32)
        if self.name == "gaussian":
            return noise
        cluster = draw.integers(LOST if synthetic else 0, CLUSTERS, size=count)
        latent = self.centres[cluster] + (0.9 if synthetic else 1.0) * draw.standard_normal(
            size=(count, LATENT), dtype=np.float32
        )
        hidden = np.maximum(latent @ self.first, 0) @ self.second
        rows: NDArray[np.float32] = np.maximum(hidden, 0) + np.float32(0.02) * noise
        return rows


def written(path: Path, law: Law, count: int, *, synthetic: bool) -> np.memmap:
    """A file of ``count`` feature vectors, opened for reading."""
    draw = np.random.Generator(np.random.PCG64([SEED, int(synthetic)]))
    with path.open("wb") as file:
        for start in range(0, count, BLOCK):
            law.rows(min(BLOCK, count - start), draw, synthetic=synthetic).tofile(file)
    return np.memmap(path, dtype=np.float32, mode="r", shape=(count, law.dimension))


def frechet(real: np.memmap, synthetic: np.memmap) -> dict[str, float]:
    return {"frechet_distance": frechet_from_moments(Moments.of(real), Moments.of(synthetic))}


def kid(real: np.memmap, synthetic: np.memmap, size: int) -> dict[str, float]:
    draw = np.random.Generator(np.random.PCG64(SEED + 1))
    parts = [gathered(each, np.sort(draw.permutation(len(each))[:size])) for each in (real, synthetic)]
    score = kernel_distance(*parts)
    return {"kernel_distance": float(score.value or 0.0), "standard_error": float(score.settings["standard_error"])}


def neighbours(real: np.memmap, synthetic: np.memmap) -> dict[str, float]:
    return {score.name: float(score.value or 0.0) for score in prdc(real, synthetic)}


class Memory:
    """The highest anonymous memory of this process while it is watched, MB."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            text = Path("/proc/self/status").read_text()
            line = next(line for line in text.splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=int, default=10_000)
    parser.add_argument("--synthetic", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--law", choices=("network", "gaussian"), default="network")
    parser.add_argument("--subsample", type=int, default=10_000, help="images of each set for KID")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary files go")
    parser.add_argument("--skip", default="", help="of frechet, kid, prdc, separated by commas")
    options = parser.parse_args()
    law = Law(options.law, options.dimension)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        real = written(Path(folder) / "real.f32", law, options.real, synthetic=False)
        synthetic = written(Path(folder) / "synthetic.f32", law, options.synthetic, synthetic=True)
        measured: dict[str, Callable[[], dict[str, float]]] = {
            "frechet": lambda: frechet(real, synthetic),
            "kid": lambda: kid(real, synthetic, options.subsample),
            "prdc": lambda: neighbours(real, synthetic),
        }
        memory = Memory()
        rows: dict[str, dict[str, Any]] = {}
        for name, measure in measured.items():
            if name in options.skip.split(","):
                continue
            began = time.perf_counter()
            rows[name] = {"figures": measure(), "seconds": time.perf_counter() - began}
            figures = "  ".join(f"{key} {value:.4g}" for key, value in rows[name]["figures"].items())
            print(f"{name:8s} {rows[name]['seconds']:8.1f} s  {figures}", flush=True)
        own = memory.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:.0f} MB resident, {own:.0f} MB of its own")
    settings = {key: value for key, value in vars(options).items() if key not in ("folder", "skip")}
    line = {"benchmark": "scale", "seed": SEED, **settings, "rows": rows, "peak_mb": peak, "peak_own_mb": own}
    print(json.dumps({**line, "machine": machine()}))


if __name__ == "__main__":
    main()
