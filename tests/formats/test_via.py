"""VIA read and written."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import SIZE, back, boxes_only, dataset_of, instances_in, masked, pixels

from twinset.annotations import Annotation, Instances
from twinset.errors import DatasetFormatError
from twinset.formats import read, via, write
from twinset.formats.shapes import ellipse
from twinset.images import encode_png
from twinset.masks import Polygons, Rle

Put = Callable[..., Path]
PICTURE = encode_png(pixels(0))
POLYGON = {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 8]}
RECT = {"name": "rect", "x": 2, "y": 3, "width": 5.5, "height": 4}


def region(shape: object, **values: object) -> dict[str, object]:
    return {"shape_attributes": shape, "region_attributes": values}


def record(regions: object, name: str = "a.png", **more: object) -> dict[str, object]:
    return {"filename": name, "size": 1, "regions": regions, "file_attributes": {}, **more}


def one(put: Put, root: Path, *regions: object, **more: object) -> Path:
    put(root / "a.png", PICTURE)
    put(root / "via_region_data.json", json.dumps({"a.png1": record(list(regions), **more)}).encode())
    return root


def test_shapes_are_objects_of_the_class_they_name(put: Put, tmp_path: Path) -> None:
    circle = {"name": "circle", "cx": 15, "cy": 10, "r": 5}
    ellipse = {"name": "ellipse", "cx": 15, "cy": 10, "rx": 6, "ry": 2, "theta": math.pi / 2}
    regions = [region(POLYGON, type="cat"), region(RECT, type="dog", age="3", tags={"wet": True, "old": False})]
    regions += [region(circle, type="cat", crowd="true"), region(ellipse, type="cat")]
    dataset, report = read(one(put, tmp_path, *regions, file_attributes={"site": "x", "empty": ""}))
    found = instances_in(dataset)
    assert (report.format, dataset.classes) == ("via", ("cat", "dog"))
    assert found.class_ids.tolist() == [0, 1, 0, 0]
    assert found.boxes[:2].tolist() == [[1, 1, 9, 8], [2, 3, 7.5, 7]]
    assert np.abs(found.boxes[2:] - [[10, 5, 20, 15], [13, 4, 17, 16]]).max() < 1e-5
    assert found.is_crowd.tolist() == [False, False, True, False]
    assert {name: column[1] for name, column in found.columns.items()} == {
        "age": "3",
        "tags.wet": True,
        "tags.old": False,
    }
    annotation = dataset[0].annotation
    assert annotation is not None
    assert dict(annotation.attributes) == {"site": "x"}


def test_an_ellipse_is_turned_clockwise_as_the_picture_is_seen() -> None:
    """Its points lie on the curve, and the first is the end of the first axis."""
    points = np.reshape(ellipse(15, 10, 6, 2, 0.5), (-1, 2)) - (15, 10)
    assert points[0] == pytest.approx((6 * math.cos(0.5), 6 * math.sin(0.5)))
    along = points @ (math.cos(0.5), math.sin(0.5))
    aside = points @ (-math.sin(0.5), math.cos(0.5))
    assert ((along / 6) ** 2 + (aside / 2) ** 2) == pytest.approx(np.ones(len(points)))
    assert len(np.unique(points.round(6), axis=0)) == len(points)


def test_the_class_is_the_attribute_that_most_regions_have(put: Put, tmp_path: Path) -> None:
    regions = [region(RECT, insect="bug", leg="1"), region(RECT, insect="fly"), region(RECT, leg="2")]
    dataset, report = read(one(put, tmp_path, *regions, region(RECT, insect="fly")), on_bad_input="report")
    assert dataset.classes == ("bug", "fly")
    assert [bad.problem for bad in report.bad_files] == [
        "a.png: object 3: expected a class as 'insect'; got none; left out"
    ]


def test_regions_without_a_class_are_of_the_only_one(put: Put, tmp_path: Path) -> None:
    dataset, report = read(one(put, tmp_path, region(RECT, name="bug"), region(POLYGON)))
    assert dataset.object_class_counts() == {"bug": 2}
    assert report.warnings == ("1 regions name no class: taken as 'bug'",)


@pytest.mark.parametrize("wrap", [False, True])
def test_projects_and_older_files_are_read(wrap: bool, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a.png", PICTURE)
    inner = {"a.png1": record({"0": region(RECT, name="bug"), "1": region(POLYGON, name="bug")})}
    value = {"_via_settings": {}, "_via_img_metadata": inner} if wrap else inner
    put(tmp_path / "project.json", json.dumps(value).encode())
    assert read(tmp_path)[1].objects == read(tmp_path / "project.json")[1].objects == 2


@pytest.mark.parametrize("first", ["filename", "#filename"])
def test_tables_are_read(first: str, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "b.png", 3)
    text = io.StringIO()
    head = [first, "file_size", "file_attributes", "region_count", "region_id"]
    rows = csv.writer(text)
    rows.writerow([*head, "region_shape_attributes", "region_attributes"])
    for shape in (RECT, POLYGON):
        rows.writerow(["a.png", 1, "{}", 2, 0, json.dumps(shape), json.dumps({"name": "bug"})])
    rows.writerow(["b.png", 1, "{}", 0, 0, "{}", "{}"])
    put(tmp_path / "via.csv", text.getvalue().encode())
    dataset, report = read(tmp_path)
    assert (report.format, report.objects, dataset.object_counts().tolist()) == ("via", 2, [2, 0])
    assert read(tmp_path / "via.csv")[0].digest() == dataset.digest()


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (None, "expected shape_attributes; got none"),
        ({"name": "blob"}, "expected rect, polygon, circle or ellipse; got 'blob'"),
        ({**POLYGON, "all_points_x": [1]}, "expected rect, polygon"),
        ({**POLYGON, "all_points_x": [1, 2, "x"]}, "expected x as a number; got 'x'"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "three points or more; got 2"),
        ({"name": "rect", "x": 1}, "expected y as a number"),
        ({"name": "circle", "cx": 3, "cy": 3, "r": -1}, "expected a radius above 0"),
    ],
)
def test_a_broken_region_is_told_by_number_and_the_others_stay(
    shape: object, told: str, put: Put, tmp_path: Path
) -> None:
    root = one(put, tmp_path, region(RECT, name="bug"), region(shape, name="bug"))
    dataset, report = read(root, on_bad_input="report")
    assert len(instances_in(dataset)) == 1
    assert [(bad.path, bad.kind) for bad in report.bad_files] == [("via_region_data.json", "object")]
    assert "a.png: object 2: " in report.bad_files[0].problem
    assert told in report.bad_files[0].problem


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"filename": "a.png", "regions": 3, "file_attributes": {}}}',
        '{"a": {"filename" "regions" "file_attributes"',
    ],
)
def test_a_damaged_file_is_one_error(text: str, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "via.json", text.encode())
    with pytest.raises(DatasetFormatError, match=r"via\.json(:1)?: expected"):
        read(tmp_path, on_bad_input="report")


def test_points_are_left_out_and_pictures_that_are_not_named_were_not_annotated(put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path, region({"name": "point", "cx": 1, "cy": 1}, name="bug")) / "b.png", 2)
    dataset, report = read(tmp_path)
    assert report.warnings == ("1 points and lines are left out",)
    assert dataset[dataset.row_of("b.png")].annotation is None
    assert len(instances_in(dataset, dataset.row_of("a.png"))) == 0


def test_no_file_outside_is_opened(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "secret.png", PICTURE)
    names = ("../secret.png", str(tmp_path / "secret.png"))
    records = {name: record([region(RECT, name="bug")], name=name) for name in names}
    put(tmp_path / "set/via.json", json.dumps(records).encode())
    assert [len(part) for part in (read(tmp_path / "set", on_bad_input="report")[1].bad_files,)] == [2]


def single(splits: bool) -> Instances:
    """As :func:`masked`, each mask one outline."""
    base = masked()
    one = Polygons(*SIZE, ((20.0, 2.0, 28.0, 2.0, 24.0, 9.0, 21.0, 9.5),))
    boxes = np.array([one.box(), base.boxes[3]], dtype=np.float32)
    columns = {"colour": ("red", None), "legs": (None, 4), "wet": (True, False)}
    crowd = np.array([True, splits])
    return Instances(SIZE, np.array([1, 2]), boxes, (one, None), crowd=crowd, columns=columns)


@pytest.mark.parametrize("splits", [True, False])
def test_a_round_trip_keeps_what_the_format_holds(splits: bool, tmp_path: Path) -> None:
    annotations = (Annotation(instances=single(splits)), Annotation(instances=boxes_only()), None)
    dataset = dataset_of(*annotations, Annotation(instances=Instances.none(SIZE)), splits=splits)
    assert via.losses(dataset) == {}
    found = back(dataset, tmp_path / "out", "via")
    assert (found.classes, found.splits) == (dataset.classes, dataset.splits)
    assert found.digest() == dataset.digest()


def test_masks_come_back_as_one_outline_of_the_same_pixels(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=masked()), splits=False)
    report = write(dataset, tmp_path / "out", "via")
    assert report.losses == {"outlines of several parts": 1}
    found = instances_in(read(tmp_path / "out")[0])
    assert found.masks is not None
    for row in (1, 2):
        mask, twin = found.masks[row], (masked().masks or ())[row]
        assert isinstance(mask, Polygons)
        assert twin is not None
        assert (mask.dense() == twin.dense()).all()
    assert isinstance((masked().masks or ())[1], Rle)
