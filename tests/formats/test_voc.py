"""Pascal VOC read and written."""

from __future__ import annotations

import io
import json
import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.formats import voc
from twinset.formats.folder import Folder, Unusable
from twinset.formats.listing import Findings, OnBadInput, ReadReport
from twinset.formats.maskfiles import palette
from twinset.formats.reading import collect
from twinset.formats.voc_xml import parse_record, record_xml
from twinset.formats.writing import whole_folder
from twinset.images import FULL_RANGE, encode_png
from twinset.masks import Polygons, Rle

Put = Callable[..., Path]
DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))
FIXTURES = DATA / "format_fixtures"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="TWINSET_DATA is not set")


def read(path: Path, on_bad_input: OnBadInput = "report") -> tuple[Dataset, ReadReport]:
    listing = voc.listing(Folder.at(path), "set")
    return collect(listing, source=str(path), on_bad_input=on_bad_input, window=FULL_RANGE)


def written(dataset: Dataset, path: Path) -> Path:
    with whole_folder(path) as target:
        voc.write(dataset, target, encode=None)
    return path


def instances_in(dataset: Dataset, row: int = 0) -> Instances:
    annotation = dataset[row].annotation
    assert annotation is not None
    assert annotation.instances is not None
    return annotation.instances


def box(name: str, *corners: object, more: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{more}<bndbox>{inner}</bndbox></object>"


def record(*objects: str, head: str = "") -> bytes:
    return f"<annotation>{head}{''.join(objects)}</annotation>".encode()


def one(put: Put, root: Path, *objects: str, head: str = "") -> Path:
    put(root / "JPEGImages/a.png", 1)
    put(root / "Annotations/a.xml", record(*objects, head=head))
    return root


def test_boxes_flags_and_attributes_are_taken_as_they_stand(put: Put, tmp_path: Path) -> None:
    more = (
        "<pose>Left</pose><truncated>1</truncated><difficult>true</difficult><occluded>0</occluded>"
        "<attributes><attribute><name>hue</name><value>3</value></attribute></attributes>"
    )
    plain = "<pose>Unspecified</pose><truncated/><difficult>0</difficult>"
    dataset, report = read(
        one(put, tmp_path, box(" cat\n", 1, 2.5, "3.25 ", 8, more=more), box("dog", 0, 0, 8, 8, more=plain))
    )
    found = instances_in(dataset)
    assert dataset.classes == ("cat", "dog")
    assert found.boxes.tolist() == [[1, 2.5, 3.25, 8], [0, 0, 8, 8]]
    assert found.is_truncated.tolist() == found.is_difficult.tolist() == [True, False]
    assert dict(found.columns) == {"hue": ("3", None), "occluded": (False, None), "pose": ("Left", None)}
    assert (report.bad_files, report.warnings, dataset.splits) == ((), (), [None])


def test_no_object_means_that_nothing_is_there_and_no_file_that_nothing_is_known(put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path) / "JPEGImages/b.png", 2)
    put(tmp_path / "Annotations/c.xml", record())
    dataset, report = read(tmp_path)
    assert dataset.ids == ["JPEGImages/a.png"]
    assert len(instances_in(dataset)) == 0
    assert [bad.where for bad in report.bad_files] == ["Annotations/c.xml", "JPEGImages/b.png"]
    assert "expected its picture, such as JPEGImages/c.jpg; got none" in report.bad_files[0].problem
    assert "expected an XML file of its name; got none" in report.bad_files[1].problem


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (box("cat", 1, 2, "x", 8), "object 2: expected xmax as a number; got 'x'"),
        (box("cat", 1, "nan", 3, 8), "object 2: expected ymin as a number; got 'nan'"),
        (box("cat", "1e999", 2, 3, 8), "object 2: expected xmin as a number; got '1e999'"),
        ("<object><name>cat</name></object>", "object 2: expected xmin as a number; got ''"),
        (box("", 1, 2, 3, 8), "object 2: expected a class name; got none"),
        (box("cat", 5, 5, 5, 5), "object 2: expected a box with an area; got [5, 5, 5, 5]; left out"),
        (box("cat", 1, 2, 30, 8), "object 2: expected a box inside 8 x 8; got [1, 2, 30, 8]; clipped"),
        (box("cat", -1e300, 2, -5, 8), "object 2: expected a box inside 8 x 8"),
    ],
)
def test_a_broken_object_is_told_by_number_and_the_others_stay(
    damaged: str, told: str, put: Put, tmp_path: Path
) -> None:
    dataset, report = read(one(put, tmp_path, box("dog", 0, 0, 4, 4), damaged, box("dog", 0, 0, 5, 5)))
    assert instances_in(dataset).boxes[[0, -1]].tolist() == [[0, 0, 4, 4], [0, 0, 5, 5]]
    assert [(bad.path, bad.kind) for bad in report.bad_files] == [("Annotations/a.xml", "object")]
    assert told in report.bad_files[0].problem


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"<!DOCTYPE a [{LAUGHS}]><annotation><filename>&l8;</filename></annotation>", "without a document type"),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
            "without a document type",
        ),
        ('<!DOCTYPE a SYSTEM "http://x.org/a.dtd"><annotation/>', "without a document type"),
        ("<annotation><object></annotation>", "expected XML; got mismatched tag"),
        ("", "expected XML; got no element found"),
        ("<svg/>", "expected <annotation>; got <svg>"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "expected XML; got"),
        ("<annotation>\0</annotation>", "expected XML; got"),
    ],
)
def test_hostile_or_damaged_xml_is_one_error(text: str, told: str, put: Put, tmp_path: Path) -> None:
    put(one(put, tmp_path) / "Annotations/a.xml", text.encode())
    dataset, report = read(tmp_path)
    assert len(dataset) == 0
    assert len(report.bad_files) == 1
    assert report.bad_files[0].path == "Annotations/a.xml"
    assert told in report.bad_files[0].problem


