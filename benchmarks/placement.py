"""What is it worth to a detector that pasted objects follow the real sizes, places and numbers, or those of elsewhere?

    uv run python benchmarks/placement.py --data DIR [--sets bccd,aerial_cars] [--images 200] [--minutes 60]
        [--workers 4] [--cells FOLDER]

Detectors are trained on pasted images alone, 3 seeds each, and judged on real test images. On `bccd`: objects placed
and sized by chance against placement fitted to the 80 exposed images, and against that the same with look-alikes of the
labelled objects filled in as well (`fill: alike`). On `aerial_cars`, which is split by flight: by chance, fitted to the
exposed flights, to a target in numbers as a user would give it, and to one that a detector infers from the unlabelled
images of the deployment flight; told flight by flight. Each figure stands with the paired difference and its 95 %
interval over images (of a flight, blocks of three frames) and seeds. Results are kept under FOLDER and continued. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from detection import SETS, parts, twin
from hardware import machine
from numpy.typing import NDArray

from alignment import flight_of, shifted_sets
from twinset.dataset import Dataset
from twinset.downstream.arms import Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.intervals import Difference, Judged, interval_of_mean, paired_difference
from twinset.downstream.placed_cells import PlacedPlan
from twinset.downstream.placed_data import placed_data
from twinset.downstream.placed_scores import PlacedStudy
from twinset.executors.local import LocalProcesses
from twinset.generators.copypaste import CopyPaste
from twinset.pipeline.placed import RunPlacedCell, run_placed_cell_task
from twinset.pipeline.resolving import cache_folder
from twinset.randomness import Stream

SEEDS = 3
CHANCE = "chance"
AGAINST = {"fitted, fill: alike": "fitted"}
"""What a set is compared with, where not with chance."""

BLOCK = 3
"""Consecutive frames that are resampled together: they are near copies."""


@dataclass(frozen=True)
class Trained:
    """One pasted set, and the detectors that were trained on it."""

    study: PlacedStudy
    runs: tuple[CellResult, ...]


def variants(name: str, data: Path, images: int) -> dict[str, Dataset]:
    """The pasted sets by name, each after what it is compared with."""
    training = parts(data, name)["train"]
    chance = twin(training, CopyPaste(placement="uniform"), images, draw=0, key=f"{name}-chance")
    if name == "bccd":
        made = {"fitted": CopyPaste(), "fitted, fill: alike": CopyPaste(fill="alike")}
        # One key for both: they differ by what is filled in and by nothing else.
        pasted = {key: twin(training, one, images, draw=0, key=f"{name}-fitted") for key, one in made.items()}
        return {CHANCE: chance, **pasted}
    sets, sentences = shifted_sets(data, flight="MOS155-179", images=images, seed=0)
    print("\n".join(sentences))
    return {CHANCE: chance, **sets}


def families_of(name: str, ids: Sequence[str]) -> NDArray[np.int64]:
    """(N,) images that are resampled together: blocks of frames of one flight; elsewhere every image by itself."""
    if name != "aerial_cars":
        return np.arange(len(ids))
    seen: dict[str, int] = {}
    blocks = []
    for id_ in ids:
        flight = flight_of(id_)
        seen[flight] = seen.get(flight, -1) + 1
        blocks.append(f"{flight}/{seen[flight] // BLOCK}")
    return np.unique(blocks, return_inverse=True)[1]


def train(
    name: str, found: Mapping[str, Dataset], pasted: Dataset, cells: Path, *, workers: int, deadline: float
) -> Trained | None:
    """Three detectors on one pasted set; None when time is up before."""
    chosen = SETS[name]
    plan: PlacedPlan = UtilityPlan(chosen.settings, seed=0, seeds=SEEDS, extra_seeds=0, flip=True)
    made = placed_data(
        train=found["train"],
        validation=found["validation"],
        test=found["test"],
        synthetic=pasted,
        test_families=families_of(name, found["test"].ids),
        kind=chosen.kind,
        size=(chosen.settings.height, chosen.settings.width),
        channels=chosen.settings.channels,
    )
    study = study_digest(plan, made.digest())
    folder = cells / study
    if not (folder / "data" / "data.json").exists():
        made.save(folder / "data")
    wanted = [Cell(Recipe("synthetic", "none", 1.0), 0, seed) for seed in range(SEEDS)]
    while missing := [cell for cell in wanted if cell not in {run.cell for run in committed(folder)}]:
        if time.monotonic() > deadline:
            return None
        tasks = [RunPlacedCell(cell, study, plan, folder / "data", folder) for cell in missing[:workers]]
        for _, result in LocalProcesses(workers).map(run_placed_cell_task, tasks):
            print(f"  {result.cell.key} {result.validation_score:.3f}", flush=True)
    return Trained(PlacedStudy(made, folder), tuple(run for run in committed(folder) if run.cell in wanted))


def of_images(judged: Judged, families: NDArray[np.integer]) -> Judged:
    """The same judgement on the images of these families alone."""
    scores: Callable[[NDArray[np.float64]], NDArray[np.float64]] = judged.scores

    def some(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = np.zeros((len(weights), judged.families))
        whole[:, families] = weights
        return scores(whole)

    return replace(judged, scores=some, families=len(families))


def both(first: Judged, second: Judged) -> Judged:
    """The runs of two sets beside each other."""
    return replace(first, scores=lambda w: np.concatenate([first.scores(w), second.scores(w)], axis=1))


def told(label: str, value: Difference, gain: Difference | None) -> str:
    """A row of the table."""
    difference = f"{gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})" if gain is not None else "–"
    return f"| {label} | {value.value:.3f} ({value.low:.3f} … {value.high:.3f}) | {difference} |"


def compared(name: str, trained: Mapping[str, Trained], ids: Sequence[str]) -> list[dict[str, object]]:
    """Prints mAP@50 of every pasted set on all test images and on each flight, beside chance."""
    families = families_of(name, ids)
    groups: dict[str, NDArray[np.int64]] = {"all test images": np.unique(families)}
    if name == "aerial_cars":
        flights = np.array([flight_of(id_) for id_ in ids])
        groups |= {flight: np.unique(families[flights == flight]) for flight in sorted(set(flights.tolist()))}
    judged = {key: one.study.judged(one.runs) for key, one in trained.items()}
    rows_: list[dict[str, object]] = []
    for group, members in groups.items():
        some = {key: of_images(one, members) for key, one in judged.items()}
        for key, one in some.items():
            value = interval_of_mean(one, subsets=1, seeds=SEEDS, rng=Stream(0).child("mean"))
            gain = None
            against = AGAINST.get(key, CHANCE)
            if key != CHANCE and against in some:
                pair = both(one, some[against])
                gain = paired_difference(pair, subsets=1, seeds=SEEDS, rng=Stream(0).child("gain"))
            print(told(f"{name}, {group}, {key}", value, gain), flush=True)
            rows_.append(
                {
                    "set": name,
                    "images": group,
                    "placement": key,
                    "map50": value.to_json(),
                    "against": against,
                    "gain": gain.to_json() if gain is not None else None,
                }
            )
    return rows_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="bccd,aerial_cars")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=180.0, help="No training begins after this time.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--cells", type=Path, default=None, help="Where results are kept; default: the cache folder.")
    options = parser.parse_args()
    cells = options.cells or cache_folder() / "benchmarks" / "placement"
    deadline = time.monotonic() + 60 * options.minutes
    rows: list[dict[str, object]] = []
    for name in options.sets.split(","):
        found = parts(options.data, name)
        trained: dict[str, Trained] = {}
        for key, pasted in variants(name, options.data, options.images).items():
            print(f"{name}, {key}", flush=True)
            one = train(name, found, pasted, cells / name, workers=options.workers, deadline=deadline)
            if one is not None:
                trained[key] = one
        if CHANCE in trained and len(trained) > 1:
            rows += compared(name, trained, found["test"].ids)
    print(json.dumps({"benchmark": "placement", "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
