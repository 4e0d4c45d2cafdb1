from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.crops import crop_batches, crop_frames, crop_owners, object_crops, objects_of
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances


def boxed(boxes: list[list[float]], classes: list[int] | None = None, crowd: list[bool] | None = None) -> Instances:
    ids = np.array(classes or [0] * len(boxes))
    flags = None if crowd is None else np.array(crowd)
    return Instances((20, 30), ids, np.array(boxes, dtype=np.float32).reshape(-1, 4), crowd=flags)


def test_frames_are_the_pixels_that_a_box_touches() -> None:
    assert crop_frames(boxed([[2.2, 3, 7.1, 5.5], [0, 0, 30, 20]])) == [[2, 3, 8, 6], [0, 0, 30, 20]]


def test_a_margin_is_a_share_of_each_side_and_ends_at_the_edge() -> None:
    assert crop_frames(boxed([[10, 8, 20, 12]]), margin=0.25) == [[7, 7, 23, 13]]
    assert crop_frames(boxed([[1, 8, 29, 18]]), margin=0.5) == [[0, 3, 30, 20]]
    with pytest.raises(ValueError, match="margin ≥ 0"):
        crop_frames(boxed([]), margin=-0.1)


def test_a_crop_shows_its_box_and_nothing_else() -> None:
    pixels = np.zeros((20, 30, 3), dtype=np.uint8)
    pixels[4:12, 6:14] = [200, 10, 60]
    (crop,) = object_crops(pixels, boxed([[6, 4, 14, 12]]), side=16)
    assert crop.shape == (16, 16, 3)
    assert crop.dtype == np.uint8
    assert (crop == [200, 10, 60]).all()
    (wider,) = object_crops(pixels, boxed([[6, 4, 14, 12]]), side=16, margin=0.5)
    assert (wider[0] == 0).all()
    assert (wider[8, 8] == [200, 10, 60]).all()
    (grey,) = object_crops(pixels[..., :1], boxed([[6, 4, 14, 12]]), side=4)
    assert (grey == 200).all()


def dataset() -> Dataset:
    samples = []
    for row, instances in enumerate((
        boxed([[0, 0, 8, 8], [9, 0, 17, 8]], [1, 0]),
        boxed([]),
        boxed([[0, 0, 9, 9], [3, 3, 30, 20], [20, 10, 28, 18]], [0, 0, 1], [False, True, False]),
    )):  # fmt: skip
        pixels = np.full((20, 30, 3), 50 * row, dtype=np.uint8)
        for number, box in enumerate(instances.boxes.astype(int)):
            pixels[box[1] : box[3], box[0] : box[2]] = 50 * row + 10 * (number + 1)
        samples.append(Sample(str(row), Annotation(instances=instances), image=pixels))
    return Dataset.of(samples, classes=["a", "b"])


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_crops_come_in_order_without_crowds_whatever_the_batch(batch: int) -> None:
    batches = list(crop_batches(dataset(), side=8, batch=batch))
    assert max(len(each) for each in batches) <= batch
    crops = np.concatenate(batches)
    assert crops[:, 0, 0, 0].tolist() == [10, 20, 110, 130]
    rows, classes = crop_owners(dataset())
    assert rows.tolist() == [0, 0, 2, 2]
    assert classes.tolist() == [1, 0, 0, 1]


def test_a_sample_without_annotation_has_no_objects() -> None:
    assert len(objects_of(Sample("0", image=np.zeros((4, 4, 1), dtype=np.uint8)))) == 0
