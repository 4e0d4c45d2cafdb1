"""What a recipe may train to measure usefulness in detection and segmentation, and when it is told that it may not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.dataset import Dataset
from twinset.downstream import placed_budget
from twinset.errors import MissingModelError, RecipeError, UsageError
from twinset.formats import read, write
from twinset.pipeline import checking, placed
from twinset.pipeline.placed_choice import MINUTES_VARIABLE, check_fits, check_part, judges_masks, trainer_of
from twinset.pipeline.reporting import Quiet
from twinset.recipe import UtilityPart, recipe_from_values

PARTS = {"train": 12, "validation": 6, "test": 8}
DETECTOR = "fasterrcnn_mobilenet_v3_large_320_fpn"
TRAINER = """
import json, sys
from pathlib import Path
Path(__file__).with_name("ran").touch()
request = json.loads(Path(sys.argv[-1]).read_text())
assert request["task"] == "detection" and request["threads"] == 1
coco = json.loads(Path(request["annotations"]).read_text())
one = coco["annotations"][0]
x, y, w, h = one["bbox"]
found = [
    {"image_id": each["id"], "class": one["category_id"], "box": [x, y, x + w, y + h], "score": 0.5}
    for each in request["validation"] + request["test"]
]
Path(request["response"]).write_text(json.dumps({"schema": "twinset/trainer-response/1", "detections": found}))
"""


def scenes() -> Dataset:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    return dataset.take(np.concatenate([np.flatnonzero(splits == name)[:n] for name, n in PARTS.items()]))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placed") / "coco"
    write(scenes(), folder, "coco")
    return folder


def recipe(data: Path | str, **utility: object) -> dict[str, object]:
    return {
        "data": str(data),
        "minutes": 1,
        "count": 8,
        "seed": 5,
        "evaluate": {"fidelity": False, "metadata": False, "utility": {"seeds": 1, "batch": 4, **utility}},
    }


def part(**values: object) -> UtilityPart:
    return UtilityPart.model_validate(values)


@pytest.mark.parametrize("name", ["lost.safetensors", "pickled.pth", "renamed.safetensors"])
def test_weights_that_are_no_use_stop_a_run_before_it_looks_at_the_data(name: str, tmp_path: Path) -> None:
    (tmp_path / "pickled.pth").write_bytes(b"\x80\x04.")
    (tmp_path / "renamed.safetensors").write_bytes(b"\x80\x04 a pickle by another name")
    (tmp_path / "data").mkdir()
    started = time.perf_counter()
    with pytest.raises(MissingModelError, match=name):
        twinset.run(recipe(tmp_path / "data", model=DETECTOR, weights=str(tmp_path / name)), out=tmp_path / "run")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("task", "model", "fitting"),
    [
        ("detection", "unet", "dense or fasterrcnn"),
        ("detection", "maskrcnn_resnet50_fpn", "dense or fasterrcnn"),
        ("semantic-segmentation", "dense", "unet or lraspp_mobilenet_v3_large or deeplabv3_mobilenet_v3_large"),
        ("classification", "dense", "none in task classification"),
    ],
)
def test_a_model_of_another_task_is_refused_with_those_that_fit(task: str, model: str, fitting: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_fits(part(model=model), task)  # type: ignore[arg-type]
    assert f"evaluate.utility.model: expected {'auto, ' if task != 'classification' else ''}{fitting}" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    check_fits(part(), task)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_refuses_the_model_as_soon_as_it_knows_the_task(real: Path, tmp_path: Path) -> None:
    written = recipe(real, model="deeplabv3_mobilenet_v3_large")
    with pytest.raises(RecipeError, match="in task instance-segmentation; got 'deeplabv3_mobilenet_v3_large'"):
        twinset.run(written, out=tmp_path / "run")
    assert not (tmp_path / "run" / "resolved.yaml").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="in task detection; got 'deeplabv3_mobilenet_v3_large'"):
        twinset.run({**written, "data": str(tmp_path / "empty"), "task": "detection"}, out=tmp_path / "other")
    with pytest.raises(RecipeError, match="in task instance-segmentation"):
        checking.dry_run(recipe_from_values(written), workers=1, device="cpu", listener=Quiet())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": "dense", "weights": "w.safetensors"}, "weights: expected none with our own networks"),
        ({"weights": "w.safetensors"}, "set model to one of fasterrcnn_mobilenet_v3_large_320_fpn, "),
        ({"model": DETECTOR, "width": 32}, "width: expected auto with fasterrcnn"),
        ({"command": ["python3"], "model": "dense"}, "model: expected nothing beside a command; got 'dense'"),
        ({"command": ["python3"], "steps": 5}, "steps: expected nothing beside a command; got 5"),
        ({"command": ["python3"], "size": [64, 64]}, "size: expected nothing beside a command"),
        ({"command": []}, "command: expected a command"),
        ({"command": ["no-such-program"]}, "command: expected a command that can be run; got 'no-such-program'"),
        ({"command": ["python3", "lost.py"]}, "command: expected a script; got 'lost.py'"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        check_part(part(**values))


def test_a_command_may_take_as_long_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def minutes() -> float:
        trainer = trainer_of(part(command=["python3"]))
        assert trainer is not None
        return trainer.minutes

    assert minutes() == 60
    monkeypatch.setenv(MINUTES_VARIABLE, "2.5")
    assert minutes() == 2.5
    for bad in ("soon", "nan", "inf", "0", "-1"):
        monkeypatch.setenv(MINUTES_VARIABLE, bad)
        with pytest.raises(UsageError, match="minutes"):
            minutes()


def test_masks_are_judged_only_where_what_is_trained_finds_them() -> None:
    judged = {
        (task, model, command)
        for task in ("detection", "instance-segmentation", "semantic-segmentation")
        for model, command in (("auto", None), ("maskrcnn_resnet50_fpn", None), ("auto", ("x",)))
        if judges_masks(part(model=model, command=command), task)  # type: ignore[arg-type]
    }
    masked = "instance-segmentation"
    assert judged == {(masked, "maskrcnn_resnet50_fpn", None), (masked, "auto", ("x",))}


def planned(written: dict[str, object]) -> twinset.documents.PlanDocument:
    return checking.dry_run(recipe_from_values(written), workers=1, device="cpu", listener=Quiet())


def test_a_plan_never_runs_the_command(real: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINER)
    plan = planned(recipe(real, command=[sys.executable, str(tmp_path / "train.py")]))
    assert plan.seconds["utility"] == 0
    assert not (tmp_path / "ran").exists()
    assert "your command is run 11 times" in placed.plan_notes(part(seeds=1, command=["x"]))[0]


def test_a_plan_with_missing_weights_says_so_and_is_made(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_budget, "seconds_per_step", lambda *_, **__: 0.001)
    plan = planned(recipe(real, model=DETECTOR, weights=str(tmp_path / "lost.safetensors")))
    assert len(plan.missing) == 1
    assert "lost.safetensors" in plan.missing[0]


def test_a_plan_says_when_a_model_is_too_slow_for_the_time(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(seconds: float) -> list[str]:
        monkeypatch.setattr(placed_budget, "seconds_per_step", lambda *_, **__: seconds)
        plan = planned(recipe(real, model=DETECTOR))
        utility = plan.recipe["evaluate"]["utility"]  # type: ignore[index]
        assert utility["steps"] >= placed_budget.FEWEST_STEPS
        assert utility["width"] == "auto"
        assert utility["model"] == DETECTOR
        return [note for note in plan.notes if note.startswith("the whole run takes longer than minutes")]

    assert notes(2.0)
    assert not notes(0.001)


def test_our_own_network_is_named_in_a_resolved_recipe(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed_budget, "seconds_per_step", lambda *_, **__: 0.001)
    plan = planned(recipe(real, steps=5, size=[48, 48]))
    utility = plan.recipe["evaluate"]["utility"]  # type: ignore[index]
    assert (utility["model"], utility["width"], utility["steps"], utility["size"]) == ("dense", 16, 5, [48, 48])


@pytest.mark.slow
def test_a_run_with_a_trainer_of_ones_own_ends_in_a_verdict(real: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINER)
    written = {**recipe(real, command=[sys.executable, str(tmp_path / "train.py")]), "task": "detection"}
    document = twinset.run(written, out=tmp_path / "run", workers=2)
    assert (tmp_path / "ran").exists()
    assert document.utility_metric == "mAP@50"
    assert len(document.utility) == 5
    assert twinset.verify(document.run, samples=1).ok
    logs = list((tmp_path / "run" / "evaluation" / "utility").rglob("log.txt"))
    assert len(logs) == 11
    (tmp_path / "ran").unlink()
    again = twinset.run(written, out=tmp_path / "run", workers=2)
    assert again.utility == document.utility
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow(seconds=30)
def test_a_run_that_trains_a_detector_of_torchvision(real: Path, tmp_path: Path) -> None:
    written = {**recipe(real, model=DETECTOR, steps=1, size=[48, 48], batch=2), "task": "detection"}
    document = twinset.run(written, out=tmp_path / "run", workers=2)
    assert len(document.utility) == 5
    assert (document.counts.accepted, document.utility_metric) == (8, "mAP@50")
