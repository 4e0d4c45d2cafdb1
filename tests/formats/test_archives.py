"""Tar and Parquet files as other people write them."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinset.errors import DatasetFormatError
from twinset.formats import read
from twinset.formats.webdataset import shard_split

Picture = Callable[[int], bytes]


def tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_webdataset_labels_from_cls_and_json(picture: Picture, tmp_path: Path) -> None:
    members = {"./a/1.png": picture(1), "./a/1.cls": b"10\n", "./a/2.png": picture(2), "./a/2.cls": b"9"}
    tar(tmp_path / "train-0000.tar", members)
    row = json.dumps({"label": "owl", "site": "north", "age": 3}).encode()
    tar(
        tmp_path / "val-0000.tar", {"x.png": picture(3), "x.json": row, "x.txt": b"an owl\n", ".hid": b"", "x.npy": b""}
    )
    dataset, report = read(tmp_path)
    assert dataset.ids == ["train-0000/a/1", "train-0000/a/2", "val-0000/x"]
    assert dataset.classes == ("9", "10", "owl")
    assert dataset.splits == ["train", "train", "validation"]
    annotation = dataset[2].annotation
    assert annotation is not None
    assert (annotation.caption, dict(annotation.attributes)) == ("an owl", {"site": "north", "age": 3})
    assert report.ignored == {"hidden": 1, "other": 1}


def test_webdataset_shards_in_split_folders(picture: Picture, tmp_path: Path) -> None:
    for number, name in enumerate(["train", "test"]):
        tar(tmp_path / name / "00.tar", {"a.jpg": picture(number), "a.cls": b"0"})
    dataset, _ = read(tmp_path)
    assert sorted(str(split) for split in dataset.splits) == ["test", "train"]


def hub_file(path: Path, picture: Picture, labels: list[int], names: list[str] | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("img", image), ("label", pa.int64()), ("site", pa.string())])
    if names is not None:
        features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        schema = schema.with_metadata({b"huggingface": json.dumps({"info": {"features": features}}).encode()})
    rows = {
        "img": [{"bytes": picture(number), "path": f"{number}.png"} for number in range(len(labels))],
        "label": labels,
        "site": ["north"] * len(labels),
    }
    pq.write_table(pa.table(rows, schema=schema), path)


def test_parquet_of_the_hub(picture: Picture, tmp_path: Path) -> None:
    hub_file(tmp_path / "data/train-00000-of-00001.parquet", picture, [1, 0, -1], ["zebra", "ape"])
    hub_file(tmp_path / "data/test-00000-of-00001.parquet", picture, [1], ["zebra", "ape"])
    dataset, report = read(tmp_path)
    assert report.format == "parquet"
    assert dataset.classes == ("zebra", "ape")
    assert dict(zip(dataset.ids, dataset.class_ids.tolist(), strict=True)) == {
        "data/test-00000-of-00001/000000": 1,
        "data/train-00000-of-00001/000000": 1,
        "data/train-00000-of-00001/000001": 0,
        "data/train-00000-of-00001/000002": -1,
    }
    assert sorted(str(split) for split in dataset.splits) == ["test", "train", "train", "train"]
    annotation = dataset[0].annotation
    assert annotation is not None
    assert dict(annotation.attributes) == {"site": "north"}


def test_parquet_without_names_takes_numbers_as_classes(picture: Picture, tmp_path: Path) -> None:
    hub_file(tmp_path / "a.parquet", picture, [10, 9], None)
    assert read(tmp_path / "a.parquet")[0].classes == ("9", "10")


def test_parquet_files_that_disagree_on_classes_are_refused(picture: Picture, tmp_path: Path) -> None:
    hub_file(tmp_path / "train.parquet", picture, [0], ["a", "b"])
    hub_file(tmp_path / "test.parquet", picture, [0], ["b", "a"])
    with pytest.raises(DatasetFormatError, match="expected the same classes in all files"):
        read(tmp_path)


def test_a_label_past_the_names_is_a_bad_row(picture: Picture, tmp_path: Path) -> None:
    hub_file(tmp_path / "a.parquet", picture, [0, 7], ["a", "b"])
    _, report = read(tmp_path, on_bad_input="skip")
    assert [str(bad) for bad in report.bad_files] == ["a.parquet:2: expected a class below 2; got 7"]


def test_a_parquet_file_of_numbers_does_not_hide_class_folders(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").write_bytes(picture(1))
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "features.parquet")
    assert read(tmp_path)[0].classes == ("cat",)


def test_builtin_digits_are_the_1797_scans() -> None:
    from sklearn.datasets import load_digits

    dataset, report = read("builtin:digits")
    assert len(dataset) == report.images == 1797
    assert dataset.ids[5] == "digits/0005"
    assert dataset.splits == [None] * 1797
    source = load_digits()
    assert dataset.class_ids.tolist() == source.target.tolist()
    assert (dataset[5].pixels()[..., 0] == (source.images[5] * 255 / 16).round()).all()
    assert dataset[5].pixels().max() == 255
    assert "load_digits" in str(dataset[0].origin.licence)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("imagenet-train-000000.tar", "train"),
        ("cifar10-test-000.tar", "test"),
        ("my_dataset-val.parquet", "validation"),
        ("pets/dev/00.tar", "validation"),
        ("trainer.tar", None),
        ("train_test.tar", None),
        ("train/val-and-test.tar", None),
    ],
)
def test_a_split_may_be_named_by_any_word_of_a_shard(name: str, split: str | None) -> None:
    assert shard_split(name) == split


def test_official_test_shards_stay_test_images(picture: Picture, tmp_path: Path) -> None:
    tar(tmp_path / "pets-train-000.tar", {"a.png": picture(1), "a.cls": b"0"})
    tar(tmp_path / "pets-test-000.TAR", {"a.png": picture(2), "a.cls": b"0"})
    dataset, _ = read(tmp_path)
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "pets-test-000/a": "test",
        "pets-train-000/a": "train",
    }


@pytest.mark.parametrize("name", ["backup.tar", "backup.parquet"])
def test_an_archive_beside_class_folders_does_not_take_their_place(name: str, picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").write_bytes(picture(1))
    if name.endswith(".tar"):
        tar(tmp_path / name, {"a.png": picture(2)})
    else:
        hub_file(tmp_path / name, picture, [0], None)
    with pytest.raises(DatasetFormatError, match=rf"expected one dataset; got {name} beside .* cat; give the file"):
        read(tmp_path)
    assert len(read(tmp_path / name)[0]) == 1


def test_loose_pictures_beside_shards_are_no_class_folders(picture: Picture, tmp_path: Path) -> None:
    tar(tmp_path / "data/a.tar", {"a.png": picture(2)})
    for name in ("preview.png", "data/preview.png"):
        (tmp_path / name).write_bytes(picture(1))
    assert read(tmp_path)[0].ids == ["data/a/a"]


def test_names_with_many_dots_are_one_error_and_not_held_in_memory(tmp_path: Path) -> None:
    size = 200_000
    tar(tmp_path / "a.tar", {f"IMG.{number:04d}.png": bytes(size) for number in range(50)})
    tracemalloc.start()
    try:
        _, report = read(tmp_path, on_bad_input="report")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [bad.problem for bad in report.bad_files] == [
        "expected one picture a key; got 50 (a key ends at the first dot of a name)"
    ]
    assert peak < 25 * size


def test_the_same_picture_name_twice_in_a_row_is_an_error(picture: Picture, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(2):
            member = tarfile.TarInfo("a.png")
            member.size = len(picture(number))
            archive.addfile(member, io.BytesIO(picture(number)))
    with pytest.raises(DatasetFormatError, match="expected one picture a key; got 2"):
        read(tmp_path)


def test_class_numbers_of_any_length_are_checked(picture: Picture, tmp_path: Path) -> None:
    value = {"schema": "twinset/classes/1", "classes": ["zebra", "ape"], "folders": {}}
    (tmp_path / "classes.json").write_text(json.dumps(value))
    members = {"a.png": picture(1), "a.cls": b"000000000001", "b.png": picture(2), "b.cls": b"1" * 5000}
    tar(tmp_path / "a.tar", members)
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert dataset.class_counts() == {"zebra": 0, "ape": 1}
    assert [bad.problem for bad in report.bad_files] == [f"expected a class below 2; got {'1' * 40}"]


def foreign(path: Path, picture: Picture, columns: dict[str, list[object]]) -> None:
    rows = {"image": [picture(number) for number in range(2)], "label": [0, 1], **columns}
    pq.write_table(pa.table(rows), path)


def test_columns_of_other_people_that_do_not_fit_ours_are_attributes(picture: Picture, tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "id": [7, 8],
        "caption": [["a", "b"], ["c"]],
        "attributes": ["red", "blue"],
        "class_probabilities": [0.5, 0.25],
        "method": ["scan", "photo"],
        "seed": [3, 4],
        "licence": ["CC0", "CC0"],
        "path": ["x/1.png", "x/2.png"],
        "sha256": ["a", "b"],
        "split": [1, 2],
    }
    foreign(tmp_path / "a.parquet", picture, columns)
    dataset, _ = read(tmp_path)
    assert dataset.ids == ["7", "8"]
    assert dataset.splits == [None, None]
    annotation = dataset[0].annotation
    assert annotation is not None
    assert annotation.caption is annotation.class_probabilities is None
    assert dict(annotation.attributes) == {
        "caption": '["a", "b"]',
        "attributes": "red",
        "class_probabilities": 0.5,
        "method": "scan",
        "seed": 3,
        "licence": "CC0",
        "path": "x/1.png",
        "sha256": "a",
        "split": 1,
    }
    assert not dataset[0].origin.synthetic
    assert dataset[0].origin.licence is None


def test_columns_of_other_people_that_fit_ours_are_taken(picture: Picture, tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "id": ["x", "y"],
        "caption": ["a cat", None],
        "attributes": ['{"age": 3}', None],
        "class_probabilities": [[0.75, 0.25], [0.0, 1.0]],
    }
    foreign(tmp_path / "a.parquet", picture, columns)
    dataset, _ = read(tmp_path)
    annotation = dataset[0].annotation
    assert annotation is not None
    assert (annotation.caption, dict(annotation.attributes)) == ("a cat", {"age": 3})
    assert annotation.class_probabilities == (0.75, 0.25)
    assert dataset.ids == ["x", "y"]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ({"id": [7, 8]}, "expected id as text; got 7"),
        ({"caption": [["a"], ["b"]]}, "expected caption as text; got list"),
        ({"attributes": ["red", "{}"]}, "expected attributes as JSON; got Expecting value"),
        ({"class_probabilities": ["[2, -1]", ""]}, "expected class_probabilities as a list of numbers in 0–1; got"),
        ({"class_probabilities": ["[0.5]", ""]}, "expected class_probabilities that sum to 1; got a sum of 0.5"),
        ({"seed": [-1, 1]}, "expected a seed of 0 to 9223372036854775807; got -1"),
        ({"parents": ["{}", "[]"]}, "expected parents as a list of ids; got '{}'"),
        ({"method": ["diffusion", ""]}, "expected a seed and a recipe digest of a synthetic sample; got"),
    ],
)
def test_our_own_columns_are_read_strictly(
    column: dict[str, list[object]], problem: str, picture: Picture, tmp_path: Path
) -> None:
    ours: dict[str, list[object]] = {
        "method": ["", ""],
        "recipe_digest": ["", ""],
        "seed": [None, None],
        "parents": ["", ""],
        "licence": ["", ""],
    }
    foreign(tmp_path / "a.parquet", picture, {**ours, **column})
    _, report = read(tmp_path, on_bad_input="report")
    assert report.bad_files
    assert report.bad_files[0].problem.startswith(problem)


def test_a_parquet_value_that_cannot_be_read_is_a_bad_row(picture: Picture, tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"\xff"]).buffers())
    times = pa.array([1, 2], pa.timestamp("ns"))
    rows = {"image": [picture(0), picture(1)], "label": [0, 1], "note": texts, "time": times}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert len(dataset) == 1
    assert [(bad.line, bad.problem[:46]) for bad in report.bad_files] == [
        (2, "expected values that can be read; got 'utf-8' ")
    ]


def test_a_parquet_column_that_is_there_twice_is_refused(picture: Picture, tmp_path: Path) -> None:
    columns = [pa.array([picture(0)]), pa.array([picture(1)]), pa.array([1])]
    pq.write_table(pa.table(columns, names=["image", "image", "label"]), tmp_path / "a.parquet")
    with pytest.raises(DatasetFormatError, match="expected distinct columns; got image twice"):
        read(tmp_path)


def test_class_names_of_parquet_stay_distinct_when_written_out(picture: Picture, tmp_path: Path) -> None:
    hub_file(tmp_path / "a.parquet", picture, [0, 1], ["b\x01", "b\\x01"])
    with pytest.raises(DatasetFormatError, match="expected distinct class names"):
        read(tmp_path)
