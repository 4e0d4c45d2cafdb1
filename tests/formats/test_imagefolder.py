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


CLASSES = {"schema": "twinset/classes/1", "classes": ["train", "test", "bus"]}


@pytest.mark.parametrize("folders", [{}, {"train": "train", "test": "test", "bus": "bus"}])
def test_folders_that_the_class_list_names_are_no_splits(folders: dict[str, str], put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(["train", "test", "bus"]):
        put(tmp_path / name / "x.png", number)
    (tmp_path / "classes.json").write_text(json.dumps({**CLASSES, "folders": folders}))
    dataset, report = read(tmp_path)
    assert dataset.class_counts() == {"train": 1, "test": 1, "bus": 1}
    assert dataset.splits == [None] * 3
    assert report.format == "imagefolder"


def test_split_folders_stay_splits_beside_classes_of_the_same_name(put: Put, tmp_path: Path) -> None:
    for number, name in enumerate(["train/train", "train/bus", "test/test"]):
        put(tmp_path / name / "x.png", number)
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    dataset, _ = read(tmp_path)
    assert dataset.class_counts() == {"train": 1, "test": 1, "bus": 1}
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "train/train/x.png": "train",
        "train/bus/x.png": "train",
        "test/test/x.png": "test",
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"schema": "twinset/classes/1",\n "classes": ["x"', r"classes\.json:2: expected JSON; got Expecting"),
        (b"\xff\xfe\xff", r"classes\.json: expected JSON; got"),
        (b"[" * 100_000, r"classes\.json: expected JSON; got nesting without end"),
        (
            b'{"schema": "twinset/classes/1", "classes": ["b\\u0001", "b\\\\x01"]}',
            r"classes\.json: expected distinct class names; got b\\x01 twice",
        ),
        (
            b'{"schema": "twinset/classes/1", "classes": ["x"], "folders": {"a": []}}',
            r"classes\.json: expected distinct class names, and folders that name them",
        ),
    ],
)
def test_a_class_list_that_cannot_be_read_is_refused(content: bytes, problem: str, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", 1)
    put(tmp_path / "classes.json", content)
    with pytest.raises(DatasetFormatError, match=problem):
        read(tmp_path)


@pytest.mark.parametrize("content", [b'["cat", "dog"]', b'{"0": "cat"}', b'{"schema": "other", "classes": 3}'])
def test_a_class_list_of_somebody_else_is_ignored(content: bytes, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", 1)
    put(tmp_path / "classes.json", content)
    assert read(tmp_path)[0].classes == ("a",)


def synthetic_row(path: str, **other: object) -> str:
    return json.dumps({"path": path, "method": "diffusion", "seed": 1, "recipe_digest": "d", **other})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (b"\xff\n", r"provenance\.jsonl:2: expected UTF-8; got the byte 0xff; repair it, or"),
        (b"{\n", r"provenance\.jsonl:2: expected a row of provenance as JSON; got Expecting"),
        (b"[" * 100_000, r"provenance\.jsonl:2: .* nesting without end"),
        (synthetic_row("a/2.png", seed=10**20).encode(), r"provenance\.jsonl:2: expected a seed of 0 to 92233720"),
        (synthetic_row("a/2.png", seed=True).encode(), r"provenance\.jsonl:2: expected a seed of 0 to 92233720"),
        (synthetic_row("a/2.png", class_probabilities=[0.5, 10**400]).encode(), r":2: expected class_probabilities"),
    ],
)
def test_provenance_that_cannot_be_read_is_refused(more: bytes, problem: str, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", 1)
    put(tmp_path / "provenance.jsonl", synthetic_row("a/1.png").encode() + b"\n" + more)
    with pytest.raises(DatasetFormatError, match=problem):
        read(tmp_path)


def test_provenance_that_is_too_large_or_no_file_is_refused(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a/1.png", 1)
    (tmp_path / "provenance.jsonl").mkdir()
    with pytest.raises(DatasetFormatError, match=r"provenance\.jsonl: expected a plain file; got a folder"):
        read(tmp_path)
    (tmp_path / "provenance.jsonl").rmdir()
    put(tmp_path / "provenance.jsonl", synthetic_row("a/1.png").encode())
    assert read(tmp_path)[0][0].origin.synthetic
    monkeypatch.setattr("twinset.formats.imagefolder.MAX_NOTES_BYTES", 10)
    with pytest.raises(DatasetFormatError, match=r"provenance\.jsonl: expected at most 10 bytes"):
        read(tmp_path)


def test_the_largest_seed_is_read(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", 1)
    put(tmp_path / "provenance.jsonl", synthetic_row("a/1.png", seed=2**63 - 1).encode())
    assert read(tmp_path)[0][0].origin.seed == 2**63 - 1
