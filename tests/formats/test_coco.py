"""COCO in and out: whole files against what they must mean, hostile ones, and round trips by hypothesis."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinset import run_lengths
from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.formats import coco
from twinset.formats.coco import decimals, parsing, streaming, writing
from twinset.formats.folder import Folder
from twinset.formats.listing import ReadReport
from twinset.formats.reading import collect
from twinset.formats.shelves import Rows
from twinset.formats.writing import whole_folder
from twinset.images import FULL_RANGE, encode_png
from twinset.instances import Instances
from twinset.masks import Polygons, Rle

PICTURE = encode_png(np.zeros((10, 20, 3), dtype=np.uint8))
"""20 wide, 10 high."""


def read(path: Path, *, on_bad_input: str = "report") -> tuple[Dataset, ReadReport]:
    if path.is_file():
        folder, file = coco.around(path)
        files = [file]
    else:
        folder = Folder.at(path)
        files = coco.claims(folder)
    listing = coco.listing(folder, files, "x")
    return collect(listing, source=str(path), on_bad_input=on_bad_input, window=FULL_RANGE)  # type: ignore[arg-type]


def write(dataset: Dataset, path: Path, *, category_base: int = 1) -> int:
    with whole_folder(path) as target:
        return coco.write(dataset, target, encode=None, category_base=category_base)


def image(number: object = 1, name: str = "a.png") -> dict[str, object]:
    return {"id": number, "file_name": name, "width": 20, "height": 10}


def annotation(number: object = 1, image_id: object = 1, **values: object) -> dict[str, object]:
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": [2, 3, 4, 5], **values}


CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder with one COCO file (of these annotations, or of this text) and pictures a.png, b.c.png."""

    def make(annotations: object = None, *, text: str | bytes | None = None, **values: object) -> Path:
        content = {"images": [image(), image(2, "b.c.png")], "annotations": annotations, "categories": CATEGORIES}
        content |= values
        text = json.dumps({k: v for k, v in content.items() if v is not None}) if text is None else text
        for name in ("a.png", "b.c.png"):
            (tmp_path / "images").mkdir(exist_ok=True)
            (tmp_path / "images" / name).write_bytes(PICTURE)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "annotations" / "instances_train.json").write_bytes(data)
        return tmp_path

    return make


def objects(dataset: Dataset, row: int = 0) -> Instances:
    said = dataset[row].annotation
    assert said is not None
    assert said.instances is not None
    return said.instances


def test_a_file_means_what_it_says(folder: Callable[..., Path]) -> None:
    dataset, report = read(folder([annotation(7, category_id=2, iscrowd=1, area=12.5, score=0.25)]))
    found = objects(dataset)
    assert (dataset.classes, dataset.splits) == (("cat", "dog"), ["train", "train"])
    assert dataset.ids == ["images/a.png", "images/b.c.png"]
    assert found.boxes.tolist() == [[2, 3, 6, 8]]
    assert found.class_ids.tolist() == [1]
    assert found.is_crowd.tolist() == [True]
    assert found.areas is not None
    assert found.areas.tolist() == [12.5]
    assert found.confidences is not None
    assert found.confidences.tolist() == [0.25]
    assert len(objects(dataset, 1)) == 0
    assert not report.bad_files
    assert report.objects == 1


@pytest.mark.parametrize("order", [("annotations", "images", "categories"), ("categories", "annotations", "images")])
def test_the_order_of_keys_does_not_matter(order: tuple[str, ...], folder: Callable[..., Path]) -> None:
    content = {"images": [image()], "annotations": [annotation(category_id=2)], "categories": CATEGORIES}
    dataset, _ = read(folder(text=json.dumps({"info": {"x": [{}]}, **{key: content[key] for key in order}})))
    assert objects(dataset).class_ids.tolist() == [1]
    assert objects(dataset).boxes.tolist() == [[2, 3, 6, 8]]


@pytest.mark.parametrize("ids", [(0, 1), (10**6, 7), ("x", "y"), (2**70, 3), (5, "x")])
def test_ids_are_anything_that_is_distinct(ids: tuple[object, object], folder: Callable[..., Path]) -> None:
    first, second = ids
    dataset, report = read(
        folder(
            [annotation(first, second, category_id=second), annotation(second, first, category_id=first)],
            images=[image(first), image(second, "b.c.png")],
            categories=[{"id": first, "name": "first"}, {"id": second, "name": "second"}],
        )
    )
    names = [dataset.classes[objects(dataset, row).class_ids[0]] for row in (0, 1)]
    assert names == ["first", "second"]
    assert not report.bad_files


