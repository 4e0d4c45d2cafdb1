"""Names of keypoints in COCO: kept where one list serves all pictures, else told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset, Sample
from twinset.formats import read, write

PERSON = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"]}
BALL = {"id": 2, "name": "ball"}
HERS = [3, 3, 2, 5, 5, 1, 0, 0, 0]


def folder(path: Path, *categories: dict[str, object], keypoints: list[float] = HERS) -> Path:
    """Three pictures: with a person and a ball, with a ball, with nothing."""
    (path / "images").mkdir(parents=True)
    (path / "annotations").mkdir()
    for number in range(3):
        Image.fromarray(np.full((40, 50, 3), number, dtype=np.uint8)).save(path / "images" / f"{number}.png")
    box = {"bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 50, "height": 40} for n in range(3)],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "keypoints": keypoints, **box},
            {"id": 2, "image_id": 0, "category_id": 2, **box},
            {"id": 3, "image_id": 1, "category_id": 2, **box},
        ],
        "categories": list(categories),
    }
    (path / "annotations" / "instances_all.json").write_text(json.dumps(document))
    return path


def names_of(dataset: Dataset) -> list[tuple[str, ...] | None]:
    found = [one.annotation.instances for one in dataset if one.annotation is not None]
    return [one.keypoint_names for one in found if one is not None]


def test_names_go_there_and_back(tmp_path: Path) -> None:
    dataset, report = read(folder(tmp_path / "in", PERSON, BALL))
    assert names_of(dataset) == [("nose", "left_eye", "right_eye"), None, None]
    assert not [text for text in report.warnings if "keypoints" in text]
    losses = write(dataset, tmp_path / "out", "coco").losses
    assert "names of keypoints" not in losses
    written = json.loads((tmp_path / "out" / "annotations" / "instances_all.json").read_text())
    assert written["categories"][0]["keypoints"] == PERSON["keypoints"]
    again, _ = read(tmp_path / "out")
    assert names_of(again) == names_of(dataset)
    assert again.digest() == dataset.digest()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["nose", "left_eye", "right_eye"], ["valve", "seam", "logo"]),
        (["nose", "nose", "ear"], None),
        (["nose", 3, "ear"], None),
        ("nose", None),
        (["nose", "left_eye", "right_eye"], {"a": 1}),
    ],
)
def test_names_that_one_list_cannot_hold_are_told(tmp_path: Path, first: object, second: object) -> None:
    ball = BALL if second is None else {**BALL, "keypoints": second}
    dataset, report = read(folder(tmp_path, {**PERSON, "keypoints": first}, ball))
    assert names_of(dataset) == [None] * 3
    assert any("names of keypoints differ" in text for text in report.warnings)


def test_numbers_are_no_names_and_other_counts_get_none(tmp_path: Path) -> None:
    dataset, report = read(folder(tmp_path / "a", {**PERSON, "keypoints": ["1", "2", "3"]}, BALL))
    assert names_of(dataset) == [None] * 3
    assert not [text for text in report.warnings if "keypoints" in text]
    dataset, _ = read(folder(tmp_path / "b", PERSON, BALL, keypoints=HERS[:6]))
    assert names_of(dataset) == [None] * 3


def pointed(id_: str, names: tuple[str, ...] | None) -> Sample:
    shown = Instances(
        size=(8, 8),
        class_ids=np.array([0]),
        boxes=np.array([[1, 1, 5, 5]], dtype=np.float32),
        keypoints=np.array([[[2, 2, 2], [3, 3, 1]]], dtype=np.float32),
        keypoint_names=names,
    )
    return Sample(id_, Annotation(instances=shown), image=np.zeros((8, 8, 3), dtype=np.uint8))


def test_pictures_of_one_file_that_name_differently_are_counted_as_a_loss(tmp_path: Path) -> None:
    samples = [pointed("a", ("x", "y")), pointed("b", ("x", "z")), pointed("c", None), pointed("d", ("x", "y"))]
    dataset = Dataset.of(samples, classes=("thing",)).with_splits(["train", "train", "train", "test"])
    written = write(dataset, tmp_path / "out", "coco")
    assert written.losses["names of keypoints"] == 2
    again, _ = read(tmp_path / "out")
    assert sorted(map(str, names_of(again))) == ["('x', 'y')", "None", "None", "None"]
