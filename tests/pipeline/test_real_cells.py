"""Trainings on real images alone are taken over where only synthetic images changed, and only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.downstream import CellResult, UtilityData, UtilityPlan
from twinset.downstream.cells import committed
from twinset.downstream.placed_cells import run_placed_cell
from twinset.downstream.placed_data import Kind, placed_data
from twinset.downstream.placed_inputs import StudyData
from twinset.downstream.placed_settings import PlacedPlan, PlacedSettings
from twinset.executors.local import LocalProcesses
from twinset.formats import read, write
from twinset.instances import Instances
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import real_cells, redaction_words
from twinset.pipeline.placed import placed_study
from twinset.pipeline.real_cells import taken_over
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.utility_study import study
from twinset.randomness import Stream
from twinset.store import ShardStore

PLAN = UtilityPlan(
    ClassifierSettings(width=8, steps=4, batch=8), seed=5, seeds=2, extra_seeds=1, strengths=("medium",), shares=(0.5,)
)
ON_REAL = 2 * PLAN.seeds + PLAN.extra_seeds
PLACED: PlacedPlan = UtilityPlan(
    PlacedSettings(32, 32, 1, 3, 4, stride=4), seed=5, seeds=1, extra_seeds=0, strengths=("medium",), shares=(0.5,)
)
PLACED_ON_REAL = 2
SIDE = 32


class Notes(Quiet):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


def lights(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    images = Stream(seed).numpy().integers(200, size=(n, 8, 8, 1)).astype(np.uint8)
    images[labels == 1, 4:] += 50
    return images, labels


def classified(synthetic: int = 10) -> UtilityData:
    parts = [lights(n, seed) for seed, n in enumerate((12, 12, 20, 10))]
    images, targets = parts[3]
    return UtilityData(2, *parts[0], *parts[1], *parts[2], np.arange(20), images[:synthetic], targets[:synthetic])


def squares(n: int, *, seed: int, kind: Kind) -> Dataset:
    """Grey pictures with one bright or dark square each, its box, or the class of every pixel."""
    rng, samples = Stream(seed).numpy(), []
    for number in range(n):
        label, x, y = number % 2, *(int(v) for v in rng.integers(0, 16, 2))
        pixels = rng.integers(100, 140, (SIDE, SIDE, 1)).astype(np.uint8)
        pixels[y : y + 14, x : x + 14] = 255 * label
        classes = np.zeros((SIDE, SIDE), dtype=np.int32)
        classes[y : y + 14, x : x + 14] = label + 1
        boxes = Instances((SIDE, SIDE), np.array([label]), np.array([[x, y, x + 14, y + 14]]))
        said = Annotation(instances=boxes) if kind == "objects" else Annotation(semantic=SemanticMap.of(classes))
        samples.append(Sample(f"{seed}-{number}", said, image=pixels))
    return Dataset.of(samples, classes=["dark", "bright"] if kind == "objects" else ["none", "dark", "bright"])


def placed(kind: Kind, synthetic: int = 6) -> StudyData:
    train, validation, test = (squares(n, seed=n, kind=kind) for n in (8, 4, 6))
    made = squares(6, seed=9, kind=kind).take(range(synthetic))
    return StudyData(
        placed_data(
            train=train,
            validation=validation,
            test=test,
            synthetic=made,
            test_families=np.arange(6),
            kind=kind,
            size=(SIDE, SIDE),
            channels=1,
        )
    )


class Studies:
    """Studies of one run's folder, one after the other; ``sit`` gives what the last one committed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder / "evaluation" / "utility", Notes()

    def sit(self, data: UtilityData | StudyData, **changed: object) -> dict[str, CellResult]:
        plan, again = replace(PLAN, **{k: v for k, v in changed.items() if k != "again"}), bool(changed.get("again"))  # type: ignore[arg-type]
        before = {path: path.stat().st_mtime_ns for path in self.folder.glob("*/*.json")}
        told = {"folder": self.folder, "executor": LocalProcesses(1), "listener": self.notes, "again": again}
        if isinstance(data, UtilityData):
            study(data, plan, **told)  # type: ignore[arg-type]
        else:
            placed_study(data, PLACED, **told)  # type: ignore[arg-type]
        found = [path for path in self.folder.glob("*/*.json") if path.stat().st_mtime_ns != before.get(path)]
        (cells,) = {path.parent for path in found}
        return {result.cell.key: result for result in committed(cells)}


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    return Studies(tmp_path)


def plain(result: CellResult) -> CellResult:
    return replace(result, seconds=0.0, taken_from="", study="")


def taken(results: dict[str, CellResult]) -> set[str]:
    return {key for key, result in results.items() if result.taken_from}