@pytest.mark.parametrize("big", [2**40, 2**70, "x"])
def test_ids_of_several_widths_in_several_slices_are_told_apart(big: object, folder: Callable[..., Path]) -> None:
    said = [annotation(1, 7), annotation(2, big, category_id=2), annotation("z", 8), annotation(3, 7, category_id=9)]
    path = folder(said, images=[image(7), image(big, "b.c.png")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "PIECE", 16)
        dataset, report = read(path)
    assert [objects(dataset, row).class_ids.tolist() for row in (0, 1)] == [[0], [1]]
    told = [str(bad) for bad in report.bad_files]
    assert len(told) == 2
    assert "expected an image of this file; got the id 8" in told[0]
    assert "annotation 3: expected a category of this file; got the id 9" in told[1]


def test_annotations_whose_ids_are_text_are_told_by_what_is_wrong(folder: Callable[..., Path]) -> None:
    _, report = read(folder([annotation("x", 9), annotation("y")]))
    assert [bad.problem for bad in report.bad_files] == ["expected an image of this file; got the id 9; left out"]


def test_slices_with_and_without_rare_fields_make_one_dataset(folder: Callable[..., Path]) -> None:
    ring = [[2, 3, 6, 3, 6, 8]]
    said = [
        annotation(1),
        annotation(2, score=0.5, attributes={"a": 1}, keypoints=[1, 2, 2], other=3),
        annotation(3, area=7, segmentation=ring),
        annotation(4, bbox=None, segmentation=ring),
        annotation(5, bbox=[1, 1, 1e300, 4]),
        annotation(6, area=-1, twinset={"difficult": True, "derived_area": True}),
    ]
    path = folder(said)
    whole, report = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "PIECE", 16)
        sliced, again = read(path)
    assert sliced[0].annotation == whole[0].annotation
    assert again == report
    found = objects(sliced)
    assert found.boxes.tolist() == [[2, 3, 6, 8]] * 4 + [[1, 1, 20, 5], [2, 3, 6, 8]]
    assert found.is_difficult.tolist() == [False] * 5 + [True]
    assert [mask is not None for mask in found.masks or ()] == [False, False, True, True, False, False]
    assert found.columns["a"] == (None, 1, None, None, None, None)
    assert found.confidences is not None
    assert np.isnan(found.confidences).tolist() == [True, False, True, True, True, True]
    assert found.areas is not None
    assert np.isnan(found.areas).tolist() == [True, True, False, True, True, True]
    assert [str(bad).split("; ")[-1] for bad in report.bad_files] == ["clipped"]


def test_every_kind_of_mask_is_the_same_pixels(folder: Callable[..., Path]) -> None:
    square = np.zeros((10, 20), dtype=bool)
    square[3:8, 2:6] = True
    rle = Rle.of(square)
    forms: list[object] = [
        [[2, 3, 6, 3, 6, 8, 2, 8]],
        [2, 3, 6, 3, 6, 8, 2, 8],
        {"counts": rle.counts.decode(), "size": [10, 20]},
        {"counts": rle.runs(), "size": [10, 20]},
    ]
    dataset, report = read(folder([annotation(i, segmentation=form) for i, form in enumerate(forms)]))
    assert not report.bad_files
    assert all((mask == square).all() for mask in objects(dataset).dense_masks())


def test_a_mask_gives_the_box_that_is_missing(folder: Callable[..., Path]) -> None:
    annotations = [annotation(bbox=box, segmentation=[[2, 3, 6, 3, 6, 8]]) for box in (None, [])]
    dataset, report = read(folder(annotations))
    assert objects(dataset).boxes.tolist() == [[2, 3, 6, 8]] * 2
    assert not report.bad_files


def test_attributes_and_keypoints_are_kept(folder: Callable[..., Path]) -> None:
    dataset, _ = read(
        folder(
            [
                annotation(attributes={"b": True, "a": 1, "list": [1, 2], "none": None}, keypoints=[1, 2, 2, 3, 4, 1]),
                annotation(2, keypoints=[5, 6, 2]),
                annotation(3),
                annotation(4, 2),
            ]
        )
    )
    found = objects(dataset)
    assert {name: column[0] for name, column in found.columns.items()} == {"a": 1, "b": True, "list": "[1, 2]"}
    assert found.keypoints is not None
    assert found.keypoints.tolist() == [
        [[1, 2, 2], [3, 4, 1]],
        [[5, 6, 2], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0]],
    ]
    assert objects(dataset, 1).keypoints is None


def test_captions_join_the_objects_of_the_same_pictures(folder: Callable[..., Path]) -> None:
    path = folder([annotation()])
    told = [{"id": n, "image_id": 1, "caption": f"text {n}"} for n in (1, 2)]
    captions = {"images": [image()], "annotations": told}
    (path / "annotations" / "captions_train.json").write_text(json.dumps(captions))
    dataset, report = read(path)
    assert [sample.annotation and sample.annotation.caption for sample in dataset] == ["text 1", None]
    assert len(objects(dataset)) == 1
    assert any("1 further captions" in warning for warning in report.warnings)
    alone, _ = read(path / "annotations" / "captions_train.json")
    assert alone[0].annotation is not None
    assert alone[0].annotation.instances is None


