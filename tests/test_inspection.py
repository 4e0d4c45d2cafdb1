from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.documents import InspectDocument
from twinset.errors import DatasetFormatError
from twinset.images import decode, encode_png, resize
from twinset.inspection import inspect


def picture(seed: int, side: int = 48) -> bytes:
    rough = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return encode_png(resize(rough, side, side))


def jpeg_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(decode(data)).save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve cats and two dogs; an exact copy across splits, a near one inside train, three bad files."""
    for number in range(12):
        put(tmp_path / "train/cat" / f"{number}.png", picture(number))
    for number in range(20, 22):
        put(tmp_path / "train/dog" / f"{number}.png", picture(number))
    for number, label in enumerate(["cat", "dog"]):
        put(tmp_path / "test" / label / "t.png", picture(100 + number))
    put(tmp_path / "test/cat/same.png", picture(3))
    put(tmp_path / "train/cat/near.jpg", jpeg_of(picture(5)))
    put(tmp_path / "train/cat/bad.png", b"text")
    put(tmp_path / "train/cat/cut.png", picture(1)[:200])
    put(tmp_path / "test/dog/none.png", b"")
    return tmp_path


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_everything_is_listed_at_once(folder: Path) -> None:
    found = inspect(folder)
    document = found.to_json()
    assert document["schema"] == "twinset/inspect/1"
    assert document["format"] == "imagefolder with splits"
    assert document["classes"] == {"cat": 15, "dog": 3}
    assert document["images"] == 18
    assert document["splits"] == {"train": {"cat": 13, "dog": 2}, "test": {"cat": 2, "dog": 1}}
    assert document["sizes"] == {"48x48": 18}
    assert document["encodings"] == {"PNG": 17, "JPEG": 1}
    bad = {entry["path"]: entry["problem"] for entry in document["bad_files"]}  # type: ignore[attr-defined]
    assert set(bad) == {"train/cat/bad.png", "train/cat/cut.png", "test/dog/none.png"}
    assert all(problem.startswith("expected") and "; got" in problem for problem in bad.values())
    json.dumps(document, allow_nan=False)
    InspectDocument.model_validate(document)


def test_copies_are_told_from_leaks(folder: Path) -> None:
    found = inspect(folder)
    groups = {(group.kind, group.paths, group.splits) for group in found.duplicates}
    assert groups == {
        ("exact", ("test/cat/same.png", "train/cat/3.png"), ("train", "test")),
        ("near", ("train/cat/5.png", "train/cat/near.jpg"), ("train",)),
    }
    assert [group.paths[0] for group in found.leakage] == ["test/cat/same.png"]


def test_warnings_name_what_will_hurt(folder: Path) -> None:
    put(folder / "test/owl/1.png", picture(200, side=40))
    text = "\n".join(inspect(folder).warnings)
    for words in (
        "class 'owl' is in test and not in train",
        "class 'dog' has 3 images: too few",
        "imbalance: 15 images of 'cat' to 1 of 'owl'",
        "2 image sizes",
        "leakage: 1 groups of copies",
    ):
        assert words in text


def test_copies_with_different_classes_are_told(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path / ("cat" if number % 2 else "dog") / f"{number}.png", picture(number))
    put(tmp_path / "dog/wrong.png", picture(1))
    assert any("different classes" in text for text in inspect(tmp_path).warnings)


def test_suggestions_fit_what_there_is() -> None:
    found = inspect("builtin:digits")
    assert found.few_shot == (5, 10, 20, 50)
    assert found.warnings == ()
    assert any("1078 train, 359 validation and 359 test" in text for text in found.suggestions)


def test_a_dataset_of_bad_files_is_still_inspected(tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", b"text")
    found = inspect(tmp_path)
    assert found.to_json()["images"] == 0
    assert len(found.report.bad_files) == 1
    assert any("cat/1.png" in line for line in found.lines())


def test_nothing_to_inspect_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError, match="expected pictures; got none"):
        inspect(tmp_path)


def test_lines_are_lines(folder: Path) -> None:
    put(folder / "train" / "evil\x1b[2J" / "1.png", picture(300))
    lines = inspect(folder).lines()
    assert not any("\n" in line or "\x1b" in line for line in lines)
    assert any("bad.png: expected" in line for line in lines)
    assert any(line.startswith("  exact: test/cat/same.png = train/cat/3.png") for line in lines)
