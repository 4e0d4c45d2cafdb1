"""A study over several sittings: what earlier ones left is believed while it is whole, and trainers do not mix."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.downstream import Utility
from twinset.downstream.arms import UtilityPlan
from twinset.downstream.own_command import OwnTrainer
from twinset.downstream.placed_data import placed_data
from twinset.downstream.placed_inputs import Originals, StudyData
from twinset.downstream.placed_settings import PlacedPlan, PlacedSettings
from twinset.errors import ChangedFileError, RunFolderError
from twinset.executors.local import LocalProcesses
from twinset.instances import Instances
from twinset.pipeline.placed import placed_study
from twinset.pipeline.reporting import Quiet

TRAINER = """
import json, sys
from pathlib import Path
with Path(__file__).with_name("runs.txt").open("a") as runs:
    runs.write("x")
request = json.loads(Path(sys.argv[-1]).read_text())
found = [
    {"image_id": each["id"], "class": 0, "box": [4, 4, 12, 12], "score": 0.5}
    for each in request["validation"] + request["test"]
]
Path(request["response"]).write_text(json.dumps({"schema": "twinset/trainer-response/1", "detections": found}))
"""
CELLS = 4


class Notes(Quiet):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


class Sittings:
    """A study of four trainings that may be sat through again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.script, self.notes = folder, folder / "train.py", Notes()
        self.script.write_text(TRAINER)
        sets = [boxes(n, seed) for seed, n in enumerate((4, 2, 6, 2))]
        names = ("train", "validation", "test", "synthetic")
        placed = placed_data(
            **dict(zip(names, sets, strict=True)), test_families=np.arange(6), kind="objects", size=(16, 16), channels=1
        )
        self.data = StudyData(placed, originals=Originals(*sets))

    def plan(self) -> PlacedPlan:
        trainer = OwnTrainer.of([sys.executable, str(self.script)], minutes=1)
        settings = PlacedSettings(16, 16, 1, 1, trainer=trainer)
        return UtilityPlan(settings, seed=0, seeds=2, strengths=("medium",), synthetic=False)

    def sit(self, plan: PlacedPlan | None = None, *, again: bool = False) -> Utility:
        folder, executor = self.folder / "utility", LocalProcesses(1)
        plan = plan or self.plan()
        return placed_study(self.data, plan, folder=folder, executor=executor, listener=self.notes, again=again)[0]

    @property
    def trained(self) -> int:
        path = self.folder / "runs.txt"
        return len(path.read_text()) if path.exists() else 0

    def files(self, suffix: str) -> list[Path]:
        return sorted((self.folder / "utility").glob(f"*/*.{suffix}"))


def boxes(n: int, seed: int) -> Dataset:
    samples = []
    for number in range(n):
        pixels = np.full((16, 16, 1), 10 * number + seed, dtype=np.uint8)
        said = Annotation(instances=Instances((16, 16), np.zeros(1, dtype=np.int64), np.array([[4, 4, 12, 12]])))
        samples.append(Sample(f"{seed}-{number}", said, image=pixels))
    return Dataset.of(samples, classes=["thing"])


@pytest.fixture
def sittings(tmp_path: Path) -> Sittings:
    return Sittings(tmp_path)


def test_what_is_done_is_not_done_again(sittings: Sittings) -> None:
    first = sittings.sit()
    assert first.arms["real"].mean == 1.0
    assert sittings.trained == CELLS
    assert sittings.sit().to_json() == first.to_json()
    assert sittings.trained == CELLS
    assert sittings.notes.heard == []


@pytest.mark.parametrize("damage", ["other content", "gone"])
def test_damaged_detections_stop_a_study_before_anything_is_trained(damage: str, sittings: Sittings) -> None:
    first = sittings.sit()
    file = sittings.files("parquet")[1]
    sittings.files("json")[0].unlink()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match="expected what this training found") as caught:
        sittings.sit()
    assert str(file) in str(caught.value)
    assert sittings.trained == CELLS
    # As the hint says.
    assert file.with_suffix(".json").name in str(caught.value.hint)
    file.with_suffix(".json").unlink()
    assert sittings.sit().to_json() == first.to_json()
    assert sittings.trained == CELLS + 2


def test_a_training_that_is_made_anew_and_fails_leaves_no_result_that_vouches_for_it(sittings: Sittings) -> None:
    sittings.sit()
    plan = sittings.plan()
    sittings.script.write_text("raise SystemExit(1)")
    with pytest.raises(ChangedFileError):
        sittings.sit(plan, again=True)
    assert len(sittings.files("json")) == CELLS - 1


@pytest.mark.slow
def test_another_script_begins_a_study_of_its_own_and_says_so(sittings: Sittings) -> None:
    sittings.sit()
    sittings.script.write_text(TRAINER + "# better")
    sittings.sit()
    assert sittings.trained == 2 * CELLS
    assert len({path.parent for path in sittings.files("json")}) == 2
    (told,) = sittings.notes.heard
    assert told.startswith(f"{CELLS} trainings in ")
    assert "do not count" in told
    sittings.sit()
    assert len(sittings.notes.heard) == 1