def test_lists_of_pictures_are_unlabelled(folder: Callable[..., Path]) -> None:
    dataset, _ = read(folder())
    assert [sample.annotation for sample in dataset] == [None, None]
    empty, _ = read(folder([]))
    assert [len(objects(empty, row)) for row in (0, 1)] == [0, 0]


def test_categories_alone_label_whole_pictures(folder: Callable[..., Path]) -> None:
    said = [{"id": 1, "image_id": 1, "category_id": 2}, {"id": 2, "image_id": 2, "category_id": 1}]
    dataset, _ = read(folder(said))
    assert dataset.class_ids.tolist() == [1, 0]
    assert dataset.task == "classification"
    again, report = read(folder([*said, {"id": 3, "image_id": 2, "category_id": 2}]))
    assert again.class_ids.tolist() == [1]
    assert "b.c.png: expected boxes, masks or one category" in str(report.bad_files[0])


def test_odd_categories_are_told(folder: Callable[..., Path]) -> None:
    categories = [
        {"id": 9, "name": "z", "supercategory": "animal"},
        {"id": 3},
        {"id": 4, "name": "a\nb"},
        {"id": 5, "name": "z"},
    ]
    dataset, report = read(folder([annotation(category_id=3), annotation(2, category_id=9)], categories=categories))
    assert dataset.classes == ("3", "a\\nb", "z")
    assert objects(dataset).class_ids.tolist() == [0, 2]
    told = "\n".join(report.warnings)
    for part in ("gaps: 3, 4, 5, 9", "has no name", "several categories", "1 categories have a supercategory"):
        assert part in told


ODD: list[tuple[dict[str, object], str]] = [
    ({"image_id": 77}, "annotation 5: expected an image of this file; got the id 77"),
    ({"image_id": None}, "annotation 5: expected an image of this file; got none"),
    ({"category_id": 77}, "annotation 5: expected a category of this file; got the id 77"),
    ({"bbox": [1, 2, 3]}, "annotation 5: expected `array` of length 4"),
    ({"bbox": [1, 2, 3, "4"]}, "annotation 5: expected `float`, got `str`"),
    ({"bbox": [1, 2, 3, -4]}, "annotation 5: expected a box with an area"),
    ({"bbox": [100, 2, 3, 4]}, "annotation 5: expected a box inside 20 x 10"),
    ({"bbox": "no"}, "annotation 5: expected `array | null`, got `str`"),
    ({"segmentation": {"counts": "99", "size": [10, 20]}}, "annotation 5: expected run lengths that cover 20 x 10"),
    ({"segmentation": {"counts": [1, 2], "size": [10, 20]}}, "annotation 5: expected run lengths"),
    ({"segmentation": {"counts": [-1, 201], "size": [10, 20]}}, "annotation 5: expected run lengths"),
    ({"segmentation": {"counts": [30], "size": [5, 6]}}, "annotation 5: expected a mask of 20 x 10"),
    ({"segmentation": {"counts": [1], "size": [-1, -1]}}, "annotation 5: expected a mask of 1 to"),
    ({"segmentation": [[1, 2, 3, 4]]}, "annotation 5: expected outlines of at least three points"),
    ({"segmentation": [[1, 2, 3, 4, 5, 1e300]]}, "annotation 5: expected finite coordinates"),
    ({"keypoints": [1, 2]}, "annotation 5: expected keypoints"),
    ({"bbox": None}, "annotation 5: expected a box or a mask; got neither"),
]


@pytest.mark.parametrize(("values", "problem"), ODD)
def test_an_odd_annotation_is_told_and_the_others_stay(
    values: dict[str, object], problem: str, folder: Callable[..., Path]
) -> None:
    dataset, report = read(folder([annotation(4), {**annotation(5), **values}, annotation(6)]))
    assert dataset.object_counts().tolist() == [2, 0]
    assert len(report.bad_files) == 1
    assert problem in str(report.bad_files[0])
    assert report.bad_files[0].path == "annotations/instances_train.json"


def test_what_is_no_annotation_is_told(folder: Callable[..., Path]) -> None:
    dataset, report = read(folder([annotation(), 3, "x", [1]]))
    assert dataset.object_counts().tolist() == [1, 0]
    assert len(report.bad_files) == 3
    assert "expected an annotation as a JSON object; got 3" in str(report.bad_files[0])