@pytest.mark.slow
def test_deep_nesting_is_survived() -> None:
    deep = b"<annotation>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</annotation>"
    assert parse_record(deep, Findings()).objects == []
    with pytest.raises(Unusable):
        parse_record(deep[:-5], Findings())


def test_splits_come_from_the_lists_of_main_alone(put: Put, tmp_path: Path) -> None:
    lists = {
        "Main/train": "a\r\n\n# a comment\n",
        "Main/val": "b 1\n",
        "Main/test": "c\nnone\n",
        "Main/trainval": "a\nb\n",
        "Main/cat_train": "c  1\nd -1\n",
        "Main/official_test": "d\n",
        "Layout/test": "d\n",
    }
    for name in "abcd":
        put(tmp_path / f"VOC2007/JPEGImages/{name}.jpg", 1)
        put(tmp_path / f"VOC2007/Annotations/{name}.xml", record(head=f"<path>/home/x/{name}.jpg</path>"))
    for name, text in lists.items():
        put(tmp_path / f"VOC2007/ImageSets/{name}.txt", text.encode())
    dataset, report = read(tmp_path)
    assert dataset.splits == ["train", "validation", "test", None]
    assert [bad.where for bad in report.bad_files] == ["VOC2007/ImageSets/Main/test.txt:2"]


def test_a_picture_in_two_splits_is_left_out(put: Put, tmp_path: Path) -> None:
    one(put, tmp_path)
    for name in ("train", "test"):
        put(tmp_path / f"ImageSets/Main/{name}.txt", b"a\n")
    dataset, report = read(tmp_path)
    assert len(dataset) == 0
    assert [str(bad) for bad in report.bad_files] == ["JPEGImages/a.png: expected one split; got test, train"]


