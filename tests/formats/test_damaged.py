"""Files of annotations that were cut off or are no text: told with file and line, refused or left out as asked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.formats.scenes import boxes_only, dataset_of, masked, pixels

from twinset.annotations import Annotation
from twinset.errors import DatasetFormatError
from twinset.formats import read, write
from twinset.formats.writing import WritableFormat
from twinset.images import encode_png

Put = Callable[..., Path]
PICTURE = encode_png(pixels(0))
JUNK = bytes(range(256)) * 4


def two(root: Path, format: WritableFormat) -> Path:
    """Two annotated pictures."""
    dataset = dataset_of(Annotation(instances=boxes_only()), Annotation(instances=boxes_only()), splits=False)
    write(dataset, root, format)
    for file in ("provenance.jsonl", "classes.json", "data.yaml"):
        (root / file).unlink(missing_ok=True)
    return root


def halved(path: Path) -> int:
    """Cuts a file in half; the line at which it now ends."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return data[: len(data) // 2].count(b"\n") + 1


FILES: dict[WritableFormat, str] = {
    "labelme": "*.json",
    "voc": "Annotations/*.xml",
    "yolo": "labels/*.txt",
    "kitti": "label_2/*.txt",
}


@pytest.mark.parametrize("format", ["labelme", "voc"])
def test_a_file_cut_in_half_is_told_with_its_line_and_its_picture_left_out(
    format: WritableFormat, tmp_path: Path
) -> None:
    root = two(tmp_path / "in", format)
    file = sorted(root.rglob(FILES[format]))[0]
    line = halved(file)
    dataset, report = read(root, on_bad_input="skip")
    (bad,) = report.bad_files
    assert bad.path == str(file.relative_to(root))
    assert (bad.line, bad.kind) == (line, "entry")
    assert "expected" in bad.problem
    assert len(dataset) == 1
    assert dataset.object_counts().tolist() == [3]
    with pytest.raises(DatasetFormatError, match=rf"1 that are not, first {bad.path}:{line}: expected"):
        read(root)


@pytest.mark.parametrize("format", list(FILES))
def test_bytes_that_are_no_text_are_told_and_the_format_is_still_known(format: WritableFormat, tmp_path: Path) -> None:
    root = two(tmp_path / "in", format)
    file = sorted(root.rglob(FILES[format]))[0]
    file.write_bytes(b"\n" + JUNK)
    dataset, report = read(root, on_bad_input="skip")
    assert report.format == format
    assert [bad.path for bad in report.bad_files] == [str(file.relative_to(root))]
    assert len(dataset) == 1
    if format in ("yolo", "kitti"):
        assert report.bad_files[0].line == 3  # JUNK has a line feed before the first byte that is no UTF-8
        assert "expected UTF-8; got the byte 0x80" in report.bad_files[0].problem


@pytest.mark.parametrize(
    "cut", [b"", b'{"version": "5.0"', b'{"version": "5.0", "shapes": [{"label": "cat", "points": [[']
)
def test_labelme_is_told_wherever_it_was_cut(cut: bytes, put: Put, tmp_path: Path) -> None:
    root = two(tmp_path / "in", "labelme")
    file = sorted(root.rglob("*.json"))[0]
    file.write_bytes(cut)
    dataset, report = read(root, on_bad_input="skip")
    assert [bad.path for bad in report.bad_files] == [str(file.relative_to(root))]
    assert len(dataset) == 1


def test_a_lone_labelme_file_cut_among_its_shapes_is_no_folder_of_pictures(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "a.json", b'{"shapes": [{"label": "cat", "points": [[1, 2], [')
    with pytest.raises(DatasetFormatError, match=r"first a\.json:1: expected shapes as JSON"):
        read(tmp_path)


def test_other_json_among_labelme_is_no_problem(put: Put, tmp_path: Path) -> None:
    root = two(tmp_path / "in", "labelme")
    put(root / "notes.json", b'{"who": "me"}')
    dataset, report = read(root)
    assert (len(dataset), report.bad_files) == (2, ())