PICTURES: list[tuple[dict[str, object], str]] = [
    (image(1, "b.c.png"), "expected an image id of its own; got 1 again"),
    (image(None, "b.c.png"), "expected an image id of its own; got none"),
    (image(2, "../b.c.png"), "climbs out"),
    (image(2, "/etc/passwd"), "absolute"),
    (image(2, "gone.png"), "no such file"),
    ({"id": 2}, "expected a file_name; got none"),
    ({"id": 2, "file_name": 3}, "expected `str | null`, got `int`"),
    ({**image(2, "b.c.png"), "twinset": {"seed": "x"}}, "expected a seed"),
]


@pytest.mark.parametrize(("second", "problem"), PICTURES)
def test_an_odd_picture_is_told_and_the_other_stays(
    second: dict[str, object], problem: str, folder: Callable[..., Path]
) -> None:
    dataset, report = read(folder([annotation()], images=[image(), second]))
    assert dataset.ids == ["images/a.png"]
    assert len(objects(dataset)) == 1
    assert len(report.bad_files) == 1
    assert problem in str(report.bad_files[0])


SOUND = '{"images":[{"id":1,"file_name":"a.png"}],"categories":[{"id":1,"name":"c"}],"annotations":[\n%s]}'
BROKEN: list[tuple[str | bytes, str]] = [
    ("", "expected a JSON object; got the end of the file"),
    ("[]", "expected a JSON object; got '['"),
    ("{", "expected a key; got the end of the file"),
    ("{}", "expected the keys images, annotations, categories; got none"),
    ('{"images": 3}', "expected an array; got '3'"),
    ('{"images": []} x', "expected the end of the file; got 'x'"),
    ('{"images": [], "images": []}', "expected each key once"),
    ('{"images": [], "info": {"a": }}', "expected JSON"),
    ('{"images": [], "info": nul}', "expected JSON"),
    ('{"images": [], "info": "x', "expected the rest of a value"),
    ('{"images": [] "info": 1}', "expected , or }"),
    (SOUND % '{"id":1,"bbox":[1,2,NaN,4]}', "instances_train.json:2: expected a number; got NaN"),
    (SOUND % '{"id":1},', "instances_train.json:2: expected JSON; got a malformed text (trailing comma in array)"),
    (SOUND % '{"id":1} {"id":2}', "instances_train.json:2: expected JSON; got a malformed text (expected ',' or ']')"),
    (SOUND % '{"id":1,}', "instances_train.json:2: expected JSON"),
    (SOUND % '{"id":1}]', "instances_train.json:2: expected , or }; got ']'"),
    (SOUND.encode() % b'{"id":"\xff"}', "expected UTF-8"),
    (SOUND % ('{"id":1},\n' * 3 + '{"id":tru}'), "instances_train.json:5: expected JSON"),
    (SOUND % ('{"x":' + "[" * 100_000 + "]" * 100_000 + "}"), "nesting without end"),
    (SOUND % ('{"attributes":' + '{"a":' * 100_000 + "1" + "}" * 100_001), "nesting without end"),
    ('{"images": [], "info": ' + "[" * 100_000 + "]" * 100_000 + "}", "nesting without end"),
    ((SOUND % '{"id":1}')[:-2], "the end of the file"),
    ('{"images":[],"categories":[{"id":1,"name":[3]}]}', "expected `int | str | null`, got `array`"),
    ('{"images":[],"categories":[{"name":"c"}]}', "expected an id on every category"),
    ('{"images":[],"categories":[{"id":1,"name":"c"},{"id":1,"name":"d"}]}', "expected each category id once"),
    (SOUND % '{"image_id":1,"segments_info":[{"id":1}]}', "panoptic"),
]


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_a_broken_file_is_one_clear_error(text: str | bytes, problem: str, folder: Callable[..., Path]) -> None:
    with pytest.raises(DatasetFormatError) as caught:
        read(folder(text=text))
    assert problem in str(caught.value)
    assert str(caught.value).startswith("annotations/instances_train.json")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("cut", range(1, 300, 7))
def test_a_truncated_file_never_reads_as_a_whole_one(cut: int, folder: Callable[..., Path]) -> None:
    whole = SOUND % ",".join(json.dumps(annotation(n, segmentation=[[1, 2, 3, 4, 5, 6]])) for n in range(3))
    with pytest.raises(DatasetFormatError):
        read(folder(text=whole[:-cut]))


LAYOUTS = [
    ("annotations/instances_train2017.json", "train2017/p.png", "p.png", "train"),
    ("annotations/instances_val2017.json", "images/val2017/p.png", "p.png", "validation"),
    ("annotations/instances_val.json", "val/p.png", "p.png", "validation"),
    ("annotations/train.json", "images/p.png", "p.png", "train"),
    ("annotations/instances_default.json", "images/p.png", "p.png", None),
    ("valid/_annotations.coco.json", "valid/p.png", "p.png", "validation"),
    ("test/annotations.json", "test/images/p.png", "p.png", "test"),
    ("labels.json", "data/p.png", "p.png", None),
    ("coco.json", "p.v1.png", "p.v1.png", None),
    ("annotations/train.json", "images/deep/p.png", "images/deep/p.png", "train"),
    ("annotations/train.json", "images/deep/p.png", "deep\\p.png", "train"),
]