def test_xml_beside_the_pictures_takes_the_split_of_its_folder(put: Put, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid")):
        put(tmp_path / f"{split}/x.png", number)
        put(tmp_path / f"{split}/x.xml", record(box("cat", 0, 0, 2, 2)))
    assert voc.claims(Folder.at(tmp_path))
    dataset, _ = read(tmp_path)
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {"train/x.png": "train", "valid/x.png": "validation"}


@pytest.mark.parametrize(
    ("filename", "taken"),
    [
        ("b.png", "JPEGImages/b.png"),
        ("gone.png", "JPEGImages/a.png"),
        ("../../b.png", "JPEGImages/b.png"),
        ("", "JPEGImages/a.png"),
    ],
)
def test_a_filename_counts_where_that_picture_is_there(filename: str, taken: str, put: Put, tmp_path: Path) -> None:
    one(put, tmp_path, box("cat", 0, 0, 2, 2), head=f"<filename>{filename}</filename>")
    put(tmp_path / "JPEGImages/b.png", 2)
    dataset, _ = read(tmp_path)
    assert dataset.ids[0] == taken


def test_wrong_sizes_and_parts_are_counted(put: Put, tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    for name, width in (("a", 8), ("b", 9), ("c", 10)):
        put(tmp_path / f"JPEGImages/{name}.png", 1)
        head = f"<size><width>{width}</width><height>8</height></size>"
        put(tmp_path / f"Annotations/{name}.xml", record(box("cat", 0, 0, 2, 2, more=part), head=head))
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert report.warnings == ("3 parts of objects are left out",)
    assert dataset.ids == ["JPEGImages/a.png"]
    assert [(bad.kind, bad.where) for bad in report.bad_files] == [
        ("size", "Annotations/b.xml"),
        ("size", "Annotations/c.xml"),
    ]
    assert "expected a picture of 9 x 8, as its annotations state; got 8 x 8" in report.bad_files[0].problem


def png(values: np.ndarray, *, colours: bool = False) -> bytes:
    picture = Image.fromarray(palette()[values] if colours else values.astype(np.uint8))
    if not colours:
        picture.putpalette(palette().tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_object_masks_go_to_the_boxes_that_they_fill(swapped: bool, colours: bool, put: Put, tmp_path: Path) -> None:
    ids = np.zeros((8, 8), dtype=np.int64)
    ids[0:3, 0:4] = 2 if swapped else 1
    ids[4:8, 3:8] = 1 if swapped else 2
    ids[7, 7] = 255
    classes = np.where(ids == 255, 255, np.where(ids == 0, 0, 8))
    one(put, tmp_path, box("cat", 0, 0, 4, 3), box("cat", 3, 4, 8, 8), box("dog", 7, 0, 8, 1))
    put(tmp_path / "SegmentationObject/a.png", png(ids, colours=colours))
    put(tmp_path / "SegmentationClass/a.png", png(classes, colours=colours))
    dataset, report = read(tmp_path)
    masks = instances_in(dataset).masks
    assert masks is not None
    assert [None if mask is None else mask.box() for mask in masks] == [(0, 0, 4, 3), (3, 4, 8, 8), None]
    assert masks[1] is not None
    assert masks[1].area == 19
    assert dataset.classes[8] == "cat"
    semantic = dataset[0].annotation.semantic.dense()  # type: ignore[union-attr]
    assert (semantic == np.where(classes == 255, -1, classes)).all()
    assert (report.bad_files, report.warnings) == ((), ())


def test_object_masks_without_xml_are_objects_of_the_class_beneath(put: Put, tmp_path: Path) -> None:
    ids, classes = np.zeros((2, 8, 8), dtype=np.int64)
    ids[1:4, 1:3], classes[1:4, 1:3], ids[5:8, 5:8], classes[5:8, 5:8] = 1, 1, 2, 2
    classes[1, 1] = 2
    put(tmp_path / "JPEGImages/a.png", 1)
    put(tmp_path / "SegmentationObject/a.png", png(ids))
    put(tmp_path / "SegmentationClass/a.png", png(classes))
    put(tmp_path / "class_names.txt", b"_background_\nant\nbee\n")
    assert voc.claims(Folder.at(tmp_path))
    dataset, _ = read(tmp_path)
    found = instances_in(dataset)
    assert [dataset.classes[n] for n in found.class_ids] == ["ant", "bee"]
    assert found.boxes.tolist() == [[1, 1, 3, 4], [5, 5, 8, 8]]


def test_masks_of_another_size_are_told(put: Put, tmp_path: Path) -> None:
    one(put, tmp_path, box("cat", 0, 0, 4, 4))
    put(tmp_path / "SegmentationObject/a.png", png(np.pad(np.ones((4, 4), dtype=np.int64), (0, 3))))
    _, report = read(tmp_path)
    assert [bad.problem for bad in report.bad_files] == [
        "JPEGImages/a.png: object 1: expected a mask of 8 x 8; got one of 7 x 7; left out"
    ]


def test_it_claims_voc_and_nothing_else(put: Put, tmp_path: Path) -> None:
    assert voc.claims(Folder.at(one(put, tmp_path / "plain", box("cat", 0, 0, 2, 2))))
    assert voc.claims(Folder.at(one(put, tmp_path / "kit/VOC2012", head="<filename>a.png</filename>").parent))
    put(
        tmp_path / "labelme/Annotations/a.xml",
        b"<annotation><filename>a</filename><object><polygon/></object></annotation>",
    )
    put(tmp_path / "cvat/annotations/a.xml", b"<annotations><image name='a'/></annotations>")
    put(tmp_path / "classes/annotations/a.png", 1)
    put(tmp_path / "classes/cat/a.png", 1)
    put(tmp_path / "classes/cat/a.xml", b"<x:xmpmeta/>")
    for name in ("labelme", "classes"):
        assert not voc.claims(Folder.at(tmp_path / name)), name


NAMES = ("cat", " dog ", "tv & <monitor>: 1", "小猫")
VALUES = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(-9, 9), st.sampled_from(["Left", "a<b&c", "1", "true"]))


@st.composite
def annotated(draw: st.DrawFn) -> Instances:
    height, width = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        x = sorted(draw(st.lists(st.floats(0, width, width=32), min_size=2, max_size=2, unique=True)))
        y = sorted(draw(st.lists(st.floats(0, height, width=32), min_size=2, max_size=2, unique=True)))
        rows.append([x[0], y[0], x[1], y[1]])
    count = len(rows)

    def each(strategy: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(strategy, min_size=count, max_size=count))

    columns = {name: tuple(each(st.none() | VALUES)) for name in ("pose", "occluded", "hue")}
    return Instances(
        (height, width),
        np.array(each(st.integers(0, 3)), dtype=np.int64),
        np.array(rows, dtype=np.float32).reshape(-1, 4),
        difficult=np.array(each(st.booleans()), dtype=bool),
        truncated=np.array(each(st.booleans()), dtype=bool),
        columns={name: column for name, column in columns.items() if any(v is not None for v in column)},  # type: ignore[misc]
    )


@settings(max_examples=80, deadline=None)
@given(annotated())
def test_objects_survive_their_xml(instances: Instances) -> None:
    from twinset.formats.objects import Objects
    from twinset.instances import from_value

    text = record_xml("a & b.png", instances, NAMES, channels=3)
    found = parse_record(text.encode(), Findings(), frozenset(NAMES))
    objects = Objects()
    number = objects.picture(found.objects)
    rows, array, mishaps = objects.settle({number: instances.size}, NAMES)
    assert (found.filename, found.size, found.bad, mishaps) == ("a & b.png", instances.size[::-1], [], [])
    assert from_value(array[rows[number]].as_py()) == instances


def sample(name: str, annotation: Annotation | None, seed: int = 0) -> Sample:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 8, 1 if seed % 2 else 3), dtype=np.uint8)
    origin = Origin("copypaste", 3, "abc", ("p",)) if seed % 2 else Origin()
    return Sample(name, annotation, origin, image=encode_png(pixels))


