"""How often do the 95 % intervals beside the scores hold what they are about: the score's expectation at that N?

    uv run python benchmarks/coverage.py [--repetitions 2000] [--scores frechet,kid,accuracy,ap] [--seed 0]

Pairs of samples are drawn from laws that are known. The expectation of an estimator at this N (which is biased for
the Fréchet distance and for AP) is its mean over as many independent draws. Coverage is the share of intervals that
hold it, with Wilson's 95 % interval for the simulation. Three laws each: for features a Gaussian with a decaying
spectrum, a heavy-tailed one (Student's t, 5 degrees of freedom), and an unequal mixture, each with the synthetic
side shifted and shrunk ("apart") and with both sides equal; for accuracy and AP an easy, a hard and an unequal
problem. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from hardware import machine
from numpy.typing import NDArray

from twinset.evaluation import frechet_distance, kernel_distance
from twinset.evaluation.protocol import wilson_interval
from twinset.randomness import Stream
from twinset.scores import Score

Array = NDArray[np.float64]
DIMENSION = 32
SIZES = (100, 1000)


@dataclass(frozen=True)
class Case:
    """One row of the table: what is drawn, and the score with its interval on a draw."""

    score: str
    law: str
    n: int
    draw: Callable[[np.random.Generator], Score]
    expectation: float | None = None
    """Where it is known without drawing."""


def gaussian(draws: np.random.Generator, n: int) -> Array:
    """Features with variances 1, ½, ⅓ …"""
    return draws.normal(size=(n, DIMENSION)) / np.sqrt(1.0 + np.arange(DIMENSION))


def heavy(draws: np.random.Generator, n: int) -> Array:
    """Student's t with 5 degrees of freedom, all coordinates of a row sharing their scale."""
    scale = np.sqrt(5.0 / draws.chisquare(5, size=(n, 1)))
    return gaussian(draws, n) * scale


def mixture(draws: np.random.Generator, n: int) -> Array:
    """Four in five around one place, the rest around another and narrower."""
    rare = draws.random((n, 1)) < 0.2
    return np.where(rare, 0.5 * gaussian(draws, n) + 1.0, gaussian(draws, n))


LAWS = {"gaussian": gaussian, "student t5": heavy, "mixture 4:1": mixture}


def feature_cases(name: str) -> Iterator[Case]:
    """Cases of the Fréchet or the kernel distance."""
    measure = frechet_distance if name == "frechet" else kernel_distance
    for law, sample in LAWS.items():
        for n in SIZES:
            for apart in (True, False):

                def draw(
                    draws: np.random.Generator,
                    sample: Callable[[np.random.Generator, int], Array] = sample,
                    n: int = n,
                    apart: bool = apart,
                ) -> Score:
                    real, synthetic = sample(draws, n), sample(draws, n)
                    return measure(real, 0.8 * synthetic + 0.15 if apart else synthetic)

                known = 0.0 if name == "kid" and not apart else None
                yield Case(name, f"{law}, {'apart' if apart else 'equal'}", n, draw, known)


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "frechet": lambda: feature_cases("frechet"),
    "kid": lambda: feature_cases("kid"),
}


def coverage(case: Case, repetitions: int, rng: Stream) -> dict[str, str | int | float]:
    """Expectation, coverage with its interval, and how the mean standard error compares with the true spread."""
    expectation = case.expectation
    if expectation is None:
        expectation = float(np.mean([_value(case.draw(rng.child("truth", i).numpy())) for i in range(repetitions)]))
    found = [case.draw(rng.child("draw", i).numpy()) for i in range(repetitions)]
    inside = sum(
        score.interval is not None and score.interval.low <= expectation <= score.interval.high for score in found
    )
    spread = float(np.std([_value(score) for score in found], ddof=1))
    widths = [score.interval.high - score.interval.low for score in found if score.interval is not None]
    low, high = wilson_interval(inside, repetitions)
    return {
        "score": case.score,
        "law": case.law,
        "n": case.n,
        "expectation": expectation,
        "coverage": inside / repetitions,
        "low": low,
        "high": high,
        "width_over_spread": float(np.mean(widths)) / (2 * 1.96 * spread),
    }


def _value(score: Score) -> float:
    assert score.value is not None
    return score.value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--scores", default=",".join(CASES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    for name in options.scores.split(","):
        for case in CASES[name]():
            row = coverage(
                case, options.repetitions, Stream(options.seed).child("coverage", case.score, case.law, case.n)
            )
            rows.append(row)
            print(
                f"{case.score:<9} {case.law:<24} N {case.n:<5} E {row['expectation']:<9.4g} "
                f"coverage {row['coverage']:.3f} ({row['low']:.3f}–{row['high']:.3f})  "
                f"width/spread {row['width_over_spread']:.2f}",
                flush=True,
            )
    print(json.dumps({"benchmark": "coverage", "repetitions": options.repetitions, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
