"""Objects with masks become semantic masks; what cannot be written is refused before anything is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import CLASSES, SIZE, back, boxes_only, dataset_of, pixels, semantic

from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset, Sample
from twinset.errors import UsageError
from twinset.formats import FORMATS, check_writable, read, write
from twinset.formats.painting import Painter
from twinset.formats.writing import WritableFormat
from twinset.masks import Mask, Polygons, Rle

Put = Callable[..., Path]


def block(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def objects(*said: tuple[int, Mask | None, bool], boxes: np.ndarray | None = None) -> Instances:
    """Of (class id, mask, crowd)."""
    found = np.array([(0, 0, 1, 1) if mask is None else mask.box() for _, mask, _ in said], dtype=np.float32)
    return Instances(
        SIZE,
        np.array([class_id for class_id, _, _ in said]),
        found.reshape(-1, 4) if boxes is None else boxes,
        tuple(mask for _, mask, _ in said),
        crowd=np.array([crowd for _, _, crowd in said], dtype=bool),
    )


def painted(dataset: Dataset, path: Path, row: int = 0) -> tuple[np.ndarray, Dataset]:
    found = back(dataset, path, "masks")
    annotation = found[row].annotation
    assert annotation is not None
    assert annotation.semantic is not None
    return annotation.semantic.dense(), found


def test_later_objects_lie_over_earlier_ones_and_all_over_crowds(tmp_path: Path) -> None:
    crowd, first, second = block(0, 0, 12, 12), block(2, 2, 8, 8), block(6, 6, 10, 10)
    said = objects((2, Rle.of(first), False), (1, Rle.of(second), False), (0, Rle.of(crowd), True))
    dataset = dataset_of(Annotation(instances=said), splits=False)
    ids, found = painted(dataset, tmp_path / "out")
    expected = np.zeros(SIZE, dtype=int)
    expected[crowd], expected[first], expected[second] = -1, 3, 2
    assert found.classes == ("background", *CLASSES)
    assert (ids == expected).all()


def test_outlines_are_painted_as_their_pixels(tmp_path: Path) -> None:
    outline = Polygons(*SIZE, ((2.0, 3.0, 20.0, 3.0, 11.0, 15.5), (22.0, 1.0, 28.0, 1.0, 28.0, 6.0, 22.0, 6.0)))
    ids, _ = painted(dataset_of(Annotation(instances=objects((0, outline, False))), splits=False), tmp_path / "out")
    assert ((ids == 1) == outline.dense()).all()
    assert set(np.unique(ids)) == {0, 1}


def test_a_class_called_background_is_the_background(tmp_path: Path) -> None:
    said = Annotation(instances=objects((0, Rle.of(block(1, 1, 5, 5)), False)))
    dataset = Dataset.of([Sample("a", said, image=pixels(0))], classes=("cat", "Background"))
    ids, found = painted(dataset, tmp_path / "out")
    assert found.classes == ("cat", "Background")
    assert ((ids == 0) == block(1, 1, 5, 5)).all()
    assert (ids[~block(1, 1, 5, 5)] == 1).all()


def test_nothing_there_is_background_and_nothing_known_is_ignored(tmp_path: Path) -> None:
    masked = Annotation(instances=objects((1, Rle.of(block(0, 0, 2, 2)), False)))
    dataset = dataset_of(masked, Annotation(instances=Instances.none(SIZE)), None, splits=False)
    found = painted(dataset, tmp_path / "out")[1]
    maps = [found[row].annotation for row in (1, 2)]
    assert [np.unique(one.semantic.dense()).tolist() for one in maps if one and one.semantic] == [[0], [-1]]
    assert write(dataset, tmp_path / "again", "masks").losses["images without a mask"] == 1


def test_a_crowd_with_a_box_alone_is_ignored_there(tmp_path: Path) -> None:
    boxes = np.array([[3, 4, 9, 8], [20, 2, 24, 6]], dtype=np.float32)
    said = objects((0, None, True), (1, Rle.of(block(20, 2, 24, 6)), False), boxes=boxes)
    ids, _ = painted(dataset_of(Annotation(instances=said), splits=False), tmp_path / "out")
    assert ((ids == -1) == block(3, 4, 9, 8)).all()


def test_what_lies_under_others_is_counted_and_said(tmp_path: Path) -> None:
    said = objects(
        (0, Rle.of(block(0, 0, 4, 4)), False),  # under the next, wholly
        (1, Rle.of(block(0, 0, 6, 6)), False),  # in part under the one after
        (0, Rle.of(block(5, 5, 9, 9)), False),
        (0, Rle.of(block(12, 2, 15, 5)), False),  # alone
        (2, Rle.of(block(10, 0, 20, 10)), True),  # a crowd hides nothing, and is not counted where it is hidden
    )
    report = write(dataset_of(Annotation(instances=said), splits=False), tmp_path / "out", "masks")
    assert report.losses == {
        "identities of objects": 5,
        "objects partly under later ones": 1,
        "objects wholly under later ones": 1,
    }
    (note,) = report.notes
    assert "later ones over earlier ones" in note
    assert "'background', which was added" in note


def test_maps_that_are_there_are_written_as_they_are(tmp_path: Path) -> None:
    said = Annotation(instances=objects((1, Rle.of(block(0, 0, 5, 5)), False)), semantic=semantic(0))
    ids, found = painted(dataset_of(said, splits=False), tmp_path / "out")
    assert found.classes == CLASSES
    assert (ids == semantic(0).dense()).all()


def test_equal_objects_give_equal_files(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=objects((1, Rle.of(block(0, 0, 5, 5)), False))), splits=False)
    contents = []
    for place in ("a", "b"):
        write(dataset, tmp_path / place, "masks")
        files = [path for path in (tmp_path / place).rglob("*") if path.is_file()]
        contents.append({str(path.relative_to(tmp_path / place)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("format", ["coco", "labelme", "yolo", "voc", "cvat", "via"])
def test_masks_of_every_format_of_objects_can_be_painted(format: WritableFormat, tmp_path: Path) -> None:
    one, two = block(2, 3, 9, 8), block(15, 2, 25, 12)
    said = objects((1, Rle.of(one), False), (2, Rle.of(two), False))
    write(dataset_of(Annotation(instances=said), splits=False), tmp_path / "in", format)
    dataset, _ = read(tmp_path / "in")
    if not dataset.table.column("semantic").null_count:
        pytest.skip("this format brings a map of its own")
    ids, found = painted(dataset, tmp_path / "out")
    assert ((ids == found.classes.index(CLASSES[1])) == one).all()
    assert ((ids == found.classes.index(CLASSES[2])) == two).all()


@pytest.mark.parametrize("mixed", [False, True])
def test_boxes_alone_are_refused_and_nothing_is_written(mixed: bool, tmp_path: Path) -> None:
    said = [Annotation(instances=boxes_only())]
    if mixed:
        said.append(Annotation(instances=objects((1, Rle.of(block(0, 0, 5, 5)), False))))
    dataset = dataset_of(*said, splits=False)
    with pytest.raises(UsageError, match=f"got 3 of {3 + mixed} with a box alone") as caught:
        write(dataset, tmp_path / "out", "masks")
    assert "coco" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_classes_of_images_are_no_masks(tmp_path: Path) -> None:
    for said in (Annotation(class_id=1), None):
        with pytest.raises(UsageError, match="expected semantic maps, or masks of objects"):
            write(dataset_of(said, splits=False), tmp_path / "out", "masks")


@pytest.mark.parametrize("format", FORMATS)
def test_semantic_masks_are_no_objects(format: WritableFormat, tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(semantic=semantic(0)), splits=False)
    if format in ("coco", "yolo", "labelme", "cvat", "kitti", "via", "bop"):
        with pytest.raises(UsageError, match="which do not tell objects apart") as caught:
            write(dataset, tmp_path / "out", format)
        assert "masks, voc, parquet or webdataset" in caught.value.hint
        assert not (tmp_path / "out").exists()
    else:
        report = write(dataset, tmp_path / "out", format)
        found = read(tmp_path / "out")[0]
        kept = found.table.column("semantic").null_count == 0
        assert kept != ("semantic maps" in report.losses)


def test_maps_beside_objects_are_a_loss_and_no_refusal(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=boxes_only(), semantic=semantic(0)), splits=False)
    check_writable(dataset, "coco")
    assert write(dataset, tmp_path / "out", "coco").losses["semantic maps"] == 1


def test_too_many_classes_for_a_mask_are_refused(tmp_path: Path) -> None:
    said = Annotation(instances=objects((1, Rle.of(block(0, 0, 5, 5)), False)))
    names = tuple(f"class {n}" for n in range(255))
    assert len(Painter.of(names).classes) == 256
    with pytest.raises(ValueError, match="classes in masks; got 256"):
        write(Dataset.of([Sample("a", said, image=pixels(0))], classes=names), tmp_path / "out", "masks")
