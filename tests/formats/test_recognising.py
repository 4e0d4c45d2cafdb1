"""A folder that is a part of a dataset, and YAML that is a recipe: told, with what to give in its place."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.formats.scenes import boxes_only, dataset_of, pixels, semantic

from twinset.annotations import Annotation
from twinset.errors import DatasetFormatError
from twinset.formats import read, semantic_masks, write
from twinset.formats.folder import Folder
from twinset.formats.recognising import whole_of
from twinset.formats.writing import WritableFormat
from twinset.images import encode_png
from twinset.inspection import inspect

Put = Callable[..., Path]
DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="TWINSET_DATA is not set")
PARTS: list[tuple[WritableFormat, str]] = [
    ("yolo", "labels"),
    ("yolo", "labels/train"),
    ("yolo", "images"),
    ("yolo", "images/train"),
    ("voc", "Annotations"),
    ("voc", "JPEGImages"),
    ("voc", "ImageSets"),
    ("voc", "ImageSets/Main"),
    ("coco", "images"),
    ("masks", "masks"),
    ("masks", "images"),
    ("kitti", "training/label_2"),
]


@pytest.mark.parametrize(("format", "part"), PARTS)
def test_a_part_of_a_dataset_names_the_whole(format: WritableFormat, part: str, tmp_path: Path) -> None:
    said = Annotation(semantic=semantic(0)) if format == "masks" else Annotation(instances=boxes_only())
    write(dataset_of(said, said, said), tmp_path / "set", format)
    with pytest.raises(DatasetFormatError, match="got a part of the one in") as caught:
        inspect(tmp_path / "set" / part)
    assert caught.value.exit_code == 4
    assert caught.value.hint == f"give {tmp_path / 'set'}"
    inspect(tmp_path / "set")


def test_the_whole_is_shown_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(dataset_of(Annotation(instances=boxes_only()), splits=False), tmp_path / "set", "yolo")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DatasetFormatError, match=re.escape("set/labels: expected a dataset; got a part of the one in set")
    ):
        read("set/labels")


def test_pictures_of_their_own_are_no_part(put: Put, tmp_path: Path) -> None:
    """Images to be labelled, beside nothing; and class folders below a folder called images."""
    for seed in range(3):
        put(tmp_path / f"new/images/{seed}.png", seed)
        put(tmp_path / f"sorted/images/cat/{seed}.png", seed)
    assert inspect(tmp_path / "new/images").unlabelled == 3
    assert inspect(tmp_path / "sorted/images").classes == {"cat": 3}
    assert whole_of(tmp_path / "new/images") is None


def test_a_dataset_beside_another_is_not_taken_for_its_part(put: Put, tmp_path: Path) -> None:
    write(dataset_of(Annotation(instances=boxes_only()), splits=False), tmp_path / "set", "yolo")
    put(tmp_path / "set/holiday/a.png", 1)
    assert inspect(tmp_path / "set/holiday").report.images == 1


def test_pictures_of_a_dataset_can_still_be_read_as_unlabelled(tmp_path: Path) -> None:
    """Images of where a model will be used may be those of somebody's dataset."""
    write(dataset_of(Annotation(instances=boxes_only()), splits=False), tmp_path / "set", "coco")
    assert len(read(tmp_path / "set/images")[0]) == 1


def test_a_folder_without_pictures_is_an_error(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "texts/a.txt", b"0 0.5 0.5 1 1\n")
    with pytest.raises(DatasetFormatError, match="expected pictures; got none"):
        inspect(tmp_path / "texts")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("schema: twinset/recipe/1\ndata:\n  path: photos\ntask: detection\n", "(photos)"),
        ("data: photos\n", "(photos)"),
        ("schema: twinset/recipe/1\n", ""),
    ],
)
def test_a_recipe_is_said_to_be_one(text: str, named: str, put: Put, tmp_path: Path) -> None:
    path = put(tmp_path / "r.yaml", text.encode())
    with pytest.raises(DatasetFormatError, match="expected a dataset; got a recipe of twinset") as caught:
        read(path)
    assert named in caught.value.hint
    assert f"twinset run {path}" in caught.value.hint


def test_a_description_of_yolo_is_no_recipe(tmp_path: Path) -> None:
    write(dataset_of(Annotation(instances=boxes_only()), splits=False), tmp_path / "set", "yolo")
    assert read(tmp_path / "set/data.yaml")[1].format == "yolo"


def test_looking_for_masks_lists_each_folder_once(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for every picture, and never a picture as if it were a folder."""
    for number in range(60):
        put(tmp_path / f"photos/{number}.png", encode_png(pixels(0)))
    listed: Counter[str] = Counter()
    names = Folder.names

    def counting(self: Folder, below: str = "") -> list[str]:
        listed[below] += 1
        return names(self, below)

    monkeypatch.setattr(Folder, "names", counting)
    assert not semantic_masks.claims(Folder.at(tmp_path))
    assert not [place for place in listed if place.endswith(".png")]
    assert sum(listed.values()) < 60


@needs_data
@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("coco_mini/annotations", "coco_mini"),
        ("coco_mini/images/train", "coco_mini"),
        ("bccd/VOC2007/Annotations", "bccd/VOC2007"),
        ("aerial_cars/labels", "aerial_cars"),
        ("camvid/masks", "camvid"),
    ],
)
def test_parts_of_real_datasets_name_them(part: str, whole: str) -> None:
    assert whole_of(DATA / part) == (DATA / whole).resolve()


@pytest.mark.parametrize(("exported", "hint"), [(True, "give its dataset: .*imagefolder"), (False, "exported nothing")])
def test_the_folder_of_a_run_names_its_dataset(tmp_path: Path, exported: bool, hint: str) -> None:
    for name in ("run.json", "recipe.yaml"):
        (tmp_path / name).write_text("{}")
    if exported:
        (tmp_path / "export" / "imagefolder").mkdir(parents=True)
    with pytest.raises(DatasetFormatError, match="expected a dataset; got the folder of a run") as caught:
        read(tmp_path)
    assert re.search(hint, caught.value.hint)
