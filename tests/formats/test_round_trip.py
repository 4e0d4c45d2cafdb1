"""Writing a dataset and reading it back; and what other people's readers make of what we write."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import boxes_only, dataset_of, masked, semantic

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.editing.classical import Classical
from twinset.errors import UnknownNameError, UsageError
from twinset.formats import FORMATS, read, write
from twinset.formats.losses import masks_in
from twinset.images import Window, encode_png
from twinset.randomness import Stream

PARTS = ("train", "validation", "test")

OF_PICTURES = ("imagefolder", "webdataset", "parquet", "csv", "coco", "cvat")
"""Formats that hold the class of a whole picture."""

OF_CLASSES = tuple(name for name in FORMATS if name != "masks")
"""Formats that can be written without objects and maps; masks are refused then."""


def with_parts(dataset: Dataset) -> Dataset:
    return dataset.with_splits([PARTS[row // 3 % 3] for row in range(len(dataset))])


@pytest.fixture
def plain() -> Dataset:
    samples = [
        Sample(f"{row:02d}", Annotation(class_id=row % 3), image=np.full((6, 5, 1), row * 7, dtype=np.uint8))
        for row in range(24)
    ]
    return with_parts(Dataset.of(samples, classes=["zebra", "10", "9"]))


@pytest.mark.parametrize("name", OF_PICTURES)
def test_images_that_were_edited_without_a_recipe_come_back(name: str, plain: Dataset, tmp_path: Path) -> None:
    made = [Classical().edit(sample, rng=Stream(row)) for row, sample in enumerate(plain)]
    write(Dataset.of(made, classes=plain.classes), tmp_path / "out", name)  # type: ignore[arg-type]
    back, _ = read(tmp_path / "out" / "labels.csv" if name == "csv" else tmp_path / "out")
    assert {sample.origin.recipe_digest for sample in back} == {""}
    assert {sample.id: sample.origin.parents for sample in back} == {id_: (id_,) for id_ in plain.ids}


@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize("name", ["imagefolder", "webdataset", "parquet"])
def test_a_round_trip_loses_nothing(name: str, splits: bool, awkward: Dataset, tmp_path: Path) -> None:
    dataset = with_parts(awkward) if splits else awkward
    report = write(dataset, tmp_path / "out", name)  # type: ignore[arg-type]
    back, _ = read(tmp_path / "out")
    back = back.take([back.row_of(sample_id) for sample_id in dataset.ids])
    assert report.images == len(dataset)
    assert back.classes == dataset.classes
    assert back.splits == dataset.splits
    assert back.digest() == dataset.digest()


def test_a_csv_round_trip_keeps_all_but_the_types_of_attributes(awkward: Dataset, tmp_path: Path) -> None:
    write(with_parts(awkward), tmp_path / "out", "csv")
    back, _ = read(tmp_path / "out")
    assert back.classes == awkward.classes
    for sample in awkward:
        twin = back[back.row_of(sample.id)]
        assert (twin.pixels() == sample.pixels()).all()
        assert twin.origin == sample.origin
        if sample.annotation is None:
            assert twin.annotation is None
        else:
            assert twin.annotation is not None
            assert twin.annotation.class_id == sample.annotation.class_id
            assert twin.annotation.class_probabilities == sample.annotation.class_probabilities
            assert twin.annotation.caption == sample.annotation.caption
            assert dict(twin.annotation.attributes) == {k: str(v) for k, v in sample.annotation.attributes.items()}


@pytest.mark.parametrize("splits", [None, ["train", "train", "validation", "test", "test", "test"]])
@pytest.mark.parametrize("labelled", [6, 4, 0])
@pytest.mark.parametrize("name", OF_PICTURES)
def test_classes_called_like_splits_survive(name: str, labelled: int, splits: list[str] | None, tmp_path: Path) -> None:
    samples = [
        Sample(f"s{row}", Annotation(class_id=row % 3) if row < labelled else None, image=np.zeros((4, 4, 1), np.uint8))
        for row in range(6)
    ]
    dataset = Dataset.of(samples, classes=("train", "test", "bus"), splits=splits)
    write(dataset, tmp_path / "out", name)  # type: ignore[arg-type]
    back, _ = read(tmp_path / "out")
    back = back.take([back.row_of(sample_id) for sample_id in dataset.ids])
    assert back.splits == dataset.splits
    assert back.digest() == dataset.digest()


@pytest.mark.parametrize("name", OF_PICTURES)
def test_attributes_of_any_name_survive(name: str, tmp_path: Path) -> None:
    names = ("class", "class_", "method", "attributes", "caption", "path", "unlabelled", " Label ", "id", "plain", "")
    attributes = {name: f"value of {name}" for name in names}
    samples = [
        Sample(
            "a", Annotation(class_id=0, attributes={**attributes, "empty": ""}), image=np.zeros((4, 4, 1), np.uint8)
        ),
        Sample("b", Annotation(class_id=0, attributes={"empty": "no"}), image=np.ones((4, 4, 1), np.uint8)),
    ]
    dataset = Dataset.of(samples, classes=("x",))
    write(dataset, tmp_path / "out", name)  # type: ignore[arg-type]
    back, _ = read(tmp_path / "out")
    assert back.digest() == dataset.digest()


def test_csv_keeps_attributes_in_columns_of_their_own_where_it_can(tmp_path: Path) -> None:
    annotation = Annotation(class_id=0, attributes={"patient": "007", "class": "big", "note": ""})
    dataset = Dataset.of([Sample("a", annotation, image=np.zeros((4, 4, 1), np.uint8))], classes=("x",))
    write(dataset, tmp_path / "out", "csv")
    with (tmp_path / "out/labels.csv").open(newline="") as handle:
        row = next(csv.DictReader(handle))
    assert row["patient"] == "007"
    assert json.loads(row["attributes"]) == {"class": "big", "note": ""}
    assert row["label"] == "x"
    assert not {"class", "class_", "note"} & set(row)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_equal_datasets_give_equal_files(name: str, awkward: Dataset, tmp_path: Path) -> None:
    for place in ("a", "b"):
        write(awkward, tmp_path / place, name)  # type: ignore[arg-type]
    contents = [
        {p.relative_to(tmp_path / place): p.read_bytes() for p in (tmp_path / place).rglob("*") if p.is_file()}
        for place in ("a", "b")
    ]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", OF_CLASSES)
def test_nothing_is_overwritten_and_nothing_half_is_left(name: str, plain: Dataset, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="expected a new or empty folder"):
        write(plain, tmp_path / "full", name)  # type: ignore[arg-type]

    def fails(sample: Sample) -> bytes:
        if sample.id == "20":
            raise KeyboardInterrupt
        return sample.encoded()

    with pytest.raises(KeyboardInterrupt):
        write(plain, tmp_path / "new", name, encode=fails)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    assert (tmp_path / "full/mine.txt").read_text() == "mine"


def test_an_empty_folder_is_filled_with_ordinary_permissions(plain: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "usual").mkdir()
    write(plain, tmp_path / "out", "csv")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert len(read(tmp_path / "out")[0]) == len(plain)


def test_unknown_formats_and_half_split_datasets_are_refused(plain: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'parquet'"):
        write(plain, tmp_path / "out", "parket")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a split on every sample, or on none"):
        write(plain.with_splits([None, *plain.splits[1:]]), tmp_path / "out", "csv")


def test_encode_gives_the_content_of_every_file(plain: Dataset, tmp_path: Path) -> None:
    def inverted(sample: Sample) -> bytes:
        return encode_png(255 - sample.pixels())

    for name in OF_PICTURES:
        write(plain, tmp_path / name, name, encode=inverted)  # type: ignore[arg-type]
        back, _ = read(tmp_path / name)
        assert (back[back.row_of("03")].pixels() == 255 - 21).all()


@pytest.mark.parametrize("name", FORMATS)
def test_encode_gives_the_content_of_pictures_with_objects_too(name: str, tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=boxes_only(), semantic=semantic(0), class_id=1), splits=False)
    write(dataset, tmp_path / name, name, encode=lambda sample: encode_png(255 - sample.pixels()))  # type: ignore[arg-type]
    back, _ = read(tmp_path / name)
    assert (back[0].pixels() == 255 - dataset[0].pixels()).all()


@pytest.mark.parametrize("name", FORMATS)
def test_losses_are_what_does_not_come_back(name: str, tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=masked(), semantic=semantic(0), class_id=1), splits=False)
    losses = write(dataset, tmp_path / name, name).losses  # type: ignore[arg-type]
    back, _ = read(tmp_path / name)
    missing = {
        "objects": int(back.object_counts().sum()) == 0,
        "masks": masks_in(back) == 0,
        "crowd flags": not back.object_column("crowd").any(),
        "difficult flags": not back.object_column("difficult").any(),
        "semantic maps": back.table.column("semantic").null_count == 1,
        "image classes": bool((back.class_ids < 0).all()),
    }
    told = {name for name in missing if name in losses}
    kept_beside = {"coco": {"difficult flags", "image classes"}}.get(name, set())
    assert {what for what, gone in missing.items() if gone} | (told & kept_beside) == told


def test_pictures_keep_the_bytes_they_came_as_unless_a_window_was_applied(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in/a").mkdir(parents=True)
    values = np.arange(60, dtype=np.uint16).reshape(6, 10) + 100
    Image.fromarray(values).save(tmp_path / "in/a/x.png")
    whole, _ = read(tmp_path / "in")
    write(whole, tmp_path / "whole", "imagefolder")
    assert (tmp_path / "whole/a/x.png").read_bytes() == (tmp_path / "in/a/x.png").read_bytes()
    windowed, _ = read(tmp_path / "in", window=Window(100, 159))
    write(windowed, tmp_path / "windowed", "imagefolder")
    back, _ = read(tmp_path / "windowed")
    assert back[0].pixels().max() == 255
    assert (back[0].pixels() == windowed[0].pixels()).all()


def test_large_sets_are_written_in_several_row_groups_and_shards(
    awkward: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("twinset.formats.parquet_writing.GROUP_ROWS", 10)
    monkeypatch.setattr("twinset.formats.webdataset.SHARD_BYTES", 20_000)
    write(awkward, tmp_path / "p", "parquet")
    write(awkward, tmp_path / "w", "webdataset")
    assert pq.ParquetFile(next((tmp_path / "p").rglob("*.parquet"))).num_row_groups == 4
    assert len(list((tmp_path / "w").glob("*.tar"))) > 1
    assert read(tmp_path / "p")[0].digest() == read(tmp_path / "w")[0].digest() == awkward.digest()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(key, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["imagefolder", "parquet"])
def test_the_datasets_library_reads_labels_and_splits(name: str, plain: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write(plain, tmp_path / "out", name)  # type: ignore[arg-type]
    theirs = datasets.load_dataset(name, data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(theirs) == set(PARTS)
    seen = {}
    for part in theirs.values():
        names = part.features["label"].names
        for row in part:
            value = int(np.asarray(row["image"])[0, 0])
            seen[value] = names[row["label"]]
    assert seen == {row * 7: plain.classes[row % 3] for row in range(24)}
    if name == "parquet":
        assert theirs["train"].features["label"].names == list(plain.classes)
        assert theirs["train"][0]["id"] == "00"


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_datasets_library_reads_hostile_class_names_from_parquet(awkward: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write(awkward, tmp_path / "out", "parquet")
    theirs = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert theirs["train"].features["label"].names == list(awkward.classes)
    labels = [-1 if label is None else label for label in theirs["train"]["label"]]
    assert labels == awkward.class_ids.tolist()


@pytest.mark.slow
def test_the_webdataset_library_reads_pictures_and_labels(plain: Dataset, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write(plain, tmp_path / "out", "webdataset")
    shards = [str(path) for path in sorted((tmp_path / "out").glob("*.tar"))]
    assert [os.path.basename(shard).split("-")[0] for shard in shards] == sorted(PARTS)  # noqa: PTH119
    theirs = list(webdataset.WebDataset(shards, shardshuffle=False).decode("l8").to_tuple("png", "cls", "json"))
    assert len(theirs) == 24
    for pixels, label, row in theirs:
        number = int(np.asarray(pixels).ravel()[0]) // 7
        assert label == number % 3
        assert row["label"] == plain.classes[label]
