"""Joining and picking: nothing that a sample says about itself is lost, however large the dataset."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from twinset import dataset as module
from twinset.annotations import Annotation
from twinset.dataset import SCHEMA, Dataset, Sample
from twinset.formats import read
from twinset.formats.objects import Objects, Stated
from twinset.images import FULL_RANGE, Window

PIXELS = np.zeros((2, 2, 1), dtype=np.uint8)


def two(prefix: str, splits: list[str | None] | None = None) -> Dataset:
    samples = [Sample(f"{prefix}{row}", Annotation(class_id=row), image=PIXELS) for row in range(2)]
    return Dataset.of(samples, classes=("a", "b"), splits=splits)


def deep(window: Window, prefix: str) -> Dataset:
    """One 16-bit picture of grey value 1000, shown through this window."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((2, 2), 1000, dtype=np.uint16)).save(buffer, format="PNG")
    return Dataset.of([Sample(prefix, image=buffer.getvalue())], classes=()).with_window(window)


def test_a_window_is_kept_when_datasets_are_joined() -> None:
    window = Window(0, 2000)
    joined = deep(window, "a").concat(deep(window, "b"))
    assert [int(sample.pixels().max()) for sample in joined] == [128, 128]
    assert int(joined.with_window(FULL_RANGE)[0].pixels().max()) == 4


def test_a_window_is_kept_when_samples_make_a_dataset() -> None:
    first, other = deep(Window(0, 2000), "a")[0], deep(Window(0, 4095), "b")[0]
    assert int(Dataset.of([first, Sample("x", image=PIXELS)], classes=())[0].pixels().max()) == 128
    with pytest.raises(ValueError, match="expected samples of one window of grey values; got"):
        Dataset.of([first, other], classes=())


def test_datasets_of_different_windows_are_not_joined() -> None:
    with pytest.raises(ValueError, match=r"expected the same window of grey values; got .*2000.* and .*4095.*window"):
        deep(Window(0, 2000), "a").concat(deep(Window(0, 4095), "b"))


def test_given_splits_are_kept_when_datasets_are_joined() -> None:
    joined = two("x", ["train", "test"]).concat(two("y", [None, "validation"]))
    assert joined.splits == ["train", "test", None, "validation"]
    assert joined.ids == ["x0", "x1", "y0", "y1"]


def test_files_are_found_after_joining_datasets_of_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("one", "two")):
        for label in ("a", "b"):
            (tmp_path / name / label).mkdir(parents=True)
            Image.fromarray(np.full((2, 2), 100 * number, dtype=np.uint8)).save(tmp_path / name / label / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    first, second = read(Path("one"))[0], read(Path("two"))[0]
    joined = first.concat(second)
    monkeypatch.chdir("/")
    assert joined.table.column("path").to_pylist()[:2] == first.table.column("path").to_pylist()
    assert [int(sample.pixels().max()) for sample in joined.take([2, 3])] == [100, 100]
    assert first.concat(two("x")).root == first.root


def test_samples_are_taken_from_more_images_than_one_array_can_hold() -> None:
    large = 1_200_000_000
    offsets = pa.py_buffer(np.array([0, large, large + 1], dtype=np.int32))
    data = pa.py_buffer(np.zeros(large + 1, dtype=np.uint8))
    images = pa.chunked_array([pa.Array.from_buffers(pa.binary(), 2, [None, offsets, data])] * 2)
    columns = {name: pa.nulls(4, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {"id": pa.array(["a", "b", "c", "d"]), "image": images}
    dataset = Dataset((), pa.table(columns, schema=SCHEMA))
    found = dataset.take([3, 1]).table
    assert found.column("id").to_pylist() == ["d", "b"]
    assert found.column("image").to_pylist() == [b"\0", b"\0"]


@pytest.mark.parametrize("most", [1, 150, 100_000])
def test_taking_gives_the_same_samples_however_the_images_are_held(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [two(prefix, ["train", None]) for prefix in "uvwxyz"]
    rows = [11, 0, 1, 5, 4, 6, 7, 2]
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined.concat(piece)
    expected = joined.take(rows)
    assert expected.table.column("image").num_chunks == 1
    monkeypatch.setattr(module, "ARRAY_BYTES", most)
    assert joined.take(rows).table.equals(expected.table)
    assert len(joined.take([])) == 0


def crowded() -> Dataset:
    """2,000 objects in the first picture, which the disk has a shelf for, and one in each of 100 others."""
    objects = Objects()
    for number in range(101):
        objects.picture([Stated("a", (0, 0, 1, 1))] * (1 if number else 2000))
    _, column, _ = objects.settle(dict.fromkeys(range(101), (2, 2)), ["a"])
    columns = {name: pa.nulls(101, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {"id": pa.array([str(number) for number in range(101)]), "instances": column}
    return Dataset(("a",), pa.table(columns, schema=SCHEMA), Path("here"), Window(0, 9), "crowd")


def test_a_dataset_is_pickled_as_large_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.formats.objects.SHELF", 1)
    dataset = crowded()
    assert dataset.table.column("instances").num_chunks == 101
    data = pickle.dumps(dataset)
    back = pickle.loads(data)
    assert len(data) < dataset.table.nbytes + 2500 * 101
    assert back.table.equals(dataset.table)
    assert (back.classes, back.root, back.window, back.name) == (("a",), Path("here"), Window(0, 9), "crowd")
    assert back.row_of("7") == 7
    empty = pickle.loads(pickle.dumps(dataset.take([])))
    assert (len(empty), empty.table.schema) == (0, SCHEMA)
