"""Cityscapes read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.formats.scenes import HEIGHT, SIZE, WIDTH, pixels

from twinset.dataset import Dataset
from twinset.formats import cityscapes, read
from twinset.formats.folder import Unusable
from twinset.images import encode_png

Put = Callable[..., Path]
STEM = "aachen_000001_000019"


def put_picture(root: Path, put: Put, split: str = "train") -> None:
    put(root / f"leftImg8bit/{split}/aachen/{STEM}_leftImg8bit.png", encode_png(pixels(0)))


def truth(root: Path, kind: str, split: str = "train", which: str = "gtFine") -> Path:
    place = root / which / split / "aachen" / f"{STEM}_{which}_{kind}"
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def save(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


def seen(dataset: Dataset) -> np.ndarray:
    annotation = dataset[0].annotation
    assert annotation is not None
    assert annotation.semantic is not None
    return annotation.semantic.dense()


def label_ids() -> np.ndarray:
    ids = np.full(SIZE, 7, dtype=np.uint16)
    ids[0, :4] = [0, 26, 33, 9]
    return ids


EXPECTED = ("road", None, "car", "bicycle", None)


def named(dataset: Dataset) -> tuple[str | None, ...]:
    ids = seen(dataset)
    return tuple(dataset.classes[v] if v >= 0 else None for v in (ids[5, 5], *ids[0, :4]))


def test_every_kind_of_file_says_the_same(put: Put, tmp_path: Path) -> None:
    put_picture(tmp_path, put)
    ids = label_ids()
    train = np.where(ids == 7, 0, np.where(ids == 26, 13, np.where(ids == 33, 18, 255)))
    kinds = {
        "labelTrainIds.png": train.astype(np.uint8),
        "instanceIds.png": np.where(ids == 26, 26_003, ids).astype(np.uint16),
        "labelIds.png": ids.astype(np.uint8),
    }
    for kind, values in kinds.items():
        save(truth(tmp_path, kind), values)
        dataset, report = read(tmp_path)
        assert named(dataset) == EXPECTED, kind
        assert (report.format, dataset.splits, len(dataset.classes)) == ("cityscapes", ["train"], 19)
        truth(tmp_path, kind).unlink()


def test_label_ids_come_before_all_others(put: Put, tmp_path: Path) -> None:
    put_picture(tmp_path, put)
    save(truth(tmp_path, "labelIds.png"), label_ids().astype(np.uint8))
    save(truth(tmp_path, "labelTrainIds.png"), np.zeros(SIZE, np.uint8))
    assert named(read(tmp_path)[0]) == EXPECTED


def polygons(*objects: object, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    return json.dumps({"imgHeight": height, "imgWidth": width, "objects": list(objects)}).encode()


def square(label: str, x1: int, y1: int, x2: int, y2: int) -> dict[str, object]:
    return {"label": label, "polygon": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]}


def test_polygons_are_painted_in_their_order(put: Put, tmp_path: Path) -> None:
    put_picture(tmp_path, put)
    objects = [square("sky", 0, 0, 29, 19), square("cargroup", 2, 2, 10, 10), square("static", 5, 5, 20, 15)]
    objects += [{**square("bus", 0, 0, 29, 19), "deleted": 1}]
    truth(tmp_path, "polygons.json", which="gtCoarse").write_bytes(polygons(*objects))
    dataset, _ = read(tmp_path)
    ids = seen(dataset)
    names = [dataset.classes[v] if v >= 0 else None for v in (ids[0, 0], ids[3, 3], ids[7, 7], ids[19, 29])]
    assert names == ["sky", "car", None, "sky"]


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("labelIds.png", np.full(SIZE, 34, np.uint8), "expected label ids below 34; got 34"),
        ("labelTrainIds.png", np.full(SIZE, 20, np.uint8), "expected train ids 0…18, 19 or 255; got 20"),
        ("labelIds.png", np.zeros((3, 4), np.uint8), "expected a map of 30 x 20; got 4 x 3"),
        ("polygons.json", polygons(height=3), "expected polygons of a picture of 30 x 20"),
        ("polygons.json", b"[1]", "expected an object with a list of objects"),
        ("polygons.json", polygons({"label": "sky", "polygon": [[1]]}), "expected objects with a label and a polygon"),
        ("polygons.json", polygons({"label": "sky", "polygon": [[1, "x"]]}), "expected a point as a number"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_bad_entry(
    kind: str, data: np.ndarray | bytes, told: str, put: Put, tmp_path: Path
) -> None:
    put_picture(tmp_path, put)
    place = truth(tmp_path, kind)
    place.write_bytes(data) if isinstance(data, bytes) else save(place, data)
    _, report = read(tmp_path, on_bad_input="report")
    assert len(report.bad_files) == 1
    assert told in report.bad_files[0].problem
    assert place.name in report.bad_files[0].problem


def test_a_picture_without_truth_is_a_bad_entry(put: Put, tmp_path: Path) -> None:
    put_picture(tmp_path, put)
    put_picture(tmp_path, put, "val")
    save(truth(tmp_path, "labelIds.png", "val"), label_ids().astype(np.uint8))
    dataset, report = read(tmp_path, on_bad_input="report")
    assert dataset.splits == ["validation"]
    assert [bad.path for bad in report.bad_files] == [f"leftImg8bit/train/aachen/{STEM}_leftImg8bit.png"]


def test_every_evaluated_label_has_its_train_id() -> None:
    ids = np.arange(34)[None]
    found = cityscapes.from_label_ids(ids)[0]
    assert [int(i) for i in np.flatnonzero(found >= 0)] == list(cityscapes.LABEL_IDS)
    assert found[found >= 0].tolist() == list(range(19))
    with pytest.raises(Unusable):
        cityscapes.from_train_ids(np.array([[20]]))
