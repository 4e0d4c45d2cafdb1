from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset.errors import DatasetFormatError
from twinset.formats import read

Put = Callable[..., Path]


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for number in range(3):
        put(tmp_path / f"images/{number}.png", number)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,label,patient\nimages/0.png,cat,007\nimages/1.png,dog,8\n"),
        ("labels.csv", "\ufeffFilename;Class;patient\r\nimages/0.png;cat;007\r\n\r\nimages/1.png;dog;8\r\n"),
        ("labels.tsv", "patient\tfile\ttarget\n007\timages/0.png\tcat\n8\timages\\1.png\tdog\n"),
        ("labels.jsonl", '{"image": "./images/0.png", "label": "cat", "patient": "007"}\n\n'
         '{"image": "images/1.png", "label": "dog", "patient": "8"}\n'),
    ],
)  # fmt: skip
def test_tables_of_path_and_label(name: str, text: str, root: Path) -> None:
    (root / name).write_text(text, encoding="utf-8", newline="")
    for source in (root, root / name):
        dataset, report = read(source)
        assert report.format == name.split(".")[1]
        assert dataset.ids == ["images/0.png", "images/1.png"]
        assert dataset.classes == ("cat", "dog")
        annotation = dataset[0].annotation
        assert annotation is not None
        assert dict(annotation.attributes) == {"patient": "007"}


def test_jsonl_keeps_types_and_takes_numbers_as_class_names(root: Path) -> None:
    lines = ['{"path": "images/0.png", "label": 10, "age": 4}', '{"path": "images/1.png", "label": 9, "age": 5.5}']
    (root / "x.jsonl").write_text("\n".join(lines))
    dataset, _ = read(root)
    assert dataset.classes == ("9", "10")
    assert [dict(sample.annotation.attributes) for sample in dataset if sample.annotation] == [{"age": 4}, {"age": 5.5}]


def test_splits_come_from_a_column_or_from_file_names(root: Path) -> None:
    (root / "a.csv").write_text("path,label,split\nimages/0.png,x,Train\nimages/1.png,y,val\nimages/2.png,y,\n")
    assert read(root)[0].splits == ["train", "validation", None]
    (root / "a.csv").unlink()
    for number, name in enumerate(["train", "val", "test"]):
        (root / f"{name}.csv").write_text(f"path,label\nimages/{number}.png,x\n")
    dataset, _ = read(root)
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "images/0.png": "train",
        "images/1.png": "validation",
        "images/2.png": "test",
    }


def test_two_tables_are_ambiguous(root: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (root / name).write_text("path,label\nimages/0.png,x\n")
    with pytest.raises(DatasetFormatError, match=r"expected one table of path and label; got a\.csv, b\.csv"):
        read(root)
    assert len(read(root / "a.csv")[0]) == 1


def test_a_table_without_paths_does_not_hide_class_folders(root: Path) -> None:
    (root / "statistics.csv").write_text("epoch,loss\n1,2\n")
    assert read(root)[0].classes == ("images",)


def test_quoted_line_breaks_keep_line_numbers_right(root: Path) -> None:
    (root / "a.csv").write_text('path,label,note\nimages/0.png,x,"two\nlines"\nimages/9.png,x,z\n')
    _, report = read(root, on_bad_input="skip")
    assert [bad.line for bad in report.bad_files] == [4]


def test_a_first_row_of_jsonl_without_a_split_loses_none(root: Path) -> None:
    lines = [
        '{"path": "images/0.png", "label": "x"}',
        '{"path": "images/1.png", "label": "x", "split": "train"}',
        '{"path": "images/2.png", "label": "x", "split": "test"}',
    ]
    (root / "x.jsonl").write_text("\n".join(lines))
    dataset, _ = read(root)
    assert dataset.splits == [None, "train", "test"]
    assert [sample.annotation.attributes for sample in dataset if sample.annotation] == [{}, {}, {}]


def test_columns_of_other_people_that_do_not_fit_ours_are_attributes(root: Path) -> None:
    row = {"path": "images/0.png", "label": "x", "id": 7, "caption": ["a"], "attributes": "red", "seed": 3}
    (root / "x.jsonl").write_text(json.dumps({**row, "class_probabilities": {"x": 1}}))
    dataset, _ = read(root)
    assert dataset.ids == ["7"]
    annotation = dataset[0].annotation
    assert annotation is not None
    assert dict(annotation.attributes) == {
        "caption": '["a"]',
        "attributes": "red",
        "seed": 3,
        "class_probabilities": '{"x": 1}',
    }


def test_columns_of_an_origin_are_attributes_unless_all_are_there(root: Path) -> None:
    (root / "a.csv").write_text("path,label,method,licence,seed\nimages/0.png,x,scan,CC0,3\n")
    sample = read(root)[0][0]
    assert sample.annotation is not None
    assert dict(sample.annotation.attributes) == {"method": "scan", "licence": "CC0", "seed": "3"}
    assert sample.origin.method is sample.origin.licence is None
    (root / "a.csv").write_text("path,label,method,licence,seed,recipe_digest,parents\nimages/0.png,x,scan,CC0,3,d,\n")
    sample = read(root)[0][0]
    assert sample.annotation is not None
    assert dict(sample.annotation.attributes) == {}
    assert (sample.origin.method, sample.origin.licence, sample.origin.seed) == ("scan", "CC0", 3)


def test_csv_files_of_before_keep_their_renamed_columns(root: Path) -> None:
    origin = "method,seed,recipe_digest,parents,licence"
    (root / "a.csv").write_text(f"path,label,split,id,unlabelled,{origin},class_\nimages/0.png,x,,i,,,,,,,big\n")
    annotation = read(root)[0][0].annotation
    assert annotation is not None
    assert dict(annotation.attributes) == {"class_": "big"}


def test_only_the_start_of_a_file_tells_whether_it_is_a_table(root: Path) -> None:
    size = 40_000_000
    for name in ("log.csv", "log.jsonl"):
        (root / name).write_bytes(b"epoch,loss\n")
        os.truncate(root / name, size)
    tracemalloc.start()
    try:
        assert read(root)[0].classes == ("images",)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 2
