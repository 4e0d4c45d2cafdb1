from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import RunFolderError
from twinset.instances import Instances
from twinset.models.detection.scenes import FILL, Scenes


def one(boxes: list[list[float]], *, size: tuple[int, int] = (40, 80), **flags: list[bool]) -> Dataset:
    instances = Instances(
        size, np.zeros(len(boxes), np.int64), np.array(boxes, np.float32), **{k: np.array(v) for k, v in flags.items()}
    )
    return Dataset.of(
        [Sample("a", Annotation(instances=instances), image=np.full((*size, 3), 200, np.uint8))], classes=["thing"]
    )


def test_a_wide_picture_is_scaled_and_laid_in_the_middle_with_its_boxes() -> None:
    scenes = Scenes.of(one([[10, 20, 30, 40]]), height=32, width=32, channels=3)
    np.testing.assert_allclose(scenes.boxes[0], [[4, 16, 12, 24]])
    assert (scenes.images[0, 8:24] == 200).all()
    assert (scenes.images[0, :8] == FILL).all()
    assert (scenes.images[0, 24:] == FILL).all()


@pytest.mark.parametrize("size", [(40, 80), (80, 40), (33, 47), (16, 16), (100, 7)])
def test_boxes_come_back_to_the_original(size: tuple[int, int]) -> None:
    dataset = one([[1, 2, 6, 15]], size=size)
    scenes = Scenes.of(dataset, height=48, width=64, channels=1)
    np.testing.assert_allclose(scenes.to_original(0, scenes.boxes[0]), [[1, 2, 6, 15]], atol=1e-4)
    assert scenes.sizes.tolist() == [list(size)]


def test_crowds_difficult_and_tiny_objects_are_ignored() -> None:
    boxes = [[0, 0, 20, 20], [0, 0, 20, 20], [0, 0, 20, 20], [5, 5, 8, 20]]
    data = one(boxes, crowd=[False, True, False, False], difficult=[False, False, True, False])
    assert Scenes.of(data, height=16, width=32, channels=3).ignored[0].tolist() == [False, True, True, True]
    assert Scenes.of(data, height=32, width=64, channels=3).ignored[0].tolist() == [False, True, True, False]


def test_unlabelled_differs_from_empty() -> None:
    image = np.zeros((8, 8, 1), np.uint8)
    samples = [Sample("a", image=image), Sample("b", Annotation(instances=Instances.none((8, 8))), image=image)]
    scenes = Scenes.of(Dataset.of(samples, classes=["thing"]), height=16, width=16, channels=1)
    assert scenes.labelled.tolist() == [False, True]
    assert [len(boxes) for boxes in scenes.boxes] == [0, 0]


def test_saved_scenes_are_mapped_and_equal(shapes: Callable[..., Dataset], tmp_path: Path) -> None:
    scenes = Scenes.of(shapes(12), height=64, width=64, channels=3)
    scenes.save(tmp_path / "scenes")
    again = Scenes.load(tmp_path / "scenes")
    assert isinstance(again.images, np.memmap)
    assert again.digest() == scenes.digest()
    for i in range(12):
        for a, b in zip(scenes.objects(i), again.objects(i), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_the_digest_sees_pixels_objects_and_placement(shapes: Callable[..., Dataset]) -> None:
    scenes = Scenes.of(shapes(4), height=64, width=64, channels=3)
    digests = {scenes.digest(), scenes.take([1, 0, 2, 3]).digest(), scenes.take([0, 1, 2]).digest()}
    boxes = (scenes.boxes[0] + 1, *scenes.boxes[1:])
    moved = [scenes.class_ids, scenes.ignored, scenes.scales, scenes.offsets, scenes.sizes, scenes.labelled]
    digests.add(Scenes(scenes.images, boxes, *moved).digest())  # type: ignore[arg-type]
    digests.add(Scenes(scenes.images, scenes.boxes, *moved[:3], scenes.offsets + 1, *moved[4:]).digest())  # type: ignore[arg-type]
    assert len(digests) == 5


def test_taking_and_joining_keep_order(shapes: Callable[..., Dataset]) -> None:
    scenes = Scenes.of(shapes(6), height=64, width=64, channels=3)
    assert scenes.take([0, 1, 2]).concat(scenes.take([3, 4, 5])).digest() == scenes.digest()
    with pytest.raises(ValueError, match="expected pictures of"):
        scenes.concat(Scenes.of(shapes(1), height=32, width=64, channels=3))


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="expected the scenes"):
        Scenes.load(tmp_path)
