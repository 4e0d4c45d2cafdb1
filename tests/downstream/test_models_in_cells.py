"""What a cell can train beside our own networks: by which name, from which weights, judged by what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.downstream import placed_budget
from twinset.downstream.arms import Cell, Recipe, UtilityPlan
from twinset.downstream.cells import study_digest
from twinset.downstream.own_command import OwnTrainer
from twinset.downstream.placed_budget import FEWEST_STEPS, choose_placed_settings, seconds_per_step
from twinset.downstream.placed_cells import PlacedPlan, PlacedSettings, read_found, run_placed_cell
from twinset.downstream.placed_data import Kind, PlacedData, placed_data
from twinset.downstream.placed_inputs import StudyData, TrainingMasks
from twinset.downstream.placed_models import FITTING, MASKED, ONE_SIZE, check_weights, usable_weights
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.downstream.placed_settings import Weights
from twinset.errors import ChangedFileError, MissingModelError
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.models.detection import Scenes
from twinset.models.vision import scene_masks
from twinset.randomness import Stream
from twinset.recipe import ModelName

SIDE = 64
CELL = Cell(Recipe("real+classical+synthetic", "medium", 0.5), 0, 0)
SETTINGS = PlacedSettings(height=SIDE, width=SIDE, channels=3, steps=2, batch=2)


def squares(n: int, *, seed: int, kind: Kind = "objects") -> Dataset:
    """Bright or dark squares on grey, with masks."""
    rng = Stream(seed).numpy()
    samples = []
    for number in range(n):
        label, side = number % 2, int(rng.integers(16, 28))
        x, y = (int(v) for v in rng.integers(0, SIDE - side, 2))
        pixels = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
        pixels[y : y + side, x : x + side] = 255 * label
        inside = pixels[..., 0] != 128
        box = np.array([[x, y, x + side, y + side]])
        instances = Instances((SIDE, SIDE), np.array([label]), box, (Rle.of(inside),))
        semantic = SemanticMap.of(inside * (label + 1))
        said = Annotation(instances=instances) if kind == "objects" else Annotation(semantic=semantic)
        samples.append(Sample(f"{seed}-{number}", said, image=pixels))
    return Dataset.of(samples, classes=["dark", "bright"] if kind == "objects" else ["none", "dark", "bright"])


def study(kind: Kind = "objects") -> StudyData:
    names = {"train": 4, "validation": 2, "test": 2, "synthetic": 2}
    sets = {name: squares(n, seed=at, kind=kind) for at, (name, n) in enumerate(names.items())}
    placed = placed_data(**sets, test_families=np.arange(2), kind=kind, size=(SIDE, SIDE), channels=3)
    if kind == "pixels":
        return StudyData(placed)
    assert isinstance(placed.train, Scenes)
    assert isinstance(placed.synthetic, Scenes)
    masks = TrainingMasks(
        (SIDE, SIDE), scene_masks(sets["train"], placed.train), scene_masks(sets["synthetic"], placed.synthetic)
    )
    return StudyData(placed, masks)


def plan(**changes: object) -> PlacedPlan:
    return UtilityPlan(replace(SETTINGS, **changes), seed=1, flip=True)  # type: ignore[arg-type]


def test_settings_of_our_own_networks_are_told_as_they_always_were() -> None:
    assert SETTINGS.to_dict() == {
        "height": 64,
        "width": 64,
        "channels": 3,
        "steps": 2,
        "batch": 2,
        "network_width": 16,
        "stride": 8,
        "turn": False,
        "crop": None,
    }
    assert study_digest(plan(crop=(32, 48)), "data") == "60e8d6d0350e3a63"


def test_cells_of_other_models_weights_and_judgements_are_never_mixed() -> None:
    model = "fcos_resnet50_fpn"
    changes: list[dict[str, object]] = [
        {},
        {"model": model},
        {"model": "retinanet_resnet50_fpn"},
        {"model": model, "weights": Weights("a.safetensors", "1")},
        {"model": model, "weights": Weights("a.safetensors", "2")},
        {"model": model, "masks": True},
        {"trainer": OwnTrainer(("a",), ("",), 1.0)},
        {"trainer": OwnTrainer(("b",), ("",), 1.0)},
    ]
    assert len({study_digest(plan(**change), "data") for change in changes}) == len(changes)
    moved = plan(model=model, weights=Weights("elsewhere.safetensors", "1"))
    assert study_digest(moved, "data") == study_digest(plan(**changes[3]), "data")


def test_masks_are_part_of_what_a_study_is_about() -> None:
    whole = study()
    assert whole.masks is not None
    assert StudyData(whole.placed).digest() == whole.placed.digest() != whole.digest()
    train = (whole.masks.train[1], *whole.masks.train[1:])
    assert replace(whole, masks=replace(whole.masks, train=train)).digest() != whole.digest()


def test_masks_come_back_from_their_files(tmp_path: Path) -> None:
    masks = study().masks
    assert masks is not None
    masks = replace(masks, train=((None, *masks.train[0]), *masks.train[1:]))
    masks.save(tmp_path)
    assert TrainingMasks.load(tmp_path).digest() == masks.digest()
    chosen = masks.of_rows(np.array([2, 0]), np.array([1]))
    assert chosen == (masks.train[2], masks.train[0], masks.synthetic[1])


def test_every_model_of_the_recipe_fits_a_task_and_no_other_does() -> None:
    known = {name for names in FITTING.values() for name in names}
    assert known == set(get_args(ModelName))
    assert MASKED in FITTING["instance-segmentation"]
    assert MASKED not in FITTING["detection"]
    assert not set(FITTING["semantic-segmentation"]) & set(FITTING["detection"])


def trained(kind: Kind, settings: PlacedSettings, folder: Path) -> tuple[PlacedData, Path]:
    whole = study(kind)
    whole.save(folder / "data")
    found = found_path(folder, CELL.key, whole.placed)
    both: PlacedPlan = UtilityPlan(settings, seed=1, flip=True)
    result = run_placed_cell(CELL, whole.placed, plan=both, study="s", found=found, folder=folder / "data")
    judged = PlacedStudy(whole.placed, folder, settings.masks).judged([result])
    assert np.isfinite(judged.scores(np.ones((1, judged.families)))).all()
    return whole.placed, found


@pytest.mark.slow
def test_a_detector_of_torchvision_is_trained_in_a_cell(tmp_path: Path) -> None:
    settings = replace(SETTINGS, model="fasterrcnn_mobilenet_v3_large_320_fpn")
    data, found = trained("objects", settings, tmp_path)
    assert [one.size for one in read_found(found)] == [one.size for one in data.instances("test")]


def test_a_segmenter_of_torchvision_is_trained_in_a_cell(tmp_path: Path) -> None:
    trained("pixels", replace(SETTINGS, model="lraspp_mobilenet_v3_large"), tmp_path)


@pytest.mark.slow
def test_mask_rcnn_learns_masks_and_is_judged_by_them(tmp_path: Path) -> None:
    _, found = trained("objects", replace(SETTINGS, model=MASKED, masks=True, steps=1), tmp_path)
    assert all(one.has_masks for one in read_found(found) if len(one))
    assert PlacedStudy(study().placed, tmp_path, True).metric == "mask mAP@50"


def test_mask_rcnn_without_the_masks_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the folder of the study's data"):
        run_placed_cell(CELL, study().placed, plan=plan(model=MASKED), study="s", found=tmp_path / "x")


def test_weights_that_changed_under_a_study_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"1")
    settings = replace(SETTINGS, model="fcos_resnet50_fpn", weights=Weights.of(path))
    path.write_bytes(b"2")
    both: PlacedPlan = UtilityPlan(settings, seed=1)
    with pytest.raises(ChangedFileError, match="expected the weights that this study began with"):
        run_placed_cell(CELL, study().placed, plan=both, study="s", found=tmp_path / "x")
    with pytest.raises(MissingModelError, match="expected a file of weights"):
        Weights.of(tmp_path / "none")


@pytest.mark.parametrize("name", ["w.pth", "none.safetensors", "bad.safetensors"])
@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "deeplabv3_mobilenet_v3_large"])
def test_only_whole_safetensors_are_weights(name: str, model: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04 a pickle by another name")
    with pytest.raises(MissingModelError):
        check_weights(model, tmp_path / name)
    assert usable_weights(model, tmp_path / name) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "model"),
    [("objects", None), ("pixels", None), ("pixels", "lraspp_mobilenet_v3_large")],
)
def test_real_steps_are_timed(kind: Kind, model: str | None) -> None:
    small = replace(SETTINGS, height=48, width=48, model=model)
    assert 1e-4 < seconds_per_step(small, kind, n_classes=2) < 10


@pytest.mark.slow(seconds=20)
@pytest.mark.parametrize("model", ["fasterrcnn_mobilenet_v3_large_320_fpn", MASKED])
def test_real_steps_of_detectors_of_torchvision_are_timed(model: str) -> None:
    assert 1e-3 < seconds_per_step(replace(SETTINGS, model=model), "objects", n_classes=2) < 60


def at_speed(monkeypatch: pytest.MonkeyPatch, seconds_at_full: float) -> list[tuple[int, int]]:
    """Steps that take time by area; the sizes at which they were timed."""
    asked: list[tuple[int, int]] = []

    def probe(settings: PlacedSettings, kind: Kind, *, n_classes: int) -> float:
        asked.append((settings.height, settings.width))
        return seconds_at_full * settings.height * settings.width / 256**2

    monkeypatch.setattr(placed_budget, "seconds_per_step", probe)
    return asked


def large(n: int = 2) -> Dataset:
    samples = [
        Sample(
            str(i),
            Annotation(instances=Instances((256, 256), np.array([0]), np.array([[0, 0, 128, 128]]))),
            image=np.zeros((256, 256, 1), np.uint8),
        )
        for i in range(n)
    ]
    return Dataset.of(samples, classes=["a"])


def choose(seconds: float, **more: object) -> PlacedSettings:
    return choose_placed_settings(large(), "objects", seconds=seconds, workers=1, cells=1, **more)  # type: ignore[arg-type]


def test_a_budget_that_is_too_small_takes_the_smallest_size_and_the_fewest_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = at_speed(monkeypatch, 1.0)
    assert (choose(1000).height, choose(1000).steps) == (256, 750)
    del asked[:]
    least = choose(10)
    assert (least.height, least.steps) == (96, FEWEST_STEPS)
    # What could not fit even at half the time that its area suggests is not timed.
    assert asked == [(256, 256)]


def test_a_model_of_one_size_is_not_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    at_speed(monkeypatch, 1.0)
    assert (choose(10, model=ONE_SIZE).height, choose(10, model="fcos_resnet50_fpn").height) == (256, 96)


def test_what_is_trained_is_told_to_people() -> None:
    weights = Weights("/home/me/w.safetensors", "1")
    assert SETTINGS.network("U-Net") == "U-Net at 64 × 64, width 16"
    model = replace(SETTINGS, model="fcos_resnet50_fpn")
    assert model.network("U-Net") == "fcos_resnet50_fpn from scratch at 64 × 64"
    assert replace(model, weights=weights).network("U-Net") == "fcos_resnet50_fpn from w.safetensors at 64 × 64"
    own = replace(SETTINGS, trainer=OwnTrainer(("python3", "/home/me/my train.py", "-x"), ("", "1", ""), 1.0))
    assert own.network("U-Net") == "your own trainer, python3 'my train.py' -x"
