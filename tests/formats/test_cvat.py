"""CVAT for images read and written."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import SIZE, back, boxes_only, dataset_of, instances_in, masked, pixels, whole

from twinset.annotations import Annotation, Instances
from twinset.errors import DatasetFormatError
from twinset.formats import cvat, read, write
from twinset.images import encode_png
from twinset.masks import Polygons

Put = Callable[..., Path]
PICTURE = encode_png(pixels(0))
LABELS = """<label><name>dog</name></label><label><name>cat</name><attributes>
<attribute><name>wet</name><input_type>checkbox</input_type></attribute>
<attribute><name>crowd</name><input_type>checkbox</input_type></attribute>
<attribute><name>legs</name><input_type>number</input_type></attribute></attributes></label>"""


def xml(*images: str, labels: str = LABELS) -> bytes:
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    return f"<annotations><version>1.1</version>{meta}{''.join(images)}</annotations>".encode()


def image(*shapes: str, name: str = "a.png", more: str = 'width="30" height="20"') -> str:
    return f'<image id="0" name="{name}" {more}>{"".join(shapes)}</image>'


def shape(tag: str, place: str, inner: str = "", label: str = "cat") -> str:
    return f'<{tag} label="{label}" {place}>{inner}</{tag}>'


BOX = 'occluded="0" xtl="1" ytl="2.5" xbr="7" ybr="8"'


def one(put: Put, root: Path, *shapes: str) -> Path:
    put(root / "images/a.png", PICTURE)
    put(root / "annotations.xml", xml(image(*shapes)))
    return root


def test_turned_boxes_and_ellipses_are_outlines_as_they_lie(put: Put, tmp_path: Path) -> None:
    shapes = (
        shape("box", 'xtl="5" ytl="8" xbr="25" ybr="12" rotation="90.00"'),
        shape("ellipse", 'cx="15" cy="10" rx="8" ry="2" rotation="90.00"'),
        shape("box", 'xtl="11" ytl="6" xbr="19" ybr="14" rotation="45"'),
        shape("box", f'{BOX} rotation="0.00"'),
    )
    found = instances_in(read(one(put, tmp_path, *shapes))[0])
    reach = 4 * math.sqrt(2)
    wanted = [[13, 0, 17, 20], [13, 2, 17, 18], [15 - reach, 10 - reach, 15 + reach, 10 + reach], [1, 2.5, 7, 8]]
    np.testing.assert_allclose(found.boxes, wanted, atol=1e-4)


def test_boxes_polygons_ellipses_and_masks_are_objects(put: Put, tmp_path: Path) -> None:
    shapes = (
        shape("box", BOX, label="dog"),
        shape("polygon", 'points="1.5,1;9,1;9,8"'),
        shape("ellipse", 'cx="15" cy="10" rx="6" ry="3"'),
        shape("mask", 'rle="1, 2, 1, 2" left="4" top="5" width="3" height="2"'),
    )
    dataset, report = read(one(put, tmp_path, *shapes))
    found = instances_in(dataset)
    assert (report.format, dataset.classes) == ("cvat", ("dog", "cat"))
    assert found.class_ids.tolist() == [0, 1, 1, 1]
    assert found.boxes[[0, 1, 3]].tolist() == [[1, 2.5, 7, 8], [1.5, 1, 9, 8], [5, 5, 7, 7]]
    assert np.abs(found.boxes[2] - [9, 7, 21, 13]).max() < 1e-5
    assert found.masks is not None
    assert found.masks[1] == Polygons(*SIZE, ((1.5, 1, 9, 1, 9, 8),))
    assert found.masks[2] is not None
    assert abs(found.masks[2].area - math.pi * 18) < 4
    expected = np.zeros(SIZE, dtype=bool)
    expected[5:7, 4:7] = [[False, True, True], [False, True, True]]
    assert found.masks[3] is not None
    assert (found.masks[3].dense() == expected).all()


def test_attributes_have_the_types_of_their_labels(put: Put, tmp_path: Path) -> None:
    pairs = {"wet": "false", "legs": "3", "crowd": "true", "note": " 7 "}
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in pairs.items())
    other = '<attribute name="legs">3</attribute>'
    shapes = (shape("box", BOX.replace('"0"', '"1"'), inner), shape("box", BOX, other, label="dog"))
    found = instances_in(read(one(put, tmp_path, *shapes))[0])
    assert dict(found.columns) == {
        "legs": (3, "3"),
        "note": (" 7 ", None),
        "occluded": (True, None),
        "wet": (False, None),
    }
    assert found.is_crowd.tolist() == [True, False]


def test_polygons_of_one_group_are_one_object(put: Put, tmp_path: Path) -> None:
    polygon = 'points="1,1;9,1;9,8" group_id="%s"'
    shapes = [shape("polygon", polygon % group) for group in (1, 0, 1, 0)]
    found = instances_in(read(one(put, tmp_path, *shapes))[0])
    assert len(found) == 3
    assert isinstance(found.masks, tuple)
    assert isinstance(found.masks[0], Polygons)
    assert len(found.masks[0].rings) == 2


def test_other_shapes_are_left_out_and_counted(put: Put, tmp_path: Path) -> None:
    shapes = [shape(tag, 'points="1,1;2,2;3,3"') for tag in ("polyline", "points", "points", "cuboid")]
    dataset, report = read(one(put, tmp_path, *shapes))
    assert len(instances_in(dataset)) == 0
    assert report.warnings == ("1 cuboids are left out", "1 lines are left out", "2 points are left out")


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (shape("box", BOX.replace("2.5", "x")), "expected ytl as a number; got 'x'"),
        (shape("box", 'xtl="1"'), "expected ytl as a number; got 'NoneType'"),
        (shape("box", BOX, label=" "), "expected a label; got none"),
        (shape("polygon", 'points="1,1;2,2"'), "expected an outline of three points or more; got 2"),
        (shape("polygon", 'points="1,1;2;3,3"'), "expected points x,y;x,y; got others"),
        (shape("mask", 'rle="1, 2" left="0" top="0" width="3" height="2"'), "expected run lengths that cover 3 x 2"),
        (shape("mask", 'rle="6" left="28" top="0" width="3" height="2"'), "expected a mask inside a picture"),
        (shape("mask", 'rle="-6" left="0" top="0" width="3" height="2"'), "expected a mask of run lengths"),
        (shape("mask", 'rle="6" left="0" top="19" width="3" height="2"'), "expected a mask of run lengths inside"),
        (shape("mask", 'rle="6" left="1e99" top="0" width="3" height="2"'), "expected left as a number"),
    ],
)
def test_a_broken_shape_is_told_by_number_and_the_others_stay(
    damaged: str, told: str, put: Put, tmp_path: Path
) -> None:
    dataset, report = read(one(put, tmp_path, shape("box", BOX), damaged), on_bad_input="report")
    assert len(instances_in(dataset)) == 1
    assert [(bad.path, bad.kind) for bad in report.bad_files] == [("annotations.xml", "object")]
    assert "images/a.png: object 2: " in report.bad_files[0].problem
    assert told in report.bad_files[0].problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"<annotations><version>1.1</version>", "expected XML; got no element found"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><annotations><version>1.1</version>&x;</annotations>', "without a document"),
        (xml('<track id="0" label="x"/>'), "got tracks of a video"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error(text: bytes, told: str, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "a.png", PICTURE)
    put(tmp_path / "annotations.xml", text)
    with pytest.raises(DatasetFormatError, match=told):
        read(tmp_path, on_bad_input="report")


def test_subsets_and_names_of_files_are_splits(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "images/Train/a.png", PICTURE)
    put(tmp_path / "images/Validation/a.png", PICTURE)
    put(tmp_path / "b.png", PICTURE)
    size = 'width="30" height="20"'
    subsets = [image(shape("box", BOX), more=f'subset="{name}" {size}') for name in ("Train", "Validation")]
    put(tmp_path / "annotations.xml", xml(*subsets))
    put(tmp_path / "test.xml", xml(image(name="b.png")))
    dataset, _ = read(tmp_path, on_bad_input="report")
    found = dict(zip(dataset.ids, dataset.splits, strict=True))
    assert found == {"images/Train/a.png": "train", "images/Validation/a.png": "validation", "b.png": "test"}


def test_one_file_may_be_given(put: Put, tmp_path: Path) -> None:
    assert read(one(put, tmp_path, shape("box", BOX)) / "annotations.xml")[1].objects == 1


def test_tags_are_classes_of_pictures(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "images/b.png", 3)
    both = image('<tag label="cat"/>', '<tag label="dog"/>', name="b.png", more='width="8" height="8"')
    put(tmp_path / "images/a.png", PICTURE)
    put(tmp_path / "annotations.xml", xml(image('<tag label="cat"/>'), both))
    dataset, _ = read(tmp_path)
    assert dataset.class_ids.tolist() == [1, -1]
    second = dataset[1].annotation
    assert second is not None
    assert dict(second.attributes) == {"cat": True, "dog": True}


def test_no_file_outside_is_opened(put: Put, tmp_path: Path) -> None:
    put(tmp_path / "secret.png", PICTURE)
    put(tmp_path / "set/images/a.png", PICTURE)
    names = ("../secret.png", "../../secret.png", str(tmp_path / "secret.png"), "a.png")
    put(tmp_path / "set/annotations.xml", xml(*(image(name=name) for name in names)))
    dataset, report = read(tmp_path / "set", on_bad_input="report")
    assert dataset.ids == ["images/a.png"]
    assert len(report.bad_files) == 3


@pytest.mark.parametrize("splits", [True, False])
def test_a_round_trip_keeps_what_the_format_holds(splits: bool, tmp_path: Path) -> None:
    annotations = (Annotation(instances=masked(), class_id=1), Annotation(instances=boxes_only()), None)
    empty = Annotation(instances=Instances.none(SIZE))
    dataset = dataset_of(*annotations, empty, Annotation(class_id=2), splits=splits)
    found = back(dataset, tmp_path / "out", "cvat")
    assert (found.classes, found.splits) == (dataset.classes, dataset.splits)
    assert instances_in(found) == masked()
    assert found.digest() == dataset.digest()
    assert cvat.losses(dataset) == {}


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=whole(), class_id=1), splits=False)
    expected = {"stated areas": 3, "amodal boxes": 4, "amodal masks": 2, "keypoints": 4, "confidences": 3}
    assert write(dataset, tmp_path / "out", "cvat").losses == expected


def test_occlusion_is_the_attribute_of_its_name(tmp_path: Path) -> None:
    base = boxes_only()
    seen = Instances(SIZE, base.class_ids, base.boxes, columns={"occluded": (True, False, None)})
    found = back(dataset_of(Annotation(instances=seen)), tmp_path / "out", "cvat")
    assert instances_in(found) == seen
    assert (tmp_path / "out/annotations.xml").read_text().count('occluded="1"') == 1
