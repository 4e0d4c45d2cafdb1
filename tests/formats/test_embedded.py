"""Objects and semantic maps in Parquet and WebDataset: nothing is lost, and nothing that is read is trusted."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.scenes import (
    CLASSES,
    HEIGHT,
    WIDTH,
    back,
    boxes_only,
    dataset_of,
    instances_in,
    masked,
    pixels,
    semantic,
    whole,
)

from twinset.annotations import Annotation, Instances, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import DatasetFormatError
from twinset.formats import embedded, read, write
from twinset.formats.folder import Unusable
from twinset.formats.listing import BadFile
from twinset.formats.parquet import EXPORT_SCHEMA
from twinset.formats.writing import WritableFormat
from twinset.images import encode_png

OURS: tuple[WritableFormat, ...] = ("parquet", "webdataset")
PICTURE = encode_png(pixels(0))


@pytest.mark.parametrize("splits", [True, False])
@pytest.mark.parametrize("name", OURS)
def test_a_round_trip_loses_nothing(name: WritableFormat, splits: bool, tmp_path: Path) -> None:
    dataset = dataset_of(
        Annotation(instances=whole(), class_id=1, caption="two", attributes={"site": 3}),
        Annotation(instances=Instances.none((HEIGHT, WIDTH)), semantic=semantic(1)),
        None,
        Annotation(semantic=semantic(2)),
        Annotation(class_probabilities=(0.25, 0.5, 0.25)),
        Annotation(instances=boxes_only()),
        splits=splits,
    )
    found = back(dataset, tmp_path / "out", name)
    assert found.classes == dataset.classes
    assert found.splits == dataset.splits
    assert instances_in(found) == whole()
    assert found.digest() == dataset.digest()
    assert found.task == "semantic-segmentation"


@pytest.mark.parametrize("name", OURS)
def test_containers_of_ours_lose_nothing_and_say_so(name: WritableFormat, tmp_path: Path) -> None:
    dataset = dataset_of(Annotation(instances=whole(), semantic=semantic(1)))
    assert write(dataset, tmp_path / "out", name).losses == {}


def test_a_plain_parquet_export_has_the_columns_it_always_had(tmp_path: Path) -> None:
    write(dataset_of(Annotation(class_id=1), None, splits=False), tmp_path / "out", "parquet")
    schema = pq.read_schema(next((tmp_path / "out").rglob("*.parquet")))
    assert schema.remove_metadata() == EXPORT_SCHEMA
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == EXPORT_SCHEMA.names
    assert features["seed"] == {"dtype": "int64", "_type": "Value"}


def test_columns_of_places_appear_only_where_there_are_any(tmp_path: Path) -> None:
    write(dataset_of(Annotation(semantic=semantic(0)), None, splits=False), tmp_path / "out", "parquet")
    names = pq.read_schema(next((tmp_path / "out").rglob("*.parquet"))).names
    assert names == [*EXPORT_SCHEMA.names, "semantic"]


def test_webdataset_members_are_what_others_expect(tmp_path: Path) -> None:
    write(
        dataset_of(Annotation(instances=masked(), semantic=semantic(4)), splits=False), tmp_path / "out", "webdataset"
    )
    with tarfile.open(tmp_path / "out/data-000000.tar") as archive:
        members = {name.split(".", 1)[1]: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert list(members) == ["png", "seg.png", "json"]
    objects = json.loads(members["json"])["twinset"]["instances"]["objects"]
    assert [one["label"] for one in objects] == ["cat", "traffic light", "cat", "小猫"]
    assert objects[1]["rle"].isascii()
    assert objects[1]["crowd"] is True
    assert objects[0]["polygons"][1] == [8.0, 8.0, 12.0, 8.0, 12.0, 11.25]
    assert objects[3] == {"label": "小猫", "box": [14.0, 14.0, 18.0, 19.0], "attributes": {"wet": False}}


def value(**changes: object) -> dict[str, object]:
    item: dict[str, object] = {"class_id": 1, "x1": 1.0, "y1": 2.0, "x2": 5.0, "y2": 6.0, **changes}
    return {"height": HEIGHT, "width": WIDTH, "objects": [item]}


HOSTILE = [
    ({"class_id": 9}, "expected a class below 3; got 9"),
    ({"class_id": -1}, "expected a class below 3; got -1"),
    ({"class_id": True}, "expected a class; got bool"),
    ({"x1": float("nan")}, "expected box as a number; got nan"),
    ({"x2": None}, "expected box as a number; got NoneType"),
    ({"x2": 10**400}, "expected box as a number"),
    ({"rle": b"\xff\x00"}, "expected run lengths that cover 30 x 20 pixels"),
    ({"rle": b"T1"}, "expected run lengths that cover 30 x 20 pixels"),
    ({"polygons": []}, "expected outlines; got none"),
    ({"polygons": [[1, None, 2, 3, 4, 5]]}, "expected an outline as a number; got NoneType"),
    ({"confidence": 2.0}, "expected confidence in 0–1; got 2"),
    ({"area": -1.0}, "expected area in 0–1e+30; got -1"),
    ({"attributes": "[1]"}, "expected attributes as a JSON object of plain values"),
    ({"attributes": "{"}, "expected attributes as JSON"),
    ({"attributes": '{"a": {"b": 1}}'}, "expected attributes as a JSON object of plain values"),
    ({"amodal_box": [1.0]}, "expected amodal_box of four numbers; got 1"),
    ({"amodal_rle": b"!"}, "expected run lengths that cover"),
]


@pytest.mark.parametrize(("change", "told"), HOSTILE)
def test_a_hostile_object_is_left_out_and_told(change: dict[str, object], told: str) -> None:
    found = embedded.read_ours(value(**change), embedded.class_names(CLASSES, str))
    assert found.stated == []
    assert len(found.problems) == 1
    assert told in found.problems[0]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        3,
        "x",
        [],
        {"height": 2},
        {"height": -1, "width": 2, "objects": []},
        {"height": 2, "width": 2, "objects": 3},
    ],
)
def test_a_value_that_is_no_instances_is_unusable(bad: object) -> None:
    with pytest.raises(Unusable, match="expected"):
        embedded.read_ours(bad, embedded.class_names(CLASSES, str))


def test_keypoints_and_amodal_boxes_are_of_all_objects_or_of_none() -> None:
    one, two = value(keypoints=[1, 2, 2])["objects"], value(keypoints=[1, 2, 2, 1, 2, 2])["objects"]
    names = embedded.class_names(CLASSES, str)
    for objects in (one + two, one + value()["objects"], value(keypoints=[1, 2])["objects"]):  # type: ignore[operator]
        with pytest.raises(Unusable, match="as many keypoints"):
            embedded.read_ours({**value(), "objects": objects}, names)
    mixed = value(amodal_box=[0, 0, 1, 1])["objects"] + value()["objects"]  # type: ignore[operator]
    with pytest.raises(Unusable, match="an amodal box for each"):
        embedded.read_ours({**value(), "objects": mixed}, names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("label", "box", "rle", "polygons", "area", "crowd", "confidence", "amodal_box", "keypoints", "attributes")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=10) | JSON, max_size=3))
def test_no_json_brings_a_traceback(objects: list[object]) -> None:
    sound = {"label": "cat", "box": [1, 2, 3, 4]}
    mixed = [{**sound, **one} if isinstance(one, dict) else one for one in objects]
    try:
        found = embedded.read_ours({**value(), "objects": mixed}, embedded.known_names(CLASSES))
    except Unusable:
        return
    assert len(found.stated) + len(found.problems) == len(mixed)


def parquet_with(tmp_path: Path, change: dict[str, object]) -> Path:
    """An export of one picture with one object, with another value in the column."""
    write(dataset_of(Annotation(instances=boxes_only()), splits=False), tmp_path / "out", "parquet")
    file = next((tmp_path / "out").rglob("*.parquet"))
    table = pq.read_table(file)
    rows = table.to_pylist()
    rows[0].update(change)
    schema = table.schema
    if "instances" in change and not isinstance(change["instances"], dict):
        at = schema.get_field_index("instances")
        schema = schema.set(at, pa.field("instances", pa.int64())).with_metadata(table.schema.metadata)
    if "semantic" in change:
        schema = schema.append(pa.field("semantic", pa.binary()))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return tmp_path / "out"


def bad_files(path: Path) -> tuple[BadFile, ...]:
    return read(path, on_bad_input="report")[1].bad_files


def test_bad_values_in_parquet_are_told_by_row(tmp_path: Path) -> None:
    plain = {"rle": None, "polygons": None, "area": None, "crowd": False, "difficult": False, "truncated": False}
    plain |= dict.fromkeys(("confidence", "amodal_box", "amodal_rle", "keypoints", "attributes"))
    sound = {**value()["objects"][0], **plain}  # type: ignore[index]
    objects = [{**sound, "class_id": 77}, {**sound, "x1": 4.0, "x2": 900.0}, {**sound, "x1": 90.0, "x2": 95.0}, sound]
    path = parquet_with(tmp_path, {"instances": {"height": HEIGHT, "width": WIDTH, "objects": objects}})
    dataset, report = read(path, on_bad_input="report")
    assert instances_in(dataset).boxes.tolist() == [[4, 2, 30, 6], [1, 2, 5, 6]]
    told = [bad.problem.split(": ", 1)[-1].split("; got")[0] for bad in report.bad_files]
    assert sorted(told) == ["expected a box inside 30 x 20"] * 2 + ["expected a class below 3"]
    assert {(bad.kind, bad.line) for bad in report.bad_files} <= {("object", 1), ("object", None)}
    with pytest.raises(DatasetFormatError, match="expected objects that lie in their images; got 3 of"):
        read(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instances": 3}, "expected instances as twinset writes them; got int"),
        ({"semantic": b"text"}, "expected a whole mask"),
        (
            {"semantic": encode_png(np.zeros((3, 4, 1), np.uint8))},
            "expected a semantic map of 30 x 20; got one of 4 x 3",
        ),
        ({"semantic": encode_png(np.full((20, 30, 1), 3, np.uint8))}, "expected class ids out of 0, 1, 2, 255; got 3"),
    ],
)
def test_a_bad_column_in_parquet_is_a_bad_row(change: dict[str, object], told: str, tmp_path: Path) -> None:
    found = bad_files(parquet_with(tmp_path, change))
    assert len(found) == 1
    assert told in found[0].problem


def shard(tmp_path: Path, *, classes: bool = True, **members: bytes) -> Path:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for extension, data in {"png": PICTURE, **members}.items():
            member = tarfile.TarInfo(f"a.{extension.replace('_', '.')}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    if classes:
        listed = {"schema": "twinset/classes/1", "classes": list(CLASSES)}
        (tmp_path / "classes.json").write_text(json.dumps(listed))
    return tmp_path


def test_bad_members_of_a_shard_are_told_by_key(tmp_path: Path) -> None:
    objects = [
        {"label": "wolf", "box": [1, 2, 3, 4]},
        {"label": "cat", "box": [1, 2, 3]},
        {"label": "cat", "box": [1, 2, 3, 4]},
    ]
    row = {"twinset": {"instances": {**value(), "objects": objects}}}
    dataset, report = read(shard(tmp_path, json=json.dumps(row).encode()), on_bad_input="report")
    assert instances_in(dataset).boxes.tolist() == [[1, 2, 3, 4]]
    assert [str(bad) for bad in report.bad_files] == [
        "x.tar: a: object 1: expected a known class; got 'wolf'; left out",
        "x.tar: a: object 2: expected box of four numbers; got 3; left out",
    ]


def test_a_semantic_map_without_class_names_is_one_error(tmp_path: Path) -> None:
    png = SemanticMap.of(np.zeros((HEIGHT, WIDTH), dtype=np.int64)).png
    found = bad_files(shard(tmp_path, classes=False, seg_png=png))
    assert [bad.problem for bad in found] == ["expected classes.json beside, to tell what seg.png means; got none"]


HUB = pa.struct(
    [
        pa.field("bbox", pa.list_(pa.list_(pa.float32()))),
        pa.field("category", pa.list_(pa.int64())),
        pa.field("area", pa.list_(pa.int64())),
        pa.field("iscrowd", pa.list_(pa.bool_())),
    ]
)
FEATURE = {"bbox": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}}
FEATURE["category"] = {"feature": {"names": ["Coverall", "Mask"], "_type": "ClassLabel"}, "_type": "Sequence"}


def hub(tmp_path: Path, objects: list[object], *, kind: pa.DataType = HUB, named: bool = True) -> Path:
    image = {"bytes": PICTURE, "path": None}
    struct = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
    metadata = {"huggingface": json.dumps({"info": {"features": {"objects": FEATURE}}})} if named else None
    schema = pa.schema([pa.field("image", struct), pa.field("objects", kind)], metadata=metadata)
    rows = [{"image": image, "objects": one} for one in objects]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "train.parquet")
    return tmp_path


def test_detection_sets_of_the_hub_have_boxes_of_x_y_width_height(tmp_path: Path) -> None:
    first = {"bbox": [[1, 2, 3, 4], [10, 0, 20, 20]], "category": [1, 0], "area": [12, 400], "iscrowd": [False, True]}
    empty: dict[str, object] = {"bbox": [], "category": [], "area": [], "iscrowd": []}
    dataset, report = read(hub(tmp_path, [first, empty]))
    assert dataset.classes == ("Coverall", "Mask")
    assert (report.objects, dataset.task) == (2, "detection")
    found = instances_in(dataset)
    assert found.boxes.tolist() == [[1, 2, 4, 6], [10, 0, 30, 20]]
    assert found.class_ids.tolist() == [1, 0]
    assert found.is_crowd.tolist() == [False, True]
    assert found.areas is not None
    assert found.areas.tolist() == [12, 400]
    assert len(instances_in(dataset, 1)) == 0


def test_objects_of_the_hub_may_be_a_list_with_names(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([pa.field("bbox", pa.list_(pa.float64())), pa.field("label", pa.string())]))
    objects = [[{"bbox": [0, 0, 5, 6], "label": "b"}, {"bbox": [1, 1, 2, 2], "label": "a"}], None]
    dataset, _ = read(hub(tmp_path, objects, kind=kind, named=False))  # type: ignore[arg-type]
    assert dataset.classes == ("a", "b")
    assert instances_in(dataset).class_ids.tolist() == [1, 0]
    assert dataset[1].annotation is None


def test_uneven_or_hostile_objects_of_the_hub_are_told(tmp_path: Path) -> None:
    uneven = {"bbox": [[1, 2, 3, 4]], "category": [], "area": [1], "iscrowd": [False]}
    wrong = {"bbox": [[1, 2, 3, 4], [1, 2]], "category": [5, 0], "area": [1, 1], "iscrowd": [False, False]}
    found = bad_files(hub(tmp_path, [uneven, wrong]))
    assert [bad.problem.split("; got")[0] for bad in found] == [
        "expected objects as lists of one length, bbox among them",
        "object 1: expected a class below 2",
        "object 2: expected bbox of four numbers",
    ]


@pytest.mark.slow
def test_the_datasets_library_reads_objects_and_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    dataset = dataset_of(Annotation(instances=whole(), semantic=semantic(3)), Annotation(class_id=1), splits=False)
    write(dataset, tmp_path / "out", "parquet")
    theirs = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    assert [one["x2"] for one in theirs[0]["instances"]["objects"]] == whole().boxes[:, 2].tolist()
    assert theirs[0]["semantic"] == semantic(3).png
    assert theirs[1]["instances"] is None


def test_a_large_map_of_many_classes_keeps_its_ids(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(255)]
    ids = np.arange(-1, 255).reshape(16, 16)
    sample = Sample("a", Annotation(semantic=SemanticMap.of(ids)), image=np.zeros((16, 16, 3), np.uint8))
    dataset = Dataset.of([sample], classes=names)
    for name in OURS:
        found = back(dataset, tmp_path / name, name)
        annotation = found[0].annotation
        assert annotation is not None
        assert annotation.semantic is not None
        assert (annotation.semantic.dense() == ids).all()
