"""What does an audit of a released dataset cost, beside the plain way of computing its attacks one by one?

    uv run python benchmarks/audit.py [--real 10000] [--synthetic 10000] [--reference 5000] [--dimension 2048]
                                      [--law network|gaussian] [--threads 1,2,4] [--rounds 3] [--controls] [--no-peer]

Real images are half training, half held-out ones; features are float32 of a law as in `benchmarks/scale.py`, the
released set an independent one. Ours is `audit_dataset`: all six attacks, the joint copy test, the witnesses and what
keeps the reference apart; with `--controls` also with planted copies and independent sets. The peer computes the scores
of the same attacks with scikit-learn, each from its own distances: brute-force neighbours, chunked pairwise distances,
principal axes and kernel densities, logistic regression; and the neighbours that the copy test needs. It does no
statistics, and leaves `hole` out. Sides take turns; seconds are medians (least, largest), ratios those of the same
round. AUCs of both stand beside each other. `peak_mb` is the highest resident set of the process so far, so of our side
before the peer ran. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from hardware import machine
from scale import Law

from twinset.membership import Strata, placement_auc
from twinset.privacy.audit.dataset_release import DatasetAudit, DatasetRelease, audit_dataset
from twinset.randomness import Stream
from twinset.threads import blas_threads, torch_threads

QUANTILES = (0.5, 0.1)
AXES = 16


def release_of(arguments: argparse.Namespace) -> DatasetRelease:
    """An independent release: all four sets of one law."""
    law = Law(arguments.law, arguments.dimension)
    counts = (arguments.synthetic, arguments.real // 2, arguments.real - arguments.real // 2, arguments.reference)
    sets = [
        law.rows(count, np.random.Generator(np.random.PCG64([0, number])), synthetic=False)
        for number, count in enumerate(counts)
    ]
    synthetic, training, holdout, reference = sets
    return DatasetRelease(synthetic, training, holdout, reference)


def peer(release: DatasetRelease) -> dict[str, np.ndarray]:
    """Scores (N,) of training and held-out images by attack."""
    from sklearn.neighbors import NearestNeighbors

    made, known = release.synthetic, release.reference
    assert known is not None
    targets = np.concatenate([release.training, release.holdout])

    def nearest(queries: np.ndarray, references: np.ndarray, k: int = 1) -> np.ndarray:
        index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(references)
        return np.asarray(index.kneighbors(queries)[0])

    for queries, references, k in (
        (release.holdout, release.training, 1),  # repeats across the sides
        (release.training, release.training, 17),  # repeats within them
        (release.holdout, release.holdout, 17),
        (known, targets, 1),  # reference images of neither side
        (targets, release.training, 9),  # density
        (targets, made, 16),
        (targets, known, 8),
        (made, targets, 2),  # hits
        (made, release.training, 1),  # closest records
        (made, release.holdout, 1),
    ):
        nearest(queries, references, k)
    scores = {"gan_leaks": -np.log(nearest(targets, made)[:, 0])}
    scores["gan_leaks_calibrated"] = np.log(nearest(targets, known)[:, 0]) - np.log(nearest(targets, made)[:, 0])
    scores["monte_carlo"] = _monte_carlo(targets, made, nearest(targets, made)[:, 0])
    return scores | _domias(targets, made, known)


def _monte_carlo(targets: np.ndarray, made: np.ndarray, least: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata
    from sklearn.metrics import pairwise_distances_chunked

    radii = np.quantile(least, QUANTILES, method="higher")
    counts = np.concatenate(
        [
            np.stack([(part <= radius).sum(axis=1) for radius in radii], axis=1)
            for part in pairwise_distances_chunked(targets, made)
        ]
    )
    return np.asarray(rankdata(counts, axis=0).sum(axis=1) + rankdata(-least) / (len(targets) + 1))


def _domias(targets: np.ndarray, made: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KernelDensity
    from sklearn.preprocessing import PolynomialFeatures

    axes = PCA(AXES, whiten=True, svd_solver="full").fit(known)
    points, centres, others = (axes.transform(rows).astype(np.float64) for rows in (targets, made, known))
    bandwidth = min(len(made), len(known)) ** (-1 / (AXES + 4))
    first, second = (KernelDensity(bandwidth=bandwidth).fit(rows).score_samples(points) for rows in (centres, others))
    curved = PolynomialFeatures(2, include_bias=False)
    rows = curved.fit_transform(np.concatenate([centres, others]))
    labels = np.repeat([1, 0], [len(centres), len(others)])
    model = LogisticRegression(max_iter=500, class_weight="balanced").fit(rows, labels)
    return {"domias": first - second, "domias_ratio": model.decision_function(curved.transform(points))}


def timed(run: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measured(release: DatasetRelease, threads: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Of so many threads: seconds of either side, their ratio, and the AUCs that both find."""
    ours: list[float] = []
    theirs: list[float] = []
    aucs: dict[str, list[float]] = {}
    memory = 0
    for turn in range(arguments.rounds):
        seconds, found = timed(lambda: audit_dataset(release, rng=Stream(0), controls=arguments.controls))
        assert isinstance(found, DatasetAudit)
        ours.append(seconds)
        memory = memory or peak()
        aucs = {figures.name: [round(figures.auc, 6)] for figures in found.attacks}
        print(f"{threads} threads, round {turn + 1}: ours {seconds:.1f} s, {found.answer}", flush=True)
        if arguments.no_peer:
            continue
        seconds, scores = timed(lambda: peer(release))
        theirs.append(seconds)
        assert isinstance(scores, dict)
        members = len(release.training)
        for name, values in scores.items():
            strata = Strata.single(members, len(values) - members)
            aucs[name].append(round(placement_auc(values[:members], values[members:], strata).auc, 6))
        print(f"{threads} threads, round {turn + 1}: scikit-learn {seconds:.1f} s", flush=True)
    return {
        "threads": threads,
        "ours_s": _spread(ours),
        "peer_s": _spread(theirs),
        "ratio": _spread([a / b for a, b in zip(theirs, ours, strict=False)]),
        "auc_ours_peer": aucs,
        "peak_mb": memory,
    }


def _spread(values: list[float]) -> list[float]:
    """Median, least, largest; nothing of nothing."""
    return [round(each, 2) for each in (statistics.median(values), min(values), max(values))] if values else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=int, default=10_000)
    parser.add_argument("--synthetic", type=int, default=10_000)
    parser.add_argument("--reference", type=int, default=5_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--law", choices=("network", "gaussian"), default="network")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--controls", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    release = release_of(arguments)
    rows = []
    for count in map(int, arguments.threads.split(",")):
        with torch_threads(count), blas_threads(count):
            rows.append(measured(release, count, arguments))
    print(json.dumps({"settings": vars(arguments), "results": rows, **machine("scikit-learn")}))


if __name__ == "__main__":
    main()
