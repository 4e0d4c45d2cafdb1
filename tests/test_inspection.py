from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.dataset import Sample
from twinset.documents import InspectDocument
from twinset.errors import DatasetFormatError
from twinset.formats import read
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
        "leakage: 1 group of copies lies",
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


DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="TWINSET_DATA is not set")


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """YOLO with splits, of pictures 40 wide and 20 high: 4 cars (one clipped), 12 people, a dog in test alone, an empty
    picture, a near copy across splits, and three objects that cannot be used."""
    people = "1 0.5 0.5 0.25 0.5\n" * 6
    labels = {
        "train/a": "0 0.5 0.5 0.5 0.5\n0 0.25 0.5 0.5 1\n" + people,
        "train/b": "0 0.9 0.5 0.5 0.5\n0 0.5 0.5 0 0.5\n0 3 3 1 1\n1 0.5 0.5\n" + people,
        "train/c": "",
        "test/a": "0 0.5 0.5 0.1 0.2\n2 0.5 0.5 0.5 0.5\n",
    }
    for seed, (name, text) in enumerate(labels.items()):
        rough = np.random.default_rng(seed % 3).integers(0, 256, (4, 8, 3), dtype=np.uint8)
        data = encode_png(resize(rough, 20, 40))
        put(tmp_path / f"images/{name}.{'jpg' if seed == 3 else 'png'}", jpeg_of(data) if seed == 3 else data)
        put(tmp_path / f"labels/{name}.txt", text.encode())
    put(tmp_path / "data.yaml", b"train: images/train\ntest: images/test\nnames: [car, person, dog, ghost]\n")
    return tmp_path


def test_boxes_are_counted_and_measured_by_class(annotated: Path) -> None:
    document = inspect(annotated).to_json()
    assert (document["task"], document["format"], document["images"]) == ("detection", "yolo", 4)
    assert document["objects"] == 17
    assert document["classes"] == {"car": 4, "person": 12, "dog": 1, "ghost": 0}
    assert document["splits"] == {
        "train": {"car": 3, "person": 12, "dog": 0, "ghost": 0},
        "test": {"car": 1, "person": 0, "dog": 1, "ghost": 0},
    }
    boxes: dict[str, dict[str, object]] = document["boxes"]  # type: ignore[assignment]
    assert list(boxes) == ["car", "person", "dog"]
    person, car = boxes["person"], boxes["car"]
    assert (person["objects"], person["images"], car["objects"], car["images"]) == (12, 2, 4, 3)
    assert person["area"] == pytest.approx([0.125] * 3)
    assert person["aspect"] == pytest.approx([1.0] * 3)
    assert person["side"] == pytest.approx([10.0] * 3)
    widths, heights = np.array([20, 20, 14, 4]), np.array([10, 20, 10, 4])
    assert car["aspect"] == pytest.approx(np.percentile(widths / heights, [10, 50, 90]).tolist(), rel=1e-5)
    assert car["area"] == pytest.approx(np.percentile(widths * heights / 800, [10, 50, 90]).tolist(), rel=1e-5)
    json.dumps(document, allow_nan=False)
    InspectDocument.model_validate(document)


def test_bad_boxes_are_listed_by_line_and_counted(annotated: Path) -> None:
    found = inspect(annotated)
    told = {bad.where.rsplit("/", 1)[1]: bad.problem for bad in found.report.bad_files}
    assert set(told) == {"b.txt:1", "b.txt:2", "b.txt:3", "b.txt:4"}
    for where, words in (("b.txt:1", "clipped"), ("b.txt:2", "with an area"), ("b.txt:3", "fractions of the picture")):
        assert words in told[where]
    assert any(re.fullmatch(r"4 of \d+ objects are bad: clipped or left out, see bad files", w) for w in found.warnings)


def test_gaps_between_splits_and_copies_are_told_of_objects_too(annotated: Path) -> None:
    found = inspect(annotated)
    assert [(group.kind, group.splits) for group in found.duplicates] == [("near", ("train", "test"))]
    for words in (
        "class 'dog' is in test and not in train: nothing can be learnt of it",
        "class 'ghost' has 0 objects: too few to split and to measure",
        "test lacks 1 class, such as 'person'",
        "imbalance: 12 objects of 'person' to 1 of 'dog'",
        "1 image is annotated as showing nothing",
        "leakage: 1 group of copies lies",
    ):
        assert any(words in text for text in found.warnings), words
    lines = found.lines()
    assert any(line.split()[:3] == ["person", "2", "10"] for line in lines)


@pytest.mark.slow
@needs_data
def test_blood_cells_have_their_boxes_and_oddities_told() -> None:
    """Counts of the set's README, and of a plain count of its XML files."""
    texts = [path.read_text() for path in (DATA / "bccd").rglob("*.xml")]
    names = [name for text in texts for name in re.findall(r"<name>(\w+)</name>", text)]
    document = inspect(DATA / "bccd").to_json()
    boxes: dict[str, dict[str, list[float]]] = document["boxes"]  # type: ignore[assignment]
    bad: list[dict[str, str]] = document["bad_files"]  # type: ignore[assignment]
    left_out = sum("left out" in one["problem"] for one in bad)
    assert (document["task"], document["images"]) == ("detection", len(texts))
    assert document["objects"] == len(names) - left_out
    assert set(document["classes"]) == set(names)  # type: ignore[call-overload]
    assert bad
    assert boxes["WBC"]["area"][1] > boxes["RBC"]["area"][1] > boxes["Platelets"]["area"][1]
    InspectDocument.model_validate(document)


