"""From a small training set to rendered pictures: laws of the generator, its labels, its configuration space."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import trimesh

from twinset.annotations import Annotation
from twinset.contracts import GeneratorContract, same
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError
from twinset.generators.rendering import Rendering, RenderingGenerator, ShapeSource
from twinset.images import encode_png
from twinset.instances import Instances
from twinset.stages import FiniteGenerator, Slot, Steerable

SMALL = {"shapes_per_class": 3, "count": (2, 4), "size": (0.2, 0.3), "noise": (0.0, 0.0), "jpeg_quality": (100, 100)}


def training(classes: tuple[str, ...] = ("chair", "table")) -> Dataset:
    draws = np.random.default_rng(0)
    samples = []
    for k in range(3):
        pixels = np.clip(draws.normal(120, 10, (72, 96, 3)), 0, 255).astype(np.uint8)
        pixels[20:40, 30:50] = (200, 30, 30)
        box = np.array([[30, 20, 50, 40]], dtype=np.float32)
        objects = Instances(size=(72, 96), class_ids=np.array([k % len(classes)]), boxes=box)
        samples.append(Sample(id=f"real-{k}", image=pixels, annotation=Annotation(instances=objects)))
    return Dataset.of(samples, classes=classes)


def slots(count: int, digest: str = "d") -> list[Slot]:
    return [Slot(k, 0, 1000 + k, 0, digest) for k in range(count)]


def fitted(**settings: object) -> RenderingGenerator:
    return Rendering(**{**SMALL, **settings}).fit(training(), rng=0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def generator() -> RenderingGenerator:
    return fitted()


class TestContract(GeneratorContract):
    def method(self) -> Rendering:
        shapes = {str(digit): "primitive" for digit in range(10)}
        return Rendering(shapes=shapes, shapes_per_class=2, backdrop="white", size=(0.6, 0.9), min_pixels=4)


def test_a_slot_gives_the_same_sample_alone_and_in_company(generator: RenderingGenerator) -> None:
    together = list(generator.generate(slots(3)))
    alone = next(iter(pickle.loads(pickle.dumps(generator)).generate(slots(3)[2:])))
    assert same(together[2], alone)
    assert not np.array_equal(together[0].pixels(), together[1].pixels())


@pytest.mark.parametrize("suffix", [".obj", ".glb"])
def test_poses_take_the_vertices_of_a_users_own_file_to_their_pixels(tmp_path: Path, suffix: str) -> None:
    """The file's box lies beside its origin, and what is up in it is y for glTF."""
    mesh = trimesh.creation.box((0.2, 0.3, 0.5))
    mesh.apply_translation((0.4, 0.1, 0))
    mesh.export(tmp_path / f"cad{suffix}")
    source = ShapeSource(folder=str(tmp_path / f"cad{suffix}"))
    settings = Rendering(
        image_size=(120, 160),
        shapes={"thing": source},
        backdrop="white",
        count=(1, 1),
        maps=("depth",),
        size=(0.2, 0.3),
    )
    generator = settings.fit(training(("thing",)), rng=0)
    shown = 0
    for sample in generator.generate(slots(6)):
        label = sample.annotation
        assert label is not None
        assert label.camera is not None
        objects = label.instances
        assert isinstance(objects, Instances)
        for pose, box in zip(() if objects.poses is None else objects.poses, objects.amodal_boxes, strict=True):  # type: ignore[arg-type]
            points = np.asarray(mesh.vertices) @ pose[:3, :3].T + pose[:3, 3]
            pixels = points[:, :2] / points[:, 2:] * label.camera.focal + label.camera.centre
            np.testing.assert_allclose(np.concatenate([pixels.min(0), pixels.max(0)]), box, atol=1.0)
            shown += 1
    assert shown >= 4


