"""The distribution that a run's copy–paste follows: exposed images, numbers, or unlabelled deployment images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset import pipeline
from twinset.alignment.metadata import Mixture, Target, measure, target_from_numbers
from twinset.dataset import Dataset
from twinset.errors import DataError, RecipeError
from twinset.formats import read, write
from twinset.generators.copypaste import CopyPaste, Normal, PlacementTarget
from twinset.instances import Instances
from twinset.pipeline import deployment, targets
from twinset.pipeline.fitting import load_resolved
from twinset.pipeline.real import load_real
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.targets import commit_target, target_path
from twinset.randomness import Stream
from twinset.recipe import load_recipe, recipe_from_values

PARTS = {"train": 16, "validation": 8, "test": 12}
QUICK = {
    "minutes": 1,
    "count": 24,
    "shard_size": 8,
    "seed": 5,
    "threads": 1,
    "evaluate": {"fidelity": False, "metadata": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled scenes, and pictures of others without labels."""
    folder = tmp_path_factory.mktemp("targets")
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    chosen = dataset.take(np.concatenate([np.flatnonzero(splits == name)[:n] for name, n in PARTS.items()]))
    write(chosen, folder / "real", "coco")
    (folder / "deployment").mkdir()
    for row in np.flatnonzero(splits == "test")[-6:]:
        (folder / "deployment" / f"{row}.png").write_bytes(dataset[int(row)].encoded())
    return folder


def made(root: Path, out: Path, **changes: object) -> Dataset:
    document = twinset.run({"data": str(root / "real"), **QUICK, **changes}, out=out, workers=1, quiet=True)
    return read(Path(document.exports["coco"]))[0]


def inferring(root: Path) -> dict[str, object]:
    return {"target": {"path": str(root / "deployment"), "steps": 8, "size": [48, 48]}}


@pytest.mark.slow
def test_numbers_under_target_are_what_the_twin_measures(root: Path, tmp_path: Path) -> None:
    numbers = {"box_area": {"means": [0.01], "stds": [0.1]}, "count": {"means": [3], "stds": [0.01]}}
    twin = measure(made(root, tmp_path / "run", target={"numbers": numbers}), pixels=False)
    assert float(np.exp(twin.values("box_area").mean())) == pytest.approx(0.01, rel=0.15)
    assert float(twin.values("count").mean()) == pytest.approx(3, abs=0.4)


