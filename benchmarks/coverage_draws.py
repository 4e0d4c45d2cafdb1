"""How often does the 95 % interval of the verdict's paired difference hold the truth, with few draws or seeds?

    uv run python benchmarks/coverage_draws.py [--repetitions 2000] [--seed 0]

A score of a test image is a sum of normal parts: the image's difficulty (standard deviation .3, shared by all runs),
what a side does to the image (.2), what a run does to it (.2), the level of a draw of training images (.1, shared by
both sides), the gain of that draw (the column *draws*), and the level of a run (*seeds*). The truth is the mean gain,
.05, over test images, draws and seeds alike. Several draws are compared in pairs, one draw by the seeds of each side,
as in a run. Half is the mean half width; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
from hardware import machine
from numpy.typing import NDArray

from twinset.downstream.intervals import Judged, paired_difference
from twinset.evaluation.protocol import wilson_interval
from twinset.randomness import Stream

GAIN = 0.05
FAMILY_DRAWS = 1000


@dataclass(frozen=True)
class Case:
    """A study: test images, draws of training images, seeds of each, and how much draws and seeds differ."""

    images: int
    draws: int
    seeds: int
    draw_sd: float
    seed_sd: float


CASES = [
    Case(images, draws, seeds, draw_sd, seed_sd)
    for images in (80, 400)
    for draws, seeds, draw_sds in ((3, 1, (0.0, 0.05, 0.1)), (5, 1, (0.0, 0.05, 0.1)), (1, 3, (0.0,)), (1, 5, (0.0,)))
    for draw_sd in draw_sds
    for seed_sd in ((0.02,) if draws > 1 else (0.02, 0.1))
]


def study(case: Case, rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, draws, seeds, images) scores of test images, with and without synthetic images."""
    runs = (case.draws, case.seeds)
    shared = 0.5 + 0.1 * rng.normal(size=(case.draws, 1, 1)) + 0.3 * rng.normal(size=case.images)
    sides = []
    for gain in (GAIN + case.draw_sd * rng.normal(size=(case.draws, 1, 1)), 0.0):
        run = case.seed_sd * rng.normal(size=(*runs, 1)) + 0.2 * rng.normal(size=(*runs, case.images))
        sides.append(shared + gain + run + 0.2 * rng.normal(size=case.images))
    return np.stack(sides)


def measured(case: Case, *, repetitions: int, seed: int) -> dict[str, float]:
    """Coverage, the shares of intervals that lie above and below the truth, and the mean half width."""
    above, below, half = 0, 0, 0.0
    for repetition in range(repetitions):
        rng = Stream(seed).child("coverage-draws", repr(case), repetition)
        flat = study(case, rng.child("study").numpy()).reshape(-1, case.images)

        def scores(weights: NDArray[np.float64], flat: NDArray[np.float64] = flat) -> NDArray[np.float64]:
            return np.asarray(weights @ flat.T / weights.sum(1, keepdims=True))

        judged = Judged(scores, case.images, 1 / case.images, FAMILY_DRAWS)
        found = paired_difference(judged, subsets=case.draws, seeds=case.seeds, rng=rng.child("interval"))
        above, below = above + (found.low > GAIN), below + (found.high < GAIN)
        half += (found.high - found.low) / 2 / repetitions
    return {
        "coverage": 1 - (above + below) / repetitions,
        "above": above / repetitions,
        "below": below / repetitions,
        "half": half,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| test images | draws × seeds | spread of draws | of seeds | coverage | above, below | half |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for case in CASES:
        row = measured(case, repetitions=options.repetitions, seed=options.seed)
        low, high = wilson_interval(round(row["coverage"] * options.repetitions), options.repetitions)
        print(
            f"| {case.images} | {case.draws} × {case.seeds} | {case.draw_sd:g} | {case.seed_sd:g} "
            f"| {row['coverage']:.3f} ({low:.3f} … {high:.3f}) | {row['above']:.3f}, {row['below']:.3f} "
            f"| {row['half']:.3f} |",
            flush=True,
        )
        rows.append({**asdict(case), **row})
    print(json.dumps({"benchmark": "coverage_draws", "rows": rows, "machine": machine(), **vars(options)}))


if __name__ == "__main__":
    main()