def test_one_of_several_cvat_files_may_be_damaged(put: Put, tmp_path: Path) -> None:
    root = two(tmp_path / "in", "cvat")
    whole = (root / "annotations.xml").read_bytes()
    put(root / "images/unnamed.png", PICTURE)
    put(root / "zweite.xml", whole[: len(whole) // 2])
    dataset, report = read(root, on_bad_input="skip")
    assert [(bad.path, bad.line is not None) for bad in report.bad_files] == [("zweite.xml", True)]
    assert len(dataset) == 2
    (root / "annotations.xml").unlink()
    with pytest.raises(DatasetFormatError, match=r"^zweite\.xml:\d+: expected XML"):
        read(root, on_bad_input="skip")


def via(name: str) -> bytes:
    region = {"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 5, "height": 4}, "region_attributes": {}}
    return json.dumps({name: {"filename": name, "regions": [region], "file_attributes": {}}}, indent=1).encode()


def test_one_of_several_via_files_may_be_damaged(put: Put, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        put(tmp_path / name, PICTURE)
    put(tmp_path / "one.json", via("a.png"))
    put(tmp_path / "two.json", via("b.png")[:-60])
    dataset, report = read(tmp_path, on_bad_input="skip")
    line = via("b.png")[:-60].count(b"\n") + 1
    assert [(bad.path, bad.line) for bad in report.bad_files] == [("two.json", line)]
    assert dataset.ids == ["a.png"]
    (tmp_path / "one.json").unlink()
    with pytest.raises(DatasetFormatError, match=rf"^two\.json:{line}: expected VIA regions as JSON"):
        read(tmp_path, on_bad_input="skip")


@pytest.mark.parametrize("kept", [1, 4, 6])
def test_a_row_of_via_that_was_cut_is_told_with_its_line(kept: int, put: Put, tmp_path: Path) -> None:
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(["#filename", "file_size", "file_attributes", "region_count", "region_id"])
    header = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    cells = ["a.png", "1", "{}", "1", "0", '{"name":"rect","x":1,"y":1,"width":5,"height":4}', "{}"]
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerows([cells, cells[:kept]])
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "via.csv", (header + buffer.getvalue()).encode())
    with pytest.raises(DatasetFormatError, match=rf"^via\.csv:3: expected 7 columns; got {kept}"):
        read(tmp_path)


def test_a_cell_of_via_that_was_cut_is_told_with_its_line(put: Put, tmp_path: Path) -> None:
    header = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    row = """a.png,1,{},1,0,"{""name"":""rect"",""x"":1"""
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "via.csv", (header + row + '",{}\n').encode())
    with pytest.raises(DatasetFormatError, match=r"^via\.csv:2: expected region_shape_attributes as JSON"):
        read(tmp_path)


def test_yolo_of_two_label_files_is_known_by_the_one_that_is_whole(put: Put, tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"images/{name}.png", PICTURE)
    put(tmp_path / "labels/a.txt", JUNK)
    put(tmp_path / "labels/b.txt", b"0 0.5 0.5 0.5 0.5\n")
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert (report.format, dataset.ids) == ("yolo", ["images/b.png"])


def test_captions_beside_pictures_are_not_yolo(put: Put, tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"images/{name}.png", PICTURE)
        put(tmp_path / f"labels/{name}.txt", b"a cat on a mat\n")
    _, report = read(tmp_path, on_bad_input="report")
    assert report.format == "imagefolder"


def test_whole_files_are_read_whole(tmp_path: Path) -> None:
    """The other way: nothing of what was not cut is told."""
    for format in (*FILES, "cvat", "via"):
        dataset, report = read(two(tmp_path / format, format))
        assert (len(dataset), report.bad_files) == (2, ())
    write(dataset_of(Annotation(instances=masked()), splits=False), tmp_path / "m", "labelme")
    assert read(tmp_path / "m")[1].bad_files == ()


def test_bytes_among_json_are_told_with_their_line(tmp_path: Path) -> None:
    root = two(tmp_path / "in", "labelme")
    file = sorted(root.rglob("*.json"))[0]
    file.write_bytes(b'{"version": "5.0",\n"shapes": [{"label":\n "\xff')
    _, report = read(root, on_bad_input="skip")
    assert [(bad.path, bad.line) for bad in report.bad_files] == [(str(file.relative_to(root)), 3)]