@pytest.mark.slow
def test_numbers_under_copypaste_in_a_yaml_recipe_are_followed(root: Path, tmp_path: Path) -> None:
    text = (
        f"data: {root / 'real'}\ncount: 16\nminutes: 1\nshard_size: 16\nthreads: 1\n"
        "evaluate: {fidelity: false, metadata: false, utility: off}\ngate: {copies: off}\ngenerate:\n"
        "  - use: copypaste\n    target:\n      log_area: [{mean: -4.6, std: 0.1}]\n"
        "      count: [{mean: 2, std: 0.01}]\n      per_class: {'2': {log_aspect: [{mean: -0.5, std: 0.1}]}}\n"
    )
    (tmp_path / "recipe.yaml").write_text(text)
    document = twinset.run(tmp_path / "recipe.yaml", out=tmp_path / "run", workers=1, quiet=True)
    twin = measure(read(Path(document.exports["coco"]))[0], pixels=False)
    assert float(twin.values("box_area").mean()) == pytest.approx(-4.6, abs=0.15)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": {}}, "expected either path or numbers"),
        (
            {"target": {"path": "x", "numbers": {"count": {"means": [3], "stds": [1]}}}},
            "expected either path or numbers",
        ),
        ({"target": {"numbers": {"box_area": {"means": [-1], "stds": [1]}}}}, "above 0 on a log scale"),
        ({"target": {"numbers": {"count": {"means": [3]}}}}, "expected means, stds"),
        ({"generate": [{"use": "copypaste", "target": {"count": [{"mean": 2, "std": -1}]}}]}, "std ≥ 0"),
        ({"target": {"path": "x"}, "match": {"measures": ["count"]}}, "measures under target alone"),
    ],
)
def test_a_wrong_target_is_one_line(root: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        recipe_from_values({"data": str(root / "real"), **changes})
    assert "\n" not in str(caught.value)


def test_a_wrong_target_in_a_file_names_its_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"data: {root / 'real'}\n\ntarget:\n  numbers:\n    area: {{means: [1]}}\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml:\d"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_target_needs_somebody_who_follows_it(root: Path) -> None:
    recipe = recipe_from_values({"data": "x", "generate": [{"use": "folder", "path": "y"}], **inferring(root)}).recipe
    with pytest.raises(RecipeError, match="expected copypaste under generate"):
        recipe.for_task("detection")
    with pytest.raises(RecipeError, match="expected task detection"):
        recipe.for_task("semantic-segmentation")


def test_the_paths_of_a_target_are_relative_to_the_recipe_and_decide_nothing(tmp_path: Path) -> None:
    written = recipe_from_values({"data": "x", "target": {"path": "there", "content": "a"}}, base=tmp_path).recipe
    assert written.target is not None
    assert written.target.path == str(tmp_path / "there")
    moved = recipe_from_values({"data": "x", "target": {"path": "elsewhere", "content": "a"}}, base=tmp_path).recipe
    other = recipe_from_values({"data": "x", "target": {"path": "there", "content": "b"}}, base=tmp_path).recipe
    assert written.digest() == moved.digest() != other.digest()
    shared = written.without_paths("data").target
    assert shared is not None
    assert shared.path == "there"


@pytest.fixture(scope="module")
def inferred(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("inferred") / "run"
    made(root, out, **inferring(root))
    return out


@pytest.mark.slow
def test_an_inferred_target_lies_in_the_run_with_its_error_and_in_the_report(inferred: Path) -> None:
    stored = json.loads((inferred / "models" / "target.json").read_text())
    assert set(stored["errors"]) == set(stored["mixtures"]) == {"box_area", "aspect_ratio", "centre_y", "count"}
    assert all(error["images"] > 0 for error in stored["errors"].values())
    assert "predictions on 6 unlabelled images" in stored["source"]
    page = (inferred / "report.html").read_text()
    assert "Target of box_area" in page
    assert "labelled validation images the detector" in page


@pytest.mark.slow
def test_the_labelled_test_images_do_not_shape_an_inferred_target(inferred: Path, tmp_path: Path) -> None:
    real, recipe = load_real(inferred), load_resolved(inferred)
    kept = [split != "test" for split in real.dataset.splits]
    without = replace(real, dataset=real.dataset.where(kept), families=real.families[kept])
    for name, each in (("with", real), ("without", without)):
        commit_target(recipe, each, tmp_path / name, run=Stream(1), device="cpu", listener=Quiet())
    assert target_path(tmp_path / "with").read_bytes() == target_path(tmp_path / "without").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["before the target is there", "after it"])
def test_a_killed_run_with_a_target_ends_in_the_same_dataset(
    killed: str, root: Path, tmp_path: Path, inferred: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*((targets, "write_json") if "before" in killed else (pipeline.running, "fit")), interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(root, tmp_path / "run", **inferring(root))
    document = pipeline.resume(tmp_path / "run", workers=1, device="cpu", listener=Quiet())
    assert document.digest == json.loads((inferred / "result.json").read_text())["digest"]


@pytest.mark.slow
def test_samples_of_a_run_with_a_target_can_be_made_again(inferred: Path) -> None:
    assert pipeline.verify(inferred, samples=3, device="cpu", listener=Quiet()).ok


def test_a_run_refuses_other_deployment_images_than_it_began_with(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "deployment").mkdir()
    for file in (root / "deployment").iterdir():
        (tmp_path / "deployment" / file.name).write_bytes(file.read_bytes())
    changes = {"target": {"path": str(tmp_path / "deployment"), "steps": 2, "size": [48, 48]}}
    with monkeypatch.context() as patched:
        patched.setattr(deployment, "fit_detector", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(root, tmp_path / "run", **changes)
    next((tmp_path / "deployment").iterdir()).unlink()
    with pytest.raises(DataError, match="expected the images that this recipe was resolved with"):
        pipeline.resume(tmp_path / "run", workers=1, device="cpu", listener=Quiet())


def test_a_folder_without_pictures_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder with pictures"):
        made(root, tmp_path / "run", target={"path": str(tmp_path / "none")})


def test_a_target_comes_back_from_json_as_it_was() -> None:
    numbers = {"box_area": {"means": [0.1, 0.3], "stds": [0.2, 0.1], "weights": [0.3, 0.7]}}
    target = target_from_numbers(numbers)
    again = targets._from_json(json.loads(json.dumps(targets._to_json(target))))
    assert again == target


def test_copypaste_is_aimed_at_what_its_own_target_leaves_open() -> None:
    mixtures = {"box_area": Mixture((0.25, 0.75), (-5.0, -3.0), (0.1, 0.2)), "count": Mixture((1.0,), (4.0,), (1.0,))}
    target = Target(mixtures, target_from_numbers({"count": {"means": [4], "stds": [1]}}).components, "object", "here")
    own = PlacementTarget(count=(Normal(9, 1),), class_shares={"a": 1.0})
    aimed = targets.aimed(CopyPaste(target=own), target)
    assert isinstance(aimed, CopyPaste)
    assert aimed.target is not None
    assert aimed.target.log_area == (Normal(-5.0, 0.1, 0.25), Normal(-3.0, 0.2, 0.75))
    assert aimed.target.count == (Normal(9, 1),)
    assert aimed.target.class_shares == {"a": 1.0}
    assert aimed.target.log_aspect == ()


def test_objects_keep_their_sides_and_relative_centres_in_a_frame_of_another_format() -> None:
    boxes = np.array([[0, 0, 10, 10], [30, 0, 40, 10]], dtype=np.float32)
    wide = deployment.reframed(Instances((10, 40), np.zeros(2, dtype=np.int64), boxes), 0.75)
    high = deployment.reframed(Instances((40, 10), np.zeros(2, dtype=np.int64), boxes[:, [1, 0, 3, 2]]), 0.5)
    assert wide.size == (30, 40)
    assert wide.boxes.tolist() == [[0, 10, 10, 20], [30, 10, 40, 20]]
    assert high.size == (40, 80)
    assert high.boxes.tolist() == [[35, 0, 45, 10], [35, 30, 45, 40]]
