"""Few-shot detection and segmentation: do pasted images help, and by how much, beside strong classical augmentation?

    uv run python benchmarks/detection.py --data DIR [--sets bccd,aerial_cars,camvid,em_membrane] [--shots 5,20,all]
        [--minutes 60] [--workers 4] [--cells FOLDER]

Five arms as in every run: real, real+classical (two strengths, one with class-balanced sampling too), synthetic,
real+synthetic, real+classical+synthetic. With 5 training images there are 5 paired draws of them, with 20 there are 3,
with all of them 3 seeds; the synthetic images of a draw are made of its images alone. A cell is one training; its
result is kept under FOLDER by the digest of data and plan, so that a later sitting continues. What is finished is
printed as a table; the last line is JSON. `aerial_cars` is told by flight too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from hardware import machine

from twinset.average_precision import match_detections
from twinset.dataset import Dataset
from twinset.downstream.arms import ARMS, CellResult, UtilityPlan
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.placed_cells import PlacedPlan, PlacedSettings, read_found
from twinset.downstream.placed_data import Kind, PlacedData, placed_data
from twinset.downstream.placed_scores import PlacedStudy
from twinset.downstream.summary import summarise
from twinset.executors.local import LocalProcesses
from twinset.formats import read
from twinset.generators.copypaste import CopyPaste
from twinset.models.classical import Strength
from twinset.pipeline.placed import RunPlacedCell, run_placed_cell_task
from twinset.pipeline.resolving import cache_folder
from twinset.randomness import Stream, seed_for
from twinset.stages import Slot
from twinset.store import write_json


@dataclass(frozen=True)
class Set:
    """How one dataset is learnt: by its kind, at which size, for how many steps."""

    kind: Kind
    settings: PlacedSettings
    copypaste: CopyPaste = field(default_factory=CopyPaste)
    synthetic: int = 200
    balanced: Strength = "strong"
    steps_for_all: int | None = None
    flights: dict[str, str] = field(default_factory=dict)


SETS = {
    "bccd": Set("objects", PlacedSettings(240, 320, 3, steps=600, turn=True), steps_for_all=900),
    "aerial_cars": Set(
        "objects",
        PlacedSettings(544, 960, 3, steps=600, stride=4, turn=True, crop=(256, 320)),
        synthetic=100,
        flights={"DJI-00760": "DJI-00760", "MOS155-179": "MOS"},
    ),
    "camvid": Set("pixels", PlacedSettings(180, 240, 3, steps=1000, batch=4, crop=(144, 192)), balanced="medium"),
    "em_membrane": Set(
        "pixels", PlacedSettings(512, 512, 1, steps=500, batch=4, turn=True, crop=(192, 192)), balanced="medium"
    ),
}
DRAWS = {"5": (5, 1), "20": (3, 1), "all": (1, 3)}
"""Draws of the training images, and seeds of each, by number of images."""


def parts(data: Path, name: str) -> dict[str, Dataset]:
    """The three parts of a dataset as given; where there is no validation part, every fourth training image is it."""
    dataset, _ = read(data / name, on_bad_input="skip")
    found = {part: dataset.where([split == part for split in dataset.splits]) for part in set(dataset.splits) if part}
    if "validation" not in found:
        rows = np.arange(len(found["train"]))
        found["validation"] = found["train"].take(rows[rows % 4 == 3])
        found["train"] = found["train"].take(rows[rows % 4 != 3])
    return found


def subsets(n: int, shots: str, name: str) -> np.ndarray:
    """bool (draws, N): which training images each draw has."""
    draws, _ = DRAWS[shots]
    chosen = np.zeros((draws, n), dtype=bool)
    for draw in range(draws):
        rng = Stream(0).child("few-shot", name, shots, draw).numpy()
        chosen[draw, rng.permutation(n)[: n if shots == "all" else int(shots)]] = True
    return chosen


def twin(training: Dataset, copypaste: CopyPaste, count: int, *, draw: int, key: str) -> Dataset:
    """``count`` pasted images made of these training images alone."""
    generator = copypaste.fit(training, rng=Stream(seed_for(key, "fit", draw)))
    slots = [Slot(number, 0, seed_for(key, f"slot-{draw}", number), 0, key) for number in range(count)]
    samples = list(generator.generate(slots))
    renamed = [type(sample)(**{**sample.__dict__, "id": f"{draw}-{sample.id}"}) for sample in samples]
    return Dataset.of(renamed, classes=training.classes, name="twin")


def study(name: str, shots: str, data: Path, cells: Path) -> tuple[PlacedData, PlacedPlan]:
    """Data and plan of one row of the table; scenes that were made before are read."""
    chosen, found = SETS[name], parts(data, name)
    draws, seeds = DRAWS[shots]
    settings = chosen.settings
    if shots == "all" and chosen.steps_for_all is not None:
        settings = replace(settings, steps=chosen.steps_for_all)
    weak: Strength = "light" if chosen.kind == "objects" else "medium"
    plan: PlacedPlan = UtilityPlan(
        settings, seed=0, seeds=seeds, extra_seeds=0, subsets=draws, strengths=(weak, "strong"), shares=(0.5,),
        balanced=(chosen.balanced,), flip=True,
    )  # fmt: skip
    key = seed_for(found["train"].source_digest(), f"{chosen.copypaste}", f"{settings.height}x{settings.width}")
    folder = cells / name / f"{shots}-{key:016x}"
    if (folder / "data.json").exists():
        return PlacedData.load(folder), plan
    picks = subsets(len(found["train"]), shots, name)
    twins = [
        twin(found["train"].where(pick), chosen.copypaste, chosen.synthetic, draw=draw, key=f"{name}-{shots}")
        for draw, pick in enumerate(picks)
    ]
    synthetic = twins[0]
    for other in twins[1:]:
        synthetic = synthetic.concat(other)
    made = placed_data(
        **found,
        synthetic=synthetic,
        test_families=np.arange(len(found["test"])),
        kind=chosen.kind,
        size=(settings.height, settings.width),
        channels=settings.channels,
        train_subset=picks,
        synthetic_subset=np.repeat(np.eye(draws, dtype=bool), chosen.synthetic, axis=1),
    )
    made.save(folder)
    write_json(folder / "twin.json", {"digest": synthetic.digest(), "images": len(synthetic)})
    return PlacedData.load(folder), plan


def run(data: PlacedData, plan: PlacedPlan, folder: Path, *, workers: int, deadline: float) -> list[CellResult]:
    """The results there are when all cells are done or time is up."""
    name = study_digest(plan, data.digest())
    place = folder / name
    if not (place / "data" / "data.json").exists():
        data.save(place / "data")
    results = list(committed(place))
    while (due := plan.due(results)) and time.monotonic() < deadline:
        tasks = [RunPlacedCell(cell, name, plan, place / "data", place) for cell in due[:workers]]
        for _, result in LocalProcesses(workers).map(run_placed_cell_task, tasks):
            results.append(result)
            print(f"  {len(results)}/{plan.cell_count} {result.cell.key} {result.validation_score:.3f}", flush=True)
    return results


def by_flight(name: str, results: Sequence[CellResult], whole: PlacedStudy) -> dict[str, dict[str, float]]:
    """mAP@50 of everything that was trained, picked or not, on the test images of each flight and on all."""
    if not SETS[name].flights:
        return {}
    truth, ids = whole.data.instances("test"), whole.data.test_truth.column("id").to_pylist()
    found: dict[str, dict[str, float]] = {}
    for flight, word in {**SETS[name].flights, "all": ""}.items():
        rows = [row for row, id_ in enumerate(ids) if word in id_]
        scores: dict[str, list[float]] = {}
        for result in results:
            seen = read_found(whole.file(result))
            shown, told = [truth[row] for row in rows], [seen[row] for row in rows]
            matched = match_detections(shown, told, n_classes=whole.data.n_classes)
            scores.setdefault(result.cell.recipe.text, []).append(matched.average_precision().ap50)
        found[flight] = {recipe: float(np.mean(each)) for recipe, each in scores.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shots", default="5,20,all")
    parser.add_argument("--minutes", type=float, default=180.0, help="No cell begins after this time.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--cells", type=Path, default=None, help="Where results are kept; default: the cache folder.")
    options = parser.parse_args()
    cells = options.cells or cache_folder() / "benchmarks" / "detection"
    deadline = time.monotonic() + 60 * options.minutes
    lines = ["| set, training images | metric | " + " | ".join(ARMS) + " | paired gain |", "|---" * 8 + "|"]
    rows = []
    for name in options.sets.split(","):
        for shots in options.shots.split(","):
            data, plan = study(name, shots, options.data, cells)
            folder = cells / name / "cells"
            print(f"{name}, {shots} images", flush=True)
            results = run(data, plan, folder, workers=options.workers, deadline=deadline)
            if plan.due(results):
                print(f"  {plan.cell_count - len(results)} cells are left; call again to continue", flush=True)
                continue
            whole = PlacedStudy(data, folder / results[0].study)
            utility = summarise(results, data=whole, plan=plan)
            gain = utility.difference
            assert gain is not None
            told = [f"{arm.mean:.3f} ({arm.low:.3f} … {arm.high:.3f})" for arm in utility.arms.values()]
            told.append(f"{gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})")
            lines.append(f"| {name}, {shots} | {utility.metric} | " + " | ".join(told) + " |")
            rows.append(
                {
                    "set": name,
                    "shots": shots,
                    "metric": utility.metric,
                    "arms": utility.to_json(),
                    "gain": gain.to_json(),
                    "by_flight": by_flight(name, results, whole),
                    "core_seconds": round(utility.seconds),
                }
            )
            print(lines[-1], flush=True)
    print("\n".join(lines))
    print(json.dumps({"benchmark": "detection", "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