def test_every_picture_of_a_class_shows_it(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    pictures = [draws.integers(90, 160, (32, 32, 3)).astype(np.uint8) for _ in range(6)]
    small = Dataset.of(
        [Sample(str(k), Annotation(class_id=k % 2), image=one) for k, one in enumerate(pictures)],
        classes=("chair", "table"),
    )
    generator = Rendering(shapes_per_class=2, backdrop="white", noise=(0, 0), jpeg_quality=(100, 100)).fit(small, rng=0)
    wanted = [Slot(k, 0, k, k % 2, "d") for k in range(40)]
    for sample in generator.generate(wanted):
        assert (sample.pixels() < 200).any()
    hopeless = Rendering(shapes_per_class=2, backdrop="white", size=(0.005, 0.02)).fit(small, rng=0)
    with pytest.raises(DataError, match="a picture that shows its chair; got none in 40 scenes"):
        next(iter(hopeless.generate(wanted)))


def test_shapes_too_small_for_a_camera_are_refused_and_small_ones_are_whole(tmp_path: Path) -> None:
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "box.obj")

    def of(height: float) -> RenderingGenerator:
        source = ShapeSource(folder=str(tmp_path / "box.obj"), height_metres=height)
        settings = Rendering(image_size=(48, 64), shapes={"thing": source}, backdrop="white", close_ups=1.0)
        return settings.fit(training(("thing",)), rng=0)

    with pytest.raises(DataError, match=r"span at least 5 mm; got box.obj of 1.6 mm; scale or height_metres"):
        of(0.002)
    for large, small in zip(of(1.0).generate(slots(4)), of(0.008).generate(slots(4)), strict=True):
        assert large.annotation is not None
        assert small.annotation is not None
        ours, theirs = large.annotation.instances, small.annotation.instances
        assert isinstance(ours, Instances)
        assert isinstance(theirs, Instances)
        assert ours.masks is not None
        assert theirs.masks is not None
        for one, other in zip(ours.masks, theirs.masks, strict=True):
            assert one is not None
            assert other is not None
            assert np.count_nonzero(one.dense() != other.dense()) <= 2