def masked() -> Instances:
    left, right = np.zeros((2, 9, 8), dtype=bool)
    left[1:8, 0:3], right[0:9, 4:8], right[3:5, 5:6] = True, True, False
    return Instances(
        (9, 8),
        np.array([1, 0, 1]),
        np.array([[0, 1, 3, 8], [0, 0, 8, 9], [4, 0, 8, 9]]),
        (Rle.of(left), None, Rle.of(right)),
        difficult=np.array([True, False, False]),
    )


@pytest.mark.parametrize("splits", [True, False])
def test_a_dataset_comes_back_whole(splits: bool, tmp_path: Path) -> None:
    samples = [
        sample("a/x.1", Annotation(instances=masked(), attributes={"site": 1}), 1),
        sample("b/x.1", Annotation(instances=Instances.none((9, 8)), caption="none"), 2),
        sample("c", Annotation(instances=masked().take([1])), 3),
    ]
    parts = ["train", "validation", "test"] if splits else None
    dataset = Dataset.of(samples, classes=["zebra", "background", "never"], splits=parts)
    back, report = read(written(dataset, tmp_path / "out"))
    back = back.take([back.row_of(name) for name in dataset.ids])
    assert (report.bad_files, report.warnings) == ((), ())
    assert (back.classes, back.splits, back.task) == (dataset.classes, dataset.splits, dataset.task)
    assert [twin.annotation for twin in back] == [one.annotation for one in dataset]
    assert [twin.origin for twin in back] == [one.origin for one in dataset]
    assert back.digest() == dataset.digest()
    assert voc.losses(dataset) == {}


