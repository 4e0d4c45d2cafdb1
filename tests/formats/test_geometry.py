"""Depth, normals, poses and cameras through the formats that hold them; what the others lose is counted."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests.formats.scenes import dense, pixels
from tests.test_geometry import SIZE, some_camera, some_depth, some_normals

from twinset.annotations import Annotation, DepthMap, Instances, SemanticMap
from twinset.camera import Camera
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError, MissingExtraError
from twinset.formats import FORMATS, read, write
from twinset.formats.bop import layout
from twinset.formats.losses import said
from twinset.geometry import NormalMap
from twinset.images import encode_png
from twinset.instances import to_value
from twinset.masks import Rle

CLASSES = ("chair", "小猫")


def rendered(row: int = 0) -> Sample:
    """As a renderer labels: two objects of which one hides a part of the other, depth, normals, camera."""
    front, behind = dense(3, 4, 12, 15), dense(8, 2, 20, 10)
    seen = behind & ~front
    poses = np.stack([np.eye(4), np.eye(4)])
    poses[0, :3, :3], poses[1, :3, :3] = some_camera().pose[:3, :3], some_camera().pose[:3, :3].T * 1.5
    poses[:, :3, 3] = [(0.1, 0.2, 1.5), (-0.3, 0.1, 2.0 + row)]
    masks = (Rle.of(front), Rle.of(seen))
    objects = Instances(
        SIZE,
        np.array([1, 0]),
        np.array([mask.box() for mask in masks], dtype=np.float32),
        masks,
        truncated=np.array([False, True]),
        amodal_boxes=np.array([[3, 4, 12, 15], [-2, 2, 20, 10]], dtype=np.float32),
        amodal_masks=(masks[0], Rle.of(behind)),
        keypoints=np.array([[[4, 5, 2], [6, 7, 1]], [[0, 0, 0], [9, 3, 2]]], dtype=np.float32),
        columns={"shape_id": ("a-1", "b-2"), "visible_fraction": (1.0, float(seen.sum() / behind.sum()))},
        poses=poses,
        keypoint_names=("seat", "back"),
    )
    annotation = Annotation(
        instances=objects,
        depth_metres=DepthMap.of(some_depth() + row),
        normals=NormalMap.of(some_normals()),
        camera=some_camera(),
        attributes={"row": row},
    )
    return Sample(f"scene/{row}", annotation, Origin("rendering", 7, "abc", ("p",), "CC0-1.0"), image=pixels(row))


def scenes(count: int = 3) -> Dataset:
    plain = Sample("empty", Annotation(instances=Instances.none(SIZE)), image=pixels(90))
    unsaid = Sample("unsaid", None, image=pixels(91))
    return Dataset.of([*(rendered(row) for row in range(count)), plain, unsaid], classes=CLASSES)


def again(dataset: Dataset, back: Dataset) -> Dataset:
    return back.take([back.row_of(one) for one in dataset.ids])


@pytest.mark.parametrize("splits", [None, ["train", "validation", "test", "train", "test"]])
@pytest.mark.parametrize("name", ["webdataset", "parquet", "hdf5"])
def test_containers_of_ours_lose_nothing(name: str, splits: list[str] | None, tmp_path: Path) -> None:
    if name == "hdf5":
        pytest.importorskip("h5py")
    dataset = scenes().with_splits(splits or [None] * 5)
    report = write(dataset, tmp_path / "out", name)  # type: ignore[arg-type]
    back = again(dataset, read(tmp_path / "out")[0])
    assert report.losses == {}
    assert back.classes == CLASSES
    assert back.splits == dataset.splits
    assert back.digest() == dataset.digest()


@pytest.mark.parametrize("name", ["webdataset", "parquet"])
def test_datasets_without_a_camera_are_written_as_before(name: str, tmp_path: Path) -> None:
    dataset = Dataset.of([Sample("a", Annotation(class_id=0), image=pixels(0))], classes=CLASSES)
    write(dataset, tmp_path / "out", name)  # type: ignore[arg-type]
    data = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file())
    for word in (b"depth", b"normals", b"camera", b"pose", b"keypoint_names"):
        assert word not in data


def test_others_count_what_they_lose(tmp_path: Path) -> None:
    told = said(scenes())
    wanted = {"poses": 6, "names of keypoints": 3, "depth maps": 3, "normal maps": 3, "cameras": 3}
    assert {what: told[what] for what in wanted} == wanted
    for name in FORMATS:
        if name in ("webdataset", "parquet", "hdf5", "bop", "masks"):
            continue
        losses = write(scenes(), tmp_path / name, name).losses
        held = {"names of keypoints": None} if name == "coco" else {}
        assert {what: losses.get(what) for what in wanted} == wanted | held, name


def test_webdataset_holds_arrays_that_numpy_reads(tmp_path: Path) -> None:
    write(scenes(1), tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "data-000000.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert (np.load(io.BytesIO(files["000000000.depth.npy"])) == some_depth()).all()
    normals = np.load(io.BytesIO(files["000000000.normals.npy"])) / 32767
    assert np.abs(normals - some_normals()).max() < 1e-4


def packed_tar(folder: Path, changes: dict[str, bytes]) -> Path:
    write(scenes(1).take([0]), folder / "out", "webdataset")
    path = folder / "out" / "data-000000.tar"
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    with tarfile.open(path, "w") as archive:
        for name, data in {**files, **changes}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder / "out"


def npy(values: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, values)
    return sink.getvalue()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x93NUMPY\x01\x00\xff\xff",
        npy(some_depth())[:-4],
        npy(some_depth().astype(np.float64)),
        npy(some_depth()[:-1]),
        npy(-some_depth()),
        npy(np.array([object()], dtype=object)),
        npy(some_depth()).replace(b"(20, 30)", b"(2**9,1)"),
    ],
)
def test_bad_depth_in_a_tar_is_told(bad: bytes, tmp_path: Path) -> None:
    with pytest.raises(DatasetFormatError, match="depth"):
        read(packed_tar(tmp_path, {"000000000.depth.npy": bad}))


# ---- BOP


def test_bop_comes_back_but_for_what_it_counts(tmp_path: Path) -> None:
    dataset = scenes().with_splits(["train", "validation", "test", "train", "test"])
    report = write(dataset, tmp_path / "out", "bop")
    assert report.losses == {
        "normal maps": 3,
        "depths between steps of 0.1 mm or more": 3,
        "scales of poses, for other readers": 3,
        "what lies outside the picture, in visib_fract and px_count_all": 3,
    }
    back = again(dataset, read(tmp_path / "out")[0])
    assert back.splits == dataset.splits
    assert back.classes == CLASSES
    for mine, theirs in zip(dataset, back, strict=True):
        assert (mine.pixels() == theirs.pixels()).all()
        assert mine.origin == theirs.origin
        if mine.annotation is None or mine.annotation.instances is None or not len(mine.annotation.instances):
            continue
        assert theirs.annotation is not None
        objects, found = mine.annotation.instances, theirs.annotation.instances
        assert found is not None
        assert objects.poses is not None
        assert found.poses is not None
        assert np.allclose(objects.poses, found.poses, rtol=0, atol=1e-12)
        without = [
            {**to_value(one), "objects": [{**o, "pose": 0} for o in to_value(one)["objects"]]}
            for one in (objects, found)
        ]  # type: ignore[attr-defined]
        assert without[0] == without[1]
        camera, seen = mine.annotation.camera, theirs.annotation.camera
        assert camera is not None
        assert seen is not None
        assert np.allclose(camera.pose, seen.pose, rtol=0, atol=1e-12)
        assert np.allclose([*camera.focal, *camera.centre], [*seen.focal, *seen.centre], rtol=0, atol=1e-9)
        depth, deep = mine.annotation.depth_metres, theirs.annotation.depth_metres
        assert depth is not None
        assert deep is not None
        there = np.isfinite(depth.dense())
        assert (np.isfinite(deep.dense()) == there).all()
        step = layout.depth_scale(depth.dense()) / 1000
        assert np.abs(depth.dense()[there] - deep.dense()[there]).max() <= 0.501 * step


def test_bop_without_splits_comes_back_without(tmp_path: Path) -> None:
    write(scenes(), tmp_path / "out", "bop")
    assert read(tmp_path / "out")[0].splits == [None] * 5


def test_bop_measures_in_millimetres_and_from_pixel_centres(tmp_path: Path) -> None:
    camera = Camera(SIZE, (40.0, 41.0), (15.0, 10.0), np.eye(4))
    pose = np.eye(4)
    pose[:3, 3] = (0.25, -0.5, 2.0)
    mask = np.zeros(SIZE, dtype=bool)
    mask[4:9, 2:12] = True
    objects = Instances(SIZE, np.array([1]), np.array([[2, 4, 12, 9]]), (Rle.of(mask),), poses=pose[None])
    depth = np.full(SIZE, np.inf, dtype=np.float32)
    depth[4:9, 2:7] = 1.2345
    annotation = Annotation(instances=objects, camera=camera, depth_metres=DepthMap.of(depth))
    dataset = Dataset.of([Sample("a", annotation, image=pixels(0))], classes=CLASSES, splits=["train"])
    write(dataset, tmp_path / "out", "bop")
    scene = tmp_path / "out" / "train" / "000000"
    cameras, poses, facts = (
        json.loads((scene / name).read_text())["0"] for name in (layout.CAMERAS, layout.POSES, layout.FACTS)
    )
    assert cameras["cam_K"] == [40.0, 0, 14.5, 0, 41.0, 9.5, 0, 0, 1]
    assert cameras["depth_scale"] == 0.1
    assert poses[0]["obj_id"] == 2
    assert poses[0]["cam_R_m2c"] == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert poses[0]["cam_t_m2c"] == [250.0, -500.0, 2000.0]
    assert facts[0]["bbox_visib"] == facts[0]["bbox_obj"] == [2, 4, 9, 4]
    assert (facts[0]["px_count_all"], facts[0]["px_count_valid"], facts[0]["px_count_visib"]) == (50, 25, 50)
    assert facts[0]["visib_fract"] == 1.0
    from PIL import Image

    steps = np.asarray(Image.open(scene / "depth" / "000000.png"))
    assert steps.dtype == np.uint16
    assert steps[5, 3] == 12345
    assert steps[0, 0] == 0
    assert (np.asarray(Image.open(scene / "mask_visib" / "000000_000000.png")) == mask * 255).all()


def test_what_others_wrote_as_bop_is_read(tmp_path: Path) -> None:
    scene = tmp_path / "val_real" / "000048"
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[3:8, 10:16] = 255
    files = {
        "rgb/000007.jpg": encode_png(pixels(0)),
        "depth/000007.png": None,
        "mask_visib/000007_000000.png": encode_png(mask[..., None]),
        "scene_camera.json": {"7": {"cam_K": [50, 0, 14.5, 0, 51, 9.5, 0, 0, 1], "depth_scale": 0.5}},
        "scene_gt.json": {
            "7": [
                {"obj_id": 5, "cam_R_m2c": [0, -1, 0, 1, 0, 0, 0, 0, 1], "cam_t_m2c": [1, 2, 3000]},
                {"obj_id": 6, "cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0, 0, 900]},
                {"obj_id": 7, "cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0, 0, 900]},
            ]
        },
        "scene_gt_info.json": {
            "7": [
                {"bbox_obj": [8, 3, 7, 4], "bbox_visib": [10, 3, 5, 4], "visib_fract": 0.75},
                {"bbox_obj": [1, 1, 3, 3], "bbox_visib": [1, 1, 2, 2], "visib_fract": 0.5},
                {"bbox_obj": [1, 1, 3, 3], "bbox_visib": [-1, -1, -1, -1], "visib_fract": 0.0},
            ]
        },
    }
    from PIL import Image

    for name, content in files.items():
        path = scene / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            Image.fromarray(np.full(SIZE, 3000, dtype=np.uint16)).save(path)
        else:
            path.write_text(json.dumps(content))
    dataset, report = read(tmp_path)
    assert dataset.classes == ("obj_000005", "obj_000006")
    assert dataset.splits == ["validation"]
    annotation = dataset[0].annotation
    assert annotation is not None
    objects = annotation.instances
    assert objects is not None
    assert objects.boxes.tolist() == [[10, 3, 16, 8], [1, 1, 4, 4]]
    assert objects.visible_fractions.tolist() == [0.75, 0.5]
    assert objects.poses is not None
    assert objects.poses[0].tolist() == [[0, -1, 0, 0.001], [1, 0, 0, 0.002], [0, 0, 1, 3.0], [0, 0, 0, 1]]
    assert annotation.camera is not None
    assert annotation.camera.centre == (15.0, 10.0)
    assert np.array_equal(annotation.camera.pose, np.eye(4))
    assert annotation.depth_metres is not None
    assert (annotation.depth_metres.dense() == np.float32(1.5)).all()
    assert report.ignored["objects of which nothing is seen"] == 1


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        (layout.CAMERAS, {"0": {"cam_K": [1, 2]}}, "cam_K as 9 numbers"),
        (layout.CAMERAS, {"0": {"cam_K": [0, 0, 1, 0, 0, 1, 0, 0, 1]}}, "camera"),
        (layout.CAMERAS, {"../../x": {}}, "numbers of pictures"),
        (layout.CAMERAS, {"0": {"depth_scale": -1}}, "depth_scale"),
        (layout.CAMERAS, [1], "object"),
        (layout.CAMERAS, {"0": {}, "99": {}}, "picture 000099"),
        (layout.POSES, {"0": {}}, "list"),
        (layout.POSES, {"0": [{"obj_id": "x"}]}, "obj_id"),
        (layout.POSES, {"0": [{"obj_id": 9}]}, "obj_id of classes.json"),
        (layout.POSES, {"0": [{"obj_id": 1, "cam_R_m2c": [2] * 9, "cam_t_m2c": [0, 0, 1]}]}, "rotation"),
        (layout.POSES, {"0": [{"obj_id": 1, "cam_R_m2c": [1e999] * 9}]}, "9 numbers"),
    ],
)
def test_broken_bop_is_told(name: str, entry: object, words: str, tmp_path: Path) -> None:
    write(scenes(1).take([0]), tmp_path / "out", "bop")
    (tmp_path / "out" / "train_unsplit" / "000000" / name).write_text(json.dumps(entry))
    with pytest.raises(DatasetFormatError, match=words):
        read(tmp_path / "out")


def test_deep_pictures_of_far_things_get_larger_steps() -> None:
    near, far = np.float32([[6.5, np.inf]]), np.float32([[60.0, 0.2]])
    assert layout.depth_scale(near) == 0.1
    assert layout.depth_scale(far) == 1.6
    assert layout.depth_steps(far, 1.6).max() < 65536
    assert layout.depth_steps(np.float32([[1e-9]]), 0.1).tolist() == [[1]]
    assert layout.depth_scale(np.float32([[np.inf]])) == 0.1


# ---- HDF5


def test_hdf5_has_the_arrays_that_blenderproc_writes(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    semantic = np.zeros(SIZE, dtype=np.int64)
    semantic[0, :3] = (-1, 1, 1)
    mapped = Sample("map", Annotation(semantic=SemanticMap.of(semantic)), image=pixels(4)[..., :1])
    write(Dataset.of([rendered(), mapped], classes=CLASSES), tmp_path / "out", "hdf5")
    with h5py.File(tmp_path / "out" / "0.hdf5") as file:
        assert (file["colors"][()] == pixels(0)).all()
        assert (file["depth"][()] == some_depth()).all()
        up = file["normals"][()] * 2 - 1
        assert np.abs(up * [1, -1, -1] - some_normals()).max() < 1e-4
        ids, facts = file["instance_segmaps"][()], json.loads(np.array(file["instance_attribute_maps"]).tobytes())
        assert [fact["name"] for fact in facts] == ["小猫", "chair"]
        assert (ids == 1).sum() == dense(3, 4, 12, 15).sum()
    with h5py.File(tmp_path / "out" / "map.hdf5") as file:
        assert (file["category_id_segmaps"][()] == semantic).all()
        assert file["colors"].shape == (*SIZE, 3)
    back = read(tmp_path / "out")[0]
    assert back[back.row_of("map")].pixels().shape == (*SIZE, 1)


def test_what_blenderproc_wrote_is_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    ids = np.zeros(SIZE, dtype=np.int64)
    ids[2:5, 3:9], ids[10:15, 3:9] = 1, 2
    facts = [{"idx": 0, "category_id": 0}, {"idx": 1, "category_id": 3}, {"idx": 2, "category_id": 0, "name": "floor"}]
    with h5py.File(tmp_path / "0.hdf5", "w") as file:
        file.create_dataset("colors", data=pixels(0), compression="gzip")
        file.create_dataset("depth", data=np.where(ids > 0, 2.5, 1e10).astype(np.float32), compression="gzip")
        file.create_dataset("instance_segmaps", data=ids, compression="gzip")
        file.create_dataset("instance_attribute_maps", data=np.bytes_(json.dumps(facts)))
        file.create_dataset("blender_proc_version", data=np.bytes_("2.7.0"))
    dataset, _ = read(tmp_path)
    annotation = dataset[0].annotation
    assert dataset.classes == ("3",)
    assert annotation is not None
    assert annotation.instances is not None
    assert annotation.instances.boxes.tolist() == [[3, 2, 9, 5]]
    assert annotation.depth_metres is not None
    assert annotation.depth_metres.dense()[3, 4] == 2.5


def test_hostile_hdf5_is_told(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5x", "w") as file:
        file.create_dataset("colors", data=pixels(0))
    (tmp_path / "raw.bin").write_bytes(pixels(0).tobytes())

    def outside(file: object) -> None:
        file["colors"] = h5py.ExternalLink(str(tmp_path / "secret.h5x"), "/colors")  # type: ignore[index]

    def elsewhere(file: object) -> None:
        place = [(str(tmp_path / "raw.bin"), 0, pixels(0).size)]
        file.create_dataset("colors", shape=pixels(0).shape, dtype="u1", external=place)  # type: ignore[attr-defined]

    def virtual(file: object) -> None:
        made = h5py.VirtualLayout(shape=pixels(0).shape, dtype="u1")
        made[...] = h5py.VirtualSource(str(tmp_path / "secret.h5x"), "colors", shape=pixels(0).shape)
        file.create_virtual_dataset("colors", made)  # type: ignore[attr-defined]

    def huge(file: object) -> None:
        file.create_dataset("colors", shape=(200_000, 200_000, 3), dtype="u1", chunks=(64, 64, 3))  # type: ignore[attr-defined]

    def wrong(file: object) -> None:
        file.create_dataset("colors", data=pixels(0))  # type: ignore[attr-defined]
        file.create_dataset("depth", data=some_depth()[:5])  # type: ignore[attr-defined]

    def group(file: object) -> None:
        file.create_group("colors")  # type: ignore[attr-defined]

    for number, make in enumerate((outside, elsewhere, virtual, huge, wrong, group)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with h5py.File(folder / "a.hdf5", "w") as file:
            make(file)
        with pytest.raises(DatasetFormatError, match="expected"):
            read(folder)
    for content in (b"", b"\x89HDF\r\n\x1a\n", b"x" * 100):
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / "a.hdf5").write_bytes(content)
        with pytest.raises(DatasetFormatError, match="expected"):
            read(tmp_path / "cut")


def test_hdf5_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"twinset\[hdf5\]"):
        write(scenes(1), tmp_path / "out", "hdf5")
    assert not (tmp_path / "out").exists()
