"""Annotations state the size of the picture they were drawn in; where the picture has another, all of them are off."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.errors import DatasetFormatError
from twinset.formats import read

Put = Callable[..., Path]
WIDTH, HEIGHT = 20, 10


def picture(width: int = WIDTH, height: int = HEIGHT, *, orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def coco(put: Put, root: Path, *pictures: bytes, size: tuple[object, object] = (WIDTH, HEIGHT)) -> Path:
    names = [f"{chr(97 + at)}.jpg" for at in range(len(pictures))]
    for name, data in zip(names, pictures, strict=True):
        put(root / "images" / name, data)
    images = [{"id": 40 + at, "file_name": name, "width": size[0], "height": size[1]} for at, name in enumerate(names)]
    boxes = [{"id": at, "image_id": 40 + at, "category_id": 1, "bbox": [1, 1, 4, 4]} for at in range(len(names))]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    put(root / "annotations/instances_all.json", json.dumps(content).encode())
    return root


def voc(put: Put, root: Path, data: bytes, size: tuple[object, object]) -> Path:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    head = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    put(root / "JPEGImages/a.jpg", data)
    put(root / "Annotations/a.xml", f"<annotation>{head}<object><name>cat</name>{box}</object></annotation>".encode())
    return root


def labelme(put: Put, root: Path, data: bytes, size: tuple[object, object]) -> Path:
    shape = {"label": "cat", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}
    content = {"shapes": [shape], "imagePath": "a.jpg", "imageWidth": size[0], "imageHeight": size[1]}
    put(root / "a.jpg", data)
    put(root / "a.json", json.dumps(content).encode())
    return root


def cvat(put: Put, root: Path, data: bytes, size: tuple[object, object]) -> Path:
    box = '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    node = f'<image id="0" name="a.jpg" width="{size[0]}" height="{size[1]}">{box}</image>'
    put(root / "images/a.jpg", data)
    put(root / "annotations.xml", f"<annotations><version>1.1</version>{node}</annotations>".encode())
    return root


def one_coco(put: Put, root: Path, data: bytes, size: tuple[object, object]) -> Path:
    return coco(put, root, data, size=size)


MAKERS = {"coco": one_coco, "voc": voc, "labelme": labelme, "cvat": cvat}


@pytest.mark.parametrize("format", list(MAKERS))
def test_the_size_that_is_there_passes(format: str, put: Put, tmp_path: Path) -> None:
    dataset, report = read(MAKERS[format](put, tmp_path, picture(), (WIDTH, HEIGHT)))
    assert (report.format, len(dataset), report.bad_files) == (format, 1, ())


@pytest.mark.parametrize("format", list(MAKERS))
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (WIDTH + 1, HEIGHT), (WIDTH, HEIGHT - 1)])
def test_another_size_is_told(format: str, size: tuple[int, int], put: Put, tmp_path: Path) -> None:
    root = MAKERS[format](put, tmp_path, picture(), size)
    with pytest.raises(DatasetFormatError, match=f"expected a picture of {size[0]} x {size[1]}, as its annotations"):
        read(root)
    _, report = read(root, on_bad_input="report")
    (bad,) = report.bad_files
    assert (bad.kind, report.images) == ("size", 0)
    assert "a.jpg" in bad.problem
    assert f"got {WIDTH} x {HEIGHT}" in bad.problem


@pytest.mark.parametrize("size", [(0, 0), (None, None), ("", ""), (WIDTH, None), (-1, -1)])
def test_a_size_that_is_not_stated_is_not_compared(size: tuple[object, object], put: Put, tmp_path: Path) -> None:
    for format, make in MAKERS.items():
        _, report = read(make(put, tmp_path / format, picture(), size))
        assert report.bad_files == ()


def test_the_file_and_the_image_id_are_named_and_the_others_stay(put: Put, tmp_path: Path) -> None:
    root = coco(put, tmp_path, picture(), picture(40, 20), picture())
    dataset, report = read(root, on_bad_input="skip")
    assert dataset.ids == ["images/a.jpg", "images/c.jpg"]
    (bad,) = report.bad_files
    assert bad.path == "annotations/instances_all.json"
    assert bad.problem.startswith("images/b.jpg: image id 41: expected a picture of 20 x 10")
    assert dataset.object_counts().tolist() == [1, 1]


def test_numbers_as_text_are_sizes_too(put: Put, tmp_path: Path) -> None:
    assert read(coco(put, tmp_path / "a", picture(), size=("20", "10")))[1].bad_files == ()
    _, report = read(coco(put, tmp_path / "b", picture(), size=("10", "20")), on_bad_input="report")
    assert [bad.kind for bad in report.bad_files] == ["size"]


@pytest.mark.parametrize("format", list(MAKERS))
def test_pictures_count_as_they_are_seen_once_turned(format: str, put: Put, tmp_path: Path) -> None:
    """Pixels are turned upright by EXIF; annotations drawn on what was not turned would lie elsewhere."""
    turned = picture(orientation=6)
    dataset, _ = read(MAKERS[format](put, tmp_path / "upright", turned, (HEIGHT, WIDTH)))
    assert dataset[0].pixels().shape[:2] == (WIDTH, HEIGHT)
    _, report = read(MAKERS[format](put, tmp_path / "lying", turned, (WIDTH, HEIGHT)), on_bad_input="report")
    assert "got 10 x 20, as its EXIF rotation turns it" in report.bad_files[0].problem


def test_pictures_of_which_no_objects_are_known_may_have_any_size(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "images/a.jpg", picture())
    images = [{"id": 1, "file_name": "a.jpg", "width": 3, "height": 3}]
    put(tmp_path / "annotations/image_info_test.json", json.dumps({"images": images, "categories": []}).encode())
    dataset, report = read(tmp_path)
    assert (len(dataset), report.bad_files) == (1, ())