@pytest.mark.slow
def test_without_some_synthetic_images_the_real_cells_are_taken_over_as_they_would_come_out_again(
    studies: Studies, tmp_path: Path
) -> None:
    first = studies.sit(classified())
    assert not taken(first)
    second = studies.sit(classified(4))
    on_real = {key for key, result in second.items() if result.cell.recipe.share == 0}
    assert taken(second) == on_real
    assert len(on_real) == ON_REAL
    (told,) = studies.notes.heard
    assert told.startswith(f"{ON_REAL} trainings without synthetic images are taken over")
    fresh = Studies(tmp_path / "fresh").sit(classified(4))
    assert {key: plain(each) for key, each in second.items()} == {key: plain(each) for key, each in fresh.items()}
    assert all(second[key].seconds == first[key].seconds for key in on_real)
    listed = taken_over(tmp_path)
    assert len(listed) == ON_REAL
    for now, before in listed.items():
        assert plain(CellResult.from_json(json.loads((tmp_path / now).read_text()))) == plain(
            CellResult.from_json(json.loads((tmp_path / before).read_text()))
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["objects", "pixels"])
def test_of_detectors_and_segmenters_too(kind: Kind, studies: Studies, tmp_path: Path) -> None:
    studies.sit(placed(kind))
    data = placed(kind, 4)
    second = studies.sit(data)
    assert len(taken(second)) == PLACED_ON_REAL
    assert {second[key].cell.recipe.share for key in taken(second)} == {0.0}
    for key in taken(second):
        again = run_placed_cell(second[key].cell, data.placed, plan=PLACED, study="again", found=tmp_path / key)
        assert plain(replace(again, real_study=second[key].real_study)) == plain(second[key])


def _other_training(data: UtilityData) -> UtilityData:
    return replace(data, train_labels=1 - data.train_labels)


def _other_test(data: UtilityData) -> UtilityData:
    return replace(data, test_images=255 - data.test_images)


@pytest.mark.slow
def test_another_plan_seed_training_set_or_version_takes_nothing_over(
    studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    few: dict[str, object] = {"seeds": 1, "extra_seeds": 0}
    studies.sit(classified(), **few)
    assert not taken(studies.sit(classified(4), **few, seed=6))
    assert not taken(studies.sit(classified(4), **few, settings=replace(PLAN.settings, steps=5)))
    assert not taken(studies.sit(_other_training(classified(4)), **few))
    assert not taken(studies.sit(_other_test(classified(4)), **few))
    with monkeypatch.context() as patch:
        patch.setattr(real_cells, "computed_by", lambda: {"torch": "another"})
        assert not taken(studies.sit(classified(4), **few))
    assert studies.notes.heard == []
    assert taken(studies.sit(classified(6), **few))


@pytest.mark.slow
def test_what_an_evaluation_trains_again_is_trained_and_older_results_vouch_for_nothing(studies: Studies) -> None:
    studies.sit(classified())
    assert not taken(studies.sit(classified(4), again=True))
    for path in studies.folder.glob("*/*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "real_study": ""}))
    assert not taken(studies.sit(classified(6)))


@pytest.mark.slow
def test_what_is_damaged_is_trained_again(studies: Studies) -> None:
    first = studies.sit(placed("objects"))
    one, two = sorted(key for key, result in first.items() if result.cell.recipe.share == 0)[:2]
    (cells,) = studies.folder.iterdir()
    (cells / f"{one}.parquet").write_bytes(b"damaged")
    (cells / f"{two}.json").write_text("{")
    second = studies.sit(placed("objects", 4))
    assert not taken(second)
    assert plain(second[one]) == plain(first[one])


@pytest.mark.slow
def test_a_redaction_trains_only_what_synthetic_images_have_a_part_in(tmp_path: Path) -> None:
    digits, _ = read("builtin:digits")
    write(digits.take(np.flatnonzero(digits.class_ids < 2)[:160]), tmp_path / "real", "imagefolder")
    recipe = {
        "data": str(tmp_path / "real"),
        "split": {"train": 0.4, "validation": 0.3, "test": 0.3},
        "generate": [],
        "edit": [{"use": "classical"}],
        "count": 40,
        "align": "off",
        "gate": {"copies": "off"},
        "evaluate": {
            "fidelity": False,
            "metadata": False,
            "explain": False,
            "utility": {"seeds": 1, "steps": 3, "width": 8},
        },
    }
    folder = Path(twinset.run(recipe, out=tmp_path / "run", workers=1, quiet=True).run)
    asked = ShardStore(folder).accepted(["0", "1"]).ids[:3]
    answer = twinset.redact(folder, ids=asked, workers=1, quiet=True)
    results = [json.loads(path.read_text()) for path in (folder / "evaluation" / "utility").glob("*/*.json")]
    on_real = [one for one in results if one["cell"]["recipe"]["share"] == 0 and not one["taken_from"]]
    assert answer.taken_over == len(on_real) > 0
    assert len(on_real) == len([one for one in results if one["taken_from"]])
    assert f"{len(on_real)} trainings without synthetic images taken over" in redaction_words.redact(answer)
    listed = json.loads((folder / "manifest.json").read_text())
    assert listed["taken_over"] == taken_over(folder)
    assert set(listed["taken_over"]) | set(listed["taken_over"].values()) <= set(listed["files"])
    assert twinset.verify(folder, samples=0, quiet=True).ok
