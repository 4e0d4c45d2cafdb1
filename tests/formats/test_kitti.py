"""KITTI read and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.formats.scenes import SIZE, back, boxes_only, dataset_of, instances_in, masked, pixels

from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset, Sample
from twinset.errors import DatasetFormatError
from twinset.formats import kitti, read, write
from twinset.images import encode_png

Put = Callable[..., Path]
PICTURE = encode_png(pixels(0))
FLAT = "-1 -1 -1 -1000 -1000 -1000 -10"
SOLID = "1.5 1.6 3.9 -2.5 1.7 20.25 -0.5"


def one(put: Put, root: Path, *lines: str, split: str = "training/") -> Path:
    put(root / f"{split}image_2/000001.png", PICTURE)
    put(root / f"{split}label_2/000001.txt", "\n".join(lines).encode())
    return root


def test_boxes_flags_and_numbers_are_taken_as_they_stand(put: Put, tmp_path: Path) -> None:
    lines = (
        f"Car 0.00 2 -1.5 1.5 2 20.25 18 {SOLID}",
        f"Van 0.25 0 -10 0 0 5 6 {FLAT}",
        f"DontCare -1 -1 -10 20 10 30 20 {FLAT}",
        f"Van 1 -1 -10 0 0 5 6 {FLAT} 0.75",
    )
    dataset, report = read(one(put, tmp_path, *lines))
    found = instances_in(dataset)
    assert (report.format, dataset.splits) == ("kitti", ["train"])
    assert [dataset.classes[one] for one in found.class_ids] == ["Car", "Van", "DontCare", "Van"]
    assert found.boxes.tolist() == [[1.5, 2, 20.25, 18], [0, 0, 5, 6], [20, 10, 30, 20], [0, 0, 5, 6]]
    assert found.is_truncated.tolist() == [False, True, False, True]
    assert found.is_crowd.tolist() == found.is_difficult.tolist() == [False, False, True, False]
    assert found.columns["truncation"] == (None, 0.25, None, None)
    assert found.columns["occluded"] == (2, 0, None, None)
    assert [found.columns[name][0] for name in ("alpha", *kitti.SOLID)] == [-1.5, 1.5, 1.6, 3.9, -2.5, 1.7, 20.25, -0.5]
    assert found.columns["height"][1:] == (None,) * 3
    assert found.confidences is not None
    assert np.isnan(found.confidences).tolist() == [True, True, True, False]
    assert found.confidences[3] == 0.75


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ("Car 0 0 0 1 2 3", "expected 15 columns, or 16 with a score; got 7"),
        (f"Car x 0 0 1 2 3 4 {FLAT}", "expected truncation as a number; got 'x'"),
        (f"Car 0 0 0 1 nan 3 4 {FLAT}", "expected y1 as a number; got 'nan'"),
        (f"Car 0 0 0 1 2_0 30 40 {FLAT}", "expected y1 as a number; got '2_0'"),
        (f"Car 0 0 0 40 2 50 4 {FLAT}", "expected a box inside 30 x 20"),
        (f"Car 0 0 0 5 5 5 9 {FLAT}", "expected a box with an area"),
    ],
)
def test_a_broken_line_is_told_by_number_and_the_others_stay(damaged: str, told: str, put: Put, tmp_path: Path) -> None:
    dataset, report = read(one(put, tmp_path, f"Van 0 0 -10 0 0 5 6 {FLAT}", "", damaged), on_bad_input="report")
    assert len(instances_in(dataset)) == 1
    assert [bad.where for bad in report.bad_files] == ["training/label_2/000001.txt:3"]
    assert told in report.bad_files[0].problem


def test_pictures_without_labels_are_bad_but_for_testing(put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path) / "training/image_2/2.png", 2)
    put(tmp_path / "testing/image_2/3.png", 3)
    dataset, report = read(tmp_path, on_bad_input="report")
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "testing/image_2/3.png": "test",
        "training/image_2/000001.png": "train",
    }
    assert [bad.path for bad in report.bad_files] == ["training/image_2/2.png"]
    assert "expected training/label_2/2.txt; got none" in report.bad_files[0].problem


def test_masks_of_label_ids_are_semantic_maps(put: Put, tmp_path: Path) -> None:
    ids = np.full(SIZE, 7, dtype=np.uint16)
    ids[0, 0], ids[0, 1], ids[3:, 4:] = 0, 33, 26
    put(tmp_path / "training/image_2/1.png", PICTURE)
    for place, values in (("semantic", ids.astype(np.uint8)), ("instance", ids * 256 + 1)):
        (tmp_path / "training" / place).mkdir()
        Image.fromarray(values).save(tmp_path / f"training/{place}/1.png")
        dataset, _ = read(tmp_path)
        annotation = dataset[0].annotation
        assert annotation is not None
        assert annotation.semantic is not None
        found = annotation.semantic.dense()
        names = [dataset.classes[value] if value >= 0 else None for value in (found[0, 0], found[0, 1], found[9, 9])]
        assert names == [None, "bicycle", "car"]
        assert dataset.classes[found[1, 1]] == "road"
        (tmp_path / "training" / place / "1.png").unlink()
        (tmp_path / "training" / place).rmdir()


def test_raw_recordings_are_refused(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "tracklet_labels.xml", b"<x/>")
    put(tmp_path / "IMAGE_00/a.png")
    with pytest.raises(DatasetFormatError, match="3-D tracklets"):
        read(tmp_path)


def cars() -> Instances:
    base = boxes_only()
    columns = {"occluded": (0, 3, None), "truncation": (0.5, None, None)}
    return Instances(SIZE, base.class_ids, base.boxes, truncated=np.array([True, False, True]), columns=columns)


@pytest.mark.parametrize("splits", [True, False])
def test_a_round_trip_keeps_what_the_format_holds(splits: bool, tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=cars()), None, Annotation(instances=Instances.none(SIZE)), splits=splits)
    assert kitti.losses(dataset) == {}
    found = back(dataset, tmp_path / "out", "kitti")
    assert (found.classes, found.splits) == (dataset.classes, dataset.splits)
    assert found.digest() == dataset.digest()


def test_regions_not_to_care_about_come_back(tmp_path: Path) -> None:
    base, both = boxes_only(), np.array([False, True, False])
    regions = Instances(SIZE, np.array([0, 1, 2]), base.boxes, crowd=both, difficult=both)
    names = ("a b", "DontCare", "a_b")
    dataset = Dataset.of([Sample("x", Annotation(instances=regions), image=pixels(1))], classes=names)
    assert kitti.losses(dataset) == {}
    found = back(dataset, tmp_path / "out", "kitti")
    assert found.digest() == dataset.digest()
    assert (tmp_path / "out/label_2/x.txt").read_text().split("\n")[2].startswith("a_b_ ")


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=masked()), splits=False)
    expected = {"masks": 3, "crowd flags": 1, "difficult flags": 1, "object attributes": 4}
    assert write(dataset, tmp_path / "out", "kitti").losses == expected
