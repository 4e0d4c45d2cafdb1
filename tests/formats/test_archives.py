"""Tar and Parquet files as other people write them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinset.errors import DatasetFormatError
from twinset.formats import read

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
