from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from twinset import cli, documents
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances

Called = Callable[..., tuple[int, str, str]]


def test_inspect_prints_one_object_that_fits_its_schema(called: Called) -> None:
    ended, out, _ = called("inspect", "builtin:digits", "--json")
    answer = json.loads(out)
    jsonschema.validate(answer, documents.schema("inspect"))
    assert ended == 0
    assert (answer["images"], answer["format"], len(answer["classes"])) == (1797, "builtin:digits", 10)


def test_convert_round_trips_classes(tmp_path: Path, called: Called) -> None:
    from twinset.formats import read

    ended, out, _ = called("convert", "builtin:digits", tmp_path / "out", "--to", "parquet", "--json")
    assert (ended, json.loads(out)["images"]) == (0, 1797)
    dataset, _ = read(tmp_path / "out")
    assert dataset.class_counts()["3"] == 183


def annotated(place: Path) -> Path:
    """Two pictures with boxes, of which one is a crowd, as Parquet."""
    from twinset.annotations import Annotation, Instances
    from twinset.dataset import Dataset, Sample
    from twinset.formats import write

    image, corners = np.zeros((8, 9, 3), np.uint8), np.array([[0, 0, 4, 5], [1, 1, 3, 3]], np.float32)
    found = Instances((8, 9), np.array([0, 1]), corners, crowd=np.array([False, True]))
    samples = [Sample(name, Annotation(instances=found), image=image + at) for at, name in enumerate("ab")]
    write(Dataset.of(samples, classes=("cat", "dog")), place, "parquet")
    return place


def test_convert_says_what_the_format_has_no_place_for(tmp_path: Path, called: Called) -> None:
    source = annotated(tmp_path / "in")
    ended, out, _ = called("convert", source, tmp_path / "yolo", "--to", "yolo", "--json")
    answer = json.loads(out)
    jsonschema.validate(answer, documents.schema("convert"))
    assert (ended, answer["losses"]) == (0, {"crowd flags": 2})
    assert answer["notes"] == ["2 crowd flags have no place in yolo"]
    ended, out, _ = called("convert", source, tmp_path / "folder", "--to", "imagefolder")
    assert ended == 0
    assert out.splitlines() == [
        f"wrote 2 images to {tmp_path / 'folder'}",
        "note: 4 objects have no place in imagefolder",
        "note: 2 crowd flags have no place in imagefolder",
    ]


@pytest.mark.parametrize(("options", "ids"), [([], [1, 2]), (["--category-base", "0"], [0, 1])])
def test_categories_are_numbered_from_what_is_asked(
    options: list[str], ids: list[int], tmp_path: Path, called: Called
) -> None:
    source = annotated(tmp_path / "in")
    ended, _, _ = called("convert", source, tmp_path / "out", "--to", "coco", *options)
    content = json.loads((tmp_path / "out/annotations/instances_all.json").read_text())
    assert ended == 0
    assert [one["id"] for one in content["categories"]] == ids
    assert [one["category_id"] for one in content["annotations"]] == ids * 2


def test_a_category_base_is_of_coco_alone(tmp_path: Path, called: Called) -> None:
    options = ("--to", "voc", "--category-base", "0")
    ended, _, err = called("convert", "builtin:digits", tmp_path / "out", *options)
    assert ended == 2
    assert "expected --category-base with --to coco; got --to voc" in err


def boxed(place: Path) -> Path:
    """YOLO of two pictures, one box without an area and one picture that is none."""
    from twinset.images import encode_png

    for name in ("a", "b", "c"):
        for below, data in (("images", encode_png(np.zeros((8, 9, 3), np.uint8))), ("labels", b"0 0.5 0.5 0.5 0.5\n")):
            path = place / below / f"{name}.{'png' if below == 'images' else 'txt'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (place / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0\n")
    (place / "images/c.png").write_bytes(b"text")
    return place


