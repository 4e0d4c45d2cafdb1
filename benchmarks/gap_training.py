"""The detectors of `benchmarks/gap.py`: trained on each step's pictures, judged on held-out real images."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from gap_distances import SPEC, Told
from gap_sets import BESIDE, STEPS, GapSet, Halves
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.downstream.arms import Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.intervals import Judged, interval_of_mean, paired_difference
from twinset.downstream.placed_cells import PlacedPlan, read_found
from twinset.downstream.placed_data import placed_data
from twinset.downstream.placed_scores import PlacedStudy
from twinset.embedding.embedder import embed_dataset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.evaluation.predictions.detection_errors import confident, double_finds, object_quality
from twinset.evaluation.sample_study import rank_correlation, spearman, synthetic_distances
from twinset.executors.local import LocalProcesses
from twinset.instances import Instances
from twinset.pipeline.placed import RunPlacedCell, run_placed_cell_task
from twinset.randomness import Stream

SEEDS = 3
SYNTHETIC = Recipe("synthetic", "none", 1.0)
REFERENCES: Mapping[str, Recipe] = {
    "real": Recipe("real", "none", 0.0),
    "real, augmented": Recipe("real+classical", "strong", 0.0),
    "real + rendered": Recipe("real+synthetic", "none", 0.5),
    "real + rendered, augmented": Recipe("real+classical+synthetic", "strong", 0.5),
}
"""Rows beside the steps; rendered there are the pictures of the chain's last step."""

AGAINST: Mapping[str, str] = {
    "real, augmented": "real",
    "real + rendered": "real",
    "real + rendered, augmented": "real, augmented",
}
"""What the rows beside the steps are compared with."""

GUESSED_SECONDS = 420.0
"""Core-seconds of a training before any was timed."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The detectors of one row: their study, and the runs by detector."""

    study: PlacedStudy
    runs: tuple[CellResult, ...]


Scores = Mapping[tuple[str, str], Trained]
"""By row and detector."""


@dataclass(frozen=True, eq=False)
class Sitting:
    """What all trainings of a dataset share."""

    name: str
    chosen: GapSet
    real: Halves
    cells: Path
    _studies: dict[tuple[str, str], PlacedStudy] = field(default_factory=dict, init=False)

    def plan(self, detector: str) -> PlacedPlan:
        """Of one detector."""
        return UtilityPlan(self.chosen.detectors[detector], seed=0, seeds=SEEDS, extra_seeds=0, flip=True)

    def study(self, row: str, detector: str, synthetic: Dataset) -> PlacedStudy:
        """Where the cells of a row lie; its data are written first."""
        key = (row, detector)
        if key not in self._studies:
            settings, real = self.chosen.detectors[detector], self.real
            made = placed_data(
                train=real.training,
                validation=real.validation,
                test=real.held,
                synthetic=synthetic,
                test_families=real.families,
                kind="objects",
                size=(settings.height, settings.width),
                channels=settings.channels,
            )
            folder = self.cells / "trainings" / study_digest(self.plan(detector), made.digest())
            if not (folder / "data" / "data.json").exists():
                made.save(folder / "data")
            self._studies[key] = PlacedStudy(made, folder)
        return self._studies[key]


def last_of_chain(made: Collection[str]) -> str:
    """The last step that is there of those that build on each other; of none, the last that stands beside them."""
    there = [step for step in STEPS if step in made]
    return ([step for step in there if step not in BESIDE] or there)[-1]


def estimated(sitting: Sitting, rows: Sequence[str], seeds: int, workers: int) -> str:
    """What training everything would take from nothing, by the median of the trainings that there are."""
    seconds = [result.seconds for folder in (sitting.cells / "trainings").glob("*") for result in committed(folder)]
    each = float(np.median(seconds)) if seconds else GUESSED_SECONDS
    count = len(rows) * seeds * len(sitting.chosen.detectors)
    known = f"measured on {len(seconds)}" if seconds else "guessed"
    return (
        f"{count} trainings at about {each:.0f} s ({known}): {count * each / 3600 / workers:.1f} h with {workers} "
        f"workers, {count * each / 3600 / 4:.1f} h with 4; {len(seconds)} are done"
    )


def trained(
    sitting: Sitting, made: Mapping[str, Dataset], *, seeds: int, workers: int, deadline: float
) -> dict[tuple[str, str], Trained]:
    """Every row with every detector, seed by seed, as far as time goes; what is whole is given back."""
    last = last_of_chain(made)
    rows: dict[str, tuple[Recipe, str]] = {step: (SYNTHETIC, step) for step in made}
    rows |= {row: (recipe, next(iter(made)) if recipe.share == 0 else last) for row, recipe in REFERENCES.items()}
    found = {}
    for detector in sitting.chosen.detectors:
        for row, (recipe, source) in rows.items():
            study = sitting.study(f"{row}/{source}", detector, made[source])
            runs = _runs(sitting, study, detector, recipe, seeds, workers, deadline)
            if runs is not None:
                found[row, detector] = Trained(study, runs)
    return found


