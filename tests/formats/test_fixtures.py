"""The shared fixtures, listed beforehand: what each folder is found to be, or the one error that it gives."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset import cli
from twinset.dataset import Dataset
from twinset.errors import DatasetFormatError, ImageError
from twinset.formats import read

FIXTURES = Path(os.environ.get("TWINSET_DATA", "/nowhere")) / "format_fixtures"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="TWINSET_DATA has no format_fixtures")

VALID: dict[str, tuple[str, int, int]] = {
    "datumaro/camvid_dataset": ("masks", 4, 0),
    "datumaro/cityscapes_dataset/dataset": ("cityscapes", 4, 0),
    "datumaro/cityscapes_dataset/train_dataset": ("cityscapes", 4, 0),
    "datumaro/coco_dataset/coco": ("coco with splits", 2, 3),
    "datumaro/coco_dataset/coco_captions": ("coco with splits", 2, 0),
    "datumaro/coco_dataset/coco_image_info": ("coco with splits", 2, 0),
    "datumaro/coco_dataset/coco_instances": ("coco with splits", 2, 3),
    "datumaro/coco_dataset/coco_person_keypoints": ("coco with splits", 2, 3),
    "datumaro/coco_dataset/coco_roboflow": ("coco with splits", 2, 3),
    "datumaro/coco_dataset/coco_stuff": ("coco with splits", 2, 2),
    "datumaro/coco_dataset/mmdet_coco": ("coco with splits", 2, 3),
    "datumaro/common_semantic_segmentation_dataset/dataset": ("masks", 2, 0),
    "datumaro/cvat_dataset/for_images/export_project": ("cvat", 6, 6),
    "datumaro/image_dir_dataset": ("imagefolder", 2, 0),
    "datumaro/imagenet_dataset": ("imagefolder", 3, 0),
    "datumaro/imagenet_subsets_dataset": ("imagefolder with splits", 9, 0),
    "datumaro/kaggle_dataset/image_mask": ("masks", 2, 0),
    "datumaro/kaggle_dataset/image_mask_with_labelmap": ("masks", 3, 0),
    "datumaro/kaggle_dataset/relaxed_coco": ("coco", 2, 2),
    "datumaro/kaggle_dataset/relaxed_yolo": ("yolo", 2, 4),
    "datumaro/kitti_dataset/kitti_detection": ("kitti", 2, 5),
    "datumaro/kitti_dataset/kitti_segmentation": ("kitti", 2, 0),
    "datumaro/roboflow_dataset/coco": ("coco with splits", 3, 4),
    "datumaro/roboflow_dataset/voc": ("voc", 3, 4),
    "datumaro/roboflow_dataset/yolo": ("yolo", 3, 4),
    "datumaro/voc_dataset/voc_dataset3": ("voc", 1, 1),
    "datumaro/yolo_dataset": ("yolo", 4, 8),
    "datumaro/yolo_dataset/annotations": ("yolo", 1, 2),
    "datumaro/yolo_dataset/labels": ("yolo", 2, 4),
    "datumaro/yolo_dataset/strict": ("yolo", 1, 2),
    "labelme_examples/bbox_detection/data_annotated": ("labelme", 3, 9),
    "labelme_examples/bbox_detection/data_dataset_voc": ("voc", 3, 9),
    "labelme_examples/classification": ("labelme", 2, 0),
    "labelme_examples/instance_segmentation/data_annotated": ("labelme", 3, 12),
    "labelme_examples/instance_segmentation/data_dataset_coco": ("coco", 3, 12),
    "labelme_examples/instance_segmentation/data_dataset_voc": ("voc", 3, 12),
    "labelme_examples/semantic_segmentation": ("labelme", 3, 16),
}
"""Format, pictures and objects of each."""

REFUSED = {
    "datumaro/ade20k2017_dataset/dataset": "got ADE20K",
    "datumaro/ade20k2020_dataset/dataset": "got ADE20K",
    "datumaro/celeba_dataset/dataset": "got CelebA",
    "datumaro/cifar10_dataset": "expected pictures; got none",
    "datumaro/cityscapes_dataset": "got another in its folder dataset",
    "datumaro/coco_dataset": "got another in its folder coco",
    "datumaro/coco_dataset/coco_labels": "expected boxes, masks or one category",
    "datumaro/coco_dataset/coco_panoptic": "got panoptic segments",
    "datumaro/common_semantic_segmentation_dataset/non_standard_dataset": None,
    "datumaro/cvat_dataset/for_images": "got another in its folder export_project",
    "datumaro/cvat_dataset/for_images/export_task": "object 1: expected a label; got none",
    "datumaro/cvat_dataset/for_video": "got tracks of a video",
    "datumaro/datumaro_dataset/legacy": "got Datumaro",
    "datumaro/dota_dataset": "got oriented boxes of DOTA",
    "datumaro/image_zip_dataset": "expected pictures; got none",
    "datumaro/kaggle_dataset/relaxed_voc1": "expected an XML file of its name; got none",
    "datumaro/kitti_dataset": "got another in its folder kitti_3d",
    "datumaro/kitti_dataset/kitti_3d": "expected a box inside 10 x 10",
    "datumaro/kitti_dataset/kitti_raw": "got 3-D tracklets",
    "datumaro/labelme_dataset": "got XML of LabelMe's web tool",
    "datumaro/mapillary_vistas_dataset": "got Mapillary Vistas",
    "datumaro/mnist_dataset": "expected pictures; got none",
    "datumaro/mot_dataset/mot_seq": "got MOT sequences",
    "datumaro/open_images_dataset/v5": "got Open Images",
    "datumaro/open_images_dataset/v6": "got Open Images",
    "datumaro/roboflow_dataset/createml": "got CreateML",
    "datumaro/roboflow_dataset/multiclass": "got labels of several classes a picture",
    "datumaro/roboflow_dataset/tfrecord": "got TFRecord",
    "datumaro/roboflow_dataset/yolo_obb": "got none",
    "datumaro/synthia_dataset/al": "got SYNTHIA",
    "datumaro/synthia_dataset/rand": "got SYNTHIA",
    "datumaro/synthia_dataset/sf": "got SYNTHIA",
    "datumaro/tf_detection_api_dataset": "got TFRecord",
    "datumaro/vgg_face2_dataset": "got VGGFace2",
    "datumaro/voc_dataset/voc_dataset2": "expected its picture",
    "datumaro/vott_csv_dataset/dataset": "got VoTT",
    "datumaro/vott_json_dataset/dataset": "got VoTT",
    "datumaro/widerface_dataset": "got WIDER FACE",
}
"""What the error of each says; None where the folder has no mark of what it is, and is read as plain pictures."""


@pytest.mark.parametrize("name", VALID)
def test_a_valid_folder_is_found_to_be_what_it_is(name: str) -> None:
    dataset, report = read(FIXTURES / name)
    assert (report.format, report.images, report.objects) == VALID[name]
    assert len(dataset) == report.images
    assert sum(pixels.pixels().size > 0 for pixels in dataset) == report.images


@pytest.mark.parametrize("name", [name for name, told in REFUSED.items() if told])
def test_a_folder_that_cannot_be_used_is_one_error(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = REFUSED[name] or ""
    with pytest.raises((DatasetFormatError, ImageError)) as caught:
        read(FIXTURES / name)
    assert told in str(caught.value)
    assert caught.value.hint
    monkeypatch.setattr("sys.argv", ["twinset", "convert", str(FIXTURES / name), str(tmp_path / "out"), "--to", "coco"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    err = capsys.readouterr().err
    assert ended.value.code == 4
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def counts(dataset: Dataset) -> Counter[str]:
    return Counter({name: count for name, count in dataset.object_class_counts().items() if count})


@pytest.mark.parametrize("name", [name for name, valid in VALID.items() if valid[0] == "labelme" and valid[2]])
def test_labelme_has_the_objects_of_an_independent_reading(name: str) -> None:
    expected: set[tuple[str, str, object]] = set()
    for file in (FIXTURES / name).rglob("*.json"):
        for number, shape in enumerate(json.loads(file.read_text())["shapes"]):
            group = shape.get("group_id")
            if shape["label"] != "__ignore__":
                expected.add((file.name, shape["label"], ("alone", number) if group is None else group))
    assert counts(read(FIXTURES / name)[0]) == Counter(label for _, label, _ in expected)


def test_labelme_has_the_objects_that_its_own_conversion_has() -> None:
    root = FIXTURES / "labelme_examples/instance_segmentation"
    ours, theirs = (read(root / part)[0] for part in ("data_annotated", "data_dataset_coco"))
    assert counts(ours) == counts(theirs)
    by_name = {Path(sample.id).name: sample.annotation for sample in theirs}
    for sample in ours:
        other = by_name[Path(sample.id).name]
        assert sample.annotation is not None
        assert sample.annotation.instances is not None
        assert other is not None
        assert other.instances is not None
        areas = [
            sorted(mask.sum((1, 2)))
            for mask in (sample.annotation.instances.dense_masks(), other.instances.dense_masks())
        ]
        assert np.abs(np.subtract(*areas) / areas[0]).max() < 0.03  # their outlines are drawn by another program


def test_labelme_flags_are_the_classes_of_pictures() -> None:
    files = sorted((FIXTURES / "labelme_examples/classification").rglob("*.json"))
    expected = [next(flag for flag, on in json.loads(file.read_text())["flags"].items() if on) for file in files]
    dataset, _ = read(FIXTURES / "labelme_examples/classification")
    assert [dataset.classes[one] for one in dataset.class_ids] == expected


def test_cvat_has_the_objects_of_an_independent_reading() -> None:
    path = FIXTURES / "datumaro/cvat_dataset/for_images/export_project"
    root = ET.parse(path / "annotations.xml").getroot()
    boxes = sorted(
        [float(node.get(key, "")) for key in ("xtl", "ytl", "xbr", "ybr")] for node in root.iterfind("image/box")
    )
    dataset, report = read(path)
    labels = [node.get("label", "") for node in root.iterfind("image/*") if node.tag in ("box", "polygon")]
    assert counts(dataset) == Counter(labels)
    assert sorted(set(dataset.splits)) == ["test", "train", "validation"]
    plain = dataset.object_column("class_id") >= 0
    masks = np.array([m for s in dataset for m in _has_mask(s.annotation)])
    assert sorted(dataset.object_boxes()[plain & ~masks].tolist()) == boxes
    assert report.warnings == ("3 lines are left out", "3 points are left out")


def _has_mask(annotation: object) -> list[bool]:
    instances = getattr(annotation, "instances", None)
    return [mask is not None for mask in instances.masks or (None,) * len(instances)] if instances is not None else []


def test_kitti_has_the_lines_of_an_independent_reading() -> None:
    path = FIXTURES / "datumaro/kitti_dataset/kitti_detection"
    dataset, _ = read(path)
    for sample in dataset:
        lines = (path / sample.id.replace("image_2", "label_2")).with_suffix(".txt").read_text().split("\n")
        rows = [line.split() for line in lines if line]
        assert sample.annotation is not None
        assert sample.annotation.instances is not None
        found = sample.annotation.instances
        assert found.boxes.tolist() == [[float(value) for value in row[4:8]] for row in rows]
        assert [dataset.classes[one] for one in found.class_ids] == [row[0] for row in rows]
        assert found.is_truncated.tolist() == [float(row[1]) > 0 for row in rows]


NAMES = {12: "wall", 24: "person", 27: "truck", 31: "train"}


@pytest.mark.parametrize("name", [name for name, valid in VALID.items() if valid[0] == "cityscapes"])
def test_cityscapes_has_the_classes_of_an_independent_reading(name: str) -> None:
    dataset, _ = read(FIXTURES / name)
    for sample in dataset:
        stem = sample.id.replace("leftImg8bit/", "gtFine/").removesuffix("_leftImg8bit.png")
        values = np.asarray(Image.open(FIXTURES / name / f"{stem}_gtFine_instanceIds.png")).astype(int)
        labels = np.where(values < 1000, values, values // 1000)
        assert sample.annotation is not None
        assert sample.annotation.semantic is not None
        found = sample.annotation.semantic.dense()
        expected = [[NAMES.get(label) for label in row] for row in labels.tolist()]
        assert [[dataset.classes[v] if v >= 0 else None for v in row] for row in found.tolist()] == expected


def test_kitti_masks_have_the_classes_of_an_independent_reading() -> None:
    path = FIXTURES / "datumaro/kitti_dataset/kitti_segmentation"
    for sample in read(path)[0]:
        values = np.asarray(Image.open(path / sample.id.replace("image_2", "instance"))).astype(int) // 256
        assert sample.annotation is not None
        assert sample.annotation.semantic is not None
        assert ((sample.annotation.semantic.dense() >= 0) == np.isin(values, [12, 27, 31])).all()


@pytest.mark.parametrize("name", [name for name, valid in VALID.items() if valid[0].startswith("imagefolder")])
def test_image_folders_have_the_files_of_an_independent_reading(name: str) -> None:
    dataset, report = read(FIXTURES / name)
    files = [path.relative_to(FIXTURES / name) for path in (FIXTURES / name).rglob("*.*g")]
    classified = [path for path in files if path.parent.name not in ("", "train", "val", "test")]
    expected = sorted(map(str, classified or files))  # loose pictures beside class folders are left out, and told
    assert sorted(dataset.ids) == expected
    assert bool(report.warnings) == (len(expected) < len(files))


def test_via_has_the_regions_of_an_independent_reading() -> None:
    path = FIXTURES.parent / "kudzu/train"
    dataset, report = read(path)
    regions = {
        one["filename"]: one["regions"] for one in json.loads((path / "via_region_data.json").read_text()).values()
    }
    assert (report.format, dataset.classes) == ("via", ("kudzu",))
    assert dict(zip(dataset.ids, dataset.object_counts().tolist(), strict=True)) == {
        name: len(found) for name, found in regions.items()
    }
    assert report.objects == 520