def test_convert_refuses_bad_input_and_skips_it_when_told_to(tmp_path: Path, called: Called) -> None:
    source, out = boxed(tmp_path / "in"), tmp_path / "out"
    ended, _, err = called("convert", source, out, "--to", "coco")
    assert ended == 4
    assert "--on-bad-input skip" in err
    assert "on_bad_input: skip" not in err
    ended, _, err = called("convert", source, out, "--to", "coco", "--on-bad-input", "ignore")
    assert (ended, "expected --on-bad-input refuse or skip; got 'ignore'" in err) == (2, True)
    ended, shown, _ = called("convert", source, out, "--to", "coco", "--on-bad-input", "skip")
    assert ended == 0
    lines = shown.splitlines()
    assert lines[0] == f"wrote 2 images to {out}"
    assert any(
        line.startswith("note: 1 bad file left out, first labels/c.txt: images/c.png: expected") for line in lines
    )
    assert any(line.startswith("note: 1 bad object clipped or left out, first labels/a.txt:2:") for line in lines)
    assert len(json.loads((out / "annotations/instances_all.json").read_text())["annotations"]) == 2


def test_python_is_told_how_to_skip_in_python(tmp_path: Path) -> None:
    import twinset

    with pytest.raises(twinset.TwinsetError) as caught:
        twinset.load(boxed(tmp_path / "in"))
    assert 'pass on_bad_input="skip"' in caught.value.hint
    assert len(twinset.load(tmp_path / "in", on_bad_input="skip")) == 2


def test_a_part_of_a_dataset_and_a_recipe_are_told(tmp_path: Path, called: Called) -> None:
    source = boxed(tmp_path / "in")
    for part in ("labels", "images"):
        ended, _, err = called("inspect", source / part)
        assert ended == 4
        assert f"give {source}" in err
    (tmp_path / "recipe.yaml").write_text(f"data: {source}\n")
    for options in (["inspect", tmp_path / "recipe.yaml"], ["convert", tmp_path / "recipe.yaml", "x", "--to", "coco"]):
        ended, _, err = called(*options)
        assert ended == 4
        assert "got a recipe of twinset" in err


def test_convert_refuses_what_would_be_empty(tmp_path: Path, called: Called) -> None:
    source = annotated(tmp_path / "in")
    ended, _, err = called("convert", source, tmp_path / "out", "--to", "masks")
    assert ended == 2
    assert "got 2 of 4 with a box alone" in err  # the crowds could be ignored
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format_", ["yolo", "voc", "labelme", "kitti", "via"])
def test_classes_of_pictures_are_not_written_where_all_would_be_lost(
    format_: str, tmp_path: Path, called: Called
) -> None:
    ended, _, err = called("convert", "builtin:digits", tmp_path / "out", "--to", format_)
    assert ended == 2
    assert f"expected objects or masks to write {format_}; got the class of 1797 pictures" in err
    assert not (tmp_path / "out").exists()


def test_coco_is_said_to_keep_classes_for_twinset_alone(tmp_path: Path, called: Called) -> None:
    ended, out, _ = called("convert", "builtin:digits", tmp_path / "out", "--to", "coco")
    assert ended == 0
    assert out.splitlines()[1:] == [
        "note: 1797 labels of whole pictures have no place in coco but in a field of twinset's own: other programs see "
        "none"
    ]


def test_help_of_convert_lists_every_format() -> None:
    from twinset.formats import FORMATS

    shown = " ".join(CliRunner().invoke(cli.app, ["convert", "--help"], env={"COLUMNS": "200"}).output.split())
    words = set(re.split(r"\W+", shown[shown.index("--to") :]))
    assert set(FORMATS) <= words


def test_coco_is_said_to_keep_amodal_boxes_for_twinset_alone_and_poses_not_at_all(
    tmp_path: Path, called: Called
) -> None:
    instances = Instances(
        (20, 30),
        np.array([0]),
        np.array([[1, 2, 9, 8]]),
        amodal_boxes=np.array([[1, 2, 12, 8]], np.float32),
        poses=np.eye(4)[None],
    )
    sample = Sample("a", Annotation(instances=instances), image=np.zeros((20, 30, 3), dtype=np.uint8))
    Dataset.of([sample], classes=["x"]).export(tmp_path / "in", format="parquet")
    ended, out, _ = called("convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    assert ended == 0
    assert out.splitlines()[1:] == [
        "note: 1 amodal box has no place in coco but in a field of twinset's own: other programs see none",
        "note: 1 pose has no place in coco",
    ]
