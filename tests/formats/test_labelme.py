"""LabelMe read and written."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import HEIGHT, SIZE, WIDTH, back, boxes_only, dataset_of, instances_in, masked, pixels, whole

from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset
from twinset.formats import ReadReport, labelme, read, write
from twinset.formats.folder import Folder
from twinset.images import encode_png
from twinset.masks import Polygons, Rle

Put = Callable[..., Path]
PICTURE = encode_png(pixels(0))


def shape(label: object, points: object, kind: str | None = "polygon", **more: object) -> dict[str, object]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def document(*shapes: object, **more: object) -> dict[str, object]:
    base = {"version": "5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    return {**base, "imageHeight": HEIGHT, "imageWidth": WIDTH, **more}


def one(put: Put, root: Path, *shapes: object, **more: object) -> Path:
    put(root / "a.png", PICTURE)
    put(root / "a.json", json.dumps(document(*shapes, **more)).encode())
    return root


def loaded(path: Path) -> tuple[Dataset, ReadReport]:
    return read(path, on_bad_input="report")


TRIANGLE = [[1, 1], [9, 1], [9, 8]]


def test_polygons_rectangles_and_circles_are_objects(put: Put, tmp_path: Path) -> None:
    shapes = (
        shape("cat", TRIANGLE),
        shape("dog", [[9, 8], [2.5, 3]], "rectangle"),
        shape("cat", [[10, 10], [10, 14]], "circle"),
    )
    dataset, report = loaded(one(put, tmp_path, *shapes))
    found = instances_in(dataset)
    assert (report.format, report.bad_files, dataset.classes) == ("labelme", (), ("cat", "dog"))
    assert found.class_ids.tolist() == [0, 1, 0]
    assert found.boxes[:2].tolist() == [[1, 1, 9, 8], [2.5, 3, 9, 8]]
    assert np.abs(found.boxes[2] - [6, 6, 14, 14]).max() < 1e-5
    assert found.masks is not None
    assert found.masks[0] == Polygons(*SIZE, ((1, 1, 9, 1, 9, 8),))
    assert found.masks[1] is None
    circle = found.masks[2]
    assert circle is not None
    assert abs(circle.area - math.pi * 16) < 4


def test_shapes_of_one_label_and_group_are_one_object(put: Put, tmp_path: Path) -> None:
    shapes = (
        shape("cat", TRIANGLE, group_id=1),
        shape("dog", TRIANGLE, group_id=1),
        shape("cat", [[20, 10], [22, 12]], "rectangle", group_id=1),
        shape("cat", TRIANGLE, group_id=2),
        shape("cat", TRIANGLE),
    )
    found = instances_in(loaded(one(put, tmp_path, *shapes))[0])
    assert found.class_ids.tolist() == [0, 1, 0, 0]
    assert found.masks is not None
    assert found.masks[0] == Polygons(*SIZE, ((1, 1, 9, 1, 9, 8), (20, 10, 22, 10, 22, 12, 20, 12)))
    assert found.boxes[0].tolist() == [1, 1, 22, 12]


def test_flags_attributes_and_descriptions_are_attributes(put: Put, tmp_path: Path) -> None:
    rich = shape("cat", TRIANGLE, flags={"wet": True, "crowd": True, "dry": False}, description="old", score=0.5)
    rich |= {"attributes": {"legs": 3, "bad": [1]}, "difficult": True}
    dataset, _ = loaded(one(put, tmp_path, rich, flags={"night": True, "day": False}))
    found = instances_in(dataset)
    assert dict(found.columns) == {"description": ("old",), "dry": (False,), "legs": (3,), "wet": (True,)}
    assert (found.is_crowd.all(), found.is_difficult.all(), found.is_truncated.any()) == (True, True, False)
    assert found.confidences is not None
    assert found.confidences.tolist() == [0.5]
    annotation = dataset[0].annotation
    assert annotation is not None
    assert dict(annotation.attributes) == {"night": True, "day": False}


def test_points_lines_and_ignored_shapes_are_left_out_and_counted(put: Put, tmp_path: Path) -> None:
    shapes = (shape("cat", [[1, 1]], "point"), shape("cat", TRIANGLE, "linestrip"), shape("__ignore__", TRIANGLE))
    dataset, report = loaded(one(put, tmp_path, *shapes))
    assert len(instances_in(dataset)) == 0
    assert report.bad_files == ()
    assert set(report.warnings) == {"2 points and lines are left out", "1 shapes called __ignore__ are left out"}


def test_masks_lie_where_their_box_begins(put: Put, tmp_path: Path) -> None:
    crop = np.array([[0, 1, 1], [1, 0, 0]], dtype=np.uint8)
    text = base64.b64encode(encode_png(crop[..., None])).decode()
    found = instances_in(loaded(one(put, tmp_path, shape("cat", [[5, 7], [7, 8]], "mask", mask=text)))[0])
    expected = np.zeros(SIZE, dtype=bool)
    expected[7:9, 5:8] = crop == 1
    assert (found.dense_masks()[0] == expected).all()
    assert found.boxes.tolist() == [[5, 7, 8, 9]]


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (shape("cat", [[1, 1], [2, 2]]), "expected an outline of three points or more; got 2"),
        (shape("cat", [[1, 1], [2, "x"], [3, 3]]), "expected a coordinate as a number; got 'x'"),
        (shape("cat", [[1, 1], [2, float("inf")], [3, 3]]), "expected a coordinate as a number; got 'inf'"),
        (shape("cat", [[1, 1, 1]] * 3), "expected points [x, y]; got others"),
        (shape("cat", None), "expected points [x, y]; got others"),
        (shape("", TRIANGLE), "expected a label; got none"),
        (shape(3, TRIANGLE), "expected a label; got none"),
        (shape("cat", TRIANGLE, "blob"), "expected polygon, rectangle, circle or mask; got 'blob'"),
        (shape("cat", [[1, 1], [1, 1]], "circle"), "expected a radius above 0"),
        (shape("cat", [[1, 1], [3, 3]], "mask", mask="@"), "expected mask in base64"),
        (shape("cat", [[29, 19], [40, 40]], "mask", mask=base64.b64encode(PICTURE).decode()), "expected a mask inside"),
        ("cat", "expected a shape; got str"),
    ],
)
def test_a_broken_shape_is_told_by_number_and_the_others_stay(
    damaged: object, told: str, put: Put, tmp_path: Path
) -> None:
    dataset, report = loaded(one(put, tmp_path, shape("dog", TRIANGLE), damaged))
    assert len(instances_in(dataset)) == 1
    assert [(bad.path, bad.kind) for bad in report.bad_files] == [("a.json", "object")]
    assert report.bad_files[0].problem.startswith("object 2: ")
    assert told in report.bad_files[0].problem


@pytest.mark.parametrize(
    "text", [b'{"shapes": 3, "imagePath": ""}', b'{"shapes": [], "imagePath": "', b'{"imageData" "shapes"']
)
def test_a_damaged_file_is_one_error(text: bytes, put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path, shape("cat", TRIANGLE)) / "b.json", text)
    dataset, report = loaded(tmp_path)
    assert len(dataset) == 1
    assert [bad.path for bad in report.bad_files] == ["b.json"]


@pytest.mark.parametrize(
    "given", ["..\\images\\a.png", "../images/a.png", "C:\\data\\a.png", "/abs/a.png", "b/../a.png"]
)
def test_pictures_are_found_wherever_the_tool_ran(given: str, put: Put, tmp_path: Path) -> None:
    inside = given.replace("\\", "/").startswith("../")
    put(tmp_path / ("images/a.png" if inside else "notes/a.png"), PICTURE)
    put(tmp_path / "notes/x.json", json.dumps(document(shape("cat", TRIANGLE), imagePath=given)).encode())
    dataset, report = loaded(tmp_path)
    assert report.bad_files == ()
    assert dataset.ids == ["images/a.png" if inside else "notes/a.png"]


def test_no_file_outside_is_opened(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "secret.png", PICTURE)
    put(tmp_path / "set/a.json", json.dumps(document(shape("cat", TRIANGLE), imagePath="../secret.png")).encode())
    put(tmp_path / "set/ok.png", PICTURE)
    (tmp_path / "set/link.png").symlink_to(tmp_path / "secret.png")
    put(tmp_path / "set/b.json", json.dumps(document(shape("cat", TRIANGLE), imagePath="link.png")).encode())
    dataset, report = loaded(tmp_path / "set")
    assert dataset.ids in ([], ["ok.png"])
    assert len([bad for bad in report.bad_files if bad.path.endswith(".json")]) == 2


def test_a_picture_may_be_inside_the_file(put: Put, tmp_path: Path) -> None:
    data = base64.b64encode(PICTURE).decode()
    put(tmp_path / "a.json", json.dumps(document(shape("cat", TRIANGLE), imageData=data)).encode())
    put(tmp_path / "b.json", json.dumps(document(shape("cat", TRIANGLE), imagePath="b.png", imageData="@@")).encode())
    dataset, report = loaded(tmp_path)
    assert (dataset[0].pixels() == pixels(0)).all()
    assert [str(bad) for bad in report.bad_files] == ["b.json: expected imageData in base64; got other text"]


def test_huge_sizes_cost_nothing(put: Put, tmp_path: Path) -> None:
    damaged = shape("cat", [[0, 0], [1, 1]], "mask", mask=base64.b64encode(PICTURE).decode())
    _, report = loaded(one(put, tmp_path, damaged, imageHeight=1_000_000, imageWidth=1_000_000))
    assert "expected imageHeight and imageWidth beside a mask" in report.bad_files[0].problem


def test_flags_without_shapes_are_classes(put: Put, tmp_path: Path) -> None:
    for name, flag in (("a", "cat"), ("b", "dog"), ("c", "cat")):
        put(tmp_path / f"{name}.png", PICTURE)
        flags = {"cat": flag == "cat", "dog": flag == "dog"}
        put(tmp_path / f"{name}.json", json.dumps(document(flags=flags, imagePath=f"{name}.png")).encode())
    dataset, _ = loaded(tmp_path)
    assert dataset.task == "classification"
    assert dataset.class_counts() == {"cat": 2, "dog": 1}
    assert all(not sample.annotation.attributes for sample in dataset if sample.annotation)


def test_pictures_without_a_file_were_not_annotated(put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path, shape("cat", TRIANGLE)) / "b.png", 3)
    dataset, report = loaded(tmp_path)
    assert report.bad_files == ()
    assert dataset[dataset.row_of("b.png")].annotation is None


@pytest.mark.parametrize("splits", [True, False])
def test_a_round_trip_keeps_what_the_format_holds(splits: bool, tmp_path: Path) -> None:
    annotations = (Annotation(instances=masked()), Annotation(instances=boxes_only()), None)
    dataset = dataset_of(*annotations, Annotation(instances=Instances.none(SIZE)), splits=splits)
    found = back(dataset, tmp_path / "out", "labelme")
    assert (found.classes, found.splits) == (dataset.classes, dataset.splits)
    assert instances_in(found) == masked()
    assert found.digest() == dataset.digest()
    assert labelme.losses(dataset) == {}


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=whole(), class_id=1), splits=False)
    expected = {"stated areas": 3, "amodal boxes": 4, "amodal masks": 2, "keypoints": 4, "image classes": 1}
    assert write(dataset, tmp_path / "out", "labelme").losses == expected


def test_a_box_that_is_not_that_of_its_mask_is_a_loss() -> None:
    mask = Rle.of(np.ones(SIZE, dtype=bool))
    off = Instances(SIZE, np.array([0, 0]), np.array([[0, 0, 30, 20], [0, 0, 29, 20]], np.float32), (mask, mask))
    assert labelme.losses(dataset_of(Annotation(instances=off))) == {"boxes beside masks": 1}


def test_other_json_is_not_claimed(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "cat/a.png")
    put(tmp_path / "cat/meta.json", b'{"shapes": 3}')
    put(tmp_path / "list.json", b'["shapes", "imagePath"]')
    assert not labelme.claims(Folder.at(tmp_path))
    assert read(tmp_path)[1].format == "imagefolder"