@pytest.mark.slow
@needs_data
def test_boxes_of_aerial_cars_that_stick_out_are_told() -> None:
    """The three of the set's README; a plain count of all lines; a class that is named and never shown."""
    found = inspect(DATA / "aerial_cars")
    lines = [line for path in (DATA / "aerial_cars/labels").rglob("*.txt") for line in path.read_text().split("\n")]
    told = {Path(bad.path).name: bad.problem.rsplit("; ", 1)[1] for bad in found.report.bad_files}
    assert told == {"MOS74.txt": "clipped", "MOS84.txt": "clipped", "MOS92.txt": "clipped"}
    assert found.report.objects == sum(bool(line.strip()) for line in lines)
    assert found.classes["cyclist"] == 0
    assert "cyclist" not in found.boxes
    assert any("class 'cyclist' has 0 objects" in text for text in found.warnings)
    assert any(text.startswith("3 of ") and "objects are bad" in text for text in found.warnings)


def many(root: Path, classes: int, bad: int = 0) -> Path:
    """YOLO with so many classes, of which class n has n objects; and lines that are no boxes."""
    lines = [f"{number} 0.5 0.5 0.5 0.5" for number in range(classes) for _ in range(number)]
    put(root / "images/a.png", picture(0))
    put(root / "labels/a.txt", "\n".join([*lines, *["0 9 9 9 9"] * bad]).encode())
    names = ", ".join(f"c{number}" for number in range(classes))
    put(root / "data.yaml", f"train: images\nnames: [{names}]\n".encode())
    return root


def test_many_classes_and_bad_files_do_not_flood_the_terminal(tmp_path: Path) -> None:
    found = inspect(many(tmp_path, 40, bad=50))
    lines = found.lines()
    assert len(lines) < 90
    start = next(at for at, line in enumerate(lines) if line.split()[:2] == ["class", "objects"])
    assert [line.split()[0] for line in lines[start + 1 : start + 22]] == [f"c{n}" for n in range(39, 19, -1)] + ["…"]
    assert sum(line == "  … and 20 more (--json lists all)" for line in lines) == 1
    assert "  … and 30 more (--json lists all)" in lines  # bad lines
    assert "  … and 19 more (--json lists all)" in lines  # boxes: class 0 has none
    document = found.to_json()
    assert document["classes"] == {f"c{n}": n for n in range(40)}
    assert len(document["bad_files"]) == 50  # type: ignore[arg-type]
    assert len(document["boxes"]) == 39  # type: ignore[arg-type]


def test_twenty_classes_are_all_listed_in_their_order(tmp_path: Path) -> None:
    lines = inspect(many(tmp_path, 20)).lines()
    start = next(at for at, line in enumerate(lines) if line.split()[:2] == ["class", "objects"])
    assert [line.split()[0] for line in lines[start + 1 : start + 21]] == [f"c{n}" for n in range(20)]
    assert not any("more (--json" in line for line in lines)


def test_many_tiny_classes_are_one_warning_and_few_are_named(tmp_path: Path) -> None:
    few = [text for text in inspect(many(tmp_path / "few", 8)).warnings if "too few to split" in text]
    assert len(few) == 8
    assert "class 'c1' has 1 object: too few to split and to measure" in few
    (text,) = [text for text in inspect(many(tmp_path / "many", 40)).warnings if "too few to split" in text]
    assert text.startswith("10 of 40 classes have fewer than 10 objects")
    assert text.endswith("'c0' 0, 'c1' 1, 'c2' 2, 'c3' 3, 'c4' 4, 'c5' 5, 'c6' 6, 'c7' 7, … and 2 more")


def test_one_is_not_plural(tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", picture(1))
    put(tmp_path / "cat/2.png", picture(1))
    found = inspect(tmp_path)
    text = "\n".join([*found.lines(), *found.warnings])
    assert not re.search(r"(?<![\d.,])1 (objects|images|classes|groups)\b", text)
    assert "2 images, 1 class" in text
    assert "copies: exact × 1 group" in text


def test_bad_objects_are_counted_of_the_same_total_everywhere(annotated: Path) -> None:
    found = inspect(annotated)
    (told,) = [re.match(r"(\d+) of (\d+) objects", text) for text in found.warnings if "objects are bad" in text]
    with pytest.raises(DatasetFormatError) as caught:
        read(annotated)
    refused = re.search(r"(\d+) of (\d+) objects that do not", str(caught.value))
    assert told is not None
    assert refused is not None
    assert told.groups() == refused.groups() == ("4", "20")


def test_no_warning_is_said_twice(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / f"{part}/cat/1.png", picture(len(part)))
    warnings = inspect(tmp_path).warnings
    assert len(set(warnings)) == len(warnings)


def test_pictures_of_another_size_than_stated_are_counted(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png", "width": 48 + (n == 2), "height": 48} for n in range(3)]
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    put(tmp_path / "annotations/instances_all.json", json.dumps(content).encode())
    for number in range(3):
        put(tmp_path / f"images/{number}.png", picture(number))
    found = inspect(tmp_path)
    assert any(text.startswith("1 image of another size than the annotations state") for text in found.warnings)
    assert found.report.images == 2


def test_each_picture_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinset.formats import reading

    for number in range(30):
        put(tmp_path / "cat" / f"{number}.png", picture(number))
    calls = []
    monkeypatch.setattr(reading, "decode", lambda data, **more: calls.append(1) or decode(data, **more))
    monkeypatch.setattr(Sample, "pixels", lambda _: pytest.fail("decoded again"))
    assert inspect(tmp_path).duplicates == ()
    assert len(calls) == 30


@pytest.mark.slow
def test_inspecting_loads_no_network(tmp_path: Path) -> None:
    put(tmp_path / "cat/1.png", picture(1))
    code = (
        f"from twinset import pipeline; import sys; pipeline.inspect({str(tmp_path)!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