def test_semantic_maps_come_back_beside_objects_and_alone(tmp_path: Path) -> None:
    semantic = SemanticMap.of(np.arange(72).reshape(9, 8) % 4 - 1)
    samples = [
        sample("a", Annotation(instances=masked(), semantic=semantic), 1),
        sample("b", Annotation(semantic=semantic), 2),
        sample("c", Annotation(instances=masked().take([1])), 3),
    ]
    dataset = Dataset.of(samples, classes=["zebra", "background", "never"])
    back, report = read(written(dataset, tmp_path / "out"))
    assert report.bad_files == ()
    back = back.take([back.row_of(name) for name in dataset.ids])
    for twin, one_ in zip(back, dataset, strict=True):
        assert twin.annotation is not None
        assert one_.annotation is not None
        assert twin.annotation.instances == one_.annotation.instances
        same = [None if a.semantic is None else a.semantic.dense().tolist() for a in (twin.annotation, one_.annotation)]
        assert same[0] == same[1]


def test_what_is_written_is_voc_to_others(tmp_path: Path) -> None:
    dataset = Dataset.of([sample("a", Annotation(instances=masked()), 1)], classes=["zebra", "yak"], splits=["train"])
    path = written(dataset, tmp_path / "out")
    root = ET.parse(path / "Annotations/a.xml").getroot()
    assert [node.findtext("name") for node in root.findall("object")] == ["yak", "zebra", "yak"]
    assert [root.findtext(f"size/{tag}") for tag in ("width", "height", "depth")] == ["8", "9", "1"]
    assert root.findtext("filename") == "a.png"
    with Image.open(path / "SegmentationClass/a.png") as classes, Image.open(path / "SegmentationObject/a.png") as ids:
        assert (classes.mode, ids.mode) == ("P", "P")
        assert set(np.unique(np.asarray(classes))) == {0, 2}
        assert set(np.unique(np.asarray(ids))) == {0, 1, 3}
        assert classes.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # type: ignore[index]
    assert (path / "ImageSets/Main/train.txt").read_text() == (path / "ImageSets/Segmentation/train.txt").read_text()
    assert "yak:0,128,0::" in (path / "labelmap.txt").read_text().splitlines()