def _runs(
    sitting: Sitting,
    study: PlacedStudy,
    detector: str,
    recipe: Recipe,
    seeds: int,
    workers: int,
    deadline: float,
) -> tuple[CellResult, ...] | None:
    plan, folder = sitting.plan(detector), study.cells
    digest = study_digest(plan, study.data.digest())
    wanted = [Cell(recipe, 0, seed) for seed in range(seeds)]
    done = {run.cell: run for run in committed(folder) if run.cell in wanted}
    while missing := [cell for cell in wanted if cell not in done]:
        if time.monotonic() > deadline:
            return None
        tasks = [RunPlacedCell(cell, digest, plan, folder / "data", folder) for cell in missing[:workers]]
        for _, result in LocalProcesses(workers).map(run_placed_cell_task, tasks):
            done[result.cell] = result
            print(f"  {detector} {result.cell.key} {result.validation_score:.3f}, {result.seconds:.0f} s", flush=True)
    return tuple(done[cell] for cell in wanted)


def print_scores(sitting: Sitting, scores: Scores, seeds: int) -> list[dict[str, object]]:
    """mAP@50 of every row and detector, with the paired difference from what it is compared with.

    That is, of a step, the step before; of real images, the last step of the chain; of both, real images alone.
    """
    print("| row | detector | mAP@50 | difference | from | two boxes on one thing, per image |")
    print("|---" * 6 + "|")
    found: list[dict[str, object]] = []
    steps = [row for row, _ in scores if row in STEPS]
    last = last_of_chain(steps) if steps else None
    for (row, detector), one in scores.items():
        judged = one.study.judged(one.runs)
        value = interval_of_mean(judged, subsets=1, seeds=seeds, rng=Stream(0).child("mean"))
        before = STEPS[row].after if row in STEPS else AGAINST.get(row, last)
        gain = None
        if before is not None and (before, detector) in scores:
            other = scores[before, detector]
            pair = _both(judged, other.study.judged(other.runs))
            gain = paired_difference(pair, subsets=1, seeds=seeds, rng=Stream(0).child("gain"))
        doubles = _doubles(one)
        told = "–" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})"
        print(
            f"| {sitting.name}, {row} | {detector} | {value.value:.3f} ({value.low:.3f} … {value.high:.3f}) | {told} | "
            f"{'–' if gain is None else before} | {doubles:.2f} |",
            flush=True,
        )
        found.append(
            {
                "row": row,
                "detector": detector,
                "map50": value.to_json(),
                "gain": None if gain is None else gain.to_json(),
                "from": None if gain is None else before,
                "doubles": doubles,
                "core_seconds": round(sum(run.seconds for run in one.runs)),
            }
        )
    return found


def _both(first: Judged, second: Judged) -> Judged:
    """The runs of two rows beside each other."""
    return replace(first, scores=lambda w: np.concatenate([first.scores(w), second.scores(w)], axis=1))


def _doubles(one: Trained) -> float:
    truth = one.study.data.instances("test")
    found = [confident(read_found(one.study.file(run))) for run in one.runs]
    return float(np.mean([double_finds(truth, each).mean() for each in found]))


def correlation_told(
    sitting: Sitting, made: Mapping[str, Dataset], told: Mapping[str, Told], scores: Scores, seeds: int
) -> dict[str, object]:
    """Image by image: distance to the rendered set beside overlap; and over steps: the score without training."""
    del seeds
    test = embed_dataset(RandomConvolution(), sitting.real.held, spec=SPEC)
    found: dict[str, object] = {}
    for detector in sitting.chosen.detectors:
        by_step = {step: scores[step, detector] for step in made if (step, detector) in scores}
        if not by_step:
            continue
        last = list(by_step)[-1] if last_of_chain(made) not in by_step else last_of_chain(made)
        overlap = quality(by_step[last])
        one = rank_correlation(
            synthetic_distances(test, told[last].features),
            overlap,
            sitting.real.families,
            name=f"{detector}, {last}",
            rng=Stream(0).child("samples", detector),
        )
        ranks = _against_score(by_step, told)
        interval = "" if one.interval is None else f" ({one.interval.low:.2f} … {one.interval.high:.2f})"
        value = "undefined" if one.value is None else f"{one.value:.2f}"
        print(f"{detector}: distance of a test image to {last} beside its overlap, rank correlation {value}{interval}")
        if ranks is not None:
            print(f"{detector}: score without training beside mAP@50 over {len(by_step)} steps: {ranks:.2f}")
        found[detector] = {"step": last, "samples": one.to_json(), "score_without_training": ranks}
    return found


def found_by(one: Trained) -> list[Instances]:
    """What the detector of the first seed is confident of, in each test image."""
    return confident(read_found(one.study.file(one.runs[0])))


def quality(one: Trained) -> NDArray[np.float64]:
    """float64 (N,): overlap with the objects of each test image, over seeds."""
    truth = one.study.data.instances("test")
    said = [object_quality(truth, confident(read_found(one.study.file(run)))) for run in one.runs]
    found: NDArray[np.float64] = np.mean(said, axis=0)
    return found


def _against_score(by_step: Mapping[str, Trained], told: Mapping[str, Told]) -> float | None:
    """Spearman's correlation over steps; −1 where a lower score without training always meant a better detector."""
    known = [(step, told[step].score) for step in by_step if told[step].score is not None]
    if len(known) < 4:
        return None
    values = [
        float(np.mean(by_step[step].study.judged(by_step[step].runs).scores(_all_families(by_step[step]))))
        for step, _ in known
    ]
    return spearman(np.array([score for _, score in known], dtype=np.float64), np.array(values))


def _all_families(one: Trained) -> NDArray[np.float64]:
    return np.ones((1, len(np.unique(one.study.data.test_families))))
