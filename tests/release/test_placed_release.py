"""A release of images with objects or maps says so, and readers that know Croissant find the boxes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from PIL import Image

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Sample, Task
from twinset.formats import write
from twinset.masks import Rle
from twinset.provenance import encode_with_provenance
from twinset.release import Export, Marked, Release, croissant, dataset_card

MakeRelease = Callable[..., Release]
CLASSES = ("cell", "plate <b>")
BOXES = [[[1, 2, 5, 8], [4, 4, 10, 7]], [], [[0, 0, 3, 3]]]
CLASS_IDS = [[0, 1], [], [0]]
SIZES = [(12, 16), (10, 10), (12, 16)]


def objects(row: int, *, masks: bool = False) -> Instances:
    boxes = np.asarray(BOXES[row], dtype=np.float32).reshape(-1, 4)
    filled = []
    for x1, y1, x2, y2 in boxes.astype(int).tolist():
        mask = np.zeros(SIZES[row], dtype=bool)
        mask[y1:y2, x1:x2] = True
        filled.append(Rle.of(mask))
    found = Instances(size=SIZES[row], class_ids=np.asarray(CLASS_IDS[row], dtype=np.int64), boxes=boxes)
    return replace(found, masks=tuple(filled)) if masks else found


def made(task: Task) -> Dataset:
    def one(row: int) -> Sample:
        pixels = np.random.default_rng(row).integers(0, 256, (*SIZES[row], 3), dtype=np.uint8)
        if task == "semantic-segmentation":
            ids = np.full(SIZES[row], -1)
            ids[:4] = row % 2
            return Sample(f"{row:06d}-0", Annotation(semantic=SemanticMap.of(ids)), image=pixels)
        found = objects(row, masks=task == "instance-segmentation")
        return Sample(f"{row:06d}-0", Annotation(instances=found), image=pixels)

    return Dataset.of([one(row) for row in range(3)], classes=CLASSES)


def release_of(make: MakeRelease, task: Task, folder: Path, *formats: str, **changes: object) -> Release:
    dataset, exports = made(task), []
    for kind in formats:
        write(dataset, folder / "export" / kind, kind, encode=encode_with_provenance)  # type: ignore[arg-type]
        exports.append(Export.scan(folder / "export" / kind, kind, below=folder))  # type: ignore[arg-type]
    unit = "images that show it" if task == "semantic-segmentation" else "objects"
    values: dict[str, object] = {
        "counts": dataset.label_counts(),
        "unit": unit,
        "task": task,
        "marked": Marked.of(dataset),
        "sizes": tuple(sorted(set(SIZES))),
        "exports": tuple(exports),
    }
    return replace(make(), images=3, **{**values, **changes})  # type: ignore[arg-type]


def test_what_is_marked_is_counted() -> None:
    found = Marked.of(made("detection"))
    assert found is not None
    assert found.images == {"cell": 2, "plate <b>": 1}
    assert found.empty == 1
    assert found.per_image == pytest.approx((0.2, 1.0, 1.8))
    sides = np.sqrt([24, 18, 9])
    assert found.sides == pytest.approx(tuple(np.quantile(sides, (0.1, 0.5, 0.9))))
    maps = Marked.of(made("semantic-segmentation"))
    assert maps == Marked({"cell": 2, "plate <b>": 1}, 0)
    assert Marked.of(made("detection").take([1])) == Marked({"cell": 0, "plate <b>": 0}, 1)


@pytest.mark.parametrize(
    ("task", "category", "ids", "labels"),
    [
        ("detection", "object-detection", None, "boxes"),
        ("instance-segmentation", "image-segmentation", ["instance-segmentation"], "boxes and masks"),
        ("semantic-segmentation", "image-segmentation", ["semantic-segmentation"], "a class for every pixel"),
    ],
)
def test_the_card_names_the_task_and_counts_its_labels(
    make_release: MakeRelease, tmp_path: Path, task: Task, category: str, ids: list[str] | None, labels: str
) -> None:
    card = dataset_card(release_of(make_release, task, tmp_path, decision=None, difference=None, arms=()))
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["task_categories"] == [category]
    assert head.get("task_ids") == ids
    assert f"3 RGB images of 10 × 10 … 12 × 16 pixels, labelled with {labels} in 2 classes" in card
    if task == "semantic-segmentation":
        assert "| class | images that show it |" in card
        assert "no segmenter was trained" in card
        assert "Objects in an image" not in card
    else:
        assert "| class | objects | images that show it |" in card
        assert "| cell | 2 | 2 |\n| plate &lt;b&gt; | 1 | 1 |\n| all | 3 | 2 |" in card
        assert "Images that show none of these classes: 1." in card
        assert "Objects in an image: median 1 (10 % to 90 %: 0.2 … 1.8)" in card
        assert "no detector was trained" in card


FORMATS: dict[Task, tuple[str, ...]] = {
    "detection": ("coco", "yolo", "kitti", "voc", "parquet", "webdataset"),
    "instance-segmentation": ("coco", "parquet", "webdataset"),
    "semantic-segmentation": ("masks", "parquet", "webdataset"),
}


def loaded(
    reader: ModuleType, make_release: MakeRelease, task: Task, folder: Path
) -> Callable[[str], list[dict[str, object]]]:
    """Records of a set by the reference reader, which finds no fault."""
    path = folder / "croissant.json"
    path.write_text(croissant(release_of(make_release, task, folder, *FORMATS[task])), encoding="utf-8")
    dataset = reader.Dataset(jsonld=str(path))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert [warning for warning in issues.warnings if "schema.org/license" not in warning] == []
    return lambda name: list(dataset.records(name))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detection", "instance-segmentation"])
def test_the_reference_reader_finds_every_box(
    mlcroissant: ModuleType, make_release: MakeRelease, tmp_path: Path, task: Task
) -> None:
    read = loaded(mlcroissant, make_release, task, tmp_path)
    flat = [(c, *box) for ids, boxes in zip(CLASS_IDS, BOXES, strict=True) for c, box in zip(ids, boxes, strict=True)]
    coco = [
        (int(row["coco-objects/category_id"]) - 1, *corners(row["coco-objects/bbox"])) for row in read("coco-objects")
    ]  # type: ignore[call-overload]
    assert coco == flat
    rows = [row["parquet/objects"] for row in read("parquet")]
    names = [f"parquet/objects/{name}" for name in ("class_id", "x1", "y1", "x2", "y2")]
    assert [tuple(one[name] for name in names) for row in rows for one in row] == flat  # type: ignore[attr-defined]
    assert [len(row) for row in rows] == [2, 0, 1]  # type: ignore[arg-type]
    tars = {text(row["webdataset-label/key"]): text(row["webdataset-label/json"]) for row in read("webdataset-label")}
    found = [json.loads(tars[key])["twinset"]["instances"]["objects"] for key in sorted(tars)]
    assert [(CLASSES.index(one["label"]), *one["box"]) for row in found for one in row] == flat
    assert sorted(tars) == sorted(text(row["webdataset/key"]) for row in read("webdataset"))
    if task == "detection":
        lines = [row["yolo-label/line"] for row in read("yolo-label")]
        assert len([line for line in lines if line is not None]) == 3
        assert len(read("kitti-label")) >= 3
        assert len(read("voc")) == 3


def corners(box: list[float]) -> tuple[float, ...]:
    x, y, width, height = box
    return x, y, x + width, y + height


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.slow
def test_the_reference_reader_finds_every_map(
    mlcroissant: ModuleType, make_release: MakeRelease, tmp_path: Path
) -> None:
    read = loaded(mlcroissant, make_release, "semantic-segmentation", tmp_path)
    expected = sorted(
        np.where(m < 0, 255, m).astype(np.uint8).tobytes() for m in map(dense, made("semantic-segmentation"))
    )
    assert sorted(map_bytes(row["parquet/map"]) for row in read("parquet")) == expected
    # Of files that are pictures this reader hands out their colours: those of the palette.
    assert len(read("masks-label")) == len(read("masks")) == 3
    maps = {
        text(row["webdataset-label/key"]): map_bytes(row["webdataset-label/map"]) for row in read("webdataset-label")
    }
    assert sorted(maps.values()) == expected
    assert sorted(maps) == sorted(text(row["webdataset/key"]) for row in read("webdataset"))


def dense(sample: Sample) -> np.ndarray:
    assert sample.annotation is not None
    assert sample.annotation.semantic is not None
    return sample.annotation.semantic.dense()


def map_bytes(value: object) -> bytes:
    picture = Image.open(io.BytesIO(value)) if isinstance(value, bytes) else value
    return np.asarray(picture, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("task", list(FORMATS))
def test_every_file_is_named_once(make_release: MakeRelease, tmp_path: Path, task: Task) -> None:
    release = release_of(make_release, task, tmp_path, *FORMATS[task])
    document = json.loads(croissant(release))
    assert "image classification" not in document["keywords"]
    ids = [node["@id"] for node in (*document["distribution"], *document["recordSet"])]
    assert len(set(ids)) == len(ids)
    files = [node for node in document["distribution"] if node["@type"] == "cr:FileObject"]
    assert len(files) == sum(len(export.files) for export in release.exports)
