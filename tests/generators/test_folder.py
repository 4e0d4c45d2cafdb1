"""Anybody's images take the place of a generator, with all that is marked in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.formats import read, write
from twinset.generators.folder import Folder
from twinset.randomness import Stream
from twinset.stages import Slot


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    dataset, _ = read("builtin:digit-scenes")
    return dataset.take(range(30))


def slots(count: int) -> list[Slot]:
    return [Slot(rank, 0, rank, 0, "recipe", rank) for rank in range(count)]


def renamed(dataset: Dataset, classes: list[str]) -> Dataset:
    """The same objects with classes in another order."""
    order = np.asarray([classes.index(name) for name in dataset.classes])

    def one(sample: Sample) -> Sample:
        assert sample.annotation is not None
        objects = sample.annotation.instances
        assert objects is not None
        moved = replace(objects, class_ids=order[objects.class_ids])
        return replace(sample, annotation=Annotation(instances=moved))

    return Dataset.of([one(sample) for sample in dataset], classes=classes)


def names_and_boxes(sample: Sample, classes: tuple[str, ...]) -> list[tuple[object, ...]]:
    assert sample.annotation is not None
    objects = sample.annotation.instances
    assert objects is not None
    return [
        (classes[c], *box) for c, box in zip(objects.class_ids.tolist(), objects.boxes.round(3).tolist(), strict=True)
    ]


def test_objects_come_along_with_classes_matched_by_name(scenes: Dataset, tmp_path: Path) -> None:
    backwards = renamed(scenes.take(range(20, 30)), list(reversed(scenes.classes)))
    write(backwards, tmp_path / "twin", "coco")
    given, _ = read(tmp_path / "twin")
    assert given.classes != scenes.classes
    generator = Folder(str(tmp_path / "twin")).fit(scenes.take(range(20)), rng=Stream(0))
    assert generator.stock(0) == 10
    made = list(generator.generate(slots(10)))
    expected = {sample.pixels().tobytes(): names_and_boxes(sample, given.classes) for sample in given}
    assert len(expected) == 10
    for sample in made:
        assert names_and_boxes(sample, scenes.classes) == expected[sample.pixels().tobytes()]
        assert sample.origin.method == "folder"
    with pytest.raises(IndexError):
        list(generator.generate([Slot(10, 0, 0, 0, "recipe", 10)]))


def test_images_with_objects_keep_their_size_and_get_the_channels_of_the_real_ones(tmp_path: Path) -> None:
    def scene(id_: str, shape: tuple[int, int, int]) -> Sample:
        box = np.asarray([[1, 2, 5, 7]], dtype=np.float32)
        objects = Instances(size=shape[:2], class_ids=np.zeros(1, np.int32), boxes=box)
        return Sample(id_, Annotation(instances=objects), image=np.full(shape, 90, np.uint8))

    write(Dataset.of([scene("a", (12, 18, 1))], classes=["car"]), tmp_path / "twin", "coco")
    training = Dataset.of([scene("b", (24, 30, 3))], classes=["car"])
    (made,) = Folder(str(tmp_path / "twin")).fit(training, rng=Stream(0)).generate(slots(1))
    assert made.pixels().shape == (12, 18, 3)
    assert names_and_boxes(made, ("car",)) == [("car", 1, 2, 5, 7)]


def test_semantic_maps_are_renumbered_and_ignored_pixels_stay_ignored(tmp_path: Path) -> None:
    class_ids = np.asarray([[0, 1], [-1, 1]]).repeat(4, 0).repeat(4, 1)
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)

    def mapped(id_: str, ids: np.ndarray) -> Sample:
        return Sample(id_, Annotation(semantic=SemanticMap.of(ids)), image=picture)

    write(Dataset.of([mapped("a", class_ids)], classes=["car", "sky"]), tmp_path / "twin", "masks")
    training = Dataset.of([mapped("b", class_ids)], classes=["road", "sky", "car"])
    (made,) = Folder(str(tmp_path / "twin")).fit(training, rng=Stream(0)).generate(slots(1))
    assert made.annotation is not None
    assert made.annotation.semantic is not None
    assert np.array_equal(made.annotation.semantic.dense(), np.asarray([2, 1, -1])[class_ids])


def test_images_without_the_real_ones_kind_of_labels_are_refused(scenes: Dataset, tmp_path: Path) -> None:
    plain = Dataset.of((replace(s, annotation=Annotation(class_id=0)) for s in scenes.take([0, 1])), classes=["0", "1"])
    write(plain, tmp_path / "twin", "imagefolder")
    with pytest.raises(DataError, match=r"expected objects for every image.*got 2 of 2 without"):
        Folder(str(tmp_path / "twin")).fit(scenes, rng=Stream(0))
    write(scenes.take([0, 1]), tmp_path / "marked", "coco")
    digits, _ = read("builtin:digits")
    named = Dataset.of(digits.take([0, 1]), classes=scenes.classes)
    with pytest.raises(DataError, match=r"expected a class for every image.*got 2 of 2 without"):
        Folder(str(tmp_path / "marked")).fit(named, rng=Stream(0))
