"""Semantic masks read and written."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError, UsageError
from twinset.formats import semantic_masks, voc, write, yolo
from twinset.formats.folder import Folder, Unusable
from twinset.formats.listing import OnBadInput, ReadReport
from twinset.formats.maskfiles import encode_ids, palette, read_mask
from twinset.formats.reading import collect
from twinset.formats.writing import whole_folder
from twinset.images import FULL_RANGE, encode_png

Put = Callable[..., Path]
DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))
FIXTURES = DATA / "format_fixtures/datumaro"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="TWINSET_DATA is not set")

IDS = np.tile(np.array([0, 1, 2, 255]), (8, 2))


def read(path: Path, on_bad_input: OnBadInput = "report") -> tuple[Dataset, ReadReport]:
    listing = semantic_masks.listing(Folder.at(path), "set")
    return collect(listing, source=str(path), on_bad_input=on_bad_input, window=FULL_RANGE)


def written(dataset: Dataset, path: Path) -> Path:
    with whole_folder(path) as target:
        semantic_masks.write(dataset, target, encode=None)
    return path


def saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def grey(values: np.ndarray) -> bytes:
    return encode_png(values.astype(np.uint8)[..., None])


def dense(dataset: Dataset, row: int = 0) -> list[list[int]]:
    annotation = dataset[row].annotation
    assert annotation is not None
    assert annotation.semantic is not None
    return annotation.semantic.dense().tolist()


def small(put: Put, root: Path, mask: bytes, table: object = None) -> Path:
    put(root / "images/a.png", 1)
    put(root / "masks/a.png", mask)
    if table is not None:
        put(root / "classes.json", json.dumps(table).encode())
    return root


EXPECTED = np.where(IDS == 255, -1, IDS)


@pytest.mark.parametrize(
    "mask",
    [
        grey(IDS),
        encode_ids(IDS),
        saved(Image.fromarray(IDS.astype(np.uint16))),
        saved(Image.fromarray(IDS.astype(np.uint8)), "TIFF"),
    ],
    ids=["grey", "palette", "16-bit", "tiff"],
)
def test_values_are_classes_whatever_holds_them(mask: bytes, put: Put, tmp_path: Path) -> None:
    dataset, report = read(small(put, tmp_path, mask))
    assert dataset.classes == ("0", "1", "2")
    assert dense(dataset) == EXPECTED.tolist()
    assert report.warnings == ("255 in the masks is taken as: to be ignored",)
    assert report.bad_files == ()


def test_in_a_mask_of_0_and_255_both_are_classes(put: Put, tmp_path: Path) -> None:
    values = np.tile([0, 255], (8, 4))
    small(put, tmp_path, grey(values))
    dataset, report = read(tmp_path)
    assert (dataset.classes, report.warnings) == (("0", "255"), ())
    assert dense(dataset) == (values // 255).tolist()
    put(tmp_path / "images/b.png", 2)
    put(tmp_path / "masks/b.png", grey(np.full((8, 8), 7)))
    dataset, report = read(tmp_path)
    assert dataset.classes == ("0", "7")
    assert dense(dataset)[0][:2] == [0, -1]


def test_one_bit_masks_hold_two_classes(put: Put, tmp_path: Path) -> None:
    dataset, _ = read(small(put, tmp_path, saved(Image.fromarray(np.eye(8, dtype=bool)))))
    assert dataset.classes == ("0", "1")
    assert dense(dataset) == np.eye(8, dtype=int).tolist()


def test_colours_are_classes_by_their_code(put: Put, tmp_path: Path) -> None:
    colours = palette()[np.tile([0, 1, 2, 15], (8, 2))]
    dataset, _ = read(small(put, tmp_path, saved(Image.fromarray(colours))))
    assert dataset.classes == ("#000000", "#008000", "#800000", "#c08080")
    assert dense(dataset)[0] == [0, 2, 1, 3] * 2


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("label_colors.txt", "0 0 0\tsky\r\n128 0 0 big tree\n\n0 128 0 Void\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:0,0,0::\nbig tree:128,0,0::\nvoid:0,128,0::\n"),
        ("class_dict.csv", "name,r,g,b\nsky,0,0,0\nbig tree,128,0,0\nunlabelled,0,128,0\n"),
        (
            "dataset_meta.json",
            json.dumps(
                {
                    "label_map": {"0": "sky", "1": "big tree", "2": "Void"},
                    "segmentation_colors": [[0, 0, 0], [128, 0, 0], [0, 128, 0]],
                }
            ),
        ),
        (
            "classes.json",
            json.dumps(
                [
                    {"id": 0, "name": "sky", "color": [0, 0, 0]},
                    {"id": 1, "name": "big tree", "color": [128, 0, 0]},
                    {"id": 2, "name": "ignore", "color": [0, 128, 0]},
                ]
            ),
        ),
    ],
)
@pytest.mark.parametrize("how", ["colours", "palette", "ids"])
def test_tables_of_colours_name_colours_and_ids(how: str, file: str, text: str, put: Put, tmp_path: Path) -> None:
    values = np.tile([0, 1, 2, 1], (8, 2))
    masks = {"colours": saved(Image.fromarray(palette()[values])), "palette": encode_ids(values), "ids": grey(values)}
    small(put, tmp_path, masks[how])
    put(tmp_path / file, text.encode())
    dataset, report = read(tmp_path)
    assert dataset.classes == ("sky", "big tree")
    assert dense(dataset)[0] == [0, 1, -1, 1] * 2
    assert report.bad_files == ()


@pytest.mark.parametrize(
    "table",
    [
        {"0": "sky", "1": "road", "2": "unlabelled"},
        {"2": "void", "1": "road", "0": "sky"},
        {"sky": 0, "road": 1, "Ignore": 2},
        ["sky", "road", "unlabeled"],
        {"classes": ["sky", "road", "void"]},
    ],
)
def test_classes_json_in_its_shapes_gives_names_order_and_what_to_ignore(
    table: object, put: Put, tmp_path: Path
) -> None:
    dataset, report = read(small(put, tmp_path, grey(IDS), table))
    assert dataset.classes == ("sky", "road")
    assert dense(dataset)[0] == [0, 1, -1, -1] * 2
    assert report.bad_files == ()


def test_pixel_values_may_be_named_in_a_csv(put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, grey(IDS))
    put(tmp_path / "_classes.csv", b"Pixel Value, Class\n0, background\n1, cat\n2, dog\n")
    assert read(tmp_path)[0].classes == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (grey(np.full((8, 8), 9)), "masks/a.png: expected class ids out of 0, 1, 2, 255; got 9 among 64 pixels"),
        (grey(np.zeros((8, 9))), "masks/a.png: expected a mask of 8 x 8; got one of 9 x 8"),
        (b"not a picture", "masks/a.png: expected a whole mask; got"),
        (grey(IDS)[:45], "masks/a.png: expected a whole mask; got"),
        (b"", "masks/a.png: expected a whole mask; got"),
        (saved(Image.fromarray(np.full((8, 8), 300, dtype=np.uint16))), "got 300 among 64 pixels of no class"),
        (saved(Image.fromarray(np.full((8, 8, 4), 7, dtype=np.uint8))), "expected a mask without transparency"),
        (saved(Image.new("CMYK", (8, 8)), "TIFF"), "expected a mask of grey values, a palette or RGB; got mode CMYK"),
    ],
    ids=["unknown", "size", "other bytes", "truncated", "empty", "16-bit", "transparent", "CMYK"],
)
def test_a_mask_that_cannot_be_used_leaves_its_picture_out(mask: bytes, told: str, put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, grey(IDS), {"0": "sky", "1": "road", "2": "tree"})
    put(tmp_path / "images/b.png", 1)
    put(tmp_path / "masks/b.png", grey(IDS))
    put(tmp_path / "masks/a.png", mask)
    dataset, report = read(tmp_path)
    assert dataset.ids == ["images/b.png"]
    assert [bad.path for bad in report.bad_files] == ["images/a.png"]
    assert told in report.bad_files[0].problem


def test_missing_masks_are_bad_and_lone_masks_are_counted(put: Put, tmp_path: Path) -> None:
    small(put, tmp_path, grey(IDS))
    put(tmp_path / "images/b.png", 2)
    put(tmp_path / "masks/c.png", grey(IDS))
    _, report = read(tmp_path)
    assert [str(bad) for bad in report.bad_files] == ["images/b.png: expected a mask of the same name; got none"]
    assert "1 masks have no picture, first masks/c.png" in report.warnings


@pytest.mark.parametrize(
    "mask",
    [
        saved(Image.fromarray(np.arange(64).reshape(8, 8).astype(np.uint16) + 250)),
        saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))),
    ],
    ids=["ids", "colours"],
)
def test_more_values_than_classes_can_be_are_refused_or_told(mask: bytes, put: Put, tmp_path: Path) -> None:
    put(tmp_path / "images/a.png", 1)
    big = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    put(tmp_path / "images/b.png", encode_png(big))
    put(tmp_path / "masks/b.png", encode_png(big))
    put(tmp_path / "masks/a.png", mask)
    with pytest.raises(DatasetFormatError, match="expected masks of at most 255 ids or colours"):
        read(tmp_path)


def test_ids_above_254_without_a_table_are_told(put: Put, tmp_path: Path) -> None:
    values = np.tile([0, 1, 254, 300], (8, 2)).astype(np.uint16)
    _, report = read(small(put, tmp_path, saved(Image.fromarray(values))))
    assert "expected class ids out of 0, 1, 254; got 300 among 16 pixels" in report.bad_files[0].problem


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}/x.png", "masks/{}/x.png"),
        ("{}/images/x.png", "{}/labels/x.png"),
        ("JPEGImages/{}/x.jpg", "SegmentationClass/{}/x.png"),
        ("{}/x.png", "{}annot/x.png"),
        ("{}/x.png", "{}/x_mask.png"),
        ("{}/x.jpg", "{}/x_L.png"),
        ("images/{}/x.png", "annotations/{}/x_mask.png"),
    ],
)
def test_masks_are_found_where_they_usually_lie(image: str, mask: str, put: Put, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val")):
        put(tmp_path / image.format(split), number)
        put(tmp_path / mask.format(split), grey(IDS))
    assert semantic_masks.claims(Folder.at(tmp_path))
    dataset, report = read(tmp_path)
    assert dataset.splits == ["train", "validation"]
    assert dense(dataset) == EXPECTED.tolist()
    assert report.bad_files == ()


def test_it_claims_masks_and_nothing_else(put: Put, tmp_path: Path) -> None:
    for name in ("cat/a", "cat/b", "masks/a", "images/c", "dog_mask/a"):
        put(tmp_path / f"classes/{name}.png", 1)
    assert not semantic_masks.claims(Folder.at(tmp_path / "classes"))
    put(tmp_path / "boxes/images/a.png", 1)
    put(tmp_path / "boxes/labels/a.txt", b"0 .5 .5 .5 .5\n")
    assert not semantic_masks.claims(Folder.at(tmp_path / "boxes"))
    small(put, tmp_path / "masks", grey(IDS))
    assert semantic_masks.claims(Folder.at(tmp_path / "masks"))
    assert not voc.claims(Folder.at(tmp_path / "masks"))
    assert not yolo.claims(Folder.at(tmp_path / "masks"))


def test_links_that_lead_out_are_never_opened(put: Put, tmp_path: Path) -> None:
    root = small(put, tmp_path / "set", grey(IDS), ["a", "b", "c"])
    put(tmp_path / "secret.png", grey(IDS))
    (root / "masks/a.png").unlink()
    (root / "masks/a.png").symlink_to(tmp_path / "secret.png")
    dataset, report = read(root)
    assert len(dataset) == 0
    assert any("leads outside" in bad.problem for bad in report.bad_files)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"0": 3.5}, "expected a class name for the value 0"),
        ({"0": ""}, "expected a class name for the value 0"),
        ({"x": "sky"}, "expected a mask value; got 'x'"),
        ("sky", "expected class names by mask value"),
        ({str(n): f"c{n}" for n in range(300)}, "expected 1…255 classes; got 300"),
        ({"0": "void"}, "expected 1…255 classes; got 0"),
        ([{"name": "sky", "color": [0, 0, 256]}], "expected a colour r, g, b of 0…255"),
        ({"classes": {}}, "expected 1…255 classes; got 0"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_error(table: object, told: str, put: Put, tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError) as caught:
        read(small(put, tmp_path, grey(IDS), table))
    assert told in str(caught.value)
    assert "classes.json" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 256))
def test_any_ids_survive_a_palette_picture(seed: int, height: int, width: int, most: int) -> None:
    ids = np.random.default_rng(seed).integers(0, most, (height, width))
    assert (read_mask(encode_ids(ids)) == ids).all()


def test_the_palette_tells_all_ids_apart() -> None:
    assert len({tuple(colour) for colour in palette().tolist()}) == 256
    with pytest.raises(ValueError, match="expected ids 0…255"):
        encode_ids(np.full((2, 2), 256))
    with pytest.raises(Unusable, match="expected a whole mask"):
        read_mask(b"P5 99999 99999 255\n")


def sample(name: str, semantic: np.ndarray | None, seed: int) -> Sample:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    annotation = None if semantic is None else Annotation(semantic=SemanticMap.of(semantic), attributes={"site": seed})
    origin = Origin("copypaste", 3, "abc", ("p",)) if seed % 2 else Origin()
    return Sample(name, annotation, origin, image=encode_png(pixels))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(["void", "10", "9", "sky", "小猫", "unlabelled", "a: b, c"]), min_size=1, unique=True),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_a_dataset_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, classes: list[str], seed: int, splits: bool
) -> None:
    rng = np.random.default_rng(seed)
    maps = [rng.integers(-1, len(classes), (8, 8)) for _ in range(3)]
    names = ("a/x.1.png", "b/x.1.png", "c")
    samples = [sample(name, semantic, row) for row, (name, semantic) in enumerate(zip(names, maps, strict=True))]
    dataset = Dataset.of(samples, classes=classes, splits=["train", "validation", "test"] if splits else None)
    back, report = read(written(dataset, tmp_path_factory.mktemp("masks") / "out"))
    back = back.take([back.row_of(name) for name in dataset.ids])
    assert (report.bad_files, report.warnings) == ((), ())
    assert (back.classes, back.splits, back.digest()) == (dataset.classes, dataset.splits, dataset.digest())
    assert [dense(back, row) for row in range(3)] == [semantic.tolist() for semantic in maps]


def test_a_sample_without_a_map_is_written_as_ignored_and_counted(tmp_path: Path) -> None:
    dataset = Dataset.of([sample("a", np.zeros((8, 8), dtype=int), 0), sample("b", None, 2)], classes=["sky"])
    back, _ = read(written(dataset, tmp_path / "out"))
    assert dense(back, 1) == [[-1] * 8] * 8
    assert semantic_masks.losses(dataset) == {"images without a mask": 1}
    box = Annotation(instances=Instances((8, 8), np.array([0]), np.array([[0, 0, 2, 2]])), class_id=0)
    boxed = Dataset.of([Sample("c", box, image=sample("c", None, 0).image)], classes=["sky"])
    with pytest.raises(UsageError, match="got 1 of 1 with a box alone"):
        write(boxed, tmp_path / "boxed", "masks")


@pytest.mark.slow
@needs_data
def test_camvid_as_its_readme_counts_it() -> None:
    dataset, report = read(DATA / "camvid", on_bad_input="refuse")
    assert semantic_masks.claims(Folder.at(DATA / "camvid"))
    assert Counter(dataset.splits) == {"train": 60, "validation": 20, "test": 80}
    assert len(dataset.classes) == 11
    assert (dataset.classes[0], dataset.classes[10]) == ("sky", "bicyclist")
    row = dataset.splits.index("train")
    with Image.open(DATA / "camvid" / dataset.ids[row].replace("images", "masks").replace(".jpg", ".png")) as mask:
        values = np.asarray(mask).astype(int)
    assert dense(dataset, row) == np.where(values == 11, -1, values).tolist()
    assert report.bad_files == ()


@needs_data
def test_em_membrane_as_its_readme_counts_it() -> None:
    dataset, report = read(DATA / "em_membrane", on_bad_input="refuse")
    assert semantic_masks.claims(Folder.at(DATA / "em_membrane"))
    assert Counter(dataset.splits) == {"train": 10, "test": 20}
    assert dataset.classes == ("0", "255")
    assert set(np.unique(dense(dataset))) == {0, 1}
    assert report.warnings == ()


@needs_data
@pytest.mark.parametrize(
    ("name", "masks", "classes"),
    [
        ("common_semantic_segmentation_dataset/dataset", 2, ("Animal", "Archway", "Bicyclist", "Child", "Road")),
        ("kaggle_dataset/image_mask", 2, ("0", "1")),
        ("kaggle_dataset/image_mask_with_labelmap", 3, ("background", "cat", "dog")),
        ("camvid_dataset", 4, None),
    ],
)
def test_valid_fixtures_have_the_pixels_of_their_masks(name: str, masks: int, classes: tuple[str, ...] | None) -> None:
    dataset, _ = read(FIXTURES / name, on_bad_input="refuse")
    assert semantic_masks.claims(Folder.at(FIXTURES / name))
    assert len(dataset) == masks
    assert classes is None or dataset.classes == classes
    colours = set[tuple[int, ...]]()
    files = [p for p in (FIXTURES / name).rglob("*.png") if "mask" in str(p.parent.name) or "annot" in p.parent.name]
    for file in files:
        with Image.open(file) as mask:
            values = np.asarray(mask)
            colours |= {tuple(v) for v in values.reshape(-1, values.shape[2] if values.ndim == 3 else 1).tolist()}
    found = {class_id for row in range(len(dataset)) for line in dense(dataset, row) for class_id in line}
    assert len(found) == len(colours)


@needs_data
def test_masks_of_other_names_are_one_clear_error() -> None:
    with pytest.raises(DatasetFormatError, match=r"got 2 that are not, first images/image_0001\.png: expected a mask"):
        read(FIXTURES / "common_semantic_segmentation_dataset/non_standard_dataset", on_bad_input="refuse")
