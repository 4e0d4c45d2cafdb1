"""Depth and normals packed; what annotations and tables keep of a camera; digests of what says nothing of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.formats.scenes import masked, pixels

from twinset.annotations import Annotation, Camera, DepthMap, NormalMap
from twinset.dataset import SCHEMA, Dataset, Sample
from twinset.errors import DatasetFormatError
from twinset.instances import INSTANCES, OBJECT, Instances, canonical, from_value, to_value
from twinset.motion import Motion
from twinset.sample import GEOMETRY, in_schema
from twinset.store import ShardStore, write_json, write_table
from twinset.transforms import moved

SIZE = (20, 30)


def some_depth() -> np.ndarray:
    values = np.random.default_rng(0).uniform(0.5, 9, SIZE).astype(np.float32)
    values[3, 4:9] = np.inf
    return values


def some_normals() -> np.ndarray:
    values = np.random.default_rng(1).normal(size=(*SIZE, 3))
    values /= np.linalg.norm(values, axis=2, keepdims=True)
    values[3, 4:9] = 0
    return values


def some_camera() -> Camera:
    return Camera.looking((1, -2, 1.5), (0.1, 0.2, 0.3), size=SIZE, field_of_view_degrees=50, roll_degrees=7)


def posed() -> Instances:
    """Two objects with poses, of which one is unknown, names of keypoints and the columns of one meaning."""
    pose = np.eye(4)
    pose[:3, :3] = some_camera().pose[:3, :3] * 1.25
    pose[:3, 3] = (0.1, -0.2, 2.5)
    return Instances(
        SIZE,
        np.array([0, 1]),
        np.array([[1, 2, 10, 9], [5, 5, 29, 19]], dtype=np.float32),
        keypoints=np.array([[[2, 3, 2], [4, 5, 1]], [[0, 0, 0], [7, 8, 2]]], dtype=np.float32),
        columns={"visible_fraction": (0.25, None), "shape_id": ("chair-7", None)},
        poses=np.stack([pose, np.full((4, 4), np.nan)]),
        keypoint_names=("seat", "back"),
    )


def whole(row: int = 0) -> Sample:
    annotation = Annotation(
        instances=posed(),
        depth_metres=DepthMap.of(some_depth() + row),
        normals=NormalMap.of(some_normals()),
        camera=some_camera(),
        attributes={"row": row},
    )
    return Sample(f"s{row}", annotation, image=pixels(row))


def test_depth_is_exact_to_the_bit() -> None:
    values = some_depth()
    values[0, :4] = (np.float32(1e-38), np.float32(3.4e38), np.nextafter(np.float32(1), np.float32(2)), np.nan)
    back = DepthMap.of(values).dense()
    values[0, 3] = np.inf  # unknown
    assert (back.view(np.int32) == values.view(np.int32)).all()
    assert DepthMap.of(values).size == SIZE


def test_normals_are_kept_to_a_tolerance_once_and_for_all() -> None:
    values = some_normals()
    packed = NormalMap.of(values)
    back = packed.dense()
    assert np.abs(back - values).max() <= 0.5001 / 32767
    assert (back[3, 4:9] == 0).all()
    sine = np.linalg.norm(np.cross(back.astype(np.float64), values), axis=2)
    assert np.arcsin(sine.max()) < 3e-5
    assert NormalMap.of(back) == packed


def test_smooth_depth_packs_to_less_than_half() -> None:
    y, x = np.mgrid[:320, :320]
    plane = (2 + 0.01 * x + 0.02 * y).astype(np.float32)
    assert len(DepthMap.of(plane).packed) < plane.nbytes / 2
    assert (DepthMap.of(plane).dense() == plane).all()


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), -np.ones((2, 2)), np.ones((2, 2, 1)), np.ones((0, 3))])
def test_what_is_no_depth_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        DepthMap.of(wrong)


@pytest.mark.parametrize("wrong", [np.ones((2, 2, 3)), np.full((2, 2, 3), np.nan), np.ones((2, 2)), np.ones((2, 2, 4))])
def test_what_are_no_normals_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        NormalMap.of(wrong)


def test_damaged_bytes_are_one_error() -> None:
    depth, normals = DepthMap.of(some_depth()).packed, NormalMap.of(some_normals()).packed
    rng = np.random.default_rng(2)
    for good, kind in ((depth, DepthMap), (normals, NormalMap)):
        for cut in (0, 3, 15, 16, 40, len(good) - 1):
            with pytest.raises(DatasetFormatError, match="expected"):
                kind(good[:cut]).dense()
        for _ in range(100):
            data = bytearray(good)
            data[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
            try:
                kind(bytes(data)).dense()
            except DatasetFormatError:
                continue
    huge = depth[:6] + (2**31).to_bytes(4, "little") * 2 + depth[14:]
    with pytest.raises(DatasetFormatError):
        DepthMap(huge).dense()
    with pytest.raises(DatasetFormatError):
        NormalMap(depth).dense()


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="one size"):
        Annotation(depth_metres=DepthMap.of(np.ones((4, 5))), camera=some_camera())
    with pytest.raises(ValueError, match="one size"):
        Annotation(instances=posed(), normals=NormalMap.of(np.zeros((4, 5, 3))))


def test_a_dataset_keeps_what_the_camera_saw(tmp_path: Path) -> None:
    samples = [whole(0), whole(1), Sample("plain", Annotation(class_id=1), image=pixels(3))]
    dataset = Dataset.of(samples, classes=("a", "b"))
    assert dataset[0].annotation == samples[0].annotation
    chosen = dataset.take([2, 1, 0]).concat(Dataset.of([replaced("t")], classes=("a", "b")))
    assert chosen[1].annotation == samples[1].annotation
    assert chosen[0].annotation is not None
    assert chosen[0].annotation.camera is None
    assert pickle.loads(pickle.dumps(samples[0].annotation)) == samples[0].annotation
    store = ShardStore(tmp_path)
    store.commit(0, samples)
    assert store.shard_dataset(0, ("a", "b")).digest() == dataset.digest()


def replaced(name: str) -> Sample:
    return Sample(name, whole(1).annotation, image=pixels(1))


def changed(**parts: object) -> str:
    base = whole(0).annotation
    assert base is not None
    values = {name: getattr(base, name) for name in ("instances", "depth_metres", "normals", "camera")}
    return Dataset.of([Sample("s", Annotation(**{**values, **parts}), image=pixels(0))], classes=("a", "b")).digest()  # type: ignore[arg-type]


def test_digests_count_each_part_and_not_its_packing() -> None:
    depth = some_depth()
    depth[0, 0] = np.nextafter(depth[0, 0], np.float32(9))
    tilted = some_normals()
    tilted[0, 0] = tilted[0, 1]
    unposed = Instances(**{**{n: getattr(posed(), n) for n in posed().__dataclass_fields__}, "poses": None})  # type: ignore[arg-type]
    digests = {
        changed(),
        changed(depth_metres=None),
        changed(depth_metres=DepthMap.of(depth)),
        changed(normals=None),
        changed(normals=NormalMap.of(tilted)),
        changed(camera=None),
        changed(instances=None),
        changed(instances=unposed),
    }
    assert len(digests) == 8
    packed = DepthMap.of(some_depth()).packed
    slower = pa.Codec("zstd", 19).compress(
        pa.Codec("zstd").decompress(packed[14:], decompressed_size=20 * 30 * 4, asbytes=True), asbytes=True
    )
    again = DepthMap(packed[:14] + bytes(slower))
    assert again.packed != packed
    assert changed(depth_metres=again) == changed()


def test_digests_of_objects_without_poses_are_those_of_before() -> None:
    value = to_value(masked())
    before = {key: one for key, one in value.items() if key != "keypoint_names"}
    before["objects"] = [{k: v for k, v in item.items() if k != "pose"} for item in value["objects"]]  # type: ignore[attr-defined]
    assert canonical(value) == before


def test_shards_of_earlier_versions_still_open(tmp_path: Path) -> None:
    samples = [Sample("a", Annotation(instances=masked()), image=pixels(0)), Sample("b", None, image=pixels(1))]
    dataset = Dataset.of(samples, classes=("x", "y", "z"))
    old_object = pa.struct([item for item in OBJECT if item.name != "pose"])
    objects = pa.field("objects", pa.list_(pa.field("item", old_object, nullable=False)), nullable=False)
    old = pa.struct([*(INSTANCES.field(name) for name in ("height", "width")), objects])
    table = dataset.table.drop_columns(list(GEOMETRY))
    rows = [
        None
        if row is None
        else {**row, "objects": [{k: v for k, v in one.items() if k != "pose"} for one in row["objects"]]}
        for row in table.column("instances").to_pylist()
    ]
    at = table.column_names.index("instances")
    table = table.set_column(at, pa.field("instances", old), pa.array(rows, old))
    assert in_schema(table).schema.equals(SCHEMA)
    store = ShardStore(tmp_path)
    write_json(store.marker_path(0), {"count": 2, "sha256": write_table(store.shard_path(0), table)})
    assert store.shard_dataset(0, ("x", "y", "z")).digest() == dataset.digest()
    assert Dataset(("x", "y", "z"), in_schema(table)).source_digest() == dataset.source_digest()


def test_objects_keep_poses_names_and_typed_columns() -> None:
    objects = posed()
    back = from_value(pa.array([to_value(objects)], INSTANCES).to_pylist()[0])
    assert back == objects
    assert back.poses is not None
    assert objects.poses is not None
    assert np.array_equal(back.poses, objects.poses, equal_nan=True)
    assert back.keypoint_names == ("seat", "back")
    assert np.array_equal(back.visible_fractions, [0.25, np.nan], equal_nan=True)
    assert back.shape_ids == ("chair-7", None)
    second = objects.take([1])
    assert second.poses is None
    assert second.keypoint_names == ("seat", "back")
    first = objects.take([0])
    assert first.poses is not None
    assert np.array_equal(first.poses[0], objects.poses[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"poses": np.zeros((2, 4, 4))},
        {"poses": np.stack([np.diag([1.0, 1.0, -1.0, 1.0])] * 2)},
        {"poses": np.stack([np.diag([1.0, 2.0, 1.0, 1.0])] * 2)},
        {"poses": np.eye(4)[None]},
        {"keypoint_names": ("only one",)},
        {"keypoint_names": ("same", "same")},
        {"columns": {"visible_fraction": (1.5, None)}},
        {"columns": {"visible_fraction": (True, None)}},
        {"columns": {"shape_id": (7, None)}},
    ],
)
def test_objects_refuse_what_is_no_pose_name_or_share(wrong: dict[str, object]) -> None:
    values = {name: getattr(posed(), name) for name in posed().__dataclass_fields__}
    with pytest.raises(ValueError, match="expected"):
        Instances(**{**values, **wrong})  # type: ignore[arg-type]


def test_poses_cannot_be_changed_from_outside() -> None:
    given = np.stack([np.eye(4), np.eye(4)])
    objects = Instances(SIZE, np.zeros(2), np.tile([0, 0, 1, 1], (2, 1)), poses=given)
    given[:] = 0
    assert objects.poses is not None
    assert np.array_equal(objects.poses[0], np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        objects.poses[0, 0, 0] = 5


# ---- motions


def test_a_crop_and_a_resize_have_a_camera_that_projects_as_before() -> None:
    annotation = whole().annotation
    assert annotation is not None
    motion = Motion.crop(SIZE, (4, 2, 24, 18)).then(Motion.resize((16, 20), (32, 60)))
    after = moved(annotation, motion)
    points = np.array([[0.1, 0.2, 0.3], [0.4, 0.1, 0.2]])
    assert annotation.camera is not None
    assert after.camera is not None
    before, depth = annotation.camera.project(points)
    there, same = after.camera.project(points)
    assert np.allclose(motion.points(before), there)
    assert np.allclose(depth, same)
    assert after.depth_metres is not None
    assert (after.depth_metres.dense()[::2, ::3] == some_depth()[2:18, 4:24]).all()
    assert after.instances is not None
    assert after.instances.poses is not None
    assert np.array_equal(after.instances.poses[0], posed().poses[0])  # type: ignore[index]
    assert after.instances.keypoint_names == ("seat", "back")


def test_a_mirrored_picture_has_no_camera_and_mirrored_normals() -> None:
    annotation = whole().annotation
    assert annotation is not None
    after = moved(annotation, Motion.flip(SIZE))
    assert after.camera is None
    assert after.instances is not None
    assert after.instances.poses is None
    assert after.depth_metres is not None
    assert after.normals is not None
    assert (after.depth_metres.dense() == some_depth()[:, ::-1]).all()
    kept = NormalMap.of(some_normals()).dense()
    assert np.array_equal(after.normals.dense(), kept[:, ::-1] * np.float32([-1, 1, 1]))


def test_what_lies_outside_after_a_motion_has_no_depth() -> None:
    annotation = whole().annotation
    assert annotation is not None
    after = moved(annotation, Motion.crop(SIZE, (-5, -5, 30, 20)))
    assert after.depth_metres is not None
    assert after.normals is not None
    assert np.isinf(after.depth_metres.dense()[:5]).all()
    assert (after.normals.dense()[:, :5] == 0).all()
