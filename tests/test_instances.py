from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances, from_value, to_value
from twinset.masks import Polygons, Rle


def everything() -> Instances:
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:8, 4:9] = True
    return Instances(
        (20, 30),
        np.array([1, 0, 1]),
        np.array([[4, 3, 9, 8], [0, 0, 2.5, 2.25], [1, 1, 30, 20]]),
        (Rle.of(mask), Polygons(20, 30, ((1.0, 1.0, 5.0, 1.0, 5.0, 5.25),)), None),
        areas=np.array([25, np.nan, 7], dtype=np.float32),
        crowd=np.array([False, False, True]),
        truncated=np.array([True, False, False]),
        confidences=np.array([0.5, 1, 0], dtype=np.float32),
        amodal_boxes=np.array([[-3, 3, 9, 8], [0, 0, 3, 3], [0, 0, 40, 40]], dtype=np.float32),
        amodal_masks=(None, Rle.of(mask), None),
        keypoints=np.arange(18, dtype=np.float32).reshape(3, 2, 3),
        columns={"visible_fraction": (0.5, None, 1.0), "pose": ("left", "right", None)},
    )


def test_everything_survives_a_table_a_pickle_and_a_dataset() -> None:
    instances = everything()
    assert from_value(to_value(instances)) == instances
    assert pickle.loads(pickle.dumps(instances)) == instances
    sample = Sample("a", Annotation(instances=instances), image=np.zeros((20, 30, 3), dtype=np.uint8))
    empty = Sample("b", Annotation(instances=Instances.none((20, 30))), image=np.zeros((20, 30, 3), dtype=np.uint8))
    unsaid = Sample("c", None, image=np.zeros((20, 30, 3), dtype=np.uint8))
    dataset = Dataset.of([sample, empty, unsaid], classes=["x", "y"])
    assert dataset[0].annotation is not None
    assert dataset[0].annotation.instances == instances
    assert dataset[1].annotation is not None
    assert dataset[1].annotation.instances is not None
    assert len(dataset[1].annotation.instances) == 0
    assert dataset[2].annotation is None


def test_rows_are_taken_with_all_that_belongs_to_them() -> None:
    taken = everything().take([2, 0])
    assert taken.class_ids.tolist() == [1, 1]
    assert taken.is_crowd.tolist() == [True, False]
    assert taken.columns["pose"] == (None, "left")
    assert everything().take(np.array([False, True, False])).masks == (everything().masks or ())[1:2]


def test_datasets_count_objects_as_columns() -> None:
    pictures = np.zeros((20, 30, 3), dtype=np.uint8)
    samples = [
        Sample("a", Annotation(instances=everything()), image=pictures),
        Sample("b", Annotation(instances=Instances.none((20, 30))), image=pictures),
        Sample("c", Annotation(instances=everything().take([1])), image=pictures),
    ]
    dataset = Dataset.of(samples, classes=["x", "y", "z"])
    assert dataset.task == "instance-segmentation"
    assert dataset.object_counts().tolist() == [3, 0, 1]
    assert dataset.object_class_counts() == dataset.label_counts() == {"x": 2, "y": 2, "z": 0}
    assert dataset.object_boxes().tolist()[-1] == [0, 0, 2.5, 2.25]
    assert dataset.take([2]).object_column("class_id").tolist() == [0]
    assert dataset.object_sizes().tolist() == [[20, 30]] * 3
    boxes_only = [replace(everything(), masks=None, amodal_masks=None)]
    plain = Dataset.of([Sample("a", Annotation(instances=boxes_only[0]), image=pictures)], classes=["x", "y"])
    assert plain.task == "detection"
    with pytest.raises(ValueError, match="expected class ids of objects below 1"):
        Dataset.of(samples, classes=["x"])


def test_labels_count_in_digests_only_where_they_are() -> None:
    picture = np.zeros((20, 30, 3), dtype=np.uint8)
    classified = Dataset.of([Sample("a", Annotation(class_id=0), image=picture)], classes=["x"])
    # What it was before pictures could hold objects: old digests stay good.
    assert classified.digest() == "e2dd84b36d5ca895c5285a831c668591aefcccd533e5df1891cd9b678fee489a"
    one = Dataset.of([Sample("a", Annotation(instances=everything()), image=picture)], classes=["x", "y"])
    moved = replace(everything(), boxes=everything().boxes + np.array([0, 0, -0.5, 0], dtype=np.float32))
    other = Dataset.of([Sample("a", Annotation(instances=moved), image=picture)], classes=["x", "y"])
    assert one.digest() != other.digest()
    assert one.source_digest() != other.source_digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.array([[4, 3, 4, 8], [0, 0, 2, 2], [1, 1, 3, 2]])}, "x1 < x2"),
        ({"boxes": np.array([[4, 3, 9, 21], [0, 0, 2, 2], [1, 1, 3, 2]])}, "inside 30 x 20"),
        ({"boxes": np.array([[np.nan, 3, 9, 8], [0, 0, 2, 2], [1, 1, 3, 2]])}, "expected boxes"),
        ({"class_ids": np.array([0, -1, 0])}, "class ids ≥ 0"),
        ({"masks": (Rle.of(np.ones((3, 3), dtype=bool)), None, None)}, "expected masks of"),
        ({"confidences": np.ones(2, dtype=np.float32)}, "expected confidences"),
        ({"columns": {"pose": ("left",)}}, "expected 3 values in column"),
        ({"keypoints": np.zeros((3, 2), dtype=np.float32)}, "expected keypoints"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(everything(), **change)  # type: ignore[arg-type]


def test_an_object_without_an_amodal_box_has_its_visible_one_beside_others_that_state_theirs() -> None:
    value = to_value(everything())
    objects = value["objects"]
    assert isinstance(objects, list)
    objects[1]["amodal_box"] = None
    found = from_value(value).amodal_boxes
    assert found is not None
    assert found.tolist() == [[-3, 3, 9, 8], [0, 0, 2.5, 2.25], [0, 0, 40, 40]]
