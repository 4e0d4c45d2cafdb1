"""The two sides of every cell of ``metrics.py``: run by it, each in a process of its own.

    PYTHON benchmarks/metric_cells.py CELL SIDE THREADS

A side takes ``small`` (a warm-up of the same code) and gives back what is timed: a function without arguments that
returns figures to compare. Neither side imports what only the other has. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

Timed = Callable[[], list[float]]
Side = Callable[[bool], Timed]
Array = np.ndarray
K = 5


def features(n: int, d: int, *, mixed: bool = True) -> tuple[Array, Array]:
    """Normal features, ``mixed`` to a dense covariance, the synthetic side shifted."""
    draw = np.random.Generator(np.random.PCG64(n + d))
    mix = draw.normal(size=(d, d)) / d**0.5 if mixed else np.eye(1)
    return tuple(
        draw.normal(size=(n, d)) @ mix + shift if mixed else draw.normal(size=(n, d)) * (1 + shift)
        for shift in (0.0, 0.05)
    )  # type: ignore[return-value]


def frechet_few(small: bool) -> Timed:
    from twinset.evaluation import frechet_value

    real, synthetic = features(50 if small else 500, 64 if small else 2048)
    return lambda: [frechet_value(real, synthetic)]


def sqrtm_distance(shift: Array, first: Array, second: Array) -> float:
    """The customary route: scipy's matrix square root of the product of the covariances."""
    from scipy import linalg

    root = np.real(linalg.sqrtm(first @ second))
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root))


def frechet_few_scipy(small: bool) -> Timed:
    real, synthetic = features(50 if small else 500, 64 if small else 2048)

    def timed() -> list[float]:
        covariances = (np.cov(each, rowvar=False) for each in (real, synthetic))
        return [sqrtm_distance(real.mean(axis=0) - synthetic.mean(axis=0), *covariances)]

    return timed


def frechet_moments(small: bool) -> Timed:
    from twinset.evaluation import Moments, frechet_from_moments

    moments = [Moments.of(each) for each in features(500 if small else 10_000, 64 if small else 2048)]
    return lambda: [frechet_from_moments(moments[0], moments[1])]


def frechet_moments_scipy(small: bool) -> Timed:
    real, synthetic = features(500 if small else 10_000, 64 if small else 2048)
    covariances = [np.cov(each, rowvar=False) for each in (real, synthetic)]
    shift = real.mean(axis=0) - synthetic.mean(axis=0)
    return lambda: [sqrtm_distance(shift, *covariances)]


RESAMPLINGS, TIMED_RESAMPLINGS = 200, 10


def frechet_error(n: int) -> Side:
    def side(small: bool) -> Timed:
        from twinset.evaluation import frechet_distance

        real, synthetic = features(50 if small else n, 64 if small else 2048)
        return lambda: [float(frechet_distance(real, synthetic).settings["standard_error"])]

    return side


def frechet_bootstrap(n: int) -> Side:
    """By our own fast distance, ten resamplings of 200: the driver multiplies."""

    def side(small: bool) -> Timed:
        from twinset.evaluation import frechet_value

        real, synthetic = features(50 if small else n, 64 if small else 2048)
        draw = np.random.Generator(np.random.PCG64(1))

        def timed() -> list[float]:
            values = []
            for _ in range(TIMED_RESAMPLINGS):
                parts = (each[draw.integers(len(each), size=len(each))] for each in (real, synthetic))
                values.append(frechet_value(*parts))
            return [float(np.std(values, ddof=1))]

        return timed

    return side


def neighbours(d: int) -> Side:
    def side(small: bool) -> Timed:
        from twinset.evaluation import prdc

        sets = features(500 if small else 10_000, d, mixed=False)
        return lambda: [float(score.value or 0.0) for score in prdc(*sets, k=K)]

    return side


def neighbours_prdc(d: int) -> Side:
    def side(small: bool) -> Timed:
        from prdc import compute_prdc

        real, synthetic = features(500 if small else 10_000, d, mixed=False)

        def timed() -> list[float]:
            found = compute_prdc(real_features=real, fake_features=synthetic, nearest_k=K)
            return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]

        return timed

    return side


def vendi(small: bool) -> Timed:
    from twinset.evaluation import vendi_score

    rows = features(500 if small else 10_000, 64 if small else 2048)[0]
    return lambda: [vendi_score(rows)]


def vendi_by_similarities(small: bool) -> Timed:
    """The N × N route of the paper's code: eigenvalues of all similarities by scipy."""
    from scipy import linalg

    rows = features(500 if small else 10_000, 64 if small else 2048)[0]

    def timed() -> list[float]:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        values = linalg.eigvalsh(unit @ unit.T / len(unit))
        values = values[values > 0]
        return [float(np.exp(-(values * np.log(values)).sum()))]

    return timed