@pytest.mark.parametrize(("file", "where", "name", "split"), LAYOUTS)
def test_pictures_are_found_in_every_layout(file: str, where: str, name: str, split: str, tmp_path: Path) -> None:
    content = {"images": [image(1, name)], "annotations": [annotation()], "categories": CATEGORIES}
    for path, data in ((file, json.dumps(content).encode()), (where, PICTURE)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert coco.claims(Folder.at(tmp_path)) == [file]
    for source in (tmp_path, tmp_path / file):
        dataset, _ = read(source, on_bad_input="refuse")
        assert len(objects(dataset)) == 1
        assert dataset[0].path == tmp_path / where
        assert dataset.splits == [split if source.is_dir() or "annotations/" in file else None]


def test_equal_names_in_two_splits_are_their_own_pictures(tmp_path: Path) -> None:
    for split, grey in (("train", 0), ("val", 200)):
        content = {"images": [image()], "annotations": [annotation()], "categories": CATEGORIES}
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        data = encode_png(np.full((10, 20, 1), grey, dtype=np.uint8))
        (tmp_path / "images" / split / "a.png").write_bytes(data)
    (tmp_path / "images" / "a.png").write_bytes(encode_png(np.full((10, 20, 1), 99, dtype=np.uint8)))
    dataset, _ = read(tmp_path, on_bad_input="refuse")
    assert {split: int(sample.pixels().max()) for split, sample in zip(dataset.splits, dataset, strict=True)} == {
        "train": 0,
        "validation": 200,
    }


OTHERS = [
    '{"shapes": [], "imagePath": "a.png", "imageData": null}',
    '{"frames": [{"file_path": "a"}], "camera_angle_x": 1}',
    '{"schema": "twinset/classes/1", "classes": ["a"]}',
    '{"a.jpg": {"regions": [{"shape_attributes": {}}], "filename": "a.jpg"}}',
    '[{"image_id": 1, "bbox": [1, 2, 3, 4], "category_id": 1, "score": 1}]',
    '{"info": {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1}]}}',
    '{"images": "many", "annotations": 3}',
    "{",
    "",
]


@pytest.mark.parametrize("text", OTHERS)
def test_other_json_is_not_claimed(text: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(text)
    assert coco.claims(Folder.at(tmp_path)) == []


def test_a_long_file_is_claimed_by_its_start(tmp_path: Path) -> None:
    content = {"annotations": [annotation(n) for n in range(5000)], "images": [image()], "categories": CATEGORIES}
    (tmp_path / "data.json").write_text(json.dumps(content))
    assert coco.claims(Folder.at(tmp_path)) == ["data.json"]


AWKWARD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "},{", "}]", '\\"', "[", "é\\", "},\n{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "},{", '"']), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    elements=st.lists(st.dictionaries(st.sampled_from(["id", "x", "},{"]), AWKWARD, max_size=3), max_size=12),
    piece=st.sampled_from([1, 2, 7, 64]),
    indent=st.sampled_from([None, 1]),
)
def test_slices_are_exactly_the_elements(elements: list[dict[str, object]], piece: int, indent: int | None) -> None:
    text = json.dumps({"before": AWKWARD_VALUE, "list": elements, "after": elements}, indent=indent).encode()
    found: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "PIECE", piece)
        document = streaming.Document(io.BytesIO(text))
        for key in document.members():
            if key == "list":
                found[key] = [one for part in document.elements(json.loads) for one in part]
            else:
                found[key] = json.loads(document.value())
        document.finish()
    assert found == {"before": AWKWARD_VALUE, "list": elements, "after": elements}


AWKWARD_VALUE: dict[str, object] = {"},{": ["}],", {"a": "\\"}], "n": -1.5e3}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(1, 9), st.integers(1, 9)), count=st.integers(0, 5))
def test_packed_run_lengths_are_counted_right(seed: int, size: tuple[int, int], count: int) -> None:
    draw = np.random.default_rng(seed)
    masks = [Rle.of(draw.random(size) < draw.random()) for _ in range(count)]
    long = Rle.of(np.zeros((300, 500), dtype=bool))
    texts = [mask.counts for mask in masks]
    expected = [size[0] * size[1]] * count
    assert run_lengths.covered(texts).tolist() == expected
    mixed = [b"", long.counts, *texts, long.counts[:-1] + b"o", b"\x01", b"PPPPPPPPPPP1"]
    assert run_lengths.covered(mixed).tolist() == [-1, 150_000, *expected, -1, -1, -1]


