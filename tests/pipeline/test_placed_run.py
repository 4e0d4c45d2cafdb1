"""A run on images with objects, and on images with semantic maps, from a folder to its report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset import documents
from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DataError, RecipeError
from twinset.formats import read, write
from twinset.instances import Instances
from twinset.recipe import recipe_from_values

PARTS = {"train": 16, "validation": 8, "test": 12}
QUICK = {
    "minutes": 1,
    "count": 14,
    "seed": 5,
    "evaluate": {"embedder": {"use": "random"}, "utility": {"seeds": 1, "steps": 4, "size": [48, 48], "batch": 4}},
}


def scenes() -> Dataset:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    return dataset.take(np.concatenate([np.flatnonzero(splits == name)[:n] for name, n in PARTS.items()]))


def with_maps(dataset: Dataset) -> Dataset:
    """The same pictures with the class of every pixel instead of objects; class 0 is the paper."""
    samples = []
    for sample in dataset:
        assert sample.annotation is not None
        instances = sample.annotation.instances
        assert instances is not None
        classes = np.zeros(instances.size, dtype=np.int32)
        for mask, class_id in zip(instances.dense_masks(), instances.class_ids, strict=True):
            classes[mask] = class_id + 1
        annotation = Annotation(semantic=SemanticMap.of(classes))
        samples.append(Sample(sample.id, annotation, image=sample.pixels()))
    return Dataset.of(samples, classes=("paper", *dataset.classes), splits=dataset.splits)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("placed")
    write(scenes(), root / "coco", "coco")
    write(with_maps(scenes()), root / "masks", "masks")
    return {name: root / name for name in ("coco", "masks")}


@pytest.fixture(scope="module", params=["coco", "masks"])
def finished(
    request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> documents.RunDocument:
    out = tmp_path_factory.mktemp("runs") / str(request.param)
    return twinset.run({"data": str(folders[request.param]), **QUICK}, out=out, workers=2)


@pytest.mark.slow
def test_a_run_leaves_an_annotated_twin_and_says_what_it_is_worth(finished: documents.RunDocument) -> None:
    kind = "coco" if "coco" in finished.exports else "masks"
    twin, report = read(Path(finished.exports[kind]))
    assert len(twin) == finished.counts.accepted == 14
    assert not report.bad_files
    assert twin.task == ("instance-segmentation" if kind == "coco" else "semantic-segmentation")
    assert finished.utility_metric == ("mAP@50" if kind == "coco" else "mIoU")
    assert set(finished.utility) == {
        "real",
        "real+classical",
        "synthetic",
        "real+synthetic",
        "real+classical+synthetic",
    }
    assert all(sample.origin.method == "copypaste" and sample.origin.parents for sample in twin)


@pytest.mark.slow
def test_the_page_shows_what_is_marked_and_how_it_is_distributed(finished: documents.RunDocument) -> None:
    page = Path(finished.report).read_text()
    assert finished.utility_metric in page
    assert "with all that is marked in them" in page
    assert "pixels of the training images" in page
    assert finished.gate.passed or "record the training images that they show as their parents" in page
    if "coco" in finished.exports:
        assert "Bhattacharyya" in page
        metadata = json.loads((Path(finished.run) / "evaluation" / "metadata.json").read_text())
        assert metadata["before_is"] == "objects placed and sized by chance"
        assert "box_area" in metadata["measures"]


@pytest.mark.slow
def test_the_gate_reports_pasted_pixels_and_blocks_where_it_is_told_to(
    finished: documents.RunDocument, folders: dict[str, Path], tmp_path: Path
) -> None:
    assert finished.verdict.decision != "blocked_by_gate"
    if "masks" in finished.exports:
        return
    off = {"embedder": {"use": "random"}, "utility": "off", "metadata": False, "fidelity": False}
    recipe = {"data": str(folders["coco"]), **QUICK, "gate": {"copies": "block"}, "evaluate": off}
    blocked = twinset.run(recipe, out=tmp_path / "run", workers=1)
    assert blocked.verdict.decision == "blocked_by_gate"
    assert not blocked.exports
    assert blocked.digest == finished.digest  # one worker or two, whatever is measured


@pytest.mark.slow
def test_copies_by_a_second_generator_are_blocked_beside_pasted_pictures(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    real, _ = read(folders["coco"])
    write(real.take([row for row, split in enumerate(real.splits) if split == "train"]), tmp_path / "stolen", "coco")
    off = {"embedder": {"use": "random"}, "utility": "off", "metadata": False, "fidelity": False}
    thief = {"use": "folder", "path": str(tmp_path / "stolen"), "share": 0.3}
    recipe = {"data": str(folders["coco"]), **QUICK, "generate": [{"use": "copypaste"}, thief], "evaluate": off}
    found = twinset.run(recipe, out=tmp_path / "run", workers=1)
    assert found.verdict.decision == "blocked_by_gate"
    assert "of images without a recorded parent: " in found.verdict.sentence
    assert "that were made from a training image" not in found.verdict.sentence  # told, and nothing to withhold
    assert not found.exports
    reported = twinset.run({**recipe, "gate": {"copies": "report"}}, out=tmp_path / "reported", workers=1)
    assert reported.exports
    assert not reported.gate.passed
    assert not reported.gate.blocks
    assert not reported.gate.blocking


@pytest.mark.slow
def test_edits_of_images_that_have_parents_themselves_record_the_images_of_the_run(tmp_path: Path) -> None:
    dataset = scenes()
    scans = [
        Sample(s.id, s.annotation, Origin(parents=(f"scan-{n}",)), image=s.pixels()) for n, s in enumerate(dataset)
    ]
    write(Dataset.of(scans, classes=dataset.classes, splits=dataset.splits), tmp_path / "data", "parquet")
    off = {"embedder": {"use": "random"}, "utility": "off", "metadata": False, "fidelity": False}
    only = {"generate": [{"use": "copypaste", "share": 0.0}], "edit": [{"use": "mosaic"}], "evaluate": off}
    found = twinset.run({"data": str(tmp_path / "data"), **QUICK, **only}, out=tmp_path / "run", workers=1)
    twin, _ = read(Path(found.exports["coco"]))
    assert all(sample.origin.parents and set(sample.origin.parents) <= set(dataset.ids) for sample in twin)


@pytest.mark.slow
def test_verify_makes_pasted_images_again(finished: documents.RunDocument) -> None:
    found = twinset.verify(finished.run, samples=3)
    assert found.ok
    assert found.regenerated == 3


@pytest.mark.slow
def test_what_is_for_other_labels_is_refused_before_anything_is_made(folders: dict[str, Path], tmp_path: Path) -> None:
    data = str(folders["coco"])
    for part, settings in (
        ("generate", {"use": "diffusion"}),
        ("edit", {"use": "mixup"}),
        ("align", {"use": "agreement"}),
    ):
        with pytest.raises(RecipeError, match="expected something for task instance-segmentation"):
            twinset.run({"data": data, **QUICK, part: [settings]}, out=tmp_path / part)
    with pytest.raises(DataError, match="expected labels for task semantic-segmentation"):
        twinset.run({"data": data, **QUICK, "task": "semantic-segmentation"}, out=tmp_path / "task")
    with pytest.raises(RecipeError, match="count: expected a number"):
        twinset.run({"data": data, **QUICK, "count": {"0": 5}}, out=tmp_path / "count")


def test_images_of_which_nothing_is_said_are_refused(tmp_path: Path) -> None:
    dataset = scenes()
    silent = [Sample(s.id, None if n == 3 else s.annotation, image=s.pixels()) for n, s in enumerate(dataset)]
    write(Dataset.of(silent, classes=dataset.classes, splits=dataset.splits), tmp_path / "data", "parquet")
    with pytest.raises(DataError, match="1 images without"):
        twinset.run({"data": str(tmp_path / "data"), **QUICK}, out=tmp_path / "run")


def test_defaults_follow_the_task() -> None:
    recipe = recipe_from_values({"data": "builtin:digit-scenes"}).recipe
    placed, classified = recipe.for_task("detection"), recipe.for_task("classification")
    assert [part.use for part in placed.generators] == ["copypaste"]
    assert [part.use for part in classified.generators] == ["diffusion"]
    assert (placed.exports, recipe.for_task("semantic-segmentation").exports) == (("coco",), ("masks",))
    assert (placed.gate.copies, classified.gate.copies) == ("block-unrecorded", "block")
    assert (placed.align, len(classified.filters)) == ("off", 4)
    mine = recipe_from_values({"data": "builtin:digit-scenes", "generate": [{"use": "folder", "path": "x"}]}).recipe
    assert mine.for_task("detection").gate.copies == "block"


def test_edits_of_classes_are_to_hide_their_parents_whatever_is_made_beside() -> None:
    values = {"data": "x", "generate": [{"use": "render"}], "edit": [{"use": "classical"}]}
    recipe = recipe_from_values(values).recipe
    assert recipe.for_task("classification").gate.copies == "block"


@pytest.mark.parametrize(("backdrop", "gate"), [({}, "block-unrecorded"), ({"backdrop": "room"}, "block")])
def test_rendering_over_training_pictures_is_gated_as_pasting_is(backdrop: dict[str, object], gate: str) -> None:
    recipe = recipe_from_values({"data": "x", "generate": [{"use": "render", **backdrop}]}).recipe
    assert recipe.for_task("detection").gate.copies == gate


SHARED = os.environ.get("TWINSET_DATA")
needs_data = pytest.mark.skipif(SHARED is None, reason="set TWINSET_DATA to the shared real datasets")
MADE_ONLY = {"embedder": {"use": "random"}, "utility": "off", "metadata": False, "fidelity": False}


@needs_data
@pytest.mark.slow(seconds=20)
@pytest.mark.parametrize(
    ("name", "bad", "problem"), [("bccd", 2, "with an area"), ("aerial_cars", 3, "expected a box inside")]
)
def test_natural_oddities_are_refused_or_skipped_and_counted(name: str, bad: int, problem: str, tmp_path: Path) -> None:
    data = str(Path(str(SHARED)) / name)
    with pytest.raises(DataError, match=f"got {bad} of .* objects that do not"):
        twinset.run({"data": data, **QUICK}, out=tmp_path / "refused")
    pasted = [{"use": "copypaste", "most_cutouts": 10, "backgrounds": "procedural"}]
    recipe = {"data": data, "count": 2, "generate": pasted, "evaluate": MADE_ONLY, "on_bad_input": "skip"}
    found = twinset.run(recipe, out=tmp_path / "skipped")
    assert found.counts.accepted == 2
    told = json.loads((Path(found.run) / "evaluation" / "report.json").read_text())["datasets"][0]["problems"]
    assert sum(part["count"] for part in told) == bad
    assert any(problem in part["what"] for part in told)


@pytest.mark.parametrize(
    ("target", "where"),
    [({"lag_area": []}, "target.lag_area"), ({"log_area": [{"mean": 0, "std": 1, "weigt": 2}]}, "weigt")],
)
def test_a_wrong_key_inside_a_target_is_refused(target: dict[str, object], where: str) -> None:
    with pytest.raises(RecipeError, match=where):
        recipe_from_values({"data": "builtin:digit-scenes", "generate": [{"use": "copypaste", "target": target}]})


@pytest.mark.parametrize("shown", ["nothing", "difficult objects"])
def test_parts_that_show_nothing_are_refused_before_anything_is_trained(shown: str, tmp_path: Path) -> None:
    dataset = scenes()
    hard = Instances((96, 96), np.zeros(1, dtype=np.int64), np.array([[1, 1, 9, 9]]), difficult=np.ones(1, dtype=bool))
    samples = []
    for sample, split in zip(dataset, dataset.splits, strict=True):
        nothing = Annotation(instances=Instances.none((96, 96)) if shown == "nothing" else hard)
        samples.append(
            Sample(sample.id, nothing if split == "validation" else sample.annotation, image=sample.pixels())
        )
    write(Dataset.of(samples, classes=dataset.classes, splits=dataset.splits), tmp_path / "data", "parquet")
    with pytest.raises(DataError, match="expected something to find in the validation images"):
        twinset.run({"data": str(tmp_path / "data"), **QUICK}, out=tmp_path / "run")


def test_few_shots_of_annotated_images_are_counted_in_all() -> None:
    parts = scenes().split(rng=0, shots=5)
    assert len(parts.train) == 5
    assert not any("shots" in note for note in parts.notes)