def pictures(small: bool, channels: int) -> tuple[Array, Array]:
    """Pairs of 256 × 256: smooth noise, and the same with noise added."""
    draw = np.random.Generator(np.random.PCG64(channels))
    rough = draw.integers(0, 256, (2 if small else 64, 256, 256, channels))
    first = ((rough + np.roll(rough, 1, 1) + np.roll(rough, 1, 2)) // 3).astype(np.uint8)
    return first, np.clip(first + draw.normal(0, 20, first.shape), 0, 255).astype(np.uint8)


def ssim(channels: int) -> Side:
    def side(small: bool) -> Timed:
        from twinset.evaluation.pairs.ssim import ssim_values

        first, second = pictures(small, channels)
        return lambda: ssim_values(first, second, data_range=255).tolist()

    return side


def ssim_piq(channels: int, *, last: bool) -> Side:
    """piq on float32 tensors made beforehand, channels last (faster for it) or, as they usually come, first."""

    def side(small: bool) -> Timed:
        import piq
        import torch

        both = [torch.from_numpy(each).permute(0, 3, 1, 2).float() for each in pictures(small, channels)]
        first, second = both if last else [each.contiguous() for each in both]
        return lambda: piq.ssim(first, second, data_range=255, downsample=False, reduction="none").tolist()

    return side


def scenes(small: bool) -> dict[str, Array]:
    import average_precision

    return average_precision.scenes(50 if small else 5000, average_precision.OBJECTS, 10, 80)


def box_precision(small: bool) -> Timed:
    import average_precision

    from twinset.average_precision import match_detections

    truth, found = average_precision.as_instances(scenes(small))
    return lambda: list(match_detections(truth, found, n_classes=80).average_precision().figures().values())


def box_precision_coco(side: str) -> Side:
    def prepared(small: bool) -> Timed:
        import average_precision

        judge = average_precision.judged(scenes(small), side)
        return lambda: average_precision.summary(judge)

    return prepared


def extraction(small: bool) -> Timed:
    """Decoding, resizing and the random extractor; ``timed`` gives the seconds of the metrics after it, and of it."""
    from twinset.embedding.extraction import extract
    from twinset.embedding.random_convolution import RandomConvolution
    from twinset.evaluation import fidelity
    from twinset.formats import read
    from twinset.images import ImageSpec
    from twinset.randomness import Stream

    folder = Path(tempfile.mkdtemp())
    for side in ("real", "synthetic"):
        photographs(folder / side / "all", 40 if small else 5000, seed=len(side))
    sets = [read(folder / side)[0] for side in ("real", "synthetic")]
    method = RandomConvolution()

    def timed() -> list[float]:
        began = clock()
        real, synthetic = (
            extract(each, [(method, ImageSpec(method.size, method.size, 3))], pixels=None, scratch=folder).features[
                method.name
            ]
            for each in sets
        )
        extracted = clock()
        half = len(real) // 2
        fidelity(real, synthetic, extractor=method.name, rng=Stream(0), train=real[:half], holdout=real[half:])
        measured = clock()
        return [b - a for a, b in zip(began + extracted, extracted + measured, strict=True)]

    return timed


def photographs(folder: Path, count: int, *, seed: int) -> None:
    """Pictures of 128 × 128, half PNG and half JPEG: smooth colours and a little grain."""
    from PIL import Image

    folder.mkdir(parents=True)
    draw = np.random.Generator(np.random.PCG64(seed))
    for number in range(count):
        rough = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(rough.resize((128, 128), Image.Resampling.BICUBIC), dtype=np.int16)
        grained = np.clip(smooth + draw.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
        suffix = "jpg" if number % 2 else "png"
        Image.fromarray(grained).save(folder / f"{number:05d}.{suffix}")


SIDES: dict[str, Side] = {
    "frechet-few/ours": frechet_few,
    "frechet-few/scipy": frechet_few_scipy,
    "frechet/ours": frechet_moments,
    "frechet/scipy": frechet_moments_scipy,
    "frechet-error-few/ours": frechet_error(500),
    "frechet-error-few/bootstrap": frechet_bootstrap(500),
    "frechet-error/ours": frechet_error(10_000),
    "frechet-error/bootstrap": frechet_bootstrap(10_000),
    "prdc-64/ours": neighbours(64),
    "prdc-64/prdc": neighbours_prdc(64),
    "prdc-2048/ours": neighbours(2048),
    "prdc-2048/prdc": neighbours_prdc(2048),
    "vendi/ours": vendi,
    "vendi/N x N": vendi_by_similarities,
    "ssim/ours": ssim(3),
    "ssim/piq": ssim_piq(3, last=False),
    "ssim/piq channels last": ssim_piq(3, last=True),
    "ssim-grey/ours": ssim(1),
    "ssim-grey/piq": ssim_piq(1, last=False),
    "ap/ours": box_precision,
    "ap/pycocotools": box_precision_coco("pycocotools"),
    "ap/faster-coco-eval": box_precision_coco("faster-coco-eval"),
    "all/metrics": extraction,
}


def clock() -> tuple[float, float]:
    """Wall and processor seconds, the latter over all threads of this process."""
    return time.perf_counter(), time.process_time()


def resident_mb(kind: str) -> float:
    """Memory that this process holds (``VmRSS``) or held at most since the last reset (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1024


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    # joblib, as prdc uses it, goes by what the process may use and not by OMP_NUM_THREADS.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    SIDES[name](True)()
    timed = SIDES[name](False)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: making the input does not count
    before, began = resident_mb("VmRSS"), clock()
    figures = timed()
    ended, after = clock(), resident_mb("VmHWM")
    packages = {}
    for package in ("numpy", "scipy", "torch", "scikit-learn", "prdc", "piq", "pycocotools", "faster-coco-eval"):
        try:
            packages[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    wall, cpu = (b - a for a, b in zip(began, ended, strict=True))
    print(json.dumps({"wall": wall, "cpu": cpu, "mb": after - before, "figures": figures, "packages": packages}))


if __name__ == "__main__":
    main()
