from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset.errors import ChangedFileError, DatasetFormatError
from twinset.formats import read

Put = Callable[..., Path]


def test_classes_are_sorted_as_people_count(put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(["10", "9", "1", "b", "A"]):
        put(tmp_path / name / "x.png", number)
    dataset, report = read(tmp_path)
    assert dataset.classes == ("1", "9", "10", "A", "b")
    assert dataset.splits == [None] * 5
    assert report.format == "imagefolder"
    assert dataset.class_ids.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "Testing"), ("train", "dev", "test")]
)
def test_split_folders_are_known_by_their_usual_names(names: tuple[str, ...], put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(names):
        put(tmp_path / name / "cat/x.png", number)
    dataset, report = read(tmp_path)
    assert dataset.classes == ("cat",)
    assert sorted(str(split) for split in dataset.splits) == ["test", "train", "validation"]
    assert report.format == "imagefolder with splits"


def test_a_class_called_train_is_a_class(put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(["train", "bus", "car"]):
        put(tmp_path / name / "x.png", number)
    dataset, _ = read(tmp_path)
    assert dataset.classes == ("bus", "car", "train")
    assert dataset.splits == [None] * 3


def test_class_folders_may_be_nested(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "train/animal/cat/1.png", 1)
    put(tmp_path / "test/animal/dog/1.png", 2)
    dataset, _ = read(tmp_path)
    assert dataset.classes == ("animal/cat", "animal/dog")


def test_a_flat_folder_is_unlabelled(put: Put, tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / f"{number}.png", number)
    dataset, _ = read(tmp_path)
    assert dataset.classes == ()
    assert [sample.annotation for sample in dataset] == [None] * 3


def test_loose_pictures_beside_class_folders_are_left_out_and_said(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", 1)
    put(tmp_path / "preview.png", 2)
    dataset, report = read(tmp_path)
    assert dataset.ids == ["cat/1.png"]
    assert report.ignored["loose"] == 1
    assert any("preview.png" in text for text in report.warnings)


def test_hidden_and_foreign_files_are_counted(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", 1)
    for name in (".DS_Store", "Thumbs.db", "._1.png"):
        put(tmp_path / "cat" / name, b"x")
    put(tmp_path / "README.md", b"x")
    put(tmp_path / "cat/photo.heic", b"x")
    put(tmp_path / ".git/cat/2.png", 2)
    dataset, report = read(tmp_path)
    assert len(dataset) == 1
    assert report.ignored == {"hidden": 4, "other": 2}
    assert any(".heic" in text for text in report.warnings)


def test_an_empty_class_folder_of_one_split_is_no_problem(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "train/cat/1.png", 1)
    put(tmp_path / "test/dog/1.png", 2)
    put(tmp_path / "train/dog/1.png", 3)
    (tmp_path / "test/cat").mkdir()
    _, report = read(tmp_path)
    assert report.bad_files == ()


def test_names_that_look_alike_are_warned_of(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/Cat/1.png", 1)
    put(tmp_path / "a/cat/2.png", 2)
    if len(list((tmp_path / "a").iterdir())) < 2:
        pytest.skip("this file system ignores case")
    _, report = read(tmp_path)
    assert any("differ only in case" in text for text in report.warnings)


def test_a_file_that_changed_after_reading_is_an_error(put: Put, tmp_path: Path) -> None:
    path = put(tmp_path / "cat/1.png", 1)
    dataset, _ = read(tmp_path)
    put(path, 2)
    with pytest.raises(ChangedFileError, match="another content"):
        dataset[0].pixels()


def test_class_list_fixes_names_and_order(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "n01/1.png", 1)
    put(tmp_path / "n02/1.png", 2)
    folders = {"n01": "goldfish", "n02": "tench"}
    value = {"schema": "twinset/classes/1", "classes": ["tench", "goldfish", "shark"], "folders": folders}
    (tmp_path / "classes.json").write_text(json.dumps(value))
    dataset, _ = read(tmp_path)
    assert dataset.class_counts() == {"tench": 1, "goldfish": 1, "shark": 0}


def test_a_damaged_class_list_is_refused(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", 1)
    value = {"schema": "twinset/classes/1", "classes": ["x", "x"], "folders": {}}
    (tmp_path / "classes.json").write_text(json.dumps(value))
    with pytest.raises(DatasetFormatError, match=r"classes\.json: expected distinct class names"):
        read(tmp_path)


def test_report_mode_returns_even_when_nothing_is_left(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", b"no picture")
    dataset, report = read(tmp_path, on_bad_input="report")
    assert len(dataset) == 0
    assert [(bad.path, bad.kind) for bad in report.bad_files] == [("cat/1.png", "picture")]
    with pytest.raises(Exception, match="expected 1 usable images; got 1 that are not"):
        read(tmp_path, on_bad_input="skip")


def test_the_first_problem_is_named_and_all_are_counted(put: Put, tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path / f"cat/{number}.png", number)
    for number in range(3):
        put(tmp_path / f"cat/bad{number}.png", b"")
    with pytest.raises(Exception, match=r"expected 8 usable images; got 3 that are not, first cat/bad0\.png.*skip"):
        read(tmp_path)
