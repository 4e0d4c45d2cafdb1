"""The plan says what there is, in images and objects, and refuses what would fail or be lost at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import twinset
from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import TASKS, Dataset, Sample, Task
from twinset.documents import PlanDocument
from twinset.errors import RecipeError, TwinsetError
from twinset.formats import FORMATS, write
from twinset.generators.diffusion import Diffusion
from twinset.pipeline import dry_run, words
from twinset.pipeline.reporting import Quiet
from twinset.recipe import recipe_from_values
from twinset.recipe.model import LABELS_IN

QUICK = {"utility": {"seeds": 1, "steps": 5}, "fidelity": False}


def plan_of(**values: object) -> PlanDocument:
    written = recipe_from_values({"data": "builtin:digit-scenes", "count": 8, "evaluate": QUICK, **values})
    return dry_run(written, workers=1, device="cpu", listener=Quiet())


@pytest.fixture(scope="module")
def plan() -> PlanDocument:
    return plan_of()


@pytest.mark.slow
def test_a_plan_counts_images_and_objects(plan: PlanDocument) -> None:
    real = twinset.load("builtin:digit-scenes")
    lines = words.plan(plan).splitlines()
    for line, (name, split) in zip(
        lines[1:4], {"training": "train", "validation": "validation", "test": "test"}.items(), strict=True
    ):
        part = real.where([one == split for one in real.splits])
        objects = len(part.object_boxes())
        assert len(part) < objects
        assert line.split("(")[0].split() == f"{name} {len(part)} images with {objects} objects".split()
    assert lines[4].split() == ["to", "make", "8", "images"]


@pytest.mark.slow
def test_images_of_classes_and_of_maps_are_counted_as_such(plan: PlanDocument) -> None:
    def training(unit: str, images: int, counts: dict[str, int]) -> str:
        one = plan.model_copy(update={"unit": unit, "images": {"training": images}, "training": counts})
        return words.plan(one).splitlines()[1].removeprefix("  training    ")

    assert training("images", 12, {"cat": 7, "dog": 5}) == "12 images (cat 7, dog 5)"
    assert training("objects", 1, {"cat": 1}) == "1 image with 1 object (cat 1)"
    assert training("images that show it", 9, {"sky": 9, "car": 2}) == "9 images (images that show it: sky 9, car 2)"


def test_seeds_beyond_those_asked_for_are_announced(plan: PlanDocument) -> None:
    assert any(
        "is run with 1 seed; the best one with synthetic images and" in n and "compares, with 3 seeds" in n
        for n in plan.notes
    )


def test_classes_without_anything_share_a_line() -> None:
    from twinset.pipeline.checking import _nothing_of

    assert _nothing_of({"a": 1}, "test") == ""
    assert _nothing_of({"a": 0, "b": 2}, "test") == "class 'a': nothing in the test part"
    many = _nothing_of({str(n): 0 for n in range(30)}, "train")
    assert many.startswith("classes '0', '1'")
    assert many.endswith("and 22 more: nothing in the train part")


@pytest.mark.parametrize("name", ["imagefolder", "csv"])
def test_an_export_that_would_lose_all_labels_is_refused_in_the_plan(name: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"export.0: expected a format .* instance-segmentation; got '{name}'"
    ) as caught:
        plan_of(export=[name])
    assert caught.value.exit_code == 2
    assert "coco" in caught.value.hint


@pytest.mark.slow
def test_an_export_that_loses_some_is_noted() -> None:
    notes = plan_of(export=["kitti", "coco"]).notes
    assert [n for n in notes if n.startswith("export")] == [
        "export kitti: no place there for 176 masks (counted in the training images)"
    ]


def labelled(task: Task) -> Dataset:
    """Two scenes with the labels of a task alone."""
    scenes = twinset.load("builtin:digit-scenes").take(range(2))

    def one(sample: Sample) -> Sample:
        assert sample.annotation is not None
        instances = sample.annotation.instances
        assert instances is not None
        annotations: dict[Task, Annotation] = {
            "classification": Annotation(class_id=1),
            "detection": Annotation(instances=replace(instances, masks=None)),
            "instance-segmentation": Annotation(instances=instances),
            "semantic-segmentation": Annotation(semantic=SemanticMap.of(instances.dense_masks().any(0).astype(int))),
        }
        return replace(sample, annotation=annotations[task])

    return Dataset.of([one(sample) for sample in scenes], classes=scenes.classes)


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_exports_agrees_with_what_formats_lose(task: Task, tmp_path: Path) -> None:
    whole = {
        "classification": {"image classes"},
        "detection": {"objects"},
        "instance-segmentation": {"objects"},
        "semantic-segmentation": {"semantic maps", "images without a mask"},
    }
    dataset = labelled(task)
    for name in FORMATS:
        try:
            lost = bool(set(write(dataset, tmp_path / name, name).losses) & whole[task])
        except TwinsetError:
            lost = True
        assert (task in LABELS_IN[name]) == (not lost), (name, task)


def test_diffusion_on_boxes_names_the_reason_and_what_to_use() -> None:
    with pytest.raises(RecipeError, match="one class per image, no boxes or masks") as caught:
        plan_of(generate=[{"use": "diffusion"}])
    assert caught.value.exit_code == 2
    assert caught.value.hint == "use render or copypaste or folder"
    with pytest.raises(ValueError, match=r"one class each.*got images for instance-segmentation; use CopyPaste"):
        Diffusion().fit(labelled("instance-segmentation"), rng=0)