NAMES = ("小猫", "a.b/c", 'q"u\\o', "<i>", "dog ")


@st.composite
def instances(draw: st.DrawFn) -> Instances | None:
    if draw(st.integers(0, 6)) == 0:
        return None
    height, width = draw(st.integers(4, 12)), draw(st.integers(4, 12))
    k = draw(st.integers(0, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = rng.uniform(0, 3, (k, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.01, 1, (k, 2))], axis=1).astype(np.float32)
    if draw(st.booleans()):
        boxes = np.round(boxes * 10) / np.float32(10)
        boxes[:, 2:] += 0.1
    kinds = [draw(st.sampled_from(["none", "rle", "polygons"])) for _ in range(k)]
    masks = [_mask(kind, (height, width), rng) for kind in kinds]
    some = draw(st.booleans())
    attributes: list[str | int | bool | None] = [draw(st.sampled_from([None, "x", "ü", 3, True])) for _ in range(k)]
    return Instances(
        (height, width),
        rng.integers(0, len(NAMES), k),
        boxes,
        tuple(masks) if any(masks) else None,
        areas=rng.uniform(0, 9, k).astype(np.float32) if some else None,
        crowd=rng.random(k) < 0.5,
        difficult=rng.random(k) < 0.5,
        truncated=rng.random(k) < 0.5,
        confidences=rng.random(k).astype(np.float32) if k and draw(st.booleans()) else None,
        amodal_boxes=boxes - 1 if k and draw(st.booleans()) else None,
        amodal_masks=tuple(Rle.of(rng.random((height, width)) < 0.5) for _ in range(k)) if k and some else None,
        keypoints=rng.uniform(0, 4, (k, 2, 3)).astype(np.float32) if k and draw(st.booleans()) else None,
        columns={"a": tuple(attributes)} if any(v is not None for v in attributes) else {},
    )


def _mask(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Rle | Polygons | None:
    if kind == "rle":
        return Rle.of(rng.random(size) < 0.5)
    if kind == "none":
        return None
    rings = [tuple(np.float32(v).item() for v in rng.uniform(0, 4, 6)) for _ in range(int(rng.integers(1, 3)))]
    return Polygons(*size, tuple(rings))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(instances(), min_size=1, max_size=4),
    base=st.sampled_from([0, 1, 5]),
    splits=st.booleans(),
    objects=st.sampled_from([1, 2, 512]),
    held=st.sampled_from([0, 1 << 20]),
)
def test_a_round_trip_loses_nothing(
    said: list[Instances | None],
    base: int,
    splits: bool,
    objects: int,
    held: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    samples = []
    for row, one in enumerate(said):
        height, width = (5, 6) if one is None else one.size
        pixels = np.full((height, width, 1), row, dtype=np.uint8)
        origin = Origin("paste", row, "abc", ("p",), "CC BY 4.0") if row % 2 else Origin(licence="CC0")
        note = None if one is None and row % 2 else Annotation(instances=one, attributes={"site": "ä", "n": row})
        samples.append(Sample(f"{row % 2}/s.{row}.png", note, origin, image=pixels))
    dataset = Dataset.of(samples, classes=NAMES)
    if splits:
        dataset = dataset.with_splits([("train", "test")[row % 2] for row in range(len(dataset))])
    path = tmp_path_factory.mktemp("coco") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "Rows", partial(Rows, objects=objects))
        assert write(dataset, path, category_base=base) == len(dataset)
        patch.setattr("twinset.formats.spool.HELD", held)
        patch.setattr("twinset.formats.objects.SHELF", 2)
        back, _report = read(path, on_bad_input="refuse")
    back = back.take([back.row_of(sample_id) for sample_id in dataset.ids])
    assert back.classes == dataset.classes
    assert back.splits == dataset.splits
    assert back.digest() == dataset.digest()
    assert [s.origin for s in back] == [s.origin for s in dataset]
    assert [s.annotation for s in back] == [s.annotation for s in dataset]


def small() -> Dataset:
    square = np.zeros((10, 20), dtype=bool)
    square[3:8, 2:6] = True
    found = Instances(
        (10, 20),
        np.array([0, 1, 1]),
        np.array([[2, 3, 6, 8], [0.1, 0.2, 10.3, 9.7], [1 / 3, 1, 5, 5]], dtype=np.float32),
        (Rle.of(square), Polygons(10, 20, ((2.1, 3, 6, 3, 6, 8, 2, 8),)), None),
        crowd=np.array([True, False, False]),
        areas=np.array([np.nan, 12.3, np.nan], dtype=np.float32),
    )
    samples = [
        Sample("x", Annotation(instances=found), image=np.zeros((10, 20, 3), dtype=np.uint8)),
        Sample("y", Annotation(instances=Instances.none((10, 20))), image=np.zeros((10, 20, 3), dtype=np.uint8)),
    ]
    return Dataset.of(samples, classes=["cat", "dog"])


def test_what_is_written_is_the_coco_that_everybody_reads(tmp_path: Path) -> None:
    write(small(), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "annotations" / "instances_all.json").read_text())
    assert content["categories"] == [
        {"id": n, "name": name, "supercategory": ""} for n, name in ((1, "cat"), (2, "dog"))
    ]
    assert [(one["id"], one["file_name"], one["width"], one["height"]) for one in content["images"]] == [
        (1, "x.png", 20, 10),
        (2, "y.png", 20, 10),
    ]
    rle, outline, plain = content["annotations"]
    assert (rle["id"], rle["image_id"], rle["category_id"], rle["iscrowd"]) == (1, 1, 1, 1)
    assert rle["bbox"] == [2, 3, 4, 5]
    assert rle["area"] == 20
    assert rle["segmentation"]["size"] == [10, 20]
    assert isinstance(rle["segmentation"]["counts"], str)
    assert outline["bbox"] == [0.1, 0.2, 10.2, 9.5]
    assert outline["area"] == 12.3
    assert outline["segmentation"] == [[2.1, 3, 6, 3, 6, 8, 2, 8]]
    assert plain["segmentation"] == []
    assert plain["area"] == pytest.approx((5 - 1 / 3) * 4, abs=1e-3)
    assert (tmp_path / "out" / "images" / "x.png").exists()


