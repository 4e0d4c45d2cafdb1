from __future__ import annotations

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
