"""YOLO read and written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.formats import yolo
from twinset.formats.folder import Folder
from twinset.formats.listing import OnBadInput, ReadReport
from twinset.formats.outlines import outline
from twinset.formats.reading import collect
from twinset.formats.writing import whole_folder
from twinset.images import FULL_RANGE, encode_png
from twinset.masks import Polygons, Rle

Put = Callable[..., Path]
DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))
FIXTURES = DATA / "format_fixtures/datumaro"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="TWINSET_DATA is not set")


def read(path: Path, data_file: str | None = None, on_bad_input: OnBadInput = "report") -> tuple[Dataset, ReadReport]:
    listing = yolo.listing(Folder.at(path), "set", data_file)
    return collect(listing, source=str(path), on_bad_input=on_bad_input, window=FULL_RANGE)


def written(dataset: Dataset, path: Path) -> Path:
    with whole_folder(path) as target:
        yolo.write(dataset, target, encode=None)
    return path


def boxes(dataset: Dataset, row: int = 0) -> list[list[float]]:
    annotation = dataset[row].annotation
    assert annotation is not None
    assert annotation.instances is not None
    return annotation.instances.boxes.tolist()


def small(put: Put, root: Path, text: bytes, data: str = "names: [cat, dog]\ntrain: images\n") -> Path:
    put(root / "images/a.png", 1)
    put(root / "labels/a.txt", text)
    put(root / "data.yaml", data.encode())
    return root


def test_a_line_is_class_centre_and_size_in_fractions(put: Put, tmp_path: Path) -> None:
    dataset, report = read(small(put, tmp_path, b"\xef\xbb\xbf1 0.5 0.25 0.5 0.25\r\n\r\n 0  .25 .5 .25 1.0  0.75 \n"))
    assert boxes(dataset) == [[2, 1, 6, 3], [1, 0, 3, 8]]
    assert dataset.classes == ("cat", "dog")
    assert dataset.object_column("class_id").tolist() == [1, 0]
    assert dataset.object_column("confidence").tolist()[1] == 0.75
    assert np.isnan(dataset.object_column("confidence").tolist()[0])
    assert (dataset.splits, report.bad_files, report.objects) == (["train"], (), 2)


def test_an_outline_is_a_mask_with_its_box(put: Put, tmp_path: Path) -> None:
    dataset, report = read(small(put, tmp_path, b"0 0.25 0.125 0.75 0.125 0.75 0.5 0.25 0.5\n"))
    assert dataset.task == "instance-segmentation"
    assert boxes(dataset) == [[2, 1, 6, 4]]
    mask = dataset[0].annotation.instances.dense_masks()[0]  # type: ignore[union-attr]
    assert mask.sum() == 12
    assert mask[1:4, 2:6].all()
    assert report.bad_files == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.5", "got 4 columns"),
        ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "got 8 columns"),
        ("0 0.5 0.5 a 0.5", "expected numbers"),
        ("0 nan 0.5 0.5 0.5", "expected fractions of the picture, 0–1; got nan"),
        ("0 0.5 inf 0.5 0.5", "got inf"),
        ("0 0.5 0.5 1e999 0.5", "got 1e999"),
        ("0 320 240 100 50", "got 320"),
        ("-1 0.5 0.5 0.5 0.5", "expected a class id; got '-1'"),
        ("0.5 0.5 0.5 0.5 0.5", "expected a class id; got '0.5'"),
        ("1_0 0.5 0.5 0.5 0.5", "expected a class id"),
        ("99999999999999999999 .5 .5 .5 .5", "expected a class id"),
        ("2 0.5 0.5 0.5 0.5", "expected a class id out of 0…1; got 2"),
        ("0 0.5 0.5 0.5 0.5 1.5", "expected a confidence in 0–1; got 1.5"),
        ("0 0.5 0.5 0 0.5", "expected a box with an area"),
        ("0 1.5 0.5 0.2 0.5", "expected a box inside 8 x 8"),
    ],
)
def test_a_broken_line_is_told_with_its_number_and_the_picture_stays(
    line: str, told: str, put: Put, tmp_path: Path
) -> None:
    dataset, report = read(small(put, tmp_path, f"0 .5 .5 .5 .5\n\n{line}\n1 .5 .5 .5 .5\n".encode()))
    assert dataset.object_column("class_id").tolist() == [0, 1]
    assert [(bad.where, bad.kind) for bad in report.bad_files] == [("labels/a.txt:3", "object")]
    assert told in report.bad_files[0].problem


def test_a_missing_label_file_is_bad_and_an_empty_one_says_nothing_is_there(put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, b"\n \n")
    put(tmp_path / "images/b.png", 2)
    dataset, report = read(tmp_path)
    assert dataset.object_counts().tolist() == [0]
    assert dataset[0].annotation is not None
    expected = "images/b.png: expected labels/b.txt; got none; an empty file says that nothing is there"
    assert [str(bad) for bad in report.bad_files] == [expected]
    with pytest.raises(DatasetFormatError, match=r"expected 2 usable images; got 1 that are not, first images/b\.png"):
        read(tmp_path, on_bad_input="refuse")


def test_label_files_without_a_picture_are_counted(put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, b"")
    for name in ("b", "c"):
        put(tmp_path / f"labels/{name}.txt", b"0 .5 .5 .5 .5\n")
    _, report = read(tmp_path)
    assert report.warnings == ("2 label files have no picture, first labels/b.txt",)
    assert report.bad_files == ()


@pytest.mark.parametrize("order", ["images/{}/x.1.png labels/{}/x.1.txt", "{}/images/x.1.png {}/labels/x.1.txt"])
@pytest.mark.parametrize("described", [False, True])
def test_split_folders_may_be_above_or_below(order: str, described: bool, put: Put, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        image, label = order.format(split, split).split()
        put(tmp_path / image, number)
        put(tmp_path / label, f"{number} .5 .5 .5 .5\n".encode())
    if described:
        folder = order.split("/x.1")[0]
        lines = [f"{split}: ./{folder.format(split)}/" for split in ("train", "val", "test")]
        lines += ["path: /home/somebody/set", "names: {0: tv.monitor, 2: 'no', 1: 1.0}"]
        put(tmp_path / "data.yaml", "\n".join(lines).encode())
    dataset, report = read(tmp_path)
    pairs = zip(dataset.splits, dataset.object_column("class_id").tolist(), strict=True)
    assert sorted(pairs, key=str) == [("test", 2), ("train", 0), ("validation", 1)]
    assert dataset.classes == (("tv.monitor", "1.0", "no") if described else ("0", "1", "2"))
    assert (report.bad_files, report.warnings) == ((), ())


def test_lists_of_pictures_count_from_where_they_lie_or_from_the_top(put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        put(tmp_path / f"x/images/{name}.png", number)
        put(tmp_path / f"x/labels/{name}.txt", b"")
    put(tmp_path / "x/train.txt", b"./images/a.png\r\nx/images/b.png\n/etc/passwd\n../../etc/passwd\nimages/none.png\n")
    put(tmp_path / "x/val.txt", b"images/c.png\n")
    put(tmp_path / "data.yaml", b"names: [a]\ntrain: [x/train.txt]\nval: x/val.txt\n")
    dataset, report = read(tmp_path)
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "x/images/a.png": "train",
        "x/images/b.png": "train",
        "x/images/c.png": "validation",
    }
    assert [bad.where for bad in report.bad_files] == ["x/train.txt:3", "x/train.txt:4", "x/train.txt:5"]
    assert "absolute path" in report.bad_files[0].problem
    assert "climbs out" in report.bad_files[1].problem


def test_leading_dots_are_dropped_and_the_sister_folder_is_the_nearest(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "images/pics/images/a.png", 1)
    put(tmp_path / "images/pics/labels/a.txt", b"")
    put(tmp_path / "labels/pics/images/a.txt", b"0 .5 .5 .5 .5\n")
    put(tmp_path / "data.yaml", b"names: [cat]\ntrain: ../images/pics\n")
    dataset, report = read(tmp_path)
    assert (dataset.splits, report.bad_files, report.objects) == (["train"], (), 0)


def test_a_folder_named_for_two_splits_is_in_none(put: Put, tmp_path: Path) -> None:
    dataset, _ = read(small(put, tmp_path, b"", "names: [cat]\ntrain: images\nval: images\n"))
    assert dataset.splits == [None]


def test_a_test_split_that_is_written_down_but_not_there_is_none(put: Put, tmp_path: Path) -> None:
    """Exporters write the line for every dataset."""
    dataset, report = read(small(put, tmp_path, b"", "names: [cat]\ntrain: images\ntest: ../test/images\n"))
    assert (len(dataset), report.bad_files) == (1, ())
    assert any("no test split is read" in text for text in report.warnings)


@pytest.mark.parametrize("place", ["/etc", "../../etc", "C:\\data", "https://x.org/a.zip", "nowhere", "images/../.."])
def test_a_place_outside_or_absent_is_one_clear_error(place: str, put: Put, tmp_path: Path) -> None:
    dataset, report = read(small(put, tmp_path, b"", f"names: [cat]\ntrain: images\nval: '{place}'\n"))
    assert len(dataset) == 1
    assert [bad.where for bad in report.bad_files] == ["data.yaml"]
    assert "expected val as a folder or list inside the dataset" in report.bad_files[0].problem


def test_links_that_lead_out_are_never_opened(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "secret.txt", b"0 .5 .5 .5 .5\n")
    root = small(put, tmp_path / "set", b"")
    (root / "labels/a.txt").unlink()
    (root / "labels/a.txt").symlink_to(tmp_path / "secret.txt")
    dataset, report = read(root)
    assert len(dataset) == 0
    assert any("leads outside" in bad.problem for bad in report.bad_files)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("names: !!python/object/apply:os.system [ls]\ntrain: images\n", "data.yaml:1: expected plain values"),
        ("a: &a [x]\nnames: [*a]\ntrain: images\n", "data.yaml:1: expected plain values"),
        ("names: [cat\ntrain: images\n", "expected YAML"),
        ("names: []\ntrain: images\n", "expected class names; got none"),
        ("names: [cat, cat]\ntrain: images\n", "expected distinct class names; got 'cat' twice"),
        ("names: {a: cat}\ntrain: images\n", "expected names as a list or by number"),
        ("names: [[cat]]\ntrain: images\n", "expected a name for class 0"),
        ("names: [cat]\ntrain: images\nkpt_shape: [17, 3]\n", "expected boxes or outlines; got keypoints"),
        ("names: [" * 3000 + "\ntrain: x\n", "data.yaml"),
    ],
)
def test_a_hostile_or_broken_description_is_one_error(data: str, told: str, put: Put, tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError) as caught:
        read(small(put, tmp_path, b"", data))
    assert told in str(caught.value)


def test_several_descriptions_must_be_told_apart(put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, b"1 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").rename(tmp_path / "boxes.yaml")
    put(tmp_path / "other.yaml", b"names: [one, two, three]\ntrain: images\n")
    with pytest.raises(DatasetFormatError, match=r"expected one data\.yaml; got boxes\.yaml, other\.yaml"):
        read(tmp_path)
    assert read(tmp_path, "other.yaml")[0].classes == ("one", "two", "three")


def test_it_claims_yolo_and_nothing_else(put: Put, tmp_path: Path) -> None:
    assert yolo.claims(Folder.at(small(put, tmp_path / "described", b"")))
    put(tmp_path / "bare/train/images/a.png", 1)
    put(tmp_path / "bare/train/labels/a.txt", b"0 .5 .5 .5 .5\n")
    assert yolo.claims(Folder.at(tmp_path / "bare"))
    put(tmp_path / "beside/a.png", 1)
    put(tmp_path / "beside/a.txt", b"0 .5 .5 .5 .5\n")
    assert yolo.claims(Folder.at(tmp_path / "beside"))
    put(tmp_path / "classes/cat/a.png", 1)
    put(tmp_path / "classes/cat/a.txt", b"a photo of a cat\n")
    put(tmp_path / "classes/labels/b.png", 1)
    put(tmp_path / "classes/readme.txt", b"0 1 2")
    assert not yolo.claims(Folder.at(tmp_path / "classes"))
    put(
        tmp_path / "kitti/labels/a.txt", b"Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16 2.3 58 1.57\n"
    )
    put(tmp_path / "kitti/images/a.png", 1)
    assert not yolo.claims(Folder.at(tmp_path / "kitti"))


def sample(name: str, instances: Instances | None, seed: int = 0) -> Sample:
    height, width = instances.size if instances is not None else (9, 8)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    origin = Origin("copypaste", 3, "abc", ("p",)) if seed % 2 else Origin()
    return Sample(name, Annotation(instances=instances, attributes={"site": "a"}), origin, image=encode_png(pixels))


SIDES = st.integers(1, 5000)


@st.composite
def boxed(draw: st.DrawFn) -> Instances:
    height, width = draw(SIDES), draw(SIDES)
    count = draw(st.integers(0, 6))
    rows = []
    for _ in range(count):
        x = sorted(draw(st.lists(st.floats(0, width, width=32), min_size=2, max_size=2, unique=True)))
        y = sorted(draw(st.lists(st.floats(0, height, width=32), min_size=2, max_size=2, unique=True)))
        if x[1] - x[0] > 1e-2 and y[1] - y[0] > 1e-2:
            rows.append([x[0], y[0], x[1], y[1]])
    ids = [draw(st.integers(0, 2)) for _ in rows]
    return Instances((height, width), np.array(ids, dtype=np.int64), np.array(rows, dtype=np.float32).reshape(-1, 4))


@settings(max_examples=80, deadline=None)
@given(boxed())
def test_boxes_survive_their_line(instances: Instances) -> None:
    text = "\n".join(yolo.label_lines(instances))
    stated, bad = yolo.stated_in(text, "x", {0: "a", 1: "b", 2: "c"})
    assert bad == []
    assert ["abc".index(str(one.label)) for one in stated] == instances.class_ids.tolist()
    height, width = instances.size
    back = np.array([one.box for one in stated]).reshape(-1, 4) * (width, height, width, height)
    assert np.abs(back - instances.boxes).max(initial=0) <= 1e-6


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0.05, 0.95))
def test_any_mask_is_one_outline_that_gives_the_same_pixels(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    ring = outline(Rle.of(mask))
    assert (ring is None) == (not mask.any())
    if ring is not None:
        assert (Polygons(height, width, (ring,)).dense() == mask).all()


def pixels_of(instances: Instances) -> list[list[list[bool]] | None]:
    masks = instances.masks or (None,) * len(instances)
    return [None if mask is None else mask.dense().tolist() for mask in masks]


def test_a_dataset_comes_back_with_splits_names_origins_and_masks(tmp_path: Path) -> None:
    ring = np.zeros((9, 8), dtype=bool)
    ring[1:8, 1:7] = True
    ring[3:5, 3:5] = False
    ring[8, 7] = True
    masks = (Rle.of(ring), Polygons(9, 8, ((1.25, 1.5, 6.0, 2.0, 3.0, 8.0),)), None)
    shaped = Instances((9, 8), np.array([2, 0, 1]), np.array([[1, 1, 8, 9], [1.25, 1.5, 6, 8], [0, 0, 8, 9]]), masks)
    samples = [sample("a/x.1", shaped, 1), sample("b/x.1", Instances.none((9, 8)), 2), sample("c", shaped.take([2]), 3)]
    dataset = Dataset.of(samples, classes=["no", "tv: 'x'.", "小猫"], splits=["train", "validation", "test"])
    back, report = read(written(dataset, tmp_path / "out"))
    back = back.take([back.row_of(name) for name in dataset.ids])
    assert (report.bad_files, report.warnings) == ((), ())
    assert back.classes == ("no", "tv: 'x'.", "小猫")
    assert back.splits == dataset.splits
    for one, twin in zip(dataset, back, strict=True):
        assert one.annotation is not None
        assert twin.annotation is not None
        assert twin.origin == one.origin
        assert twin.annotation.attributes == one.annotation.attributes
        assert (twin.pixels() == one.pixels()).all()
        before, after = one.annotation.instances, twin.annotation.instances
        assert before is not None
        assert after is not None
        assert after.class_ids.tolist() == before.class_ids.tolist()
        assert after.boxes.tolist() == before.boxes.tolist()
        assert pixels_of(after) == pixels_of(before)
    assert back[0].annotation.instances.masks[1] == masks[1]  # type: ignore[union-attr,index]
    assert yolo.losses(dataset) == {}


def test_without_splits_trainers_find_train_and_val_and_none_comes_back(tmp_path: Path) -> None:
    dataset = Dataset.of([sample("a", Instances.none((9, 8)))], classes=["cat"])
    path = written(dataset, tmp_path / "out")
    data = yaml.safe_load((path / "data.yaml").read_text())
    assert data == {"train": "images", "val": "images", "nc": 1, "names": {0: "cat"}}
    assert read(path)[0].splits == [None]


def test_losses_are_counted(tmp_path: Path) -> None:
    rings = ((0.0, 0.0, 4.0, 0.0, 4.0, 4.0), (5.0, 5.0, 8.0, 5.0, 8.0, 8.0))
    instances = Instances(
        (9, 8),
        np.array([0, 0]),
        np.array([[0, 0, 8, 8], [1, 1, 3, 3]]),
        (Polygons(9, 8, rings), Polygons(9, 8, ((1.0, 1.0, 4.0, 1.0, 4.0, 4.0),))),
        crowd=np.array([True, False]),
        difficult=np.array([True, True]),
        confidences=np.array([0.5, np.nan]),
        columns={"colour": ("red", None)},
    )
    dataset = Dataset.of([sample("a", instances), Sample("b", image=sample("b", None).image)], classes=["cat"])
    assert yolo.losses(dataset) == {
        "crowd flags": 1,
        "difficult flags": 2,
        "confidences": 1,
        "object attributes": 1,
        "unlabelled images": 1,
        "boxes beside masks": 1,
        "outlines of several parts": 1,
    }


@needs_data
def test_aerial_cars_as_its_readme_counts_it() -> None:
    dataset, report = read(DATA / "aerial_cars")
    assert yolo.claims(Folder.at(DATA / "aerial_cars"))
    counts = Counter(dataset.splits)
    assert counts == {"train": 44, "validation": 4, "test": 36}
    objects = dict.fromkeys(counts, 0)
    for split, count in zip(dataset.splits, dataset.object_counts().tolist(), strict=True):
        objects[split] += count
    assert objects == {"train": 766, "validation": 64, "test": 1618}
    assert dataset.classes == ("car", "truck", "bus", "minibus", "cyclist")
    assert dataset.object_class_counts()["cyclist"] == 0
    assert dataset.object_class_counts()["truck"] == 5
    assert [bad.path for bad in report.bad_files] == [f"labels/train/MOS{n}.txt" for n in (74, 84, 92)]
    assert all(bad.problem.endswith("clipped") for bad in report.bad_files)


@needs_data
@pytest.mark.parametrize(
    ("file", "folder", "objects", "missing"), [("detect", "labels", 354, 1), ("segment", "labels_segment", 355, 0)]
)
def test_coco_mini_has_boxes_and_outlines_as_its_readme_counts_them(
    file: str, folder: str, objects: int, missing: int
) -> None:
    dataset, report = read(DATA / "coco_mini", f"{file}.yaml")
    files = (DATA / "coco_mini" / folder).rglob("*.txt")
    assert report.objects == objects == sum(bool(line.strip()) for path in files for line in path.open())
    assert len(report.bad_files) == missing
    assert len(dataset) == 53 - missing


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        "yolo_dataset/strict",
        "yolo_dataset/labels",
        "yolo_dataset/annotations",
        "roboflow_dataset/yolo",
        "kaggle_dataset/relaxed_yolo",
    ],
)
def test_valid_fixtures_have_as_many_objects_as_lines(name: str) -> None:
    path = FIXTURES / name
    numeric = [p for p in path.rglob("*.txt") if p.read_text()[:1].isdigit()]
    lines = [line.split() for p in numeric for line in p.read_text().splitlines() if line.strip()]
    dataset, report = read(path, on_bad_input="refuse")
    assert yolo.claims(Folder.at(path))
    assert len(dataset) == len(numeric) == len(list(path.rglob("*.jpg")))
    assert report.objects == len(lines)
    names = [f"label_{parts[0]}" if dataset.classes[0].startswith("label") else parts[0] for parts in lines]
    assert {k: n for k, n in dataset.object_class_counts().items() if n} == Counter(names)


@needs_data
def test_oriented_boxes_in_label_txt_are_one_clear_error() -> None:
    with pytest.raises(DatasetFormatError, match=r"expected 3 usable images; got 3 that are not, first train/images"):
        read(FIXTURES / "roboflow_dataset/yolo_obb", on_bad_input="refuse")