@pytest.mark.parametrize("backdrop", ["room", "field"])
def test_what_is_flat_lies_on_the_ground_not_in_it(tmp_path: Path, backdrop: str) -> None:
    (tmp_path / "leaf.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    generator = fitted_to(tmp_path / "leaf.obj", backdrop)
    counts = [sample.annotation.instances for sample in generator.generate(slots(4)) if sample.annotation is not None]
    assert sum(len(one) for one in counts if isinstance(one, Instances)) >= 4


def fitted_to(path: Path, backdrop: str) -> RenderingGenerator:
    shapes = {"thing": ShapeSource(folder=str(path))}
    settings = Rendering(image_size=(96, 128), shapes=shapes, backdrop=backdrop, count=(2, 3), size=(0.2, 0.3))  # type: ignore[arg-type]
    return settings.fit(training(("thing",)), rng=0)


def test_boxes_are_tight_to_masks_and_masks_do_not_share_pixels(generator: RenderingGenerator) -> None:
    for sample in generator.generate(slots(6)):
        assert sample.annotation is not None
        objects = sample.annotation.instances
        assert objects is not None
        assert objects.masks is not None
        taken = np.zeros(objects.size, dtype=int)
        assert objects.amodal_masks is not None
        assert objects.visible_fractions is not None
        for box, mask, whole, seen in zip(
            objects.boxes, objects.masks, objects.amodal_masks, objects.visible_fractions, strict=True
        ):
            assert mask is not None
            assert whole is not None
            shown = mask.dense()
            rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
            np.testing.assert_array_equal(box, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            assert not (shown & ~whole.dense()).any()
            assert seen == pytest.approx(shown.sum() / whole.dense().sum())
            taken += shown
        assert taken.max(initial=0) <= 1


def test_depth_camera_and_poses_agree(generator: RenderingGenerator) -> None:
    sample = next(iter(generator.generate(slots(1))))
    label = sample.annotation
    assert label is not None
    assert label.camera is not None
    assert label.depth_metres is not None
    assert label.instances is not None
    assert label.instances.masks is not None
    assert label.instances.poses is not None
    depth = label.depth_metres.dense()
    for mask, pose in zip(label.instances.masks, label.instances.poses, strict=True):
        assert mask is not None
        rows, columns = np.nonzero(mask.dense())
        points = label.camera.unproject(np.c_[columns + 0.5, rows + 0.5], depth[rows, columns])
        origin = label.camera.pose @ pose @ [0, 0, 0, 1]
        assert np.abs(points - origin[:3]).max() < 3  # furniture is smaller than that
        assert points[:, 2].min() > -1e-3  # nothing under the ground


def test_real_objects_are_gone_from_backdrops_and_their_picture_is_a_parent(generator: RenderingGenerator) -> None:
    samples = list(generator.generate(slots(6)))
    assert all(sample.origin.parents[0].startswith("real-") for sample in samples)
    reds = [(sample.pixels().astype(int) @ [1, -1, 0] > 150).mean() for sample in samples]
    assert max(reds) < 0.02


def test_what_nobody_labelled_is_filled_in_where_that_is_asked_for() -> None:
    samples = []
    for sample in training():
        pixels = sample.pixels().copy()
        pixels[45:65, 60:80] = (200, 30, 30)
        samples.append(Sample(sample.id, sample.annotation, image=pixels))
    twice = Dataset.of(samples, classes=training().classes)
    reds = {}
    for fill in ("labelled", "alike"):
        generator = Rendering(**{**SMALL, "fill": fill}).fit(twice, rng=0)  # type: ignore[arg-type]
        made = generator.generate(slots(6))
        reds[fill] = max((sample.pixels().astype(int) @ [1, -1, 0] > 150).mean() for sample in made)
        assert any("has their colours" in remark for remark in generator.remarks) == (fill == "labelled")
    assert reds["alike"] < 0.02 < 0.03 < reds["labelled"]
    assert not any("has their colours" in remark for remark in fitted().remarks)


@pytest.mark.parametrize("backdrop", ["room", "road", "field", "slide", "white"])
def test_every_place_can_be_drawn_and_has_no_real_parent(backdrop: str) -> None:
    made = list(fitted(backdrop=backdrop).generate(slots(2)))
    assert all(sample.pixels().shape == (72, 96, 3) for sample in made)
    assert all(sample.origin.parents == () for sample in made)
    assert all(len(sample.annotation.instances) for sample in made)


def test_a_configuration_moves_sizes(generator: RenderingGenerator) -> None:
    def area(which: RenderingGenerator) -> float:
        boxes = [sample.annotation.instances.boxes for sample in which.generate(slots(8))]
        sides = np.concatenate(boxes)
        return float(np.median((sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])))

    small, large = (
        generator.configured([(1.0, {"size_mean": float(np.log(size)), "size_std": 0.02})]) for size in (0.1, 0.3)
    )
    assert area(large) > 4 * area(small)


def test_configurations_are_followed_by_their_weights(generator: RenderingGenerator) -> None:
    one, five = ({"count_mean": float(n), "count_std": 0.0} for n in (1, 5))
    mixed = generator.configured([(3.0, one), (1.0, five)])
    found = [mixed._configuration(slot)["count_mean"] for slot in slots(400)]
    assert np.mean([count == 1 for count in found]) == pytest.approx(0.75, abs=0.06)


def test_what_moves_a_measure_is_its_space(generator: RenderingGenerator) -> None:
    assert isinstance(generator, Steerable)
    assert not isinstance(generator, FiniteGenerator)
    assert set(generator.steered_by(["box_area"]).space) == {"size_mean", "size_std"}
    with pytest.raises(ValueError, match="expected measures"):
        generator.steered_by(["sharpness"])


def test_the_first_guess_comes_near_the_wanted_size(generator: RenderingGenerator) -> None:
    steered = generator.steered_by(["box_area", "count"])
    guess = steered.guess({"box_area": float(np.log(0.02)), "count": 3.0}, {"box_area": 0.1, "count": 0.5})
    made = list(steered.configured([(1.0, guess)]).generate(slots(12)))
    boxes = np.concatenate([sample.annotation.instances.boxes for sample in made])
    share = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (72 * 96)
    assert 0.01 < np.median(share) < 0.04
    assert 2 <= np.mean([len(sample.annotation.instances) for sample in made]) <= 4


def test_a_class_without_a_family_is_named() -> None:
    with pytest.raises(DataError, match=r"class 'gnome'.*chair"):
        Rendering().fit(training(("chair", "gnome")), rng=0)
    with pytest.raises(DataError, match="folder"):
        Rendering(shapes={"gnome": "nowhere/at/all"}).fit(training(("chair", "gnome")), rng=0)


def test_a_class_with_none_is_not_drawn() -> None:
    made = fitted(shapes={"table": "none"})
    assert made.shares.tolist() == [1.0, 0.0]
    assert any("table" in remark for remark in made.remarks)
    assert all((sample.annotation.instances.class_ids == 0).all() for sample in made.generate(slots(3)))


def test_limits_hold_a_class_to_part_of_a_family() -> None:
    made = fitted(shapes={"table": ShapeSource(family="primitive", limits={"solid": ("cone",)})})
    assert all("cone" in shape.shape_id for shape in made.shapes[1])


def test_photos_and_meshes_come_from_folders_and_are_pinned(tmp_path: Path) -> None:
    photos, meshes = tmp_path / "photos", tmp_path / "meshes"
    photos.mkdir()
    meshes.mkdir()
    (photos / "a.png").write_bytes(encode_png(np.full((60, 60, 3), (10, 200, 10), dtype=np.uint8)))
    (meshes / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n")
    settings = Rendering(
        **{**SMALL, "shapes": {"table": str(meshes)}, "backdrop": "photos", "backdrop_path": str(photos)}
    ).pinned()
    made = next(iter(settings.fit(training(), rng=0).generate(slots(1))))
    assert np.median(made.pixels()[..., 1]) > 150
    (photos / "a.png").write_bytes(encode_png(np.full((60, 60, 3), 0, dtype=np.uint8)))
    with pytest.raises(DataError, match="resolved with"):
        settings.fit(training(), rng=0)


def test_a_single_mesh_is_pinned_with_the_files_that_it_names(tmp_path: Path) -> None:
    mesh, materials = tmp_path / "a.obj", tmp_path / "a.mtl"
    faces = "f 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
    mesh.write_text(f"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nusemtl red\n{faces}")
    materials.write_text("newmtl red\nKd 1 0 0\n")
    settings = Rendering(**{**SMALL, "shapes": {"table": str(mesh)}}).pinned()
    settings.fit(training(), rng=0)
    materials.write_text("newmtl red\nKd 0 1 0\n")
    with pytest.raises(DataError, match="resolved with"):
        settings.fit(training(), rng=0)


def test_a_folder_with_the_name_of_a_picture_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()
    (tmp_path / "a.png").write_bytes(encode_png(np.full((60, 60, 3), 90, dtype=np.uint8)))
    made = Rendering(**{**SMALL, "backdrop": "photos", "backdrop_path": str(tmp_path)}).fit(training(), rng=0)
    assert len(list(made.generate(slots(1)))) == 1


def test_distortion_leaves_the_pinhole_camera_out() -> None:
    made = next(iter(fitted(distortion=(0.1, 0.1)).generate(slots(1))))
    assert made.annotation.camera is None
    assert made.annotation.attributes["distortion_k1"] == 0.1


def test_objects_float_where_placement_is_free() -> None:
    made = list(fitted(placement="free").generate(slots(4)))
    assert sum(len(sample.annotation.instances) for sample in made) > 4


def test_a_guess_starts_in_the_middle_of_the_settings_where_nothing_was_measured() -> None:
    generator = fitted(sun_strength=(0.2, 0.6), ambient=(0.9, 1.1), size=(0.1, 0.4)).steered_by(
        ["brightness", "box_area"]
    )
    guessed = generator.guess({}, {})
    assert guessed["sun_strength_mean"] == pytest.approx(0.4)
    assert guessed["ambient_mean"] == pytest.approx(1.0)
    assert guessed["size_mean"] == pytest.approx(np.log(0.2))