def test_category_base_moves_the_ids_and_not_the_classes(tmp_path: Path) -> None:
    write(small(), tmp_path / "out", category_base=0)
    content = json.loads((tmp_path / "out" / "annotations" / "instances_all.json").read_text())
    assert [one["id"] for one in content["categories"]] == [0, 1]
    assert [one["category_id"] for one in content["annotations"]] == [0, 1, 1]
    back, _ = read(tmp_path / "out")
    assert objects(back).class_ids.tolist() == [0, 1, 1]


def test_pycocotools_reads_the_same_boxes_masks_and_areas(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    dataset = small()
    write(dataset, tmp_path / "out")
    theirs = COCO(str(tmp_path / "out" / "annotations" / "instances_all.json"))
    found = [theirs.anns[number] for number in theirs.getAnnIds(imgIds=[1])]
    ours = objects(dataset)
    boxes = np.array([one["bbox"] for one in found])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_array_equal(boxes.astype(np.float32), ours.boxes)
    assert ours.masks is not None
    for one, mask in zip(found, ours.masks, strict=True):
        if mask is not None:
            np.testing.assert_array_equal(theirs.annToMask(one), mask.dense())
    assert [one["area"] for one in found][:2] == [20, 12.3]
    assert theirs.getAnnIds(imgIds=[2]) == []
    assert len(theirs.getImgIds()) == 2


def test_keypoints_are_written_with_their_categories(tmp_path: Path) -> None:
    points = np.array([[[1, 2, 2], [0, 0, 0]]], dtype=np.float32)
    found = Instances((10, 20), np.array([1]), np.array([[1, 1, 5, 5]], dtype=np.float32), keypoints=points)
    sample = Sample("x", Annotation(instances=found), image=np.zeros((10, 20, 3), dtype=np.uint8))
    write(Dataset.of([sample], classes=["cat", "dog"]), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "annotations" / "instances_all.json").read_text())
    assert [one.get("keypoints") for one in content["categories"]] == [None, ["1", "2"]]
    assert content["annotations"][0]["keypoints"] == [1, 2, 2, 0, 0, 0]
    assert content["annotations"][0]["num_keypoints"] == 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), digits=st.integers(0, 7))
def test_written_boxes_are_short_and_do_not_move(seed: int, digits: int) -> None:
    draw = np.random.default_rng(seed)
    low = np.round(draw.uniform(0, 4000, (50, 2)), digits)
    corners = np.concatenate([low, low + np.round(draw.uniform(0.001, 90, (50, 2)), digits) + 1], axis=1)
    exact = corners.astype(np.float32)
    boxes = decimals.boxes_xywh(exact)
    again = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    np.testing.assert_array_equal(again.astype(np.float32), exact)
    if digits <= 3:
        np.testing.assert_array_equal(np.round(boxes, 3), boxes)
    np.testing.assert_array_equal(decimals.decimals(exact.ravel()).astype(np.float32), exact.ravel())