def test_losses_are_counted() -> None:
    whole = Polygons(9, 8, ((0.0, 0.0, 8.0, 0.0, 8.0, 4.0, 0.0, 4.0),))
    instances = Instances(
        (9, 8),
        np.array([0, 0]),
        np.array([[0, 0, 8, 4]] * 2),
        (whole, whole),
        crowd=np.array([True, False]),
        difficult=np.array([True, True]),
        confidences=np.array([0.5, np.nan]),
    )
    samples = [sample("a", Annotation(instances=instances)), sample("b", Annotation(class_id=0))]
    expected = {
        "crowd flags": 1,
        "confidences": 1,
        "image classes": 1,
        "unlabelled images": 1,
        "pixels of masks under others": 32,
    }
    assert voc.losses(Dataset.of(samples, classes=["cat"])) == expected


@pytest.mark.slow
@needs_data
def test_bccd_as_its_readme_counts_it() -> None:
    dataset, report = read(DATA / "bccd")
    assert voc.claims(Folder.at(DATA / "bccd"))
    assert len(dataset) == 364
    assert Counter(dataset.splits) == {"train": 80, "validation": 40, "test": 244}
    assert [(bad.path.split("_")[-1], bad.kind) for bad in report.bad_files] == [
        ("00338.xml", "object"),
        ("00343.xml", "object"),
    ]
    assert all("expected a box with an area" in bad.problem for bad in report.bad_files)
    stated = {"train": (929, 82, 83), "validation": (463, 40, 37), "test": (2763, 250, 241)}
    totals = dict(zip(("RBC", "WBC", "Platelets"), map(sum, zip(*stated.values(), strict=True)), strict=True))
    totals["RBC"] -= 2
    assert dataset.object_class_counts() == totals
    found = {s: dataset.where([split == s for split in dataset.splits]).object_class_counts()["WBC"] for s in stated}
    assert found == {split: counts[1] for split, counts in stated.items()}


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        "datumaro/voc_dataset/voc_dataset3",
        "datumaro/roboflow_dataset/voc",
        "labelme_examples/bbox_detection/data_dataset_voc",
    ],
)
def test_valid_fixtures_have_as_many_objects_as_their_xml_says(name: str) -> None:
    texts = [path.read_text() for path in (FIXTURES / name).rglob("*.xml")]
    names = Counter(found for text in texts for found in re.findall(r"<object>\s*<name>(.*?)</name>", text))
    dataset, report = read(FIXTURES / name, on_bad_input="refuse")
    assert voc.claims(Folder.at(FIXTURES / name))
    assert (len(dataset), report.objects) == (len(texts), sum(names.values()))
    assert dataset.object_class_counts() == names


@needs_data
def test_labelme_instances_have_as_many_objects_as_their_masks_have_ids() -> None:
    path = FIXTURES / "labelme_examples/instance_segmentation/data_dataset_voc"
    shapes = set[tuple[str, str, object]]()
    for file in (path.parent / "data_annotated").glob("*.json"):
        for number, shape in enumerate(json.loads(file.read_text())["shapes"]):
            group = shape["group_id"]
            shapes.add((file.stem, shape["label"], f"alone {number}" if group is None else group))
    labels = Counter(label for _, label, _ in shapes if label != "__ignore__")
    dataset, report = read(path, on_bad_input="refuse")
    assert report.objects == sum(labels.values()) == 12
    assert dataset.classes[0] == "_background_"
    assert {name: count for name, count in dataset.object_class_counts().items() if count} == labels


@needs_data
@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "voc_dataset/voc_dataset1",
            r"expected 2 usable images; got 1 that are not, first JPEGImages/2007_000002\.jpg",
        ),
        ("voc_dataset/voc_dataset2", r"expected 5 usable images; got 5 that are not, first Annotations/@\.xml"),
        ("kaggle_dataset/relaxed_voc1", r"got 1 that are not, first images/2007_000002\.jpg: expected an XML file"),
        ("kaggle_dataset/relaxed_voc2", r"got 1 that are not, first 2007_000002\.jpg: expected an XML file"),
    ],
)
def test_partial_fixtures_are_one_clear_error(name: str, told: str) -> None:
    with pytest.raises(DatasetFormatError, match=told):
        read(FIXTURES / "datumaro" / name, on_bad_input="refuse")
