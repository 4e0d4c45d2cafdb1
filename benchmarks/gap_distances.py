"""How far the steps of `benchmarks/gap.py` are from held-out real images, without training anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from gap_sets import Halves
from numpy.typing import NDArray

from twinset.alignment.metadata import MeasureTable, compare_measures, measure
from twinset.dataset import Dataset
from twinset.embedding.embedder import embed_dataset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.sample_study import Excess, FeatureSets, score_without_training
from twinset.images import ImageSpec
from twinset.randomness import Stream

MEASURES = ("box_area", "aspect_ratio", "centre_x", "centre_y", "count", "brightness", "contrast")
SPEC = ImageSpec(96, 128, 3)
"""What features are taken of: the whole picture, small."""


@dataclass(frozen=True, eq=False)
class Told:
    """One step: excess distances with what they vary by, by how much they fell from the baseline, and features.

    ``features`` float32 (M, D) of its pictures; ``ratio`` is how much farther test images are from them than from
    exposed ones, ``score`` the score without training.
    """

    excess: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    floor: Mapping[str, float]
    at_floor: Mapping[str, bool]
    fall: Mapping[str, float | None]
    features: NDArray[np.float32]
    ratio: float | None
    score: float | None

    def to_json(self) -> dict[str, object]:
        """Plain JSON types; what is infinite is null."""
        measures = {
            name: {
                "excess": _finite(value),
                "interval": [_finite(bound) for bound in self.interval[name]],
                "floor": self.floor[name],
                "at_floor": self.at_floor[name],
                "fall": self.fall[name],
            }
            for name, value in self.excess.items()
        }
        return {"measures": measures, "feature_ratio": self.ratio, "score_without_training": self.score}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def distances(made: Mapping[str, Dataset], real: Halves) -> dict[str, Told]:
    """Every step beside the held-out images; bins are fixed on all steps that are there."""
    held = measure(real.held, measures=MEASURES)
    sets = {step: measure(dataset, measures=MEASURES) for step, dataset in made.items()}
    table = compare_measures(held, sets, rng=Stream(0).child("gap"), names=MEASURES, families=real.families)
    embedder = RandomConvolution()
    test, exposed = (embed_dataset(embedder, part, spec=SPEC) for part in (real.held, real.exposed))
    return {step: _told(step, dataset, table, test, exposed, embedder) for step, dataset in made.items()}


def _told(
    step: str,
    dataset: Dataset,
    table: MeasureTable,
    test: NDArray[np.float32],
    exposed: NDArray[np.float32],
    embedder: RandomConvolution,
) -> Told:
    features = embed_dataset(embedder, dataset, spec=SPEC)
    gaps = table.gaps
    excess = Excess(
        {gap.measure: gap.excess[step] for gap in gaps},
        {gap.measure: gap.at_floor[step] for gap in gaps},
        max(gap.images for gap in gaps),
    )
    scored = score_without_training(
        excess, FeatureSets(embedder.name, test, features, exposed), rng=Stream(0).child("score", step)
    )
    return Told(
        excess.excess,
        {gap.measure: gap.interval[step] for gap in gaps},
        {gap.measure: gap.floor for gap in gaps},
        excess.at_floor,
        {gap.measure: gap.fall("baseline", step) if "baseline" in gap.excess else None for gap in gaps},
        features,
        scored.feature_ratio,
        scored.score.value,
    )


def print_distances(told: Mapping[str, Told]) -> None:
    """A table: excess and its fall by step and measure; * where it is no larger than real-vs-real distances are."""
    names = list(next(iter(told.values())).excess)
    floors = next(iter(told.values())).floor
    print("| step | " + " | ".join(names) + " | features | without training |")
    print("|---" * (len(names) + 3) + "|")
    print("| (floor) | " + " | ".join(f"{floors[name]:.4f}" for name in names) + " | 1 | 0 |")
    for step, one in told.items():
        cells = [_cell(one, name) for name in names]
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
        score = "–" if one.score is None else f"{one.score:.3f}"
        print(f"| {step} | " + " | ".join(cells) + f" | {ratio} | {score} |", flush=True)


def _cell(one: Told, name: str) -> str:
    low, high = one.interval[name]
    star = "*" if one.at_floor[name] else ""
    fall = one.fall[name]
    told = "" if fall is None else f", −{fall:.0%}" if fall >= 0 else f", +{-fall:.0%}"
    return f"{one.excess[name]:.4f}{star} ({low:.3f} … {high:.3f}){told}"