def test_what_coco_has_no_field_for_is_counted() -> None:
    pixels = np.zeros((4, 4, 1), dtype=np.uint8)
    box = np.array([[0, 0, 2, 2]], dtype=np.float32)
    hard = Instances((4, 4), np.array([0]), box, difficult=np.array([True]), amodal_boxes=box)
    samples = [
        Sample("a", Annotation(class_probabilities=(0.5, 0.5), caption="c"), image=pixels),
        Sample("b", Annotation(instances=hard), image=pixels),
        Sample("c", Annotation(semantic=SemanticMap.of(np.zeros((4, 4), dtype=np.int32))), image=pixels),
    ]
    assert coco.losses(Dataset.of(samples, classes=["x", "y"])) == {
        "labels of whole pictures": 1,
        "soft labels": 1,
        "captions beside objects": 1,
        "semantic maps": 1,
        "pictures without annotations (other programs take them as showing nothing)": 2,
        "difficult flags": 1,
        "amodal boxes": 1,
    }
    assert coco.losses(small()) == {}


@pytest.mark.slow
def test_class_labels_soft_labels_and_captions_come_back(tmp_path: Path, awkward: Dataset) -> None:
    write(awkward, tmp_path / "out")
    back, _ = read(tmp_path / "out", on_bad_input="refuse")
    assert back.classes == awkward.classes
    assert back.digest() == awkward.digest()


FIXTURES = Path(os.environ.get("TWINSET_DATA", "")) / "format_fixtures" / "datumaro" / "coco_dataset"
VALID = ("coco", "coco_instances", "coco_stuff", "coco_person_keypoints", "coco_roboflow", "mmdet_coco")
LISTS = ("coco_captions", "coco_image_info")
needs_fixtures = pytest.mark.skipif(
    not (os.environ.get("TWINSET_DATA") and FIXTURES.is_dir()), reason="TWINSET_DATA has no format_fixtures"
)


def independent(path: Path) -> dict[str, object]:
    """Images and boxes of all instance files, by the json module alone."""
    names: dict[str, list[list[float]]] = {}
    for file in sorted(path.rglob("*.json")):
        if path.name == "coco" and not file.name.startswith("instances_"):
            continue
        content = json.loads(file.read_text())
        by_id = {one["id"]: names.setdefault(one["file_name"], []) for one in content["images"]}
        for one in content["annotations"]:
            if "bbox" in one:
                by_id[one["image_id"]].append(one["bbox"])
    return names  # type: ignore[return-value]


@needs_fixtures
@pytest.mark.parametrize("name", VALID)
def test_valid_fixtures_have_the_counts_of_an_independent_reading(name: str) -> None:
    dataset, report = read(FIXTURES / name, on_bad_input="refuse")
    expected = independent(FIXTURES / name)
    found: dict[str, object] = {}
    for sample in dataset:
        assert sample.annotation is not None
        assert sample.annotation.instances is not None
        boxes = sample.annotation.instances.boxes
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        found[Path(sample.id).name] = xywh.tolist()
    assert found == expected
    assert report.images == 2


@needs_fixtures
@pytest.mark.parametrize("name", LISTS)
def test_fixtures_without_objects_say_nothing_of_them(name: str) -> None:
    dataset, _ = read(FIXTURES / name, on_bad_input="refuse")
    assert [Path(sample_id).name for sample_id in dataset.ids] == ["a.jpg", "b.jpg"]
    assert all(s.annotation is None or s.annotation.instances is None for s in dataset)
    captions = [s.annotation.caption if s.annotation else None for s in dataset]
    assert captions == (["hello", "world"] if name == "coco_captions" else [None, None])


@needs_fixtures
@pytest.mark.parametrize(
    ("name", "problem"),
    [("coco_panoptic", "expected instances; got panoptic segments"), ("coco_labels", "several categories alone")],
)
def test_unsupported_fixtures_are_one_clear_error(name: str, problem: str) -> None:
    with pytest.raises(DatasetFormatError, match=problem):
        read(FIXTURES / name, on_bad_input="refuse")


def test_memory_does_not_hold_the_text_of_a_file() -> None:
    class Counting(io.BytesIO):
        longest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            Counting.longest = max(Counting.longest, len(piece))
            return piece

    rows = ",".join(json.dumps(annotation(n)) for n in range(60_000))
    parsed = parsing.parse(Counting((SOUND % rows).encode()), "x")
    assert len(parsed.annotations) == 60_000
    assert Counting.longest <= streaming.PIECE < len(rows) // 3


def test_one_id_in_words_leaves_the_numbers_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    stated = [annotation(7, image_id=9), annotation(8), annotation("eight", image_id=9), annotation(2**70, image_id=9)]
    whole = {"images": [image()], "annotations": stated, "categories": CATEGORIES}
    (tmp_path / "instances_all.json").write_text(json.dumps(whole))
    _, report = read(tmp_path)
    problems = [bad.problem for bad in report.bad_files]
    assert problems[0].startswith("annotation 7: expected an image")
    assert [problem.startswith("expected an image") for problem in problems[1:]] == [True, True]
